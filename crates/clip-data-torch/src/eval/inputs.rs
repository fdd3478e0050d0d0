//! What every evaluation takes: a model and a set.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, bail};
use clip_cli::torch::{ModelArgs, PromptArgs, ScoreFiles, SetArgs};
use clip_cli::{Show, StatusLine};
use clip_datasets::{
    ClassMatch, EvalSet, Frames, OpenOptions, Protocol, Split, Task, find_datacomp, parse_named,
    read_templates,
};
use clip_eval::{DataCompLine, Names};
use clip_model::{Clip, Format, LoadOptions, Weights};
use clip_text::Tokenizer;
use serde::Serialize;
use serde_json::json;

use crate::device::device;
use crate::model::{config_hash, load_options, weights_hash, weights_path};

/// An opened model.
pub struct Model {
    /// The model.
    pub clip: Clip,
    /// Its weights, or the folder that holds them.
    pub path: PathBuf,
    /// blake3 of its weights.
    pub hash: String,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
}

impl Model {
    /// Opens weights of any known format, or the newest checkpoint of a run.
    pub fn open(args: &ModelArgs) -> anyhow::Result<Self> {
        clip_torch::init(None)?;
        let opening =
            LoadOptions { device: device(&args.device)?, ..load_options(&args.weights.options)? };
        let path = weights_path(&args.weights)?;
        let weights = Weights::read(&path)?;
        let file = weights.path.clone();
        if weights.preprocess.is_none()
            && weights.format != Format::OpenAi
            && opening.preprocess.is_empty()
        {
            note!(
                "note: {} records no preprocess_cfg: OpenAI's mean and std, bicubic, the shortest side; --image-mean and the like give others",
                file.display()
            );
        }
        // The hash needs the file's pages, which the weights need as well.
        let (hash, clip) = std::thread::scope(|scope| {
            let hash = scope.spawn(|| weights_hash(&file));
            let clip = weights.into_model(&opening);
            (hash.join(), clip)
        });
        let hash = hash.map_err(|_| anyhow::anyhow!("hashing the weights failed"))??;
        Ok(Self { clip: clip?, path, hash, tokenizer: Tokenizer::new() })
    }

    /// What happens to images, as results record it.
    pub fn preprocess(&self) -> serde_json::Value {
        self.clip.preprocess().to_json()
    }

    /// blake3 of its configuration.
    pub fn config_hash(&self) -> String {
        config_hash(self.clip.config())
    }

    /// How it is named in results.
    pub fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// Names the model in an error about its output.
    pub fn blame<T>(&self, result: clip_eval::Result<T>) -> anyhow::Result<T> {
        match result {
            Err(error @ clip_eval::Error::Output(_)) => Err(error).context(self.name()),
            other => Ok(other?),
        }
    }
}

/// Opens a part of the set.
pub fn open_set(args: &SetArgs, split: Split) -> anyhow::Result<EvalSet> {
    let frames = if args.frames == "all" { Frames::All } else { Frames::Middle };
    let options = OpenOptions {
        name: None,
        protocol: args.protocol,
        split,
        frames,
        loader: args.layout.clone(),
        fold: None,
    };
    let path = parse_named(&args.dataset).1;
    if args.layout.is_none() && clip_datasets::choice::detect(&path) {
        bail!(
            "{}: a set of choices among images or captions\nhint: `clip-data eval choice --dataset PATH`",
            path.display()
        );
    }
    let mut set = clip_datasets::open_named(&args.dataset, &options)?;
    if frames == Frames::All && set.loader != "frames" {
        bail!("--frames all: no effect, since {} has no videos (layout {})", set.name, set.loader);
    }
    if let Some(classes) = &args.classes {
        set.keep_classes(classes)?;
    }
    warn(&set);
    Ok(set)
}

/// Says on standard error what of a set may not be what was meant.
pub fn warn(set: &EvalSet) {
    warnings(set).iter().for_each(|text| eprintln!("{text}"));
}

/// A name that is nearly a dataset's; which class each label was given, where that was by position;
/// and of folders of images under the name of a dataset that is published otherwise, where they are
/// not as many.
pub fn warnings(set: &EvalSet) -> Vec<String> {
    let name = clip_datasets::name_warning(&set.name).filter(|_| set.named);
    let left_out =
        set.left_out.iter().map(|what| format!("warning: {}: not in the set: {what}", set.name));
    let found = positions(set).into_iter().chain(other_items(set)).chain(other_classes(set));
    let found = found.chain(one_class(set));
    name.into_iter().chain(found).chain(left_out).collect()
}

/// A set under a dataset's name of which no class has a name of that dataset's.
fn other_classes(set: &EvalSet) -> Option<String> {
    let dataset = set.dataset.filter(|_| set.named && set.task == Task::Classification)?;
    let known: Vec<String> = [Protocol::OpenAi, Protocol::ClipBenchmark]
        .into_iter()
        .filter_map(|protocol| clip_datasets::prompts(&dataset.id, protocol))
        .flat_map(|prompts| prompts.names.concat())
        .map(|name| name.to_lowercase())
        .collect();
    let is_known =
        |class: &String| class.split(" / ").any(|name| known.contains(&name.to_lowercase()));
    let none = !known.is_empty() && !set.classes.iter().any(is_known);
    none.then(|| {
        let class = &set.classes[0];
        format!(
            "warning: {}: no class of it ({class:?}, …) is one of {}: is it another set under that name?",
            set.name, dataset.name
        )
    })
}

/// That what was scored under a dataset's name has not as many items as its test part; of a copy in
/// folders [`warnings`] has said it.
pub fn other_size(set: &EvalSet, items: u64) -> Option<String> {
    if set.subset.is_some() || set.split != Split::Test || other_items(set).is_some() {
        return None;
    }
    let (name, wanted) = match set.dataset {
        Some(dataset) if dataset.has_test_size(items) => return None,
        Some(dataset) => (&dataset.name, dataset.test?),
        None => return not_datacomps(&set.name, items),
    };
    Some(format!(
        "warning: {}: {items} items, and the test part of {name} has {wanted}: {NOT_WHOLE}",
        set.name
    ))
}

const NOT_WHOLE: &str = "no score of the whole set, and in none of DataComp's means";

/// The same of a set that DataComp alone has.
pub fn not_datacomps(name: &str, items: u64) -> Option<String> {
    let task = find_datacomp(name).filter(|task| !task.is_size(items))?;
    Some(format!(
        "warning: {name}: {items} items, and DataComp's set has {}: {NOT_WHOLE}",
        task.size
    ))
}

fn one_class(set: &EvalSet) -> Option<String> {
    let one = set.task == Task::Classification && set.classes.len() == 1;
    one.then(|| {
        format!(
            "warning: {}: there is one class, {:?}, so that every item is right\n\
             hint: a folder a class is wanted: is {} one too high?",
            set.name,
            set.classes[0],
            set.root.display()
        )
    })
}

fn other_items(set: &EvalSet) -> Option<String> {
    let dataset = set.dataset.filter(|_| set.loader == "folder" && set.split == Split::Test)?;
    let (found, wanted) = (set.len()?, dataset.test?);
    let copy = set.protocol != Protocol::Folder && dataset.layouts().all(|name| name != "folder");
    (copy && found != wanted).then(|| {
        format!(
            "warning: {}: folders of images, not {} as it is published: {found} items, and its test part has {wanted}",
            set.name, dataset.name
        )
    })
}

/// The warning of a set whose labels were matched to classes by position.
fn positions(set: &EvalSet) -> Option<String> {
    const SHOWN: usize = 20;
    if set.class_match != ClassMatch::Position {
        return None;
    }
    let mut lines =
        vec![format!("warning: {}: matched by position: no folder name is a class name", set.name)];
    lines.extend(set.labels().take(SHOWN).map(|(label, class)| format!("  {label} -> {class}")));
    let count = set.labels().count();
    if count > SHOWN {
        lines.push(format!("  and {} more of {count}", count - SHOWN));
    }
    lines.push(
        "hint: compare these pairs; classnames.txt, or folders named by class, settle them".into(),
    );
    Some(lines.join("\n"))
}

/// Puts the prompts that were given in place of the set's.
pub fn apply_prompts(args: &PromptArgs, set: &mut EvalSet) -> anyhow::Result<()> {
    if let Some(path) = &args.templates {
        set.set_templates(read_templates(path)?);
    }
    if let Some(path) = &args.class_prompts {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        let prompts: BTreeMap<String, Vec<String>> = if text.trim().is_empty() {
            BTreeMap::new()
        } else {
            serde_json::from_str(&text).with_context(|| path.display().to_string())?
        };
        if prompts.is_empty() {
            bail!("{}: no class prompts", path.display());
        }
        set.set_class_prompts(&prompts).with_context(|| path.display().to_string())?;
    }
    let prompts = set.all_prompts();
    let several = prompts.own.is_none() && prompts.names.iter().any(|names| names.len() > 1);
    if args.names == "max" && !several {
        bail!("--names max: no effect, since no class of {} has several names", set.name);
    }
    Ok(())
}

/// The rule for a class of several names.
pub fn name_rule(args: &PromptArgs) -> Names {
    if args.names == "max" { Names::Max } else { Names::Mean }
}

/// Shows how many images are done.
pub fn progress(name: &str, total: Option<u64>) -> impl Fn(usize) + use<> {
    progress_of("images", name, total)
}

/// Shows how many items are done; `items` says in the plural what they are.
pub fn progress_of(items: &'static str, name: &str, total: Option<u64>) -> impl Fn(usize) + use<> {
    let status = StatusLine::new(Show::default_here(), name, total);
    let started = Instant::now();
    move |done| {
        let line = || {
            let rate = done as f64 / started.elapsed().as_secs_f64().max(1e-3);
            let of = total.map_or(String::new(), |total| format!(" of {total}"));
            (format!("{done}{of} {items}, {rate:.0}/s"), json!({"event": items, "done": done}))
        };
        if total == Some(done as u64) {
            status.finish(done as u64, line());
        } else {
            status.update(done as u64, line);
        }
    }
}

/// Writes a result as JSON and prints where.
pub fn write_json(path: &Path, result: &impl Serialize) -> anyhow::Result<()> {
    store_json(path, result)?;
    println!("scores: {}", path.display());
    Ok(())
}

/// Writes a result as JSON, whole or not at all.
pub fn store_json(path: &Path, result: &impl Serialize) -> anyhow::Result<()> {
    let document = serde_json::to_value(result)?;
    Ok(clip_format::write_atomic(path, format!("{document:#}\n").as_bytes())?)
}

/// Writes scores to the files that were asked for.
pub fn store_scores<T: Serialize>(
    files: &ScoreFiles,
    result: impl FnOnce() -> T,
    line: impl FnOnce() -> DataCompLine,
) -> anyhow::Result<()> {
    files.out.as_ref().map_or(Ok(()), |path| write_json(path, &result()))?;
    files.datacomp_output.as_ref().map_or(Ok(()), |path| append_line(path, &line()))
}

/// Appends a line, so that a file of results grows by whole lines.
fn append_line(path: &Path, line: &DataCompLine) -> anyhow::Result<()> {
    let place = || path.display().to_string();
    let text = format!("{}\n", serde_json::to_string(line)?);
    let mut file =
        std::fs::OpenOptions::new().create(true).append(true).open(path).with_context(place)?;
    file.write_all(text.as_bytes()).with_context(place)?;
    println!("scores: {}", path.display());
    Ok(())
}
