//! What a run writes down: open_clip's files, and a line of JSON for each step.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::tensorboard::Events;
use crate::wandb::{Wandb, WandbRun};
use crate::{Error, Result, StepMetrics};

/// The files of a run's folder.
pub struct Logs {
    folder: PathBuf,
    out: File,
    steps: File,
    events: Option<Events>,
    wandb: Option<Wandb>,
    /// Held for as long as this process writes here.
    _lock: RunLock,
}

/// A run's folder, taken by this process until it ends, however that is.
pub struct RunLock {
    _file: File,
}

/// How long a process that was left behind may still be writing its last checkpoint.
const PATIENCE: Duration = Duration::from_secs(20);

impl RunLock {
    /// Makes the folder and takes it, after waiting a little for another process that may be about
    /// to leave it.
    ///
    /// # Errors
    /// When another process keeps it.
    pub fn take(folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, e))?;
        let path = folder.join(".lock");
        let started = Instant::now();
        loop {
            let lock = clip_corpus::lock_file(&path, false).map_err(|e| Error::io(&path, e))?;
            if let Some(file) = lock {
                return Ok(Self { _file: file });
            }
            if started.elapsed() > PATIENCE {
                return Err(Error::file(
                    &path,
                    "another process trains here\nhint: another --name",
                ));
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Logs {
    /// Opens `out.log` and `steps.jsonl` in the folder; what a killed run wrote after `step` is
    /// taken back. With `tensorboard` scalars go to event files too.
    pub fn open(folder: &Path, step: u64, tensorboard: bool) -> Result<Self> {
        Self::locked(RunLock::take(folder)?, folder, step, tensorboard)
    }

    /// The same in a folder that this process has locked.
    pub fn locked(lock: RunLock, folder: &Path, step: u64, tensorboard: bool) -> Result<Self> {
        let checkpoints = folder.join("checkpoints");
        std::fs::create_dir_all(&checkpoints).map_err(|e| Error::io(&checkpoints, e))?;
        crate::checkpoint::clean(&checkpoints)?;
        let steps = folder.join("steps.jsonl");
        keep_lines(&steps, "step", |at| at < step)?;
        let events = tensorboard.then(|| Events::create(&folder.join("tensorboard")));
        Ok(Self {
            folder: folder.to_path_buf(),
            out: append(&folder.join("out.log"))?,
            steps: append(&steps)?,
            events: events.transpose()?,
            wandb: None,
            _lock: lock,
        })
    }

    /// Writes scalars to a file for `wandb sync`, too; what a killed run wrote there after `step`
    /// is taken back.
    pub fn report_to_wandb(&mut self, step: u64, run: &WandbRun) -> Result<()> {
        self.wandb = Some(Wandb::open(&self.folder, step, run)?);
        Ok(())
    }

    /// Writes what must not be lost once a checkpoint is written.
    pub(crate) fn flush(&mut self) -> Result<()> {
        self.wandb.as_mut().map_or(Ok(()), Wandb::flush)
    }

    /// The end of a run that did not fail, with its exit code.
    pub fn finish(&mut self, exit_code: u8) -> Result<()> {
        self.wandb.as_mut().map_or(Ok(()), |wandb| wandb.finish(exit_code))
    }

    /// Where the checkpoints are.
    pub fn checkpoints(&self) -> PathBuf {
        self.folder.join("checkpoints")
    }

    /// Writes `params.txt`: a `key: value` line for each parameter, sorted.
    pub fn params(&self, params: &[(String, String)]) -> Result<()> {
        let mut lines: Vec<String> =
            params.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
        lines.sort();
        Ok(clip_format::write_atomic(&self.folder.join("params.txt"), lines.concat().as_bytes())?)
    }

    /// Writes a line to `out.log` as Python's logging does for open_clip.
    pub fn info(&mut self, message: &str) -> Result<()> {
        self.line("INFO", message)
    }

    /// open_clip's line of a step, whose form its users' tools look for; `epoch` are the first step
    /// of the step's epoch and of the next one.
    pub(crate) fn train_line(
        &mut self,
        step: &StepMetrics,
        epoch: Range<u64>,
        batch: usize,
        processes: usize,
    ) -> Result<()> {
        let (at, all) = (step.step - epoch.start + 1, (epoch.end - epoch.start).max(1));
        let (seen, of) = (at * batch as u64, all * batch as u64);
        self.info(&format!(
            "Train Epoch: {epoch} [{seen:>width$}/{of} ({percent:.0}%)] Data (t): {data:.3} Batch (t): {seconds:.3}, \
             {rate:.6}/s, {each:.6}/s/gpu LR: {lr:.6} Logit Scale: {scale:.3} \
             Contrastive_loss: {loss:.5} ({loss:.5}) Loss: {loss:.5} ({loss:.5})",
            epoch = step.epoch,
            width = of.to_string().len(),
            percent = 100.0 * at as f64 / all as f64,
            data = step.data_wait,
            seconds = step.seconds,
            rate = step.samples_per_second,
            each = step.samples_per_second / processes as f64,
            lr = step.lr,
            scale = step.logit_scale,
            loss = step.loss,
        ))
    }

    /// The same for what is odd.
    pub fn warning(&mut self, message: &str) -> Result<()> {
        self.line("WARNING", message)
    }

    fn line(&mut self, level: &str, message: &str) -> Result<()> {
        let path = self.folder.join("out.log");
        writeln!(self.out, "{} | {level} | {message}", timestamp(SystemTime::now()))
            .map_err(|e| Error::io(&path, e))
    }

    /// Writes the step's line of JSON, and its scalars under open_clip's tags.
    pub fn step(&mut self, step: &StepMetrics) -> Result<()> {
        let path = self.folder.join("steps.jsonl");
        let line = serde_json::to_string(step).map_err(|e| Error::file(&path, e))?;
        writeln!(self.steps, "{line}").map_err(|e| Error::io(&path, e))?;
        let scalars = [
            ("data_time", step.data_wait),
            ("batch_time", step.seconds),
            ("samples_per_second", step.samples_per_second),
            ("scale", step.logit_scale),
            ("lr", step.lr),
            ("loss", step.loss),
            ("contrastive_loss", step.loss),
            ("grad_norm", step.grad_norm),
        ];
        let scalars = scalars.map(|(tag, value)| (format!("train/{tag}"), value));
        if let Some(events) = &mut self.events {
            events.scalars(step.step, &scalars)?;
        }
        let Some(wandb) = &mut self.wandb else { return Ok(()) };
        let row = scalars.into_iter().chain([("step".into(), step.step as f64)]);
        wandb.log(step.step, &row.collect::<Vec<_>>())
    }

    /// Takes back the other epochs' evaluations, which a killed run has written.
    pub(crate) fn keep_scores(&self, keep: impl Fn(u64) -> bool) -> Result<()> {
        keep_lines(&self.checkpoints().join("results.jsonl"), "epoch", keep)
    }

    /// Writes an evaluation after `epoch` epochs: open_clip's line, its `results.jsonl`, and
    /// scalars. A score that is not finite is null in `results.jsonl`, and a warning names it.
    pub fn scores(&mut self, epoch: u64, step: u64, scores: &[(String, f64)]) -> Result<()> {
        let (measured, failed): (Vec<_>, Vec<_>) =
            scores.iter().partition(|(_, value)| value.is_finite());
        let shown: Vec<String> =
            measured.iter().map(|(name, value)| format!("{name}: {value:.4}")).collect();
        self.info(&format!("Eval Epoch: {epoch} {}", shown.join("\t")))?;
        if !failed.is_empty() {
            let names: Vec<&str> = failed.iter().map(|(name, _)| name.as_str()).collect();
            self.warning(&format!(
                "Eval Epoch: {epoch} the model's output is not finite (NaN or infinite), so it has no {}",
                names.join(", ")
            ))?;
        }
        let mut object: serde_json::Map<String, serde_json::Value> =
            scores.iter().map(|(name, value)| (name.clone(), (*value).into())).collect();
        object.insert("epoch".into(), epoch.into());
        let path = self.checkpoints().join("results.jsonl");
        let mut results = append(&path)?;
        let line = serde_json::Value::Object(object);
        writeln!(results, "{line}").map_err(|e| Error::io(&path, e))?;
        let tagged = measured.iter().map(|(name, value)| (format!("val/{name}"), *value));
        let tagged: Vec<(String, f64)> = tagged.collect();
        if let Some(events) = &mut self.events {
            events.scalars(step, &tagged)?;
        }
        let Some(wandb) = &mut self.wandb else { return Ok(()) };
        let row = tagged.into_iter().chain([("epoch".into(), epoch as f64)]);
        // The row of the last step before it: those from `step` on are taken back when a run
        // resumes.
        wandb.log(step.saturating_sub(1), &row.collect::<Vec<_>>())?;
        wandb.flush()
    }
}

/// Keeps the lines of JSON whose number `key` is one to keep; a line that a crash cut off is
/// dropped, too.
fn keep_lines(path: &Path, key: &str, keep: impl Fn(u64) -> bool) -> Result<()> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(()) };
    let known = |line: &&str| {
        let value = serde_json::from_str::<serde_json::Value>(line).ok();
        value.and_then(|value| value[key].as_u64()).is_some_and(&keep)
    };
    let kept: String = text.lines().filter(known).flat_map(|line| [line, "\n"]).collect();
    if kept != text {
        clip_format::write_atomic(path, kept.as_bytes())?;
    }
    Ok(())
}

fn append(path: &Path) -> Result<File> {
    OpenOptions::new().create(true).append(true).open(path).map_err(|e| Error::io(path, e))
}

/// UTC as `2026-11-24,00:08:51`.
fn timestamp(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string().replace('T', ",").replace('Z', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| timestamp(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01,00:00:00");
        assert_eq!(at(1_709_208_000), "2024-02-29,12:00:00");
        assert_eq!(at(1_795_478_931), "2026-11-24,00:08:51");
    }

    #[test]
    fn a_score_that_is_not_finite_is_null_and_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut logs = Logs::open(folder.path(), 0, true).unwrap();
        let scores = [("a".to_owned(), 0.5), ("b".to_owned(), f64::NAN)];
        logs.scores(1, 10, &scores).unwrap();
        let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
        let line: serde_json::Value =
            serde_json::from_str(&read("checkpoints/results.jsonl")).unwrap();
        assert_eq!(line, serde_json::json!({"a": 0.5, "b": null, "epoch": 1}));
        let log = read("out.log");
        assert!(log.contains("Eval Epoch: 1 a: 0.5000\n") && !log.contains("b: NaN"), "{log}");
        assert!(log.contains("WARNING") && log.contains("so it has no b"), "{log}");
    }
}
