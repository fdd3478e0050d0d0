//! The exit code of each error.

use std::process::ExitCode;

pub use clip_cli::exit::*;

/// Prints the error on standard error and gives its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    clip_cli::exit::report(error, code)
}

fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<clip_torch::Error>() || cause.is::<clip_model::Error>() {
            return ENVIRONMENT;
        }
        if matches!(
            cause.downcast_ref::<clip_eval::Error>(),
            Some(
                clip_eval::Error::Model(_)
                    | clip_eval::Error::Torch(_)
                    | clip_eval::Error::Output(_)
            )
        ) {
            return ENVIRONMENT;
        }
        if let Some(error) = cause.downcast_ref::<clip_corpus::Error>() {
            return if error.is_usage() { USAGE } else { DAMAGED };
        }
        match cause.downcast_ref::<clip_embed::Error>() {
            Some(
                clip_embed::Error::Model(_)
                | clip_embed::Error::Torch(_)
                | clip_embed::Error::Output(_),
            ) => return ENVIRONMENT,
            Some(clip_embed::Error::Corpus(error)) if error.is_usage() => return USAGE,
            Some(clip_embed::Error::Corpus(_)) => return DAMAGED,
            _ => {}
        }
        match cause.downcast_ref::<clip_train::Error>() {
            Some(clip_train::Error::Diverged { .. } | clip_train::Error::Replicas { .. }) => {
                return 1;
            }
            Some(clip_train::Error::Corpus(error)) if error.is_damage() => return DAMAGED,
            Some(clip_train::Error::Damaged { .. }) => return DAMAGED,
            Some(clip_train::Error::Interrupted) => return INTERRUPTED,
            Some(clip_train::Error::Model(_) | clip_train::Error::Torch(_)) => return ENVIRONMENT,
            _ => {}
        }
        if matches!(
            cause.downcast_ref::<clip_detector::Error>(),
            Some(clip_detector::Error::Torch(_) | clip_detector::Error::Model(_))
        ) {
            return ENVIRONMENT;
        }
    }
    USAGE
}
