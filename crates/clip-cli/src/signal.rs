//! Stopping when asked to, by Ctrl-C or by a scheduler's SIGTERM.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::{exit, print_error};

/// A flag that the first SIGINT or SIGTERM sets. The second ends the process at once, without what libraries do at
/// exit: a thread may still be in them. `notice` is printed at the first one, where it is not empty.
///
/// # Errors
/// When the system refuses handlers.
pub fn stop_flag(notice: &'static str) -> std::io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let set = flag.clone();
    std::thread::spawn(move || {
        for _ in signals.forever() {
            if set.swap(true, Ordering::Relaxed) {
                low_level::exit(i32::from(exit::INTERRUPTED));
            }
            if !notice.is_empty() {
                print_error(&format!("{notice}\n"));
            }
        }
    });
    Ok(flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_sets_the_flag_and_the_process_lives() {
        let flag = stop_flag("").unwrap();
        assert!(!flag.load(Ordering::Relaxed));
        low_level::raise(SIGTERM).unwrap();
        let started = std::time::Instant::now();
        while !flag.load(Ordering::Relaxed) {
            assert!(started.elapsed().as_secs() < 30, "the flag was not set");
            std::thread::yield_now();
        }
    }
}
