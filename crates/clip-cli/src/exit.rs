//! Exit codes, and how an error is reported.

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

use crate::print_error;

/// Ran, and an asked-for gate failed.
pub const GATE: u8 = 1;
/// Usage or configuration.
pub const USAGE: u8 = 2;
/// Incomplete: run again to resume.
pub const INCOMPLETE: u8 = 3;
/// Stored data is damaged.
pub const DAMAGED: u8 = 4;
/// The environment: libtorch or a model file is missing or does not fit, the disk is full or
/// read-only.
pub const ENVIRONMENT: u8 = 5;
/// Interrupted cleanly.
pub const INTERRUPTED: u8 = 130;

/// What is printed when a first signal asks a run to stop.
pub const STOPPING: &str = "stopping after what is in flight; press again to stop at once";

/// Prints the error with its causes and hints, and gives its exit code: that of a disk that takes
/// nothing, of a file with a bad name, else what `code` says of it.
pub fn report(error: &anyhow::Error, code: impl Fn(&anyhow::Error) -> u8) -> ExitCode {
    // A reader that went away (`| head`) is no failure.
    if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let text = clip_corpus::error_report(error.as_ref());
    let storage = storage(error.as_ref());
    let hint = match storage {
        Some(_) => {
            "hint: nothing that was complete is lost; make room or mount the disk writable, and run the same command again\n"
        }
        None => "",
    };
    print_error(&format!("error: {text}\n{hint}"));
    let damaged =
        || error.chain().any(|cause| cause.is::<clip_corpus::BadName>()).then_some(DAMAGED);
    ExitCode::from(storage.or_else(damaged).unwrap_or_else(|| code(error)))
}

/// The exit code of an error that says that a disk is full or read-only, at any depth of libraries
/// that wrap it.
pub fn storage(error: &(dyn Error + 'static)) -> Option<u8> {
    clip_format::is_disk_refusal(error).then_some(ENVIRONMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_the_environment_whatever_wraps_it() {
        let full = || std::io::Error::from(ErrorKind::StorageFull);
        assert_eq!(storage(&full()), Some(ENVIRONMENT));
        assert_eq!(storage(&std::io::Error::other(full())), Some(ENVIRONMENT));
        assert_eq!(storage(&std::io::Error::from(ErrorKind::NotFound)), None);
    }
}
