//! `clip-data contamination`: which evaluation items a corpus holds, and what that does to a score.

mod build;
mod corpus;
mod decided;
mod pages;
mod retrain;
mod retrain_report;
mod text_report;
mod texts;
mod this_build;

pub use this_build::is_of as is_of_build;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_cli::ProgressArgs;
use clip_overlap::{ContaminationReport, SetReport, predictions};
use decided::decisions;

use super::PipelineArgs;
use crate::exit;

/// Arguments of `clip-data contamination`.
#[derive(clap::Args)]
pub struct Args {
    /// A corpus: shards (.tar, braces, globs), lists with hashes or images (.parquet, .csv, .tsv,
    /// .jsonl), a folder of those or of images; may be given again. Without it, the corpus is
    /// the pipeline's
    #[arg(long, value_name = "PATH", requires = "eval")]
    corpus: Vec<String>,
    /// An evaluation set, as `clip-data eval` takes it; may be given again
    #[arg(long, value_name = "NAME=PATH", value_parser = named, requires = "corpus")]
    eval: Vec<(String, PathBuf)>,
    /// Where the report goes, and what a later run reuses; that of a build is in its run's folder
    /// [default: contamination]
    #[arg(short, long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Predictions of a model on a set: Parquet from `clip-data eval`, or CSV with key, correct
    /// and, if you like, label and value; may be given for each set
    #[arg(long, value_name = "SET=FILE", value_parser = named)]
    predictions: Vec<(String, PathBuf)>,
    /// Sets that are judged at once (Bonferroni's m); all that have predictions when absent
    #[arg(long, value_name = "M", requires = "predictions")]
    tests: Option<usize>,
    /// Thresholds and accepted or rejected pairs, as a contact sheet saves them; those in
    /// decisions.json of the report's folder, where `clip-data serve` writes them, when absent
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// Least score of a copy, from 0 to 1, of every set or of one
    #[arg(long, value_name = "[SET=]SCORE", value_parser = threshold)]
    threshold: Vec<(Option<String>, f32)>,
    /// Set each threshold by the marks in --decisions or decisions.json, so that this share of
    /// marked pairs from it on is accepted, and save it there
    #[arg(long, value_name = "PRECISION", num_args = 0..=1, default_missing_value = "0.95")]
    calibrate: Option<f64>,
    /// A pairs.parquet (images) or texts.parquet (captions) of an earlier report: the rows that it
    /// names count as removed; a report's folder means its pairs.parquet; may be given again
    #[arg(long, value_name = "FILE", requires = "corpus")]
    without: Vec<PathBuf>,
    /// Exit with 1 when more than this share of a set's images or of its captions (0.01 or 1%) is
    /// in the corpus
    #[arg(long, value_name = "SHARE", value_parser = share)]
    max_rate: Option<f64>,
    /// Exit with 1 when a set's All - Clean is more than this (0.005 or 0.5%)
    #[arg(long, value_name = "SHARE", value_parser = share, requires = "predictions")]
    max_inflation: Option<f64>,
    /// Where fingerprints of evaluation sets are kept; the user's cache folder when absent
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
    /// Look longer for images inside larger ones: screenshots, slides, collages, memes; a build's
    /// is `check.thorough`
    #[arg(long, requires = "corpus")]
    thorough: bool,
    /// A learned detector's folder, from `clip-data detector train`: it finds more and is surer
    /// (needs libtorch)
    #[arg(long, value_name = "DIR", requires = "corpus")]
    detector: Option<PathBuf>,
    /// Train with the copies, with other pairs in their places, and with as many other places
    /// changed, and report what the copies did to the score; options of `clip-data train` follow
    /// after -- (needs libtorch)
    #[arg(long, requires = "corpus", conflicts_with = "without")]
    retrain: bool,
    /// Seeds of --retrain, three trainings each [default: 3]
    #[arg(long, value_name = "N", requires = "retrain", value_parser = clap::value_parser!(u64).range(1..=1000))]
    seeds: Option<u64>,
    /// Options of the trainings
    #[arg(last = true, value_name = "TRAIN OPTIONS", requires = "retrain")]
    train: Vec<String>,
    /// List at most this many copies of each set
    #[arg(long, default_value_t = 20)]
    list: usize,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// `NAME=PATH`.
pub fn named(text: &str) -> Result<(String, PathBuf), String> {
    match clip_datasets::parse_named(text) {
        (Some(name), path) if !path.as_os_str().is_empty() => Ok((name, path)),
        _ => Err("must be NAME=PATH, with no slash in the name".to_owned()),
    }
}

fn threshold(text: &str) -> Result<(Option<String>, f32), String> {
    let (name, number) = match text.split_once('=') {
        Some((name, number)) => (Some(name.to_owned()), number),
        None => (None, text),
    };
    let number = number.parse::<f32>().ok().filter(|n| (0.0..=1.0).contains(n));
    Ok((name, number.ok_or("must be a score from 0 to 1, or SET=SCORE")?))
}

fn share(text: &str) -> Result<f64, String> {
    let (number, unit) = text.strip_suffix('%').map_or((text, 1.0), |number| (number, 100.0));
    let number = number.trim().parse::<f64>().ok().map(|n| n / unit);
    number
        .filter(|n| (0.0..=1.0).contains(n))
        .ok_or_else(|| "must be a share like 0.01 or 1%".into())
}

impl Args {
    fn out(&self) -> &Path {
        self.out.as_deref().unwrap_or(Path::new("contamination"))
    }
}

/// Compares, reports, and gates.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if !args.corpus.is_empty() && (args.pipeline.is_named() || !args.pipeline.set.is_empty()) {
        bail!(
            "--corpus: --config and --set are of a pipeline, whose corpus is another\nhint: one of them"
        );
    }
    if args.corpus.is_empty() && args.out.is_some() {
        bail!(
            "--out: the report of a build goes into its run's folder\nhint: leave it out, or give --corpus and --eval"
        );
    }
    retrain::check(&args)?;
    if args.corpus.is_empty() { build::run(&args) } else { corpus::run(&args) }
}

/// Says which names of sets are nearly a dataset's.
pub fn warn_of_names<'a>(names: impl IntoIterator<Item = &'a str>) {
    for text in names.into_iter().filter_map(clip_datasets::name_warning) {
        eprintln!("{text}");
    }
}

/// Names must be those of sets: a misspelt one would silently do nothing.
fn check_names(args: &Args, known: &[&str]) -> anyhow::Result<()> {
    let predictions = args.predictions.iter().map(|(name, _)| ("--predictions", name.as_str()));
    let thresholds =
        args.threshold.iter().filter_map(|(name, _)| Some(("--threshold", name.as_deref()?)));
    for (option, name) in predictions.chain(thresholds) {
        if !known.contains(&name) {
            bail!("{option} {name}: no such set\nhint: the sets are {}", known.join(", "));
        }
    }
    Ok(())
}

/// Adds the effects on the given predictions.
fn judge(args: &Args, sets: &mut [SetReport]) -> anyhow::Result<()> {
    let files: BTreeMap<_, _> = args.predictions.iter().cloned().collect();
    let tests = args.tests.unwrap_or(files.len());
    for set in sets {
        if let Some(file) = files.get(&set.name) {
            let predicted = predictions::read(file)?;
            let others = predictions::items(file)?.is_some_and(|items| {
                !set.item_hashes.is_empty() && !set.item_hashes.contains_all(&items)
            });
            if others {
                bail!(
                    "{}: its items are not those of {}: other keys or other images\nhint: predict the set that is under --eval",
                    file.display(),
                    set.name
                );
            }
            set.judge(&predicted, tests)?;
            let (of, items) = (predicted.len() as u64, set.items);
            if of < items {
                note!(
                    "{}: {} is of {of} of its {items} items: so is what is said of the score",
                    set.name,
                    file.display()
                );
            }
        }
    }
    Ok(())
}

/// Prints the account, says where it is, and lets the gates decide.
fn print_report(
    args: &Args,
    account: &ContaminationReport,
    folder: &std::path::Path,
) -> anyhow::Result<ExitCode> {
    let path = account.write(folder).context("the account was not written")?;
    print!("{}", text_report::tables(account, args.list));
    println!("report {}: {}", account.id, path.display());
    let faults = text_report::faults(account, args.max_rate, args.max_inflation);
    for fault in &faults {
        eprintln!("gate: {fault}");
    }
    Ok(if faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(exit::GATE) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_thresholds_are_read() {
        assert_eq!(share("1%"), Ok(0.01));
        assert_eq!(share("0.25"), Ok(0.25));
        assert!(share("2").is_err() && share("few").is_err());
        assert_eq!(threshold("0.9"), Ok((None, 0.9)));
        assert_eq!(threshold("toys=0.8"), Ok((Some("toys".into()), 0.8)));
        assert!(threshold("toys=8").is_err());
        assert!(named("toys").is_err() && named("=x").is_err() && named("toys=").is_err());
        assert_eq!(named("wds/cifar10=c").unwrap().0, "cifar10");
    }
}
