//! A run of this many parts, as far as the stages before do not matter: what plan, manifest and
//! balance take.
//!
//!     scale PARTS ROWS FOLDER     # ROWS in each part

#[path = "bench_tools/mix.rs"]
mod mix;
#[path = "bench_tools/pairs.rs"]
mod pairs;
#[path = "bench_tools/peak.rs"]
mod peak;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use clip_corpus::{Commit, Counts, Manifest, PartFile};
use clip_pipeline::layout::rows_name;
use clip_pipeline::{
    Context, PartSink, Plan, Result as PipelineResult, Run, Source, StageLayout, StageSpec, Work,
};
use clip_sql::{Balance, Mode};
use pairs::pairs;
use parquet::arrow::ArrowWriter;
use peak::{DiskPeak, memory};
use serde_json::json;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Parts of the balance that are applied, of all.
const APPLIED: usize = 500;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [parts, rows, folder] = args.as_slice() else {
        return Err("usage: scale PARTS ROWS FOLDER".into());
    };
    let (parts, rows): (usize, u64) = (parts.parse()?, rows.parse()?);
    let folder = PathBuf::from(folder);
    let lap = |what: &str, start: Instant| {
        println!("{what}: {:.2} s, {}", start.elapsed().as_secs_f64(), memory());
    };
    let first = plan(&folder, parts)?;
    let layout = &first.stages[0].layout;
    if !layout.is_stage() {
        let start = Instant::now();
        make(layout, parts, rows)?;
        let mut stage = json!(first.stages[0].fingerprint);
        stage["parts"] = json!(parts);
        std::fs::write(layout.file(), stage.to_string())?;
        lap("made", start);
    }
    let bytes = std::fs::metadata(layout.manifest())?.len();
    println!("manifest of {parts} parts: {:.1} MB", bytes as f64 / 1e6);

    let start = Instant::now();
    let count = Manifest::open(layout.dir())?.commits().count();
    lap(&format!("manifest read, {count} parts"), start);
    let start = Instant::now();
    let plan = plan(&folder, parts)?;
    lap(&format!("plan: {:?}", plan.stages[0].status), start);
    let start = Instant::now();
    let run = Run::open(plan, false, Arc::new(AtomicBool::new(false)), Arc::new(()))?;
    lap("run opened", start);
    let (start, disk) = (Instant::now(), DiskPeak::watch(run.plan.stages[1].layout.dir()));
    run.decide(1, &|| Ok(()))?;
    let (pairs, disk) = (parts as u64 * rows, disk.end() as f64 / 1e9);
    lap(&format!("balance of {pairs} pairs decided, {disk:.1} GB of disk"), start);
    let start = Instant::now();
    let applied = APPLIED.min(parts);
    for part in (0..parts).step_by(parts / applied).take(applied) {
        run.run_part(1, part)?;
    }
    lap(&format!("balance applied to {applied} parts"), start);
    Ok(())
}

/// Stands for all stages before the balance; its parts are made beforehand.
struct Before(usize);

impl Source for Before {
    fn parts(&self) -> PipelineResult<usize> {
        Ok(self.0)
    }

    fn read(&self, _: usize, _: &mut PartSink, _: &Context) -> PipelineResult<()> {
        Ok(())
    }
}

fn plan(folder: &Path, parts: usize) -> PipelineResult<Plan> {
    let stage = |name: &'static str, build| StageSpec {
        name: name.into(),
        version: 1,
        config: json!({}),
        resources: vec![],
        build,
    };
    let before = stage("match", Box::new(move || Ok(Work::Source(Box::new(Before(parts))))));
    let (mode, limit) = (Mode::Assign, 200);
    let balance = Balance { mode, limit, require_match: false, languages: vec![] };
    let balance = stage("balance", Box::new(move || Ok(Work::Barrier(Box::new(balance.clone())))));
    Plan::new(folder, 7, vec![before, balance])
}

/// Writes the parts and their manifest, unsynced: only reading them is measured.
fn make(layout: &StageLayout, parts: usize, rows: u64) -> Result<()> {
    std::fs::create_dir_all(layout.dir())?;
    let mut manifest = String::new();
    for part in 0..parts {
        let batch = pairs(part, rows)?;
        let mut bytes = Vec::new();
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None)?;
        writer.write(&batch)?;
        writer.close()?;
        std::fs::write(layout.rows(part), &bytes)?;
        let blake3 = blake3::hash(&bytes).to_hex().to_string();
        let file = PartFile { name: rows_name(part), blake3, bytes: bytes.len() as u64 };
        let dropped = [("no_words".to_owned(), 3), ("other_language".to_owned(), 9)].into();
        let counts =
            Counts { rows_in: rows + 12, rows_out: rows, dropped, urls: 0, ..Counts::default() };
        let commit = Commit { part, files: vec![file], counts, seconds: 1.5 };
        manifest += &format!("{}\n", serde_json::to_string(&commit)?);
    }
    std::fs::write(layout.manifest(), manifest)?;
    Ok(())
}
