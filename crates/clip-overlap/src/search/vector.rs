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

use super::orientation::Orientation;
use crate::pyramid::{LANES, Plane};

/// Numbers in a vector.
pub const DIMENSIONS: usize = 96;
const GRID: usize = 16;
/// Frequencies kept on each axis of luma, and of each colour difference.
const LUMA: usize = 9;
const COLOUR: usize = 3;
/// Where the numbers of even frequencies across and down begin, those odd down only, odd across
/// only, odd both ways, and where they end. A mirror negates those that are odd its way.
const PARITIES: [usize; 5] = [0, 30, 54, 78, DIMENSIONS];

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
        values.extend(frequencies(plane, COLOUR).into_iter().map(|value| value * 0.5));
    }
    let norm = values.iter().map(|v| v * v).sum::<f32>().sqrt().max(1e-6);
    ORDER.iter().map(|&at| (values[at] / norm * SCALE).round() as i16).collect()
}

/// The places of a vector's numbers among the frequencies of luma and of both colour differences,
/// by parity.
static ORDER: LazyLock<Vec<usize>> = LazyLock::new(|| by_parity(false));

/// For each number of a vector the one that is there when rows and columns change places.
static TRANSPOSED: LazyLock<Vec<usize>> = LazyLock::new(|| {
    let turned = by_parity(true);
    turned.iter().map(|at| ORDER.iter().position(|own| own == at).unwrap_or(0)).collect()
});

fn by_parity(transposed: bool) -> Vec<usize> {
    let (mut all, mut first) = (Vec::new(), 0);
    for keep in [LUMA, COLOUR, COLOUR] {
        for (down, across) in (0..keep * keep).map(|at| (at / keep, at % keep)).skip(1) {
            let at = if transposed { across * keep + down } else { down * keep + across };
            all.push((across % 2, down % 2, first + at - 1));
        }
        first += keep * keep - 1;
    }
    all.sort_by_key(|&(across, down, _)| (across, down));
    all.into_iter().map(|(.., at)| at).collect()
}

/// The DCT's `keep` x `keep` lowest coefficients without the mean (a colour jitter changes it),
/// each times its frequency's weight.
fn frequencies(plane: &[f32], keep: usize) -> Vec<f32> {
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
            found.push(value * WEIGHTS[u][v]);
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

/// The items nearest to an image in each orientation, the nearest first.
pub(crate) type Nearest = [Vec<u32>; Orientation::COUNT];

/// How many items are wanted, and of which cosine at least.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted {
    pub most: usize,
    pub least: f32,
}

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

    /// For each query the nearest items in each orientation: as it is or mirrored (`upright`), and
    /// turned over otherwise.
    pub fn nearest(&self, queries: &[&[i16]], upright: Wanted, turned: Wanted) -> Vec<Nearest> {
        // Each is followed by itself with rows and columns changed.
        let mut groups = vec![[[0.0; DIMENSIONS]; GROUP]; (2 * queries.len()).div_ceil(GROUP)];
        let pairs = groups.as_flattened_mut().as_chunks_mut::<2>().0;
        for ([own, other], query) in pairs.iter_mut().zip(queries) {
            own.iter_mut().zip(*query).for_each(|(own, &value)| *own = f32::from(value) / SCALE);
            other.iter_mut().zip(&*TRANSPOSED).for_each(|(other, &at)| *other = own[at]);
        }
        let none = |at: usize| -> [Best; Orientation::UPRIGHT] {
            std::array::from_fn(|way| {
                let plain = at.is_multiple_of(2) && way < 2;
                Best { found: Vec::new(), wanted: if plain { upright } else { turned } }
            })
        };
        let mut best: Vec<_> = (0..groups.len() * GROUP).map(none).collect();
        Arch::new().dispatch(Scan { vectors: self, groups: &groups, best: &mut best });
        let items = |best: &Best| best.found.iter().map(|(item, _)| *item).collect();
        let pairs = best.as_chunks::<2>().0.iter().take(queries.len());
        pairs.map(|both| std::array::from_fn(|way| items(&both.as_flattened()[way]))).collect()
    }
}

/// The items found so far.
struct Best {
    found: Vec<(u32, f32)>,
    wanted: Wanted,
}

impl Best {
    fn offer(&mut self, item: usize, cosine: f32) {
        if cosine <= self.wanted.least || self.wanted.most == 0 {
            return;
        }
        let at = self.found.partition_point(|(_, old)| *old >= cosine);
        self.found.insert(at, (item as u32, cosine));
        self.found.truncate(self.wanted.most);
        if self.found.len() == self.wanted.most {
            self.wanted.least = self.found[self.wanted.most - 1].1;
        }
    }
}

struct Scan<'a> {
    vectors: &'a Vectors,
    groups: &'a [Group],
    best: &'a mut [[Best; Orientation::UPRIGHT]],
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
                    let last = LANES.min(count - first);
                    let mut sums = [[[0f32; LANES]; GROUP]; 4];
                    // A loop and no `map`, whose closure might be compiled on its own.
                    for (parity, sums) in sums.iter_mut().enumerate() {
                        *sums = products(block, group, PARITIES[parity]..PARITIES[parity + 1]);
                    }
                    for (query, best) in best.iter_mut().enumerate() {
                        let mut cosines = [[0f32; LANES]; 4];
                        let mut near = false;
                        for lane in 0..LANES {
                            let [even, down] = [sums[0][query][lane], sums[1][query][lane]];
                            let [across, both] = [sums[2][query][lane], sums[3][query][lane]];
                            let (plain, odd) = (even + down, across + both);
                            let (flipped, other) = (even - down, across - both);
                            cosines[0][lane] = plain + odd;
                            cosines[1][lane] = plain - odd;
                            cosines[2][lane] = flipped + other;
                            cosines[3][lane] = flipped - other;
                            for way in 0..4 {
                                near |= cosines[way][lane] > best[way].wanted.least;
                                near |= -cosines[way][lane] > best[way + 4].wanted.least;
                            }
                        }
                        // Seldom, and so not worth lanes.
                        if near {
                            for (way, cosines) in cosines.iter().enumerate() {
                                for (lane, &cosine) in cosines[..last].iter().enumerate() {
                                    best[way].offer(first + lane, cosine);
                                    best[way + 4].offer(first + lane, -cosine);
                                }
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

    fn image(seed: u32) -> Rgb {
        let noise = |at: u32| ((at * at * 31 + at * seed * 7) % (200 + seed)) as u8;
        Rgb { width: 48, height: 32, data: (0..48 * 32 * 3).map(noise).collect() }
    }

    /// What [`Vectors::nearest`] finds for one query and orientation, by brute force.
    fn nearest(all: &[Vec<i16>], query: &[i16], wanted: Wanted) -> Vec<u32> {
        let cosine = |other: &Vec<i16>| {
            let products = query.iter().zip(other).map(|(a, b)| i64::from(*a) * i64::from(*b));
            products.sum::<i64>() as f32 / (SCALE * SCALE)
        };
        let mut found: Vec<(u32, f32)> = (0..).zip(all.iter().map(cosine)).collect();
        found.retain(|(_, cosine)| *cosine > wanted.least);
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        found.into_iter().take(wanted.most).map(|(item, _)| item).collect()
    }

    #[test]
    fn the_nearest_of_every_orientation_are_those_of_the_highest_cosines() {
        let images: Vec<Rgb> = (0..37).map(image).collect();
        let all: Vec<Vec<i16>> = images.iter().map(vector).collect();
        assert!(all.iter().all(|vector| vector.len() == DIMENSIONS));
        let set = Vectors::new(all.iter().map(Vec::as_slice));
        let queries: Vec<&[i16]> = all[20..26].iter().map(Vec::as_slice).collect();
        let [upright, turned] = [Wanted { most: 5, least: 0.1 }, Wanted { most: 3, least: 0.05 }];
        for (image, found) in images[20..26].iter().zip(set.nearest(&queries, upright, turned)) {
            for (orientation, found) in Orientation::all().zip(found) {
                // The vector of the image that was turned over, computed anew.
                let query = vector(&orientation.image(image));
                let plain = [Orientation::PLAIN, Orientation::MIRRORED].contains(&orientation);
                let wanted = if plain { upright } else { turned };
                assert_eq!(found, nearest(&all, &query, wanted), "{orientation:?}");
            }
        }
    }
}
