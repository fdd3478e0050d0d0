//! Local features: places that stand out, each with a direction and 64 bits of what surrounds it,
//! seen from that direction. They find parts, zooms and turns.

use std::f32::consts::PI;
use std::sync::LazyLock;

use clip_image::Rgb;

use crate::pyramid::Plane;

/// Ratio of one level to the next.
const STEP: f32 = 0.8;
/// Side of the square that a descriptor sees, in pixels of its level.
const PATCH: usize = 28;
/// Samples of it on each axis.
const SAMPLES: usize = 20;
/// Most keypoints of one level: the first number, or the second for each pixel of its longer side
/// where that is more.
const LEVEL: (usize, f32) = (24, 60.0 / 256.0);
/// Cells a side of a level, and how many times its share of the keypoints a cell has before all
/// others have theirs: text beside an image or over it stands out more than what the image shows.
const SPREAD: (usize, f32) = (4, 2.0);

/// One place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Keypoint {
    /// Centre as a share of the width.
    pub x: f32,
    /// Centre as a share of the height.
    pub y: f32,
    /// Side of what the descriptor sees, as a share of the width.
    pub size: f32,
    /// Direction in which it is lighter, in radians from right to below.
    pub angle: f32,
    /// Signs of the lowest frequencies around it, with that direction to the right.
    pub bits: u64,
}

/// How a copy's local features differ from those of what it copies, but for place and direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Mirrored left to right.
    pub mirrored: bool,
    /// Light for dark.
    pub inverted: bool,
}

impl Variant {
    pub const ALL: [Self; 4] = [
        Self { mirrored: false, inverted: false },
        Self { mirrored: true, inverted: false },
        Self { mirrored: false, inverted: true },
        Self { mirrored: true, inverted: true },
    ];

    /// The bits and the direction that a keypoint has in the image of this variant.
    ///
    /// A mirror changes the sign of what is odd across the direction. Inversion turns the direction
    /// round, which changes the sign of what is odd in sum, and changes every sign.
    pub fn of(self, point: &Keypoint) -> (u64, f32) {
        let (mut bits, mut angle) = (point.bits, point.angle);
        if self.mirrored {
            (bits, angle) = (bits ^ MASKS.0, PI - angle);
        }
        if self.inverted {
            (bits, angle) = (bits ^ !MASKS.1, angle + PI);
        }
        (bits, angle)
    }
}

/// The keypoints of an image, from fine to coarse; its own size is the finest.
pub(crate) fn keypoints(image: &Rgb) -> Vec<Keypoint> {
    let base = Plane::luma(image);
    let mut found = Vec::new();
    let mut scale = 1.0f32;
    loop {
        let side = |length: usize| (length as f32 * scale).round() as usize;
        let (width, height) = (side(base.width), side(base.height));
        if width.min(height) < PATCH + 4 {
            return found;
        }
        let level = if scale == 1.0 { base.clone() } else { base.resized(width, height) };
        let most = LEVEL.0.max((LEVEL.1 * width.max(height) as f32) as usize);
        found.extend(extrema(&level, most).into_iter().map(|(x, y)| {
            let angle = direction(&level, x, y);
            Keypoint {
                x: (x as f32 + 0.5) / width as f32,
                y: (y as f32 + 0.5) / height as f32,
                size: PATCH as f32 / width as f32,
                angle,
                bits: describe(&level, x, y, angle),
            }
        }));
        scale *= STEP;
    }
}

/// The strongest local extrema of a difference of blurs, far enough from the edges.
fn extrema(level: &Plane, most: usize) -> Vec<(usize, usize)> {
    let (fine, coarse) = (level.blurred(1).blurred(1), level.blurred(3).blurred(3));
    let response: Vec<f32> =
        fine.data.iter().zip(&coarse.data).map(|(a, b)| (a - b).abs()).collect();
    let half = PATCH / 2;
    let mut found = Vec::new();
    for y in half..level.height - half {
        for x in half..level.width - half {
            let value = response[y * level.width + x];
            if value < 4.0 {
                continue;
            }
            let around = (y - 3..=y + 3).flat_map(|v| (x - 3..=x + 3).map(move |u| (u, v)));
            let peak = around.into_iter().all(|(u, v)| {
                let other = response[v * level.width + u];
                other < value || (other == value && (v, u) >= (y, x))
            });
            if peak {
                found.push((value, x, y));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.2, a.1).cmp(&(b.2, b.1))));
    spread(found.into_iter().map(|(_, x, y)| (x, y)), (level.width, level.height), most)
}

/// The first `most` places, those beyond the share of their cell after all others.
fn spread(
    places: impl Iterator<Item = (usize, usize)>,
    (width, height): (usize, usize),
    most: usize,
) -> Vec<(usize, usize)> {
    let (cells, times) = SPREAD;
    let share = (times * most as f32 / (cells * cells) as f32).ceil() as usize;
    let mut counts = vec![0; cells * cells];
    let (mut kept, beyond): (Vec<_>, Vec<_>) = places.partition(|&(x, y)| {
        let count = &mut counts[y * cells / height * cells + x * cells / width];
        *count += 1;
        *count <= share
    });
    kept.extend(beyond);
    kept.truncate(most);
    kept
}

/// The direction from a place to the centre of gravity of the luma around it (Rosin 1999, as in
/// ORB).
fn direction(level: &Plane, x: usize, y: usize) -> f32 {
    let half = (PATCH / 2) as isize - 1;
    let (mut across, mut down) = (0.0, 0.0);
    for dy in -half..=half {
        let row = &level.data[(y as isize + dy) as usize * level.width..][..level.width];
        let reach = ((half * half + half - dy * dy) as f32).sqrt() as isize;
        for dx in -reach..=reach {
            let value = row[(x as isize + dx) as usize];
            across += dx as f32 * value;
            down += dy as f32 * value;
        }
    }
    f32::atan2(down, across)
}

static COSINES: LazyLock<[[f32; SAMPLES]; 9]> = LazyLock::new(|| {
    let cosine =
        |k: usize, n: usize| (PI * (2 * n + 1) as f32 * k as f32 / (2 * SAMPLES) as f32).cos();
    std::array::from_fn(|k| std::array::from_fn(|n| cosine(k, n)))
});

/// The 64 lowest frequencies but the mean, lowest first: down and across.
static ORDER: LazyLock<Vec<(usize, usize)>> = LazyLock::new(|| {
    let mut all: Vec<(usize, usize)> = (0..81).map(|i| (i / 9, i % 9)).skip(1).collect();
    all.sort_by_key(|&(u, v)| (u * u + v * v, u));
    all.truncate(64);
    all
});

/// The bits of odd frequencies down, and those that are odd in sum.
static MASKS: LazyLock<(u64, u64)> = LazyLock::new(|| {
    let mask = |odd: fn(usize, usize) -> usize| {
        ORDER.iter().fold(0, |bits, &(u, v)| (bits << 1) | (odd(u, v) % 2) as u64)
    };
    (mask(|u, _| u), mask(|u, v| u + v))
});

/// The signs of the lowest frequencies of the patch around a place, turned so that `angle` is to
/// its right.
fn describe(level: &Plane, x: usize, y: usize, angle: f32) -> u64 {
    let (sin, cos) = angle.sin_cos();
    let (last_x, last_y) = ((level.width - 2) as f32, (level.height - 2) as f32);
    let step = PATCH as f32 / SAMPLES as f32;
    let place = |at: usize| (at as f32 - (SAMPLES - 1) as f32 / 2.0) * step;
    let mut lines = [[0f32; SAMPLES]; 9];
    for n in 0..SAMPLES {
        let down = place(n);
        let mut row = [0f32; SAMPLES];
        for (at, value) in row.iter_mut().enumerate() {
            let across = place(at);
            // What a corner of the patch has outside the image is the nearest inside.
            let u = (x as f32 + cos * across - sin * down).clamp(0.0, last_x);
            let v = (y as f32 + sin * across + cos * down).clamp(0.0, last_y);
            let (left, top) = (u as usize, v as usize);
            let (fx, fy) = (u - left as f32, v - top as f32);
            let upper = &level.data[top * level.width + left..];
            let lower = &upper[level.width..];
            let above = upper[0] + fx * (upper[1] - upper[0]);
            *value = above + fy * (lower[0] + fx * (lower[1] - lower[0]) - above);
        }
        for (line, cosines) in lines.iter_mut().zip(COSINES.iter()) {
            line.iter_mut().zip(&row).for_each(|(sum, value)| *sum += cosines[n] * value);
        }
    }
    ORDER.iter().fold(0, |bits, &(u, v)| {
        let value: f32 = lines[u].iter().zip(&COSINES[v]).map(|(a, b)| a * b).sum();
        (bits << 1) | u64::from(value > 0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::{Filter, flip_horizontal, resize};

    #[test]
    fn places_of_one_spot_come_after_those_of_all_others() {
        // A hundred in the first cell, before three elsewhere.
        let text = (0..100).map(|at| (at % 10, at / 10));
        let places = text.chain([(30, 5), (70, 70), (5, 90)]);
        let kept = spread(places.clone(), (80, 100), 24);
        assert_eq!(kept.len(), 24);
        assert_eq!(kept[..6], [(0, 0), (1, 0), (2, 0), (30, 5), (70, 70), (5, 90)]);
        assert_eq!(spread(places, (80, 100), 500).len(), 103);
    }

    #[test]
    fn a_variant_has_the_bits_and_directions_of_the_changed_image() {
        let data = (0..9 * 7 * 3u32).map(|i| (i * i * 89 + i * 31) as u8).collect();
        let image = resize(&Rgb { width: 9, height: 7, data }, 200, 150, Filter::Bicubic);
        let invert = |mut image: Rgb| {
            image.data.iter_mut().for_each(|value| *value = 255 - *value);
            image
        };
        let plain = keypoints(&image);
        for variant in Variant::ALL {
            let mut changed = image.clone();
            if variant.mirrored {
                changed = flip_horizontal(&changed);
            }
            if variant.inverted {
                changed = invert(changed);
            }
            let theirs = keypoints(&changed);
            let same = plain.iter().filter(|point| {
                let x = if variant.mirrored { 1.0 - point.x } else { point.x };
                let (bits, angle) = variant.of(point);
                theirs.iter().any(|other| {
                    let turn = (other.angle - angle).rem_euclid(2.0 * PI);
                    (other.x - x).abs().max((other.y - point.y).abs()) < 0.01
                        && turn.min(2.0 * PI - turn) < 0.05
                        && (other.bits ^ bits).count_ones() <= 3
                })
            });
            assert!(plain.len() > 20 && 10 * same.count() > 9 * plain.len(), "{variant:?}");
        }
    }
}
