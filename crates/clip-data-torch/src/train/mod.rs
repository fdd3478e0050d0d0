//! `clip-data train`: pre-training, resumable.

mod data;
#[cfg(test)]
mod flags;
mod idle;
mod inputs;
mod launch;
mod overlap;
mod processes;
mod reports;
mod resolve;
mod score;
mod show;

use std::borrow::Cow;
use std::path::{Component, Path};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clip_cli::Stop;
use clip_cli::torch::TrainArgs as Args;
use clip_corpus::TrainedShard;
use clip_loader::{Identity, TrainData};
use clip_model::{Clip, LoadOptions, ModelConfig, Pretrained, Tower, Weights, find_pretrained};
use clip_torch::Precision;
use clip_torch::tch::{self, Device};
use clip_train::{
    Due, Hooks, Logs, Objective, Outcome, ProcessGroup, Progress, RankInfo, Recipe, RunLock,
    StepMetrics, TrainOptions, TrainPrecision, Trainer, WandbRun, difference, fresh, latest, paper,
};

use data::data;
use inputs::Inputs;
use processes::{nccl, own_device, threads};
use reports::Reports;
use resolve::Resolve;
use score::Scorer;
use show::Show;

use crate::eval::audit::Audit;
use crate::exit;
use crate::model::{newest, preprocess_fields};

/// Trains, showing progress, and says where the last checkpoint is.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let place = RankInfo::detect(args.dist_url.as_deref().unwrap_or("env://"), &|name| {
        std::env::var(name).ok()
    })?;
    let timeout = Duration::from_secs(args.dist_timeout.unwrap_or(600));
    if let (Some(count), None) = (args.nproc.filter(|&count| count > 1), &place) {
        // What is wrong is reported once, not by each process.
        args.resolve(count)?;
        clip_torch::init(None)?;
        processes::check(&args, count)?;
        return launch::launch(count, timeout);
    }
    clip_torch::init(threads(place.as_ref()))?;
    // The first rank speaks for all of them.
    let first = std::env::var("RANK").map_or(true, |rank| rank == "0");
    let stop = Stop::install(if first { exit::STOPPING } else { "" })?;
    launch::follow_parent(&stop);
    let device = own_device(&args, place.as_ref())?;
    if device.is_cuda() {
        // As open_clip's main.py does.
        clip_torch::allow_tf32(true)?;
    }
    let world = match place {
        Some(place) => ProcessGroup::join(place, device, timeout, nccl(&args, device)?)?,
        None => ProcessGroup::alone(),
    };
    let main = world.is_main();
    let locked = args.lock_image && args.lock_text;
    anyhow::ensure!(
        !locked || args.lock_image_unlocked_groups + args.lock_text_unlocked_layers > 0,
        "--lock-image and --lock-text leave nothing to learn but the scale\nhint: leave one of them out"
    );
    let (config, recipe, chunk) = args.resolve(world.size())?;
    let name = args.name.clone().unwrap_or_else(|| default_name(&args, &recipe));
    let plain = Path::new(&name).components().eq([Component::Normal(name.as_ref())]);
    anyhow::ensure!(
        plain,
        "--name {name}: not the name of a folder\nhint: --logs says where it goes"
    );
    let folder = args.logs.join(&name);
    // Another process may be writing its last checkpoint there: nothing is read before it has left.
    let lock = (main && folder.is_dir()).then(|| RunLock::take(&folder)).transpose()?;
    world.any(false)?;
    // A run that has a checkpoint resumes with the shards that it has begun with.
    let contents = folder.join(TrainedShard::FILE);
    let begun = latest(&folder.join("checkpoints")).map(|_| Identity::Known(contents.clone()));
    let data = data(&args, &config, begun.unwrap_or(Identity::Content))?;
    let mut scorer = Scorer::open(&args, &config, recipe.objective, chunk)?;
    tch::manual_seed(args.seed as i64);
    let model = model(&args, &config, recipe.objective, device)?;
    let parameters = model.parameter_count();
    let options = options(&args, chunk);
    let mut trainer = Trainer::new(model, recipe.clone(), data, options, world)?;
    resume(&mut trainer, &args, &folder)?;
    if let Some(report) = &args.contamination {
        let own = main.then(|| folder.clone());
        scorer.split(report, (trainer.data(), trainer.sampler()), own)?;
    }
    let mut show =
        Show::new(trainer.total_steps(), trainer.steps_done(), !main || clip_cli::quiet());
    let mut logs = None;
    if main {
        let lock = lock.map_or_else(|| RunLock::take(&folder), Ok)?;
        let (done, reports) = (trainer.steps_done(), Reports::parse(&args.report_to)?);
        let mut opened = Logs::locked(lock, &folder, done, reports.tensorboard)?;
        let config = params(&args, &name, &trainer, chunk);
        opened.params(&config)?;
        if reports.wandb {
            let project = args.wandb_project_name.clone().unwrap_or_else(|| "open-clip".into());
            opened.report_to_wandb(done, &WandbRun { name: name.clone(), project, config })?;
        }
        if let TrainData::Whole(corpus) = trainer.data() {
            corpus.keep_contents(&contents)?;
            if let Some(report) = &args.contamination
                && let Some(text) = Audit::open(report)?.warning(&folder)
            {
                show.say(&text);
            }
        }
        logs = Some(opened);
        introduce(&trainer, &recipe, &args, parameters, chunk, &show);
        scorer.warnings().iter().for_each(|text| show.say(text));
        if let Some(text) = trainer.scheduler().warning() {
            show.say(&format!("warning: {text}"));
        }
    }
    let deadline = args.max_minutes.map(|m| Instant::now() + Duration::from_secs_f64(m * 60.0));
    // Until here a signal ends the process: nothing is lost.
    stop.arm();
    let mut hooks = Watching { stop: &stop, deadline, show: &mut show, scorer };
    let outcome = match trainer.run(logs.as_mut(), &mut hooks) {
        // Another process left for the same reason, before it could agree on a step.
        Err(clip_train::Error::Peer(_)) if stop.asked() => Outcome::Stopped,
        outcome => outcome?,
    };
    show.finish();
    if let Some(bytes) = clip_torch::peak_memory(device) {
        show.say(&format!("at most {} MiB of GPU memory", bytes >> 20));
    }
    if let Some(checkpoint) = latest(&folder.join("checkpoints")).filter(|_| main) {
        println!("checkpoint: {}", checkpoint.display());
    }
    let code = match outcome {
        Outcome::Finished => 0,
        Outcome::Stopped if stop.asked() => {
            show.say("interrupted: run the same command again to resume");
            exit::INTERRUPTED
        }
        Outcome::Stopped => {
            show.say("out of time: run the same command again to resume");
            exit::INCOMPLETE
        }
    };
    if let Some(logs) = &mut logs {
        logs.finish(code)?;
    }
    Ok(ExitCode::from(code))
}

/// With fresh weights, or those of `--pretrained` (of `--pretrained-image` in the image tower) and
/// their preprocessing; flags count more, and a `.json` of `--model` too.
fn model(
    args: &Args,
    config: &ModelConfig,
    objective: Objective,
    device: Device,
) -> anyhow::Result<Clip> {
    let name = args.model.as_deref().unwrap_or_default();
    let mut preprocess = clip_model::preprocess_fields(name)?;
    preprocess.extend(preprocess_fields(&args.preprocess)?);
    let Some(spec) = &args.pretrained else {
        let mut model = fresh(config, objective, device);
        let image = args.pretrained_image.as_deref();
        let read = |spec| -> anyhow::Result<Tower> {
            let found = pretrained("--pretrained-image", spec, args, config)?;
            Ok(Tower::read(&found.path, config)?)
        };
        let tower = image.map(read).transpose()?;
        if let Some(tower) = &tower {
            tower.copy_into(&model)?;
        }
        let own = tower.and_then(|tower| tower.preprocess).unwrap_or_default();
        model.set_preprocess(own.merged(&preprocess).map_err(anyhow::Error::msg)?);
        return Ok(model);
    };
    let found = pretrained("--pretrained", spec, args, config)?;
    let preprocess = found.preprocess.into_iter().chain(preprocess).collect();
    let image_size = Some(config.vision_cfg.image_size);
    let model = Some(config.clone());
    let opening = LoadOptions { model, image_size, preprocess, device, ..LoadOptions::default() };
    Ok(clip_model::open(&found.path, &opening)?)
}

/// Weights by the path or name that a flag has; a run's folder means its newest checkpoint.
fn pretrained(
    flag: &str,
    spec: &Path,
    args: &Args,
    config: &ModelConfig,
) -> anyhow::Result<Pretrained> {
    let name = args.preset.as_deref().or(args.model.as_deref()).unwrap_or_default();
    let spec = newest(spec)?;
    find_pretrained(&spec.to_string_lossy(), name, config).map_err(|error| match error {
        // What the caller wrote is wrong, and no file is.
        clip_model::Error::Config(reason) => anyhow::anyhow!("{flag}: {reason}"),
        error => error.into(),
    })
}

fn options(args: &Args, chunk: usize) -> TrainOptions {
    TrainOptions {
        seed: args.seed,
        chunk,
        threads: args.workers,
        save_every: Duration::from_secs_f64((args.save_minutes * 60.0).max(1.0)),
        save_steps: args.save_steps,
        save_epochs: args.save_frequency,
        keep: args.keep,
        log_steps: args.log_every_n_steps,
        val_epochs: args.val_frequency.unwrap_or(1),
        zeroshot_epochs: args.zeroshot_frequency.unwrap_or(2),
        grad_checkpointing: args.grad_checkpointing,
    }
}

/// Refuses other `--pretrained` weights than those that a run has begun with: they would have no
/// effect.
fn begun_from_same(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let params = std::fs::read_to_string(folder.join("params.txt")).unwrap_or_default();
    let before = params.lines().find_map(|line| line.strip_prefix("pretrained: "));
    let now = args.pretrained.as_ref().map(|path| path.display().to_string());
    match (before, now) {
        (Some(before), Some(now)) if before != now => anyhow::bail!(
            "--pretrained: the run was begun with {before}, is {now}\n\
             hint: another --name for another run"
        ),
        _ => Ok(()),
    }
}

/// A run of that name continues by itself; `--resume` names another place to start from.
fn resume(trainer: &mut Trainer, args: &Args, folder: &Path) -> anyhow::Result<()> {
    let own = latest(&folder.join("checkpoints"));
    let from = match args.resume.as_deref() {
        None | Some("latest") => own,
        Some(path) => match own {
            None => Some(newest(Path::new(path))?),
            own => own,
        },
    };
    let Some(from) = from else { return Ok(()) };
    begun_from_same(args, folder)?;
    if from.is_dir() {
        trainer.resume(&from)?;
    } else {
        let theirs = Weights::read(&from)?.preprocess;
        let (own, hint) = (*trainer.model.preprocess(), "hint: --image-mean and the like");
        if let Some(theirs) = theirs.filter(|theirs| *theirs != own) {
            let (was, is) = (theirs.to_json(), own.to_json());
            anyhow::bail!("{}: its preprocess_cfg was {was}, is {is}\n{hint}", from.display());
        }
        trainer.import(&from)?;
    }
    if trainer.world.is_main() {
        let (done, from) = (trainer.steps_done(), from.display());
        if done == trainer.total_steps() {
            note!("nothing is left to do: all {done} steps are in {from}");
        } else {
            note!("resumed from step {done} of {from}");
        }
    }
    Ok(())
}

/// What is trained, how, and how that differs from the paper.
fn introduce(
    trainer: &Trainer,
    recipe: &Recipe,
    args: &Args,
    parameters: usize,
    chunk: usize,
    show: &Show,
) {
    let (moments, weights) = trainer.memory();
    let mb = |bytes: usize| bytes as f64 / 1e6;
    let (device, world) = (trainer.model.device(), trainer.world.size());
    show.say(&format!(
        "{parameters} parameters, {} pairs in {} shards, {} steps; {device:?}, {world} {}, {chunk} pairs at a time; \
         trained weights {:.0} MB, moments {:.0} MB",
        trainer.data().pairs(),
        trainer.data().shards(),
        trainer.total_steps(),
        if world == 1 { "process" } else { "processes" },
        mb(weights),
        mb(moments),
    ));
    let named = args.preset.as_deref().or(args.model.as_deref()).unwrap_or("RN50");
    let base = named.rsplit('/').next().unwrap_or(named).trim_end_matches("-quickgelu");
    // A model of the user's is compared with the smallest of its family.
    let reference = paper(match trainer.model.config().vision_cfg.is_resnet() {
        true if !base.starts_with("RN") => "RN50",
        false if !base.starts_with("ViT") => "ViT-B-32",
        _ => base,
    });
    let differences = difference(recipe, &reference);
    if differences.is_empty() {
        show.say("the recipe is the paper's");
    } else {
        let lines: Vec<String> = differences
            .iter()
            .map(|(key, mine, theirs)| format!("{key} {mine} ({theirs})"))
            .collect();
        show.say(&format!("differs from the paper (its value): {}", lines.join(", ")));
    }
    if recipe.precision == TrainPrecision::Amp && !device.is_cuda() {
        show.say("precision amp is float16, which processors compute slowly; --precision auto is several times as fast");
    }
    if !trainer.sampler().has_distinct_texts() {
        show.say(
            "the corpus has so few different captions that a batch holds some twice, and each counts as wrong for the other",
        );
    }
}

/// What the model is called by the flags: where none names it, by the weights that it is of.
fn model_name(args: &Args) -> Option<Cow<'_, str>> {
    let named = args.preset.as_deref().or(args.model.as_deref()).map(Cow::Borrowed);
    named.or_else(|| Some(args.pretrained.as_ref()?.file_name()?.to_string_lossy()))
}

/// open_clip's: the time and the settings.
fn default_name(args: &Args, recipe: &Recipe) -> String {
    let model = model_name(args).unwrap_or("RN50".into());
    let model = args.scale.map_or_else(|| model.to_string(), |k| format!("{model}x{k}"));
    format!(
        "model_{}-lr_{}-b_{}-j_{}-p_{}-seed_{}",
        model.replace(['/', '.'], "-"),
        recipe.lr,
        recipe.batch_size,
        args.workers,
        recipe.precision,
        args.seed
    )
}

/// Everything that decides the run, for `params.txt`, under open_clip's names: `batch_size` is what
/// a process takes at a time, `precision` what is computed in.
fn params(args: &Args, name: &str, trainer: &Trainer, chunk: usize) -> Vec<(String, String)> {
    let (recipe, world) = (trainer.recipe(), trainer.world.size());
    let precision = recipe.precision.resolved(trainer.model.device().is_cuda());
    let recipe = Recipe { precision, ..recipe.clone() };
    let chunks = (recipe.batch_size / world).div_ceil(chunk.max(1));
    let model = model_name(args).unwrap_or("scaled".into());
    let mut params = vec![
        ("train_data".to_owned(), args.shown_sources()),
        ("model".to_owned(), model.into_owned()),
        ("name".to_owned(), name.to_owned()),
        ("seed".to_owned(), args.seed.to_string()),
        ("workers".to_owned(), args.workers.to_string()),
        ("device".to_owned(), args.device.clone()),
    ];
    let report = args.contamination.as_ref().map(|path| path.display().to_string());
    let pretrained = args.pretrained.as_ref().map(|path| path.display().to_string());
    for (name, value) in
        [("pretrained", pretrained), ("contamination", report), ("copies", args.copies.clone())]
    {
        params.extend(value.map(|value| (name.to_owned(), value)));
    }
    params.extend(recipe.settings().into_iter().filter(|(name, _)| name != "batch_size"));
    let batch = [
        ("batch_size", chunk),
        ("accum_freq", chunks),
        ("world_size", world),
        ("global_batch_size", recipe.batch_size),
    ];
    params.extend(batch.map(|(name, count)| (name.to_owned(), count.to_string())));
    let fields = trainer.model.preprocess().to_json();
    params.extend(fields.as_object().into_iter().flatten().map(|(field, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        (format!("image_{field}"), text)
    }));
    params
}

/// What happens between two steps.
struct Watching<'a> {
    stop: &'a Stop,
    deadline: Option<Instant>,
    show: &'a mut Show,
    scorer: Scorer,
}

impl Hooks for Watching<'_> {
    fn stop(&mut self) -> bool {
        self.deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn interrupted(&mut self) -> bool {
        self.stop.asked()
    }

    fn on_progress(&mut self, progress: &Progress) {
        self.show.progress(progress);
    }

    fn on_step(&mut self, step: &StepMetrics, _total: u64) {
        self.show.step(step);
    }

    fn warn(&mut self, text: &str) {
        self.show.say(&format!("warning: {text}"));
    }

    fn evaluate(
        &mut self,
        model: &Clip,
        precision: Precision,
        world: &ProcessGroup,
        due: Due,
    ) -> clip_train::Result<Vec<(String, f64)>> {
        let interrupted = || self.stop.asked();
        let scores = self.scorer.scores(model, precision, world, due, &interrupted)?;
        for (name, value) in &scores {
            if value.is_finite() {
                self.show.say(&format!("{name}: {value:.4}"));
            } else {
                self.warn(&format!("{name}: none, the model's output is not finite"));
            }
        }
        Ok(scores)
    }
}
