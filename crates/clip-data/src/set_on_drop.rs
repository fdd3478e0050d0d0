//! Threads that watch a flag while others work.

use std::sync::atomic::{AtomicBool, Ordering};

/// Sets a flag when it goes out of scope, also by a panic: threads that watch the flag end then,
/// and so does the scope that waits for them.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_thread_waits_for_one_that_panicked() {
        let done = AtomicBool::new(false);
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            std::thread::scope(|scope| {
                let _done = SetOnDrop(&done);
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                });
                std::panic::resume_unwind(Box::new("as a panic, but silent"));
            });
        }));
        assert!(ended.is_err() && done.into_inner());
    }
}
