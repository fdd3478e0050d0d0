//! The commands, one file each.

pub mod build;
pub mod contamination;
pub mod doctor;
pub mod explain;
pub mod init;
pub mod inspect;
pub mod plan;
pub mod queries;
pub mod report;
pub mod retry;
pub mod scheduler;
pub mod verify;
pub mod worker;
