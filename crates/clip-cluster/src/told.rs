//! What Ballista says of itself, on standard error.

use log::{LevelFilter, Log, Metadata, Record};

struct Told;

impl Log for Told {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.target().starts_with("ballista")
    }

    fn log(&self, record: &Record) {
        if self.enabled(record.metadata()) {
            eprintln!("{}: {}", record.level().as_str().to_lowercase(), record.args());
        }
    }

    fn flush(&self) {}
}

/// Shows warnings and errors of a member from now on.
pub(crate) fn tell() {
    // Where there is a logger already, it hears of them.
    if log::set_logger(&Told).is_ok() {
        log::set_max_level(LevelFilter::Warn);
    }
}
