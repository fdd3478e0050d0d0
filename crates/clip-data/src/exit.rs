//! The errors whose exit codes this executable knows.

use std::process::ExitCode;

pub use clip_cli::exit::*;

/// What a failure of a command may be.
const KNOWN: &[Classifier] = &[
    class_of::<clip_pipeline::Error>,
    class_of::<crate::torch::Missing>,
    class_of::<crate::unusable::Unusable>,
    class_of::<clip_cluster::Error>,
    class_of::<clip_overlap::Error>,
    class_of::<clip_report::Error>,
    class_of::<clip_serve::Error>,
    class_of::<clip_filter::Error>,
    class_of::<clip_sql::Error>,
];

/// Prints the error on standard error and gives its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    clip_cli::exit::report(error, KNOWN)
}
