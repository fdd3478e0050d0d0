//! Arguments of `clip-data train`; the names are open_clip's where it has the setting.

use std::path::PathBuf;

use anyhow::{Context, bail, ensure};
use clip_model::ModelConfig;
use clip_train::{Objective, Preset, Recipe, Source};
use serde::de::DeserializeOwned;

use crate::model::PreprocessArgs;

/// Arguments of `clip-data train`.
#[derive(clap::Args, Clone)]
pub struct Args {
    /// Shards: files, folders, globs or braces, as in `shards/{00000..00012}.tar`; several by `::`
    #[arg(long, value_name = "SPEC", required_unless_present = "dataset_type")]
    pub train_data: Option<String>,
    /// How often pairs of each of several sources come in an epoch, as in `1::0.5`
    #[arg(long, value_name = "WEIGHTS")]
    pub train_data_upsampling_factors: Option<String>,
    /// Column of the Parquet beside each shard with how often a pair comes in an epoch (balancing)
    #[arg(long, value_name = "COLUMN")]
    pub weight_column: Option<String>,
    /// webdataset, or synthetic: drawings made on the spot
    #[arg(long, value_name = "TYPE")]
    pub dataset_type: Option<String>,
    /// Pairs of a synthetic data set
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub train_num_samples: usize,
    /// Held-out shards for retrieval and loss
    #[arg(long, value_name = "SPEC")]
    pub val_data: Option<String>,
    /// Evaluation set for zero-shot classification; may be given again
    #[arg(long, alias = "imagenet-val", value_name = "DIR")]
    pub zeroshot: Vec<PathBuf>,
    /// Epochs between two evaluations; 0 for one at the end
    #[arg(long, alias = "val-frequency", default_value_t = 0, value_name = "N")]
    pub zeroshot_frequency: u64,

    /// Model and recipe: paper/ViT-B-32, openclip/RN50 and the like, emoji, or a .json file
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Model, with open_clip's recipe: ViT-B-32, RN50-quickgelu and the like, or a .json file
    #[arg(long, conflicts_with = "preset", value_name = "NAME")]
    pub model: Option<String>,
    /// A ResNet-50 scaled by the paper's rule to so many times its compute, instead of the preset's model
    #[arg(long, value_name = "K")]
    pub scale: Option<f64>,
    /// Weights to start from: a checkpoint of any kind that `clip-data convert` reads
    #[arg(long, value_name = "PATH")]
    pub pretrained: Option<PathBuf>,
    /// QuickGELU, whatever the model's name says
    #[arg(long)]
    pub force_quick_gelu: bool,
    /// Side of the pictures
    #[arg(long, value_name = "PIXELS")]
    pub force_image_size: Option<i64>,
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
    /// Share of patches that a vision transformer does not see in training
    #[arg(long, value_name = "SHARE")]
    pub force_patch_dropout: Option<f64>,
    /// Leave the image tower as it is
    #[arg(long)]
    pub lock_image: bool,
    /// All but its last so many groups of layers
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub lock_image_unlocked_groups: usize,
    /// Leave the text tower as it is
    #[arg(long)]
    pub lock_text: bool,
    /// All but its last so many groups of layers
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub lock_text_unlocked_layers: usize,

    /// The run's name, and its folder under --logs [default: made from the time and the settings]
    #[arg(long)]
    pub name: Option<String>,
    /// Where runs lie
    #[arg(long, default_value = "logs")]
    pub logs: PathBuf,
    /// Go on from `latest` of this run (done anyway), a checkpoint's folder, or open_clip's epoch_N.pt
    #[arg(long, value_name = "PATH")]
    pub resume: Option<String>,
    /// Minutes between checkpoints
    #[arg(long, default_value_t = 5.0, value_name = "MINUTES")]
    pub save_minutes: f64,
    /// Steps between checkpoints; 0 for none but those by time
    #[arg(long, default_value_t = 0, value_name = "STEPS")]
    pub save_steps: u64,
    /// Epochs between open_clip's epoch_N.pt; 0 for none
    #[arg(long, default_value_t = 0, value_name = "EPOCHS")]
    pub save_frequency: u64,
    /// Checkpoints that are kept
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub keep: usize,
    /// Stop with a checkpoint after so many minutes; the same command goes on
    #[arg(long, value_name = "MINUTES")]
    pub max_minutes: Option<f64>,
    /// `tensorboard` writes event files
    #[arg(long, default_value = "", value_name = "WHERE")]
    pub report_to: String,
    /// Steps between two lines of out.log
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub log_every_n_steps: u64,

    /// Passes over the corpus
    #[arg(long)]
    pub epochs: Option<u64>,
    /// Pairs that a process takes through the model at a time
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Chunks of --batch-size that make a batch on each process
    #[arg(long, value_name = "N")]
    pub accum_freq: Option<usize>,
    /// Pairs in a batch over all processes, in as many chunks as it takes [default: the preset's]
    #[arg(long, value_name = "N", conflicts_with = "accum_freq")]
    pub global_batch_size: Option<usize>,
    /// contrastive, sigmoid, caption or bag-of-words
    #[arg(long)]
    pub objective: Option<String>,
    /// The sigmoid loss, as open_clip names it
    #[arg(long, conflicts_with = "objective")]
    pub siglip: bool,
    /// Peak learning rate
    #[arg(long)]
    pub lr: Option<f64>,
    /// Decay of Adam's first moment
    #[arg(long)]
    pub beta1: Option<f64>,
    /// Decay of Adam's second moment
    #[arg(long)]
    pub beta2: Option<f64>,
    /// Adam's epsilon
    #[arg(long)]
    pub eps: Option<f64>,
    /// Weight decay
    #[arg(long)]
    pub wd: Option<f64>,
    /// paper: all but gains and biases; spare-positions: not positional embeddings either
    #[arg(long, value_name = "RULE")]
    pub decay_rule: Option<String>,
    /// Steps of linear warm-up
    #[arg(long, value_name = "STEPS")]
    pub warmup: Option<u64>,
    /// cosine, const or const-cooldown
    #[arg(long, value_name = "NAME")]
    pub lr_scheduler: Option<String>,
    /// Epochs of cool-down at the end
    #[arg(long, value_name = "N")]
    pub epochs_cooldown: Option<u64>,
    /// Learning rate at its end
    #[arg(long, value_name = "LR")]
    pub lr_cooldown_end: Option<f64>,
    /// Power by which it falls
    #[arg(long, value_name = "POWER")]
    pub lr_cooldown_power: Option<f64>,
    /// auto, amp (float16), amp_bf16 or fp32
    #[arg(long)]
    pub precision: Option<String>,
    /// none, square-crop, rrc(0.9,1) or small
    #[arg(long)]
    pub augment: Option<String>,
    /// Largest norm of the gradient
    #[arg(long, value_name = "NORM")]
    pub grad_clip_norm: Option<f64>,
    /// fp32 or fp16: bits of Adam's moments
    #[arg(long, value_name = "BITS")]
    pub adam_stats: Option<String>,
    /// fp32 or fp16-sr: bits of the text tower's weights, stochastically rounded
    #[arg(long, value_name = "BITS")]
    pub text_weights: Option<String>,
    /// Keep an average of the weights with this decay
    #[arg(long, value_name = "DECAY")]
    pub ema_decay: Option<f64>,
    /// Compute blocks again in the backward pass instead of keeping them in memory
    #[arg(long)]
    pub grad_checkpointing: bool,
    /// Seed of weights, order, captions and augmentation
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Threads that decode and augment, in each process
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub workers: usize,
    /// Memory for decoded pictures, in MB
    #[arg(long, default_value_t = 2000, value_name = "MB")]
    pub cache_mb: u64,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Train in so many processes on this machine
    #[arg(long, value_name = "N")]
    pub nproc: Option<usize>,
    /// Where processes meet: env:// or tcp://HOST:PORT
    #[arg(long, default_value = "env://", value_name = "URL")]
    pub dist_url: String,
    /// gloo or nccl [default: nccl on GPUs]
    #[arg(long, value_name = "NAME")]
    pub dist_backend: Option<String>,
    /// Seconds that processes wait for each other
    #[arg(long, default_value_t = 600, value_name = "SECONDS")]
    pub dist_timeout: u64,
    /// Always so: each process computes its rows of the similarity matrix
    #[arg(long, hide = true)]
    pub local_loss: bool,
    /// Always so: gradients flow through gathered features
    #[arg(long, hide = true)]
    pub gather_with_grad: bool,
}

/// A choice by its name, as it stands in recipes.
fn choice<T: DeserializeOwned>(flag: &str, name: &str) -> anyhow::Result<T> {
    let value = serde_json::Value::String(name.to_owned());
    serde_json::from_value(value).with_context(|| format!("{flag} {name}"))
}

impl Args {
    /// The preset with all flags applied, and the pairs that a process takes through the model at a time.
    pub fn resolve(&self, world: usize) -> anyhow::Result<(ModelConfig, Recipe, usize)> {
        let name = match (&self.preset, &self.model) {
            (Some(preset), _) => preset.clone(),
            (None, Some(model)) => format!("openclip/{model}"),
            (None, None) if self.scale.is_some() => "paper/RN50".into(),
            (None, None) => {
                bail!("no model\nhint: --preset paper/ViT-B-32 and the like, or --model")
            }
        };
        let Preset { mut model_cfg, train: mut recipe } = Preset::find(&name)?;
        if let Some(k) = self.scale {
            model_cfg = ModelConfig::scaled_resnet(k)?;
        }
        model_cfg.quick_gelu |= self.force_quick_gelu;
        if let Some(side) = self.force_image_size {
            model_cfg = model_cfg.with_image_size(side)?;
        }
        self.preprocess.fields()?;
        self.apply(&mut recipe)?;
        let chunk = self.batch(&mut recipe, world)?;
        Ok((model_cfg, recipe, chunk))
    }

    fn apply(&self, recipe: &mut Recipe) -> anyhow::Result<()> {
        macro_rules! over {
            ($($field:ident),*) => {
                $(recipe.$field = self.$field.unwrap_or(recipe.$field);)*
            };
        }
        over!(epochs, lr, beta1, beta2, eps, wd, warmup);
        over!(epochs_cooldown, lr_cooldown_end, lr_cooldown_power);
        if let Some(precision) = &self.precision {
            recipe.precision.clone_from(precision);
        }
        if let Some(augment) = &self.augment {
            recipe.augment.clone_from(augment);
        }
        recipe.grad_clip_norm = self.grad_clip_norm.or(recipe.grad_clip_norm);
        recipe.ema_decay = self.ema_decay.or(recipe.ema_decay);
        recipe.patch_dropout = self.force_patch_dropout.unwrap_or(recipe.patch_dropout);
        recipe.lock_image =
            self.lock_image.then_some(self.lock_image_unlocked_groups).or(recipe.lock_image);
        recipe.lock_text =
            self.lock_text.then_some(self.lock_text_unlocked_layers).or(recipe.lock_text);
        if let Some(name) = &self.objective {
            recipe.objective = choice("--objective", name)?;
        }
        if self.siglip {
            recipe.objective = Objective::Sigmoid;
        }
        if let Some(name) = &self.decay_rule {
            recipe.decay_rule = choice("--decay-rule", name)?;
        }
        if let Some(name) = &self.lr_scheduler {
            recipe.lr_scheduler = choice("--lr-scheduler", name)?;
        }
        if let Some(name) = &self.adam_stats {
            recipe.adam_stats = choice("--adam-stats", name)?;
        }
        if let Some(name) = &self.text_weights {
            recipe.text_weights = choice("--text-weights", name)?;
        }
        let share = |value: f64| (0.0..1.0).contains(&value);
        ensure!(share(recipe.patch_dropout), "--force-patch-dropout: a share below 1 is wanted");
        ensure!(recipe.ema_decay.is_none_or(share), "--ema-decay: a share below 1 is wanted");
        ensure!(recipe.lr > 0.0 && recipe.wd >= 0.0, "--lr and --wd: positive numbers are wanted");
        ensure!(recipe.epochs > 0, "--epochs: at least 1 is wanted");
        Ok(())
    }

    /// open_clip's arithmetic: a batch is --batch-size x --accum-freq x processes. Without --batch-size the
    /// preset's batch is cut into chunks.
    fn batch(&self, recipe: &mut Recipe, world: usize) -> anyhow::Result<usize> {
        let per_step = self.accum_freq.unwrap_or(1).max(1) * world;
        match (self.batch_size, self.global_batch_size) {
            (Some(chunk), None) => recipe.batch_size = chunk * per_step,
            (_, Some(global)) => recipe.batch_size = global,
            (None, None) => {}
        }
        let global = recipe.batch_size;
        ensure!(global > 0, "a batch of no pairs");
        ensure!(
            global.is_multiple_of(world),
            "a batch of {global} cannot be shared by {world} processes\nhint: --global-batch-size"
        );
        let local = global / world;
        Ok(self
            .batch_size
            .unwrap_or(DEFAULT_CHUNK)
            .min(local.div_ceil(self.accum_freq.unwrap_or(1))))
    }

    /// The sources of the training data with their weights.
    pub fn sources(&self) -> anyhow::Result<Vec<Source>> {
        let specs: Vec<&str> = self.train_data.as_deref().unwrap_or("").split("::").collect();
        let weights = match &self.train_data_upsampling_factors {
            None => vec![1.0; specs.len()],
            Some(text) => text
                .split("::")
                .map(|weight| weight.trim().parse::<f32>().ok().filter(|w| (0.0..=1e6).contains(w)))
                .collect::<Option<Vec<f32>>>()
                .with_context(|| {
                    format!("--train-data-upsampling-factors {text}: numbers by ::")
                })?,
        };
        ensure!(
            weights.len() == specs.len(),
            "{} weights for {} sources of --train-data",
            weights.len(),
            specs.len()
        );
        let source = |(spec, weight): (&str, f32)| Source { spec: spec.to_owned(), weight };
        Ok(specs.into_iter().zip(weights).map(source).collect())
    }
}

/// Pairs in the model at a time where nothing else is asked for.
const DEFAULT_CHUNK: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn parse(flags: &str) -> Args {
        let words = ["train", "--train-data", "x.tar"].into_iter().chain(flags.split_whitespace());
        Cli::try_parse_from(words).unwrap().args
    }

    fn batch(flags: &str, world: usize) -> (usize, usize) {
        let (_, recipe, chunk) = parse(flags).resolve(world).unwrap();
        (recipe.batch_size, chunk)
    }

    #[test]
    fn batches_are_open_clips_arithmetic() {
        assert_eq!(batch("--model ViT-B-32", 1), (64, 64));
        assert_eq!(batch("--model ViT-B-32 --batch-size 32 --accum-freq 4", 2), (256, 32));
        assert_eq!(batch("--preset paper/RN50", 8), (32_768, 256));
        assert_eq!(batch("--preset paper/RN50 --batch-size 512", 8), (4096, 512));
        let both = "--preset paper/RN50 --batch-size 512 --global-batch-size 32768";
        assert_eq!(batch(both, 8), (32_768, 512));
        assert_eq!(batch("--preset emoji", 1), (128, 128));
        assert!(parse("--preset emoji").resolve(3).is_err());
    }

    #[test]
    fn flags_override_the_preset() {
        let flags = "--preset paper/ViT-L-14 --lr 1e-3 --siglip --adam-stats fp32 --lock-image \
                     --lock-image-unlocked-groups 2 --lr-scheduler const-cooldown";
        let (_, recipe, _) = parse(flags).resolve(1).unwrap();
        assert_eq!((recipe.lr, recipe.objective), (1e-3, Objective::Sigmoid));
        assert_eq!((recipe.lock_image, recipe.lock_text), (Some(2), None));
        for (bad, word) in [
            ("--preset emoji --objective guess", "--objective guess"),
            ("--preset emoji --force-patch-dropout 1", "below 1"),
            ("--lr 1", "no model"),
        ] {
            let message = format!("{:#}", parse(bad).resolve(1).unwrap_err());
            assert!(message.contains(word), "{message}");
        }
    }

    #[test]
    fn sources_and_their_weights() {
        let two = "--train-data a::b --train-data-upsampling-factors 1::0.5";
        let words = ["train"].into_iter().chain(two.split_whitespace());
        let sources = Cli::try_parse_from(words).unwrap().args.sources().unwrap();
        assert_eq!((sources[1].spec.as_str(), sources[1].weight), ("b", 0.5));
        assert!(parse("--train-data-upsampling-factors 1::2").sources().is_err());
        assert!(parse("--train-data-upsampling-factors x").sources().is_err());
    }
}
