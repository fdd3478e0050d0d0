//! The C++ shim over libtorch: what tch lacks for training CLIP.
//!
//! Autocast with a choice of type also on the CPU, AdamW in one kernel with state of our own, backward from
//! given gradients, and gradient checkpointing. All `unsafe` of the workspace stands in this crate.

mod autocast;
mod autograd;
mod error;
mod ffi;
mod mapping;
mod optimizer;
mod version;

pub use autocast::{Precision, autocast};
pub use autograd::{backward, checkpoint};
pub use error::{Error, Result};
pub use mapping::Mapping;
pub use optimizer::AdamW;
pub use tch;
pub use version::{VERSION, init};
