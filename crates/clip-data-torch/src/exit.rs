//! Exit codes, and how an error is told.

use std::process::ExitCode;

/// Usage or configuration.
pub const USAGE: u8 = 2;
/// Incomplete: run again to go on.
pub const INCOMPLETE: u8 = 3;
/// Stored data is damaged.
pub const DAMAGED: u8 = 4;
/// libtorch or a model file is missing or does not fit.
pub const ENVIRONMENT: u8 = 5;
/// Interrupted cleanly.
pub const INTERRUPTED: u8 = 130;

/// Tells the error on standard error and gives its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {}", clip_corpus::told(error.as_ref()));
    ExitCode::from(code(error))
}

fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if cause.is::<clip_torch::Error>() || cause.is::<clip_model::Error>() {
            return ENVIRONMENT;
        }
        if matches!(
            cause.downcast_ref::<clip_eval::Error>(),
            Some(clip_eval::Error::Model(_) | clip_eval::Error::Torch(_))
        ) {
            return ENVIRONMENT;
        }
        if let Some(error) = cause.downcast_ref::<clip_corpus::Error>() {
            return if matches!(error, clip_corpus::Error::Spec { .. }) { USAGE } else { DAMAGED };
        }
        match cause.downcast_ref::<clip_embed::Error>() {
            Some(clip_embed::Error::Model(_) | clip_embed::Error::Torch(_)) => return ENVIRONMENT,
            Some(clip_embed::Error::Corpus(clip_corpus::Error::Spec { .. })) => return USAGE,
            Some(clip_embed::Error::Corpus(_)) => return DAMAGED,
            _ => {}
        }
        match cause.downcast_ref::<clip_train::Error>() {
            Some(clip_train::Error::Diverged { .. } | clip_train::Error::Replicas { .. }) => {
                return 1;
            }
            Some(clip_train::Error::Corpus(error)) if error.is_damage() => return DAMAGED,
            Some(clip_train::Error::Model(_) | clip_train::Error::Torch(_)) => return ENVIRONMENT,
            _ => {}
        }
    }
    USAGE
}
