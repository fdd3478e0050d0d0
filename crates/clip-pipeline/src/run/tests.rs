//! A chain of small stages, run, stopped, resumed, shared and read again.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt32Array, UInt64Array};
use clip_corpus::{Verified, columns, row_id};
use serde_json::json;

use super::*;
use crate::{
    Barrier, DecisionSink, Map, PartFileKind, PartSink, Reject, RunReader, RunStore, Sink, Source,
    StageSpec, Written,
};

const PARTS: usize = 5;

fn rows(rows: &[u64]) -> RecordBatch {
    let text = |name: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| format!("{name} {row}"))))
    };
    let columns = [
        ("row", Arc::new(UInt64Array::from(rows.to_vec())) as ArrayRef),
        ("uid", text("uid")),
        ("url", text("url")),
        ("caption", text("caption")),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// Part `p` has `p` rows; the first row of the last part is no pair.
struct Numbers;

impl Source for Numbers {
    fn parts(&self) -> Result<usize> {
        Ok(PARTS)
    }

    fn read(&self, part: usize, out: &mut PartSink, _: &Context) -> Result<()> {
        let ids: Vec<u64> = (0..part).map(|at| row_id(part, at)).collect();
        let kept = &ids[usize::from(part == PARTS - 1)..];
        if kept.len() < ids.len() {
            out.reject(Reject { row: ids[0], reason: "no_pair".into(), ..Reject::default() })?;
        }
        out.keep(rows(kept))
    }
}

/// Fails in one part as often as it is asked to.
struct Fragile {
    part: usize,
    fails: Arc<AtomicUsize>,
}

impl Map for Fragile {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let left = |fails: usize| fails.checked_sub(1);
        if out.part() == self.part
            && self.fails.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok()
        {
            return Err(Error::stage("map", "it broke"));
        }
        out.keep(batch)
    }
}

/// Drops every second row of all; leaves out the last decision as often as it is asked to.
struct EverySecond {
    short: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Barrier for EverySecond {
    fn decide(&self, inputs: &[PartInfo], _: &Context, out: &mut DecisionSink) -> Result<()> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let mut ids = Vec::new();
        for input in inputs {
            for batch in input.read(false)? {
                ids.extend_from_slice(columns::uint64(&batch, "row").unwrap().values());
            }
        }
        let left = |short: usize| short.checked_sub(1);
        if self.short.fetch_update(Ordering::Relaxed, Ordering::Relaxed, left).is_ok() {
            ids.pop();
        }
        let reason = |at: usize| (at % 2 == 1).then_some("second");
        let reasons: StringArray = (0..ids.len()).map(reason).collect();
        let place = UInt32Array::from_iter_values(0..ids.len() as u32);
        let columns: [(&str, ArrayRef, bool); 3] = [
            ("row", Arc::new(UInt64Array::from(ids)), false),
            ("reason", Arc::new(reasons), true),
            ("place", Arc::new(place), false),
        ];
        out.push(&RecordBatch::try_from_iter_with_nullable(columns).unwrap())
    }
}

/// One file with the ids of all rows.
struct Ids;

impl Sink for Ids {
    fn units(&self, _: &[PartInfo]) -> usize {
        1
    }

    fn reads(&self, _: usize, inputs: &[PartInfo]) -> std::ops::Range<usize> {
        0..inputs.len()
    }

    fn write(&self, _: usize, inputs: &[PartInfo], dir: &Path, _: &Context) -> Result<Written> {
        let mut text = String::new();
        for batch in inputs.iter().flat_map(|input| input.read(false).unwrap()) {
            let ids = columns::uint64(&batch, "row").unwrap();
            ids.values().iter().for_each(|id| text.push_str(&format!("{id}\n")));
        }
        clip_format::write_atomic(&dir.join("ids.txt"), text.as_bytes())?;
        let rows = text.lines().count() as u64;
        let counts = Counts { rows_in: rows, rows_out: rows, ..Counts::default() };
        Ok(Written { counts, files: vec!["ids.txt".into()] })
    }
}

/// What goes wrong, and how often the barrier was asked.
#[derive(Default)]
struct Trouble {
    fails: Arc<AtomicUsize>,
    short: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
}

impl Trouble {
    fn stages(&self) -> Vec<StageSpec> {
        let (fails, short, asked) = (self.fails.clone(), self.short.clone(), self.asked.clone());
        let fragile = move || Fragile { part: 3, fails: fails.clone() };
        let second = move || EverySecond { short: short.clone(), asked: asked.clone() };
        let stage = |name: &'static str, build| StageSpec {
            name: name.into(),
            version: 1,
            config: json!({}),
            resources: vec![],
            build,
        };
        vec![
            stage("source", Box::new(|| Ok(Work::Source(Box::new(Numbers))))),
            stage("map", Box::new(move || Ok(Work::Map(Box::new(fragile()))))),
            stage("barrier", Box::new(move || Ok(Work::Barrier(Box::new(second()))))),
            stage("sink", Box::new(|| Ok(Work::Sink(Box::new(Ids))))),
        ]
    }

    fn run(&self, dir: &Path) -> Run {
        self.open(dir, None, false)
    }

    fn open(&self, dir: &Path, store: Option<RunStore>, shared: bool) -> Run {
        let plan = Plan::stored(dir, store, 7, self.stages()).unwrap();
        Run::open(plan, shared, Arc::default(), Arc::new(())).unwrap()
    }
}

fn ids(run: &Run) -> String {
    std::fs::read_to_string(run.plan.stages[3].layout.shards().join("ids.txt")).unwrap()
}

fn every_second() -> String {
    let all = (0..PARTS).flat_map(|part| (0..part).map(move |at| row_id(part, at)));
    let kept = all.filter(|row| *row != row_id(PARTS - 1, 0)).step_by(2);
    kept.map(|row| format!("{row}\n")).collect()
}

fn execute(run: &Run) -> Result<Outcome> {
    run.execute(&Selection::default(), &LocalEngine { workers: 2, tries: 2 })
}

#[test]
fn a_chain_runs_once_and_is_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    let run = trouble.run(dir.path());
    assert_eq!(execute(&run).unwrap(), Outcome::Done);
    assert_eq!(ids(&run), every_second());
    run.write_summary().unwrap();
    drop(run);
    let again = trouble.run(dir.path());
    assert!(again.plan.stages.iter().all(|stage| stage.status == crate::Status::Reuse));
    assert_eq!(execute(&again).unwrap(), Outcome::Done);
    assert_eq!(trouble.asked.load(Ordering::Relaxed), 1, "decided once");

    let reader = RunReader::open(dir.path()).unwrap();
    let none = |_: &Path| Verified::default();
    let found = reader.verify(&none).unwrap();
    assert_eq!((found.findings, found.missing), (vec![], 0));
    let (source, barrier) = (reader.stage("source").unwrap(), reader.stage("barrier").unwrap());
    assert_eq!(source.counts.dropped["no_pair"], 1);
    assert_eq!(source.file().unwrap().parts, PARTS);
    assert_eq!(source.layout.files(PartFileKind::Rejects).unwrap().len(), 1);
    let dropped = row_id(2, 0);
    assert!(source.kept(dropped).unwrap().is_some() && barrier.kept(dropped).unwrap().is_none());
    assert!(barrier.rejected(dropped).unwrap().is_some());
    assert!(barrier.decision(dropped).unwrap().is_some());
    assert!(reader.stage("other").is_err() && reader.find("other").is_none());

    // Decisions are verified as parts are.
    let file = barrier.layout.decisions().join("00000.parquet");
    std::fs::write(&file, "cut").unwrap();
    std::fs::remove_file(source.layout.rows(2)).unwrap();
    let found = reader.verify(&none).unwrap();
    let named = |path: &Path| found.findings.iter().any(|finding| finding.path == path);
    assert!(named(&file) && named(&source.layout.rows(2)), "{found:?}");
}

#[test]
fn a_part_that_fails_is_tried_again_then_left_for_the_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    trouble.fails.store(1, Ordering::Relaxed);
    assert_eq!(execute(&trouble.run(dir.path())).unwrap(), Outcome::Done);
    let dir = tempfile::tempdir().unwrap();
    trouble.fails.store(2, Ordering::Relaxed);
    let run = trouble.run(dir.path());
    assert_eq!(execute(&run).unwrap(), Outcome::Incomplete);
    assert_eq!(run.committed_parts(1), [0, 1, 2, 4]);
    assert_eq!(execute(&run).unwrap(), Outcome::Done);
    assert_eq!(ids(&run), every_second());
}

#[test]
fn decisions_for_some_rows_and_those_that_an_engine_doubts_are_never_stored() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    let run = trouble.run(dir.path());
    trouble.short.store(1000, Ordering::Relaxed);
    let error = execute(&run).unwrap_err();
    assert!(matches!(error, Error::Short { .. }), "{error}");
    trouble.short.store(0, Ordering::Relaxed);
    let doubted = run.decide(2, &|| Err(Error::stage("barrier", "a worker was lost")));
    assert!(doubted.unwrap_err().to_string().contains("a worker was lost"));
    assert_eq!(execute(&run).unwrap(), Outcome::Done);
    assert_eq!(ids(&run), every_second());
}

#[test]
fn array_jobs_do_their_parts_and_wait_for_others() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    let job = |job: usize| Selection { job: Some((job, 2)), ..Selection::default() };
    let engine = LocalEngine { workers: 1, tries: 1 };
    let (first, second) =
        (trouble.open(dir.path(), None, true), trouble.open(dir.path(), None, true));
    for _ in 0..4 {
        first.execute(&job(0), &engine).unwrap();
        second.execute(&job(1), &engine).unwrap();
    }
    assert_eq!(first.execute(&job(0), &engine).unwrap(), Outcome::Done);
    assert_eq!(ids(&first), every_second());
    assert_eq!(trouble.asked.load(Ordering::Relaxed), 1, "the other job reads what was decided");
}

#[test]
fn a_stage_begun_anew_takes_those_after_it_along() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    let run = trouble.run(dir.path());
    execute(&run).unwrap();
    let anew = Selection { from: Some("barrier".into()), until: Some("map".into()), job: None };
    run.execute(&anew, &LocalEngine::default()).unwrap();
    assert_eq!(run.committed_parts(1).len(), PARTS);
    assert!(run.committed_parts(2).is_empty() && !run.plan.stages[3].layout.dir().exists());
    assert!(matches!(
        Run::open(trouble.run_plan(dir.path()), false, Arc::default(), Arc::new(())),
        Err(Error::Locked { .. })
    ));
}

#[test]
fn what_other_settings_made_of_rows_goes_with_them() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    let with = |barrier: u32| {
        let mut stages = trouble.stages();
        stages[2].config = json!({"x": barrier});
        let plan = Plan::new(dir.path(), 7, stages).unwrap();
        Run::open(plan, false, Arc::default(), Arc::new(())).unwrap()
    };
    let statuses = |run: &Run| -> Vec<bool> {
        run.plan.stages.iter().map(|stage| stage.status == crate::Status::Reuse).collect()
    };
    for barrier in [1, 2] {
        execute(&with(barrier)).unwrap();
    }
    assert_eq!(statuses(&with(1)), [true; 4]);
    // Rows of the map are to be others: neither settings' barrier and shards are of them.
    with(2).invalidate_after(1).unwrap();
    for barrier in [1, 2] {
        assert_eq!(statuses(&with(barrier)), [true, true, false, false]);
        execute(&with(barrier)).unwrap();
    }
    with(2).invalidate(1).unwrap();
    assert_eq!(statuses(&with(1)), [true, false, false, false]);
    for barrier in [1, 2] {
        execute(&with(barrier)).unwrap();
    }
    // A part that is gone is done again. What was made of it stays, where it is the same.
    let run = with(1);
    let map = run.plan.stages[1].layout.clone();
    let shards = run.plan.stages[3].layout.manifest();
    std::fs::remove_file(map.rows(2)).unwrap();
    drop(run);
    let before = std::fs::metadata(&shards).unwrap().modified().unwrap();
    execute(&with(2)).unwrap();
    assert!(map.rows(2).is_file());
    assert_eq!(std::fs::metadata(&shards).unwrap().modified().unwrap(), before);
    let other = |part: usize| {
        let mut commit = Manifest::open(map.dir()).unwrap().get(part).unwrap().clone();
        commit.files[0].blake3 = "0".repeat(64);
        Manifest::open(map.dir()).unwrap().commit(commit).unwrap();
        std::fs::remove_file(map.rows(part)).unwrap();
    };
    other(2);
    let run = with(2);
    execute(&run).unwrap();
    assert_eq!(ids(&run), every_second());
    assert!(!shards.exists(), "what the other settings made of it");
}

/// A fetch that keeps all rows.
struct All;

impl crate::Fetch for All {
    fn fetch(
        &self,
        rows: &dyn Fn() -> Result<RecordBatch>,
        out: &mut PartSink,
        _: &Context,
    ) -> Result<()> {
        out.keep(rows()?)
    }
}

#[test]
fn parts_of_a_fetch_that_are_gone_are_not_fetched_again_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    let with = || {
        let mut stages = trouble.stages();
        stages[1].build = Box::new(|| Ok(Work::Fetch(Box::new(All))));
        let plan = Plan::new(dir.path(), 7, stages).unwrap();
        Run::open(plan, false, Arc::default(), Arc::new(())).unwrap()
    };
    let run = with();
    execute(&run).unwrap();
    std::fs::remove_file(run.plan.stages[1].layout.rows(2)).unwrap();
    drop(run);
    let run = with();
    let error = execute(&run).unwrap_err().to_string();
    assert!(error.contains("parts that are gone: 1, and 02-barrier-"), "{error}");
    assert!(error.contains("hint: `clip-data build --from map`"), "{error}");
    assert_eq!(ids(&run), every_second());
    let anew = Selection { from: Some("map".into()), ..Selection::default() };
    assert_eq!(run.execute(&anew, &LocalEngine::default()).unwrap(), Outcome::Done);
}

impl Trouble {
    fn run_plan(&self, dir: &Path) -> Plan {
        Plan::new(dir, 7, self.stages()).unwrap()
    }
}

#[test]
fn machines_with_a_folder_each_share_a_store() {
    let all = tempfile::tempdir().unwrap();
    let address = format!("file://{}", all.path().join("bucket").display());
    let store = || Some(RunStore::open(&address, "run").unwrap());
    let trouble = Trouble::default();
    let job = |job: usize| Selection { job: Some((job, 2)), ..Selection::default() };
    let engine = LocalEngine { workers: 1, tries: 1 };
    let machine = |name: &str| trouble.open(&all.path().join(name), store(), true);
    let (first, second) = (machine("a"), machine("b"));
    for _ in 0..4 {
        first.execute(&job(0), &engine).unwrap();
        second.execute(&job(1), &engine).unwrap();
    }
    assert_eq!(trouble.asked.load(Ordering::Relaxed), 1, "one machine decides for both");
    // A third machine has nothing yet, and copies all of it.
    let third = machine("c");
    assert_eq!(execute(&third).unwrap(), Outcome::Done);
    third.download_all().unwrap();
    assert_eq!(ids(&third), every_second());
    assert!(third.plan.stages[2].layout.decisions().join("00000.parquet").is_file());
    third.write_summary().unwrap();
    assert_eq!(RunReader::open(&all.path().join("c")).unwrap().stages().len(), 4);

    // Begun anew by another machine with another decision, a folder drops its copy of the first.
    first.execute(&Selection { from: Some("barrier".into()), ..job(0) }, &engine).unwrap();
    drop(third);
    let third = machine("c");
    execute(&third).unwrap();
    assert_eq!(ids(&third), every_second());
    assert_eq!(trouble.asked.load(Ordering::Relaxed), 2);
    // A folder is the copy of one store.
    let other = RunStore::open(&address, "other").unwrap();
    let planned = Plan::stored(&all.path().join("c"), Some(other), 7, trouble.stages());
    assert!(matches!(planned, Err(Error::Config(_))));
}

#[test]
fn stages_of_other_settings_are_stale_once_the_new_ones_are_built() {
    let dir = tempfile::tempdir().unwrap();
    let trouble = Trouble::default();
    let run = trouble.run(dir.path());
    execute(&run).unwrap();
    run.write_summary().unwrap();
    assert_eq!(run.stale_stages().unwrap(), []);
    drop(run);
    // Another seed makes every stage another: what the last build made stays until they are there.
    let plan = Plan::new(dir.path(), 8, trouble.stages()).unwrap();
    let other = Run::open(plan, false, Arc::default(), Arc::new(())).unwrap();
    assert_eq!(other.stale_stages().unwrap(), []);
    execute(&other).unwrap();
    other.write_summary().unwrap();
    std::fs::create_dir(dir.path().join("notes-of-mine-12345678")).unwrap();
    let stale = other.stale_stages().unwrap();
    assert_eq!(stale.len(), 4);
    assert!(stale.iter().all(|stage| stage.bytes > 0 && stage.layout.is_stage()));
    stale.iter().for_each(|stage| other.remove_stale(stage).unwrap());
    assert_eq!(other.stale_stages().unwrap(), []);
    assert!(dir.path().join("notes-of-mine-12345678").is_dir());
    assert_eq!(execute(&other).unwrap(), Outcome::Done);
    assert_eq!(ids(&other), every_second());
}

/// Drops every row, most of them for one reason.
struct DropAll;

impl Map for DropAll {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let reason = |at: usize| if at == 0 { "rare" } else { "common" };
        let all = (0..batch.num_rows()).map(|at| Some((reason(at).to_owned(), String::new())));
        out.split(&batch, &all.collect::<Vec<_>>())
    }
}

/// The events of a run, in words.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Progress for Heard {
    fn on(&self, event: &Event) {
        let line = match event {
            Event::StageStarted { stage, rows, .. } => format!("{stage} begins with {rows:?}"),
            Event::Note { stage, message } => format!("{stage}: {message}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[test]
fn a_stage_says_how_many_rows_it_has_and_warns_when_it_drops_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let stage = |name, build: fn() -> Work| StageSpec {
        name,
        version: 1,
        config: json!({}),
        resources: vec![],
        build: Box::new(move || Ok(build())),
    };
    let stages = vec![
        stage("source".into(), || Work::Source(Box::new(Numbers))),
        stage("map".into(), || Work::Map(Box::new(DropAll))),
        stage("after".into(), || Work::Map(Box::new(DropAll))),
    ];
    let (plan, heard) =
        (Plan::stored(dir.path(), None, 7, stages).unwrap(), Arc::<Heard>::default());
    let run = Run::open(plan, false, Arc::default(), heard.clone()).unwrap();
    // What comes after has nothing to do.
    assert_eq!(execute(&run).unwrap(), Outcome::Empty);
    let heard = heard.0.lock().unwrap();
    assert_eq!(heard[..2], ["source begins with None", "map begins with Some(9)"]);
    let warning = "map: warning: all 9 rows were dropped, 5 of them for `common`\nhint: ";
    assert!(heard.len() == 3 && heard[2].starts_with(warning), "{heard:?}");
}
