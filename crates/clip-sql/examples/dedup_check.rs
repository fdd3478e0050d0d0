//! Holds deduplication to brute force, radius 4, on more images than all pairs can be tried of:
//!
//!     dedup_check FOLDER [ROWS [QUERIES]]     # 1000000 and 2000 by default
//!
//! 1. The pairs of near hashes that QUERIES rows are in must be those of a plain loop over all
//!    rows: on hashes drawn evenly with near copies, and on crowded ones, half of whose bits hardly
//!    vary, as those of photographs.
//! 2. The clusters of the first kind, which are known since they were planted (files with the same
//!    bytes, near copies, chains of those), must be those of the barrier.

#[path = "bench_tools/images.rs"]
mod images;
#[path = "bench_tools/mix.rs"]
mod mix;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clip_image::for_near_pairs;
use clip_pipeline::{Barrier, Context, DecisionSink, StageLayout};
use clip_sql::Deduplicate;
use images::{Image, PART};
use mix::mix;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

const RADIUS: u32 = 4;
/// Rows of a planted cluster.
const CLUSTER: u64 = 4;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, rest @ ..] = args.as_slice() else {
        return Err("usage: dedup_check FOLDER [ROWS [QUERIES]]".into());
    };
    let folder = PathBuf::from(folder);
    let rows: u64 = rest.first().map_or(Ok(1_000_000), |text| text.parse())?;
    let queries: u64 = rest.get(1).map_or(Ok(2_000), |text| text.parse())?;
    let evenly: Vec<u64> = (0..rows).map(|n| image(n).hash).collect();
    let crowded = |n: u64| mix(n + 5) & 0x00ff_0f0f_ff00_3333 | 0x8000_0000_0000_0000;
    check_pairs("drawn evenly", &evenly, queries)?;
    check_pairs("crowded", &(0..rows).map(crowded).collect::<Vec<_>>(), queries)?;
    check_clusters(&folder, rows)
}

/// Of five clusters, four are of one row. The fifth has four: a row, a copy of its bytes, and a
/// chain of two near copies, three bits from one to the next, so that its ends are six apart.
fn image(n: u64) -> Image {
    let (cluster, place) = (n / CLUSTER, n % CLUSTER);
    if !mix(cluster + 1).is_multiple_of(5) {
        return Image { file: n, hash: mix(n + 99) };
    }
    let bits = [0, 0, 0b111, 0b111_111][place as usize];
    let turn = (mix(cluster + 2) % 58) as u32;
    let file = if place == 1 { n - 1 } else { n };
    Image { file, hash: mix(cluster * CLUSTER + 99) ^ (bits << turn) }
}

/// The first row of the cluster that a row is in. A flat image is compared by its bytes alone.
fn planted(n: u64) -> u64 {
    let first = n - n % CLUSTER;
    let flat = |n: u64| mix(n + 3).is_multiple_of(50);
    if !mix(n / CLUSTER + 1).is_multiple_of(5) {
        return n;
    }
    // Links of the chain: both ends must have a hash. The two rows of one file have their best's.
    let shows = [!flat(best(first, first + 1)), !flat(first + 2), !flat(first + 3)];
    let second = if shows[0] && shows[1] { first } else { first + 2 };
    let third = if shows[1] && shows[2] { second } else { first + 3 };
    [first, first, second, third][(n % CLUSTER) as usize]
}

/// Which of two rows of a file the others are compared by: the largest, then the one with the
/// longer caption, then the first.
fn best(a: u64, b: u64) -> u64 {
    let key = |n: u64| (mix(n) % 800, n.to_string().len());
    if key(b) > key(a) { b } else { a }
}

fn check_pairs(name: &str, hashes: &[u64], queries: u64) -> Result<()> {
    let rows = hashes.len() as u64;
    let sampled: HashSet<u32> = (0..queries).map(|at| (mix(at + 11) % rows) as u32).collect();
    let start = Instant::now();
    let found = Mutex::new(Vec::new());
    for_near_pairs(hashes, RADIUS, |pairs| {
        let mine = pairs.iter().filter(|(a, b, _)| sampled.contains(a) || sampled.contains(b));
        let mine = mine.map(|&(a, b, bits)| (a.min(b), a.max(b), bits));
        found.lock().unwrap_or_else(PoisonError::into_inner).extend(mine);
    });
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let (joined, start) = (start.elapsed().as_secs_f64(), Instant::now());
    let mut expected = Vec::new();
    for &query in &sampled {
        for (row, hash) in hashes.iter().enumerate() {
            let (row, bits) = (row as u32, (hash ^ hashes[query as usize]).count_ones());
            if bits <= RADIUS && row != query {
                expected.push((row.min(query), row.max(query), bits));
            }
        }
    }
    // A pair of two sampled rows came twice.
    expected.sort_unstable();
    expected.dedup();
    found.sort_unstable();
    let brute = start.elapsed().as_secs_f64();
    println!(
        "{name}: {} pairs of {} rows among {rows}; all pairs {joined:.1} s, brute force {brute:.1} s",
        expected.len(),
        sampled.len()
    );
    if found == expected {
        Ok(())
    } else {
        Err(format!("{name}: {} pairs found", found.len()).into())
    }
}

fn check_clusters(folder: &Path, rows: u64) -> Result<()> {
    let inputs = images::write(&folder.join("check"), rows, &image)?;
    let stage = StageLayout::new(&folder.join("check-stage"));
    let cx = Context::detached("dedup", 1, &folder.join("check-scratch"));
    let mut out = DecisionSink::new("dedup", &stage);
    let start = Instant::now();
    Deduplicate { radius: RADIUS, ..Deduplicate::default() }.decide(&inputs, &cx, &mut out)?;
    out.finish(rows)?;
    let seconds = start.elapsed().as_secs_f64();
    // The row that stays, by the first row of what was planted; a bijection, or it is wrong.
    let (mut kept, mut planted_of) = (HashMap::new(), HashMap::new());
    let (mut n, mut copies) = (0, 0);
    for batch in clip_pipeline::read_decisions(stage.dir())? {
        let clusters = clip_corpus::columns::uint64(&batch, "cluster").ok_or("no clusters")?;
        for cluster in clusters.values() {
            let (cluster, own) = ((cluster >> 32) * PART + (cluster & 0xffff_ffff), planted(n));
            copies += u64::from(cluster != n);
            if *kept.entry(own).or_insert(cluster) != cluster
                || *planted_of.entry(cluster).or_insert(own) != own
            {
                return Err(format!("row {n}: cluster {cluster}, planted with row {own}").into());
            }
            n += 1;
        }
    }
    println!(
        "clusters: {n} rows, {} clusters, {copies} copies as planted; {seconds:.1} s",
        kept.len()
    );
    std::fs::remove_dir_all(stage.dir())?;
    Ok(())
}
