//! Interruption: the first signal asks, the second does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::Scope;
use std::time::Duration;

use crate::exit;

/// Sets a flag when it goes out of scope, also by a panic: threads that watch the flag end then, and so does the scope
/// that waits for them.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_waits_for_one_that_panicked() {
        let (cancel, done) = (AtomicBool::new(false), AtomicBool::new(false));
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::scope(|scope| {
                let _done = SetOnDrop(&done);
                on_interrupt(scope, &cancel, &done);
                std::panic::resume_unwind(Box::new("as a panic, but silent"));
            });
        }));
        assert!(ended.is_err() && done.into_inner() && !cancel.into_inner());
    }
}
