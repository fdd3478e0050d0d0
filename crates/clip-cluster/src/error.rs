//! What can go wrong between the members of a cluster.

use clip_format::{Classify, ErrorClass};
use datafusion::error::DataFusionError;

/// A failure of a cluster, naming the member it is about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No scheduler answers at that host and port.
    #[error(
        "scheduler {scheduler}: {reason}\nhint: start `clip-data scheduler` there; `[engine] scheduler` and `--scheduler` name it"
    )]
    Scheduler {
        /// Its host and port.
        scheduler: String,
        /// What came back.
        reason: String,
    },
    /// The scheduler does not know this secret.
    #[error(
        "scheduler {scheduler}: it wants another secret than this\nhint: `--secret-file FILE` or CLIP_DATA_CLUSTER_SECRET, the same for all members"
    )]
    Refused {
        /// Its host and port.
        scheduler: String,
    },
    /// A file or variable holds no secret.
    #[error(
        "{name}: {reason}\nhint: `head -c 32 /dev/urandom | base64 > FILE; chmod 600 FILE` makes one"
    )]
    Secret {
        /// The file or variable.
        name: String,
        /// Why not.
        reason: String,
    },
    /// A member would answer other machines without a secret.
    #[error(
        "{address}: other machines may reach it, and there is no secret\nhint: `--secret-file FILE` or CLIP_DATA_CLUSTER_SECRET, the same for all members"
    )]
    Open {
        /// Where it would listen.
        address: std::net::IpAddr,
    },
    /// Two members do not have the same functions.
    #[error("{whose} is of another kind: {differences}\nhint: run the same clip-data everywhere")]
    Registry {
        /// The other member.
        whose: String,
        /// What differs, by name.
        differences: String,
    },
    /// A query's result cannot be trusted.
    #[error("a worker was lost while its queries ran\nhint: run again")]
    Lost,
    /// Ballista failed.
    #[error("{member}: {source}")]
    Ballista {
        /// Scheduler or worker.
        member: &'static str,
        /// The cause.
        source: Box<ballista_core::error::BallistaError>,
    },
    /// A context or its functions could not be made.
    #[error("session: {0}")]
    Session(Box<DataFusionError>),
    /// The operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// An address or a folder.
        what: String,
        /// The cause.
        source: std::io::Error,
    },
}

impl Classify for Error {
    fn class(&self) -> Option<ErrorClass> {
        Some(match self {
            Self::Registry { .. }
            | Self::Refused { .. }
            | Self::Secret { .. }
            | Self::Open { .. } => ErrorClass::Usage,
            // A port that is another process's is so the next time, too.
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
                ErrorClass::Usage
            }
            _ => ErrorClass::Incomplete,
        })
    }
}

/// Short for a result with this crate's error.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn io(what: impl std::fmt::Display, source: std::io::Error) -> Self {
        Self::Io { what: what.to_string(), source }
    }

    pub(crate) fn no_scheduler(scheduler: &str) -> Self {
        let reason = "this is no clip-data scheduler".to_owned();
        Self::Scheduler { scheduler: scheduler.to_owned(), reason }
    }

    pub(crate) fn ballista(
        member: &'static str,
        source: ballista_core::error::BallistaError,
    ) -> Self {
        Self::Ballista { member, source: Box::new(source) }
    }
}

impl From<DataFusionError> for Error {
    fn from(error: DataFusionError) -> Self {
        Self::Session(Box::new(error))
    }
}
