//! The learned duplicate detector of the paper's appendix C.
//!
//! A residual network with anti-aliased pooling, weight normalisation instead of batch
//! normalisation (so that no image of a batch leaks into another's features) and GELU, trained to
//! tell an image's altered copy from all other images of the batch (InfoNCE at temperature 0.07).

mod augment;
mod config;
mod data;
mod error;
mod net;
mod serve;
mod train;

pub use augment::altered;
pub use config::{DetectorConfig, Kind};
pub use data::TrainingImages;
pub use error::{Error, Result};
pub use net::Detector;
pub use serve::serve;
pub use train::{Progress, TrainOptions, train};
