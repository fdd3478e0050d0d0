//! Stopping at once, in the middle of a step or of an evaluation: what is not complete leaves
//! nothing behind.

use std::path::Path;

use clip_format::{Classify, ErrorClass};
use clip_model::Clip;
use clip_torch::tch::{Device, Kind, Tensor};
use clip_torch::{Precision, Store};

use super::ranks::{finished, start};
use super::{Seen, alone, corpus, recipe, tiny, train_options, trainer};
use crate::{
    Batch, Checkpoint, Due, Error, Hooks, Logs, Objective, Outcome, Phase, ProcessGroup, Progress,
    Recipe, Result, StepMetrics, Trainer, latest,
};

/// Asks to stop after a chunk, or in an evaluation; then answers yes for ever.
#[derive(Default)]
struct Interrupting {
    seen: Seen,
    chunk: Option<(u64, Phase, usize)>,
    evaluation: bool,
    asked: bool,
    /// Chunks that were worked on after that.
    after: usize,
    evaluated: Vec<usize>,
}

impl Interrupting {
    fn at(step: u64, phase: Phase, chunk: usize) -> Self {
        Self { chunk: Some((step, phase, chunk)), ..Self::default() }
    }
}

impl Hooks for Interrupting {
    fn interrupted(&mut self) -> bool {
        self.asked
    }

    fn on_progress(&mut self, progress: &Progress) {
        self.after += usize::from(self.asked && progress.done > 0);
        self.asked |= self.chunk == Some((progress.step, progress.phase, progress.done));
    }

    fn on_step(&mut self, step: &StepMetrics, total: u64) {
        self.seen.on_step(step, total);
    }

    fn evaluate(
        &mut self,
        _: &Clip,
        _: Precision,
        world: &ProcessGroup,
        _: Due,
    ) -> Result<Vec<(String, f64)>> {
        self.asked |= self.evaluation;
        if world.any(self.asked)? {
            return Err(Error::Interrupted);
        }
        self.evaluated.push(self.seen.steps.len());
        Ok(vec![("score".into(), 0.5)])
    }
}

fn weights(trainer: &Trainer) -> Vec<Tensor> {
    trainer.model.state_dict().iter().map(|(_, tensor)| tensor.copy()).collect()
}

fn equal(a: &[Tensor], b: &[Tensor]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.equal(b))
}

#[test]
fn a_step_that_is_interrupted_leaves_nothing() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 43);
    let moments = [
        (Objective::Contrastive, Phase::Embedding, 1),
        (Objective::Contrastive, Phase::Embedding, 4),
        (Objective::Contrastive, Phase::Training, 1),
        (Objective::Contrastive, Phase::Training, 3),
        (Objective::Caption, Phase::Training, 2),
    ];
    for (objective, phase, chunk) in moments {
        // A ResNet: its batch normalisation has statistics that every chunk moves.
        let recipe = Recipe { objective, ..recipe(8) };
        let start = || trainer(&tiny(true), &recipe, &corpus, train_options(2));
        let mut whole = start();
        whole.run(None, &mut Seen::default()).unwrap();

        let folder = tempfile::tempdir().unwrap();
        let mut first = start();
        let mut before = start();
        before.run(None, &mut Seen { stop_after: Some(5), ..Seen::default() }).unwrap();
        let mut logs = Logs::open(folder.path(), 0, false).unwrap();
        let mut hooks = Interrupting::at(5, phase, chunk);
        assert_eq!(first.run(Some(&mut logs), &mut hooks).unwrap(), Outcome::Stopped);
        let what = format!("{objective:?}, {phase:?}, chunk {chunk}");
        assert_eq!((first.steps_done(), hooks.seen.steps.len(), hooks.after), (5, 5, 0), "{what}");
        assert!(equal(&weights(&first), &weights(&before)), "{what}");
        drop(logs);

        let checkpoint = latest(&folder.path().join("checkpoints")).unwrap();
        assert!(checkpoint.ends_with("step_00000005"), "{what}");
        let mut second = start();
        second.resume(&checkpoint).unwrap();
        let mut rest = Seen::default();
        assert_eq!(second.run(None, &mut rest).unwrap(), Outcome::Finished);
        assert!(equal(&weights(&second), &weights(&whole)), "{what}");
    }
}

#[test]
fn the_first_step_interrupted_writes_no_checkpoint() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 43);
    let folder = tempfile::tempdir().unwrap();
    let mut logs = Logs::open(folder.path(), 0, false).unwrap();
    let mut trainer = trainer(&tiny(false), &recipe(8), &corpus, train_options(2));
    let mut hooks = Interrupting::at(0, Phase::Training, 2);
    assert_eq!(trainer.run(Some(&mut logs), &mut hooks).unwrap(), Outcome::Stopped);
    assert_eq!((trainer.steps_done(), latest(&logs.checkpoints())), (0, None));
}

#[test]
fn an_evaluation_that_is_interrupted_is_made_when_the_run_is_resumed() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 40);
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let recipe = Recipe { epochs: 2, ..recipe(8) };
        let options = crate::TrainOptions { save_epochs: 1, ..train_options(8) };
        trainer(&tiny(false), &recipe, &corpus, options)
    };
    let checkpoints = folder.path().join("checkpoints");
    // What each start does: whether it is stopped in its first evaluation, steps at its end,
    // evaluations made.
    for (stops, steps, evaluations) in [(true, 5, 0), (true, 5, 0), (false, 10, 2), (false, 10, 0)]
    {
        let mut run = start();
        if let Some(checkpoint) = latest(&checkpoints) {
            run.resume(&checkpoint).unwrap();
        }
        let mut logs = Logs::open(folder.path(), run.steps_done(), false).unwrap();
        let mut hooks = Interrupting { evaluation: stops, ..Interrupting::default() };
        let outcome = run.run(Some(&mut logs), &mut hooks).unwrap();
        assert_eq!(outcome, if stops { Outcome::Stopped } else { Outcome::Finished });
        assert_eq!((run.steps_done(), hooks.evaluated.len()), (steps, evaluations));
        let state = Checkpoint::read(&latest(&checkpoints).unwrap()).unwrap();
        assert_eq!((state.step, state.epoch_open), (steps, stops));
        assert_eq!(checkpoints.join("epoch_1.pt").exists(), !stops);
    }
    let results = std::fs::read_to_string(checkpoints.join("results.jsonl")).unwrap();
    let epochs: Vec<u64> = results
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["epoch"].as_u64().unwrap()
        })
        .collect();
    assert_eq!(epochs, [1, 2]);
}

#[test]
fn one_of_two_processes_is_asked_and_both_stop_at_the_same_step() {
    let _alone = alone();
    for job in ["interrupt embedding", "interrupt training"] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::serve(std::time::Duration::from_secs(60)).unwrap();
        finished(start(2, store.port(), folder.path(), job), folder.path(), 2);
        for rank in 0..2 {
            let text = std::fs::read_to_string(folder.path().join(format!("stopped-{rank}")));
            assert_eq!(text.unwrap(), "Stopped 3", "{job}, rank {rank}");
        }
    }
}

/// In one of those processes.
pub fn child(world: ProcessGroup, folder: &Path, data: &Path, job: &str) {
    let rank = world.rank();
    let corpus = corpus(data, 48);
    let model = crate::fresh(&tiny(false), Objective::Contrastive, clip_torch::tch::Device::Cpu);
    let mut trainer = Trainer::new(model, recipe(16), corpus, train_options(2), world).unwrap();
    let phase = if job.ends_with("embedding") { Phase::Embedding } else { Phase::Training };
    let mut hooks = if rank == 1 { Interrupting::at(3, phase, 2) } else { Interrupting::default() };
    let outcome = trainer.run(None, &mut hooks).unwrap();
    let text = format!("{outcome:?} {}", trainer.steps_done());
    std::fs::write(folder.join(format!("stopped-{rank}")), text).unwrap();
}

#[test]
fn a_step_that_libtorch_fails_is_an_error_of_the_machine() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), 48);
    for checkpointing in [false, true] {
        let mut trainer = super::trainer(&tiny(false), &recipe(16), &corpus, train_options(16));
        trainer.model.set_grad_checkpointing(checkpointing);
        // Images of more patches than the model has positions.
        let images = Tensor::zeros([16, 24, 24, 3], (Kind::Uint8, Device::Cpu));
        let tokens = Tensor::ones([16, 4], (Kind::Int64, Device::Cpu));
        let batch = Batch { step: 0, images, tokens, len: 16 };
        let error = trainer.train(&batch, &mut ()).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.class(), Some(ErrorClass::Environment), "{text}");
        assert!(text.starts_with("libtorch: ") && !text.contains("frame #"), "{text}");
        assert_eq!(trainer.steps_done(), 0);
    }
    let gone = crate::Error::Peer("rank 1 died".into());
    assert_eq!(gone.class(), Some(ErrorClass::Incomplete));
}
