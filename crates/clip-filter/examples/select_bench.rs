//! `[select]` on this many made rows: a condition and an exact fraction. Prints time and peak
//! memory, and checks the fraction by counting: `select_bench ROWS FOLDER`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use clip_corpus::row_id;
use clip_filter::{SelectAccount, SelectStage, Top};
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo, StageLayout};
use clip_random::splitmix64;

/// Rows of a part.
const PART: u64 = 100_000;
/// What the condition wants of the width.
const WIDTH: u32 = 256;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, folder] = args.as_slice() else {
        return Err("usage: select_bench ROWS FOLDER".into());
    };
    let (rows, folder) = (rows.parse()?, PathBuf::from(folder));
    let start = Instant::now();
    let inputs = make(rows, &folder.join("parts"))?;
    println!("{rows} rows made in {:.1} seconds", start.elapsed().as_secs_f64());

    let start = Instant::now();
    let stage = SelectStage {
        conditions: vec![format!("width >= {WIDTH}")],
        top: vec![Top { column: "clip_similarity".into(), fraction: 0.3 }],
    };
    let cx = Context::detached(SelectStage::STAGE, 1, &folder.join("scratch"));
    let mut out =
        DecisionSink::new(SelectStage::STAGE, &StageLayout::new(&folder.join("decisions")));
    stage.decide(&inputs, &cx, &mut out)?;
    out.finish(rows)?;
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("decided in {:.1} seconds, {peak}", start.elapsed().as_secs_f64());

    let account = std::fs::read(cx.scratch().join(SelectStage::ACCOUNT))?;
    check(rows, &serde_json::from_slice(&account)?)
}

/// Whether the rows that are kept are as many as they must be, and the cut is between the kept and
/// the others.
fn check(rows: u64, account: &SelectAccount) -> Result<()> {
    let cut = account.gates.last().and_then(|gate| gate.cut).ok_or("no cut")? as f32;
    let met = (0..rows).filter(|&n| width(n) >= WIDTH);
    let (mut all, mut above, mut with) = (0, 0, 0);
    met.for_each(|n| {
        all += 1;
        above += u64::from(score(n) > cut);
        with += u64::from(score(n) >= cut);
    });
    let wanted = all * 3 / 10;
    println!("{} of {all} rows are kept, {above} above the cut, {with} with it", account.kept);
    let exact = account.pairs == rows && account.kept == wanted;
    if exact && above <= wanted && wanted <= with {
        Ok(())
    } else {
        Err(format!("{wanted} are wanted").into())
    }
}

fn width(n: u64) -> u32 {
    200 + (splitmix64(n + (1 << 40)) % 800) as u32
}

/// 65,536 scores: some thousand rows have just the one of the cut.
fn score(n: u64) -> f32 {
    (splitmix64(n + (1 << 41)) >> 48) as f32 / 65536.0
}

fn make(rows: u64, folder: &Path) -> Result<Vec<PartInfo>> {
    let mut parts = Vec::new();
    for part in 0..rows.div_ceil(PART) {
        let numbers = part * PART..((part + 1) * PART).min(rows);
        let path = folder.join(format!("part-{part:05}.parquet"));
        let count = numbers.end - numbers.start;
        if !path.is_file() {
            write(part as usize, numbers, &path)?;
        }
        parts.push(PartInfo {
            part: part as usize,
            path,
            rows: count,
            images: None,
            embeddings: None,
        });
    }
    Ok(parts)
}

fn write(part: usize, numbers: std::ops::Range<u64>, path: &Path) -> Result<()> {
    let all = || numbers.clone();
    let count = (numbers.end - numbers.start) as usize;
    let uids = all().map(|n| format!("{:016x}{:016x}", splitmix64(n), splitmix64(n + (1 << 42))));
    let urls = all().map(|n| format!("https://host{}.example/{n}.jpg", splitmix64(n) % 997));
    let columns: [(&str, ArrayRef); 5] = [
        ("row", Arc::new(UInt64Array::from_iter_values((0..count).map(|at| row_id(part, at))))),
        ("uid", Arc::new(StringArray::from_iter_values(uids))),
        ("url", Arc::new(StringArray::from_iter_values(urls))),
        ("width", Arc::new(UInt32Array::from_iter_values(all().map(width)))),
        ("clip_similarity", Arc::new(Float32Array::from_iter_values(all().map(score)))),
    ];
    let batch = RecordBatch::try_from_iter(columns)?;
    Ok(clip_corpus::write_parquet(path, batch.schema(), &[batch])?)
}
