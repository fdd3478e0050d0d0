//! Small images that are compared in place of the large ones.

use clip_image::{Filter, Rgb, resize};

/// Longer side of a thumbnail in pixels; smaller images stay as they are.
const SIDE: u32 = 64;

/// An image small enough to keep for every item of an evaluation set.
pub(crate) fn thumbnail(image: &Rgb) -> Rgb {
    shrink(image, SIDE)
}

/// The image with its longer side at most `side`.
pub fn shrink(image: &Rgb, side: u32) -> Rgb {
    let longer = image.width.max(image.height);
    if longer <= side {
        return image.clone();
    }
    let scaled = |length: u32| {
        ((f64::from(length) * f64::from(side) / f64::from(longer)).round() as u32).max(4)
    };
    resize(image, scaled(image.width), scaled(image.height), Filter::Area)
}

/// One channel of real numbers.
#[derive(Debug, Clone)]
pub(crate) struct Plane {
    pub width: usize,
    pub height: usize,
    pub data: Vec<f32>,
}

impl Plane {
    /// Luma.
    pub fn luma(image: &Rgb) -> Self {
        let data = image.luma().into_iter().map(f32::from).collect();
        Self { width: image.width as usize, height: image.height as usize, data }
    }

    /// One of the three channels.
    pub fn channel(image: &Rgb, channel: usize) -> Self {
        let data = image.data.iter().skip(channel).step_by(3).map(|&v| f32::from(v)).collect();
        Self { width: image.width as usize, height: image.height as usize, data }
    }

    /// The value at a place in pixel units (0 is the centre of the first), between pixels by
    /// bilinear mixing.
    pub fn at(&self, x: f32, y: f32) -> f32 {
        let x = x.clamp(0.0, (self.width - 1) as f32);
        let y = y.clamp(0.0, (self.height - 1) as f32);
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (fx, fy) = (x - left as f32, y - top as f32);
        let (above, below) = (&self.data[top * self.width..], &self.data[bottom * self.width..]);
        let upper = above[left] + fx * (above[right] - above[left]);
        let lower = below[left] + fx * (below[right] - below[left]);
        upper + fy * (lower - upper)
    }

    /// The mean over squares of side `2 radius + 1`, cut at the edges.
    pub fn blurred(&self, radius: usize) -> Self {
        let (width, height) = (self.width, self.height);
        let shares: Vec<f32> =
            (0..width).map(|x| 1.0 / near(x, radius, width).len() as f32).collect();
        let mut across = vec![0.0; self.data.len()];
        for (out, row) in across.chunks_exact_mut(width).zip(self.data.chunks_exact(width)) {
            // The row over itself at every shift: a running sum would wait for each pixel before
            // the next.
            for shift in 0..=2 * radius {
                let from = shift.saturating_sub(radius).min(width);
                let to = radius.saturating_sub(shift).min(width);
                out[to..].iter_mut().zip(&row[from..]).for_each(|(out, value)| *out += value);
            }
            out.iter_mut().zip(&shares).for_each(|(out, share)| *out *= share);
        }
        let mut data = vec![0.0; self.data.len()];
        for (y, out) in data.chunks_exact_mut(width).enumerate() {
            let rows = near(y, radius, height);
            let share = 1.0 / rows.len() as f32;
            for row in across[rows.start * width..rows.end * width].chunks_exact(width) {
                out.iter_mut().zip(row).for_each(|(out, value)| *out += value);
            }
            out.iter_mut().for_each(|out| *out *= share);
        }
        Self { width, height, data }
    }

    /// The plane at another size, each new pixel the mean of what it covers.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        if (self.width, self.height) == (2 * width, 2 * height) {
            return self.halved();
        }
        let columns = shares(self.width, width);
        let rows = shares(self.height, height);
        let mut middle = Vec::with_capacity(width * self.height);
        for line in self.data.chunks_exact(self.width) {
            middle
                .extend(columns.iter().map(|c| c.iter().map(|&(at, w)| line[at] * w).sum::<f32>()));
        }
        let mut data = vec![0.0; width * height];
        for (y, parts) in rows.iter().enumerate() {
            for &(at, weight) in parts {
                for x in 0..width {
                    data[y * width + x] += middle[at * width + x] * weight;
                }
            }
        }
        Self { width, height, data }
    }

    fn halved(&self) -> Self {
        let (width, height) = (self.width / 2, self.height / 2);
        let mut data = Vec::with_capacity(width * height);
        for rows in self.data.chunks_exact(2 * self.width) {
            let (upper, lower) = rows.split_at(self.width);
            let pairs = upper.as_chunks::<2>().0.iter().zip(lower.as_chunks::<2>().0);
            data.extend(pairs.map(|([a, b], [c, d])| (a + b + c + d) * 0.25));
        }
        Self { width, height, data }
    }
}

/// What of `length` places is within `radius` of one.
fn near(at: usize, radius: usize, length: usize) -> std::ops::Range<usize> {
    at.saturating_sub(radius)..(at + radius + 1).min(length)
}

/// For each of `to` cells the source cells that it covers, with weights that sum to 1.
fn shares(from: usize, to: usize) -> Vec<Vec<(usize, f32)>> {
    let scale = from as f64 / to as f64;
    let cell = |i: usize| {
        let (low, high) = (i as f64 * scale, (i + 1) as f64 * scale);
        let last = (high.ceil() as usize).min(from);
        let share = |at: usize| ((at + 1) as f64).min(high) - (at as f64).max(low);
        (low as usize..last).map(|at| (at, (share(at) / scale) as f32)).collect()
    };
    (0..to).map(cell).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_blur_is_the_mean_of_what_lies_near() {
        for (width, height) in [(7, 5), (2, 3), (1, 1)] {
            let data: Vec<f32> = (0..width * height).map(|at| (at * at % 23) as f32).collect();
            let plane = Plane { width, height, data };
            for radius in 0..4 {
                let blurred = plane.blurred(radius);
                for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
                    let (rows, columns) = (near(y, radius, height), near(x, radius, width));
                    let around = rows.flat_map(|v| columns.clone().map(move |u| (u, v)));
                    let values: Vec<f32> = around.map(|(u, v)| plane.data[v * width + u]).collect();
                    let mean = values.iter().sum::<f32>() / values.len() as f32;
                    assert!((blurred.data[y * width + x] - mean).abs() < 1e-4);
                }
            }
        }
    }
}
