//! The losses of other optimizers and of layer-wise learning rates are those of the programs that
//! define them: `scripts/oracles/optimizers.py`.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;

use clip_loader::Corpus;
use clip_model::{ModelConfig, Weights};
use clip_torch::tch::Device;
use clip_train::{Objective, Opt, ProcessGroup, Recipe, TrainPrecision, Trainer, fresh};

use small::{CONTEXT, ROWS, batch, options};

mod small;

const STEPS: u64 = 30;

#[test]
fn other_optimizers_have_the_losses_of_their_authors_programs() {
    clip_torch::init(Some(1)).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/oracle");
    let golden = std::fs::read_to_string(folder.join("optimizers/losses.json")).unwrap();
    let golden: serde_json::Value = serde_json::from_str(&golden).unwrap();
    let config = ModelConfig::parse(&golden["config"].to_string()).unwrap();
    let weights = Weights::read(&folder.join("resume/contrastive.pt")).unwrap().tensors;
    let plain = Recipe {
        lr: 1e-3,
        warmup: 5,
        epochs: 1,
        batch_size: ROWS,
        precision: TrainPrecision::Fp32,
        ..Recipe::default()
    };
    // Muon's iteration is in bfloat16, whose last bit depends on how products are summed.
    for (name, shown, recipe, bound) in [
        ("lion", "Lion", Recipe { opt: Opt::Lion, beta2: 0.99, ..plain.clone() }, 1e-5),
        ("muon", "Muon", Recipe { opt: Opt::Muon, ..plain.clone() }, 1e-4),
        (
            "layers",
            "AdamW, layer-wise learning rates",
            Recipe { layer_decay: Some(0.5), ..plain.clone() },
            1e-5,
        ),
    ] {
        let corpus = Arc::new(Corpus::synthetic(ROWS * STEPS as usize, CONTEXT, 8));
        let mut model = fresh(&config, Objective::Contrastive, Device::Cpu);
        model.load(&weights).unwrap();
        let mut trainer =
            Trainer::new(model, recipe, corpus, options(), ProcessGroup::alone()).unwrap();
        let golden = &golden[name];
        let wanted: Vec<f64> = serde_json::from_value(golden["losses"].clone()).unwrap();
        let mut apart = 0f64;
        for (step, wanted) in (0..STEPS).zip(&wanted) {
            let (done, _) = trainer.train(&batch(step), &mut ()).unwrap().unwrap();
            apart = apart.max((done.loss - wanted).abs());
        }
        println!(
            "oracle\ttraining\t{shown}\t{}\t{} steps\t{apart:.1e}\t{}: differs by {:.3}",
            golden["versions"].as_str().unwrap(),
            wanted.len(),
            golden["wrong"].as_str().unwrap(),
            golden["wrong_by"].as_f64().unwrap(),
        );
        assert!(wanted.len() == STEPS as usize && apart <= bound, "{name}: {apart}");
    }
}
