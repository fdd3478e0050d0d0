//! Stopping when asked to, by Ctrl-C or by a scheduler's SIGTERM.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::{exit, print_error};

/// How this process is asked to stop: by Ctrl-C, by SIGTERM, or by [`Stop::ask`]. All of a
/// process's are one.
///
/// Until [`Stop::arm`] there is nothing to finish, and it ends the process with
/// [`exit::INTERRUPTED`]. From then on it sets a flag; the second signal ends the process at once,
/// without what libraries do at exit: a thread may still be in them.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    armed: Arc<AtomicBool>,
    notice: Arc<Mutex<&'static str>>,
}

impl Stop {
    /// Takes the signals over, once in a process: the first thing that an executable does. `notice`
    /// is printed at the first one that sets the flag; with an empty one nothing is printed ever.
    ///
    /// # Errors
    /// When the system refuses handlers.
    pub fn install(notice: &'static str) -> std::io::Result<Self> {
        static STOP: OnceLock<Stop> = OnceLock::new();
        static TAKEN: Mutex<bool> = Mutex::new(false);
        let stop = STOP.get_or_init(Self::default);
        if let Ok(mut own) = stop.notice.lock() {
            *own = notice;
        }
        let Ok(mut taken) = TAKEN.lock() else { return Ok(stop.clone()) };
        if !*taken {
            let mut signals = Signals::new([SIGINT, SIGTERM])?;
            let asked = stop.clone();
            std::thread::spawn(move || {
                for _ in signals.forever() {
                    if asked.ask() {
                        low_level::exit(i32::from(exit::INTERRUPTED));
                    }
                    asked.print(asked.notice());
                }
            });
            *taken = true;
        }
        Ok(stop.clone())
    }

    fn notice(&self) -> &'static str {
        self.notice.lock().map_or("", |notice| *notice)
    }

    fn print(&self, text: &str) {
        if !self.notice().is_empty() {
            print_error(&format!("{text}\n"));
        }
    }

    /// From here on a signal sets the flag.
    pub fn arm(&self) {
        self.armed.store(true, Ordering::SeqCst);
    }

    /// Sets the flag, or ends the process where that is not armed; whether the flag was set before.
    pub fn ask(&self) -> bool {
        let before = self.asked.swap(true, Ordering::SeqCst);
        if !self.armed.load(Ordering::SeqCst) {
            self.print("interrupted");
            low_level::exit(i32::from(exit::INTERRUPTED));
        }
        before
    }

    /// Whether it was asked to.
    pub fn asked(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A flag that the first SIGINT or SIGTERM sets: [`Stop`], armed from the start.
///
/// # Errors
/// When the system refuses handlers.
pub fn stop_flag(notice: &'static str) -> std::io::Result<Arc<AtomicBool>> {
    let stop = Stop::install(notice)?;
    stop.arm();
    Ok(stop.asked)
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
