//! OpenCV's interpolations, for pixels like those of tools that use it. None of them smooths when
//! it shrinks.

use crate::Rgb;
use crate::area::area;
use crate::taps::Taps;

/// OpenCV's names without their `INTER_`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// The pixel nearest to the top left.
    Nearest,
    /// Two pixels on each axis.
    Linear,
    /// Four pixels, a = -0.75.
    Cubic,
    /// The average over the area; whole pixels with soft edges when an axis grows.
    Area,
    /// Eight pixels, four lobes.
    Lanczos4,
}

/// Resizes to exactly `width` x `height` (at least 1 x 1) as `cv2.resize` does.
pub fn opencv_resize(image: &Rgb, width: u32, height: u32, how: Interpolation) -> Rgb {
    let (width, height) = (width.max(1), height.max(1));
    if (width, height) == (image.width, image.height) {
        return image.clone();
    }
    match how {
        Interpolation::Nearest => nearest(image, width, height),
        Interpolation::Area if width <= image.width && height <= image.height => {
            area(image, width, height)
        }
        Interpolation::Area => {
            weighted(image, area_taps(image.width, width), area_taps(image.height, height))
        }
        Interpolation::Linear => smooth(image, width, height, &linear),
        Interpolation::Cubic => smooth(image, width, height, &cubic),
        Interpolation::Lanczos4 => smooth(image, width, height, &lanczos4),
    }
}

fn smooth(image: &Rgb, width: u32, height: u32, kernel: &Kernel) -> Rgb {
    weighted(image, taps(image.width, width, kernel), taps(image.height, height, kernel))
}

fn nearest(image: &Rgb, width: u32, height: u32) -> Rgb {
    let place = |at: u32, source: u32, target: u32| {
        (u64::from(at) * u64::from(source) / u64::from(target)) as u32
    };
    let mut data = Vec::with_capacity(width as usize * height as usize * 3);
    for y in 0..height {
        let row = image.row(place(y, image.height, height));
        for x in 0..width {
            data.extend_from_slice(&row[place(x, image.width, width) as usize * 3..][..3]);
        }
    }
    Rgb { width, height, data }
}

/// Weights of the pixels around a place that is `fraction` after the pixel in the middle.
type Kernel = dyn Fn(f64) -> Vec<f64>;

fn linear(fraction: f64) -> Vec<f64> {
    vec![1.0 - fraction, fraction]
}

fn cubic(x: f64) -> Vec<f64> {
    const A: f64 = -0.75;
    let far = |d: f64| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    let near = |d: f64| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    vec![far(x + 1.0), near(x), near(1.0 - x), far(2.0 - x)]
}

fn lanczos4(x: f64) -> Vec<f64> {
    use std::f64::consts::PI;
    let sinc = |d: f64| if d.abs() < 1e-6 { 1.0 } else { (PI * d).sin() / (PI * d) };
    let weights: Vec<f64> = (0..8)
        .map(|at| {
            let distance = x + 3.0 - f64::from(at);
            sinc(distance) * sinc(distance / 4.0)
        })
        .collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

/// A weight in 2048ths, a whole number.
fn part(weight: f64) -> f32 {
    (weight * 2048.0).round_ties_even() as f32
}

fn taps(source: u32, target: u32, kernel: &Kernel) -> Taps {
    let scale = f64::from(source) / f64::from(target);
    let places = (0..target).map(|at| {
        let place = (f64::from(at) + 0.5) * scale - 0.5;
        let weights: Vec<f32> = kernel(place - place.floor()).into_iter().map(part).collect();
        (place.floor() as i64 - (weights.len() as i64 / 2 - 1), weights)
    });
    Taps::new(source, &places.collect::<Vec<_>>())
}

/// What OpenCV does for areas when an axis grows: a pixel is one source pixel, or two where an edge
/// crosses it.
fn area_taps(source: u32, target: u32) -> Taps {
    let scale = f64::from(source) / f64::from(target);
    let places = (0..target).map(|at| {
        let first = (f64::from(at) * scale).floor();
        let rest = f64::from(at + 1) - (first + 1.0) / scale;
        let second = part(if rest <= 0.0 { 0.0 } else { rest - rest.floor() });
        (first as i64, vec![2048.0 - second, second])
    });
    Taps::new(source, &places.collect::<Vec<_>>())
}

/// Both axes in whole numbers, which floats hold here exactly, rounded once at the end: OpenCV's
/// order.
fn weighted(image: &Rgb, columns: Taps, rows: Taps) -> Rgb {
    let stride = columns.len() * 3;
    // Every source row made wide, or narrow, once.
    let mut wide = vec![0f32; stride * image.height as usize + 1];
    let mut line = vec![0f32; image.width as usize * 3 + 1];
    for y in 0..image.height as usize {
        line.iter_mut().zip(image.row(y as u32)).for_each(|(to, &value)| *to = f32::from(value));
        columns.across(&line, &mut wide[y * stride..]);
    }
    let mut data = Vec::with_capacity(stride * rows.len());
    let mut sums = vec![0f64; stride];
    for (first, weights) in rows.each() {
        sums.fill(0.0);
        for (row, &weight) in wide[first * stride..].chunks_exact(stride).zip(weights) {
            let weight = f64::from(weight);
            sums.iter_mut().zip(row).for_each(|(sum, &v)| *sum += weight * f64::from(v));
        }
        data.extend(sums.iter().map(|&sum| round(sum)));
    }
    Rgb { width: columns.len() as u32, height: rows.len() as u32, data }
}

/// A whole number of 2^22ths to the nearest level, halves up: at 2^52 a double has no fraction
/// left.
fn round(sum: f64) -> u8 {
    const HALVES_UP: f64 = 1.0 / (1 << 24) as f64;
    let level = (sum / f64::from(1 << 22) + HALVES_UP).clamp(0.0, 255.0);
    ((level + 4_503_599_627_370_496.0).to_bits() & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Interpolation; 5] = [
        Interpolation::Nearest,
        Interpolation::Linear,
        Interpolation::Cubic,
        Interpolation::Area,
        Interpolation::Lanczos4,
    ];

    #[test]
    fn one_colour_stays_one_colour_in_any_size() {
        let image = Rgb::filled(37, 53, [10, 200, 77]);
        for how in ALL {
            for (w, h) in [(1, 1), (20, 90), (64, 64), (36, 52)] {
                assert_eq!(opencv_resize(&image, w, h, how), Rgb::filled(w, h, [10, 200, 77]));
            }
        }
    }

    #[test]
    fn weights_sum_to_one() {
        assert_eq!(
            [-1.0, 0.49, 0.5, 254.5, 300.0].map(|v| round(v * 4_194_304.0)),
            [0, 0, 1, 255, 255]
        );
        for kernel in [&linear as &Kernel, &cubic, &lanczos4] {
            for fraction in [0.0, 0.1, 0.5, 0.999] {
                assert!((kernel(fraction).iter().sum::<f64>() - 1.0).abs() < 1e-9);
            }
        }
        // On a pixel only that pixel counts.
        assert!((lanczos4(0.0)[3] - 1.0).abs() < 1e-9);
        assert!((cubic(0.0)[1] - 1.0).abs() < 1e-9);
    }
}
