//! `clip-data report`: one HTML page of a build, a training, an evaluation and its contamination.

mod frequency;
mod scored;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::bail;
use clip_crawl::ImageFetch;
use clip_curate::{QualityFilter, Scores};
use clip_filter::{SelectStage, SemanticStage};
use clip_overlap::ContaminationReport;
use clip_pipeline::config::text::Quality;
use clip_pipeline::{Config, PartFileKind, RunReader, StageLayout};
use clip_report::{
    Page, QualityModel, Section, balance, compare, contamination, frequency, funnel, histograms,
    hosts, quality, quality_gates, reasons, retrained, rows_at_ends, rows_near_cuts,
    rows_near_limits, samples, select, shown_copies, spreads, stored, training,
};
use clip_score::Similarity;
use clip_sql::{Balance, run_hosts};

pub use frequency::tables;
pub use scored::{checkpoint_files, same_report};

use super::PipelineArgs;
use super::contamination::{is_of_build, named};
use crate::recipe;

/// Arguments of `clip-data report`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// A training's folder, logs/NAME; may be given again: the runs are shown side by side
    #[arg(long, value_name = "DIR")]
    training: Vec<PathBuf>,
    /// Another run's folder, runs/NAME: what each stage of both kept, and which settings differ
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    /// Scores from `clip-data eval --out`; may be given again
    #[arg(long, value_name = "FILE")]
    scores: Vec<PathBuf>,
    /// Predictions of a model on an evaluation set of the build: accuracy by how often the corpus
    /// names the class, and frequency.json beside the page; may be given for each set
    #[arg(long, value_name = "SET=FILE", value_parser = named)]
    predictions: Vec<(String, PathBuf)>,
    /// The contamination.json of `clip-data contamination --retrain`
    #[arg(long, value_name = "FILE")]
    retrain: Option<PathBuf>,
    /// The page; report.html in the run's folder when absent. With it, --training and --scores need
    /// no build: where there is no pipeline.toml, the page has them alone
    #[arg(short, long)]
    out: Option<PathBuf>,
}

impl Args {
    /// Whether a build is meant, and not a training or an evaluation alone, of pairs from
    /// elsewhere.
    fn about_a_build(&self) -> bool {
        let other = !(self.training.is_empty() && self.scores.is_empty());
        let named = !self.pipeline.set.is_empty()
            || self.against.is_some()
            || !self.predictions.is_empty()
            || self.retrain.is_some();
        !other || named || self.pipeline.is_named() || self.pipeline.config.exists()
    }
}

/// Writes the page and prints its path.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if let (false, Some(out)) = (args.about_a_build(), &args.out) {
        let mut page = Page::new("clip-data: training and evaluation");
        for section in scored::sections(&args.scores, &args.training, None)? {
            page.add(&section);
        }
        page.add(&training(&args.training)?);
        page.write(out)?;
        println!("report: {}", out.display());
        return Ok(ExitCode::SUCCESS);
    }
    let config = args.pipeline.load()?;
    let plan = recipe::plan(&config)?;
    if !plan.layout.is_run() {
        let (dir, path) = (plan.layout.dir().display(), args.pipeline.config.display());
        bail!("{dir}: no build is here\nhint: run `clip-data build -c {path}` first");
    }
    let run = RunReader::open(plan.layout.dir())?;
    if !run.finished {
        note!(
            "{}: the build is not finished, this is what it has done",
            run.layout.dir().display()
        );
    }
    let mut page = Page::new(&format!("clip-data: {}", config.name));
    let path = run.layout.dir().join(ContaminationReport::FILE);
    let mut stale = None;
    let account = match &config.check {
        Some(check) if path.is_file() => {
            let account = ContaminationReport::read(&path)?;
            let own = is_of_build(&account, &run)?;
            if !own {
                let path = path.display();
                note!(
                    "{path}: left out, it is not of this build as it is now: run `clip-data contamination` again"
                );
            }
            if !own {
                stale = Some(account.id.clone());
            }
            own.then_some((check, account))
        }
        _ => None,
    };
    let beside = account.as_ref().map(|(_, account)| account);
    if let Some(stale) = stale {
        scored::refuse_split_by(&args.scores, &stale)?;
    }
    for section in scored::sections(&args.scores, &args.training, beside)? {
        page.add(&section);
    }
    if let Some((check, account)) = &account {
        let paths = |(name, path): (&String, &PathBuf)| (name.clone(), config.path(path));
        let sets = check.against.iter().map(paths).collect();
        let fetched = &run.stage(ImageFetch::STAGE)?.layout;
        let images = stored(&shown_copies(account), fetched, &run.layout.shards())?;
        page.add(&contamination(account, &sets, &images)?);
    }
    let found = frequency::frequencies(&config, &run, &args.predictions)?;
    found.iter().for_each(|found| page.add(&frequency(found)));
    if let Some(path) = &args.retrain {
        page.add(&trained_without(path)?);
    }
    page.add(&training(&args.training)?);
    page.add(&funnel(run.stages()));
    if let Some(other) = &args.against {
        page.add(&compare(&run, &RunReader::open(other)?)?);
    }
    let (why, from) = hosts_of(&run)?;
    page.add(&why);
    page.add(&from);
    let account = run.find("balance").map(|stage| &stage.layout).map(StageLayout::scratch);
    let account = account.map(|scratch| scratch.join(Balance::ACCOUNT));
    if let Some(account) = account.filter(|path| path.is_file()) {
        let lists = config.queries.is_some().then(recipe::query_lists(&config)).transpose()?;
        let name = |id: u32| {
            let query = lists.as_ref().and_then(|lists| lists.get(id));
            query.map_or_else(|| id.to_string(), |query| query.text.clone())
        };
        page.add(&balance(&account, &name)?);
    }
    gates(&config, &run, &mut page)?;
    // A build that was stopped, or that left no pair, has none.
    if run.layout.shards().is_dir() {
        page.add(&samples(&run.layout.shards(), 32)?);
    }
    let out = args.out.unwrap_or_else(|| run.layout.report());
    page.write(&out)?;
    if !found.is_empty() {
        let path = out.with_file_name(frequency::FILE);
        let text = serde_json::to_string_pretty(&found)? + "\n";
        clip_format::write_atomic(&path, text.as_bytes())?;
        println!("classes: {}", path.display());
    }
    println!("report: {}", out.display());
    Ok(ExitCode::SUCCESS)
}

/// What training without the copies changed.
fn trained_without(path: &Path) -> anyhow::Result<Section> {
    let account = ContaminationReport::read(path)?;
    if account.sets.iter().all(|set| set.retrained.is_none()) {
        let hint = "hint: `clip-data contamination --corpus SHARDS --retrain` writes one that is";
        bail!("{}: of no --retrain\n{hint}", path.display());
    }
    let about = "What the copies of evaluation items in the corpus did to the scores.";
    Ok(retrained(Section::new("Trained without the copies", about), &account))
}

/// What models and columns chose, stage by stage: histograms, and pairs on both sides of each cut.
fn gates(config: &Config, run: &RunReader, page: &mut Page) -> anyhow::Result<()> {
    let fetched = run.stage(ImageFetch::STAGE)?.layout.clone();
    if let Some(stage) = run.find(QualityFilter::STAGE) {
        let model = |quality: &Quality| QualityModel {
            name: quality.name.clone(),
            min_prob: quality.min_prob,
        };
        let models: Vec<QualityModel> = config.quality.iter().map(model).collect();
        let files = |kind| stage.layout.files(kind);
        let gates =
            quality_gates(&models, &files(PartFileKind::Rows)?, &files(PartFileKind::Rejects)?)?;
        let images = stored(&rows_near_limits(&gates), &fetched, &run.layout.shards())?;
        let about = "The probability that each model gives captions, its limit, and captions on both sides of it. \
                     What was dropped was not fetched.";
        page.add(&section("Quality of captions", about, &quality(&gates, &images)));
    }
    for score in &config.score {
        let Some(stage) = run.find(&Scores::stage(&score.name)) else { continue };
        let names = Similarity::of(&score.name).names().map(str::to_owned);
        let names: Vec<String> = names.into_iter().chain(score.columns()).collect();
        let found = spreads(&stage.layout.files(PartFileKind::Rows)?, &names)?;
        let images = stored(&rows_at_ends(&found), &fetched, &run.layout.shards())?;
        let about = "How the scores of the pairs are distributed, and the images at both ends.";
        let html = histograms(&found, &images);
        page.add(&section(&format!("Scores by {}", score.name), about, &html));
    }
    for (stage, account, title, about) in [
        (
            SemanticStage::STAGE,
            SemanticStage::ACCOUNT,
            "Selection by embeddings",
            "What was dropped in clusters that no target is in, and of images that are alike: how near each image \
             is to one before it in its cluster. For targets, the margin is by how much the nearest cluster \
             without one is farther than the nearest with one, in squared distances.",
        ),
        (
            SelectStage::STAGE,
            SelectStage::ACCOUNT,
            "Selection",
            "What each condition and each fraction dropped, the values of its column, and where it was cut.",
        ),
    ] {
        let account = run.find(stage).map(|stage| stage.layout.scratch().join(account));
        if let Some(account) = account.filter(|path| path.is_file()) {
            let images = stored(&rows_near_cuts(&account)?, &fetched, &run.layout.shards())?;
            page.add(&section(title, about, &select(&account, &images)?));
        }
    }
    Ok(())
}

fn section(title: &str, about: &str, html: &str) -> Section {
    Section::new(title, about).markup(html)
}

/// Why pairs were dropped, and what became of each host's.
fn hosts_of(run: &RunReader) -> anyhow::Result<(Section, Section)> {
    let scratch = tempfile::tempdir()?;
    let Some(last) = run.stages().last() else { return Ok(Default::default()) };
    let (why, from) = run_hosts(run.stages(), last, scratch.path())?;
    let stages = run.stages().iter().map(|stage| &*stage.name);
    let why = reasons(&why, stages, |_, reason| reason.into());
    Ok((why, hosts(&from, |host| host.into())))
}
