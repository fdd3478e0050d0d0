//! A loss trace over given weights and batches, to compare with open_clip's:
//! `scripts/parity_train`, `scripts/parity_resume`.
//!
//!     trace MODEL FOLDER PRECISION CHUNK [--export FILE | --import FILE] [DEVICE]
//!
//! On DEVICE (cpu or cuda) in full 32 bits, TF32 off. `--export` writes `epoch_1.pt` after the
//! first epoch, `--import` resumes one.
//!
//! Reads `init.safetensors` (open_clip's names), `batches.safetensors` (image [steps, batch, side,
//! side, 3] as f32 bytes, text [steps, batch, 77]) and `settings.json`; prints one line of JSON a
//! step.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use clip_loader::Corpus;
use clip_model::{ModelConfig, read_safetensors};
use clip_torch::tch::{Device, Kind, Tensor};
use clip_train::{Batch, Objective, ProcessGroup, Recipe, TrainOptions, Trainer, fresh};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    clip_torch::init(None)?;
    let mut args: Vec<String> = std::env::args().skip(1).collect();
    let last = args.pop_if(|last| ["cpu", "cuda"].contains(&last.as_str()));
    let device = if last.as_deref() == Some("cuda") { Device::Cuda(0) } else { Device::Cpu };
    if device.is_cuda() {
        clip_torch::allow_tf32(false)?;
    }
    let (model, folder, precision, chunk, file) = match args.as_slice() {
        [model, folder, precision, chunk] => (model, folder, precision, chunk, None),
        [model, folder, precision, chunk, how, file]
            if ["--export", "--import"].contains(&&**how) =>
        {
            (model, folder, precision, chunk, Some((how.as_str(), Path::new(file))))
        }
        _ => {
            return Err(
                "usage: trace MODEL FOLDER PRECISION CHUNK [--export FILE | --import FILE] [DEVICE]"
                    .into(),
            );
        }
    };
    let folder = Path::new(folder);
    let settings = std::fs::read_to_string(folder.join("settings.json"))?;
    let settings: serde_json::Value = serde_json::from_str(&settings)?;
    let number = |key: &str| settings[key].as_f64().ok_or(format!("settings.json: no {key}"));
    let batches = read_safetensors(&folder.join("batches.safetensors"))?;
    let find = |key: &str| {
        let found = batches.iter().find(|(name, _)| name == key);
        found.map(|(_, tensor)| tensor.shallow_clone()).ok_or(format!("no {key}"))
    };
    let (images, texts) = (find("image")?.to_kind(Kind::Uint8), find("text")?);
    let (steps, batch) = (images.size()[0], images.size()[1]);
    let config = ModelConfig::find(model)?.with_image_size(images.size()[2])?;
    let epochs = settings["epochs"].as_u64().unwrap_or(1);
    let objective = settings
        .get("objective")
        .map_or(Ok(Objective::Contrastive), |name| serde_json::from_value(name.clone()))?;
    let mut model = fresh(&config, objective, device);
    model.load(&read_safetensors(&folder.join("init.safetensors"))?)?;
    let recipe = Recipe {
        lr: number("lr")?,
        beta2: number("beta2")?,
        eps: number("eps")?,
        wd: number("wd")?,
        warmup: number("warmup")? as u64,
        epochs,
        objective,
        batch_size: batch as usize,
        precision: precision.parse()?,
        ..Recipe::default()
    };
    let options = TrainOptions {
        seed: 0,
        chunk: chunk.parse()?,
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
    // The plan of this many pairs has the steps of the trace; its pairs are never asked for.
    let pairs = (steps * batch) as usize / epochs as usize;
    let corpus = Arc::new(Corpus::synthetic(pairs, 77, 8));
    let mut trainer = Trainer::new(model, recipe, corpus, options, ProcessGroup::alone())?;
    if let Some(("--import", file)) = file {
        trainer.import(file)?;
    }
    for at in trainer.steps_done() as i64..steps {
        let tokens: Tensor = texts.get(at);
        let batch = Batch { step: at as u64, images: images.get(at), tokens, len: batch as usize };
        let (step, _) = trainer.train(&batch, &mut ())?.ok_or("interrupted")?;
        println!("{}", serde_json::to_string(&step)?);
        match file {
            Some(("--export", file)) if trainer.steps_done() == trainer.epochs().first_step(1) => {
                trainer.export(file, 1)?;
            }
            _ => {}
        }
    }
    Ok(())
}
