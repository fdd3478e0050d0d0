//! What both executables share: the commands that need libtorch (their arguments, not their work),
//! progress, tables, printing, signals, exit codes.
//!
//! ```
//! // At the root of an executable, so that every line it prints goes this way:
//! #[macro_use(println)]
//! extern crate clip_cli;
//!
//! println!("a caption with an escape: {}", "\u{1b}[2J");
//! # assert_eq!(clip_cli::printable("\u{1b}[2J"), "\\u001b[2J");
//! ```

mod common;
mod counted;
pub mod exit;
mod print;
mod progress;
mod rate;
mod signal;
mod table;
pub mod torch;
mod value_parsers;

pub use common::{CommonArgs, quiet};
pub use counted::counted;
pub use print::{Printable, print_error, print_result, printable};
pub use progress::{ProgressArgs, Show, StatusLine};
pub use rate::{Rate, duration};
pub use signal::{Stop, stop_flag};
pub use table::table;
pub use value_parsers::{at_least_one, part};
