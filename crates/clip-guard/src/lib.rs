//! What files from elsewhere may cost: the sizes that they claim, the lengths of their lines, the
//! links in their folders, and the panics of libraries that read them. Every parser of the
//! workspace uses these.
//!
//! ```
//! // An array of 10 x 20 values of 8 bytes in a file of 1,024 bytes.
//! assert!(clip_guard::claim(&[10, 20], 8, 1024).is_err());
//! assert_eq!(clip_guard::claim(&[10, 10], 8, 1024), Ok(800));
//! ```

mod claim;
mod lines;
mod panic;
mod walk;

pub use claim::{claim, room, unpacked_room};
pub use lines::{LONGEST_LINE, Line, read_line, read_lines, read_whole};
pub use panic::catch_panic;
pub use walk::{Folder, files, walk};
