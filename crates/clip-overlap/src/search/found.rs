//! What was found of an image, and which of it stays.

use super::fingerprint::Fingerprint;
use crate::alignment::Transform;
use crate::hit_kind::HitKind;
use crate::score::{ScoreParts, score};

/// By how much less than the best item in one place of an image another may resemble it.
const RUNNER_UP: f32 = 0.02;
/// Share of the smaller of two places that both cover when they are one place.
const SAME_PLACE: f32 = 0.3;
/// Radians from which on a copy counts as rotated.
const TURNED: f32 = 0.26;

/// An item that an image looks like.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The item's number.
    pub item: u32,
    /// How alike, in [0, 1].
    pub score: f32,
    /// How it was recognised.
    pub kind: HitKind,
    /// The parts of the score.
    pub parts: ScoreParts,
    /// Where the image is in the item.
    pub transform: Transform,
}

impl Found {
    /// With the fingerprints of the item and of the image. The score is how alike they are, without
    /// regard to where.
    pub(super) fn new(
        item: u32,
        [own, image]: [&Fingerprint; 2],
        parts: ScoreParts,
        transform: Transform,
        inverted: bool,
    ) -> Self {
        let [aspect, own_aspect] =
            [image, own].map(|print| print.thumb.height as f32 / print.thumb.width as f32);
        let placed = if inverted {
            HitKind::Inverted
        } else if transform.angle(aspect, own_aspect).abs() > TURNED {
            HitKind::Rotated
        } else if transform.mirrors() {
            HitKind::Mirrored
        } else if (0.8..1.25).contains(&transform.area()) {
            HitKind::Near
        } else {
            HitKind::Crop
        };
        let alike = score(&parts);
        let parts = ScoreParts { elsewhere: placed != HitKind::Near, ..parts };
        let kind = if image.flat || own.flat { HitKind::Flat } else { placed };
        Self { item, score: alike, kind, parts, transform }
    }

    /// The same of an image that shows the searched one in a place, by where it is in that.
    pub(super) fn within(self, place: &Transform) -> Self {
        let part = self.kind == HitKind::Near && *place != Transform::WHOLE;
        let kind = if part { HitKind::Crop } else { self.kind };
        Self { kind, transform: self.transform.after(place), ..self }
    }
}

/// One entry an item and one item a place, by what that proves where it is; the best first.
pub(super) fn best(mut found: Vec<Found>) -> Vec<Found> {
    sort(&mut found);
    let mut kept: Vec<Found> = Vec::new();
    for one in found {
        // A place is one image's copy: others that it resembles less are its look-alikes, as of one
        // sitting, unless they are copies of each other.
        let better = |other: &Found| {
            other.item == one.item
                || (other.score - RUNNER_UP > one.score && same_place(other, &one))
        };
        if !kept.iter().any(better) {
            kept.push(one);
        }
    }
    kept.iter_mut().for_each(|found| found.score = score(&found.parts));
    sort(&mut kept);
    kept
}

fn sort(found: &mut [Found]) {
    found.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.item.cmp(&b.item)));
}

/// Whether two items are found in one place of an image.
fn same_place(a: &Found, b: &Found) -> bool {
    let (Some(a), Some(b)) = (a.transform.bounds(), b.transform.bounds()) else { return true };
    let side = |from: usize| (a[from + 2].min(b[from + 2]) - a[from].max(b[from])).max(0.0);
    let area = |[left, top, right, bottom]: [f32; 4]| (right - left) * (bottom - top);
    side(0) * side(1) > SAME_PLACE * area(a).min(area(b))
}
