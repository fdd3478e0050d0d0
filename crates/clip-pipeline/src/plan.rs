//! What a run would do: which stages are there already, which are not, and why.

use std::path::Path;
use std::sync::{Arc, Mutex};

use clip_corpus::Manifest;

use crate::format::Format;
use crate::layout::{RunLayout, StageLayout};
use crate::{Error, Fingerprint, Result, RunStore, StageFile, StageSpec, Work};

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
    pub fingerprint: Fingerprint,
    /// The hash of that.
    pub hash: String,
    /// Its folder.
    pub layout: StageLayout,
    /// Whether it must run.
    pub status: Status,
    work: Mutex<Option<Arc<Work>>>,
}

impl PlannedStage {
    /// The stage's name.
    pub fn name(&self) -> &str {
        &self.spec.name
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

    /// Lets go of the work, and so of the models and processes that it has.
    pub(crate) fn release(&self) {
        *self.work.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = None;
    }
}

/// The chain of stages in the folder of one run.
pub struct Plan {
    /// The run's folder, `<workdir>/<name>`.
    pub layout: RunLayout,
    /// The run's seed.
    pub seed: u64,
    /// The stages, in order.
    pub stages: Vec<PlannedStage>,
    /// Where the run is for all machines, if not in its folder alone.
    pub store: Option<RunStore>,
}

impl Plan {
    /// Compares a chain of stages with what is in `dir`. Writes nothing.
    pub fn new(dir: &Path, seed: u64, specs: Vec<StageSpec>) -> Result<Self> {
        Self::stored(dir, None, seed, specs)
    }

    /// The same for a run that may be in a store: what others did there is noted in `dir`.
    pub fn stored(
        dir: &Path,
        store: Option<RunStore>,
        seed: u64,
        specs: Vec<StageSpec>,
    ) -> Result<Self> {
        let layout = RunLayout::new(dir);
        if let Some(store) = &store {
            copy_of(&layout, store)?;
        }
        let mut stages = Vec::with_capacity(specs.len());
        let mut input = None;
        for (number, spec) in specs.into_iter().enumerate() {
            let fingerprint = Fingerprint::new(&spec, seed, input.take());
            let hash = fingerprint.hash();
            let folder = layout.stage(number, &spec.name, &hash);
            let status = status(&layout, store.as_ref(), number, &folder, &fingerprint)?;
            input = Some(hash.clone());
            let work = Mutex::new(None);
            stages.push(PlannedStage { spec, fingerprint, hash, layout: folder, status, work });
        }
        Ok(Self { layout, seed, stages, store })
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

/// Holds a folder to the one store that it is a copy of: what is there of another run must not be
/// touched.
fn copy_of(layout: &RunLayout, store: &RunStore) -> Result<()> {
    let (dir, path) = (layout.dir(), layout.store_address());
    match std::fs::read_to_string(&path) {
        Ok(address) if address == store.address() => Ok(()),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound && !dir.exists() => {
            Ok(clip_format::write_atomic(&path, store.address().as_bytes())?)
        }
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io(&path, e)),
        _ => Err(Error::Config(format!(
            "{} holds a run that is not in {}\nhint: `--set workdir=…` names another folder",
            dir.display(),
            store.address()
        ))),
    }
}

fn status(
    run: &RunLayout,
    store: Option<&RunStore>,
    number: usize,
    layout: &StageLayout,
    fingerprint: &Fingerprint,
) -> Result<Status> {
    if let Some(store) = store {
        store.refresh(layout)?;
    }
    if let Some(file) = begun(layout)? {
        let done = committed_parts(&Manifest::open(layout.dir())?, layout, store).len();
        return Ok(if done == file.parts {
            Status::Reuse
        } else {
            Status::Resume { done, parts: file.parts }
        });
    }
    let latest = latest(run, number, fingerprint)?;
    Ok(Status::Run(latest.map_or_else(Vec::new, |old| {
        let mut changes = fingerprint.changes(&old);
        if changes.is_empty() {
            changes.push("a stage before it runs again".into());
        }
        changes
    })))
}

/// What a stage wrote when it began. A damaged file is written anew: its folder's name has the
/// fingerprint, and the number of parts follows from the stage before.
pub(crate) fn begun(layout: &StageLayout) -> Result<Option<StageFile>> {
    match StageFile::read(&layout.file()) {
        Err(Error::Corpus(error)) if error.is_damage() => Ok(None),
        read => read,
    }
}

/// The fingerprint that this stage had when it last ran.
fn latest(
    run: &RunLayout,
    number: usize,
    fingerprint: &Fingerprint,
) -> Result<Option<Fingerprint>> {
    let mut found = Vec::new();
    for folder in run.versions(number, &fingerprint.stage) {
        let modified = std::fs::metadata(&folder).and_then(|meta| meta.modified());
        // What a newer executable left is no earlier run of this one.
        let file = StageFile::read(&StageLayout::new(&folder).file());
        if let (Ok(modified), Ok(Some(file))) = (modified, file) {
            found.push((modified, file.fingerprint));
        }
    }
    Ok(found.into_iter().max_by_key(|(modified, _)| *modified).map(|(_, found)| found))
}

/// The parts that need not be done: in a store those that are committed, in a folder those whose
/// files are there with the length that the manifest says.
pub(crate) fn committed_parts(
    manifest: &Manifest,
    layout: &StageLayout,
    store: Option<&RunStore>,
) -> Vec<usize> {
    if store.is_some() {
        return manifest.commits().map(|commit| commit.part).collect();
    }
    let whole = |file: &clip_corpus::PartFile| {
        let path = layout.dir().join(&file.name);
        std::fs::metadata(path).is_ok_and(|meta| meta.len() == file.bytes)
    };
    let whole = manifest.commits().filter(|commit| commit.files.iter().all(whole));
    whole.map(|commit| commit.part).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_corpus::{Commit, Counts, PartFile};
    use serde_json::json;

    fn spec(name: &'static str, config: serde_json::Value) -> StageSpec {
        let build = || Err(Error::stage("test", "no work"));
        StageSpec {
            name: name.into(),
            version: 1,
            config,
            resources: vec![],
            build: Box::new(build),
        }
    }

    fn plan(dir: &Path, first: u64, second: u64) -> Plan {
        let specs = vec![spec("one", json!({"x": first})), spec("two", json!({"y": second}))];
        Plan::new(dir, 7, specs).unwrap()
    }

    fn begin(stage: &PlannedStage, parts: usize) {
        StageFile { fingerprint: stage.fingerprint.clone(), parts }
            .write(&stage.layout.file())
            .unwrap();
    }

    fn commit(stage: &PlannedStage, part: usize) {
        let layout = &stage.layout;
        std::fs::write(layout.rows(part), "rows").unwrap();
        let file = PartFile::hash(layout.dir(), &crate::layout::rows_name(part)).unwrap();
        let commit = Commit { part, files: vec![file], counts: Counts::default(), seconds: 0.0 };
        Manifest::open(layout.dir()).unwrap().commit(commit).unwrap();
    }

    #[test]
    fn a_plan_says_what_is_reused_resumed_and_run_and_why() {
        let dir = tempfile::tempdir().unwrap();
        let first = plan(dir.path(), 1, 1);
        assert!(first.stages.iter().all(|stage| stage.status == Status::Run(vec![])));
        begin(&first.stages[0], 2);
        begin(&first.stages[1], 2);
        (0..2).for_each(|part| commit(&first.stages[0], part));
        commit(&first.stages[1], 1);
        let status = |plan: Plan| plan.stages.into_iter().map(|s| s.status).collect::<Vec<_>>();
        let resumed = Status::Resume { done: 1, parts: 2 };
        assert_eq!(status(plan(dir.path(), 1, 1)), [Status::Reuse, resumed.clone()]);
        // Another second stage leaves the first; another first redoes both.
        let changed = Status::Run(vec!["y 1 -> 2".into()]);
        assert_eq!(status(plan(dir.path(), 1, 2)), [Status::Reuse, changed]);
        let [x, again] = ["x 1 -> 5", "a stage before it runs again"].map(|s| vec![s.to_owned()]);
        assert_eq!(status(plan(dir.path(), 5, 1)), [Status::Run(x), Status::Run(again)]);
        // A file of another length than its line's is no part.
        std::fs::write(first.stages[0].layout.rows(0), "ro").unwrap();
        let resumes = Status::Resume { done: 1, parts: 2 };
        assert_eq!(status(plan(dir.path(), 1, 1)), [resumes, resumed]);
    }

    #[test]
    fn a_damaged_stage_file_is_no_stage_and_a_newer_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let first = plan(dir.path(), 1, 1);
        begin(&first.stages[0], 2);
        let path = first.stages[0].layout.file();
        std::fs::write(&path, "{").unwrap();
        assert_eq!(plan(dir.path(), 1, 1).stages[0].status, Status::Run(vec![]));
        std::fs::write(&path, r#"{"format": 99}"#).unwrap();
        let specs = vec![spec("one", json!({"x": 1}))];
        assert!(matches!(Plan::new(dir.path(), 7, specs), Err(Error::Newer { format: 99, .. })));
    }

    #[test]
    fn stages_are_found_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let plan = plan(dir.path(), 1, 1);
        assert_eq!(plan.find("two").unwrap(), 1);
        let error = plan.find("three").unwrap_err().to_string();
        assert!(error.contains("no stage \"three\"") && error.contains("one, two"), "{error}");
    }
}
