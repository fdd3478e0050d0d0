//! Running a plan: stage by stage, part by part, resumable at any moment.

use std::any::Any;
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arrow::compute::concat_batches;
use clip_corpus::{Commit, Manifest, Tally};

use crate::decision::Decisions;
use crate::part::{commit_line, images_name, part_name};
use crate::plan::{StageFile, there};
use crate::{Context, Error, Event, PartInfo, PartSink, Plan, Progress, Result, Work};

mod engine;

/// What a barrier decided, in its stage's folder.
pub(crate) const DECISIONS: &str = "decisions.parquet";

pub use engine::{Engine, LocalEngine};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that was asked for is there.
    Done,
    /// Parts are missing: they failed, or belong to other array jobs. Running again continues.
    Incomplete,
    /// Someone asked it to stop.
    Interrupted,
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
    sunk: Mutex<Option<Arc<Vec<PartInfo>>>>,
    shared: bool,
    lent: Option<Arc<dyn Any + Send + Sync>>,
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
        std::fs::create_dir_all(&plan.dir).map_err(|e| Error::io(&plan.dir, e))?;
        let path = plan.dir.join(".lock");
        let lock = clip_corpus::lock_file(&path, shared).map_err(|e| Error::io(&path, e))?;
        let lock = lock.ok_or_else(|| Error::Locked { path: plan.dir.clone() })?;
        let manifests = plan.stages.iter().map(|stage| Ok(Mutex::new(Manifest::open(&stage.dir)?)));
        let manifests = manifests.collect::<Result<_>>()?;
        let (decisions, sunk) = (Mutex::new(None), Mutex::new(None));
        let lent = None;
        Ok(Self { plan, cancel, progress, manifests, decisions, sunk, shared, lent, _lock: lock })
    }

    /// Gives the stages something of the engine's that this crate does not know: see
    /// [`Context::lent`].
    #[must_use]
    pub fn lend(self, tool: Arc<dyn Any + Send + Sync>) -> Self {
        Self { lent: Some(tool), ..self }
    }

    /// Runs what is missing of the selected stages, with `engine` doing the parts.
    pub fn execute(&self, selection: &Selection, engine: &dyn Engine) -> Result<Outcome> {
        if let Some(from) = &selection.from {
            self.forget(self.plan.find(from)?)?;
        }
        let last = match &selection.until {
            Some(until) => self.plan.find(until)?,
            None => self.plan.stages.len() - 1,
        };
        for stage in 0..=last {
            let outcome = self.stage(stage, selection.job, engine)?;
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
        let done = self.there(stage);
        let started = Event::StageStarted { stage: name.clone(), parts, done: done.len() };
        self.progress.on(&started);
        let missing = (0..parts).filter(|part| done.binary_search(part).is_err());
        let mine: Vec<usize> =
            missing.filter(|part| job.is_none_or(|(job, jobs)| part % jobs == job)).collect();
        if !mine.is_empty() {
            // Array jobs share the folder with others at work.
            if job.is_none() {
                clip_format::remove_temporary_files(&planned.dir)?;
            }
            engine.run_parts(self, stage, &mine)?;
        }
        if self.cancelled() {
            return Ok(Outcome::Interrupted);
        }
        self.reload(stage)?;
        if self.there(stage).len() < parts {
            return Ok(Outcome::Incomplete);
        }
        self.context(stage).remove_part_files();
        let tally = self.manifest(stage).tally();
        self.progress.on(&Event::StageDone { stage: name, tally });
        Ok(Outcome::Done)
    }

    fn there(&self, stage: usize) -> Vec<usize> {
        there(&self.manifest(stage), &self.plan.stages[stage].dir, self.plan.store.as_ref())
    }

    /// Number of parts of a stage; written down before its first part runs.
    fn parts(&self, stage: usize) -> Result<usize> {
        let planned = &self.plan.stages[stage];
        if let Some(store) = &self.plan.store {
            store.find(&planned.dir, StageFile::NAME)?;
        }
        if let Some(file) = StageFile::read(&planned.dir) {
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
        StageFile { print: planned.print.clone(), parts }.write(&planned.dir)?;
        if let Some(store) = &self.plan.store {
            store.settle(&planned.dir, StageFile::NAME)?;
        }
        Ok(parts)
    }

    /// The committed parts of the stage before, with rows.
    pub fn inputs(&self, stage: usize) -> Result<Vec<PartInfo>> {
        let before = self.before(stage)?;
        let parts: Vec<usize> = self.manifest(before).commits().map(|commit| commit.part).collect();
        Ok(parts.into_iter().filter_map(|part| self.stored(before, part)).collect())
    }

    /// The inputs of the sink, which is the last stage.
    fn sunk(&self, stage: usize) -> Result<Arc<Vec<PartInfo>>> {
        let mut slot = self.sunk.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(inputs) = &*slot {
            return Ok(inputs.clone());
        }
        let inputs = Arc::new(self.inputs(stage)?);
        *slot = Some(inputs.clone());
        Ok(inputs)
    }

    /// The same part of the stage before, if it has rows.
    fn input(&self, stage: usize, part: usize) -> Result<Option<PartInfo>> {
        Ok(self.stored(self.before(stage)?, part))
    }

    fn before(&self, stage: usize) -> Result<usize> {
        stage.checked_sub(1).ok_or_else(|| {
            Error::stage(self.plan.stages[stage].name(), "the first stage has no input")
        })
    }

    fn stored(&self, stage: usize, part: usize) -> Option<PartInfo> {
        let name = part_name(part);
        let rows = {
            let manifest = self.manifest(stage);
            let commit = manifest.get(part)?;
            commit.files.iter().find(|(file, _, _)| *file == name)?;
            commit.tally.rows_out
        };
        let path = self.plan.stages[stage].dir.join(name);
        Some(PartInfo { part, path, rows, images: self.images(stage, part) })
    }

    /// The images of a part, from the nearest stage that stored them.
    fn images(&self, stage: usize, part: usize) -> Option<PathBuf> {
        let name = images_name(part);
        let stage = (0..=stage).rev().find(|&stage| self.listed(stage, part, &name).is_some())?;
        Some(self.plan.stages[stage].dir.join(name))
    }

    /// A file that a part was committed with.
    fn listed(&self, stage: usize, part: usize, name: &str) -> Option<(String, String, u64)> {
        let manifest = self.manifest(stage);
        manifest.get(part)?.files.iter().find(|(file, _, _)| file == name).cloned()
    }

    /// Makes sure that this process's folder has a part of a stage or before it, in a store or not.
    fn bring(&self, stage: usize, part: usize, with_images: bool) -> Result<()> {
        let Some(store) = &self.plan.store else { return Ok(()) };
        let bring = |stage: usize, name: &str| {
            let file = self.listed(stage, part, name);
            file.map_or(Ok(()), |file| store.bring(&self.plan.stages[stage].dir, &file))
        };
        bring(stage, &part_name(part))?;
        if !with_images {
            return Ok(());
        }
        let name = images_name(part);
        let images = (0..=stage).rev().find(|&stage| self.listed(stage, part, &name).is_some());
        images.map_or(Ok(()), |stage| bring(stage, &name))
    }

    /// Gives the others a file of the run's folder, where the run lies in a store.
    pub fn publish(&self, name: &str) -> Result<()> {
        self.plan.store.as_ref().map_or(Ok(()), |store| store.publish(&self.plan.dir, name))
    }

    /// Brings every file of every committed part out of the store: rows, images, rejects and
    /// shards.
    pub fn bring_all(&self) -> Result<()> {
        let Some(store) = &self.plan.store else { return Ok(()) };
        for (at, stage) in self.plan.stages.iter().enumerate() {
            let files: Vec<_> =
                self.manifest(at).commits().flat_map(|commit| commit.files.clone()).collect();
            files.iter().try_for_each(|file| store.bring(&stage.dir, file))?;
            store.find(&stage.dir, DECISIONS)?;
        }
        Ok(())
    }

    /// Does one part and commits it. Safe to repeat, in any process that opened the same plan.
    pub fn run_part(&self, stage: usize, part: usize) -> Result<Commit> {
        let planned = &self.plan.stages[stage];
        let cx = self.context(stage);
        let commit = match &*planned.work()? {
            Work::Sink(sink) => {
                let started = Instant::now();
                let (dir, inputs) = (planned.dir.join("shards"), self.sunk(stage)?);
                for input in &inputs[sink.reads(part, &inputs)] {
                    self.bring(self.before(stage)?, input.part, true)?;
                }
                let (tally, names) = sink.write(part, &inputs, &dir, &cx)?;
                let names = names.into_iter().map(|name| format!("shards/{name}")).collect();
                commit_line(part, &planned.dir, names, tally, started)?
            }
            work => self.rows(stage, part, work, &cx)?,
        };
        let commit = match &self.plan.store {
            Some(store) => store.push(&planned.dir, commit)?,
            None => commit,
        };
        self.manifest(stage).commit(commit.clone())?;
        // What the part had so far is in its files now.
        let _ = std::fs::remove_file(cx.part_file(part));
        let tally = commit.tally.clone();
        self.progress.on(&Event::PartDone { stage: planned.name().to_owned(), part, tally });
        Ok(commit)
    }

    fn rows(&self, stage: usize, part: usize, work: &Work, cx: &Context) -> Result<Commit> {
        let planned = &self.plan.stages[stage];
        let store_images = matches!(work, Work::Source(_) | Work::Fetch(_));
        let mut out = PartSink::new(planned.name(), part, &planned.dir, store_images);
        if let Work::Source(source) = work {
            source.read(part, &mut out, cx)?;
            return if cx.cancelled() { Err(cancelled(cx)) } else { out.commit(None) };
        }
        let Some(input) = self.input(stage, part)? else { return out.commit(Some(0)) };
        let with_images = matches!(work, Work::Map(map) if map.needs_images());
        self.bring(self.before(stage)?, part, with_images)?;
        let batches = input.read(with_images)?;
        let schema = clip_corpus::schema_of(&input.path)?;
        match work {
            Work::Map(map) => {
                for batch in batches {
                    map.apply(batch, &mut out)?;
                }
            }
            Work::Fetch(fetch) => {
                let batch = concat_batches(&schema, &batches);
                let batch = batch.map_err(|e| Error::arrow(planned.name(), e))?;
                fetch.fetch(batch, &mut out, cx)?;
            }
            Work::Barrier(_) => {
                let decisions = self.decisions(stage, work, cx, &|| Ok(()))?;
                for batch in &batches {
                    decisions.apply(batch, &mut out)?;
                }
            }
            Work::Source(_) | Work::Sink(_) => {}
        }
        if cx.cancelled() { Err(cancelled(cx)) } else { out.commit(Some(input.rows)) }
    }

    /// Makes a barrier's decisions, where they are not stored yet; nothing to do for other stages.
    ///
    /// # Errors
    /// Also that of `check`, which is asked before they are stored: an engine knows there whether
    /// it can vouch for them.
    pub fn decide(&self, stage: usize, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let work = self.plan.stages[stage].work()?;
        if matches!(*work, Work::Barrier(_)) {
            self.decisions(stage, &work, &self.context(stage), check)?;
        }
        Ok(())
    }

    /// A barrier's decisions, made once and then read by every part and process.
    fn decisions(
        &self,
        stage: usize,
        work: &Work,
        cx: &Context,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<Arc<Decisions>> {
        let mut slot = self.decisions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, decisions)) = &*slot
            && *of == stage
        {
            return Ok(decisions.clone());
        }
        let planned = &self.plan.stages[stage];
        let path = planned.dir.join(DECISIONS);
        let store = self.plan.store.as_ref();
        let decided = store.map_or(Ok(path.exists()), |store| store.find(&planned.dir, DECISIONS));
        let inputs = self.inputs(stage)?;
        let rows = inputs.iter().map(|input| input.rows).sum();
        let made = if decided? {
            Decisions::read(planned.name(), &path, rows)?
        } else {
            let Work::Barrier(barrier) = work else {
                return Err(Error::stage(planned.name(), "only a barrier decides"));
            };
            for input in &inputs {
                self.bring(self.before(stage)?, input.part, barrier.needs_images())?;
            }
            let decisions = Decisions::new(planned.name(), &barrier.decide_parts(&inputs, cx)?)?;
            decisions.check_rows(rows).map_err(|reason| Error::stage(planned.name(), reason))?;
            check()?;
            decisions.write(&path)?;
            store.map_or(Ok(()), |store| store.give(&planned.dir, DECISIONS))?;
            decisions
        };
        let made = Arc::new(made);
        *slot = Some((stage, made.clone()));
        Ok(made)
    }

    fn context(&self, stage: usize) -> Context {
        let planned = &self.plan.stages[stage];
        Context {
            stage: planned.name().to_owned(),
            seed: self.plan.seed,
            scratch: planned.dir.join("scratch"),
            cancel: self.cancel.clone(),
            progress: self.progress.clone(),
            shared: self.shared,
            store: self.plan.store.as_ref().map(|store| store.stage(&planned.dir)),
            lent: self.lent.clone(),
        }
    }

    fn manifest(&self, stage: usize) -> MutexGuard<'_, Manifest> {
        self.manifests[stage].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a stage's manifest again: other processes may have committed parts.
    pub fn reload(&self, stage: usize) -> Result<()> {
        let dir = &self.plan.stages[stage].dir;
        self.plan.store.as_ref().map_or(Ok(()), |store| store.pull(dir))?;
        *self.manifest(stage) = Manifest::open(dir)?;
        *self.sunk.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(())
    }

    fn forget(&self, from: usize) -> Result<()> {
        for stage in from..self.plan.stages.len() {
            let dir = &self.plan.stages[stage].dir;
            self.plan.store.as_ref().map_or(Ok(()), |store| store.forget(dir))?;
            if dir.exists() {
                std::fs::remove_dir_all(dir).map_err(|e| Error::io(dir, e))?;
            }
            self.reload(stage)?;
        }
        Ok(())
    }

    /// What happened in each stage so far: the funnel.
    pub fn funnel(&self) -> Vec<(&'static str, Tally)> {
        let stages = self.plan.stages.iter().enumerate();
        stages.map(|(at, stage)| (stage.name(), self.manifest(at).tally())).collect()
    }

    /// Whether someone asked the run to stop.
    pub fn cancelled(&self) -> bool {
        self.cancel.load(Ordering::Relaxed)
    }

    /// Tells the watchers.
    pub fn tell(&self, event: &Event) {
        self.progress.on(event);
    }
}

fn cancelled(cx: &Context) -> Error {
    Error::stage(cx.stage(), "interrupted")
}
