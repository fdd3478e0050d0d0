//! The C++ shim over libtorch: what tch lacks for training CLIP.
//!
//! Autocast with a choice of type also on the CPU, loss scaling, AdamW in one kernel or with 16-bit
//! state of our own, stochastic rounding, convolutions and linear maps with packed weights,
//! backward from given gradients, gradient checkpointing, and libtorch's distributed engine. All
//! `unsafe` of the workspace is in this crate.
//!
//! ```
//! use clip_torch::Stream;
//! use clip_torch::tch::Device;
//!
//! // Numbers depend on key and place alone.
//! let all = Stream::new(7).bits(0, 4, Device::Cpu);
//! let rest = Stream::new(7).bits(2, 2, Device::Cpu);
//! assert_eq!(all.narrow(0, 2, 2), rest);
//! ```

mod autocast;
mod autograd;
mod caught;
mod conv;
mod device;
mod dist;
mod error;
mod ffi;
mod finite;
mod linear;
mod mapping;
mod memory;
mod npy;
mod optimizer;
mod random;
mod round;
mod scaler;
mod version;

pub use autocast::{Precision, autocast};
pub use autograd::{
    backward, checkpoint, clear_gradients, freeze_statistics, norm, statistics_frozen,
};
pub use caught::caught;
pub use conv::PackedConv;
pub use device::{allow_tf32, peak_memory, synchronize, use_device};
pub use dist::{Group, Reducer, Rendezvous, Store};
pub use error::{Error, Result};
pub use finite::{first_not_finite, require_finite};
pub use linear::{After, PackedLinear};
pub use mapping::Mapping;
pub use memory::{host_bytes, write_bytes};
pub use npy::write_npy;
pub use optimizer::{AdamW, Moments};
pub use random::Stream;
pub use round::round_stochastically;
pub use scaler::Scaler;
pub use tch;
pub use version::{VERSION, cuda_fault, init};
