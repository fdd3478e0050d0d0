//! Interruption: the first signal asks, the second does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::Duration;

use crate::exit;

/// Sets `cancel` at the first Ctrl-C, and ends the process at the second; watches until `done` is set.
pub fn on_interrupt<'s>(scope: &'s Scope<'s, '_>, cancel: &'s AtomicBool, done: &'s AtomicBool) {
    scope.spawn(move || {
        let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
            return;
        };
        runtime.block_on(async {
            while !done.load(Ordering::Relaxed) {
                let pause = tokio::time::sleep(Duration::from_millis(100));
                tokio::select! {
                    asked = tokio::signal::ctrl_c() => {
                        if asked.is_err() { return }
                        if cancel.swap(true, Ordering::Relaxed) {
                            std::process::exit(i32::from(exit::INTERRUPTED));
                        }
                        eprintln!("stopping; press again to stop at once");
                    }
                    () = pause => {}
                }
            }
        });
    });
}
