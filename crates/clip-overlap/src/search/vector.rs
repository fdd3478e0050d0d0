//! A short vector of the whole image: its lowest frequencies, flattened so that no one of them
//! rules.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use std::f32::consts::PI;
use std::ops::Range;
use std::sync::LazyLock;

use clip_image::Rgb;
use pulp::{Arch, NullaryFnOnce};

use crate::pyramid::{LANES, Plane};

/// Numbers in a vector.
pub const DIMENSIONS: usize = 96;
const GRID: usize = 16;
/// Frequencies kept on each axis of luma, and of each colour difference.
const LUMA: usize = 9;
const COLOUR: usize = 3;
/// Numbers that a mirror leaves as they are: those of even frequencies across. They come first; it
/// negates the others.
const EVEN: usize = 54;

static COSINES: LazyLock<[[f32; GRID]; LUMA]> = LazyLock::new(|| {
    let cosine =
        |k: usize, n: usize| (PI * (2 * n + 1) as f32 * k as f32 / (2 * GRID) as f32).cos();
    std::array::from_fn(|k| std::array::from_fn(|n| cosine(k, n)))
});

static WEIGHTS: LazyLock<[[f32; LUMA]; LUMA]> = LazyLock::new(|| {
    let weight = |u: usize, v: usize| ((u * u + v * v) as f32).powf(0.25);
    std::array::from_fn(|u| std::array::from_fn(|v| weight(u, v)))
});

/// The length of a vector.
const SCALE: f32 = 16384.0;

/// The vector of a thumbnail: unit length, scaled so that the dot product of two equal ones is
/// about 2^28.
pub(crate) fn vector(thumb: &Rgb) -> Vec<i16> {
    let [red, green, blue] = [0, 1, 2].map(|c| Plane::channel(thumb, c).resized(GRID, GRID).data);
    let mix = |f: fn(f32, f32, f32) -> f32| -> Vec<f32> {
        red.iter().zip(&green).zip(&blue).map(|((&r, &g), &b)| f(r, g, b)).collect()
    };
    let luma = mix(|r, g, b| 0.299 * r + 0.587 * g + 0.114 * b);
    let warm = mix(|r, _, b| r - b);
    let green = mix(|r, g, b| g - f32::midpoint(r, b));
    let mut values = frequencies(&luma, LUMA);
    for plane in [&warm, &green] {
        let colour = frequencies(plane, COLOUR).into_iter();
        values.extend(colour.map(|(across, value)| (across, value * 0.5)));
    }
    values.sort_by_key(|(across, _)| across % 2);
    let norm = values.iter().map(|(_, v)| v * v).sum::<f32>().sqrt().max(1e-6);
    values.iter().map(|(_, v)| (v / norm * SCALE).round() as i16).collect()
}

/// The vector of an image's mirror image.
pub(crate) fn mirrored(vector: &[i16]) -> Vec<i16> {
    let (even, odd) = vector.split_at(EVEN);
    even.iter().copied().chain(odd.iter().map(|v| -v)).collect()
}

/// The DCT's `keep` x `keep` lowest coefficients without the mean (a colour jitter changes it),
/// each times its frequency's weight and with its frequency across.
fn frequencies(plane: &[f32], keep: usize) -> Vec<(usize, f32)> {
    let mut lines = [[0f32; GRID]; LUMA];
    for (u, line) in lines.iter_mut().enumerate().take(keep) {
        for (row, cosine) in plane.chunks_exact(GRID).zip(&COSINES[u]) {
            for (sum, value) in line.iter_mut().zip(row) {
                *sum += cosine * value;
            }
        }
    }
    let mut found = Vec::with_capacity(keep * keep);
    for (u, line) in lines.iter().enumerate().take(keep) {
        for (v, cosines) in COSINES.iter().enumerate().take(keep) {
            let value: f32 = line.iter().zip(cosines).map(|(a, b)| a * b).sum();
            // Images have spectra of 1/f: the square root of f makes fine structure count, yet not
            // a shift.
            found.push((v, value * WEIGHTS[u][v]));
        }
    }
    found.split_off(1)
}

/// The vectors of many images, sixteen beside each other, to be searched through for several at
/// once.
pub(crate) struct Vectors {
    blocks: Vec<Block>,
    count: usize,
}

type Block = [[f32; LANES]; DIMENSIONS];
type Group = [[f32; DIMENSIONS]; GROUP];

/// Queries that are checked against a block at once: what is loaded serves them all.
const GROUP: usize = 4;
/// Blocks that stay in the processor's cache while every query is checked against them.
const TILE: usize = 32;

/// The items nearest to an image and to its mirror image, the nearest first.
pub(crate) type Nearest = [Vec<u32>; 2];

impl Vectors {
    pub fn new<'a>(vectors: impl ExactSizeIterator<Item = &'a [i16]>) -> Self {
        let count = vectors.len();
        let mut blocks = vec![[[0.0; LANES]; DIMENSIONS]; count.div_ceil(LANES)];
        for (item, vector) in vectors.enumerate() {
            for (row, &value) in blocks[item / LANES].iter_mut().zip(vector) {
                row[item % LANES] = f32::from(value) / SCALE;
            }
        }
        Self { blocks, count }
    }

    /// For each query up to `most` items of a cosine above `least`.
    pub fn nearest(&self, queries: &[&[i16]], most: usize, least: f32) -> Vec<Nearest> {
        let mut groups = vec![[[0.0; DIMENSIONS]; GROUP]; queries.len().div_ceil(GROUP)];
        for (own, query) in groups.as_flattened_mut().iter_mut().zip(queries) {
            own.iter_mut().zip(*query).for_each(|(own, &value)| *own = f32::from(value) / SCALE);
        }
        let none = || [0, 1].map(|_| Best { found: Vec::new(), most, least });
        let mut best: Vec<[Best; 2]> = (0..groups.len() * GROUP).map(|_| none()).collect();
        if most > 0 {
            Arch::new().dispatch(Scan { vectors: self, groups: &groups, best: &mut best });
        }
        let items = |best: Best| best.found.into_iter().map(|(item, _)| item).collect();
        best.into_iter().take(queries.len()).map(|both| both.map(items)).collect()
    }
}

/// The items found so far.
struct Best {
    found: Vec<(u32, f32)>,
    most: usize,
    least: f32,
}

impl Best {
    fn offer(&mut self, item: usize, cosine: f32) {
        if cosine <= self.least {
            return;
        }
        let at = self.found.partition_point(|(_, old)| *old >= cosine);
        self.found.insert(at, (item as u32, cosine));
        self.found.truncate(self.most);
        if self.found.len() == self.most {
            self.least = self.found[self.most - 1].1;
        }
    }
}

struct Scan<'a> {
    vectors: &'a Vectors,
    groups: &'a [Group],
    best: &'a mut [[Best; 2]],
}

impl NullaryFnOnce for Scan<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Self { vectors: Vectors { blocks, count }, groups, best } = self;
        for (tile, blocks) in blocks.chunks(TILE).enumerate() {
            for (group, best) in groups.iter().zip(best.chunks_exact_mut(GROUP)) {
                for (at, block) in blocks.iter().enumerate() {
                    let first = (tile * TILE + at) * LANES;
                    let even = products(block, group, 0..EVEN);
                    let odd = products(block, group, EVEN..DIMENSIONS);
                    for ((even, odd), [plain, mirrored]) in even.iter().zip(&odd).zip(&mut *best) {
                        let (mut sums, mut differences) = ([0f32; LANES], [0f32; LANES]);
                        let (mut near, mut turned) = (false, false);
                        for lane in 0..LANES {
                            sums[lane] = even[lane] + odd[lane];
                            differences[lane] = even[lane] - odd[lane];
                            near |= sums[lane] > plain.least;
                            turned |= differences[lane] > mirrored.least;
                        }
                        // Seldom, and so not worth lanes.
                        if near || turned {
                            for lane in 0..LANES.min(count - first) {
                                plain.offer(first + lane, sums[lane]);
                                mirrored.offer(first + lane, differences[lane]);
                            }
                        }
                    }
                }
            }
        }
    }
}

/// The dot products of sixteen vectors with each query of a group, over some dimensions.
#[inline(always)]
fn products(block: &Block, group: &Group, dimensions: Range<usize>) -> [[f32; LANES]; GROUP] {
    let mut sums = [[0f32; LANES]; GROUP];
    for at in dimensions {
        for query in 0..GROUP {
            for lane in 0..LANES {
                sums[query][lane] += group[query][at] * block[at][lane];
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::flip_horizontal;

    fn image(seed: u32) -> Rgb {
        let noise = |at: u32| ((at * at * 31 + at * seed * 7) % (200 + seed)) as u8;
        Rgb { width: 48, height: 32, data: (0..48 * 32 * 3).map(noise).collect() }
    }

    #[test]
    fn a_mirror_negates_what_is_odd() {
        for seed in 0..5 {
            let plain = image(seed);
            let (own, wanted) = (vector(&plain), vector(&flip_horizontal(&plain)));
            assert_eq!(own.len(), DIMENSIONS);
            assert!(mirrored(&own).iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 2));
        }
    }

    #[test]
    fn the_nearest_are_those_of_the_highest_cosines() {
        let all: Vec<Vec<i16>> = (0..37).map(|seed| vector(&image(seed))).collect();
        let set = Vectors::new(all.iter().map(Vec::as_slice));
        let queries: Vec<&[i16]> = all[20..26].iter().map(Vec::as_slice).collect();
        let found = set.nearest(&queries, 5, 0.1);
        for (query, [plain, turned]) in queries.iter().zip(found) {
            for (query, found) in [(query.to_vec(), plain), (mirrored(query), turned)] {
                let cosine = |other: &Vec<i16>| {
                    let products =
                        query.iter().zip(other).map(|(a, b)| i64::from(*a) * i64::from(*b));
                    products.sum::<i64>() as f32 / (SCALE * SCALE)
                };
                let mut wanted: Vec<(u32, f32)> = (0..).zip(all.iter().map(cosine)).collect();
                wanted.retain(|(_, cosine)| *cosine > 0.1);
                wanted.sort_by(|a, b| b.1.total_cmp(&a.1));
                let wanted: Vec<u32> = wanted.iter().take(5).map(|(item, _)| *item).collect();
                assert_eq!(found, wanted);
            }
        }
    }
}
