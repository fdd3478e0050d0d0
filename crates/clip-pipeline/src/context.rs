//! What a stage may know of the run around it.

use std::any::Any;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clip_store::Store;

use crate::{Event, Progress};

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
    pub(crate) lent: Option<Arc<dyn Any + Send + Sync>>,
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
            lent: None,
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

    /// Whether someone asked the run to stop: return soon, leaving the part uncommitted.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Tells the watchers.
    pub fn emit(&self, event: Event) {
        self.progress.on(&event);
    }

    /// Tells the watchers that rows passed.
    pub fn rows(&self, rows: u64) {
        self.emit(Event::Rows { stage: self.stage.clone(), rows });
    }

    /// Tells the watchers a line for people.
    pub fn note(&self, message: impl Into<String>) {
        self.emit(Event::Note { stage: self.stage.clone(), message: message.into() });
    }

    /// Whether other processes may be at work on parts of the same stage.
    pub fn shared(&self) -> bool {
        self.shared
    }

    /// The stage's folder in object storage, where the run lies in one: for what must hold among
    /// its processes.
    pub fn store(&self) -> Option<&Store> {
        self.store.as_ref()
    }

    /// What [`crate::Run::lend`] gave, if it is a `T`.
    pub fn lent<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.lent.clone()?.downcast().ok()
    }

    /// A file under [`Self::scratch`] for what a part has so far, so that a run that was killed
    /// need not do it again. It is removed when the part is committed.
    pub fn part_file(&self, part: usize) -> PathBuf {
        self.scratch.join(format!("part-{part:05}.spool"))
    }

    /// Removes the files of [`Self::part_file`] that a process left which was killed right after a
    /// commit.
    pub(crate) fn remove_part_files(&self) {
        let entries = std::fs::read_dir(&self.scratch).into_iter().flatten().filter_map(Result::ok);
        for path in entries.map(|entry| entry.path()) {
            if path.extension().is_some_and(|extension| extension == "spool") {
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
