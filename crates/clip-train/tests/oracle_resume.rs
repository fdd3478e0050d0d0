//! open_clip's training checkpoint, resumed here, has the losses that it has there:
//! `scripts/oracles/resume.py`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;

use clip_loader::Corpus;
use clip_model::ModelConfig;
use clip_torch::tch::Device;
use clip_train::{Objective, ProcessGroup, Recipe, TrainPrecision, Trainer, fresh};

use small::{CONTEXT, ROWS, batch, options};

mod small;

const STEPS: u64 = 40;

#[test]
fn the_losses_after_open_clips_checkpoint_are_open_clips() {
    clip_torch::init(Some(1)).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/oracle/resume");
    let golden = std::fs::read_to_string(folder.join("losses.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let config = ModelConfig::parse(&golden["config"].to_string()).unwrap();
    for objective in [Objective::Contrastive, Objective::Sigmoid] {
        let name = if objective == Objective::Sigmoid { "sigmoid" } else { "contrastive" };
        let recipe = Recipe {
            objective,
            lr: 1e-3,
            warmup: 5,
            epochs: 2,
            batch_size: ROWS,
            precision: TrainPrecision::Fp32,
            ..Recipe::default()
        };
        // Two epochs of twenty steps; the pairs themselves are never asked for.
        let corpus = Arc::new(Corpus::synthetic(ROWS * STEPS as usize / 2, CONTEXT, 8));
        let model = fresh(&config, objective, Device::Cpu);
        let mut trainer =
            Trainer::new(model, recipe, corpus, options(), ProcessGroup::alone()).unwrap();
        trainer.import(&folder.join(format!("{name}.pt"))).unwrap();
        assert_eq!((trainer.steps_done(), trainer.total_steps()), (STEPS / 2, STEPS));
        let wanted: Vec<f64> = serde_json::from_value(golden[name]["losses"].clone()).unwrap();
        let mut apart = 0f64;
        for (step, wanted) in (STEPS / 2..STEPS).zip(&wanted) {
            let (done, _) = trainer.train(&batch(step), &mut ()).unwrap().unwrap();
            apart = apart.max((done.loss - wanted).abs());
        }
        let wrong = golden[name]["wrong_by"].as_f64().unwrap();
        println!(
            "oracle\ttraining\tresuming epoch_1.pt, {name} loss\t{}\t{} steps\t{apart:.1e}\t\
             without the optimizer's moments: differs by {wrong:.3}",
            golden["versions"].as_str().unwrap(),
            wanted.len()
        );
        assert!(wanted.len() == 20 && apart <= 1e-5, "{name}: {apart}");
    }
}
