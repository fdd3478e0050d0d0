//! A barrier over this many made-up pairs in parts of 100,000: rows, seconds, seconds of processor
//! time, the most memory, and the most disk that it took beside the pairs (GB), which are made when
//! they are not there:
//!
//!     barrier_bench unique|assign|metaclip|strict|online ROWS FOLDER [LANGUAGES]

#[path = "bench_tools/measure.rs"]
mod measure;
#[path = "bench_tools/mix.rs"]
mod mix;
#[path = "bench_tools/pairs.rs"]
mod pairs;
#[path = "bench_tools/peak.rs"]
mod peak;

use std::path::{Path, PathBuf};

use clip_pipeline::layout::rows_name;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo, StageLayout};
use clip_query::LanguageIds;
use clip_sql::{Balance, Mode, UniquePairs};
use measure::Measure;
use pairs::{QUERIES, pairs};
use rayon::prelude::*;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Rows of a part.
const PART: u64 = 100_000;
/// Pairs of a query that stay.
const LIMIT: u64 = 20_000;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [name, rows, folder, rest @ ..] = args.as_slice() else {
        let usage = "barrier_bench unique|assign|metaclip|strict|online ROWS FOLDER [LANGUAGES]";
        return Err(format!("usage: {usage}").into());
    };
    let (rows, folder): (u64, _) = (rows.parse()?, PathBuf::from(folder));
    let languages = languages(rest.first().map_or(Ok(0), |text| text.parse())?);
    let inputs = make(rows, &folder.join("parts"))?;
    let rows = inputs.iter().map(|input| input.rows).sum();
    let balance = |mode| {
        let languages = languages.clone();
        Balance { mode, limit: LIMIT, require_match: false, languages }
    };
    let barrier: Box<dyn Barrier> = match name.as_str() {
        "unique" => Box::new(UniquePairs),
        "assign" => Box::new(balance(Mode::Assign)),
        "metaclip" => Box::new(balance(Mode::Metaclip)),
        "strict" => Box::new(balance(Mode::Strict)),
        "online" => Box::new(balance(Mode::Online)),
        other => return Err(format!("no barrier {other}").into()),
    };
    let stage = folder.join("stage");
    if stage.exists() {
        std::fs::remove_dir_all(&stage)?;
    }
    let measure = Measure::start(&stage);
    let cx = Context::detached("barrier", 1, &stage.join("scratch"));
    let mut out = DecisionSink::new("barrier", &StageLayout::new(&stage));
    barrier.decide(&inputs, &cx, &mut out)?;
    out.finish(rows)?;
    println!("{}", measure.end(&[std::slice::from_ref(name), rest].concat().join(" "), rows));
    std::fs::remove_dir_all(&stage)?;
    Ok(())
}

/// Languages with equal numbers of the queries, or none.
fn languages(count: u32) -> Vec<LanguageIds> {
    let size = (QUERIES as u32).div_ceil(count.max(1));
    let own = |at| LanguageIds { language: format!("l{at}"), ids: at * size..(at + 1) * size };
    (0..count).map(own).collect()
}

/// The parts, whole: one that is there is not made again.
fn make(rows: u64, folder: &Path) -> Result<Vec<PartInfo>> {
    let parts = usize::try_from(rows.div_ceil(PART))?;
    let made: std::result::Result<Vec<()>, String> = (0..parts)
        .into_par_iter()
        .map(|part| {
            let path = folder.join(rows_name(part));
            if path.is_file() {
                return Ok(());
            }
            let batch = pairs(part, PART).map_err(|e| e.to_string())?;
            clip_corpus::write_parquet(&path, batch.schema(), &[batch]).map_err(|e| e.to_string())
        })
        .collect();
    made?;
    let part = |part| PartInfo {
        part,
        path: folder.join(rows_name(part)),
        rows: PART,
        images: None,
        embeddings: None,
    };
    Ok((0..parts).map(part).collect())
}
