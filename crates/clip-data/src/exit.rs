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
    eprintln!("error: {}", told(error));
    ExitCode::from(code(error))
}

/// An error and its causes on one line, each told once, and the hints of all of them below.
fn told(error: &anyhow::Error) -> String {
    let (mut text, mut hints) = (String::new(), Vec::new());
    for cause in error.chain().map(ToString::to_string) {
        let (hint, lines): (Vec<_>, Vec<_>) =
            cause.lines().partition(|line| line.starts_with("hint: "));
        let lines = lines.join("\n");
        // Many an error names its cause in its own words.
        if !text.contains(&lines) {
            text = if text.is_empty() { lines } else { format!("{text}: {lines}") };
        }
        hints.extend(hint.into_iter().map(str::to_owned));
    }
    hints.dedup();
    [vec![text], hints].concat().join("\n")
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

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn causes_are_told_once_and_hints_come_last() {
        let cause = || anyhow::anyhow!("gone\nhint: look elsewhere");
        let error = Err::<(), _>(cause()).context("a.txt: gone").context("b\nhint: try c");
        assert_eq!(told(&error.unwrap_err()), "b: a.txt: gone\nhint: try c\nhint: look elsewhere");
    }
}
