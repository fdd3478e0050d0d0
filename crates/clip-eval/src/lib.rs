//! Zero-shot transfer: classifier, features, metrics, predictions, results.

mod classifier;
mod error;
mod features;
mod metrics;
mod predictions;
mod zero_shot;

pub use classifier::classifier;
pub use error::{Error, Result};
pub use features::{image_features, pixels};
pub use metrics::{rank_of, top_k};
pub use predictions::{Prediction, read_predictions, write_predictions};
pub use zero_shot::{Accuracy, Scores, ZeroShot, zero_shot};
