//! The errors whose exit codes this executable knows.

use std::process::ExitCode;

pub use clip_cli::exit::*;

/// What a failure of a command may be.
const KNOWN: &[Classifier] = &[
    class_of::<clip_torch::Error>,
    class_of::<clip_model::Error>,
    class_of::<clip_eval::Error>,
    class_of::<clip_embed::Error>,
    class_of::<clip_loader::Error>,
    class_of::<clip_train::Error>,
    class_of::<clip_detector::Error>,
];

/// Prints the error on standard error and gives its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    clip_cli::exit::report(error, KNOWN)
}
