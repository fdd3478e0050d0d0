//! Exit codes, and how an error is reported.

use std::error::Error;
use std::io::ErrorKind;
use std::process::ExitCode;

use clip_format::{Classify, ErrorClass};

use crate::print_error;

/// Ran, and an asked-for gate failed.
pub const GATE: u8 = ErrorClass::Gate as u8;
/// Usage or configuration.
pub const USAGE: u8 = ErrorClass::Usage as u8;
/// Incomplete: run again to resume.
pub const INCOMPLETE: u8 = ErrorClass::Incomplete as u8;
/// Stored data is damaged.
pub const DAMAGED: u8 = ErrorClass::Damaged as u8;
/// The environment: libtorch or a model file is missing or does not fit, the disk is full or
/// read-only.
pub const ENVIRONMENT: u8 = ErrorClass::Environment as u8;
/// Interrupted cleanly.
pub const INTERRUPTED: u8 = ErrorClass::Interrupted as u8;

/// What is printed when a first signal asks a run to stop.
pub const STOPPING: &str = "stopping: what is done is kept; press again to stop at once";

/// What to do about a path that is not there.
pub const CHECK_PATH: &str =
    "hint: check the path; a relative one begins in the folder that the command runs in";

/// The class of an error, where it is of one type.
pub type Classifier = fn(&(dyn Error + 'static)) -> Option<ErrorClass>;

/// The class of an error that is an `E`.
pub fn class_of<E: Classify>(error: &(dyn Error + 'static)) -> Option<ErrorClass> {
    error.downcast_ref::<E>()?.class()
}

/// Prints the error with its causes and hints, and gives its exit code: that of a disk that takes
/// nothing, else of the first cause that has a class as `known` and the corpus's errors have it,
/// else usage.
pub fn report(error: &anyhow::Error, known: &[Classifier]) -> ExitCode {
    // A reader that went away (`| head`) is no failure.
    if error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    let text = clip_corpus::error_report(error.as_ref());
    let storage = storage(error.as_ref());
    let hint = match storage {
        Some(_) => {
            "hint: nothing that was complete is lost; make room or mount the disk writable, and run the same command again"
        }
        None if is_missing_file(error) && !text.contains("\nhint: ") => CHECK_PATH,
        None => "",
    };
    let end = if hint.is_empty() { "" } else { "\n" };
    print_error(&format!("error: {text}\n{hint}{end}"));
    ExitCode::from(storage.unwrap_or_else(|| class(error, known) as u8))
}

fn class(error: &anyhow::Error, known: &[Classifier]) -> ErrorClass {
    let shared: [Classifier; 2] =
        [class_of::<clip_corpus::Error>, class_of::<clip_corpus::BadName>];
    let of = |cause| known.iter().chain(&shared).find_map(|class| class(cause));
    error.chain().find_map(of).unwrap_or(ErrorClass::Usage)
}

/// Whether a file that was named is missing.
fn is_missing_file(error: &anyhow::Error) -> bool {
    let missing = |cause: &std::io::Error| cause.kind() == ErrorKind::NotFound;
    error.chain().any(|cause| cause.downcast_ref().is_some_and(missing))
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

    #[test]
    fn a_missing_file_is_one_at_any_depth() {
        let io = |kind: ErrorKind| clip_format::PathError::new("a".as_ref(), kind.into());
        let error = |kind| anyhow::Error::from(clip_corpus::Error::from(io(kind))).context("x");
        assert!(is_missing_file(&error(ErrorKind::NotFound)));
        assert_eq!(class(&error(ErrorKind::NotFound), &[]), ErrorClass::Usage);
        assert!(!is_missing_file(&error(ErrorKind::PermissionDenied)));
        assert_eq!(class(&error(ErrorKind::TimedOut), &[]), ErrorClass::Incomplete);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] clip_corpus::BadName);

    impl Classify for Outer {
        fn class(&self) -> Option<ErrorClass> {
            None
        }
    }

    #[test]
    fn the_first_cause_with_a_class_decides() {
        let bad = || clip_corpus::check_name("../x").unwrap_err();
        let error = anyhow::Error::from(Outer(bad())).context("a file");
        assert_eq!(class(&error, &[class_of::<Outer>]), ErrorClass::Damaged);
        assert_eq!(class(&anyhow::anyhow!("an option"), &[]), ErrorClass::Usage);
        let spec = clip_corpus::Error::Spec { spec: "x".into(), reason: String::new() };
        assert_eq!(class(&spec.into(), &[]), ErrorClass::Usage);
    }
}
