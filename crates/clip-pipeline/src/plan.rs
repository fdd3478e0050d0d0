//! What a run would do: which stages are there already, which are not, and why.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use clip_corpus::Manifest;
use serde::{Deserialize, Serialize};

use crate::{Error, Fingerprint, Result, RunStore, StageSpec, Work};

/// Whether a stage must run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// All its parts are there.
    Reuse,
    /// Some of its parts are there.
    Resume {
        /// Parts that are there.
        done: usize,
        /// Parts in all.
        parts: usize,
    },
    /// Nothing is there; the reasons say what differs from the last run, if there was one.
    Run(Vec<String>),
}

/// A stage in its place in the chain.
pub struct PlannedStage {
    /// As configured.
    pub spec: StageSpec,
    /// What its output depends on.
    pub print: Fingerprint,
    /// The hash of that.
    pub hash: String,
    /// Its folder: number, name and the hash's first eight digits.
    pub dir: PathBuf,
    /// Whether it must run.
    pub status: Status,
    work: Mutex<Option<Arc<Work>>>,
}

impl PlannedStage {
    /// The stage's name.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// The work, made on first use.
    pub(crate) fn work(&self) -> Result<Arc<Work>> {
        let mut work = self.work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(work) = &*work {
            return Ok(work.clone());
        }
        let made = Arc::new((self.spec.build)()?);
        *work = Some(made.clone());
        Ok(made)
    }
}

/// What lies in `stage.json` beside a stage's parts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StageFile {
    #[serde(flatten)]
    pub print: Fingerprint,
    pub parts: usize,
}

impl StageFile {
    pub const NAME: &'static str = "stage.json";

    pub fn read(dir: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(dir.join(Self::NAME)).ok()?).ok()
    }

    pub fn write(&self, dir: &Path) -> Result<()> {
        let text = format!("{:#}\n", serde_json::json!(self));
        Ok(clip_format::write_atomic(&dir.join(Self::NAME), text.as_bytes())?)
    }
}

/// The chain of stages in the folder of one run.
pub struct Plan {
    /// `<workdir>/<name>`.
    pub dir: PathBuf,
    /// The run's seed.
    pub seed: u64,
    /// The stages, in order.
    pub stages: Vec<PlannedStage>,
    /// Where the run lies for all machines, if not in `dir` alone.
    pub store: Option<RunStore>,
}

impl Plan {
    /// Compares a chain of stages with what lies in `dir`. Writes nothing.
    pub fn new(dir: &Path, seed: u64, specs: Vec<StageSpec>) -> Result<Self> {
        Self::stored(dir, None, seed, specs)
    }

    /// The same for a run that may lie in a store: what others did there is noted in `dir`.
    pub fn stored(
        dir: &Path,
        store: Option<RunStore>,
        seed: u64,
        specs: Vec<StageSpec>,
    ) -> Result<Self> {
        if let Some(store) = &store {
            copy_of(dir, store)?;
        }
        let mut stages = Vec::with_capacity(specs.len());
        let mut input = None;
        for (number, spec) in specs.into_iter().enumerate() {
            let print = Fingerprint::new(&spec, seed, input.take());
            let hash = print.hash();
            let folder = dir.join(format!("{number:02}-{}-{}", spec.name, &hash[..8]));
            let status = status(dir, store.as_ref(), number, &folder, &print)?;
            input = Some(hash.clone());
            let work = Mutex::new(None);
            stages.push(PlannedStage { spec, print, hash, dir: folder, status, work });
        }
        Ok(Self { dir: dir.to_path_buf(), seed, stages, store })
    }

    /// The number of the stage of that name.
    pub fn find(&self, name: &str) -> Result<usize> {
        self.stages.iter().position(|stage| stage.name() == name).ok_or_else(|| {
            let names: Vec<_> = self.stages.iter().map(PlannedStage::name).collect();
            let names = names.join(", ");
            Error::Config(format!("there is no stage {name:?}\nhint: the stages are {names}"))
        })
    }
}

/// Holds a folder to the one store that it is a copy of: what lies there of another run must not be
/// touched.
fn copy_of(dir: &Path, store: &RunStore) -> Result<()> {
    let path = dir.join(".store");
    match std::fs::read_to_string(&path) {
        Ok(address) if address == store.address() => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !dir.exists() => {
            Ok(clip_format::write_atomic(&path, store.address().as_bytes())?)
        }
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&path, e)),
        _ => Err(Error::Config(format!(
            "{} holds a run that does not lie in {}\nhint: `--set workdir=…` names another folder",
            dir.display(),
            store.address()
        ))),
    }
}

fn status(
    run: &Path,
    store: Option<&RunStore>,
    number: usize,
    dir: &Path,
    print: &Fingerprint,
) -> Result<Status> {
    if let Some(store) = store {
        store.refresh(dir)?;
    }
    if let Some(file) = StageFile::read(dir) {
        let done = there(&Manifest::open(dir)?, dir, store).len();
        return Ok(if done == file.parts {
            Status::Reuse
        } else {
            Status::Resume { done, parts: file.parts }
        });
    }
    Ok(Status::Run(latest(run, number, print).map_or_else(Vec::new, |old| {
        let mut changes = print.changes(&old);
        if changes.is_empty() {
            changes.push("a stage before it runs again".into());
        }
        changes
    })))
}

/// The fingerprint that this stage had when it last ran.
fn latest(run: &Path, number: usize, print: &Fingerprint) -> Option<Fingerprint> {
    let prefix = format!("{number:02}-{}-", print.stage);
    let folders = std::fs::read_dir(run).ok()?.filter_map(std::result::Result::ok);
    let mine = folders.filter(|f| f.file_name().to_string_lossy().starts_with(&prefix));
    mine.filter_map(|folder| {
        let modified = folder.metadata().ok()?.modified().ok()?;
        Some((modified, StageFile::read(&folder.path())?.print))
    })
    .max_by_key(|(modified, _)| *modified)
    .map(|(_, print)| print)
}

/// The parts that need not be done: in a store those that are committed, in a folder those whose
/// files are there with the length that the manifest says.
pub(crate) fn there(manifest: &Manifest, dir: &Path, store: Option<&RunStore>) -> Vec<usize> {
    if store.is_some() {
        return manifest.commits().map(|commit| commit.part).collect();
    }
    let whole = |name: &str, bytes: u64| {
        std::fs::metadata(dir.join(name)).is_ok_and(|meta| meta.len() == bytes)
    };
    manifest
        .commits()
        .filter(|commit| commit.files.iter().all(|(name, _, bytes)| whole(name, *bytes)))
        .map(|commit| commit.part)
        .collect()
}
