//! Stopping between two steps when asked to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{SignalKind, signal};

use crate::exit;

/// A flag that the first SIGINT or SIGTERM raises; the second ends the process.
pub fn stop_flag() -> Arc<AtomicBool> {
    let flag = Arc::new(AtomicBool::new(false));
    let raised = flag.clone();
    std::thread::spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            let asked = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
            let (Ok(mut interrupt), Ok(mut terminate)) = asked else { return };
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                if raised.swap(true, Ordering::Relaxed) {
                    std::process::exit(i32::from(exit::INTERRUPTED));
                }
                // The first rank speaks for all of them.
                if std::env::var("RANK").is_ok_and(|rank| rank != "0") {
                    continue;
                }
                eprintln!("stopping after this step; ask again to stop at once");
            }
        });
    });
    flag
}
