//! The threads on which all storage is waited for.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// Waits for a future. Not to be called on a thread of another runtime.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> io::Result<T> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let make = || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2).thread_name("storage").enable_all();
        builder.build().map_err(|e| e.to_string())
    };
    // A fork has none of these threads, and would wait for ever.
    static MADE_IN: OnceLock<u32> = OnceLock::new();
    let process = std::process::id();
    if *MADE_IN.get_or_init(|| process) != process {
        return Err(io::Error::other(
            "this process was forked after another had read remote storage\n\
             hint: start workers anew (Python: multiprocessing_context=\"spawn\")",
        ));
    }
    let runtime = RUNTIME.get_or_init(make).as_ref();
    Ok(runtime.map_err(|e| io::Error::other(e.clone()))?.block_on(future))
}
