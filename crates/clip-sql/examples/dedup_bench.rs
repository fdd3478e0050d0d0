//! Deduplicates this many made-up images (a tenth the same bytes as others, a tenth near copies) by
//! their hashes, and prints rows, seconds, seconds of processor time, the most memory and the most
//! disk (GB), then what was dropped: `dedup_bench ROWS FOLDER [RADIUS [MEMBERS]]`.
//! With MEMBERS, images have the same bytes in groups of that many, each with a URL and a caption
//! of its own, of which 100 stay; then no image is a placeholder.

#[path = "bench_tools/images.rs"]
mod images;
#[path = "bench_tools/measure.rs"]
mod measure;
#[path = "bench_tools/mix.rs"]
mod mix;
#[path = "bench_tools/peak.rs"]
mod peak;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clip_pipeline::{Barrier, Context, DecisionSink, StageLayout};
use clip_sql::Deduplicate;
use images::Image;
use measure::Measure;
use mix::mix;

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
    let measure = Measure::start(&folder.join("stage"));
    let dedup = Deduplicate { radius, max_captions: 100, ..Deduplicate::default() };
    let stage = folder.join("stage");
    let cx = Context::detached("dedup", 1, &stage.join("scratch"));
    let mut out = DecisionSink::new("dedup", &StageLayout::new(&stage));
    dedup.decide(&inputs, &cx, &mut out)?;
    out.finish(rows)?;
    // Before anything else is read: all decisions in memory would be more than deduplication took.
    let name = if members > 0 { "dedup, one image" } else { "dedup" };
    println!("{}", measure.end(name, rows));
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
