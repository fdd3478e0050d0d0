//! The exit code of each error.

use std::process::ExitCode;

pub use clip_cli::exit::*;

/// Prints the error on standard error and gives its exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    clip_cli::exit::report(error, code)
}

fn code(error: &anyhow::Error) -> u8 {
    for cause in error.chain() {
        if let Some(error) = cause.downcast_ref::<clip_pipeline::Error>() {
            return match error {
                clip_pipeline::Error::Config(_) | clip_pipeline::Error::Locked { .. } => USAGE,
                clip_pipeline::Error::Corpus(error) => corpus(error),
                _ => INCOMPLETE,
            };
        }
        if cause.is::<crate::torch::Missing>() {
            return ENVIRONMENT;
        }
        match cause.downcast_ref::<clip_cluster::Error>() {
            Some(
                clip_cluster::Error::Registry { .. }
                | clip_cluster::Error::Refused { .. }
                | clip_cluster::Error::Secret { .. }
                | clip_cluster::Error::Open { .. },
            ) => return USAGE,
            Some(_) => return INCOMPLETE,
            None => {}
        }
        if let Some(clip_overlap::Error::Corpus(error)) = cause.downcast_ref() {
            return corpus(error);
        }
        if let Some(clip_report::Error::Corpus(error)) = cause.downcast_ref() {
            return corpus(error);
        }
        if let Some(error) = cause.downcast_ref::<clip_filter::Error>() {
            return match error {
                clip_filter::Error::Corpus(error) => corpus(error),
                error if error.is_damage() => DAMAGED,
                _ => USAGE,
            };
        }
        if cause.downcast_ref().is_some_and(clip_sql::Error::is_damage) {
            return DAMAGED;
        }
        if let Some(error) = cause.downcast_ref::<clip_corpus::Error>() {
            return corpus(error);
        }
    }
    USAGE
}

fn corpus(error: &clip_corpus::Error) -> u8 {
    match error {
        error if error.is_damage() => DAMAGED,
        error if error.is_usage() => USAGE,
        _ => INCOMPLETE,
    }
}
