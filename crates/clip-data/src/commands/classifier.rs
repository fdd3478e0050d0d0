//! `clip-data classifier`: fastText models that choose captions, trained and asked.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Subcommand, ValueEnum, value_parser};
use clip_cli::Printable;
use clip_guard::read_lines;
use clip_text::{Classifier, ClassifierWorkspace, TrainLoss, TrainOptions, train_classifier};

/// Arguments of `clip-data classifier`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
#[allow(clippy::large_enum_variant, reason = "made once")]
enum Task {
    /// Train a supervised fastText model on wanted and unwanted texts
    Train(TrainArgs),
    /// Print the likeliest labels of each line of a file, as fastText's predict-prob does
    Predict(PredictArgs),
}

/// Arguments of `clip-data classifier train`; names and defaults are fastText's own.
#[derive(clap::Args)]
struct TrainArgs {
    /// Wanted texts, one a line: the label is `positive`
    #[arg(long, value_name = "FILE")]
    positive: PathBuf,
    /// Other texts, one a line: the label is `negative`
    #[arg(long, value_name = "FILE")]
    negative: PathBuf,
    /// The model to write, .bin
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
    /// Learning rate, which decreases to 0 over the training
    #[arg(long, default_value_t = 0.1)]
    lr: f64,
    /// Tokens after which the learning rate is set anew
    #[arg(long = "lrUpdateRate", alias = "lr-update-rate", value_name = "N", default_value_t = 100, value_parser = natural())]
    lr_update_rate: u32,
    /// Size of the vectors
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=4096))]
    dim: u32,
    /// Times that each line is seen
    #[arg(long, default_value_t = 5, value_parser = natural())]
    epoch: u32,
    /// Longest run of words that has a vector
    #[arg(long = "wordNgrams", alias = "word-ngrams", value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=32))]
    word_ngrams: u32,
    /// Least occurrences of a word
    #[arg(long = "minCount", alias = "min-count", value_name = "N", default_value_t = 1, value_parser = natural())]
    min_count: u32,
    /// Characters of the shortest subword, with --maxn
    #[arg(long, default_value_t = 0, requires = "maxn", value_parser = value_parser!(u32).range(..=32))]
    minn: u32,
    /// Characters of the longest subword [default: no subwords]
    #[arg(long, value_parser = value_parser!(u32).range(1..=32))]
    maxn: Option<u32>,
    /// Buckets that runs of words and subwords are hashed to [default: 2000000]
    #[arg(long, value_parser = value_parser!(u32).range(1..=1 << 27))]
    bucket: Option<u32>,
    /// Loss
    #[arg(long, value_enum, default_value_t)]
    loss: Loss,
    /// Negatives that are drawn with --loss ns [default: 5]
    #[arg(long, value_name = "N", value_parser = natural())]
    neg: Option<u32>,
    /// Of the first vectors, and of the order of the lines
    #[arg(long, default_value_t = 0, value_parser = value_parser!(u32).range(..1 << 31))]
    seed: u32,
    /// Threads; with more than one, two trainings give two models
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=1024))]
    thread: u32,
}

/// At least 1, and what fits into fastText's numbers.
fn natural() -> clap::builder::RangedI64ValueParser<u32> {
    value_parser!(u32).range(1..1 << 31)
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Loss {
    Ns,
    Hs,
    #[default]
    Softmax,
    #[value(name = "one-vs-all", alias = "ova")]
    OneVsAll,
}

/// Arguments of `clip-data classifier predict`.
#[derive(clap::Args)]
struct PredictArgs {
    /// A supervised fastText model, .bin or .ftz
    model: PathBuf,
    /// Texts, one a line; - for standard input
    file: PathBuf,
    /// Labels of each line; -1 for all
    #[arg(short, long, default_value_t = 1, allow_negative_numbers = true, value_parser = value_parser!(i64).range(-1..))]
    k: i64,
    /// Least probability of a label
    #[arg(long, default_value_t = 0.0)]
    threshold: f32,
}

/// Trains or asks.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.task {
        Task::Train(args) => train(&args)?,
        Task::Predict(args) => predict(&args)?,
    }
    Ok(ExitCode::SUCCESS)
}

impl TrainArgs {
    fn options(&self) -> anyhow::Result<TrainOptions> {
        if !(self.lr.is_finite() && self.lr > 0.0) {
            bail!("--lr {}: must be more than 0\nhint: fastText's own default is 0.1", self.lr);
        }
        let maxn = self.maxn.unwrap_or(0);
        if self.minn > maxn {
            bail!("--minn {} is more than --maxn {maxn}\nhint: --minn 3 --maxn 6", self.minn);
        }
        if self.neg.is_some() && self.loss != Loss::Ns {
            bail!("--neg has no effect\nhint: negatives are drawn with --loss ns alone");
        }
        let default = TrainOptions::default();
        let options = TrainOptions {
            lr: self.lr,
            lr_update_rate: self.lr_update_rate,
            dim: self.dim,
            epoch: self.epoch,
            word_ngrams: self.word_ngrams,
            min_count: self.min_count,
            minn: self.minn,
            maxn,
            bucket: self.bucket.unwrap_or(default.bucket),
            loss: match self.loss {
                Loss::Ns => TrainLoss::NegativeSampling,
                Loss::Hs => TrainLoss::HierarchicalSoftmax,
                Loss::Softmax => TrainLoss::Softmax,
                Loss::OneVsAll => TrainLoss::OneVsAll,
            },
            neg: self.neg.unwrap_or(default.neg),
            seed: self.seed,
            thread: self.thread,
        };
        if self.bucket.is_some() && !options.hashes() {
            bail!("--bucket has no effect\nhint: buckets are for --wordNgrams above 1 and --maxn");
        }
        Ok(options)
    }
}

fn train(args: &TrainArgs) -> anyhow::Result<()> {
    let options = args.options()?;
    let classes = [("positive", args.positive.as_path()), ("negative", args.negative.as_path())];
    let trained = train_classifier(&classes, &options, &args.out)?;
    for ((class, _), lines) in classes.iter().zip(&trained.lines) {
        println!("{class}: {lines} lines");
    }
    if trained.empty > 0 {
        println!("{} lines without a word were left out", trained.empty);
    }
    println!("{} words, mean loss {:.4}", trained.words, trained.loss);
    println!("model: {}", args.out.display());
    Ok(())
}

fn predict(args: &PredictArgs) -> anyhow::Result<()> {
    if !(0.0..=1.0).contains(&args.threshold) {
        bail!("--threshold {}: must be from 0 to 1", args.threshold);
    }
    let model = Classifier::open(&args.model)?;
    let k = usize::try_from(args.k).unwrap_or(usize::MAX);
    let shown = args.file.display().to_string();
    let reader: Box<dyn BufRead> = if args.file == Path::new("-") {
        Box::new(std::io::stdin().lock())
    } else {
        Box::new(BufReader::new(std::fs::File::open(&args.file).with_context(|| shown.clone())?))
    };
    let mut out = Printable(BufWriter::new(std::io::stdout().lock()));
    let mut workspace = ClassifierWorkspace::default();
    let mut line_out = String::new();
    read_lines(reader, |number, line| -> anyhow::Result<()> {
        let line = line.map_err(|reason| anyhow::anyhow!("{shown}: line {number}: {reason}"))?;
        let text = String::from_utf8_lossy(line);
        line_out.clear();
        for (label, prob) in model.predict(&text, k, args.threshold, &mut workspace) {
            let space = if line_out.is_empty() { "" } else { " " };
            line_out.push_str(&format!("{space}__label__{label} {prob}"));
        }
        Ok(writeln!(out, "{line_out}")?)
    })
    .with_context(|| shown.clone())?;
    out.flush()?;
    Ok(())
}
