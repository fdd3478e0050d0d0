//! Clusters of images whose hashes are near, and which are alike when laid over each other.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use clip_image::{UnionFind, for_near_pairs};
use clip_pipeline::{Context, PartInfo};
use rayon::prelude::*;

use super::thumbs::Thumbs;
use super::{Deduplicate, Files};
use crate::{Error, Result};

/// For each image the lowest place of its cluster.
pub(super) fn clusters(
    dedup: &Deduplicate,
    files: &Files,
    known: &[bool],
    inputs: &[PartInfo],
    cx: &Context,
) -> Result<Vec<u32>> {
    let mut sets = UnionFind::new(files.rows.len());
    for (at, &file) in files.file.iter().enumerate() {
        sets.union(file as usize, at);
    }
    let (hashes, starts) = files.distinct();
    let group = |at: u32| {
        let range = starts[at as usize] as usize..starts[at as usize + 1] as usize;
        files.hashes[range].iter().map(|(_, place)| *place).filter(|&place| !known[place as usize])
    };
    let sets = Mutex::new(sets);
    let join = |a: u32, b: u32| lock(&sets).union(a as usize, b as usize);
    let apart = |a: u32, b: u32| {
        let mut sets = lock(&sets);
        sets.find(a as usize) != sets.find(b as usize)
    };
    if dedup.radius > 0 {
        let groups = 0..hashes.len() as u32;
        let images = inputs.iter().any(|input| input.images.is_some());
        match dedup.compare.as_deref().filter(|_| images) {
            None => {
                for at in groups {
                    let mut members = group(at);
                    let first = members.next();
                    members
                        .for_each(|place| first.into_iter().for_each(|first| join(first, place)));
                }
                for_near_pairs(&hashes, dedup.radius, |pairs| {
                    for &(a, b, _) in pairs {
                        if let (Some(a), Some(b)) = (group(a).next(), group(b).next()) {
                            join(a, b);
                        }
                    }
                });
            }
            Some(compare) => {
                let wanted = wanted(&hashes, dedup.radius, |at| group(at).count());
                let mut places: Vec<u32> = wanted.iter().flat_map(|&at| group(at)).collect();
                places.sort_unstable();
                let thumbs = Thumbs::make(compare, files, &places, inputs, cx)?;
                let alike = |a: u32, b: u32| thumbs.alike(compare, a, b);
                // Of each hash, one image for every image that it stands for: a thousand copies of
                // one image are no half million comparisons.
                let leaders: Vec<(u32, Vec<u32>)> = wanted
                    .par_iter()
                    .map(|&at| {
                        let mut leaders: Vec<u32> = Vec::new();
                        for place in group(at) {
                            match leaders.iter().find(|&&leader| alike(leader, place)) {
                                Some(&leader) => join(leader, place),
                                None => leaders.push(place),
                            }
                        }
                        (at, leaders)
                    })
                    .collect();
                let leaders = |at: u32| -> &[u32] {
                    match leaders.binary_search_by_key(&at, |(of, _)| *of) {
                        Ok(found) => &leaders[found].1,
                        Err(_) => &[],
                    }
                };
                let stop = AtomicBool::new(false);
                for_near_pairs(&hashes, dedup.radius, |pairs| {
                    for &(a, b, _) in pairs {
                        for &a in leaders(a) {
                            for &b in leaders(b) {
                                // What is joined already by others need not be looked at.
                                if apart(a, b) && alike(a, b) {
                                    join(a, b);
                                }
                            }
                        }
                        if cx.cancelled() {
                            return stop.store(true, Ordering::Relaxed);
                        }
                    }
                });
                if stop.into_inner() {
                    return Err(Error::result("dedup", "interrupted"));
                }
            }
        }
    }
    let mut sets = sets.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    Ok((0..files.rows.len()).map(|at| sets.find(at) as u32).collect())
}

/// The hashes that have more than one image or a neighbour, ascending.
fn wanted(hashes: &[u64], radius: u32, images: impl Fn(u32) -> usize) -> Vec<u32> {
    let near: Vec<AtomicBool> = hashes.iter().map(|_| AtomicBool::new(false)).collect();
    for_near_pairs(hashes, radius, |pairs| {
        for &(a, b, _) in pairs {
            near[a as usize].store(true, Ordering::Relaxed);
            near[b as usize].store(true, Ordering::Relaxed);
        }
    });
    let all = 0..hashes.len() as u32;
    all.filter(|&at| near[at as usize].load(Ordering::Relaxed) || images(at) > 1).collect()
}

fn lock(sets: &Mutex<UnionFind>) -> std::sync::MutexGuard<'_, UnionFind> {
    sets.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
