//! OpenCV's interpolations, for pixels like those of tools that use it. None of them smooths when it shrinks.

use crate::Rgb;
use crate::area::area;

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

/// Weights of the pixels around a place that lies `fraction` after the pixel in the middle.
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

/// First source pixel and weights, in 2048ths, of a target pixel on an axis.
type Taps = (i64, Vec<i32>);

fn taps(source: u32, target: u32, kernel: &Kernel) -> Vec<Taps> {
    let scale = f64::from(source) / f64::from(target);
    (0..target)
        .map(|at| {
            let place = (f64::from(at) + 0.5) * scale - 0.5;
            let weights = kernel(place - place.floor());
            let first = place.floor() as i64 - (weights.len() as i64 / 2 - 1);
            (first, weights.iter().map(|w| (w * 2048.0).round_ties_even() as i32).collect())
        })
        .collect()
}

/// What OpenCV does for areas when an axis grows: a pixel is one source pixel, or two where an edge crosses it.
fn area_taps(source: u32, target: u32) -> Vec<Taps> {
    let scale = f64::from(source) / f64::from(target);
    (0..target)
        .map(|at| {
            let first = (f64::from(at) * scale).floor();
            let rest = f64::from(at + 1) - (first + 1.0) / scale;
            let share = if rest <= 0.0 { 0.0 } else { rest - rest.floor() };
            let second = (share * 2048.0).round_ties_even() as i32;
            (first as i64, vec![2048 - second, second])
        })
        .collect()
}

/// Both axes in whole numbers, rounded once at the end: OpenCV's order. Pixels beyond the edge are the edge's.
fn weighted(image: &Rgb, columns: Vec<Taps>, rows: Vec<Taps>) -> Rgb {
    let (width, height) = (columns.len() as u32, rows.len() as u32);
    let inside = |at: i64, length: u32| at.clamp(0, i64::from(length) - 1) as usize;
    let stride = width as usize * 3;
    // Every source row made wide, or narrow, once.
    let mut wide = vec![0i32; stride * image.height as usize];
    for (y, line) in wide.chunks_exact_mut(stride).enumerate() {
        let row = image.row(y as u32);
        for (pixel, (first, weights)) in line.chunks_exact_mut(3).zip(&columns) {
            for (at, &weight) in weights.iter().enumerate() {
                let from = inside(first + at as i64, image.width) * 3;
                for (sum, &value) in pixel.iter_mut().zip(&row[from..from + 3]) {
                    *sum += weight * i32::from(value);
                }
            }
        }
    }
    let mut data = Vec::with_capacity(stride * height as usize);
    let mut sums = vec![0i64; stride];
    for (first, weights) in rows {
        sums.fill(1 << 21);
        for (at, &weight) in weights.iter().enumerate() {
            let from = inside(first + at as i64, image.height) * stride;
            let line = &wide[from..from + stride];
            sums.iter_mut()
                .zip(line)
                .for_each(|(sum, &v)| *sum += i64::from(weight) * i64::from(v));
        }
        data.extend(sums.iter().map(|sum| (sum >> 22).clamp(0, 255) as u8));
    }
    Rgb { width, height, data }
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
