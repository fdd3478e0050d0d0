//! `clip-data train`: pre-training, resumable.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use clip_model::Clip;
use clip_torch::tch;
use clip_train::{
    Augment, Corpus, LoaderOptions, Logs, Outcome, Preset, Recipe, Step, Trainer, latest,
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{device, exit, signal};

/// Arguments of `clip-data train`; the names are open_clip's where it has the setting.
#[derive(clap::Args)]
pub struct Args {
    /// Shards: files, folders, globs or braces, as in `shards/{00000..00012}.tar`
    #[arg(long, value_name = "SPEC")]
    train_data: String,
    /// Model and recipe: emoji, paper/ViT-B-32 and the like, or a .json file
    #[arg(long)]
    preset: String,
    /// The run's name, and its folder under --logs
    #[arg(long)]
    name: String,
    /// Where runs lie
    #[arg(long, default_value = "logs")]
    logs: PathBuf,
    /// Passes over the corpus
    #[arg(long)]
    epochs: Option<u64>,
    /// Pairs in a batch
    #[arg(long)]
    batch_size: Option<usize>,
    /// Peak learning rate
    #[arg(long)]
    lr: Option<f64>,
    /// Weight decay
    #[arg(long)]
    wd: Option<f64>,
    /// Steps of linear warm-up
    #[arg(long)]
    warmup: Option<u64>,
    /// auto, amp_bf16 or fp32
    #[arg(long)]
    precision: Option<String>,
    /// none, square-crop, rrc(0.9,1) or small
    #[arg(long)]
    augment: Option<String>,
    /// Largest norm of the gradient
    #[arg(long)]
    grad_clip_norm: Option<f64>,
    /// Seed of weights, order, captions and augmentation
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads that decode and augment
    #[arg(long, default_value_t = 1)]
    workers: usize,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: String,
    /// Stop with a checkpoint after so many minutes; the same command goes on
    #[arg(long)]
    max_minutes: Option<f64>,
    /// Minutes between checkpoints
    #[arg(long, default_value_t = 5.0)]
    save_minutes: f64,
    /// Checkpoints that are kept
    #[arg(long, default_value_t = 2)]
    keep: usize,
    /// Memory for decoded pictures, in MB
    #[arg(long, default_value_t = 2000)]
    cache_mb: u64,
}

impl Args {
    fn over(&self, mut recipe: Recipe) -> Recipe {
        recipe.epochs = self.epochs.unwrap_or(recipe.epochs);
        recipe.batch_size = self.batch_size.unwrap_or(recipe.batch_size);
        recipe.lr = self.lr.unwrap_or(recipe.lr);
        recipe.wd = self.wd.unwrap_or(recipe.wd);
        recipe.warmup = self.warmup.unwrap_or(recipe.warmup);
        recipe.precision = self.precision.clone().unwrap_or(recipe.precision);
        recipe.augment = self.augment.clone().unwrap_or(recipe.augment);
        recipe.grad_clip_norm = self.grad_clip_norm.or(recipe.grad_clip_norm);
        recipe
    }
}

/// Trains, showing progress, and says where the last checkpoint is.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    clip_torch::init(None)?;
    let device = device(&args.device)?;
    let Preset { model_cfg, train } = Preset::find(&args.preset)?;
    let recipe = args.over(train);
    let augment: Augment =
        recipe.augment.parse().map_err(|e| anyhow::anyhow!("--augment {}: {e}", recipe.augment))?;
    let size = model_cfg.vision_cfg.image_size as u32;
    let context = model_cfg.text_cfg.context_length as usize;
    // A third more pixels than the model sees leave room for crops and turns.
    let (corpus, skipped) =
        Corpus::open(&args.train_data, context, size * 4 / 3, args.cache_mb * 1_000_000)?;
    if skipped > 0 {
        eprintln!("{skipped} samples have no caption or no picture and are passed over");
    }
    let options = LoaderOptions {
        batch: recipe.batch_size,
        size,
        augment,
        seed: args.seed,
        threads: args.workers,
    };
    tch::manual_seed(args.seed as i64);
    let model = Clip::new(&model_cfg, device);
    let parameters = model.parameter_count();
    let corpus = Arc::new(corpus);
    let mut trainer = Trainer::new(model, recipe.clone(), corpus.clone(), options)?;
    let folder = args.logs.join(&args.name);
    if let Some(checkpoint) = latest(&folder.join("checkpoints")) {
        trainer.resume(&checkpoint)?;
        eprintln!("going on from step {}", trainer.steps_done());
    }
    let mut logs = Logs::open(&folder, trainer.steps_done())?;
    logs.params(&params(&args, &recipe))?;
    let (pairs, steps) = (corpus.pairs().len(), trainer.total_steps());
    eprintln!("{parameters} parameters, {pairs} pairs, {steps} steps, {device:?}");
    let stop = signal::stop_flag();
    let deadline = args.max_minutes.map(|m| Instant::now() + Duration::from_secs_f64(m * 60.0));
    let over = || {
        stop.load(Ordering::Relaxed) || deadline.is_some_and(|deadline| Instant::now() >= deadline)
    };
    let every = Duration::from_secs_f64(args.save_minutes * 60.0);
    let mut show = Show::new(steps, trainer.steps_done());
    let outcome =
        trainer.run(&mut logs, every, args.keep, &over, &mut |step, _| show.step(step))?;
    show.finish();
    if let Some(checkpoint) = latest(&folder.join("checkpoints")) {
        println!("checkpoint: {}", checkpoint.display());
    }
    Ok(match outcome {
        Outcome::Finished => ExitCode::SUCCESS,
        Outcome::Stopped if stop.load(Ordering::Relaxed) => {
            eprintln!("interrupted: run the same command again to go on");
            ExitCode::from(exit::INTERRUPTED)
        }
        Outcome::Stopped => {
            eprintln!("out of time: run the same command again to go on");
            ExitCode::from(exit::INCOMPLETE)
        }
    })
}

/// Everything that decides the run, for `params.txt`.
fn params(args: &Args, recipe: &Recipe) -> Vec<(String, String)> {
    let mut params = vec![
        ("train_data".to_owned(), args.train_data.clone()),
        ("model".to_owned(), args.preset.clone()),
        ("name".to_owned(), args.name.clone()),
        ("seed".to_owned(), args.seed.to_string()),
        ("workers".to_owned(), args.workers.to_string()),
        ("device".to_owned(), args.device.clone()),
    ];
    if let Ok(serde_json::Value::Object(recipe)) = serde_json::to_value(recipe) {
        let plain = |value: serde_json::Value| match value {
            serde_json::Value::String(text) => text,
            serde_json::Value::Null => "None".into(),
            other => other.to_string(),
        };
        params.extend(recipe.into_iter().map(|(key, value)| (key, plain(value))));
    }
    params
}

/// A bar on a terminal, else a line now and then.
struct Show {
    bar: Option<ProgressBar>,
    said: Instant,
    steps: u64,
}

impl Show {
    fn new(steps: u64, done: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = "{prefix:>12} [{bar:28}] {pos}/{len} steps, {eta} left, {msg}";
            let style = ProgressStyle::with_template(style);
            let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
            let bar = ProgressBar::new(steps).with_style(style.progress_chars("=> "));
            bar.set_prefix("train");
            bar.set_position(done);
            bar.reset_eta();
            bar
        });
        Self { bar, said: Instant::now(), steps }
    }

    fn step(&mut self, step: &Step) {
        let line = format!(
            "loss {:.3}, scale {:.1}, {:.0} pairs/s",
            step.loss, step.logit_scale, step.samples_per_second
        );
        if let Some(bar) = &self.bar {
            bar.set_position(step.step + 1);
            bar.set_message(line);
        } else if self.said.elapsed() > Duration::from_secs(20) || step.step + 1 == self.steps {
            eprintln!("train: step {} of {}: {line}", step.step + 1, self.steps);
            self.said = Instant::now();
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish();
        }
    }
}
