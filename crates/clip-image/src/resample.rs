//! Pillow's resampling, bit for bit (`src/libImaging/Resample.c`): 22-bit fixed-point weights,
//! along one axis and then along the other, each rounded to 8 bits.
//!
//! Both passes are sums of whole lines, the one along rows over lines that were turned by a
//! quarter, so that vectors are full whatever the weights; where each pixel is made of many, rows
//! are summed as they are stored instead. The code is compiled once for each width of vectors and
//! runs with the widest that the processor has.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use pulp::{Arch, NullaryFnOnce};

use crate::kernel::{BITS, Kernel, weights};
use crate::transpose::turn;

const HALF: i32 = 1 << (BITS - 1);
/// Numbers that are summed at once: few enough for their loops to be unrolled, which keeps the sums
/// in registers.
const BLOCK: usize = 16;
/// Rows that are turned at once: few enough for the nearest cache.
const STRIP: usize = 32;
/// Kernels that a thread keeps.
const KEPT: usize = 256;

/// A run of pixels along one axis of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Axis {
    source: usize,
    target: usize,
    from: usize,
    count: usize,
    kernel: Kernel,
}

/// First source pixel and weights of each pixel of a run.
type Taps = Vec<(usize, Vec<i32>)>;

impl Axis {
    fn is_same(&self) -> bool {
        self.source == self.target
    }

    /// Remembered: the sines of a kernel cost as much as a small image.
    fn taps(&self) -> Rc<Taps> {
        thread_local! {
            static TAPS: RefCell<HashMap<Axis, Rc<Taps>>> = RefCell::default();
        }
        TAPS.with_borrow_mut(|known| {
            if known.len() >= KEPT && !known.contains_key(self) {
                known.clear();
            }
            let Self { source, target, from, count, kernel } = *self;
            let taps = || (from..from + count).map(|at| weights(source, target, at, kernel));
            known.entry(*self).or_insert_with(|| Rc::new(taps().collect())).clone()
        })
    }

    /// The source pixels that are used: the first, and how many.
    fn used(&self) -> (usize, usize) {
        if self.is_same() {
            return (self.from, self.count);
        }
        let taps = self.taps();
        let first = taps.first().map_or(0, |taps| taps.0);
        (first, taps.last().map_or(first, |(at, weights)| at + weights.len()) - first)
    }
}

/// Whether Pillow resizes along columns before rows. Since version 13 it does (by its results)
/// where the height loses more than twice what the width does; the two orders round differently.
/// Sizes are width and height.
fn columns_first(size: (usize, usize), target: (usize, usize)) -> bool {
    let lost = |from: usize, to: usize| from as i64 - to as i64;
    target.1 < size.1 && lost(size.1, target.1) > 2 * lost(size.0, target.0)
}

/// Interleaved pixels of `channels` channels in rows that begin `pitch` bytes after each other.
#[derive(Clone, Copy)]
pub(crate) struct Pixels<'a> {
    pub data: &'a [u8],
    pub pitch: usize,
    pub channels: usize,
    /// Width and height, at least 1.
    pub size: (usize, usize),
}

impl<'a> Pixels<'a> {
    /// Rows without a gap.
    pub fn packed(data: &'a [u8], channels: usize, size: (usize, usize)) -> Self {
        Self { data, pitch: size.0 * channels, channels, size }
    }

    /// The part from (x, y) of a size.
    pub fn window(self, (x, y): (usize, usize), size: (usize, usize)) -> Self {
        Self { data: &self.data[y * self.pitch + x * self.channels..], size, ..self }
    }

    fn rows(self, from: usize, count: usize) -> Self {
        self.window((0, from), (self.size.0, count))
    }
}

/// Resizes pixels to `target`, width and height, at least 1.
pub(crate) fn resample(pixels: Pixels, target: (usize, usize), kernel: Kernel) -> Vec<u8> {
    resample_part(pixels, target, (0, 0, target.0, target.1), kernel)
}

/// The same for a part of the result: `part` is (left, top, width, height). Only that part is
/// computed, with the pixels that the whole would have there.
pub(crate) fn resample_part(
    pixels: Pixels,
    target: (usize, usize),
    part: (usize, usize, usize, usize),
    kernel: Kernel,
) -> Vec<u8> {
    let (size, (left, top, width, height)) = (pixels.size, part);
    let across = Axis { source: size.0, target: target.0, from: left, count: width, kernel };
    let down = Axis { source: size.1, target: target.1, from: top, count: height, kernel };
    let columns_first = columns_first(size, target);
    Arch::new().dispatch(Passes { pixels, across, down, columns_first })
}

struct Passes<'a> {
    pixels: Pixels<'a>,
    across: Axis,
    down: Axis,
    columns_first: bool,
}

impl NullaryFnOnce for Passes<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        let Self { pixels, across, down, columns_first } = self;
        let channels = pixels.channels;
        let (wide, narrow) = (across.source * channels, across.count * channels);
        if columns_first {
            let low = along_columns(pixels.data, wide, pixels.pitch, 0, &down.taps());
            let low = Pixels::packed(&low, channels, (across.source, down.count));
            return along_rows(low, across);
        }
        let (first, rows) = down.used();
        let low = along_rows(pixels.rows(first, rows), across);
        if down.is_same() { low } else { along_columns(&low, narrow, narrow, first, &down.taps()) }
    }
}

/// Each row resized: as it is stored where pixels cover enough others that vectors are full, else
/// strip by strip turned to columns and back.
#[inline(always)]
fn along_rows(pixels: Pixels, axis: Axis) -> Vec<u8> {
    let Pixels { data, pitch, channels, size: (_, rows) } = pixels;
    let (wide, narrow) = (axis.source * channels, axis.count * channels);
    if axis.is_same() {
        let mut kept = Vec::with_capacity(rows * narrow);
        for row in data.chunks(pitch).take(rows) {
            kept.extend_from_slice(&row[axis.from * channels..][..narrow]);
        }
        return kept;
    }
    let taps = axis.taps();
    if channels == 3
        && let Some(runs) = Run::all(&taps, axis.source)
    {
        return weighed(pixels, &runs);
    }
    let mut out = vec![0; rows.next_multiple_of(STRIP) * narrow];
    let (mut long, mut short) = (vec![0; STRIP * wide], vec![0; STRIP * narrow]);
    for (first, out) in (0..rows).step_by(STRIP).zip(out.chunks_exact_mut(STRIP * narrow)) {
        let strip = &data[first * pitch..];
        if rows - first >= STRIP {
            turn(strip, STRIP, wide, pitch, &mut long);
        } else {
            let mut padded = vec![0; STRIP * wide];
            for (row, padded) in strip.chunks(pitch).zip(padded.chunks_exact_mut(wide)) {
                padded.copy_from_slice(&row[..wide]);
            }
            turn(&padded, STRIP, wide, wide, &mut long);
        }
        let line = channels * STRIP;
        sum_columns(&long, line, line, 0, &taps, &mut short);
        turn(&short, narrow, STRIP, STRIP, out);
    }
    out.truncate(rows * narrow);
    out
}

/// The pixels of a row that make one, from `first` on, and their weights.
struct Run {
    first: usize,
    weights: Vec<[i32; BLOCK]>,
}

impl Run {
    /// Those of every pixel; nothing where they are few, and weights of nothing many among them.
    fn all(taps: &Taps, source: usize) -> Option<Vec<Self>> {
        let run = |(at, weights): &(usize, Vec<i32>)| {
            let count = weights.len().next_multiple_of(BLOCK);
            if count < 2 * BLOCK || count > source {
                return None;
            }
            // Where the row ends before the run does, the run begins earlier.
            let first = (*at).min(source - count);
            let mut whole = vec![[0; BLOCK]; count / BLOCK];
            whole.as_flattened_mut()[at - first..][..weights.len()].copy_from_slice(weights);
            Some(Self { first, weights: whole })
        };
        taps.iter().map(run).collect()
    }

    #[inline(always)]
    fn sum(&self, plane: &[u8]) -> u8 {
        let mut sums = [0; BLOCK];
        let values = plane[self.first..].as_chunks::<BLOCK>().0;
        for (values, weights) in values.iter().zip(&self.weights) {
            for ((sum, &value), &weight) in sums.iter_mut().zip(values).zip(weights) {
                *sum += i32::from(value) * weight;
            }
        }
        let mut sum = HALF;
        for part in sums {
            sum += part;
        }
        clip(sum)
    }
}

/// Each row of three channels resized by runs, channel by channel.
#[inline(always)]
fn weighed(pixels: Pixels, runs: &[Run]) -> Vec<u8> {
    let Pixels { data, pitch, size: (width, rows), .. } = pixels;
    let mut out = vec![0; rows * runs.len() * 3];
    let plane = || vec![0; width];
    let [mut red, mut green, mut blue] = [plane(), plane(), plane()];
    for (row, out) in data.chunks(pitch).zip(out.chunks_exact_mut(runs.len() * 3)) {
        let pixels = row.as_chunks().0.iter();
        for (((&[r, g, b], red), green), blue) in
            pixels.zip(&mut red).zip(&mut green).zip(&mut blue)
        {
            (*red, *green, *blue) = (r, g, b);
        }
        for (run, out) in runs.iter().zip(out.as_chunks_mut::<3>().0) {
            *out = [run.sum(&red), run.sum(&green), run.sum(&blue)];
        }
    }
    out
}

/// The weighted sums of lines of `length` numbers that begin `pitch` after each other; the first
/// line given is line `first` of the source.
#[inline(always)]
fn along_columns(lines: &[u8], length: usize, pitch: usize, first: usize, taps: &Taps) -> Vec<u8> {
    let mut out = vec![0; length * taps.len()];
    sum_columns(lines, length, pitch, first, taps, &mut out);
    out
}

/// The same into `out`.
#[inline(always)]
fn sum_columns(
    lines: &[u8],
    length: usize,
    pitch: usize,
    first: usize,
    taps: &Taps,
    out: &mut [u8],
) {
    for ((from, weights), out) in taps.iter().zip(out.chunks_exact_mut(length)) {
        let lines = &lines[(from - first) * pitch..];
        let mut block = 0;
        while block + 6 * BLOCK <= length {
            six_blocks(lines, pitch, block, weights, out);
            block += 6 * BLOCK;
        }
        while block + BLOCK <= length {
            one_block(lines, pitch, block, weights, out);
            block += BLOCK;
        }
        if block < length && length >= BLOCK {
            // The last block overlaps the one before it.
            one_block(lines, pitch, length - BLOCK, weights, out);
        } else if block < length {
            let mut sums = [HALF; BLOCK];
            for (line, &weight) in lines.chunks(pitch).zip(weights) {
                for (sum, &value) in sums[..length].iter_mut().zip(line) {
                    *sum += i32::from(value) * weight;
                }
            }
            out.iter_mut().zip(&sums).for_each(|(out, &sum)| *out = clip(sum));
        }
    }
}

/// The weighted sums of neighbouring blocks of lines. Each block's sums have a name: an array of
/// them would be kept in memory instead of registers.
macro_rules! blocks {
    ($name:ident, $count:literal, $($sums:ident $values:ident),*) => {
        #[inline(always)]
        fn $name(lines: &[u8], pitch: usize, from: usize, weights: &[i32], out: &mut [u8]) {
            $(let mut $sums = [HALF; BLOCK];)*
            for (line, &weight) in lines.chunks(pitch).zip(weights) {
                let blocks = line[from..].as_chunks::<BLOCK>().0;
                let Some([$($values),*]) = blocks.first_chunk::<$count>() else { break };
                $(add(&mut $sums, $values, weight);)*
            }
            let blocks = out[from..].as_chunks_mut::<BLOCK>().0;
            if let Some([$($values),*]) = blocks.first_chunk_mut::<$count>() {
                $($values.iter_mut().zip(&$sums).for_each(|(out, &sum)| *out = clip(sum));)*
            }
        }
    };
}

blocks!(one_block, 1, a x);
// As many as a turned strip of three channels has.
blocks!(six_blocks, 6, a u, b v, c w, d x, e y, f z);

#[inline(always)]
fn add(sums: &mut [i32; BLOCK], values: &[u8; BLOCK], weight: i32) {
    for (sum, &value) in sums.iter_mut().zip(values) {
        *sum += i32::from(value) * weight;
    }
}

#[inline(always)]
fn clip(sum: i32) -> u8 {
    (sum >> BITS).clamp(0, 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kernel::{Bicubic, Bilinear, Lanczos};

    fn resample(
        data: &[u8],
        channels: usize,
        size: (usize, usize),
        target: (usize, usize),
        kernel: Kernel,
    ) -> Vec<u8> {
        super::resample(Pixels::packed(data, channels, size), target, kernel)
    }

    #[test]
    fn one_colour_stays_one_colour_in_any_shape() {
        for (w, h) in [(1, 1), (3, 200), (200, 3), (64, 64), (31, 33)] {
            let pixels = [7u8, 130, 255].repeat(w * h);
            for kernel in [Bilinear, Bicubic, Lanczos] {
                let small = resample(&pixels, 3, (w, h), (9, 8), kernel);
                assert_eq!(small, [7u8, 130, 255].repeat(72));
            }
        }
    }

    #[test]
    fn an_image_of_the_target_size_is_itself() {
        let pixels: Vec<u8> = (0..32 * 32).map(|i| (i * 37 % 251) as u8).collect();
        assert_eq!(resample(&pixels, 1, (32, 32), (32, 32), Lanczos), pixels);
    }

    #[test]
    fn a_part_has_the_pixels_of_the_whole() {
        let (size, part) = ((40, 30), (3, 2, 9, 7));
        let pixels: Vec<u8> = (0..40 * 30 * 3).map(|i| (i * 7919 % 251) as u8).collect();
        for target in [(17, 11), (80, 61), (40, 11), (17, 30), (39, 11)] {
            let whole = resample(&pixels, 3, size, target, Bicubic);
            let cut = resample_part(Pixels::packed(&pixels, 3, size), target, part, Bicubic);
            for y in 0..7 {
                let from = ((y + 2) * target.0 + 3) * 3;
                assert_eq!(cut[y * 27..][..27], whole[from..from + 27], "{target:?}");
            }
        }
    }

    #[test]
    fn a_window_has_the_pixels_of_its_copy() {
        let (size, at) = ((140, 90), (5, 3));
        let data: Vec<u8> = (0..140 * 90 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = Pixels::packed(&data, 3, size);
        // Turned, weighed, columns first, one axis alone; to the end of the image, and tiny.
        for (window, target) in [
            ((100, 60), (40, 30)),
            ((100, 60), (5, 50)),
            ((100, 87), (98, 9)),
            ((100, 60), (100, 20)),
            ((135, 87), (50, 87)),
            ((4, 3), (2, 2)),
        ] {
            let rows = (0..window.1).flat_map(|y| {
                let from = ((y + at.1) * 140 + at.0) * 3;
                data[from..from + window.0 * 3].to_vec()
            });
            let copy: Vec<u8> = rows.collect();
            let found = super::resample(image.window(at, window), target, Bicubic);
            assert_eq!(found, resample(&copy, 3, window, target, Bicubic), "{window:?} {target:?}");
        }
    }

    #[test]
    fn a_row_that_is_weighed_where_it_is_is_the_one_that_is_turned() {
        for (w, h) in [(300, 6), (257, 3), (331, 5)] {
            let pixels: Vec<u8> = (0..w * h * 3).map(|i| (i * i % 253) as u8).collect();
            for kernel in [Bilinear, Bicubic, Lanczos] {
                let whole = resample(&pixels, 3, (w, h), (9, h), kernel);
                for channel in 0..3 {
                    let of = |all: &[u8]| -> Vec<u8> {
                        all.iter().skip(channel).step_by(3).copied().collect()
                    };
                    // One channel is turned.
                    let alone = resample(&of(&pixels), 1, (w, h), (9, h), kernel);
                    assert_eq!(of(&whole), alone, "{w} x {h}, {kernel:?}");
                }
            }
        }
    }

    /// `Image.fromarray((arange(w * h) * 53 % 256).astype("uint8").reshape(h, w)).resize(…,
    /// LANCZOS)` of Pillow 13.0.0; the second is tall enough to shrink in height first.
    #[test]
    fn pixels_are_pillows() {
        let image = |count: u32| -> Vec<u8> { (0..count).map(|i| (i * 53 % 256) as u8).collect() };
        let small = resample(&image(35), 1, (7, 5), (3, 2), Lanczos);
        assert_eq!(small, [109, 129, 113, 117, 137, 130]);
        let small = resample(&image(120), 1, (3, 40), (2, 3), Lanczos);
        assert_eq!(small, [127, 116, 123, 129, 130, 127]);
    }
}
