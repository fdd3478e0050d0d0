//! Local features of an image and of an item that agree on where one is in the other.

use std::f32::consts::PI;

use super::keypoints::{Keypoint, Variant};
use crate::alignment::Transform;

/// Pairs of features of one item that may propose a transform, those with the fewest bits between
/// them first.
const PROPOSALS: usize = 48;
/// By how much the logarithm of the scale and the direction of a pair may differ from what agrees.
const SCALED: f32 = 0.4;
const TURNED: f32 = 0.4;
/// How far from where one pair proposes it another may be: always, and for each unit between them.
const NEAR: (f32, f32) = (0.02, 0.25);
/// How far from where all together put it a pair may be, ever closer; in widths of the item.
const FITTED: [f32; 3] = [0.09, 0.06, 0.04];
/// Cells of the item in one width. Pairs count once for each cell: one spot is often seen at
/// several sizes.
const CELLS: f32 = 16.0;

/// A feature of the image beside one of an item that looks alike. Places are in units of each
/// one's width.
pub(crate) struct Pair {
    from: [f32; 2],
    to: [f32; 2],
    /// Widths of the item for each width of the image.
    scale: f32,
    /// The direction in the item less that in the image.
    turn: f32,
    distance: u32,
}

impl Pair {
    /// How many bits the features are apart.
    pub fn distance(&self) -> u32 {
        self.distance
    }

    /// Of features that are `distance` bits apart, `angle` being the image's direction in this
    /// variant. The aspects are height over width.
    pub fn new(
        (own, angle, aspect): (&Keypoint, f32, f32),
        (other, their_aspect): (&Keypoint, f32),
        distance: u32,
    ) -> Self {
        Self {
            from: [own.x, own.y * aspect],
            to: [other.x, other.y * their_aspect],
            scale: other.size / own.size,
            turn: other.angle - angle,
            distance,
        }
    }
}

/// An affine map in units of widths.
#[derive(Clone, Copy)]
struct Map {
    matrix: [[f32; 2]; 2],
    shift: [f32; 2],
}

impl Map {
    /// What one pair alone proposes.
    fn of(pair: &Pair, variant: Variant) -> Self {
        let (sin, cos) = pair.turn.sin_cos();
        let across = if variant.mirrored { -pair.scale } else { pair.scale };
        let matrix = [[cos * across, -sin * pair.scale], [sin * across, cos * pair.scale]];
        let turned = Self { matrix, shift: [0.0; 2] }.map(pair.from);
        Self { matrix, shift: [pair.to[0] - turned[0], pair.to[1] - turned[1]] }
    }

    fn map(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let line = |i: usize| self.matrix[i][0] * x + self.matrix[i][1] * y + self.shift[i];
        [line(0), line(1)]
    }

    /// What is left between where a pair is and where it should be.
    fn residual(&self, pair: &Pair) -> [f32; 2] {
        let [x, y] = self.map(pair.from);
        [pair.to[0] - x, pair.to[1] - y]
    }

    fn keeps(&self, pair: &Pair, reach: f32) -> bool {
        let [x, y] = self.residual(pair);
        x.hypot(y) < reach
    }

    /// The map near this one that fits the pairs best, by least squares. Few pairs, or pairs in one
    /// spot, leave its matrix nearly as it is.
    fn fitted(&self, pairs: &[&Pair], scale: f32) -> Self {
        let count = pairs.len().max(1) as f32;
        let mean = |get: &dyn Fn(&Pair) -> [f32; 2]| -> [f32; 2] {
            let sum = pairs.iter().fold([0.0; 2], |sum, pair| {
                let own = get(pair);
                [sum[0] + own[0], sum[1] + own[1]]
            });
            sum.map(|sum| sum / count)
        };
        let (middle, left) = (mean(&|pair| pair.from), mean(&|pair| self.residual(pair)));
        let ridge = 0.1 / (scale * scale);
        let (mut own, mut both) = ([[ridge, 0.0], [0.0, ridge]], [[0f32; 2]; 2]);
        for pair in pairs {
            let residual = self.residual(pair);
            for i in 0..2 {
                for j in 0..2 {
                    let place = pair.from[j] - middle[j];
                    own[i][j] += (pair.from[i] - middle[i]) * place;
                    both[i][j] += (residual[i] - left[i]) * place;
                }
            }
        }
        let [[a, b], [c, d]] = own;
        let det = a * d - b * c;
        let inverse = [[d / det, -b / det], [-c / det, a / det]];
        let mut found = *self;
        for i in 0..2 {
            let change: [f32; 2] =
                std::array::from_fn(|j| both[i][0] * inverse[0][j] + both[i][1] * inverse[1][j]);
            (0..2).for_each(|j| found.matrix[i][j] += change[j]);
            found.shift[i] += left[i] - change[0] * middle[0] - change[1] * middle[1];
        }
        found
    }

    /// In units of both sides; the aspects are height over width.
    fn transform(&self, aspect: f32, their_aspect: f32) -> Transform {
        let [[a, b], [d, e]] = self.matrix;
        let [c, f] = self.shift;
        let down = aspect / their_aspect;
        Transform { affine: [a, b * aspect, c, d / their_aspect, e * down, f / their_aspect] }
    }
}

/// Whether the directions and scales of two pairs could be of one transform.
fn akin(a: &Pair, b: &Pair) -> bool {
    let turn = (a.turn - b.turn).rem_euclid(2.0 * PI);
    turn.min(2.0 * PI - turn) < TURNED && (a.scale / b.scale).ln().abs() < SCALED
}

/// Cells of the item in which any of the pairs is.
fn spots<'a>(pairs: impl Iterator<Item = &'a Pair>) -> usize {
    let mut cells: Vec<[i32; 2]> =
        pairs.map(|pair| pair.to.map(|v| (v * CELLS).floor() as i32)).collect();
    cells.sort_unstable();
    cells.dedup();
    cells.len()
}

/// The transform from the image to the item on which most pairs agree, and how many do; nothing
/// where fewer than `least` do. The pairs come with their item.
pub(crate) fn agreed(
    pairs: &mut [(u32, Pair)],
    variant: Variant,
    [aspect, their_aspect]: [f32; 2],
    least: usize,
) -> Option<(usize, Transform)> {
    if pairs.len() < least {
        return None;
    }
    pairs.sort_by_key(|(_, pair)| pair.distance);
    let pairs: Vec<&Pair> = pairs.iter().map(|(_, pair)| pair).collect();
    let mut best: (usize, Option<&Pair>) = (least - 1, None);
    for &proposal in pairs.iter().take(PROPOSALS) {
        let map = Map::of(proposal, variant);
        let agrees = |pair: &&Pair| {
            let [x, y] = [pair.to[0] - proposal.to[0], pair.to[1] - proposal.to[1]];
            akin(pair, proposal) && map.keeps(pair, NEAR.0 + NEAR.1 * x.hypot(y))
        };
        let count = spots(pairs.iter().copied().filter(agrees));
        if count > best.0 {
            best = (count, Some(proposal));
        }
    }
    let proposal = best.1?;
    let mut map = Map::of(proposal, variant);
    // The first time those that agree with the proposal, then those near the fitted map.
    let near = |pair: &&Pair, map: &Map, at: usize| {
        let [x, y] = [pair.to[0] - proposal.to[0], pair.to[1] - proposal.to[1]];
        let reach = if at == 0 { NEAR.0 + NEAR.1 * x.hypot(y) } else { FITTED[at - 1] };
        akin(pair, proposal) && map.keeps(pair, reach)
    };
    for at in 0..FITTED.len() {
        let kept: Vec<&Pair> = pairs.iter().copied().filter(|pair| near(pair, &map, at)).collect();
        map = map.fitted(&kept, proposal.scale);
    }
    let count = spots(pairs.iter().copied().filter(|pair| near(pair, &map, FITTED.len())));
    (count >= least).then(|| (count, map.transform(aspect, their_aspect)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_that_agree_are_found_among_those_that_do_not() {
        for variant in Variant::ALL {
            let seen = |i: u32| {
                let at = |k: u32| (i * k % 101) as f32 / 101.0;
                Keypoint { x: at(37), y: at(61), size: 0.1, angle: at(17) * 6.0, bits: 0 }
            };
            // Half as large, turned by 2 radians, and mirrored where the variant is.
            let truth = Map::of(
                &Pair { from: [0.5, 0.4], to: [0.3, 0.2], scale: 0.5, turn: 2.0, distance: 0 },
                variant,
            );
            let pair = |i: u32| {
                let own = seen(i);
                let (_, angle) = variant.of(&own);
                let mut other = Keypoint { size: 0.05, angle: angle + 2.0, ..own };
                if i.is_multiple_of(2) {
                    [other.x, other.y] = truth.map([own.x, own.y * 0.75]);
                    other.y /= 1.2;
                } else {
                    other = Keypoint { size: 0.08, ..seen(i * 3) };
                }
                Pair::new((&own, angle, 0.75), (&other, 1.2), i)
            };
            let mut pairs: Vec<(u32, Pair)> = (0..40).map(|i| (7, pair(i))).collect();
            let (count, found) = agreed(&mut pairs, variant, [0.75, 1.2], 3).unwrap();
            assert!(count >= 10, "{count}");
            let wanted = truth.transform(0.75, 1.2);
            for (value, wanted) in found.affine.into_iter().zip(wanted.affine) {
                assert!((value - wanted).abs() < 0.01, "{found:?}");
            }
            let mut chance: Vec<(u32, Pair)> = (0..20).map(|i| (7, pair(2 * i + 1))).collect();
            assert!(agreed(&mut chance, variant, [0.75, 1.2], 5).is_none());
        }
    }
}
