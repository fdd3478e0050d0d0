//! `clip-data eval linear-probe` and `few-shot`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clip_datasets::{Split, Task};
use clip_eval::{
    FeatureOptions, Options, Part, Sample, Shots, Space, ZeroShotOptions, few_shot, image_features,
    linear_probe, zero_shot,
};
use clip_torch::require_finite;
use clip_torch::tch::{Kind, Tensor};
use serde_json::{Value, json};

use super::inputs::{Model, ModelArgs, PromptArgs, SetArgs, at_least_one, progress, write_json};
use super::page;
use super::table::{self, cell};
use crate::model::{ModelPath, PreprocessArgs};

/// Where features come from.
#[derive(clap::Args)]
struct Source {
    /// Weights (a folder or file, in any known format), or a run's folder, for its newest checkpoint
    #[arg(long, required_unless_present = "features", requires = "dataset")]
    model: Option<PathBuf>,
    /// A set with a train part: a path, or NAME=PATH
    #[arg(long, required_unless_present = "features")]
    dataset: Option<String>,
    /// A set that is only scored, where --dataset has no test part
    #[arg(long, value_name = "NAME=PATH")]
    test_dataset: Option<String>,
    /// Features that are there: train.npy, train_labels.npy, test.npy, test_labels.npy, optionally val
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "dataset", "image_mean", "image_std",
        "image_interpolation", "image_resize_mode"])]
    features: Option<PathBuf>,
    #[command(flatten)]
    preprocess: PreprocessArgs,
    /// Write the features for another time
    #[arg(long, value_name = "DIR")]
    save_features: Option<PathBuf>,
    /// Probe the features after the projection, at unit length; the paper's are before it
    #[arg(long)]
    projected: bool,
    /// Whose prompts and class order
    #[arg(long, value_name = "NAME")]
    protocol: Option<clip_datasets::Protocol>,
    /// auto, cpu or cuda
    #[arg(long, default_value = "auto")]
    device: String,
    /// Seed of the validation part, a fifth of train, where the set has none
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Use N items of each part only, spread evenly over it
    #[arg(long, value_name = "N", value_parser = at_least_one, conflicts_with = "features")]
    limit: Option<usize>,
}

/// How probes are fitted.
#[derive(clap::Args)]
struct FitArgs {
    /// The largest entry of the gradient of the mean loss that counts as none
    #[arg(long, default_value_t = 1e-4)]
    tolerance: f64,
    /// Most iterations of L-BFGS
    #[arg(long, default_value_t = 1000)]
    max_iter: usize,
}

/// Arguments of `clip-data eval linear-probe`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    fit: FitArgs,
    /// Fit with this strength only (1 / scikit-learn's C), without the search
    #[arg(long, value_name = "X")]
    lambda: Option<f64>,
    /// Write the scores as JSON, with CLIP_benchmark's keys
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Arguments of `clip-data eval few-shot`.
#[derive(clap::Args)]
pub struct FewShotArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    fit: FitArgs,
    /// Examples a class; zero-shot and all of them are always there
    #[arg(long, num_args = 1.., default_values_t = [1, 2, 4, 8, 16], value_parser = at_least_one)]
    shots: Vec<usize>,
    /// Draws of the examples, averaged
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..))]
    seeds: u64,
    /// The zero-shot accuracy in (0, 1), where features are given
    #[arg(long, value_name = "X")]
    zero_shot: Option<f64>,
    /// Write the curve as JSON
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write a page with the curve
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

struct Parts {
    name: String,
    model: String,
    /// What happened to the images, where they were seen.
    preprocess: Option<Value>,
    train: Part,
    val: Part,
    test: Part,
    classes: usize,
    zero_shot: Option<f64>,
    /// How many items of the test part were taken.
    sample: Option<Sample>,
}

impl Parts {
    /// That these are scores of some of the items, where they are.
    fn note(&self) -> String {
        self.sample.map_or(String::new(), table::sample)
    }
}

fn options(fit: &FitArgs) -> Options {
    Options { tolerance: fit.tolerance, iterations: fit.max_iter }
}

/// Runs the probe.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let parts = args.source.parts(false)?;
    let (train, val, test) = (&parts.train, &parts.val, &parts.test);
    println!(
        "{}: {} to fit on, {} to choose on, {} to score; {} features, {} classes",
        parts.name,
        train.labels.len(),
        val.labels.len(),
        test.labels.len(),
        train.features.size()[1],
        parts.classes
    );
    if let Some(lambda) = args.lambda {
        let both = train.with(val);
        let data = clip_eval::Data::new(&both.features, &both.labels, parts.classes)?;
        let fit = data.fit(lambda, options(&args.fit), None)?;
        let found = fit.predict(&test.features)?;
        let hits = found.iter().zip(&test.labels).map(|(a, b)| a == b);
        println!(
            "lambda {lambda}: objective {:.6}, {} iterations{}; top-1 {}",
            fit.objective,
            fit.iterations,
            if fit.converged { "" } else { " (not converged)" },
            cell(Some(clip_eval::Accuracy::of(hits)?)).trim_start()
        );
        return Ok(ExitCode::SUCCESS);
    }
    let told = |trial: &clip_eval::Trial| {
        eprintln!(
            "lambda {:<12.6} {:>6} of {} right, objective {:.4}, {} iterations{}",
            trial.lambda,
            trial.correct,
            trial.n,
            trial.objective,
            trial.iterations,
            if trial.converged { "" } else { " (not converged)" }
        );
    };
    let score = linear_probe(train, val, test, parts.classes, options(&args.fit), told)?;
    println!(
        "lambda {:.6} of {} that were tried (97-point grid, C = {:.6})",
        score.lambda,
        score.trials.len(),
        1.0 / score.lambda
    );
    println!("top-1 {}", cell(Some(score.acc1)).trim_start());
    println!("top-5 {}", cell(score.acc5).trim_start());
    println!("mean per class {:.2}%", 100.0 * score.mean_per_class_recall);
    print!("{}", parts.note());
    if let Some(path) = &args.output {
        let metrics = [
            ("lp_acc1", Some(score.acc1.value)),
            ("lp_acc5", score.acc5.map(|a| a.value)),
            ("lp_mean_per_class_recall", Some(score.mean_per_class_recall)),
        ];
        let metrics = metrics.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let hashes = clip_eval::Hashes::default();
        let space = if args.source.projected { "projected" } else { "tower" };
        let more = json!({
            "probe": score, "space": space, "preprocess": parts.preprocess,
            "limit": parts.sample.and_then(|s| s.limit),
            "items_total": parts.sample.map(|s| s.items_total),
        });
        let document =
            clip_eval::document(&parts.name, &parts.model, "linear_probe", &metrics, &hashes, more);
        write_json(path, &document)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the curve.
pub fn run_few_shot(args: FewShotArgs) -> anyhow::Result<ExitCode> {
    let parts = args.source.parts(args.zero_shot.is_none())?;
    let zero = args.zero_shot.or(parts.zero_shot);
    if let Some(zero) = zero {
        println!("{:>5} shots  {:>6.2}%", 0, 100.0 * zero);
    }
    let told = |point: &clip_eval::ShotScore| {
        let shots = point.shots.map_or("all".into(), |shots| shots.to_string());
        println!("{shots:>5} shots  {:>6.2}%", 100.0 * point.accuracy);
    };
    let asked = Shots { counts: &args.shots, seeds: args.seeds, zero_shot: zero };
    let (train, val, test) = (&parts.train, &parts.val, &parts.test);
    let result = few_shot(train, val, test, parts.classes, asked, options(&args.fit), told)?;
    match result.efficiency {
        Some(clip_stats::Efficiency::About(n)) => {
            println!("zero-shot is worth {n:.1} labelled examples a class");
        }
        Some(clip_stats::Efficiency::Below(n)) => {
            println!("zero-shot is worth fewer than {n} labelled examples a class");
        }
        Some(clip_stats::Efficiency::Above(n)) => {
            println!("zero-shot is worth more than all {n:.0} labelled examples a class");
        }
        None => {}
    }
    print!("{}", parts.note());
    let document = json!({
        "dataset": parts.name, "model": parts.model, "task": "few_shot", "few_shot": result,
        "limit": parts.sample.and_then(|s| s.limit),
        "items_total": parts.sample.map(|s| s.items_total), "preprocess": parts.preprocess,
    });
    if let Some(path) = &args.output {
        write_json(path, &document)?;
    }
    if let Some(path) = &args.html {
        page::few_shot(path, &[document])?;
        println!("page: {}", path.display());
    }
    Ok(ExitCode::SUCCESS)
}

impl Source {
    fn parts(&self, with_zero_shot: bool) -> anyhow::Result<Parts> {
        clip_torch::init(None)?;
        let mut parts = match &self.features {
            Some(folder) => read(folder)?,
            None => self.extract(with_zero_shot)?,
        };
        if parts.val.labels.is_empty() {
            (parts.train, parts.val) = parts.train.split(self.seed);
        }
        Ok(parts)
    }

    fn extract(&self, with_zero_shot: bool) -> anyhow::Result<Parts> {
        let (Some(model), Some(dataset)) = (&self.model, &self.dataset) else {
            bail!("--model and --dataset, or --features");
        };
        let set_args = |dataset: &str| SetArgs {
            dataset: dataset.to_owned(),
            protocol: self.protocol,
            layout: None,
            frames: "middle".into(),
            skip_unreadable: false,
            limit: self.limit,
        };
        let (own, tested) =
            (set_args(dataset), set_args(self.test_dataset.as_ref().unwrap_or(dataset)));
        let train = own.open(Split::Train)?;
        let test = tested.open(Split::Test)?;
        if train.task != Task::Classification || test.task != Task::Classification {
            bail!("{}: a probe wants one class an item", train.name);
        }
        let val = own.open(Split::Val).ok();
        let weights = ModelPath::at(model.clone()).with(self.preprocess.clone());
        let model = Model::open(&ModelArgs { weights, device: self.device.clone() })?;
        let space = if self.projected { Space::Joint } else { Space::Tower };
        let options = FeatureOptions { space, skip_unreadable: false, limit: self.limit };
        // That of the part which comes last, the test part.
        let sample = std::cell::Cell::new(None);
        let part = |set: &clip_datasets::EvalSet| -> anyhow::Result<Part> {
            let name = format!("{} {}", set.name, set.split.name());
            let shown = progress(&name, own.count(set.len()));
            let found = model.blame(image_features(&model.clip, set, options, &shown))?;
            let labels = found.truths.iter().filter_map(clip_datasets::Truth::class).collect();
            sample.set(Some(found.sample));
            Ok(Part { features: found.tensor, labels })
        };
        let zero = if with_zero_shot {
            let prompts = PromptArgs {
                templates: None,
                class_prompts: None,
                names: "mean".into(),
                classifier_cache: None,
                no_classifier_cache: false,
            };
            let options = ZeroShotOptions {
                cache: prompts.cache(),
                model_hash: model.hash.clone(),
                limit: self.limit,
                ..ZeroShotOptions::default()
            };
            let shown = progress(&test.name, own.count(test.len()));
            model
                .blame(zero_shot(&model.clip, &model.tokenizer, &test, &options, &shown))?
                .all
                .map(|all| all.acc1.value)
        } else {
            None
        };
        let mut parts = Parts {
            name: train.name.clone(),
            model: model.name(),
            preprocess: Some(model.preprocess()),
            train: part(&train)?,
            val: val.as_ref().map_or_else(|| Ok(empty()), part)?,
            test: part(&test)?,
            classes: test.classes.len().max(train.classes.len()),
            zero_shot: zero,
            sample: None,
        };
        parts.sample = sample.get();
        if let Some(folder) = &self.save_features {
            save(folder, &parts)?;
            println!("features: {}", folder.display());
        }
        Ok(parts)
    }
}

/// Features that are there.
fn read(folder: &Path) -> anyhow::Result<Parts> {
    let part = |name: &str| -> anyhow::Result<Part> {
        let path = |end: &str| folder.join(format!("{name}{end}.npy"));
        let open = |path: PathBuf| {
            Tensor::read_npy(&path).with_context(|| format!("{}: not an .npy file", path.display()))
        };
        let features = open(path(""))?;
        if features.dim() != 2 {
            bail!("{}: not [rows, features]", path("").display());
        }
        require_finite(&features, |row| format!("row {row} of {}", path("").display()))?;
        let features =
            if features.kind() == Kind::Double { features } else { features.to_kind(Kind::Float) };
        let labels: Vec<i64> =
            Vec::try_from(open(path("_labels"))?.to_kind(Kind::Int64).view([-1]))?;
        if labels.len() as i64 != features.size()[0] || labels.iter().any(|&label| label < 0) {
            bail!("{}: {} labels from 0 are wanted", path("_labels").display(), features.size()[0]);
        }
        Ok(Part { features, labels: labels.into_iter().map(|label| label as usize).collect() })
    };
    let (train, test) = (part("train")?, part("test")?);
    let val = if folder.join("val.npy").is_file() { part("val")? } else { empty() };
    let all = [&train, &val, &test];
    let classes = all.iter().flat_map(|p| &p.labels).max().map_or(0, |most| most + 1);
    let name = folder.display().to_string();
    Ok(Parts {
        model: name.clone(),
        name,
        preprocess: None,
        train,
        val,
        test,
        classes,
        zero_shot: None,
        sample: None,
    })
}

fn empty() -> Part {
    Part {
        features: Tensor::zeros([0, 0], (Kind::Float, clip_torch::tch::Device::Cpu)),
        labels: Vec::new(),
    }
}

fn save(folder: &Path, parts: &Parts) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
    for (name, part) in [("train", &parts.train), ("val", &parts.val), ("test", &parts.test)] {
        if !part.labels.is_empty() {
            part.features.write_npy(folder.join(format!("{name}.npy")))?;
            let labels: Vec<i64> = part.labels.iter().map(|&label| label as i64).collect();
            Tensor::from_slice(&labels).write_npy(folder.join(format!("{name}_labels.npy")))?;
        }
    }
    Ok(())
}
