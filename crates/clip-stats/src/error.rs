//! What can be wrong with counts.

/// Why numbers have no statistics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More successes than trials.
    #[error("{successes} successes among {trials} trials")]
    Counts {
        /// Successes.
        successes: u64,
        /// Trials.
        trials: u64,
    },
    /// A probability, confidence or level that is not within (0, 1) or [0, 1].
    #[error("{name} is not a probability")]
    Probability {
        /// What the number is.
        name: &'static str,
    },
    /// A column that the shipped table has not.
    #[error("no column {name:?}")]
    Unknown {
        /// Its name.
        name: String,
    },
    /// Nothing to resample, or to take the mean of.
    #[error("at least one row and one resample are needed")]
    Empty,
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;
