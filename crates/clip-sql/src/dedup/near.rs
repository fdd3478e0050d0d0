//! Images whose hashes are near, by their hashes alone: in lists on disk.

use std::sync::{Mutex, PoisonError};

use clip_image::NearJoin;
use clip_pipeline::Context;

use super::components::Edges;
use super::records::{List, ListWriter, Scratch};
use crate::{Error, Result};

/// Most files that a list is cut into.
const MOST_PARTS: u64 = 1024;

/// Makes edges of images with equal or near hashes; `hashes` (hash, row) is sorted.
pub(super) fn join(
    hashes: &List<2>,
    radius: u32,
    cx: &Context,
    scratch: &Scratch,
    edges: &mut Edges,
) -> Result<()> {
    let mut distinct = ListWriter::new(scratch)?;
    let mut last: Option<[u64; 2]> = None;
    for record in hashes.read()? {
        let [hash, row] = record?;
        match last {
            Some([same, first]) if same == hash => edges.push(first, row)?,
            _ => {
                distinct.push([hash, row])?;
                last = Some([hash, row]);
            }
        }
    }
    let edges = Mutex::new((edges, Ok(())));
    for_near(&distinct.finish()?, radius, cx, scratch, |pairs| {
        let (edges, result) = &mut *edges.lock().unwrap_or_else(PoisonError::into_inner);
        if result.is_ok() {
            *result = pairs.iter().try_for_each(|&(a, b, _)| edges.push(a, b));
        }
    })?;
    edges.into_inner().unwrap_or_else(PoisonError::into_inner).1
}

/// Gives every pair of distinct hashes within `radius` bits to `visit`, by the numbers beside them:
/// each once, from several threads at once.
///
/// What memory does not hold is cut into files by what the hashes of a join have in common.
pub(super) fn for_near(
    hashes: &List<2>,
    radius: u32,
    cx: &Context,
    scratch: &Scratch,
    visit: impl Fn(&[(u64, u64, u32)]) + Sync,
) -> Result<()> {
    // Files come out uneven: half of memory for the average.
    let parts = hashes.len().div_ceil(scratch.limit::<4>() as u64).clamp(1, MOST_PARTS);
    let mut all = if parts == 1 { load(hashes)? } else { Vec::new() };
    for join in NearJoin::plan(hashes.len(), radius) {
        if parts == 1 {
            check(cx)?;
            join.pairs(&mut all, &visit);
            continue;
        }
        for part in cut(hashes, &join, parts, scratch)? {
            check(cx)?;
            join.pairs(&mut load(&part)?, &visit);
        }
    }
    Ok(())
}

/// The lists of hashes that a join must compare with each other.
fn cut(hashes: &List<2>, join: &NearJoin, parts: u64, scratch: &Scratch) -> Result<Vec<List<2>>> {
    let writers = (0..parts).map(|_| ListWriter::new(scratch));
    let mut writers = writers.collect::<Result<Vec<_>>>()?;
    for record in hashes.read()? {
        let record = record?;
        // The high bits of a product depend on all bits of its factors.
        let spread = join.key(record[0]).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        writers[((spread * parts) >> 32) as usize].push(record)?;
    }
    writers.into_iter().map(ListWriter::finish).collect()
}

fn load(hashes: &List<2>) -> Result<Vec<(u64, u64)>> {
    hashes.read()?.map(|record| record.map(|[hash, number]| (hash, number))).collect()
}

/// An error where the caller asked to stop.
pub(super) fn check(cx: &Context) -> Result<()> {
    if cx.cancelled() { Err(Error::result("dedup", "interrupted")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn any_memory_finds_the_pairs_of_brute_force() {
        let folder = tempfile::tempdir().unwrap();
        let cx = Context::detached("dedup", 1, folder.path());
        let mut state = 3u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state ^ state >> 29
        };
        let mut hashes: Vec<u64> = (0..400).map(|_| next()).collect();
        for at in 0..400 {
            let flips = (0..at % 7).fold(0, |bits, _| bits | 1 << (next() % 64));
            hashes.push(hashes[at] ^ flips);
        }
        hashes.sort_unstable();
        hashes.dedup();
        let mut expected = Vec::new();
        for (a, first) in hashes.iter().enumerate() {
            for (b, second) in hashes.iter().enumerate().skip(a + 1) {
                let distance = (first ^ second).count_ones();
                if distance <= 4 {
                    expected.push((a as u64 + 7, b as u64 + 7, distance));
                }
            }
        }
        assert!(expected.len() > 100);
        for memory in [0, 3_000, 1 << 20] {
            let scratch = Scratch::new(folder.path(), memory).unwrap();
            let mut list = ListWriter::new(&scratch).unwrap();
            hashes.iter().zip(7..).for_each(|(hash, row)| list.push([*hash, row]).unwrap());
            let found = Mutex::new(Vec::new());
            for_near(&list.finish().unwrap(), 4, &cx, &scratch, |pairs| {
                let ordered = pairs.iter().map(|&(a, b, bits)| (a.min(b), a.max(b), bits));
                found.lock().unwrap().extend(ordered);
            })
            .unwrap();
            let mut found = found.into_inner().unwrap();
            found.sort_unstable();
            assert_eq!(found, expected, "{memory} bytes");
        }
    }
}
