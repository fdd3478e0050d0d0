//! The order of a corpus that is too large to shuffle as a whole: a function of the seed, the pass
//! and the place, never of processes or of what was read before.
//!
//! The shards of a pass are permuted and put in a row. The row is cut into as many streams of equal
//! length as there are canonical streams, whatever the number of processes; each stream gives the
//! same rows of every batch. A stream is cut into windows of some shards, within which pairs are
//! shuffled. So a process that has some rows of every batch reads only the shards of its streams.

use std::sync::Arc;

use clip_random::{Draw, below, mix, unit};

/// What the order knows of a shard.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ShardSize {
    /// Samples.
    pub samples: u32,
    /// Expected uses of all of them in a pass.
    pub uses: f64,
}

/// The order of a run.
#[derive(Debug, Clone)]
pub(crate) struct StreamOrder {
    pub seed: u64,
    /// Pairs in a whole batch: a multiple of the streams.
    pub batch: usize,
    pub streams: usize,
    /// Shards in a window.
    pub window: usize,
    /// Whether shards are drawn with replacement in each pass.
    pub resampled: bool,
    pub sizes: Arc<Vec<ShardSize>>,
}

/// A shard in a pass.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Visit {
    pub shard: u32,
    /// A number in [0, 1) that decides which samples of fractional weight are used.
    pub offset: f64,
}

/// The shards of a pass in their order.
#[derive(Debug)]
pub(crate) struct Pass {
    pub number: u64,
    visits: Vec<Visit>,
    /// Where each visit begins in the pass, in uses, and where the last ends.
    starts: Vec<u64>,
}

/// Some uses of a visited shard.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    pub visit: Visit,
    /// The first use of the shard's, and the one after the last.
    pub from: u64,
    pub to: u64,
}

/// What is shuffled together.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Window {
    pub pass: u64,
    /// Place of its first use in the pass.
    pub first: u64,
    /// Place of its first use in the stream, over all passes.
    pub place: u64,
    pub pieces: Vec<Piece>,
}

impl Window {
    /// Uses.
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.to - piece.from).sum()
    }
}

/// The most canonical streams.
const MOST_STREAMS: usize = 32;
/// Shards for each stream, at least.
const SHARDS_A_STREAM: usize = 64;

fn most_streams(shards: usize) -> usize {
    (shards / SHARDS_A_STREAM).clamp(1, MOST_STREAMS)
}

/// Canonical streams for a corpus: the largest number that divides the batch, up to a stream for
/// each 64 shards and up to 32.
pub(crate) fn streams(batch: usize, shards: usize) -> usize {
    (1..=most_streams(shards)).rev().find(|&streams| batch.is_multiple_of(streams)).unwrap_or(1)
}

/// Shards in a window, at least.
pub(crate) const LEAST_SHARDS: usize = 8;
/// Pairs in the windows of all streams, at least: those of 8 shards of img2dataset's default size.
/// A few batches' worth from sorted shards costs accuracy.
const LEAST_PAIRS: u64 = 80_000;

/// Shards in a window of a corpus for which no number is asked.
pub(crate) fn window(pairs: u64, shards: usize) -> usize {
    let in_all = (LEAST_PAIRS * shards as u64).div_ceil(pairs.max(1)) as usize;
    let wanted = in_all.div_ceil(most_streams(shards));
    wanted.clamp(LEAST_SHARDS, shards.max(LEAST_SHARDS))
}

impl StreamOrder {
    /// Rows of a batch that each stream gives.
    pub fn rows(&self) -> usize {
        self.batch / self.streams
    }

    /// Uses in a pass.
    pub fn pass_size(&self, pass: u64) -> u64 {
        let uses = |draw| self.uses(self.visit(pass, draw));
        (0..self.sizes.len()).map(uses).sum()
    }

    fn visit(&self, pass: u64, draw: usize) -> Visit {
        let shard = if self.resampled {
            below(mix(self.seed ^ 0x5a4d, pass, draw as u64), self.sizes.len())
        } else {
            draw
        };
        let bits = mix(self.seed ^ 0xba1a, pass, draw as u64);
        Visit { shard: shard as u32, offset: unit(bits) }
    }

    /// With that offset, the mean over passes is what is expected.
    fn uses(&self, visit: Visit) -> u64 {
        (self.sizes[visit.shard as usize].uses + visit.offset) as u64
    }

    /// The shards of a pass.
    pub fn pass(&self, number: u64) -> Pass {
        let mut visits: Vec<Visit> =
            (0..self.sizes.len()).map(|draw| self.visit(number, draw)).collect();
        Draw::new("shards", self.seed, number, 0).shuffle(&mut visits);
        let mut starts = vec![0];
        for &visit in &visits {
            starts.push(starts[starts.len() - 1] + self.uses(visit));
        }
        Pass { number, visits, starts }
    }

    /// How many of the first `samples` of the whole stream are in one canonical stream: these sum
    /// up to `samples` over the streams (Hermite's identity), and never differ by more than one.
    pub fn share(&self, samples: u64, stream: usize) -> u64 {
        (samples + stream as u64) / self.streams as u64
    }

    /// The windows of a stream in a pass that begins after `before` samples.
    pub fn windows(&self, pass: &Pass, before: u64, stream: usize) -> Vec<Window> {
        let after = before + pass.len();
        let length = |stream| self.share(after, stream) - self.share(before, stream);
        let begin: u64 = (0..stream).map(length).sum();
        let end = begin + length(stream);
        if begin == end {
            return Vec::new();
        }
        let first = pass.starts.partition_point(|&start| start <= begin) - 1;
        let last = pass.starts.partition_point(|&start| start < end);
        let shards = last - first;
        let count = shards.div_ceil(self.window.max(1));
        let piece = |at: usize| {
            let (start, next) = (pass.starts[at], pass.starts[at + 1]);
            let (from, to) = (begin.max(start) - start, end.min(next) - start);
            Piece { visit: pass.visits[at], from, to }
        };
        let place = self.share(before, stream);
        let window = |number: usize| {
            let part = first + number * shards / count..first + (number + 1) * shards / count;
            let at = pass.starts[part.start].max(begin);
            let pieces = part.map(piece).filter(|piece| piece.from < piece.to).collect();
            Window { pass: pass.number, first: at, place: place + at - begin, pieces }
        };
        (0..count).map(window).filter(|window| !window.pieces.is_empty()).collect()
    }

    /// The order of a window's uses.
    pub fn shuffled(&self, window: &Window) -> Vec<u32> {
        let mut order: Vec<u32> = (0..window.len() as u32).collect();
        Draw::new("window", self.seed, window.pass, window.first).shuffle(&mut order);
        order
    }
}

impl Pass {
    /// Uses.
    pub fn len(&self) -> u64 {
        self.starts[self.starts.len() - 1]
    }
}

/// Which sample each use of a visited shard is: systematic sampling, so that a sample is used its
/// weight rounded up or down, and the shard as often as the order has counted. `weights` are those
/// of the samples, which sum up to the size's uses, or none where all have the same.
pub(crate) fn used_samples(visit: Visit, size: ShardSize, weights: Option<&[f64]>) -> Vec<u32> {
    let ShardSize { samples, uses } = size;
    // Rounding of the sums must give no use more or less than was counted.
    let all = (uses + visit.offset) as u64;
    let mut used = Vec::with_capacity(all as usize);
    let (mut sum, mut before) = (0.0, 0);
    for sample in 0..samples {
        sum = match weights {
            Some(weights) => sum + weights[sample as usize],
            None => uses * f64::from(sample + 1) / f64::from(samples),
        };
        let last = sample + 1 == samples;
        let now = if last { all } else { ((sum + visit.offset) as u64).clamp(before, all) };
        used.extend(std::iter::repeat_n(sample, (now - before) as usize));
        before = now;
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(sizes: &[u32], batch: usize, streams: usize, window: usize) -> StreamOrder {
        let size = |&samples: &u32| ShardSize { samples, uses: f64::from(samples) };
        let sizes = Arc::new(sizes.iter().map(size).collect());
        StreamOrder { seed: 5, batch, streams, window, resampled: false, sizes }
    }

    #[test]
    fn small_shards_make_wider_windows() {
        let pairs = |shards: usize, each: u64| window(shards as u64 * each, shards);
        assert_eq!([1, 100, 40_000].map(|shards| pairs(shards, 10_000)), [8; 3]);
        // One stream of 63 shards, 10 of 640 and 32 of 8,000: each has its window.
        assert_eq!([63, 640, 8_000].map(|shards| pairs(shards, 1_000)), [63, 8, 8]);
        assert_eq!([63, 640, 8_000].map(|shards| pairs(shards, 100)), [63, 80, 25]);
        assert_eq!((window(0, 3), window(3, 1000)), (8, 1000));
    }

    #[test]
    fn streams_divide_the_batch() {
        assert_eq!(
            [(128, 10), (128, 200), (32_768, 40_000), (30, 2000)].map(|(b, s)| streams(b, s)),
            [1, 2, 32, 30]
        );
        assert_eq!(streams(7, 40_000), 7);
        assert_eq!(streams(31, 128), 1);
    }

    #[test]
    fn every_use_of_a_pass_is_in_one_window_of_one_stream() {
        let sizes: Vec<u32> = (0..40).map(|i| 3 + (i * 7) % 11).collect();
        for streams in [1, 3, 4, 8] {
            let order = order(&sizes, 24, streams, 5);
            let mut before = 0;
            let mut places = vec![0; streams];
            for number in 0..6 {
                let pass = order.pass(number);
                assert_eq!(pass.len(), order.pass_size(number));
                let mut seen: Vec<(u32, u64)> = Vec::new();
                for (stream, place) in places.iter_mut().enumerate() {
                    for window in order.windows(&pass, before, stream) {
                        assert!(window.pieces.len() <= 5 && window.len() > 0);
                        // A stream is without gaps, over windows and passes.
                        assert_eq!(window.place, *place);
                        *place += window.len();
                        let uses = |p: &Piece| {
                            let shard = p.visit.shard;
                            (p.from..p.to).map(move |at| (shard, at)).collect::<Vec<_>>()
                        };
                        seen.extend(window.pieces.iter().flat_map(uses));
                    }
                }
                seen.sort_unstable();
                let all = sizes.iter().enumerate();
                let all = all.flat_map(|(s, &n)| (0..u64::from(n)).map(move |at| (s as u32, at)));
                assert_eq!(seen, all.collect::<Vec<_>>(), "{streams} streams, pass {number}");
                before += pass.len();
                let (low, high) = (places.iter().min().unwrap(), places.iter().max().unwrap());
                assert!(high - low <= 1, "{places:?}");
            }
        }
    }

    #[test]
    fn passes_and_seeds_have_orders_of_their_own() {
        let order = order(&[10; 30], 10, 1, 4);
        let shards = |order: &StreamOrder, pass| {
            order.pass(pass).visits.iter().map(|visit| visit.shard).collect::<Vec<_>>()
        };
        assert_eq!(shards(&order, 0), shards(&order, 0));
        assert_ne!(shards(&order, 0), shards(&order, 1));
        let other = StreamOrder { seed: 6, ..order.clone() };
        assert_ne!(shards(&order, 0), shards(&other, 0));
    }

    /// Beyond the window, a shard's place in the pass says nothing about its number.
    #[test]
    fn the_place_of_a_shard_is_not_correlated_with_its_number() {
        let order = order(&[1; 2000], 1, 1, 8);
        let mean = 1999.0 / 2.0;
        for pass in 0..5 {
            let pass = order.pass(pass);
            let (mut product, mut square) = (0.0, 0.0);
            for (place, visit) in pass.visits.iter().enumerate() {
                product += (place as f64 - mean) * (f64::from(visit.shard) - mean);
                square += (place as f64 - mean).powi(2);
            }
            // Three standard errors of a correlation of 2,000.
            assert!((product / square).abs() < 3.0 / 2000f64.sqrt(), "{}", product / square);
        }
    }

    #[test]
    fn a_sample_is_used_as_often_as_its_weight_says() {
        let weights = [0.25, 1.5, 0.0, 2.0, 0.7];
        let size = ShardSize { samples: 5, uses: weights.iter().sum() };
        let order = StreamOrder { sizes: Arc::new(vec![size; 3]), ..order(&[1], 1, 1, 1) };
        let mut counts = [0.0; 5];
        for pass in 0..2000 {
            for draw in 0..3 {
                let visit = order.visit(pass, draw);
                let used = used_samples(visit, size, Some(&weights));
                assert_eq!(used.len() as u64, order.uses(visit));
                used.iter().for_each(|&sample| counts[sample as usize] += 1.0 / 6000.0);
            }
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!((count - weight).abs() < 0.03, "{counts:?}");
        }
        let (plain, half) =
            (ShardSize { samples: 4, uses: 4.0 }, ShardSize { samples: 4, uses: 2.0 });
        assert_eq!(used_samples(Visit { shard: 0, offset: 0.999_999 }, plain, None), [0, 1, 2, 3]);
        assert_eq!(used_samples(Visit { shard: 0, offset: 0.6 }, half, None), [0, 2]);
    }

    #[test]
    fn shards_drawn_with_replacement_come_again() {
        let order = StreamOrder { resampled: true, ..order(&[10; 100], 10, 1, 4) };
        let pass = order.pass(0);
        let mut shards: Vec<u32> = pass.visits.iter().map(|visit| visit.shard).collect();
        shards.sort_unstable();
        shards.dedup();
        // 1 - 1/e of them are expected.
        assert!((50..75).contains(&shards.len()), "{}", shards.len());
        assert_eq!(pass.len(), 1000);
    }
}
