//! Running a plan: stage by stage, part by part, resumable at any moment.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use clip_corpus::{Counts, Manifest};

use crate::decision::Decisions;
use crate::format::Format;
use crate::plan::{begun, committed_parts};
use crate::{
    Context, Error, Event, PartInfo, Plan, Progress, QueryEngine, Result, RunSummary, StageFile,
    StageSummary, Work,
};

mod engine;
mod inputs;
mod invalidate;
mod lean;
mod work;

pub use engine::{Engine, LocalEngine};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was asked for is there.
    Done,
    /// Parts are missing: they failed, or belong to other array jobs. Running again continues.
    Incomplete,
    /// It was asked to stop.
    Interrupted,
    /// A stage left no row: those after it have nothing to do, and were not run.
    Empty,
}

/// Which stages and parts a run is about.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// First stage to do again, even where it is there.
    pub from: Option<String>,
    /// Last stage to run.
    pub until: Option<String>,
    /// Of N array jobs, the number of this one, from 0: it takes every N-th part.
    pub job: Option<(usize, usize)>,
}

/// A plan at work.
pub struct Run {
    /// The plan.
    pub plan: Plan,
    cancel: Arc<AtomicBool>,
    progress: Arc<dyn Progress>,
    manifests: Vec<Mutex<Manifest>>,
    decisions: Mutex<Option<(usize, Arc<Decisions>)>>,
    /// The inputs of the sink that is at work: each of its files asks for all of them.
    sink_inputs: Mutex<Option<Arc<Vec<PartInfo>>>>,
    shared: bool,
    queries: Option<Arc<dyn QueryEngine>>,
    /// Whether the sink removes images that are in its files; see [`Run::lean`].
    lean: bool,
    /// How many missing files of the sink are made of each part.
    readers: Mutex<HashMap<usize, usize>>,
    /// Stages of which nothing is there that was made of rows that changed.
    settled: Mutex<HashSet<usize>>,
    _lock: File,
}

impl Run {
    /// Opens the run's folder and locks it: shared among array jobs and workers, else for one
    /// process.
    pub fn open(
        plan: Plan,
        shared: bool,
        cancel: Arc<AtomicBool>,
        progress: Arc<dyn Progress>,
    ) -> Result<Self> {
        let dir = plan.layout.dir();
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let path = plan.layout.lock();
        let lock = clip_corpus::lock_file(&path, shared).map_err(|e| Error::io(&path, e))?;
        let lock = lock.ok_or_else(|| Error::Locked { path: dir.to_path_buf() })?;
        let open = |stage: &crate::PlannedStage| Manifest::open(stage.layout.dir());
        let manifests = plan.stages.iter().map(|stage| Ok(Mutex::new(open(stage)?)));
        Ok(Self {
            manifests: manifests.collect::<Result<_>>()?,
            plan,
            cancel,
            progress,
            decisions: Mutex::new(None),
            sink_inputs: Mutex::new(None),
            shared,
            queries: None,
            lean: false,
            readers: Mutex::default(),
            settled: Mutex::default(),
            _lock: lock,
        })
    }

    /// Has barriers run their queries there, in place of this process.
    #[must_use]
    pub fn with_queries(self, queries: Arc<dyn QueryEngine>) -> Self {
        Self { queries: Some(queries), ..self }
    }

    /// Runs what is missing of the selected stages, with `engine` doing the parts.
    pub fn execute(&self, selection: &Selection, engine: &dyn Engine) -> Result<Outcome> {
        if let Some(from) = &selection.from {
            self.invalidate(self.plan.find(from)?)?;
        }
        let last = match &selection.until {
            Some(until) => self.plan.find(until)?,
            None => self.plan.stages.len() - 1,
        };
        // Whoever looks at a build that runs, or that was killed, finds its stages by it.
        self.write_own_summary()?;
        for stage in 0..=last {
            let outcome = self.stage(stage, selection.job, engine)?;
            self.write_own_summary()?;
            if outcome != Outcome::Done {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Done)
    }

    fn stage(
        &self,
        stage: usize,
        job: Option<(usize, usize)>,
        engine: &dyn Engine,
    ) -> Result<Outcome> {
        let planned = &self.plan.stages[stage];
        let name = planned.name().to_owned();
        let parts = self.parts(stage)?;
        let done = self.committed_parts(stage);
        let missing = (0..parts).filter(|part| done.binary_search(part).is_err());
        let mine: Vec<usize> =
            missing.filter(|part| job.is_none_or(|(job, jobs)| part % jobs == job)).collect();
        if let (true, Work::Sink(sink)) = (self.lean, &*planned.work()?) {
            self.begin_release(stage, &**sink, &mine)?;
        }
        let (rows, done) = (self.rows_of(stage, &mine)?, done.len());
        self.emit(&Event::StageStarted { stage: name.clone(), parts, done, rows });
        if !mine.is_empty() {
            self.check_gone(stage, &mine)?;
            // Array jobs share the folder with others at work.
            if job.is_none() {
                clip_format::remove_temporary_files(planned.layout.dir())?;
            }
            engine.run_parts(self, stage, &mine)?;
        }
        if self.cancelled() {
            return Ok(Outcome::Interrupted);
        }
        self.reload(stage)?;
        if self.committed_parts(stage).len() < parts {
            return Ok(Outcome::Incomplete);
        }
        planned.release();
        self.context(stage).remove_part_files();
        let counts = self.manifest(stage).counts();
        if let Some(message) = all_dropped(&counts) {
            self.emit(&Event::Note { stage: name.clone(), message });
        }
        let outcome = if counts.rows_out == 0 { Outcome::Empty } else { Outcome::Done };
        self.emit(&Event::StageDone { stage: name, counts });
        Ok(outcome)
    }

    /// Rows that these parts of a stage have of the stage before it; nothing where a stage's parts
    /// are not those of the one before it.
    fn rows_of(&self, stage: usize, parts: &[usize]) -> Result<Option<u64>> {
        if stage == 0
            || parts.is_empty()
            || matches!(&*self.plan.stages[stage].work()?, Work::Sink(_))
        {
            return Ok(None);
        }
        let before = self.manifest(stage - 1);
        let commits = before.commits().filter(|commit| parts.binary_search(&commit.part).is_ok());
        Ok(Some(commits.map(|commit| commit.counts.rows_out).sum()))
    }

    fn committed_parts(&self, stage: usize) -> Vec<usize> {
        let layout = &self.plan.stages[stage].layout;
        committed_parts(&self.manifest(stage), layout, self.plan.store.as_ref())
    }

    /// Number of parts of a stage; written down before its first part runs.
    fn parts(&self, stage: usize) -> Result<usize> {
        let planned = &self.plan.stages[stage];
        if let Some(store) = &self.plan.store {
            store.get_if_exists(&planned.layout, crate::layout::StageLayout::FILE)?;
        }
        if let Some(file) = begun(&planned.layout)? {
            return Ok(file.parts);
        }
        let parts = match (stage, &*planned.work()?) {
            (0, Work::Source(source)) => source.parts()?,
            (0, _) | (_, Work::Source(_)) => {
                return Err(Error::stage(
                    planned.name(),
                    "a source is the first stage, and only it",
                ));
            }
            (_, Work::Sink(sink)) => sink.units(&self.inputs(stage)?),
            _ => self.parts(stage - 1)?,
        };
        let file = StageFile { fingerprint: planned.fingerprint.clone(), parts };
        file.write(&planned.layout.file())?;
        if let Some(store) = &self.plan.store {
            store.put_if_absent(&planned.layout, crate::layout::StageLayout::FILE)?;
        }
        Ok(parts)
    }

    fn context(&self, stage: usize) -> Context {
        let planned = &self.plan.stages[stage];
        Context {
            stage: planned.name().to_owned(),
            seed: self.plan.seed,
            scratch: planned.layout.scratch(),
            cancel: self.cancel.clone(),
            progress: self.progress.clone(),
            shared: self.shared,
            store: self.plan.store.as_ref().map(|store| store.stage(&planned.layout)),
            queries: self.queries.clone(),
        }
    }

    fn manifest(&self, stage: usize) -> MutexGuard<'_, Manifest> {
        self.manifests[stage].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a stage's manifest again: other processes may have committed parts.
    pub fn reload(&self, stage: usize) -> Result<()> {
        let layout = &self.plan.stages[stage].layout;
        self.plan.store.as_ref().map_or(Ok(()), |store| store.sync_manifest(layout))?;
        *self.manifest(stage) = Manifest::open(layout.dir())?;
        *self.sink_inputs.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    /// What happened in each stage so far: the funnel.
    pub fn funnel(&self) -> Vec<(&str, Counts)> {
        let stages = self.plan.stages.iter().enumerate();
        stages.map(|(at, stage)| (stage.name(), self.manifest(at).counts())).collect()
    }

    /// Writes the run's summary, for those who read its folder, and uploads it where the run is in
    /// a store.
    ///
    /// # Errors
    /// When storage fails.
    pub fn write_summary(&self) -> Result<()> {
        let layout = &self.plan.layout;
        self.summary().write(&layout.summary())?;
        let name = crate::layout::RunLayout::SUMMARY;
        self.plan.store.as_ref().map_or(Ok(()), |store| store.publish(layout, name))
    }

    /// Writes the summary in the folder here, unless one of a build with other stages is there:
    /// readers have its shards until this build ends. Array jobs have the same stages.
    fn write_own_summary(&self) -> Result<()> {
        let (path, own) = (self.plan.layout.summary(), self.summary());
        let dirs = |summary: &RunSummary| -> Vec<String> {
            summary.stages.iter().map(|stage| stage.dir.clone()).collect()
        };
        let there = |dir: &String| self.plan.layout.dir().join(dir).is_dir();
        match RunSummary::read(&path)? {
            Some(other) if dirs(&other) != dirs(&own) && dirs(&other).iter().all(there) => Ok(()),
            _ => own.write(&path),
        }
    }

    fn summary(&self) -> RunSummary {
        let stages = self.plan.stages.iter().zip(self.funnel());
        let stages = stages.map(|(stage, (name, counts))| StageSummary {
            stage: name.to_owned(),
            dir: stage.layout.name(),
            fingerprint: stage.hash.clone(),
            counts,
        });
        let (seed, finished) = (self.plan.seed, self.finished());
        RunSummary { seed, finished, stages: stages.collect() }
    }

    /// Whether every stage is whole, or one left no row for those after it.
    fn finished(&self) -> bool {
        for (at, planned) in self.plan.stages.iter().enumerate() {
            let parts = begun(&planned.layout).ok().flatten().map(|file| file.parts);
            if parts.is_none_or(|parts| self.manifest(at).commits().count() < parts) {
                return false;
            }
            if self.manifest(at).counts().rows_out == 0 {
                return true;
            }
        }
        true
    }

    /// Whether the run was asked to stop.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Gives an event to the watchers.
    pub fn emit(&self, event: &Event) {
        self.progress.on(event);
    }
}

/// A warning about a stage that left no row, with its commonest reason.
fn all_dropped(counts: &Counts) -> Option<String> {
    if counts.rows_in == 0 || counts.rows_out > 0 {
        return None;
    }
    let most = counts.dropped.iter().max_by_key(|(reason, count)| (**count, Reverse(*reason)));
    let why = most.map(|(reason, count)| format!(", {count} of them for `{reason}`"));
    let hint = match most {
        Some((reason, _)) if reason.ends_with("blocked_address") => {
            "hosts of private networks and loopback are not asked: `allow_private = true` under [fetch] allows them"
        }
        _ => "`clip-data explain` prints what each stage did to one of them",
    };
    Some(format!(
        "warning: all {} rows were dropped{}\nhint: {hint}",
        counts.rows_in,
        why.unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests;
