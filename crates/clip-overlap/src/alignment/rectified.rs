//! An image as an item would show it: turned, scaled and cut to the item's place in it.

use clip_image::Rgb;

use super::transform::Transform;
use crate::pyramid::Plane;

/// Most samples of one pixel on each axis.
const SAMPLES: usize = 2;
/// Least difference of a pixel that something was laid over, in levels, and in usual differences.
const COVERED: (f32, f32) = (20.0, 5.2);
/// Share of the pixels that differ by no more than what is usual: words may cover half of them.
const UNCOVERED: f32 = 0.35;
/// Share of the pixels that are believed to be uncovered when brightness and contrast are fitted.
const BELIEVED: f32 = 0.65;
/// Rounds of fitting.
const ROUNDS: usize = 4;
/// Share of a neighbourhood from which on all of it is covered: an edge that is a pixel off is a
/// fifth of it.
const MOST: f32 = 0.2;
/// Fewest pixels from which brightness and contrast are fitted.
const LEAST: usize = 200;

/// What the image shows where the item is, as wide and high as that is kept, and for each pixel the
/// share that is outside the image.
pub(crate) fn rectified(
    image: &Rgb,
    transform: &Transform,
    (width, height): (u32, u32),
    inverted: bool,
) -> Option<(Rgb, Plane)> {
    let back = transform.inverse()?;
    let [a, b, _, d, e, _] = back.affine;
    let (w, h) = (image.width as f32, image.height as f32);
    let step = ((a * w).hypot(d * h) / width as f32).max((b * w).hypot(e * h) / height as f32);
    let samples = (step.ceil() as usize).clamp(1, SAMPLES);
    let share = 1.0 / (samples * samples) as f32;
    let flip = if inverted { 255 } else { 0 };
    let (last_x, last_y) = (image.width as usize - 1, image.height as usize - 1);
    let mut data = Vec::with_capacity((width * height * 3) as usize);
    let mut outside = Vec::with_capacity((width * height) as usize);
    for at in 0..width * height {
        let (mut sum, mut beyond) = ([0f32; 3], 0.0);
        for sample in 0..samples * samples {
            let part = |k: usize| (k as f32 + 0.5) / samples as f32;
            let x = ((at % width) as f32 + part(sample % samples)) / width as f32;
            let y = ((at / width) as f32 + part(sample / samples)) / height as f32;
            let (u, v) = back.map(x, y);
            if !(0.0..=1.0).contains(&u) || !(0.0..=1.0).contains(&v) {
                beyond += share;
            }
            let u = (u * w - 0.5).clamp(0.0, last_x as f32);
            let v = (v * h - 0.5).clamp(0.0, last_y as f32);
            let (left, top) = (u as usize, v as usize);
            let (right, below) = ((left + 1).min(last_x), (top + 1).min(last_y));
            let (fx, fy) = (u - left as f32, v - top as f32);
            let corners = [
                (left, top, (1.0 - fx) * (1.0 - fy)),
                (right, top, fx * (1.0 - fy)),
                (left, below, (1.0 - fx) * fy),
                (right, below, fx * fy),
            ];
            for (x, y, weight) in corners {
                let pixel = &image.data[3 * (y * image.width as usize + x)..][..3];
                sum.iter_mut().zip(pixel).for_each(|(s, p)| *s += f32::from(*p) * weight);
            }
        }
        data.extend(sum.map(|sum| (sum * share).round() as u8 ^ flip));
        outside.push(beyond);
    }
    let (wide, high) = (width as usize, height as usize);
    Some((Rgb { width, height, data }, Plane { width: wide, height: high, data: outside }))
}

/// Adds to what is outside of an image what was laid over it: pixels whose luma differs from the
/// item's by far more than most, after brightness and contrast.
///
/// Gives the correlation of the pixels that differ least.
pub(crate) fn add_covered(item: &Plane, image: &Plane, outside: &mut Plane) -> f32 {
    let (a, b) = (item.blurred(1), image.blurred(1));
    let mut order: Vec<u32> =
        (0..a.data.len() as u32).filter(|&at| outside.data[at as usize] < 0.1).collect();
    let believed = (BELIEVED * order.len() as f32) as usize;
    if believed < LEAST {
        return 0.0;
    }
    let mut fit = Line::through(&a.data, &b.data, &order);
    for _ in 0..ROUNDS {
        let differs = |at: u32| fit.differs(a.data[at as usize], b.data[at as usize]);
        order.select_nth_unstable_by(believed, |&x, &y| differs(x).total_cmp(&differs(y)));
        fit = Line::through(&a.data, &b.data, &order[..believed]);
    }
    let differs = |at: u32| fit.differs(a.data[at as usize], b.data[at as usize]);
    let middle = (UNCOVERED * order.len() as f32) as usize;
    let (_, usual, _) =
        order.select_nth_unstable_by(middle, |&x, &y| differs(x).total_cmp(&differs(y)));
    let least = COVERED.0.max(COVERED.1 * differs(*usual));
    let over = |at: u32| outside.data[at as usize] < 0.1 && differs(at) > least;
    let over = (0..a.data.len() as u32).map(|at| f32::from(over(at))).collect();
    let spread = Plane { width: a.width, height: a.height, data: over }.blurred(2);
    for (out, over) in outside.data.iter_mut().zip(&spread.data) {
        *out = out.max(f32::from(*over > MOST));
    }
    fit.correlation
}

/// Brightness and contrast that bring one list of values nearest to another.
struct Line {
    slope: f32,
    shift: f32,
    correlation: f32,
}

impl Line {
    /// Over the places `at`.
    fn through(a: &[f32], b: &[f32], at: &[u32]) -> Self {
        let (mut sum, n) = ([0f32; 5], at.len().max(1) as f32);
        for &at in at {
            let (x, y) = (a[at as usize] - 128.0, b[at as usize] - 128.0);
            let terms = [x, y, x * x, y * y, x * y];
            sum.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
        }
        let [x, y, xx, yy, xy] = sum.map(|sum| sum / n);
        let (vx, vy, both) = ((xx - x * x).max(1.0), (yy - y * y).max(1.0), xy - x * y);
        let slope = both / vx;
        Self { slope, shift: y - slope * x, correlation: both / (vx * vy).sqrt() }
    }

    fn differs(&self, a: f32, b: f32) -> f32 {
        (b - 128.0 - self.slope * (a - 128.0) - self.shift).abs()
    }
}
