//! Stopping anywhere and resuming changes nothing.

use super::{Seen, alone, corpus, corpus_of, recipe, tiny, train_options, trainer};
use crate::{
    AdamStats, Due, Logs, Objective, Opt, Outcome, Recipe, TextWeights, TrainOptions,
    TrainPrecision, checkpoints, latest,
};

fn bits(seen: &Seen) -> Vec<(u64, u64, u64, u64)> {
    let of = |s: &crate::StepMetrics| {
        (s.step, s.loss.to_bits(), s.grad_norm.to_bits(), s.logit_scale.to_bits())
    };
    seen.steps.iter().map(of).collect()
}

#[test]
fn a_run_in_pieces_is_the_run_in_one() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 43);
    let plain = Recipe { patch_dropout: 0.25, ema_decay: Some(0.9), ..recipe(8) };
    let small = Recipe {
        precision: TrainPrecision::Amp,
        adam_stats: AdamStats::Fp16,
        text_weights: TextWeights::Fp16Sr,
        ..recipe(8)
    };
    for recipe in [plain, small] {
        let start = || trainer(&tiny(false), &recipe, &corpus, train_options(4));
        let mut whole = Seen::default();
        let mut one = start();
        assert_eq!(one.run(None, &mut whole).unwrap(), Outcome::Finished);

        let folder = tempfile::tempdir().unwrap();
        let mut pieces = Vec::new();
        for stop_after in [Some(4), Some(9), None] {
            let mut trainer = start();
            if let Some(checkpoint) = latest(&folder.path().join("checkpoints")) {
                trainer.resume(&checkpoint).unwrap();
            }
            let mut logs = Logs::open(folder.path(), trainer.steps_done(), true).unwrap();
            let mut seen = Seen { stop_after, ..Seen::default() };
            trainer.run(Some(&mut logs), &mut seen).unwrap();
            pieces.extend(bits(&seen));
        }
        assert_eq!(pieces, bits(&whole));
        let found = checkpoints(&folder.path().join("checkpoints"));
        assert_eq!(found.len(), 2, "the last two are kept");
        let again = clip_model::load_checkpoint(&found[1], clip_torch::tch::Device::Cpu).unwrap();
        for ((name, a), (_, b)) in again.state_dict().iter().zip(one.model.state_dict()) {
            assert!(a.equal(&b.to_kind(a.kind())), "{name}");
        }
        let lines = std::fs::read_to_string(folder.path().join("steps.jsonl")).unwrap();
        assert_eq!(lines.lines().count(), whole.steps.len());
    }
}

#[test]
fn another_run_is_refused_with_the_reason() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 43);
    let folder = tempfile::tempdir().unwrap();
    let mut logs = Logs::open(folder.path(), 0, false).unwrap();
    let mut first = trainer(&tiny(false), &recipe(8), &corpus, train_options(8));
    first.run(Some(&mut logs), &mut Seen { stop_after: Some(2), ..Seen::default() }).unwrap();
    let other = Recipe { lr: 0.5, ..recipe(8) };
    let mut second = trainer(&tiny(false), &other, &corpus, train_options(8));
    let checkpoint = latest(&logs.checkpoints()).unwrap();
    let message = second.resume(&checkpoint).unwrap_err().to_string();
    assert!(message.contains("lr was 0.001, is 0.5"), "{message}");
}

/// Two corpora that differ in nothing but what the images show: names, counts, captions and sizes
/// are the same.
#[test]
fn another_corpus_of_the_same_names_and_sizes_is_refused() {
    let _alone = alone();
    let folders = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let [first, second, same] = [(0, 1u8), (1, 2), (2, 1)].map(|(at, colour)| {
        let image = |i: usize| clip_image::encode_png(&pattern(i as u8, colour)).unwrap();
        corpus_of(folders[at].path(), 43, &|i| padded(image(i)))
    });
    let start = |corpus| trainer(&tiny(false), &recipe(8), corpus, train_options(8));
    let mut logs = Logs::open(folder.path(), 0, false).unwrap();
    let stop = || Seen { stop_after: Some(2), ..Seen::default() };
    start(&first).run(Some(&mut logs), &mut stop()).unwrap();
    let checkpoint = latest(&logs.checkpoints()).unwrap();
    let message = start(&second).resume(&checkpoint).unwrap_err().to_string();
    assert!(message.contains("corpus was") && message.contains("of 43 pairs"), "{message}");
    start(&same).resume(&checkpoint).unwrap();
}

/// An image of four pixels.
fn pattern(at: u8, colour: u8) -> clip_image::Rgb {
    clip_image::Rgb { width: 2, height: 2, data: (0..12).map(|i| (i * 17) ^ at ^ colour).collect() }
}

/// The same length for all: what follows a PNG's end is not read.
fn padded(mut png: Vec<u8>) -> Vec<u8> {
    png.resize(200, 0);
    png
}

#[test]
fn open_clips_checkpoint_comes_back() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 40);
    for objective in [Objective::Contrastive, Objective::Sigmoid] {
        let recipe = Recipe { objective, ..recipe(8) };
        let start = || trainer(&tiny(false), &recipe, &corpus, train_options(8));
        let mut whole = Seen::default();
        start().run(None, &mut whole).unwrap();
        let mut first = start();
        let folder = tempfile::tempdir().unwrap();
        let mut logs = Logs::open(folder.path(), 0, false).unwrap();
        // Two epochs of five batches each.
        first.run(Some(&mut logs), &mut Seen { stop_after: Some(10), ..Seen::default() }).unwrap();
        let path = folder.path().join("epoch_2.pt");
        first.export(&path, 2).unwrap();
        let mut second = start();
        second.import(&path).unwrap();
        assert_eq!(second.steps_done(), 10);
        let mut rest = Seen::default();
        second.run(None, &mut rest).unwrap();
        assert_eq!(bits(&rest), bits(&whole)[10..]);
        assert!(second.import(&folder.path().join("out.log")).is_err());
        // Whoever embeds, evaluates or converts opens the file alone, and gets the bias with it.
        let opened = clip_model::open(&path, &clip_model::LoadOptions::default()).unwrap();
        assert_eq!(opened.config(), first.model.config());
        for ((name, a), (_, b)) in opened.state_dict().iter().zip(first.model.state_dict()) {
            assert!(a.equal(b), "{name}");
        }
        assert_eq!(opened.logit_bias().is_some(), objective == Objective::Sigmoid);
        // So do those who open the run's own checkpoint.
        let own = latest(&logs.checkpoints()).unwrap();
        let own = clip_model::load_checkpoint(&own, clip_torch::tch::Device::Cpu).unwrap();
        assert_eq!(own.state_dict().len(), opened.state_dict().len());
    }
}

#[test]
fn a_checkpoint_is_not_resumed_by_another_optimizer() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 40);
    let of = |opt| {
        let recipe = Recipe { opt, ..recipe(8) };
        trainer(&tiny(false), &recipe, &corpus, train_options(8))
    };
    let folder = tempfile::tempdir().unwrap();
    let mut logs = Logs::open(folder.path(), 0, false).unwrap();
    for (first, then, words) in [
        (Opt::AdamW, Opt::Lion, "keeps exp_avg, exp_avg_sq, step of"),
        (Opt::Lion, Opt::AdamW, "this run's exp_avg, exp_avg_sq, step"),
        (Opt::AdamW, Opt::Muon, "2 groups of parameters instead of 3"),
    ] {
        let mut run = of(first);
        run.run(None, &mut Seen { stop_after: Some(2), ..Seen::default() }).unwrap();
        let path = folder.path().join("epoch_1.pt");
        run.export(&path, 1).unwrap();
        let error = of(then).import(&path).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("hint: "), "{error}");
        of(first).import(&path).unwrap();
        // Nor is the run's own.
        let own = run.save(&mut logs).unwrap();
        let error = of(then).resume(&own).unwrap_err().to_string();
        assert!(error.contains("opt was"), "{error}");
    }
}

#[test]
fn the_sigmoid_loss_begins_as_open_clips() {
    let _alone = alone();
    let device = clip_torch::tch::Device::Cpu;
    let model = crate::fresh(&tiny(false), Objective::Sigmoid, device);
    assert!((model.logit_scale().double_value(&[]).exp() - 10.0).abs() < 1e-5);
    assert_eq!(model.logit_bias().unwrap().double_value(&[]), -10.0);
    let model = crate::fresh(&tiny(false), Objective::Contrastive, device);
    assert!((model.logit_scale().double_value(&[]).exp() - 1.0 / 0.07).abs() < 1e-4);
    assert!(model.logit_bias().is_none());
    // A run on weights that were trained without a bias begins with 0.
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 40);
    let recipe = Recipe { objective: Objective::Sigmoid, ..recipe(8) };
    let options = train_options(8);
    let trainer = crate::Trainer::new(model, recipe, corpus, options, crate::ProcessGroup::alone());
    assert_eq!(trainer.unwrap().model.logit_bias().unwrap().double_value(&[]), 0.0);
}

#[test]
fn an_epoch_of_a_budget_has_its_own_checkpoint_and_evaluations() {
    let _alone = alone();
    let data = tempfile::tempdir().unwrap();
    let corpus = corpus(data.path(), 43);
    let recipe = Recipe { train_num_samples: Some(24), epochs: 3, ..recipe(8) };
    let options = TrainOptions { save_epochs: 1, log_steps: 100, ..train_options(8) };
    let folder = tempfile::tempdir().unwrap();
    let mut logs = Logs::open(folder.path(), 0, false).unwrap();
    let mut trainer = trainer(&tiny(false), &recipe, &corpus, options);
    let mut seen = Seen::default();
    trainer.run(Some(&mut logs), &mut seen).unwrap();
    assert_eq!(seen.steps.len(), 9);
    for epoch in 1..=3 {
        assert!(logs.checkpoints().join(format!("epoch_{epoch}.pt")).is_file(), "{epoch}");
    }
    let due = |epoch, val, zeroshot| Due { epoch, step: 3 * epoch, val, zeroshot };
    // Held-out pairs every epoch, zero-shot every second one and at the end.
    let evaluated = [(1, false), (2, true), (3, true)];
    let evaluated =
        evaluated.map(|(epoch, zeroshot)| (3 * epoch as usize, due(epoch, true, zeroshot)));
    assert_eq!(seen.evaluated, evaluated);
    // open_clip's lines: the first and the last step of each epoch.
    let out = std::fs::read_to_string(folder.path().join("out.log")).unwrap();
    assert_eq!(out.lines().filter(|line| line.contains("Train Epoch")).count(), 6);
}
