//! The same numbers by another way: chunks, checkpointing, 16-bit memory.

use super::{Seen, alone, corpus, recipe, tiny, train_options, trainer};
use crate::{AdamStats, Objective, Recipe, TextWeights, TrainPrecision};

fn curve(resnet: bool, recipe: &Recipe, chunk: usize, checkpointing: bool) -> (Vec<f64>, Vec<f64>) {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), 48);
    let mut trainer = trainer(&tiny(resnet), recipe, &corpus, train_options(chunk));
    trainer.model.set_grad_checkpointing(checkpointing);
    let mut seen = Seen::default();
    trainer.run(None, &mut seen).unwrap();
    let of = |f: fn(&crate::StepMetrics) -> f64| seen.steps.iter().map(f).collect();
    (of(|s| s.loss), of(|s| s.grad_norm))
}

fn close(a: &(Vec<f64>, Vec<f64>), b: &(Vec<f64>, Vec<f64>), bound: f64) {
    assert_eq!(a.0.len(), b.0.len());
    for (x, y) in a.0.iter().zip(&b.0).chain(a.1.iter().zip(&b.1)) {
        assert!((x - y).abs() <= bound * (1.0 + y.abs()), "{x} {y}\n{a:?}\n{b:?}");
    }
}

#[test]
fn chunks_are_one_big_batch() {
    let _alone = alone();
    let base = curve(false, &recipe(16), 16, false);
    assert!(base.0.last() < base.0.first(), "{base:?}");
    for chunk in [1, 5, 8] {
        close(&curve(false, &recipe(16), chunk, false), &base, 1e-5);
    }
    // Dropped patches are those of the sample, in both passes and chunks of any size.
    let dropping = Recipe { patch_dropout: 0.5, ..recipe(16) };
    let dropped = curve(false, &dropping, 16, false);
    assert!((dropped.0[0] - base.0[0]).abs() > 1e-6);
    for chunk in [1, 4, 5] {
        close(&curve(false, &dropping, chunk, chunk == 4), &dropped, 1e-5);
    }
}

#[test]
fn checkpointing_changes_nothing() {
    let _alone = alone();
    for resnet in [false, true] {
        let base = curve(resnet, &recipe(16), 16, false);
        close(&curve(resnet, &recipe(16), 16, true), &base, 1e-6);
    }
    let bf16 = Recipe { precision: TrainPrecision::AmpBf16, ..recipe(16) };
    close(&curve(false, &bf16, 16, true), &curve(false, &bf16, 16, false), 1e-6);
}

#[test]
fn running_statistics_move_once_a_step() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), 48);
    for (chunk, checkpointing) in [(16, false), (16, true), (4, true)] {
        let mut trainer = trainer(&tiny(true), &recipe(16), &corpus, train_options(chunk));
        trainer.model.set_grad_checkpointing(checkpointing);
        trainer.run(None, &mut Seen::default()).unwrap();
        let steps = trainer.steps_done() as i64;
        for (name, tensor) in trainer.model.state_dict() {
            if name.ends_with("num_batches_tracked") {
                // A chunk is a batch to its statistics.
                let passes = steps * (16 / chunk as i64);
                assert_eq!(tensor.int64_value(&[]), passes, "{name}, chunks of {chunk}");
            }
        }
    }
}

#[test]
fn sixteen_bits_learn_alike() {
    let _alone = alone();
    let base = curve(false, &recipe(16), 16, false);
    let small = Recipe {
        precision: TrainPrecision::Amp,
        adam_stats: AdamStats::Fp16,
        text_weights: TextWeights::Fp16Sr,
        ..recipe(16)
    };
    let half = curve(false, &small, 8, true);
    // The first steps overflow until the loss scale is found, and change nothing.
    let last = base.0.len() - 1;
    assert!((half.0[0] - base.0[0]).abs() < 0.01, "{half:?}\n{base:?}");
    assert!((half.0[last] - base.0[last]).abs() < 0.15, "{half:?}\n{base:?}");
    assert!(half.1[last].is_finite());
}

#[test]
fn moments_and_text_weights_take_half_the_memory() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), 48);
    let memory =
        |recipe: &Recipe| trainer(&tiny(false), recipe, &corpus, train_options(16)).memory();
    let small = Recipe {
        precision: TrainPrecision::Amp,
        adam_stats: AdamStats::Fp16,
        text_weights: TextWeights::Fp16Sr,
        ..recipe(16)
    };
    let ((moments, weights), (fewer, smaller)) = (memory(&recipe(16)), memory(&small));
    assert!((fewer as f64) < 0.51 * moments as f64, "{fewer} of {moments}");
    assert!((smaller as f64) < 0.55 * weights as f64, "{smaller} of {weights}");
}

#[test]
fn every_objective_learns() {
    let _alone = alone();
    for objective in [Objective::Sigmoid, Objective::Caption, Objective::BagOfWords] {
        let recipe = Recipe { objective, lr: 3e-3, epochs: 8, ..recipe(16) };
        let whole = curve(false, &recipe, 16, false);
        let last = whole.0.len() - 1;
        assert!(whole.0[last] < 0.97 * whole.0[0], "{objective:?}: {whole:?}");
        close(&curve(false, &recipe, 4, true), &whole, 1e-4);
    }
}
