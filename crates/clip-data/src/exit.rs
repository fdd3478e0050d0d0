//! Exit codes, and how an error is told.

use std::process::ExitCode;

/// Ran, and an asked-for gate failed.
pub const GATE: u8 = 1;
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
    // A reader that went away (`| head`) is no failure.
    let broken = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    if error.downcast_ref::<std::io::Error>().is_some_and(broken) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", clip_corpus::told(error.as_ref()));
    ExitCode::from(code(error))
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
            Some(clip_cluster::Error::Registry { .. }) => return USAGE,
            Some(_) => return INCOMPLETE,
            None => {}
        }
        if let Some(clip_overlap::Error::Corpus(error)) = cause.downcast_ref() {
            return corpus(error);
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
        clip_corpus::Error::Spec { .. } => USAGE,
        _ => INCOMPLETE,
    }
}
