//! Options of every command.

use std::sync::atomic::{AtomicBool, Ordering};

static QUIET: AtomicBool = AtomicBool::new(false);

/// Options that every command has.
#[derive(Debug, clap::Args)]
pub struct CommonArgs {
    /// Print results, warnings and errors only
    #[arg(short, long, global = true)]
    quiet: bool,
}

impl CommonArgs {
    /// Makes them hold for this process.
    pub fn apply(&self) {
        QUIET.store(self.quiet, Ordering::Relaxed);
    }
}

/// Whether progress and notes are left out.
pub fn quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}
