//! The commands, one file each.

pub mod build;
pub mod contamination;
pub mod doctor;
pub mod fetch;
pub mod init;
pub mod plan;
pub mod queries;
pub mod report;
pub mod retry;
