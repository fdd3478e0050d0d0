//! open_clip's training checkpoint, resumed here, has the losses that it has there:
//! `scripts/oracles/resume.py`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clip_model::ModelConfig;
use clip_torch::tch::{Device, Tensor};
use clip_train::{
    Batch, Corpus, Objective, ProcessGroup, Recipe, TrainOptions, TrainPrecision, Trainer, fresh,
};

const STEPS: u64 = 40;
const ROWS: usize = 8;
const SIDE: usize = 16;
const VOCABULARY: i64 = 32;
const CONTEXT: usize = 16;

/// The script's formula.
fn batch(step: u64) -> Batch {
    let pixel =
        |at: u64| (((at + step * 1_000_003).wrapping_mul(2_654_435_761) % (1 << 32)) >> 24) as u8;
    let pixels: Vec<u8> = (0..(ROWS * SIDE * SIDE * 3) as u64).map(pixel).collect();
    let mut ids = vec![0i64; ROWS * CONTEXT];
    for (row, ids) in ids.chunks_mut(CONTEXT).enumerate() {
        let (step, row) = (step as i64, row as i64);
        let length = 3 + (step * 5 + row * 3) % 10;
        ids[0] = VOCABULARY - 2;
        for at in 1..length {
            ids[at as usize] = 1 + (step * 17 + row * 29 + at * 7) % (VOCABULARY - 3);
        }
        ids[length as usize] = VOCABULARY - 1;
    }
    let side = SIDE as i64;
    Batch {
        step,
        images: Tensor::from_slice(&pixels).view([ROWS as i64, side, side, 3]),
        tokens: Tensor::from_slice(&ids).view([ROWS as i64, CONTEXT as i64]),
        len: ROWS,
    }
}

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
        let options = TrainOptions {
            seed: 0,
            chunk: ROWS,
            threads: 1,
            save_every: Duration::from_secs(3600),
            save_steps: 0,
            save_epochs: 0,
            keep: 1,
            log_steps: 1,
            val_epochs: 0,
            zeroshot_epochs: 0,
            grad_checkpointing: false,
        };
        // Two epochs of twenty steps; the pairs themselves are never asked for.
        let corpus = Arc::new(Corpus::synthetic(ROWS * STEPS as usize / 2, CONTEXT, 8));
        let model = fresh(&config, objective, Device::Cpu);
        let mut trainer =
            Trainer::new(model, recipe, corpus, options, ProcessGroup::alone()).unwrap();
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
