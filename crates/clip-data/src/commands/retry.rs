//! `clip-data retry`: failed rows again, in place.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use clip_cli::ProgressArgs;
use clip_corpus::Manifest;
use clip_crawl::dataset::{self, Retried, Stats, Watch};
use clip_crawl::{ImageFetch, RetryFetch, rejected_rows};
use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::layout::{images_name, rejects_name, rows_name};
use clip_pipeline::{
    Config, Error, Outcome, RowCondition, Run, RunLayout, Selection, StageLayout, Status, Work,
};
use clip_sql::CompiledCondition;

use super::build::{engine, funnel, print_empty, write_summary};
use super::politeness::PolitenessArgs;
use crate::counter::Counter;
use crate::progress::watcher;
use crate::{exit, recipe};

/// Arguments of `clip-data retry`.
#[derive(clap::Args)]
pub struct Args {
    /// The output folder of a `clip-data fetch`; without it, a build is meant
    folder: Option<PathBuf>,
    /// The pipeline of the build
    #[arg(short, long, default_value = "pipeline.toml", conflicts_with = "folder", value_parser = super::pipeline_file())]
    config: PathBuf,
    /// Change a setting, as it was changed for the build
    #[arg(long, value_name = "KEY=VALUE", conflicts_with = "folder")]
    set: Vec<String>,
    /// Which rows, in SQL over the columns of the table, as in "error_kind in
    /// ('timeout','http_5xx') and url like '%.jpg'"; also error_message, caption
    #[arg(long = "where", value_name = "CONDITION")]
    wanted: String,
    #[command(flatten)]
    manners: PolitenessArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Asks again, and says what came of it.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let wanted: Arc<dyn RowCondition> = Arc::new(CompiledCondition::parse(&args.wanted)?);
    crate::open_files::open_many_files();
    let cancel = clip_cli::stop_flag(exit::STOPPING)?;
    match args.folder.clone() {
        Some(folder) => of_dataset(&args, &folder, &*wanted, &cancel),
        None => of_build(&args, &wanted, &cancel),
    }
}

/// Prints what came of it, and why; `command` is the same retry without its condition.
fn print_outcome(stats: &Stats, interrupted: bool, command: &str, wanted: &str) -> ExitCode {
    let asked = stats.count - stats.not_asked();
    println!("asked again: {asked}, there now: {}", stats.successes);
    if stats.count > 0 || !interrupted {
        print!("{}", dataset::retry_diagnosis(stats, command, wanted));
    }
    if interrupted {
        eprintln!("interrupted: run the same command again to resume");
        return ExitCode::from(exit::INTERRUPTED);
    }
    ExitCode::SUCCESS
}

fn of_dataset(
    args: &Args,
    folder: &Path,
    wanted: &dyn RowCondition,
    cancel: &AtomicBool,
) -> anyhow::Result<ExitCode> {
    let mut config = settings(folder, args.manners.allows_private())?;
    args.manners.apply(&mut config.fetch)?;
    let counter = Arc::new(Counter::new(args.progress.show()));
    let watch: Arc<dyn Watch> = counter.clone();
    let retried = dataset::retry(&config, wanted, &watch, cancel);
    counter.finish();
    let Retried { stats, interrupted } = retried?;
    let command = dataset::retry_command(folder, &config.fetch);
    Ok(print_outcome(&stats, interrupted, &command, &args.wanted))
}

/// The parts with such rows are done anew from what they kept and what comes now; what was made of
/// them is made again.
fn of_build(
    args: &Args,
    wanted: &Arc<dyn RowCondition>,
    cancel: &Arc<AtomicBool>,
) -> anyhow::Result<ExitCode> {
    let config = Config::load(&args.config, &args.set)?;
    let mut plan = recipe::plan(&config)?;
    let at = plan.find(ImageFetch::STAGE)?;
    let layout = plan.stages[at].layout.clone();
    if plan.stages[at].status != Status::Reuse {
        let why = "the fetch of this pipeline is not complete\nhint: run `clip-data build` first";
        return Err(Error::Config(format!("{}: {why}", args.config.display())).into());
    }
    let mut parts = Vec::new();
    for commit in Manifest::open(layout.dir())?.commits() {
        let rows = rejected_rows(&layout, commit.part, &**wanted)?;
        let kept = commit.file(&rows_name(commit.part)).is_some();
        if rows > 0 && kept && commit.file(&images_name(commit.part)).is_none() {
            let what = "a build with --lean removed the images of its other rows";
            let hint = "hint: `clip-data build --from fetch` fetches all of them again";
            let (path, part) = (args.config.display(), commit.part);
            return Err(Error::Config(format!("{path}: part {part}: {what}\n{hint}")).into());
        }
        if rows > 0 {
            parts.push(commit.part);
        }
    }
    let ends = Arc::new(Mutex::new(Stats::default()));
    let command = build_command(args)?;
    let outcome = |interrupted: bool| {
        let ends = ends.lock().unwrap_or_else(PoisonError::into_inner);
        print_outcome(&ends, interrupted, &command, &args.wanted)
    };
    if parts.is_empty() {
        return Ok(outcome(false));
    }
    let (mut fetch, image, wanted) = (config.fetch.clone(), config.image.clone(), wanted.clone());
    // PolitenessArgs of this run only: those of the pipeline name the stage.
    args.manners.apply(&mut fetch)?;
    let (stage, source, base) = (layout.clone(), config.source.clone(), config.base.clone());
    let counted = ends.clone();
    let opened: Arc<OnceLock<Weak<Run>>> = Arc::default();
    let of_run = opened.clone();
    plan.stages[at].spec.build = Box::new(move || {
        let fetch = ImageFetch::new(&fetch, &image, &source, &base)?;
        let of_run = of_run.clone();
        // First of all, what was made of the fetch goes: killed from then on, a build makes it
        // again.
        let changes = move || {
            let run = of_run.get().and_then(Weak::upgrade);
            let closed = || Error::stage(ImageFetch::STAGE, "the run is closed");
            run.ok_or_else(closed)?.invalidate_after(at)
        };
        let (wanted, counted) = (wanted.clone(), counted.clone());
        let again = RetryFetch::new(fetch, stage.clone(), wanted, counted, Box::new(changes));
        Ok(Work::Fetch(Box::new(again)))
    });
    let run = Run::open(plan, false, cancel.clone(), watcher(args.progress.show()))?;
    let run = Arc::new(run);
    let _ = opened.set(Arc::downgrade(&run));
    let engine = engine(&config);
    for part in parts {
        match run.run_part(at, part) {
            Ok(commit) => {
                if commit.file(&rejects_name(part)).is_none() {
                    // All its rows are there now; a file that is gone already is as good.
                    let _ = std::fs::remove_file(layout.rejects(part));
                }
            }
            Err(_) if cancel.load(Ordering::Relaxed) => {
                return Ok(outcome(true));
            }
            Err(error) => return Err(error.into()),
        }
    }
    let executed = run.execute(&Selection::default(), &engine)?;
    write_summary(&run)?;
    print!("{}", funnel(&run));
    let code = outcome(executed == Outcome::Interrupted);
    if executed == Outcome::Incomplete {
        eprintln!("incomplete: parts are missing\nhint: `clip-data build` resumes");
        return Ok(ExitCode::from(exit::INCOMPLETE));
    }
    if executed == Outcome::Empty {
        return Ok(print_empty(&run));
    }
    Ok(code)
}

/// The command for this build, with those flags of this run that the pipeline does not have.
fn build_command(args: &Args) -> anyhow::Result<String> {
    let mut given = FetchConfig::default();
    args.manners.apply(&mut given)?;
    let same = super::set_options(&args.set);
    let flags = dataset::access_flags(&given);
    Ok(format!("clip-data retry -c {}{same}{flags}", dataset::shell_word(&args.config)))
}

/// Whether a folder is a build's, or that of its shards.
fn of_a_build(folder: &Path) -> bool {
    let whole = folder.canonicalize().unwrap_or_default();
    RunLayout::new(folder).is_run()
        || whole.parent().is_some_and(|stage| StageLayout::new(stage).is_stage())
}

fn settings(folder: &Path, private: bool) -> anyhow::Result<dataset::DatasetConfig> {
    let config = dataset::settings(folder)?.ok_or_else(|| {
        let hint = if of_a_build(folder) {
            "it is a build's: `clip-data retry -c pipeline.toml --where …`, with the build's pipeline"
        } else {
            "for a data set of img2dataset, run `clip-data fetch` with its options once: shards that are there stay"
        };
        Error::Config(format!("{}: no settings of a fetch here\nhint: {hint}", folder.display()))
    })?;
    let mut fetch = config.fetch;
    // Whoever made the folder does not decide whether this machine's own network is asked.
    if std::mem::take(&mut fetch.allow_private) && !private {
        note!(
            "note: {} was fetched with private addresses allowed; --allow_private True allows them here, too",
            folder.display()
        );
    }
    // Nor who says where names lead, nor through whom requests go.
    fetch.dns.clear();
    fetch.proxy = None;
    (fetch.identity_key, fetch.identity_url) = (None, None);
    if let Some(fault) = fetch.fault().or_else(|| config.image.fault()) {
        return Err(Error::Config(format!("{}: its settings: {fault}", folder.display())).into());
    }
    // The folder may have been moved since.
    Ok(dataset::DatasetConfig { output_folder: folder.to_path_buf(), fetch, ..config })
}
