//! Doing one part of a stage, and deciding for a barrier.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use arrow::compute::concat_batches;
use clip_corpus::Commit;

use super::Run;
use crate::decision::{self, DecisionIndex, Decisions};
use crate::format::Format;
use crate::layout::shard_name;
use crate::part::commit_line;
use crate::{Barrier, Context, DecisionSink, Error, Event, PartSink, Result, Work, Written};

impl Run {
    /// Does one part and commits it. Safe to repeat, in any process that opened the same plan.
    pub fn run_part(&self, stage: usize, part: usize) -> Result<Commit> {
        let planned = &self.plan.stages[stage];
        let layout = &planned.layout;
        let cx = self.context(stage);
        let commit = match &*planned.work()? {
            Work::Sink(sink) => {
                let (started, inputs) = (Instant::now(), self.sink_inputs(stage)?);
                for input in &inputs[sink.reads(part, &inputs)] {
                    self.ensure_local(self.before(stage)?, input.part, true)?;
                }
                let Written { counts, files } = sink.write(part, &inputs, &layout.shards(), &cx)?;
                let names: Vec<String> = files.iter().map(|file| shard_name(file)).collect();
                commit_line(part, layout.dir(), &names, counts, started)?
            }
            work => self.rows(stage, part, work, &cx)?,
        };
        self.check_same(stage, &commit)?;
        let commit = match &self.plan.store {
            Some(store) => store.push(layout, commit)?,
            None => commit,
        };
        self.manifest(stage).commit(commit.clone())?;
        if let (true, Work::Sink(sink)) = (self.lean, &*planned.work()?) {
            let inputs = self.sink_inputs(stage)?;
            self.release_inputs(stage, &inputs[sink.reads(part, &inputs)])?;
        }
        // What the part had so far is in its files now.
        let _ = std::fs::remove_file(cx.part_file(part));
        let counts = commit.counts.clone();
        self.emit(&Event::PartDone { stage: planned.name().to_owned(), part, counts });
        Ok(commit)
    }

    fn rows(&self, stage: usize, part: usize, work: &Work, cx: &Context) -> Result<Commit> {
        let planned = &self.plan.stages[stage];
        let store_images = matches!(work, Work::Source(_) | Work::Fetch(_));
        let out = PartSink::new(planned.name(), part, planned.layout.dir(), store_images);
        let mut out = out.within(cx);
        if let Work::Source(source) = work {
            source.read(part, &mut out, cx)?;
            return if cx.cancelled() { Err(cancelled(cx)) } else { out.commit(None) };
        }
        let Some(input) = self.input(stage, part)? else { return out.commit(Some(0)) };
        let with_images = matches!(work, Work::Map(map) if map.needs_images());
        self.ensure_local(self.before(stage)?, part, with_images)?;
        if with_images {
            self.needs_images(stage, &input)?;
        }
        match work {
            Work::Map(map) => {
                for batch in input.read(with_images)? {
                    map.apply(batch, &mut out)?;
                }
            }
            Work::Fetch(fetch) => {
                let schema = clip_corpus::schema_of(&input.path)?;
                let read = || {
                    let all = concat_batches(&schema, &input.read(false)?);
                    all.map_err(|e| Error::arrow(planned.name(), e))
                };
                fetch.fetch(&read, &mut out, cx)?;
            }
            Work::Barrier(barrier) => {
                let decisions = self.decisions(stage, &**barrier, cx, &|| Ok(()))?;
                decisions.apply(part, &input.read(false)?, &mut out)?;
            }
            Work::Source(_) | Work::Sink(_) => {}
        }
        if cx.cancelled() { Err(cancelled(cx)) } else { out.commit(Some(input.rows)) }
    }

    /// Makes a barrier's decisions, where they are not stored yet; nothing to do for other stages.
    ///
    /// # Errors
    /// Also that of `check`, which is asked before they count: an engine knows there whether it can
    /// vouch for them.
    pub fn decide(&self, stage: usize, check: &dyn Fn() -> Result<()>) -> Result<()> {
        let work = self.plan.stages[stage].work()?;
        if let Work::Barrier(barrier) = &*work {
            self.decisions(stage, &**barrier, &self.context(stage), check)?;
        }
        Ok(())
    }

    /// A barrier's decisions, made once and then read by every part and process.
    fn decisions(
        &self,
        stage: usize,
        barrier: &dyn Barrier,
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
        let open = || Decisions::open(planned.name(), &planned.layout, self.plan.store.as_ref());
        let made = match open()? {
            Some(made) => made,
            None => {
                self.make_decisions(stage, barrier, cx, check)?;
                let lost = || Error::stage(planned.name(), "its decisions are gone");
                open()?.ok_or_else(lost)?
            }
        };
        let made = Arc::new(made);
        *slot = Some((stage, made.clone()));
        Ok(made)
    }

    fn make_decisions(
        &self,
        stage: usize,
        barrier: &dyn Barrier,
        cx: &Context,
        check: &dyn Fn() -> Result<()>,
    ) -> Result<()> {
        let layout = &self.plan.stages[stage].layout;
        let mut inputs = self.inputs(stage)?;
        for input in &mut inputs {
            self.ensure_local(self.before(stage)?, input.part, barrier.needs_images())?;
            if barrier.needs_images() {
                self.needs_images(stage, input)?;
            }
            if let Some(of) = barrier.needs_embeddings() {
                input.embeddings = self.embeddings(of, input.part)?;
            }
        }
        let mut out = DecisionSink::new(cx.stage(), layout);
        barrier.decide(&inputs, cx, &mut out)?;
        check()?;
        out.finish(inputs.iter().map(|input| input.rows).sum())?;
        let Some(store) = &self.plan.store else { return Ok(()) };
        let index = DecisionIndex::read(&layout.decision_index())?;
        index.map_or(Ok(()), |index| decision::upload(layout, store, &index))
    }
}

fn cancelled(cx: &Context) -> Error {
    Error::stage(cx.stage(), "interrupted")
}
