//! Pillow's LANCZOS resize to the last bit: what the hashes of the Python tools stand on.
//!
//! Weights are those of [`crate::pillow`], split in halves for speed, and the picture is rounded to 8 bits
//! between its two passes. [`crate::resize`] is faster for large targets and within 2 levels of it, which a
//! hash bit near its threshold does not forgive.

use std::cell::RefCell;
use std::collections::HashMap;
use std::f64::consts::PI;
use std::rc::Rc;

use crate::pillow::{BITS, Filter, columns_first, weights};

/// Bits of a weight that go into its low half, so that both halves are 16-bit numbers.
const LOW: u32 = 11;
/// Lobes of the kernel.
const SUPPORT: f64 = 3.0;
const LANCZOS: Filter = Filter { support: SUPPORT, value: lanczos3 };
/// Kernels that a thread keeps.
const KEPT: usize = 64;

/// The weights of one output pixel.
struct Taps {
    /// First input pixel.
    from: usize,
    high: Vec<i16>,
    low: Vec<i16>,
}

/// The weights of every output pixel along one axis.
struct Kernel(Vec<Taps>);

impl Kernel {
    fn new(source: usize, target: usize) -> Self {
        let taps = |at| {
            let (from, weights) = weights(source, target, at, &LANCZOS);
            let high = weights.iter().map(|weight| (weight >> LOW) as i16).collect();
            let low = weights.iter().map(|weight| (weight & ((1 << LOW) - 1)) as i16).collect();
            Taps { from, high, low }
        };
        Self((0..target).map(taps).collect())
    }

    /// The kernel for these lengths, remembered: its sines cost as much as a small picture.
    fn of(source: usize, target: usize) -> Rc<Self> {
        thread_local! {
            static KERNELS: RefCell<HashMap<(usize, usize), Rc<Kernel>>> = RefCell::default();
        }
        KERNELS.with_borrow_mut(|kernels| {
            if kernels.len() >= KEPT && !kernels.contains_key(&(source, target)) {
                kernels.clear();
            }
            let kernel = kernels
                .entry((source, target))
                .or_insert_with(|| Rc::new(Self::new(source, target)));
            kernel.clone()
        })
    }

    /// The output pixels of one line, in order.
    fn apply(&self, line: &[i16]) -> impl Iterator<Item = u8> {
        self.0.iter().map(move |taps| {
            let pixels = &line[taps.from..][..taps.high.len()];
            // Wrapping: the halves may leave 32 bits, their sum does not.
            let sum = (dot(pixels, &taps.high) << LOW).wrapping_add(dot(pixels, &taps.low));
            (sum.wrapping_add(1 << (BITS - 1)) >> BITS).clamp(0, 255) as u8
        })
    }
}

fn lanczos3(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (x * PI).sin() / (x * PI) };
    if (-SUPPORT..SUPPORT).contains(&x) { sinc(x) * sinc(x / SUPPORT) } else { 0.0 }
}

/// In a form that compiles to multiply-and-add of eight pairs at once.
fn dot(a: &[i16], b: &[i16]) -> i32 {
    a.iter().zip(b).fold(0, |sum: i32, (&a, &b)| sum.wrapping_add(i32::from(a) * i32::from(b)))
}

/// Resizes interleaved pixels of `C` channels from `size` to `target`, both width and height.
pub(super) fn resize<const C: usize>(
    pixels: &[u8],
    size: (usize, usize),
    target: (usize, usize),
) -> Vec<u8> {
    let ((width, height), (to_width, to_height)) = (size, target);
    let (across, down) = (Kernel::of(width, to_width), Kernel::of(height, to_height));
    let mut output = vec![0; to_width * to_height * C];
    if columns_first(size, target) {
        let columns = (0..width).map(|x| (x * C, width * C));
        let lines = first_pass::<C>(pixels, columns, height, &down, to_height);
        for (index, line) in lines.chunks_exact(width).enumerate() {
            let (channel, y) = (index / to_height, index % to_height);
            for (x, value) in across.apply(line).enumerate() {
                output[(y * to_width + x) * C + channel] = value;
            }
        }
    } else {
        let rows = (0..height).map(|y| (y * width * C, C));
        let lines = first_pass::<C>(pixels, rows, width, &across, to_width);
        for (index, line) in lines.chunks_exact(height).enumerate() {
            let (channel, x) = (index / to_width, index % to_width);
            for (y, value) in down.apply(line).enumerate() {
                output[(y * to_width + x) * C + channel] = value;
            }
        }
    }
    output
}

/// Resizes lines (each a start and a step in `pixels`) of `length` pixels, and gives the result turned by a
/// quarter: for each channel and output pixel, the values of all lines.
fn first_pass<const C: usize>(
    pixels: &[u8],
    lines: impl ExactSizeIterator<Item = (usize, usize)>,
    length: usize,
    kernel: &Kernel,
    target: usize,
) -> Vec<i16> {
    let count = lines.len();
    let mut turned = vec![0i16; C * target * count];
    let mut planes = vec![0i16; C * length];
    for (at, (start, step)) in lines.enumerate() {
        let source = pixels[start..].chunks(step);
        for (x, pixel) in source.take(length).enumerate() {
            for (channel, &value) in pixel.iter().take(C).enumerate() {
                planes[channel * length + x] = i16::from(value);
            }
        }
        for channel in 0..C {
            let line = &planes[channel * length..][..length];
            for (x, value) in kernel.apply(line).enumerate() {
                turned[(channel * target + x) * count + at] = i16::from(value);
            }
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_colour_stays_one_colour_in_any_shape() {
        for (w, h) in [(1, 1), (3, 200), (200, 3), (64, 64), (31, 33)] {
            let pixels = [7u8, 130, 255].repeat(w * h);
            assert_eq!(resize::<3>(&pixels, (w, h), (9, 8)), [7u8, 130, 255].repeat(72));
        }
    }

    #[test]
    fn a_picture_of_the_target_size_is_itself() {
        let pixels: Vec<u8> = (0..32 * 32).map(|i| (i * 37 % 251) as u8).collect();
        assert_eq!(resize::<1>(&pixels, (32, 32), (32, 32)), pixels);
    }

    /// `Image.fromarray((arange(w * h) * 53 % 256).astype("uint8").reshape(h, w)).resize(…, LANCZOS)` of
    /// Pillow 13.0.0; the second is tall enough to shrink in height first.
    #[test]
    fn pixels_are_pillows() {
        let picture =
            |count: u32| -> Vec<u8> { (0..count).map(|i| (i * 53 % 256) as u8).collect() };
        assert_eq!(resize::<1>(&picture(35), (7, 5), (3, 2)), [109, 129, 113, 117, 137, 130]);
        assert_eq!(resize::<1>(&picture(120), (3, 40), (2, 3)), [127, 116, 123, 129, 130, 127]);
    }
}
