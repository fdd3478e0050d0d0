//! Images whose hashes are near and that are alike when they are compared. Memory holds some 60
//! bytes for each image that has a neighbour, and none for the others.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clip_image::{UnionFind, for_near_pairs};
use clip_pipeline::{Context, PartInfo};
use rayon::prelude::*;

use super::components::Edges;
use super::near::{check, for_near};
use super::options::Compare;
use super::records::{List, ListWriter, Scratch};
use super::thumbs::Thumbs;
use crate::{Error, Result};

/// Makes edges of images with near hashes that are alike; `hashes` (hash, row) is sorted.
pub(super) fn join(
    compare: &dyn Compare,
    hashes: &List<2>,
    radius: u32,
    inputs: &[PartInfo],
    cx: &Context,
    scratch: &Scratch,
    edges: &mut Edges,
) -> Result<()> {
    let images = with_neighbours(hashes, radius, cx, scratch)?;
    if u32::try_from(images.len()).is_err() {
        let reason = format!("{} images have neighbours, more than are compared", images.len());
        return Err(Error::result("dedup", reason));
    }
    let mut rows: Vec<u64> = images.iter().map(|[_, row]| *row).collect();
    rows.sort_unstable();
    let thumbs = Thumbs::make(compare, &rows, inputs, cx)?;
    drop(rows);
    let alike =
        |a: u32, b: u32| thumbs.alike(compare, images[a as usize][1], images[b as usize][1]);
    let sets = Mutex::new(UnionFind::new(images.len()));
    let join = |a: u32, b: u32| lock(&sets).union(a as usize, b as usize);
    let apart = |a: u32, b: u32| {
        let mut sets = lock(&sets);
        sets.find(a as usize) != sets.find(b as usize)
    };

    // Of each hash, one image for every kind that it has: a thousand copies of one image are no
    // half million comparisons.
    let (mut distinct, mut groups, mut start) = (Vec::new(), Vec::new(), 0);
    for group in images.chunk_by(|a, b| a[0] == b[0]) {
        distinct.push(group[0][0]);
        groups.push(start as u32..(start + group.len()) as u32);
        start += group.len();
    }
    let leaders: Vec<Vec<u32>> = groups
        .into_par_iter()
        .map(|group| {
            let mut leaders: Vec<u32> = Vec::new();
            for image in group {
                match leaders.iter().find(|&&leader| alike(leader, image)) {
                    Some(&leader) => join(leader, image),
                    None => leaders.push(image),
                }
            }
            leaders
        })
        .collect();
    let stop = AtomicBool::new(false);
    for_near_pairs(&distinct, radius, |pairs| {
        for &(a, b, _) in pairs {
            for &a in &leaders[a as usize] {
                for &b in &leaders[b as usize] {
                    // What is joined already by others need not be looked at.
                    if !stop.load(Ordering::Relaxed) && apart(a, b) && alike(a, b) {
                        join(a, b);
                    }
                }
            }
            if cx.cancelled() {
                return stop.store(true, Ordering::Relaxed);
            }
        }
    });
    check(cx)?;
    let mut sets = sets.into_inner().unwrap_or_else(PoisonError::into_inner);
    for (at, [_, row]) in images.iter().enumerate() {
        edges.push(*row, images[sets.find(at)][1])?;
    }
    Ok(())
}

/// The images whose hash others have, or are near to, in the order of hashes.
fn with_neighbours(
    hashes: &List<2>,
    radius: u32,
    cx: &Context,
    scratch: &Scratch,
) -> Result<Vec<[u64; 2]>> {
    // By the number of each distinct hash.
    let wanted: Vec<AtomicU64> =
        (0..hashes.len().div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
    let want = |number: u64| {
        wanted[number as usize / 64].fetch_or(1 << (number % 64), Ordering::Relaxed);
    };
    let is_wanted = |number: u64| {
        wanted[number as usize / 64].load(Ordering::Relaxed) & 1 << (number % 64) != 0
    };
    let mut distinct = ListWriter::new(scratch)?;
    each_numbered(hashes, |number, [hash, _], is_first| {
        if is_first {
            return distinct.push([hash, number]);
        }
        want(number);
        Ok(())
    })?;
    for_near(&distinct.finish()?, radius, cx, scratch, |pairs| {
        for &(a, b, _) in pairs {
            want(a);
            want(b);
        }
    })?;
    let mut images = Vec::new();
    each_numbered(hashes, |number, image, _| {
        if is_wanted(number) {
            images.push(image);
        }
        Ok(())
    })?;
    Ok(images)
}

/// Visits sorted records with the number of their hash among the distinct ones, and whether it is
/// the first of its hash.
fn each_numbered(
    hashes: &List<2>,
    mut visit: impl FnMut(u64, [u64; 2], bool) -> Result<()>,
) -> Result<()> {
    let mut last: Option<(u64, u64)> = None;
    for record in hashes.read()? {
        let record = record?;
        let same = last.filter(|(_, hash)| *hash == record[0]);
        let number = match (same, last) {
            (Some((number, _)), _) => number,
            (None, Some((number, _))) => number + 1,
            (None, None) => 0,
        };
        last = Some((number, record[0]));
        visit(number, record, same.is_none())?;
    }
    Ok(())
}

fn lock(sets: &Mutex<UnionFind>) -> MutexGuard<'_, UnionFind> {
    sets.lock().unwrap_or_else(PoisonError::into_inner)
}
