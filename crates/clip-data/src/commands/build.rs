//! `clip-data build`: the corpus, every stage, resumable.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clip_cli::ProgressArgs;
use clip_corpus::{Commit, Manifest};
use clip_crawl::{COLLECT, ImageFetch, dataset};
use clip_curate::ShardSink;
use clip_pipeline::config::corpus::EngineKind;
use clip_pipeline::layout::images_name;
use clip_pipeline::{
    Config, Error, LocalEngine, Outcome, Plan, PlannedStage, Run, Selection, Status,
};

use super::PipelineArgs;
use super::cluster::SecretArgs;
use super::contamination::warn_of_names;
use crate::progress::watcher;
use crate::{cluster, exit, recipe};

/// Arguments of `clip-data build`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    pipeline: PipelineArgs,
    /// Do this stage and those after it again
    #[arg(long, value_name = "STAGE")]
    from: Option<String>,
    /// Stop after this stage
    #[arg(long, value_name = "STAGE")]
    until: Option<String>,
    /// Do only part i of N, as one of N array jobs (i from 0)
    #[arg(long, value_name = "I/N", value_parser = clip_cli::part)]
    part: Option<(usize, usize)>,
    /// Store no image twice: a part's images are removed when the shards have them; `retry`, and
    /// other settings of a stage behind the fetch, have to fetch them again
    #[arg(long, conflicts_with = "part")]
    lean: bool,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    progress: ProgressArgs,
}

/// Builds, prints the funnel, and says where the shards are.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let config = args.pipeline.load()?;
    let sets = config.check.iter().flat_map(|check| check.against.keys());
    warn_of_names(sets.map(String::as_str));
    let plan = recipe::plan(&config)?;
    let cancel = clip_cli::stop_flag(exit::STOPPING)?;
    let distributed = config.engine.kind == EngineKind::Ballista;
    if distributed && args.part.is_some() {
        let hint =
            "hint: a cluster hands out parts itself; `--set engine.kind=local` for array jobs";
        return Err(
            Error::Config(format!("--part with `engine.kind = \"ballista\"`\n{hint}")).into()
        );
    }
    if !distributed && args.secret.secret_file.is_some() {
        let hint = "hint: `--set engine.kind=ballista` builds on a cluster";
        return Err(Error::Config(format!("--secret-file without a cluster\n{hint}")).into());
    }
    if args.lean && args.until.as_deref().is_some_and(|until| until != ShardSink::STAGE) {
        let hint = "hint: leave out --lean until the shards are made";
        return Err(Error::Config(format!("--lean has no effect before the shards\n{hint}")).into());
    }
    match &args.from {
        Some(from) => check_from(&plan, from, args.until.as_deref())?,
        None if args.until.is_none() => {
            if let Some(why) = lacks_images(&plan)? {
                return Err(Error::Config(format!("{}: {why}", ShardSink::STAGE)).into());
            }
        }
        None => {}
    }
    // On a cluster it is the workers that have the models.
    if !distributed {
        recipe::check_models(&config, &plan, args.from.as_deref(), args.until.as_deref())?;
    }
    let secret = if distributed { args.secret.find()? } else { None };
    let shared = distributed || args.part.is_some();
    crate::open_files::open_many_files();
    let mut run = Run::open(plan, shared, cancel, watcher(args.progress.show()))?;
    if args.lean {
        run = run.lean()?;
    }
    let selection = Selection { from: args.from, until: args.until, job: args.part };
    let outcome = if distributed {
        let (path, set) = (&args.pipeline.config, &args.pipeline.set);
        let engine = Arc::new(cluster::engine(path, set, &config, &run.plan, secret)?);
        // The workers do not see this process's copy of what is in a store: barriers decide here.
        if run.plan.store.is_none() {
            run = run.with_queries(engine.clone());
        }
        run.execute(&selection, &*engine)
    } else {
        run.execute(&selection, &engine(&config))
    };
    if outcome.is_err() && run.funnel().iter().any(|(_, counts)| counts.rows_out > 0) {
        // What is there can be looked at. The failure that is reported is the first one.
        let _ = run.write_summary();
    }
    let outcome = outcome?;
    let shards = write_summary(&run)?;
    print!("{}", funnel(&run));
    match outcome {
        Outcome::Done => {
            print!("{}", retry_hint(&run, &args.pipeline));
            match (&run.plan.store, shards) {
                (Some(store), _) => println!(
                    "run: {}\nhint: `clip-data pull` copies it here, for reports and training",
                    store.address()
                ),
                (None, Some(shards)) => println!("shards: {}", shards.display()),
                (None, None) => {}
            }
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Incomplete => {
            eprintln!("incomplete: parts are missing\nhint: run the same command again to resume");
            Ok(ExitCode::from(exit::INCOMPLETE))
        }
        Outcome::Interrupted => {
            eprintln!("interrupted: run the same command again to resume");
            Ok(ExitCode::from(exit::INTERRUPTED))
        }
        Outcome::Empty => {
            print!("{}", retry_hint(&run, &args.pipeline));
            Ok(print_empty(&run))
        }
    }
}

/// Refuses to do a stage again before anything is removed for it: after `until`, and where a lean
/// build has removed the images that it needs, what is there could not be made again.
fn check_from(plan: &Plan, from: &str, until: Option<&str>) -> Result<(), Error> {
    let at = plan.find(from)?;
    if let Some(until) = until
        && at > plan.find(until)?
    {
        let hint = "hint: leave out --until, or name a stage that is not before that of --from";
        return Err(Error::Config(format!("--from {from} comes after --until {until}\n{hint}")));
    }
    if at > plan.find(ImageFetch::STAGE)? && is_lean(plan)? {
        return Err(Error::Config(format!("--from {from}: {LEAN}")));
    }
    Ok(())
}

/// Why nothing behind the fetch is made again, and what to do about it.
const LEAN: &str = "a build with --lean removed the images of the fetch, and its shards alone have them\n\
    hint: `clip-data build --from fetch` fetches them again; what is there stays until it is asked for";

/// Whether a lean build has removed images of a plan's fetch.
fn is_lean(plan: &Plan) -> Result<bool, Error> {
    let layout = &plan.stages[plan.find(ImageFetch::STAGE)?].layout;
    if !layout.is_stage() {
        return Ok(false);
    }
    let lean = |commit: &Commit| {
        commit.counts.rows_out > 0 && commit.file(&images_name(commit.part)).is_none()
    };
    Ok(Manifest::open(layout.dir())?.commits().any(lean))
}

/// What keeps shards from being made, although the fetch is done: a lean build removed its images.
pub fn lacks_images(plan: &Plan) -> Result<Option<&'static str>, Error> {
    let fetch = plan.find(ImageFetch::STAGE)?;
    let fetched = plan.stages[fetch].status == Status::Reuse;
    // A lean build that was stopped has the images of the shards that are missing.
    let none = |last: &PlannedStage| {
        matches!(last.status, Status::Run(_) | Status::Resume { done: 0, .. })
    };
    let shards = plan.stages.last().is_some_and(none);
    Ok((fetched && shards && is_lean(plan)?).then_some(LEAN))
}

/// Reports that a stage left no pair.
pub fn print_empty(run: &Run) -> ExitCode {
    let stage = run.funnel().into_iter().find(|(_, counts)| counts.rows_out == 0);
    let stage = stage.map_or("the last stage", |(stage, _)| stage);
    eprintln!(
        "no pair is left after {stage}: there are no shards\nhint: the table above has the reasons; `clip-data explain URL`, with the same --config, prints what each stage did to one pair"
    );
    ExitCode::from(exit::GATE)
}

/// This process, with as many workers as the settings ask for.
pub fn engine(config: &Config) -> LocalEngine {
    let mut engine = LocalEngine::default();
    engine.workers = config.engine.workers.unwrap_or(engine.workers).max(1);
    engine
}

/// The funnel as a table: rows in, out, and dropped by reason, for each stage.
pub fn funnel(run: &Run) -> String {
    let mut rows = vec![["stage", "in", "out", "dropped"].map(str::to_owned).to_vec()];
    // Below those that are dropped, with what it counts; of what is not dropped, without a number
    // there.
    let below = |count: &str, what: &str| {
        let mut row = vec![String::new(); 3];
        row.extend([count, what].map(str::to_owned));
        row
    };
    for ((stage, counts), planned) in run.funnel().into_iter().zip(&run.plan.stages) {
        if !planned.layout.is_stage() && counts.rows_in == 0 {
            rows.push([stage, "-", "-", "-"].map(str::to_owned).to_vec());
            continue;
        }
        let numbers = [counts.rows_in, counts.rows_out, counts.rejected()];
        rows.push([&[stage.to_string()][..], &numbers.map(|n| n.to_string())].concat());
        if counts.urls > 0 && counts.urls < counts.rows_in {
            rows.push(below("", &format!("{} URLs asked, each once in a part", counts.urls)));
        }
        if counts.flagged > 0 {
            rows.push(below("", &format!("{} flagged, which continue", counts.flagged)));
        }
        let mut reasons: Vec<_> = counts.dropped.iter().collect();
        reasons.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), reason.as_str()));
        rows.extend(reasons.into_iter().map(|(reason, count)| below(&count.to_string(), reason)));
    }
    clip_cli::table(&rows, &[1, 2, 3])
}

/// How to ask again for pages and images that may come another time.
fn retry_hint(run: &Run, pipeline: &PipelineArgs) -> String {
    let dropped = |wanted: &str| {
        let found = run.funnel().into_iter().find(|(stage, _)| *stage == wanted);
        found.map(|(_, counts)| counts.dropped.clone()).unwrap_or_default()
    };
    let command = |name: &str| {
        let config = dataset::shell_word(&pipeline.config);
        format!("clip-data {name} -c {config}{}", super::set_options(&pipeline.set))
    };
    let pages = format!("{} --from {COLLECT}", command("build"));
    let mut text = dataset::pages_hint(&dropped(COLLECT), &pages);
    // A retry writes the parts of such rows anew, and would have no images for the others.
    if !is_lean(&run.plan).unwrap_or(true) {
        text += &dataset::retry_hint(&dropped(ImageFetch::STAGE), &command("retry"));
    }
    text
}

/// Writes the run's summary and points `shards` at the newest complete shards.
pub fn write_summary(run: &Run) -> anyhow::Result<Option<PathBuf>> {
    run.write_summary()?;
    let Some(last) = run.plan.stages.last().map(|stage| &stage.layout) else { return Ok(None) };
    let shards = last.shards();
    if !shards.is_dir() {
        return Ok(None);
    }
    let link = run.plan.layout.shards();
    let target = shards.strip_prefix(run.plan.layout.dir()).unwrap_or(&shards);
    clip_format::link_atomic(target, &link)?;
    Ok(Some(link))
}
