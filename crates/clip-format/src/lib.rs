//! Formats that many crates share: kinds of files, images by name and first bytes, NPY, pickles,
//! whole files, errors that name their file; and what a machine has.
//!
//! ```
//! use clip_format::ImageFormat;
//!
//! assert_eq!(ImageFormat::of_extension("JPEG"), Some(ImageFormat::Jpeg));
//! assert_eq!(ImageFormat::sniff(b"GIF89a"), Some(ImageFormat::Gif));
//! assert_eq!(ImageFormat::Gif.media_type(), "image/gif");
//! ```

mod atomic;
mod error;
mod error_class;
mod file_kind;
mod image_format;
mod machine;
pub mod npy;
pub mod pickle;

pub use atomic::{
    AtomicFile, link_atomic, remove_temporary_files, remove_temporary_files_in, write_atomic,
};
pub use error::{FileError, PathError, is_disk_refusal};
pub use error_class::{Classify, ErrorClass};
pub use file_kind::FileKind;
pub use image_format::ImageFormat;
pub use machine::{has_bf16, has_gpu_driver};
