//! The limit of open files.

/// Lets this process open as many files as it may: a query over many thousands of parts opens most
/// of them at once, and a fetch has a connection to each of some thousand hosts.
pub fn open_many_files() {
    // Where it may not, the query says so.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}
