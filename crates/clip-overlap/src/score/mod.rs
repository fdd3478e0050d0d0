//! How alike two aligned images are, as one number: every score of a pair is made here.

mod compare;
mod drawing;

use crate::alignment::Transform;
use crate::pyramid::ImagePyramid;
pub use compare::Similarity;
use compare::compare;

/// Weights of the three correlations in a score. Fine structure is what two shots of one scene
/// share least; colour is what a changed copy keeps least.
const LUMA: f32 = 0.3;
const FINE: f32 = 0.5;
const COLOUR: f32 = 0.2;
/// Weight of the learned detector's cosine, where it was asked; the rest is the aligned score's.
const DETECTOR: f32 = 0.3;

/// What a changed aspect costs, as a logarithm, and how much of it is free.
const BENT: (f32, f32) = (0.5, 0.05);
/// What a changed area costs, as a logarithm, and how much of it is free.
const SIZED: (f32, f32) = (0.25, 0.1);
/// What an uncovered share of the smaller image costs, and the share that must be covered.
const COVERED: (f32, f32) = (0.5, 0.97);
/// What an uncovered share costs besides where one image is turned, mirrored, inverted or a part of
/// the other: of many places one agrees by chance.
const COVERED_ELSEWHERE: f32 = 0.05;
/// Longer side in pixels below which a changed area and an uncovered share cost their full price.
const FEW: f32 = 36.0;

/// What the score of a pair is made of.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ScoreParts {
    /// How alike both are where they are aligned.
    pub similarity: Similarity,
    /// What the alignment takes from the trust in that.
    pub penalty: f32,
    /// Whether one image is turned, mirrored, inverted or a part of the other.
    pub elsewhere: bool,
    /// How surely both are photographs, from 0 to 1: their texture is shared by nothing in other
    /// colours.
    pub texture: f32,
    /// Cosine of the learned detector's vectors, where it was asked.
    pub detector: Option<f32>,
}

/// One number in [0, 1]: all three correlations must be high, and the alignment simple. Colours of
/// a photograph may all be changed: they count no less than what else agrees least. Elsewhere
/// than edge on edge, fine structure must agree as well as all three: in broad strokes a portrait
/// is alike a refrigerator.
pub fn score(parts: &ScoreParts) -> f32 {
    let Similarity { luma, fine, colour, covered, .. } = parts.similarity;
    let changed = (luma.min(fine) - colour).max(0.0);
    let colour = colour + parts.texture * changed;
    let mut alike = (LUMA * luma + FINE * fine + COLOUR * colour).clamp(0.0, 1.0);
    let mut penalty = parts.penalty;
    if parts.elsewhere {
        alike = alike.min(fine);
        penalty += COVERED_ELSEWHERE * (COVERED.1 - covered).max(0.0);
    }
    let aligned = (alike - penalty).max(0.0);
    let with_detector = |cosine: f32| (1.0 - DETECTOR) * aligned + DETECTOR * cosine.max(0.0);
    parts.detector.map_or(aligned, with_detector)
}

/// The parts of the score of two images over what is common in a transform; nothing where too
/// little is.
pub(crate) fn parts(
    a: &ImagePyramid,
    b: &ImagePyramid,
    transform: &Transform,
) -> Option<ScoreParts> {
    let (similarity, drawing) = compare(a, b, transform)?;
    let penalty = deformation_penalty(transform, [a.sides(), b.sides()], similarity.covered);
    Some(ScoreParts { similarity, penalty, texture: drawing.texture, ..ScoreParts::default() })
}

/// The more a transform bends to make two images agree, the less their agreement says, and the
/// fewer pixels there are, the less it takes to agree. `sides` are both images' width and height.
fn deformation_penalty(transform: &Transform, sides: [(u32, u32); 2], covered: f32) -> f32 {
    let beyond = |value: f32, (price, free): (f32, f32)| price * (value - free).max(0.0);
    let longer = |(width, height): (u32, u32)| width.max(height) as f32;
    let few = (FEW / longer(sides[0]).min(longer(sides[1]))).powi(2).min(1.0);
    let sized = beyond(transform.area().ln().abs(), SIZED);
    let uncovered = COVERED.0 * (COVERED.1 - covered).max(0.0);
    beyond(transform.bent(sides), BENT) + few * (sized + uncovered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_needs_every_correlation_and_a_simple_alignment() {
        let similarity = Similarity { luma: 1.0, fine: 1.0, colour: 1.0, ..Similarity::default() };
        let whole = ScoreParts { similarity, ..ScoreParts::default() };
        assert!((score(&whole) - 1.0).abs() < 1e-6);
        assert!((score(&ScoreParts { penalty: 0.25, ..whole }) - 0.75).abs() < 1e-6);
        assert!((score(&ScoreParts { detector: Some(0.0), ..whole }) - 0.7).abs() < 1e-6);
        let similarity = Similarity { fine: 0.0, ..similarity };
        assert!((score(&ScoreParts { similarity, ..whole }) - 0.5).abs() < 1e-6);
        let similarity = Similarity { luma: 0.9, fine: 0.85, colour: -0.5, ..similarity };
        let recoloured = ScoreParts { similarity, ..whole };
        assert!(score(&recoloured) < 0.6);
        assert!(score(&ScoreParts { texture: 1.0, ..recoloured }) > 0.86);
        // A portrait and a refrigerator, mirrored.
        let similarity =
            Similarity { luma: 0.977, fine: 0.749, colour: 0.973, covered: 0.683, ..similarity };
        let broad = ScoreParts { similarity, ..whole };
        assert!(score(&broad) > 0.8 && score(&ScoreParts { elsewhere: true, ..broad }) < 0.75);
    }

    #[test]
    fn what_bends_or_leaves_little_costs_more_the_fewer_pixels_there_are() {
        let sides = |side: u32| [(side, side); 2];
        let cost = |transform: Transform, side| deformation_penalty(&transform, sides(side), 1.0);
        assert_eq!(cost(Transform::WHOLE, 32), 0.0);
        let crop = Transform::scaled(0.5, 0.5, 0.2, 0.2);
        assert!(cost(crop, 32) > cost(crop, 64) && cost(crop, 64) > 0.0);
        assert!(cost(Transform::scaled(1.0, 0.7, 0.0, 0.1), 64) > 0.1);
        assert!(deformation_penalty(&Transform::WHOLE, sides(64), 0.5) > 0.05);
    }
}
