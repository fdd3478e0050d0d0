//! What a stage may know of the run around it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clip_store::Store;

use crate::layout::{SPOOL, spool_name};
use crate::{Event, Progress, QueryEngine};

/// Seed, scratch space, cancellation and events of one stage in one run.
#[derive(Clone)]
pub struct Context {
    pub(crate) stage: String,
    pub(crate) seed: u64,
    pub(crate) scratch: PathBuf,
    pub(crate) cancel: Arc<AtomicBool>,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) shared: bool,
    pub(crate) store: Option<Store>,
    pub(crate) queries: Option<Arc<dyn QueryEngine>>,
}

impl Context {
    /// A context outside any run, for tools and tests.
    pub fn detached(stage: &str, seed: u64, scratch: &Path) -> Self {
        Self {
            stage: stage.to_owned(),
            seed,
            scratch: scratch.to_path_buf(),
            cancel: Arc::new(AtomicBool::new(false)),
            progress: Arc::new(()),
            shared: false,
            store: None,
            queries: None,
        }
    }

    /// The stage's name.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The run's seed: every draw is a hash of it and an id, never the state of a generator.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Whether the run was asked to stop: return soon, leaving the part uncommitted.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Gives an event to the watchers.
    pub fn emit(&self, event: Event) {
        self.progress.on(&event);
    }

    /// Reports to the watchers that rows passed.
    pub fn rows(&self, rows: u64) {
        self.emit(Event::Rows { stage: self.stage.clone(), rows, failed: 0 });
    }

    /// Reports to the watchers that rows ended, or that they all failed.
    pub fn rows_ended(&self, rows: u64, failed: bool) {
        let failed = if failed { rows } else { 0 };
        self.emit(Event::Rows { stage: self.stage.clone(), rows, failed });
    }

    /// Gives the watchers a line for people.
    pub fn note(&self, message: impl Into<String>) {
        self.emit(Event::Note { stage: self.stage.clone(), message: message.into() });
    }

    /// Whether other processes may be at work on parts of the same stage.
    pub fn shared(&self) -> bool {
        self.shared
    }

    /// The stage's folder in object storage, where the run is in one: for what must hold among
    /// its processes.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// What runs a barrier's queries, if it is not this process: see
    /// [`crate::Run::with_queries`].
    pub fn queries(&self) -> Option<Arc<dyn QueryEngine>> {
        self.queries.clone()
    }

    /// A file under [`Self::scratch`] for what a part has so far, so that a run that was killed
    /// need not do it again. It is removed when the part is committed.
    pub fn part_file(&self, part: usize) -> PathBuf {
        self.scratch.join(spool_name(part))
    }

    /// Removes the files of [`Self::part_file`] that a process left which was killed right after a
    /// commit.
    pub(crate) fn remove_part_files(&self) {
        let entries = std::fs::read_dir(&self.scratch).into_iter().flatten().filter_map(Result::ok);
        for path in entries.map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == SPOOL) {
                // What stays costs space alone.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    /// A folder of the stage's own, for files that need not outlive it and for summaries that may.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }
}
