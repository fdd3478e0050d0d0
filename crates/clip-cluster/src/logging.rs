//! What Ballista says of itself, on standard error.

use std::sync::{Mutex, PoisonError};

use log::{LevelFilter, Log, Metadata, Record};

struct Logger {
    last: Mutex<String>,
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("ballista")
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let text = format!("{}: {}", record.level().as_str().to_lowercase(), record.args());
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // A worker asks many times a second, also a scheduler that is gone.
        if *last != text {
            eprintln!("{text}");
            *last = text;
        }
    }

    fn flush(&self) {}
}

static LOGGER: Logger = Logger { last: Mutex::new(String::new()) };

/// Shows warnings and errors of a member from now on.
pub(crate) fn init() {
    // Where there is a logger already, it hears of them.
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
