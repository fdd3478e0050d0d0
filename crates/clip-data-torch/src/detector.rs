//! `clip-data detector`: the learned duplicate detector of the paper's appendix C.

use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Context;
use clip_cli::torch::{DetectorTask, DetectorTrainArgs};
use clip_cli::{Show, StatusLine};
use clip_detector::{Detector, DetectorConfig, TrainOptions, TrainingImages, serve, train};
use clip_torch::{Precision, tch};
use serde_json::json;

use crate::device::device;
use crate::exit;

/// Trains or serves.
pub fn run(task: DetectorTask) -> anyhow::Result<ExitCode> {
    clip_torch::init(None)?;
    match task {
        DetectorTask::Train(args) => trained(&args),
        DetectorTask::Serve { model, device: name } => {
            let detector = Detector::load(&model, device(&name)?)?;
            let precision = precision("auto", detector.device())?;
            serve(
                &detector,
                precision,
                &mut std::io::stdin().lock(),
                &mut std::io::stdout().lock(),
            )
            .with_context(|| model.display().to_string())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn precision(name: &str, device: tch::Device) -> anyhow::Result<Precision> {
    Ok(match name {
        "auto" if device.is_cuda() || clip_format::has_bf16() => Precision::Bf16,
        "auto" | "fp32" => Precision::F32,
        "amp_bf16" => Precision::Bf16,
        other => anyhow::bail!("--precision {other}: one of auto, amp_bf16, fp32"),
    })
}

fn config(preset: &str) -> anyhow::Result<DetectorConfig> {
    if preset.ends_with(".json") {
        let text = std::fs::read(preset).map_err(|e| anyhow::anyhow!("{preset}: {e}"))?;
        return serde_json::from_slice(&text).map_err(|e| anyhow::anyhow!("{preset}: {e}"));
    }
    Ok(DetectorConfig::preset(preset)?)
}

fn trained(args: &DetectorTrainArgs) -> anyhow::Result<ExitCode> {
    let device = device(&args.device)?;
    let config = config(&args.preset)?;
    // A half more pixels than the network sees leave room for crops.
    let side = config.size as u32 * 3 / 2;
    let show = Show::default_here();
    let status = StatusLine::new(show, "images", None);
    let seen = |count: usize| {
        status.update(count as u64, || {
            (format!("{count} read"), json!({"event": "images", "read": count}))
        });
    };
    let images = TrainingImages::open(&args.corpus, args.images, side, &seen)?;
    status.clear();
    let (read, unreadable) = (images.all().len(), images.unreadable);
    note!("{read} images, {unreadable} unreadable");
    tch::manual_seed(args.seed as i64);
    let detector = Detector::new(&config, device)?;
    let options = TrainOptions {
        batch: args.batch_size,
        steps: args.steps,
        limit: args.max_minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes)),
        lr: args.lr,
        seed: args.seed,
        precision: precision(&args.precision, device)?,
    };
    let stop = clip_cli::stop_flag(exit::STOPPING)?;
    let status = StatusLine::new(show, "detector", Some(100));
    let mut watch = |p: clip_detector::Progress| {
        status.update((100.0 * p.done) as u64, || {
            let (loss, accuracy, done) = (p.loss, 100.0 * p.accuracy, 100.0 * p.done);
            let text = format!(
                "step {}: loss {loss:.3}, own copy nearest {accuracy:.1}%, {:.0} images a second, {done:.0}% done",
                p.step, p.rate
            );
            (text, json!({"event": "step", "step": p.step, "loss": p.loss, "done": p.done}))
        });
        !stop.load(Ordering::Relaxed)
    };
    let last = train(&detector, &images, &options, &mut watch)?;
    status.clear();
    detector.save(&args.out)?;
    println!("detector: {} ({} steps, loss {:.3})", args.out.display(), last.step, last.loss);
    let interrupted = stop.load(Ordering::Relaxed);
    Ok(if interrupted { ExitCode::from(exit::INTERRUPTED) } else { ExitCode::SUCCESS })
}
