//! A run as Weights & Biases keeps it until `wandb sync` uploads it: a log of protobuf messages
//! (`wandb_internal.proto`).

mod log;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use serde_json::json;

use crate::protobuf::{Field, bytes, fields, message, number};
use crate::{Error, Result};

use log::{Records, framed};

/// What a file begins with: its magic, and version 0 of its format.
const HEAD: &[u8; 7] = b":W&B\xe1\xbe\0";
/// The kinds of records that are written here: fields of `Record`.
const HISTORY: u32 = 2;
const SUMMARY: u32 = 3;
const RUN: u32 = 17;
const EXIT: u32 = 18;
const HEADER: u32 = 21;
/// Of an item: its key, as a path of one name, and its value.
const NESTED_KEY: u32 = 2;
const VALUE_JSON: u32 = 16;
/// The key of the seconds that a run has taken.
const RUNTIME: &str = "_runtime";

/// How a run is called in W&B.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WandbRun {
    /// Its name; its id is made from it, as open_clip's is.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Its settings.
    pub config: Vec<(String, String)>,
}

/// The file of an offline run, which is one for all starts of the run.
pub(crate) struct Wandb {
    path: PathBuf,
    file: File,
    state: State,
    /// Time of the start of this process.
    started: Instant,
    /// The row that is not complete: its step and its values.
    row: Option<(u64, Values)>,
    /// Whether the summary has changed since it was written.
    fresh: bool,
}

/// Values as JSON.
type Values = BTreeMap<String, String>;

/// What is in a file.
#[derive(Debug, Default, PartialEq)]
struct State {
    /// Its length in bytes.
    end: u64,
    records: u64,
    has_run: bool,
    /// Seconds that the run has taken.
    runtime: f64,
    /// The last value of each key.
    summary: Values,
}

impl Wandb {
    /// Opens the run's file below its folder, or makes it. What a killed process wrote of steps
    /// from `step` on is taken back.
    pub fn open(folder: &Path, step: u64, run: &WandbRun) -> Result<Self> {
        let id = id(&run.name);
        let now = SystemTime::now();
        let path = match find(&folder.join("wandb"), &id) {
            Some(path) => path,
            None => {
                let time = humantime::format_rfc3339_seconds(now).to_string();
                let time = time.replace('T', "_").replace(['-', ':', 'Z'], "");
                folder.join(format!("wandb/offline-run-{time}-{id}/run-{id}.wandb"))
            }
        };
        // `wandb sync` writes to this folder.
        let files = path.with_file_name("files");
        std::fs::create_dir_all(&files).map_err(|e| Error::io(&files, e))?;
        let open =
            OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = open.map_err(|e| Error::io(&path, e))?;
        let state = State::read(&path, &file, step)?;
        let io = |e| Error::io(&path, e);
        file.set_len(state.end).map_err(io)?;
        file.seek(SeekFrom::End(0)).map_err(io)?;
        let (started, row) = (Instant::now(), None);
        let mut wandb = Self { path, file, state, started, row, fresh: false };
        if !wandb.state.has_run {
            wandb.begin(&id, run, now)?;
        }
        Ok(wandb)
    }

    fn begin(&mut self, id: &str, run: &WandbRun, now: SystemTime) -> Result<()> {
        let time = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.write(HEAD)?;
        self.record(HEADER, |header| {
            message(header, 1, |info| bytes(info, 1, b"clip-data"));
        })?;
        self.record(RUN, |record| {
            bytes(record, 1, id.as_bytes());
            bytes(record, 3, run.project.as_bytes());
            message(record, 4, |config| {
                for (key, value) in &run.config {
                    message(config, 1, |item| {
                        bytes(item, 1, key.as_bytes());
                        bytes(item, VALUE_JSON, setting(value).as_bytes());
                    });
                }
            });
            bytes(record, 8, run.name.as_bytes());
            message(record, 17, |start| {
                number(start, 1, time.as_secs());
                number(start, 2, u64::from(time.subsec_nanos()));
            });
        })
    }

    /// Adds values to the row of a step, which is written when a later one begins: W&B has one for
    /// each step.
    pub fn log(&mut self, step: u64, values: &[(String, f64)]) -> Result<()> {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.log_at(step, values, (now, self.runtime()))
    }

    /// The same at a time, after as many seconds of the run.
    fn log_at(
        &mut self,
        step: u64,
        values: &[(String, f64)],
        (now, runtime): (Duration, Duration),
    ) -> Result<()> {
        if self.row.as_ref().is_some_and(|(at, _)| *at != step) {
            self.end_row()?;
        }
        let (_, row) = self.row.get_or_insert_with(|| (step, Values::new()));
        row.extend(values.iter().map(|(key, value)| (key.clone(), number_json(*value))));
        row.insert("_step".into(), step.to_string());
        row.insert("_timestamp".into(), number_json(now.as_secs_f64()));
        row.insert(RUNTIME.into(), number_json(runtime.as_secs_f64()));
        Ok(())
    }

    /// Writes what is not written yet: nothing of it is lost with the process.
    pub fn flush(&mut self) -> Result<()> {
        self.end_row()?;
        if std::mem::take(&mut self.fresh) {
            let values = std::mem::take(&mut self.state.summary);
            self.record(SUMMARY, |summary| items(summary, &values))?;
            self.state.summary = values;
        }
        Ok(())
    }

    /// The end of the run, with the exit code of its process.
    pub fn finish(&mut self, exit_code: u8) -> Result<()> {
        self.finish_at(exit_code, self.runtime())
    }

    fn finish_at(&mut self, exit_code: u8, runtime: Duration) -> Result<()> {
        self.flush()?;
        self.record(EXIT, |exit| {
            number(exit, 1, u64::from(exit_code));
            number(exit, 2, runtime.as_secs());
        })
    }

    fn runtime(&self) -> Duration {
        self.started.elapsed() + Duration::try_from_secs_f64(self.state.runtime).unwrap_or_default()
    }

    fn end_row(&mut self) -> Result<()> {
        let Some((step, values)) = self.row.take() else { return Ok(()) };
        self.record(HISTORY, |history| {
            items(history, &values);
            message(history, 2, |at| number(at, 1, step));
        })?;
        self.state.summary.extend(values);
        self.fresh = true;
        Ok(())
    }

    fn record(&mut self, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        self.state.records += 1;
        let mut record = Vec::new();
        number(&mut record, 1, self.state.records);
        message(&mut record, kind, fill);
        self.write(&framed(self.state.end, &record))
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.state.end += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|e| Error::io(&self.path, e))
    }
}

impl State {
    /// What is in a file before its end, or before its first row of a step from `step` on.
    fn read(path: &Path, file: &File, step: u64) -> Result<Self> {
        let (mut state, mut reader) = (Self::default(), BufReader::new(file));
        let mut head = Vec::new();
        let io = |e| Error::io(path, e);
        reader.by_ref().take(HEAD.len() as u64).read_to_end(&mut head).map_err(io)?;
        if !HEAD.starts_with(&head) {
            let reason = "no offline run of W&B\nhint: move the file away";
            return Err(Error::file(path, reason));
        }
        if head.len() < HEAD.len() {
            return Ok(state);
        }
        let mut records = Records::new(reader, HEAD.len() as u64);
        while let Some((end, record)) = records.next().map_err(io)? {
            if !state.take(&record, step) {
                break;
            }
            state.end = end;
            state.records += 1;
        }
        // A file that says nothing of its run is made anew.
        Ok(if state.has_run { state } else { Self::default() })
    }

    /// Takes a record's values; whether it is kept.
    fn take(&mut self, record: &[u8], step: u64) -> bool {
        let Some(all) = fields(record) else { return false };
        for (kind, field) in all {
            let Field::Bytes(content) = field else { continue };
            if kind == u64::from(EXIT) {
                return false;
            }
            self.has_run |= kind == u64::from(RUN);
            if kind == u64::from(HISTORY) {
                let Some((at, values)) = row(content) else { return false };
                if at >= step {
                    return false;
                }
                let runtime = values.get(RUNTIME).and_then(|text| text.parse().ok());
                self.runtime = runtime.unwrap_or(self.runtime);
                self.summary.extend(values);
            }
        }
        true
    }
}

/// The step of a row and its values.
fn row(history: &[u8]) -> Option<(u64, Values)> {
    let (mut step, mut values) = (0, Values::new());
    for field in fields(history)? {
        match field {
            (1, Field::Bytes(item)) => {
                let item = fields(item)?;
                let text = |wanted: u32| {
                    let found = item.iter().find(|(field, _)| *field == u64::from(wanted))?;
                    let Field::Bytes(text) = found.1 else { return None };
                    Some(String::from_utf8_lossy(text).into_owned())
                };
                values.insert(text(NESTED_KEY)?, text(VALUE_JSON)?);
            }
            (2, Field::Bytes(at)) => {
                if let Some((1, Field::Varint(number))) = fields(at)?.first() {
                    step = *number;
                }
            }
            _ => {}
        }
    }
    Some((step, values))
}

fn items(out: &mut Vec<u8>, values: &Values) {
    for (key, value) in values {
        message(out, 1, |item| {
            bytes(item, NESTED_KEY, key.as_bytes());
            bytes(item, VALUE_JSON, value.as_bytes());
        });
    }
}

/// A number as W&B's own program writes it.
fn number_json(value: f64) -> String {
    let name = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "Infinity"
    } else if value == f64::NEG_INFINITY {
        "-Infinity"
    } else {
        return json!(value).to_string();
    };
    json!(name).to_string()
}

/// A setting: a number or a truth value where it is one, else a text.
fn setting(text: &str) -> String {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(value) if value.is_number() || value.is_boolean() => value.to_string(),
        _ => json!(text).to_string(),
    }
}

/// A run's id: its name without what W&B allows in none, and no longer than it allows.
fn id(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    name.chars().map(plain).take(128).collect()
}

/// The file of a run with that id, which an earlier start has made.
fn find(folder: &Path, id: &str) -> Option<PathBuf> {
    let (entries, ending) = (std::fs::read_dir(folder).ok()?, format!("-{id}"));
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let own = paths.filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let time = name.strip_prefix("offline-run-").and_then(|name| name.strip_suffix(&ending));
        time.is_some_and(|time| time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_'))
    });
    own.map(|path| path.join(format!("run-{id}.wandb"))).filter(|path| path.is_file()).max()
}
