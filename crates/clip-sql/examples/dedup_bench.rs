//! Deduplicates this many made-up images (a tenth the same bytes as others, a tenth near copies) by
//! their hashes, and prints time and peak memory: `dedup_bench ROWS FOLDER [RADIUS [MEMBERS]]`.
//! With MEMBERS, images have the same bytes in groups of that many, each with a URL and a caption
//! of its own; then there is no limit of those.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo, StageLayout, read_decisions};
use clip_sql::Deduplicate;

const PART: u64 = 100_000;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, folder, rest @ ..] = args.as_slice() else {
        return Err("usage: dedup_bench ROWS FOLDER [RADIUS [MEMBERS]]".into());
    };
    let (rows, folder) = (rows.parse()?, PathBuf::from(folder));
    let radius = rest.first().map_or(Ok(4), |text| text.parse())?;
    let members: u64 = rest.get(1).map_or(Ok(0), |text| text.parse())?;
    let parts = make(rows, members, &folder.join("parts"))?;
    let start = Instant::now();
    let dedup = Deduplicate { radius, max_captions: 100, ..Deduplicate::default() };
    let cx = Context::detached("dedup", 1, &folder.join("scratch"));
    let part = |(part, path)| PartInfo { part, path, rows: 0, images: None };
    let inputs: Vec<PartInfo> = parts.into_iter().enumerate().map(part).collect();
    let stage = folder.join("stage");
    let mut out = DecisionSink::new("dedup", &StageLayout::new(&stage));
    dedup.decide(&inputs, &cx, &mut out)?;
    out.finish(rows)?;
    let decisions = read_decisions(&stage)?;
    let fell = |batch: &RecordBatch, reason: &str| {
        let reasons = batch.column_by_name("reason").and_then(|c| c.as_string_opt::<i32>());
        reasons.map_or(0, |r| r.iter().filter(|r| *r == Some(reason)).count())
    };
    for reason in ["exact_duplicate", "near_duplicate"] {
        let count: usize = decisions.iter().map(|batch| fell(batch, reason)).sum();
        println!("{reason} {count}");
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{rows} rows, {:.1} seconds, {peak}", start.elapsed().as_secs_f64());
    Ok(())
}

/// Numbers that look drawn.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn make(rows: u64, members: u64, folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for part in 0..rows.div_ceil(PART) {
        let path = folder.join(format!("part-{part:05}.parquet"));
        paths.push(path.clone());
        if path.is_file() {
            continue;
        }
        let numbers: Vec<u64> = (part * PART..((part + 1) * PART).min(rows)).collect();
        // The image of each row: mostly its own, else that of an earlier row.
        let picture = |n: u64| if mix(n).is_multiple_of(5) { mix(n + 7) % (n + 1) } else { n };
        let file = |n: u64| match members {
            0 if mix(n).is_multiple_of(10) => n + rows,
            0 => picture(n),
            members => n / members,
        };
        let hash = |n: u64| {
            if members > 0 {
                return mix(file(n) + 99);
            }
            let near = if file(n) > rows {
                1 << ((mix(n) >> 8) % 64) | 1 << ((mix(n) >> 16) % 64)
            } else {
                0
            };
            mix(picture(n) + 99) ^ near
        };
        let longs = |f: &dyn Fn(u64) -> u64| -> ArrayRef {
            Arc::new(UInt64Array::from_iter_values(numbers.iter().map(|&n| f(n))))
        };
        let texts = |f: &dyn Fn(u64) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(numbers.iter().map(|&n| f(n))))
        };
        let side: ArrayRef = Arc::new(Int32Array::from_iter_values(
            numbers.iter().map(|&n| 200 + (mix(n) % 800) as i32),
        ));
        let flat: ArrayRef = Arc::new(
            numbers.iter().map(|&n| Some(mix(n + 3).is_multiple_of(50))).collect::<BooleanArray>(),
        );
        let sha = |n: u64| {
            let n = file(n);
            format!("{:016x}{:016x}{:016x}{:016x}", mix(n), mix(n + 1), mix(n + 2), mix(n + 3))
        };
        let caption = |n: u64| format!("a caption of the usual length for image number {n}");
        let url = |n: u64| format!("https://host{}.example/{n}.jpg", n % 97);
        let batch = RecordBatch::try_from_iter([
            ("row", longs(&|n| ((n / PART) << 32) | (n % PART))),
            ("sha256", texts(&sha)),
            ("phash", longs(&hash)),
            ("flat", flat),
            ("original_width", side.clone()),
            ("original_height", side),
            ("caption", texts(&caption)),
            ("url", texts(&url)),
        ])?;
        clip_corpus::write_parquet(&path, batch.schema(), &[batch])?;
    }
    Ok(paths)
}
