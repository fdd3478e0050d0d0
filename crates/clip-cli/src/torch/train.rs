//! Arguments of `clip-data train`; the names, and their defaults, are open_clip's where it has the
//! setting.

use std::path::PathBuf;

use super::PreprocessArgs;

/// Arguments of `clip-data train`.
#[derive(clap::Args, Clone)]
pub struct TrainArgs {
    /// Shards: files, folders, globs, braces as in `shards/{00000..00012}.tar`, s3://, gs://, az://
    /// or https://; several by `::`
    #[arg(long, value_name = "SPEC")]
    pub train_data: Option<String>,
    /// How often pairs of each of several sources come in an epoch, as in `1::0.5`
    #[arg(long, value_name = "WEIGHTS")]
    pub train_data_upsampling_factors: Option<String>,
    /// Column of the Parquet beside each shard with how often a pair comes in an epoch (balancing)
    #[arg(long, value_name = "COLUMN")]
    pub weight_column: Option<String>,
    /// Fields with captions, and how often each is drawn: txt=0.3 json.recaption=0.7
    /// [default: the list `captions` of the JSON, else txt]
    #[arg(long, value_name = "FIELD=SHARE", num_args = 1..)]
    pub caption_keys: Vec<String>,
    /// Shards that are shuffled together, in each of the streams of a corpus that is too large to
    /// shuffle as a whole; `whole` for all [default: whole for local shards of up to 50 GB,
    /// else 8, or as many small ones as hold 80,000 pairs]
    #[arg(long, value_name = "SHARDS", value_parser = window)]
    pub shuffle_window: Option<Window>,
    /// Draw shards with replacement in each pass
    #[arg(long)]
    pub dataset_resampled: bool,
    /// Where copies of remote shards are kept [default: in the cache folder]
    #[arg(long, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Gigabytes of copies of remote shards that are kept, at most [default: 200]
    #[arg(long, value_name = "GB", value_parser = gigabytes)]
    pub cache_limit: Option<f64>,
    /// webdataset; csv: a table of image files and captions; synthetic: drawings made on the spot
    /// [default: by the ending of --train-data]
    #[arg(long, value_name = "TYPE")]
    pub dataset_type: Option<String>,
    /// The table's column with paths of images [default: filepath]
    #[arg(long, value_name = "COLUMN")]
    pub csv_img_key: Option<String>,
    /// The table's column with captions [default: title]
    #[arg(long, value_name = "COLUMN")]
    pub csv_caption_key: Option<String>,
    /// What is between the table's cells [default: a tab]
    #[arg(long, value_name = "CHARACTER")]
    pub csv_separator: Option<String>,
    /// Samples of an epoch, whatever the shards have (all pairs by default); of a synthetic data
    /// set 10,000 by default
    #[arg(long, value_name = "N")]
    pub train_num_samples: Option<u64>,
    /// Held-out shards for retrieval and loss
    #[arg(long, value_name = "SPEC")]
    pub val_data: Option<String>,
    /// Use the first N of their pairs only
    #[arg(long, value_name = "N", value_parser = positive)]
    pub val_num_samples: Option<usize>,
    /// Evaluation set for zero-shot classification, a path or NAME=PATH; may be given again
    #[arg(long, value_name = "SET")]
    pub zeroshot: Vec<String>,
    /// ImageNet's validation folder, scored with OpenAI's 80 templates
    #[arg(long, value_name = "DIR")]
    pub imagenet_val: Option<PathBuf>,
    /// ImageNetV2's folder, scored in the same way
    #[arg(long, value_name = "DIR")]
    pub imagenet_v2: Option<PathBuf>,
    /// contamination.json of the corpus: --zeroshot scores are given on Clean and Overlap, too
    #[arg(long, value_name = "FILE")]
    pub contamination: Option<PathBuf>,
    /// An experiment on the copies that --contamination found; as many other pairs are held out,
    /// and train in no place (keep), in those of the copies (replace), or in others (placebo)
    #[arg(long, value_name = "ARM", requires = "contamination", value_parser = ["keep", "replace", "placebo"])]
    pub copies: Option<String>,
    /// Epochs between two evaluations on --val-data, and one at the end; 0 for none [default: 1]
    #[arg(long, value_name = "N")]
    pub val_frequency: Option<u64>,
    /// Epochs between two evaluations on --zeroshot, and one at the end; 0 for none [default: 2]
    #[arg(long, value_name = "N")]
    pub zeroshot_frequency: Option<u64>,

    /// Model and recipe: paper/ViT-B-32, openclip/RN50 and the like, emoji, or a .json file
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Model, with open_clip's recipe: ViT-B-32, RN50-quickgelu and the like, or a .json file
    #[arg(long, conflicts_with = "preset", value_name = "NAME")]
    pub model: Option<String>,
    /// The paper's RN50, scaled by its rule to K times its compute; no other model can be scaled
    #[arg(long, value_name = "K")]
    pub scale: Option<f64>,
    /// Weights to start from: a checkpoint of any kind that `clip-data convert` reads, or in the
    /// cache of Hugging Face by open_clip's name or as hf-hub:ORG/NAME
    #[arg(long, value_name = "PATH|NAME")]
    pub pretrained: Option<PathBuf>,
    /// Weights of the image tower alone to start from, of any such checkpoint; the text tower is
    /// fresh
    #[arg(long, conflicts_with = "pretrained", value_name = "PATH|NAME")]
    pub pretrained_image: Option<PathBuf>,
    /// QuickGELU, whatever the model's name says
    #[arg(long)]
    pub force_quick_gelu: bool,
    /// Side of the images
    #[arg(long, value_name = "PIXELS")]
    pub force_image_size: Option<i64>,
    /// Tokens in a text, start and end included
    #[arg(long, value_name = "TOKENS")]
    pub force_context_length: Option<i64>,
    /// Its preprocessing.
    #[command(flatten)]
    pub preprocess: PreprocessArgs,
    /// Share of patches that a vision transformer does not see in training
    #[arg(long, value_name = "SHARE")]
    pub force_patch_dropout: Option<f64>,
    /// Leave the image tower as it is
    #[arg(long)]
    pub lock_image: bool,
    /// All but its last N groups of layers
    #[arg(long, default_value_t = 0, value_name = "N", requires = "lock_image")]
    pub lock_image_unlocked_groups: usize,
    /// Always so: a locked tower's batch normalisation goes by its running statistics, which stay
    #[arg(long, hide = true, requires = "lock_image")]
    pub lock_image_freeze_bn_stats: bool,
    /// Leave the text tower as it is
    #[arg(long)]
    pub lock_text: bool,
    /// All but its last N groups of layers
    #[arg(long, default_value_t = 0, value_name = "N", requires = "lock_text")]
    pub lock_text_unlocked_layers: usize,

    /// The run's name, and its folder under --logs [default: made from the time and the settings]
    #[arg(long)]
    pub name: Option<String>,
    /// Where runs are
    #[arg(long, default_value = "logs")]
    pub logs: PathBuf,
    /// Resume from `latest` of this run (done anyway), another run's folder or a checkpoint's, or
    /// open_clip's epoch_N.pt
    #[arg(long, value_name = "PATH")]
    pub resume: Option<String>,
    /// Minutes between checkpoints
    #[arg(long, default_value_t = 5.0, value_name = "MINUTES", value_parser = minutes)]
    pub save_minutes: f64,
    /// Steps between checkpoints; 0 for none but those by time
    #[arg(long, default_value_t = 0, value_name = "STEPS")]
    pub save_steps: u64,
    /// Epochs between open_clip's epoch_N.pt; 0 for none
    #[arg(long, default_value_t = 1, value_name = "EPOCHS")]
    pub save_frequency: u64,
    /// Checkpoints that are kept
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = positive)]
    pub keep: usize,
    /// Stop with a checkpoint after this many minutes; the same command continues
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    pub max_minutes: Option<f64>,
    /// tensorboard: event files; wandb: a file for `wandb sync`; all: both
    #[arg(long, default_value = "", value_name = "WHERE")]
    pub report_to: String,
    /// Project of Weights & Biases [default: open-clip]
    #[arg(long, value_name = "NAME")]
    pub wandb_project_name: Option<String>,
    /// Steps between two lines of out.log
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = positive_count)]
    pub log_every_n_steps: u64,

    /// Passes over the corpus
    #[arg(long)]
    pub epochs: Option<u64>,
    /// Pairs that a process takes through the model at a time
    #[arg(long, value_name = "N")]
    pub batch_size: Option<usize>,
    /// Chunks of --batch-size that make a batch on each process
    #[arg(long, value_name = "N", value_parser = positive)]
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
    /// adamw; lion; muon: for the matrices of transformers' blocks, with AdamW for the rest
    #[arg(long, value_name = "NAME")]
    pub opt: Option<String>,
    /// Peak learning rate
    #[arg(long)]
    pub lr: Option<f64>,
    /// Layer-wise learning rates: what the rate is multiplied with for each layer from the end of a
    /// tower to its start
    #[arg(long, value_name = "DECAY")]
    pub layer_decay: Option<f64>,
    /// Decay of Adam's first moment, and of Lion's step
    #[arg(long)]
    pub beta1: Option<f64>,
    /// Decay of Adam's second moment, and of Lion's only one
    #[arg(long)]
    pub beta2: Option<f64>,
    /// Decay of Muon's momentum
    #[arg(long)]
    pub momentum: Option<f64>,
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
    /// Power by which it decays
    #[arg(long, value_name = "POWER")]
    pub lr_cooldown_power: Option<f64>,
    /// auto (bfloat16 where the machine multiplies it, else float32), amp (float16), amp_bf16 or
    /// fp32 [default: auto; of presets paper/MODEL: amp]
    #[arg(long)]
    pub precision: Option<String>,
    /// none, square-crop, rrc(0.9,1) or small
    #[arg(long)]
    pub augment: Option<String>,
    /// open_clip's augmentation: scale='(0.4, 1.0)' color_jitter='(0.32, 0.32, 0.32, 0.08)'
    /// color_jitter_prob=0.8 gray_scale_prob=0.2
    #[arg(long, value_name = "KEY=VALUE", num_args = 1.., conflicts_with = "augment")]
    pub aug_cfg: Vec<String>,
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
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = positive)]
    pub workers: usize,
    /// Memory for decoded images, in MB [default: 2000]
    #[arg(long, value_name = "MB")]
    pub cache_mb: Option<u64>,
    /// auto, cpu, cuda or cuda:N
    #[arg(long, default_value = "auto")]
    pub device: String,
    /// Train in this many processes on this machine
    #[arg(long, value_name = "N", value_parser = positive)]
    pub nproc: Option<usize>,
    /// Where processes meet: env:// or tcp://HOST:PORT [default: env://]
    #[arg(long, value_name = "URL", conflicts_with = "nproc")]
    pub dist_url: Option<String>,
    /// gloo or nccl [default: nccl on GPUs]
    #[arg(long, value_name = "NAME")]
    pub dist_backend: Option<String>,
    /// Seconds that processes wait for each other [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = positive_count)]
    pub dist_timeout: Option<u64>,
    /// Always so: each process computes its rows of the similarity matrix
    #[arg(long, hide = true)]
    pub local_loss: bool,
    /// Always so: gradients flow through gathered features
    #[arg(long, hide = true)]
    pub gather_with_grad: bool,
}

/// A number of at least one.
fn positive_count(text: &str) -> Result<u64, String> {
    let number = text.parse::<u64>().ok().filter(|&number| number > 0);
    number.ok_or_else(|| "a whole number of at least 1 is wanted".into())
}

/// The same, of things in memory.
fn positive(text: &str) -> Result<usize, String> {
    positive_count(text)?.try_into().map_err(|_| "the number is too large".into())
}

/// What is shuffled together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// All pairs.
    Whole,
    /// Those of some shards.
    Shards(usize),
}

fn window(text: &str) -> Result<Window, String> {
    if text == "whole" {
        return Ok(Window::Whole);
    }
    positive(text).map(Window::Shards)
}

/// Up to a hundred petabytes.
fn gigabytes(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (1e-3..=1e8).contains(number));
    number.ok_or_else(|| "gigabytes from 0.001 to 100000000 are wanted".into())
}

/// Minutes, up to two years.
fn minutes(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| (0.0..=1e6).contains(number));
    number.ok_or_else(|| "minutes from 0 to 1000000 are wanted".into())
}
