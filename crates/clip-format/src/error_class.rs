//! What a failure asks of the user.

use std::error::Error;

/// The class of a failure: the exit code of a command that ends with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ErrorClass {
    /// The command ran, and an asked-for gate failed.
    Gate = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Incomplete: the same command resumes.
    Incomplete = 3,
    /// Stored data is damaged.
    Damaged = 4,
    /// libtorch or a model file is missing or does not fit, or the disk is full or read-only.
    Environment = 5,
    /// Interrupted cleanly.
    Interrupted = 130,
}

impl ErrorClass {
    /// The class of another process's exit code.
    pub fn of_code(code: i32) -> Option<Self> {
        let classes = [
            Self::Gate,
            Self::Usage,
            Self::Incomplete,
            Self::Damaged,
            Self::Environment,
            Self::Interrupted,
        ];
        classes.into_iter().find(|class| *class as i32 == code)
    }
}

/// An error that knows its class.
pub trait Classify: Error + 'static {
    /// The class; none where a cause may have one, and usage where none has.
    fn class(&self) -> Option<ErrorClass>;
}
