//! PyTorch's `.pt` files: a zip archive of a pickle and the bytes of its tensors (`torch.save`
//! since 1.6, and TorchScript's archives).
//!
//! The pickle reader is restricted: it knows dictionaries, lists, numbers, texts and tensors,
//! refuses every other global by its name, and never executes anything.

mod archive;
mod reader;
mod tensor;
mod value;
mod writer;

pub(crate) use archive::is_archive;
pub use archive::{read_pt, write_pt};
pub use value::Value;
