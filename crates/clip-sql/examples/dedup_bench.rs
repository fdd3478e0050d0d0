//! Deduplicates this many made-up images (a tenth the same bytes as others, a tenth near copies) by
//! their hashes, and prints time and peak memory: `dedup_bench ROWS FOLDER [RADIUS [MEMBERS]]`.
//! With MEMBERS, images have the same bytes in groups of that many, each with a URL and a caption
//! of its own; then there is no limit of those.

#[path = "bench_tools/images.rs"]
mod images;
#[path = "bench_tools/mix.rs"]
mod mix;
#[path = "bench_tools/peak.rs"]
mod peak;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use clip_pipeline::{Barrier, Context, DecisionSink, StageLayout};
use clip_sql::Deduplicate;
use images::Image;
use mix::mix;
use peak::{DiskPeak, memory};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [rows, folder, rest @ ..] = args.as_slice() else {
        return Err("usage: dedup_bench ROWS FOLDER [RADIUS [MEMBERS]]".into());
    };
    let (rows, folder) = (rows.parse()?, PathBuf::from(folder));
    let radius = rest.first().map_or(Ok(4), |text| text.parse())?;
    let members: u64 = rest.get(1).map_or(Ok(0), |text| text.parse())?;
    let inputs = images::write(&folder.join("parts"), rows, &made(rows, members))?;
    let (start, disk) = (Instant::now(), DiskPeak::watch(&folder));
    let dedup = Deduplicate { radius, max_captions: 100, ..Deduplicate::default() };
    let cx = Context::detached("dedup", 1, &folder.join("scratch"));
    let stage = folder.join("stage");
    let mut out = DecisionSink::new("dedup", &StageLayout::new(&stage));
    dedup.decide(&inputs, &cx, &mut out)?;
    out.finish(rows)?;
    // Before anything else is read: all decisions in memory would be more than deduplication took.
    let (seconds, disk) = (start.elapsed().as_secs_f64(), disk.end() as f64 / 1e9);
    println!("{rows} rows, {seconds:.1} seconds, {}, {disk:.1} GB of disk", memory());
    for (reason, count) in reasons(&StageLayout::new(&stage).decisions())? {
        println!("{reason} {count}");
    }
    std::fs::remove_dir_all(&stage)?;
    Ok(())
}

/// How many rows were dropped for each reason.
fn reasons(decisions: &Path) -> Result<BTreeMap<String, u64>> {
    let mut reasons = BTreeMap::new();
    for entry in std::fs::read_dir(decisions)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "parquet") {
            continue;
        }
        for batch in clip_corpus::scan(&path, &["reason"], 65_536)? {
            let batch = batch?;
            let Some(column) = clip_corpus::columns::text(&batch, "reason") else { continue };
            for reason in column.iter().flatten() {
                *reasons.entry(reason.to_owned()).or_default() += 1;
            }
        }
    }
    Ok(reasons)
}

/// The image of each row: mostly its own; else the bytes of an earlier row's, or nearly its hash.
fn made(rows: u64, members: u64) -> impl Fn(u64) -> Image {
    move |n| {
        if let Some(file) = n.checked_div(members) {
            return Image { file, hash: mix(file + 99) };
        }
        let shown = if mix(n).is_multiple_of(5) { mix(n + 7) % (n + 1) } else { n };
        if mix(n).is_multiple_of(10) {
            let bits = 1 << ((mix(n) >> 8) % 64) | 1 << ((mix(n) >> 16) % 64);
            return Image { file: n + rows, hash: mix(shown + 99) ^ bits };
        }
        Image { file: shown, hash: mix(shown + 99) }
    }
}
