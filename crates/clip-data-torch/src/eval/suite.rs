//! `clip-data eval suite`.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_cli::counted;
use clip_cli::torch::{ModelArgs, ModelPath, PromptArgs, SuiteArgs};
use clip_datasets::{EvalSet, Frames, OpenOptions, Protocol, Split, Task};
use clip_eval::{
    AuditedItems, DataCompLine, FeatureOptions, ResultFile, ResultRecord, ZeroShotOptions, choices,
    retrieval, write_predictions, zero_shot,
};
use clip_format::FileError;
use clip_model::{LoadOptions, PreprocessCfg, Weights};
use serde::Serialize;
use serde_json::Value;

use super::audit::Audit;
use super::choice::{self, Choices};
use super::inputs::{Model, other_size, progress, progress_of, store_json, warn};
use super::{page, results, retrieval as retrieve, zero_shot as zero};
use crate::model::{config_hash, load_options, weights_path};

/// Runs what is missing, then prints one table of all that is there. Exit code 3 when a set failed:
/// the others are done, and the same command tries it again.
pub fn run(args: SuiteArgs) -> anyhow::Result<ExitCode> {
    let opening = load_options(&args.options)?;
    names_apart(&args.dataset)?;
    std::fs::create_dir_all(&args.out).with_context(|| args.out.display().to_string())?;
    let audit = args.contamination.as_deref().map(Audit::open).transpose()?;
    let (mut asked, mut failed) = (HashSet::new(), HashSet::new());
    let mut at = 0usize;
    // Once, before hours of work: a run that still trains may get a newer checkpoint meanwhile.
    let folders = args.model.iter().map(|path| weights_path(&ModelPath::at(path.clone())));
    for folder in folders.collect::<anyhow::Result<Vec<_>>>()? {
        if let Some(text) = audit.as_ref().and_then(|audit| audit.warning(&folder)) {
            eprintln!("{text}");
        }
        let mut model: Option<Model> = None;
        let identity = OnceCell::new();
        for spec in &args.dataset {
            at += 1;
            if args.part.is_some_and(|(i, n)| (at - 1) % n != i) {
                continue;
            }
            let path = clip_datasets::parse_named(spec).1;
            let path = path.canonicalize().or_else(|_| std::path::absolute(&path)).unwrap_or(path);
            let named = (whole(&folder), path.display().to_string());
            let set = match open(spec, args.protocol, args.classes.as_deref()) {
                Ok(set) => set,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    failed.insert(named);
                    continue;
                }
            };
            let stem = set.stem(&folder);
            let output = args.out.join(format!("{stem}.json"));
            asked.insert(output.clone());
            let identity = || identity.get_or_init(|| Identity::of(&folder, &opening)).as_ref();
            let state = files_state(&path)?;
            let place = Place { stem: &stem, dataset: &named.1, state: &state };
            let made =
                |of: &Identity| of.made(&output, (&set, place), &args.prompt, audit.as_ref());
            if output.is_file() && identity().is_some_and(made) {
                note!("{stem}: done before");
                if let Opened::Set(set) = &set {
                    audited(set, audit.as_ref());
                }
                continue;
            }
            let opened = match &model {
                Some(model) => model,
                None => {
                    let weights = ModelPath::at(folder.clone()).with(args.options.clone());
                    let device = args.device.clone();
                    model.insert(Model::open(&ModelArgs { weights, device })?)
                }
            };
            if let Err(error) = one(&args, opened, &set, (place, audit.as_ref())) {
                eprintln!("error: {error:#}");
                failed.insert(named);
            }
        }
    }
    let mut results = results::read(&args.out)?;
    let of = |d: &ResultRecord| Some((d.model_folder.clone()?, d.dataset_path.clone()?));
    // What is there of them is of other files, or of another model.
    results.retain(|d| of(d).is_none_or(|of| !failed.contains(&of)));
    print!("{}", results::table(&results, &|d| asked.contains(&d.file)));
    print!("{}", results::write_lines(&args.out, &results)?);
    if let Some(path) = &args.html {
        page::suite(path, &results)?;
        println!("page: {}", path.display());
    }
    println!("results: {}", args.out.display());
    if !failed.is_empty() {
        let failed = counted(failed.len(), "evaluation");
        eprintln!(
            "{failed} failed, and not in the table\nhint: the same command runs again what failed"
        );
        return Ok(ExitCode::from(crate::exit::INCOMPLETE));
    }
    Ok(ExitCode::SUCCESS)
}

/// Refuses two sets of one name: they would have one file of results.
fn names_apart(sets: &[String]) -> anyhow::Result<()> {
    let mut known: HashMap<String, &String> = HashMap::new();
    for spec in sets {
        let name = clip_datasets::set_name(spec);
        let first = known.entry(name.clone()).or_insert(spec);
        if *first != spec {
            bail!(
                "--dataset {first} and {spec}: both are called {name}, and have one file of results\n\
                 hint: NAME=PATH gives each its own name"
            );
        }
    }
    Ok(())
}

/// A folder or file, whole.
fn whole(path: &Path) -> String {
    path.canonicalize().unwrap_or_else(|_| path.to_path_buf()).display().to_string()
}

/// A hash of the names, sizes and times of a set's files; of a list, of the list alone.
fn files_state(path: &Path) -> anyhow::Result<String> {
    let files = if path.is_dir() {
        let files = clip_guard::files(path);
        files.map_err(|(path, error)| FileError::new(path, error))?
    } else {
        vec![path.to_path_buf()]
    };
    Ok(clip_corpus::file_state(files.iter().map(PathBuf::as_path))?)
}

/// What a path of the list is.
enum Opened {
    Set(Box<EvalSet>),
    Choices(Choices),
}

fn open(spec: &str, protocol: Option<Protocol>, classes: Option<&str>) -> anyhow::Result<Opened> {
    let (name, path) = clip_datasets::parse_named(spec);
    if name.is_none() && clip_datasets::choice::detect(&path) {
        return Ok(Opened::Choices(Choices::open(&path)?));
    }
    let options = OpenOptions {
        protocol,
        split: Split::Test,
        frames: Frames::Middle,
        ..OpenOptions::default()
    };
    let mut set = clip_datasets::open_named(spec, &options)?;
    if let Some(classes) = classes {
        set.keep_classes(classes)?;
    }
    warn(&set);
    Ok(Opened::Set(Box::new(set)))
}

impl Opened {
    /// One file a checkpoint, set and protocol; the hash keeps checkpoints of one name apart.
    fn stem(&self, folder: &Path) -> String {
        let hash = results::path_hash(&whole(folder));
        let (name, protocol) = match self {
            Self::Set(set) => (&set.name, set.protocol.name()),
            Self::Choices(choices) => (&choices.name, "choice"),
        };
        let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        let kept = match self {
            Self::Set(set) => set.subset.as_ref().map_or(String::new(), |subset| {
                let list = blake3::hash(set.classes.join("\n").as_bytes()).to_hex();
                format!("_{}-classes-{}", subset.classes, &list[..8])
            }),
            Self::Choices(_) => String::new(),
        };
        format!("{name}_{protocol}_{hash}{kept}")
    }

    fn prompts_hash(&self, prompt: &str) -> String {
        match self {
            Self::Set(set) if set.task == Task::Retrieval => {
                blake3::hash(prompt.as_bytes()).to_hex().to_string()
            }
            Self::Set(set) => set.all_prompts().hash(),
            Self::Choices(choices) => choices.prompts_hash(),
        }
    }
}

/// What results are of: the weights, their configuration and preprocessing. Large files are read
/// for it, once for each model.
struct Identity {
    hash: String,
    config: String,
    preprocess: Value,
}

impl Identity {
    /// None for weights that cannot be read: evaluating them gives the error.
    fn of(path: &Path, opening: &LoadOptions) -> Option<Self> {
        let hash = crate::model::weights_hash(path).ok()?;
        let weights = Weights::read(path).ok()?;
        let config = config_hash(&weights.opened_config(opening).ok()?);
        let preprocess = weights.preprocess(&opening.preprocess).ok()?.to_json();
        Some(Self { hash, config, preprocess })
    }

    /// Whether a result is of these, this set with these files, its prompts and match of classes,
    /// and split by this report, where one is given.
    fn made(
        &self,
        output: &Path,
        (set, place): (&Opened, Place),
        prompt: &str,
        audit: Option<&Audit>,
    ) -> bool {
        let Ok(record) = ResultRecord::read(output) else { return false };
        // A result without these is from before they were recorded.
        let other = |known: Option<&str>, is: &str| known.is_some_and(|known| known != is);
        if other(record.dataset_path.as_deref(), place.dataset)
            || other(record.dataset_state.as_deref(), place.state)
        {
            return false;
        }
        // A result without it is from before configurations were read: then it was the default.
        let preprocess = record.preprocess.unwrap_or_else(|| PreprocessCfg::default().to_json());
        // What was matched otherwise, or before matches were recorded, is evaluated again.
        let matched = match set {
            Opened::Set(set) if set.task != Task::Retrieval => {
                record.class_match.as_deref() == Some(set.class_match.name())
            }
            _ => true,
        };
        let split = match (set, audit) {
            (Opened::Set(set), Some(audit)) if set.task != Task::Retrieval => {
                record.contamination.as_deref() == Some(audit.covering(&set.name))
            }
            _ => true,
        };
        matched
            && split
            && preprocess == self.preprocess
            && record.hashes.model == self.hash
            // A result without it is from before it was recorded, and is made again.
            && record.hashes.config == self.config
            && record.hashes.prompts == set.prompts_hash(prompt)
    }
}

/// A result as the suite stores it.
#[derive(Serialize)]
struct SuiteResult<'a, F: Serialize> {
    #[serde(flatten)]
    file: ResultFile<F>,
    datacomp: DataCompLine,
    model_folder: String,
    dataset_path: &'a str,
    dataset_state: &'a str,
}

/// Where a result goes, and where its set is.
#[derive(Clone, Copy)]
struct Place<'a> {
    stem: &'a str,
    dataset: &'a str,
    state: &'a str,
}

/// Which evaluation is in flight.
fn title(set: &str, model: &Model) -> String {
    format!("{set}, {}", model.path.display())
}

fn one(
    args: &SuiteArgs,
    model: &Model,
    set: &Opened,
    (place, audit): (Place, Option<&Audit>),
) -> anyhow::Result<()> {
    match set {
        Opened::Choices(set) => {
            let total = Some(set.instances.len() as u64);
            let shown = progress_of("instances", &title(&set.name, model), total);
            let batch = args.batch.batch_size;
            let result = choices(&model.clip, &model.tokenizer, &set.instances, batch, &shown);
            let result = model.blame(result)?;
            choice::warn_of_part(set);
            let line = choice::datacomp(set, &result);
            store(args, model, place, choice::file(set, &result, model), line)
        }
        Opened::Set(set) if set.task == Task::Retrieval => {
            let options = FeatureOptions {
                skip_unreadable: args.skip_unreadable,
                batch_size: args.batch.batch_size,
                ..FeatureOptions::default()
            };
            let asked = (args.prompt.as_str(), None);
            let shown = progress(&title(&set.name, model), set.len());
            let result = retrieval(&model.clip, &model.tokenizer, set, asked, options, &shown);
            let result = model.blame(result)?;
            if let Some(text) = other_size(set, result.images) {
                eprintln!("{text}");
            }
            let line = retrieve::datacomp(&result);
            store(args, model, place, retrieve::file(&result, set, model), line)
        }
        Opened::Set(set) => classified(args, model, set, (place, audit)),
    }
}

/// Stores a result. It comes last: its file is what says that the evaluation is done.
fn store<F: Serialize>(
    args: &SuiteArgs,
    model: &Model,
    Place { stem, dataset, state }: Place,
    file: ResultFile<F>,
    datacomp: DataCompLine,
) -> anyhow::Result<()> {
    let model_folder = whole(&model.path);
    let result =
        SuiteResult { file, datacomp, model_folder, dataset_path: dataset, dataset_state: state };
    store_json(&args.out.join(format!("{stem}.json")), &result)
}

/// What a report says of the items of a set of classes; a warning where that is nothing.
fn audited(set: &EvalSet, audit: Option<&Audit>) -> Option<AuditedItems> {
    let audit = audit.filter(|_| set.task != Task::Retrieval)?;
    let items = audit.items(&set.name).ok();
    if items.is_none() {
        eprintln!("warning: {}: not in the contamination report {}", set.name, audit.id());
    }
    items
}

/// Evaluates a set of classes.
fn classified(
    args: &SuiteArgs,
    model: &Model,
    set: &EvalSet,
    (place, audit): (Place, Option<&Audit>),
) -> anyhow::Result<()> {
    let prompts = PromptArgs {
        templates: None,
        class_prompts: None,
        names: "mean".into(),
        classifier_cache: args.classifier_cache.clone(),
        no_classifier_cache: false,
    };
    // A set that the corpus was not checked against is recorded as unaudited.
    let audited = audited(set, audit);
    let audit = audit.filter(|_| audited.is_some());
    let options = ZeroShotOptions {
        skip_unreadable: args.skip_unreadable,
        batch_size: Some(args.batch.batch_size),
        cache: prompts.cache(),
        model_hash: model.hash.clone(),
        audited,
        ..ZeroShotOptions::default()
    };
    let shown = progress(&title(&set.name, model), set.len());
    let result = model.blame(zero_shot(&model.clip, &model.tokenizer, set, &options, &shown))?;
    if let Some(text) = other_size(set, result.sample.items_total) {
        eprintln!("{text}");
    }
    if !result.predictions.is_empty() {
        let path = args.out.join(format!("{}.parquet", place.stem));
        write_predictions(&path, &result.predictions, zero::about(&result, model))?;
    }
    let line = zero::datacomp(&result);
    store(args, model, place, zero::file(&result, set, model, audit), line)
}
