//! Whether two aligned drawings have the same colours.
//!
//! A photograph shows texture, which nothing else shares: its colours may all be changed. Of a
//! drawing many others have the shape, and its colours are what it is: a gold medal and a silver
//! one, a blue heart and a green one.

use crate::alignment::{Transform, levels, shared};
use crate::pyramid::{GRID, ImagePyramid, Level, Points};

type Colour = [f32; 3];

/// Most levels between a point and its neighbours where something is of one colour.
const EVEN: f32 = 3.0;
/// Share of such points in both images: of photographs, one in twenty has the lower one.
const SHARE: [f32; 2] = [0.3, 0.4];
/// Bits of an image's colours: of photographs, one in twenty has less than the upper one.
const BITS: [f32; 2] = [2.6, 3.1];
/// Levels by which the colours differ: of the same drawing in other sizes and formats, one pair in
/// a hundred differs by 3.
const DIFFERENT: [f32; 2] = [8.0, 16.0];
/// Levels a side of the cells that colours are counted by.
const CELL: f32 = 32.0;
/// Levels between the channels of what has no colour.
const GREY: f32 = 16.0;
/// Weights of the channels in a grey: luma, and their mean.
const GREYS: [Colour; 2] = [[0.299, 0.587, 0.114], [1.0 / 3.0; 3]];
/// Levels from the ground's colour of what is drawn on it.
const DRAWN: f32 = 24.0;
/// Fewest points of one colour from which a drawing is judged.
const LEAST: usize = 8;
/// Weight, for each point, of black that stays black and white that stays white.
const KEPT: f32 = 0.3;

/// What is known of two images as drawings.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Drawing {
    /// How surely neither is one, from 0 to 1: of many colours, and textured.
    pub texture: f32,
    /// How surely both are, and in other colours.
    pub recoloured: f32,
}

/// Whether both images are drawings, and in other colours.
///
/// Brightness, contrast and a tint do not count, nor does a copy without colours; nor does the
/// ground, which is what most of the edge shows.
pub(super) fn drawing(
    a: &ImagePyramid,
    b: &ImagePyramid,
    transform: &Transform,
    common: [f32; 4],
) -> Drawing {
    let levels = levels(a, b, transform, common, GRID);
    let (points, _) = shared(levels, transform, common, GRID);
    let seen = compared(levels, &points, b.is_part());
    let luma = [0, 1].map(|at| points[at].values(&levels[at].luma));
    let even: Vec<usize> = (0..seen.len()).filter(|&at| seen[at] && is_even(&luma, at)).collect();
    let all = seen.iter().filter(|seen| **seen).count();
    let flat = ramp(even.len() as f32 / all.max(1) as f32, SHARE);
    let both = [colours(a, &points[0]), colours(b, &points[1])];
    let bits = both.each_ref().map(|image| entropy(image, &seen));
    let few = 1.0 - ramp(bits[0].max(bits[1]), BITS);
    let texture = (1.0 - flat) * ramp(bits[0].min(bits[1]), BITS);
    if flat * few == 0.0 {
        return Drawing { texture, recoloured: 0.0 };
    }
    let differs = if both.iter().any(|image| is_grey(image, &seen)) {
        // However the other became grey.
        let grey =
            |weights: &Colour| difference(&both.each_ref().map(|i| greyed(i, weights)), &even);
        GREYS.iter().map(grey).fold(f32::INFINITY, f32::min)
    } else {
        difference(&both, &even)
    };
    Drawing { texture, recoloured: flat * few * ramp(differs, DIFFERENT) }
}

/// The points that are compared: what was laid over a part is not, nor what one image alone was
/// filled up with. What both were, is the ground.
fn compared(levels: [&Level; 2], points: &[Points; 2], part: bool) -> Vec<bool> {
    let shows = |at: usize| {
        let all = || vec![1.0; points[at].x.len()];
        levels[at].validity_mask(&points[at]).unwrap_or_else(all)
    };
    let both = shows(0).into_iter().zip(shows(1));
    both.map(|(a, b)| if part { b > 0.5 } else { a == b }).collect()
}

/// 0 below the first, 1 above the second, and evenly between.
fn ramp(value: f32, [from, to]: [f32; 2]) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

/// Whether both images are of one colour around a point.
fn is_even(luma: &[Vec<f32>; 2], at: usize) -> bool {
    let (x, y) = (at % GRID, at / GRID);
    let sides = [
        (x > 0).then(|| at - 1),
        (x + 1 < GRID).then_some(at + 1),
        (y > 0).then(|| at - GRID),
        (y + 1 < GRID).then_some(at + GRID),
    ];
    let same = |near: usize| luma.iter().all(|luma| (luma[near] - luma[at]).abs() <= EVEN);
    sides.into_iter().flatten().all(same)
}

fn colours(image: &ImagePyramid, points: &Points) -> Vec<Colour> {
    let [r, g, b] = image.channels().each_ref().map(|channel| points.values(channel));
    r.into_iter().zip(g).zip(b).map(|((r, g), b)| [r, g, b]).collect()
}

/// A grey of the channels, by their weights.
fn greyed(image: &[Colour], weights: &Colour) -> Vec<Colour> {
    let grey = |own: &Colour| own.iter().zip(weights).map(|(value, weight)| value * weight).sum();
    image.iter().map(|own| [grey(own); 3]).collect()
}

fn is_grey(image: &[Colour], seen: &[bool]) -> bool {
    let apart = |own: &Colour| own.iter().any(|value| (value - own[1]).abs() > GREY);
    !image.iter().zip(seen).any(|(own, seen)| *seen && apart(own))
}

fn cell(own: &Colour) -> usize {
    own.iter().fold(0, |cell, value| 8 * cell + (value / CELL).clamp(0.0, 7.0) as usize)
}

fn counted<'a>(colours: impl Iterator<Item = &'a Colour>) -> Vec<usize> {
    let mut counts = vec![0; 512];
    colours.for_each(|own| counts[cell(own)] += 1);
    counts
}

/// Bits a point of its colours.
fn entropy(image: &[Colour], seen: &[bool]) -> f32 {
    let shown = image.iter().zip(seen).filter(|(_, seen)| **seen).map(|(own, _)| own);
    let counts = counted(shown);
    let all = counts.iter().sum::<usize>().max(1) as f32;
    let share = counts.into_iter().filter(|count| *count > 0).map(|count| count as f32 / all);
    share.map(|share| -share * share.log2()).sum()
}

/// The ground of the first image, and what the second has there.
fn grounds([a, b]: &[Vec<Colour>; 2]) -> [Colour; 2] {
    let edge = |at: &usize| [at % GRID, at / GRID].iter().any(|v| *v == 0 || *v == GRID - 1);
    let edge: Vec<usize> = (0..a.len()).filter(edge).collect();
    let counts = counted(edge.iter().map(|&at| &a[at]));
    let most = (0..counts.len()).max_by_key(|&cell| counts[cell]);
    let ground: Vec<usize> = edge.into_iter().filter(|&at| Some(cell(&a[at])) == most).collect();
    let mean = |image: &[Colour]| -> Colour {
        let sum = |channel: usize| ground.iter().map(|&at| image[at][channel]).sum::<f32>();
        std::array::from_fn(|channel| sum(channel) / ground.len().max(1) as f32)
    };
    [mean(a), mean(b)]
}

/// Levels by which what is drawn differs in colour, as a root of mean squares, after one brightness
/// and contrast for all channels and then a gain for each.
fn difference(both: &[Vec<Colour>; 2], even: &[usize]) -> f32 {
    let grounds = grounds(both);
    let far = |own: &Colour, ground: &Colour| {
        own.iter().zip(ground).any(|(own, ground)| (own - ground).abs() > DRAWN)
    };
    let pairs = |at: usize| [both[0][at], both[1][at]];
    let drawn: Vec<usize> = even
        .iter()
        .copied()
        .filter(|&at| (0..2).any(|image| far(&both[image][at], &grounds[image])))
        .collect();
    if drawn.len() < LEAST {
        return 0.0;
    }
    let kept = KEPT * even.len() as f32;
    let (slope, shift) = line(even.iter().map(|&at| pairs(at)), kept);
    let fitted = |value: f32| slope * value + shift;
    let gains: Colour = std::array::from_fn(|channel| {
        let white = kept * 255.0 * 255.0;
        let (mut own, mut other) = (white, white);
        for [a, b] in even.iter().map(|&at| pairs(at)) {
            let value = fitted(a[channel]);
            own += value * value;
            other += value * b[channel];
        }
        other / own
    });
    let squares = drawn
        .iter()
        .map(|&at| pairs(at))
        .map(|[a, b]| (0..3).map(|c| (b[c] - gains[c] * fitted(a[c])).powi(2)).sum::<f32>());
    (squares.sum::<f32>() / (3 * drawn.len()) as f32).sqrt()
}

/// The line through the values of all channels, and through black and white that stay what they
/// are: slope and shift.
fn line(pairs: impl Iterator<Item = [Colour; 2]>, kept: f32) -> (f32, f32) {
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    let mut add = |weight: f32, a: f32, b: f32| {
        n += weight;
        x += weight * a;
        y += weight * b;
        xx += weight * a * a;
        xy += weight * a * b;
    };
    pairs.for_each(|[a, b]| (0..3).for_each(|channel| add(1.0, a[channel], b[channel])));
    add(3.0 * kept, 0.0, 0.0);
    add(3.0 * kept, 255.0, 255.0);
    let slope = (xy / n - x / n * (y / n)) / (xx / n - (x / n).powi(2)).max(1.0);
    (slope, y / n - slope * (x / n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair_score;
    use crate::pyramid::thumbnail;
    use clip_image::{Filter, Rgb, resize};

    /// What a shape's function gives for each point from -1 to 1, on white.
    fn drawn(shape: impl Fn(f32, f32) -> Option<[u8; 3]>) -> Rgb {
        let unit = |at: usize| (at as f32 + 0.5) / 128.0 - 1.0;
        let pixel = |at: usize| shape(unit(at % 256), unit(at / 256)).unwrap_or([255; 3]);
        let data = (0..256 * 256).flat_map(pixel).collect();
        Rgb { width: 256, height: 256, data }
    }

    /// A disc on a striped ribbon, with a dark numeral.
    fn medal(metal: [u8; 3]) -> Rgb {
        drawn(|x, y| match (x.hypot(y - 0.3), x.abs(), y) {
            (far, across, _) if far < 0.5 && across < 0.07 && (y - 0.3).abs() < 0.3 => {
                Some(metal.map(|value| value / 2))
            }
            (far, ..) if far < 0.5 => Some(metal),
            (far, ..) if far < 0.6 => Some(metal.map(|value| value / 4 * 3)),
            (_, across, y) if across < 0.12 && y < 0.0 => Some([230, 230, 240]),
            (_, across, y) if across < 0.35 && y < 0.0 => Some([40, 90, 200]),
            _ => None,
        })
    }

    fn diamond(colour: [u8; 3]) -> Rgb {
        drawn(|x, y| (x.abs() + y.abs() < 0.8).then_some(colour))
    }

    fn square(colour: [u8; 3]) -> Rgb {
        drawn(|x, y| (x.abs().max(y.abs()) < 0.57).then_some(colour))
    }

    fn judged(a: &Rgb, b: &Rgb) -> f32 {
        let both = [a, b].map(thumbnail);
        let [a, b] = both.each_ref().map(ImagePyramid::new);
        drawing(&a, &b, &Transform::WHOLE, [0.0, 0.0, 1.0, 1.0]).recoloured
    }

    fn each(image: &Rgb, change: impl Fn([f32; 3]) -> [f32; 3]) -> Rgb {
        let pixel = |own: &[u8]| change([own[0], own[1], own[2]].map(f32::from));
        let data = image.data.chunks(3).flat_map(pixel).map(|value| value as u8).collect();
        Rgb { data, ..image.clone() }
    }

    #[test]
    fn drawings_in_other_colours_are_others() {
        let metals = [[250, 190, 40], [190, 195, 205], [200, 120, 70]];
        for (at, metal) in metals.into_iter().enumerate() {
            for other in &metals[..at] {
                assert!(judged(&medal(metal), &medal(*other)) > 0.9, "{metal:?} {other:?}");
            }
        }
        let colours = [[220, 40, 40], [40, 160, 60], [30, 60, 210], [20; 3], [240, 200, 30]];
        for (at, colour) in colours.into_iter().enumerate() {
            for other in &colours[..at] {
                for shape in [square, diamond] {
                    let judged = judged(&shape(colour), &shape(*other));
                    assert!(judged > 0.9, "{colour:?} {other:?} {judged}");
                }
            }
        }
    }

    #[test]
    fn the_same_drawing_in_other_light_or_without_colours_is_the_same() {
        for own in [medal([250, 190, 40]), square([40, 160, 60]), diamond([30, 60, 210])] {
            let same = |copy: &Rgb| assert!(judged(&own, copy) < 0.2);
            same(&resize(&own, 90, 90, Filter::Area));
            same(&each(&own, |rgb| rgb.map(|value| 0.8 * value)));
            same(&each(&own, |rgb| rgb.map(|value| 0.9 * value + 20.0)));
            same(&each(&own, |[r, g, b]| [r, 0.9 * g, 0.8 * b]));
            for [r, g, b] in GREYS {
                same(&each(&own, |own| [r * own[0] + g * own[1] + b * own[2]; 3]));
            }
        }
    }

    #[test]
    fn a_photograph_may_have_any_colours() {
        let mut data = vec![0; 24 * 24 * 3];
        blake3::Hasher::new().finalize_xof().fill(&mut data);
        let image = resize(&Rgb { width: 24, height: 24, data }, 256, 256, Filter::Bicubic);
        let other = each(&image, |[r, g, b]| [b, r, g]);
        assert_eq!(judged(&image, &other), 0.0);
        let other = thumbnail(&each(&image, |[r, g, b]| [r, g, 255.0 - b]));
        let score = pair_score(&thumbnail(&image), &other);
        assert!(score > 0.92, "{score}");
    }

    #[test]
    fn what_is_drawn_in_another_colour_scores_below_the_threshold() {
        let score = |a: &Rgb, b: &Rgb| pair_score(&thumbnail(a), &thumbnail(b));
        let (gold, silver) = (medal([250, 190, 40]), medal([190, 195, 205]));
        assert!(score(&gold, &silver) < 0.75, "{}", score(&gold, &silver));
        assert!(score(&square([20; 3]), &square([30, 60, 210])) < 0.75);
        assert!(score(&gold, &resize(&gold, 90, 90, Filter::Area)) > 0.95);
    }
}
