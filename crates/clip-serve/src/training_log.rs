//! What a training run wrote down, read in bounded time: a run of a million steps has hundreds of
//! megabytes of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::Path;

use clip_format::PathError;
use serde_json::Value;

use crate::Result;

/// Bytes of a file of which every line is read; of a longer one some are.
const WHOLE: u64 = 8 << 20;
/// Lines that are read of a longer file, evenly.
const LINES: u64 = 1500;
/// Bytes of the longest line.
const LONGEST: u64 = 1 << 20;

/// A training run as its folder shows it.
#[derive(Debug, Default)]
pub(crate) struct TrainingLog {
    /// Steps, or some of them, evenly.
    pub steps: Vec<Value>,
    /// Whether some were left out.
    pub sampled: bool,
    /// Evaluations, one an epoch.
    pub results: Vec<Value>,
    /// The settings.
    pub params: BTreeMap<String, String>,
}

impl TrainingLog {
    /// Reads `steps.jsonl`, `checkpoints/results.jsonl` and `params.txt`.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let (steps, sampled) = lines(&folder.join("steps.jsonl"))?;
        let (results, _) = lines(&folder.join("checkpoints/results.jsonl"))?;
        let params = std::fs::read_to_string(folder.join("params.txt")).unwrap_or_default();
        let pairs = params.lines().filter_map(|line| line.split_once(": "));
        let params = pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        Ok(Self { steps, sampled, results, params })
    }

    /// The last step.
    pub fn last(&self) -> Option<&Value> {
        self.steps.last()
    }

    /// A value of each step, smoothed to some 300 points; what is not finite is left out.
    pub fn points(&self, name: &str) -> Vec<(f64, f64)> {
        let point = |step: &Value| Some((step["step"].as_f64()?, step[name].as_f64()?));
        let points: Vec<(f64, f64)> = self.steps.iter().filter_map(point).collect();
        let mean = |points: &[(f64, f64)]| {
            let count = points.len() as f64;
            let sum = points.iter().fold((0.0, 0.0), |sum, p| (sum.0 + p.0, sum.1 + p.1));
            (sum.0 / count, sum.1 / count)
        };
        points.chunks(points.len().div_ceil(300).max(1)).map(mean).collect()
    }

    /// Pairs a second: all of these steps by the time of all, not the mean of their rates, which
    /// slow steps hardly lower.
    pub fn rate(&self) -> Option<f64> {
        let step = |step: &Value| {
            let seconds = step["seconds"].as_f64()?;
            Some((step["samples_per_second"].as_f64()? * seconds, seconds))
        };
        let add = |sum: (f64, f64), step: (f64, f64)| (sum.0 + step.0, sum.1 + step.1);
        let (samples, seconds) = self.steps.iter().filter_map(step).fold((0.0, 0.0), add);
        (seconds > 0.0).then(|| samples / seconds)
    }

    /// The names of all scores of evaluations.
    pub fn scores(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, value) in self.results.iter().filter_map(Value::as_object).flatten() {
            if name != "epoch" && value.is_number() && !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// A score after each epoch.
    pub fn curve(&self, name: &str) -> Vec<(f64, f64)> {
        let point = |result: &Value| Some((result["epoch"].as_f64()?, result[name].as_f64()?));
        self.results.iter().filter_map(point).collect()
    }
}

/// The lines of a file of JSON that parse, all or some evenly, the last one among them; none where
/// there is no file. The last line may be cut off: the run may be at work.
fn lines(path: &Path) -> Result<(Vec<Value>, bool)> {
    let failed = |e| PathError::new(path, e);
    let file = match File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok((Vec::new(), false)),
        file => file.map_err(failed)?,
    };
    let length = file.metadata().map_err(failed)?.len();
    let mut reader = BufReader::new(file);
    let mut found = Vec::new();
    if length <= WHOLE {
        while let Some(line) = next_line(&mut reader).map_err(failed)? {
            found.extend(serde_json::from_slice(&line).ok());
        }
        return Ok((found, false));
    }
    for number in 0..LINES {
        // The last stretch is read to its end, so that the last step is there.
        let at = (length - 65_536) * number / (LINES - 1);
        reader.seek(SeekFrom::Start(at)).map_err(failed)?;
        if at > 0 {
            // The line that the place is in.
            next_line(&mut reader).map_err(failed)?;
        }
        while let Some(line) = next_line(&mut reader).map_err(failed)? {
            found.extend(serde_json::from_slice(&line).ok());
            if number < LINES - 1 {
                break;
            }
        }
    }
    Ok((found, true))
}

/// A line, without what of it is beyond the longest; nothing at the end.
fn next_line(reader: &mut BufReader<File>) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = std::io::Read::take(&mut *reader, LONGEST).read_until(b'\n', &mut line)?;
    Ok((read > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    #[test]
    fn long_logs_are_read_evenly_and_to_their_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for step in 0..120_000 {
            writeln!(text, "{{\"step\": {step}, \"loss\": {}, \"seconds\": 0.123456789, \"samples_per_second\": 123.456789}}", 5.0 - f64::from(step) * 1e-5).unwrap();
        }
        assert!(text.len() as u64 > WHOLE);
        text.push_str("{\"step\": 12");
        std::fs::write(folder.path().join("steps.jsonl"), &text).unwrap();
        let log = TrainingLog::read(folder.path()).unwrap();
        assert!(
            log.sampled && log.steps.len() > 1000 && log.steps.len() < 4000,
            "{}",
            log.steps.len()
        );
        assert_eq!(
            (log.steps[0]["step"].as_u64(), log.last().unwrap()["step"].as_u64()),
            (Some(0), Some(119_999))
        );
        let steps: Vec<u64> = log.steps.iter().map(|s| s["step"].as_u64().unwrap()).collect();
        assert!(steps.is_sorted());
        let points = log.points("loss");
        assert!(points.len() <= 300 && points[0].1 > points[points.len() - 1].1);
    }

    #[test]
    fn the_rate_is_of_all_steps_together() {
        let step = |seconds: f64, rate: f64| serde_json::json!({"seconds": seconds, "samples_per_second": rate});
        let steps = vec![step(1.0, 16.0), step(3.0, 16.0 / 3.0)];
        let log = TrainingLog { steps, ..TrainingLog::default() };
        assert_eq!(log.rate(), Some(8.0));
        assert_eq!(TrainingLog::default().rate(), None);
    }

    #[test]
    fn a_run_that_has_just_begun_has_nothing_yet() {
        let folder = tempfile::tempdir().unwrap();
        let log = TrainingLog::read(folder.path()).unwrap();
        assert!(log.last().is_none() && log.points("loss").is_empty() && log.scores().is_empty());
        std::fs::create_dir(folder.path().join("checkpoints")).unwrap();
        let results = "{\"epoch\": 1, \"top1\": 0.5, \"b\": null}\n{\"epoch\": 2, \"top1\": 0.6}\n";
        std::fs::write(folder.path().join("checkpoints/results.jsonl"), results).unwrap();
        std::fs::write(folder.path().join("params.txt"), "lr: 0.1\nname: a: b\n").unwrap();
        let log = TrainingLog::read(folder.path()).unwrap();
        assert_eq!(log.scores(), ["top1"]);
        assert_eq!(log.curve("top1"), [(1.0, 0.5), (2.0, 0.6)]);
        assert_eq!(log.params["name"], "a: b");
    }
}
