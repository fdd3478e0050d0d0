//! Processes that link libtorch and are not to be asked.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use clip_format::{Classify, ErrorClass};

/// What its process is needed for, and what became of that.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It ended before it was ready, and has printed why, if it could.
    #[error("{0} cannot be used: its process ended with {1}{hint}", hint = hint(*.1))]
    Ended(String, ExitStatus),
    /// It gives something else.
    #[error(
        "{0} cannot be used: its process gives {1}\nhint: clip-data and clip-data-torch must be of one version"
    )]
    Other(String, String),
}

fn hint(status: ExitStatus) -> &'static str {
    match status.signal() {
        Some(libc::SIGKILL) => {
            "\nhint: the system kills what takes more memory than there is; run the same command again"
        }
        _ => "",
    }
}

impl Classify for Unusable {
    /// That of the process. Ctrl-C ends it before this process has seen that itself is to stop; one
    /// that was killed is the environment's.
    fn class(&self) -> Option<ErrorClass> {
        let class = match self {
            Self::Ended(_, status) => match status.signal() {
                Some(libc::SIGINT | libc::SIGTERM) => Some(ErrorClass::Interrupted),
                _ => status.code().and_then(ErrorClass::of_code),
            },
            Self::Other(..) => None,
        };
        Some(class.unwrap_or(ErrorClass::Environment))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_asked_to_stop_is_an_interruption_and_a_killed_one_the_environments() {
        let ended = |status| Unusable::Ended("the model".into(), ExitStatus::from_raw(status));
        for (status, class) in [
            (libc::SIGINT, ErrorClass::Interrupted),
            (libc::SIGTERM, ErrorClass::Interrupted),
            (libc::SIGKILL, ErrorClass::Environment),
            (2 << 8, ErrorClass::Usage),
            (130 << 8, ErrorClass::Interrupted),
        ] {
            assert_eq!(ended(status).class(), Some(class), "{status}");
        }
        let printed = ended(libc::SIGKILL).to_string();
        assert!(printed.contains("the model cannot be used: ") && printed.contains("\nhint: "));
    }
}
