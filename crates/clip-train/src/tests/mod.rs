//! What the tests share: small corpora, small models, and runs of them.

mod cuda;
mod equal;
mod ranks;
mod replicas;
mod resume;
mod stop;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use clip_loader::{Augment, CaptionKeys, Corpus, CorpusOptions, Identity, Source};
use clip_model::{Clip, ModelConfig};
use clip_testkit::pairs::{write_coloured_pairs, write_pairs};
use clip_torch::Precision;
use clip_torch::tch::{self, Device};

use crate::{
    Due, Hooks, ProcessGroup, Recipe, Result, StepMetrics, TrainOptions, TrainPrecision, Trainer,
};

/// libtorch's generator is the process's: tests that draw from it run one after another.
pub fn alone() -> std::sync::MutexGuard<'static, ()> {
    static GENERATOR: std::sync::Mutex<()> = std::sync::Mutex::new(());
    GENERATOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Pairs of single-coloured images; every fourth has a text that others have too.
pub fn corpus(folder: &Path, count: usize) -> Arc<Corpus> {
    write_coloured_pairs(folder, count).unwrap();
    open(folder)
}

/// The same with images of the caller's.
pub fn corpus_of(folder: &Path, count: usize, image: &dyn Fn(usize) -> Vec<u8>) -> Arc<Corpus> {
    write_pairs(folder, count, image).unwrap();
    open(folder)
}

fn open(folder: &Path) -> Arc<Corpus> {
    let source = Source { spec: folder.display().to_string(), weight: 1.0 };
    let options = CorpusOptions {
        context: 12,
        side: Some(16),
        cache_bytes: 1 << 20,
        weight_column: None,
        caption_keys: CaptionKeys::default(),
        identity: Identity::Content,
    };
    Arc::new(Corpus::open(&[source], &options).unwrap())
}

/// A vision transformer, or a ResNet, of a few thousand parameters.
pub fn tiny(resnet: bool) -> ModelConfig {
    let vision = if resnet {
        r#"{"image_size":32,"layers":[1,1,1,1],"width":8,"patch_size":null,"head_width":32}"#
    } else {
        r#"{"image_size":16,"layers":2,"width":32,"patch_size":8,"head_width":16}"#
    };
    let text = r#"{"context_length":12,"vocab_size":49408,"width":16,"heads":2,"layers":2}"#;
    let all =
        format!(r#"{{"embed_dim":16,"quick_gelu":true,"vision_cfg":{vision},"text_cfg":{text}}}"#);
    serde_json::from_str(&all).unwrap()
}

/// A short run in 32 bits.
pub fn recipe(batch: usize) -> Recipe {
    Recipe {
        batch_size: batch,
        epochs: 4,
        lr: 1e-3,
        warmup: 3,
        precision: TrainPrecision::Fp32,
        augment: Augment::Small(1.0),
        ..Recipe::default()
    }
}

pub fn train_options(chunk: usize) -> TrainOptions {
    TrainOptions {
        seed: 7,
        chunk,
        threads: 1,
        save_every: std::time::Duration::from_secs(3600),
        save_steps: 0,
        save_epochs: 0,
        keep: 2,
        log_steps: 1,
        val_epochs: 1,
        zeroshot_epochs: 2,
        grad_checkpointing: false,
    }
}

/// A trainer over the corpus with weights of the seed.
pub fn trainer(
    model: &ModelConfig,
    recipe: &Recipe,
    corpus: &Arc<Corpus>,
    options: TrainOptions,
) -> Trainer {
    trainer_on(Device::Cpu, ProcessGroup::alone(), model, recipe, corpus, options)
}

/// The same on a device, among other processes.
pub fn trainer_on(
    device: Device,
    world: ProcessGroup,
    model: &ModelConfig,
    recipe: &Recipe,
    corpus: &Arc<Corpus>,
    options: TrainOptions,
) -> Trainer {
    // The generator is that of all tests of the process.
    static GENERATOR: Mutex<()> = Mutex::new(());
    let drawing = GENERATOR.lock().unwrap_or_else(PoisonError::into_inner);
    tch::manual_seed(options.seed as i64);
    let model = crate::fresh(model, recipe.objective, device);
    drop(drawing);
    Trainer::new(model, recipe.clone(), Arc::clone(corpus), options, world).unwrap()
}

/// Collects the steps of a run, and stops it after this many.
#[derive(Default)]
pub struct Seen {
    pub steps: Vec<StepMetrics>,
    pub stop_after: Option<usize>,
    pub warnings: Vec<String>,
    /// Steps done, and what was due then.
    pub evaluated: Vec<(usize, Due)>,
    /// Ends the process in place of stopping.
    pub die: bool,
}

impl Hooks for Seen {
    fn stop(&mut self) -> bool {
        let stop = self.stop_after.is_some_and(|count| self.steps.len() + 1 >= count);
        if stop && self.die {
            std::process::abort();
        }
        stop
    }

    fn on_step(&mut self, step: &StepMetrics, _total: u64) {
        self.steps.push(step.clone());
    }

    fn warn(&mut self, text: &str) {
        self.warnings.push(text.to_owned());
    }

    fn evaluate(
        &mut self,
        _model: &Clip,
        _precision: Precision,
        _world: &ProcessGroup,
        due: Due,
    ) -> Result<Vec<(String, f64)>> {
        self.evaluated.push((self.steps.len(), due));
        Ok(Vec::new())
    }
}
