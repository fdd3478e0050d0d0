//! OpenCV's INTER_AREA: each target pixel is the average of the source pixels that it covers, by
//! their share.
#![expect(
    clippy::inline_always,
    reason = "what is not inlined there is compiled for any processor"
)]

use pulp::{Arch, NullaryFnOnce};

use crate::Rgb;
use crate::taps::Taps;

/// Source pixels that each target pixel covers along one axis, by their shares.
fn covers(source: u32, target: u32) -> Taps {
    let scale = f64::from(source) / f64::from(target);
    let places = (0..target).map(|at| {
        let (from, to) = (f64::from(at) * scale, f64::from(at + 1) * scale);
        // A sliver that only rounding made would read a pixel for nothing.
        let first = (from + 1e-6).floor();
        let last = (to - 1e-6).ceil().min(f64::from(source)).max(first + 1.0);
        let cover = |pixel: f64| to.min(pixel + 1.0) - from.max(pixel);
        let shares = (first as i64..last as i64).map(|p| (cover(p as f64) / scale) as f32);
        (first as i64, shares.collect::<Vec<f32>>())
    });
    Taps::new(source, &places.collect::<Vec<_>>())
}

/// Shrinks to `width` x `height`, neither larger than the image's.
pub(crate) fn area(image: &Rgb, width: u32, height: u32) -> Rgb {
    if (image.width, image.height) == (2 * width, 2 * height) {
        return halves(image, width, height);
    }
    let (columns, rows) = (covers(image.width, width), covers(image.height, height));
    let data = Arch::new().dispatch(Averages { image, columns, rows });
    Rgb { width, height, data }
}

/// The sums of an image, with the widest vectors that the processor has.
struct Averages<'a> {
    image: &'a Rgb,
    columns: Taps,
    rows: Taps,
}

impl NullaryFnOnce for Averages<'_> {
    type Output = Vec<u8>;

    #[inline(always)]
    fn call(self) -> Vec<u8> {
        let Self { image, columns, rows } = self;
        let stride = columns.len() * 3;
        let mut data = Vec::with_capacity(stride * rows.len());
        // Rows first: that pass runs over whole lines.
        let mut sums = vec![0f32; image.width as usize * 3 + 1];
        let mut line = vec![0f32; stride + 1];
        for (first, shares) in rows.each() {
            add_rows(image, first, shares, &mut sums);
            columns.across(&sums, &mut line);
            data.extend(line[..stride].iter().map(|&value| round(value)));
        }
        data
    }
}

/// The rows from `first` on by their shares, two at a time: sums are then half as often read and
/// written.
#[inline(always)]
fn add_rows(image: &Rgb, first: usize, shares: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    let used = shares.iter().rposition(|&share| share != 0.0).map_or(0, |last| last + 1);
    let row = |at: usize| image.row((first + at) as u32);
    for (pair, shares) in shares[..used].chunks(2).enumerate() {
        if let &[a, b] = shares {
            let rows = row(2 * pair).iter().zip(row(2 * pair + 1));
            for (sum, (&v, &w)) in sums.iter_mut().zip(rows) {
                *sum = *sum + a * f32::from(v) + b * f32::from(w);
            }
        } else if let &[a] = shares {
            let row = row(2 * pair).iter();
            sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += a * f32::from(v));
        }
    }
}

/// A number from 0 to 255 to the nearest whole one, halves to even: at 2^23 a float has no fraction
/// left.
#[inline(always)]
fn round(value: f32) -> u8 {
    ((value + 8_388_608.0).to_bits() & 0xff) as u8
}

/// To a half on both axes, halves rounded up: OpenCV has a path of its own for that.
fn halves(image: &Rgb, width: u32, height: u32) -> Rgb {
    let mut data = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        let (upper, lower) = (image.row(2 * y), image.row(2 * y + 1));
        for (a, b) in upper.chunks_exact(6).zip(lower.chunks_exact(6)) {
            data.extend((0..3).map(|c| {
                let sum =
                    u16::from(a[c]) + u16::from(a[c + 3]) + u16::from(b[c]) + u16::from(b[c + 3]);
                ((sum + 2) >> 2) as u8
            }));
        }
    }
    Rgb { width, height, data }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_and_partial_pixels_are_averaged() {
        let image = Rgb { width: 3, height: 1, data: vec![0, 0, 0, 90, 90, 90, 240, 240, 240] };
        // 3 -> 2: the middle pixel counts half on either side.
        assert_eq!(area(&image, 2, 1).data, [30, 30, 30, 190, 190, 190]);
        assert_eq!(area(&image, 1, 1).data, [110, 110, 110]);
    }

    #[test]
    fn every_pixel_counts_once() {
        let data = (0..37 * 29 * 3).map(|i| (i * 101 % 256) as u8).collect();
        let image = Rgb { width: 37, height: 29, data };
        let mean = |image: &Rgb| {
            image.data.iter().map(|&v| f64::from(v)).sum::<f64>() / image.data.len() as f64
        };
        for (width, height) in [(36, 28), (19, 13), (7, 29), (37, 1), (1, 1)] {
            let small = area(&image, width, height);
            assert!((mean(&small) - mean(&image)).abs() < 0.6, "{width}x{height}");
        }
    }
}
