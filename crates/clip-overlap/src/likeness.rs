//! How alike two aligned pictures are.

use crate::align::{GRID, Ready, Sums, comparable, points, sample, spacing};
use crate::placement::Placement;
use crate::thumb::Plane;

/// How alike two aligned pictures are.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Likeness {
    /// Correlation of luma over the common part.
    pub luma: f32,
    /// Correlation of its fine structure.
    pub fine: f32,
    /// Correlation of the three channels together.
    pub colour: f32,
    /// Share of the smaller picture that is common.
    pub covered: f32,
    /// Standard deviation of luma in the common part (the lower of both), in levels.
    pub contrast: f32,
}

impl Likeness {
    /// One number in [0, 1]: all three correlations must be high.
    pub fn score(&self) -> f32 {
        let mean = 0.3 * self.luma + 0.5 * self.fine + 0.2 * self.colour;
        mean.clamp(0.0, 1.0)
    }
}

/// Compares over what is common in a placement; nothing where too little is.
pub(crate) fn likeness(a: &Ready, b: &Ready, placement: &Placement) -> Option<Likeness> {
    let common = placement.common()?;
    let [left, top, right, bottom] = common;
    let there = |&(x, y): &(f32, f32)| placement.map(x, y);
    let levels = |side: usize| {
        let [own, other] = spacing(common, side, placement);
        (a.level(other), b.level(own))
    };
    let plane = |data: Vec<f32>| Plane { width: GRID, height: GRID, data };
    let grid = points(common, GRID);
    let (la, lb) = levels(GRID);
    let pa = plane(sample(&la.luma, grid.iter().map(there)));
    let pb = plane(sample(&lb.luma, grid.iter().copied()));
    let (ba, bb) = (pa.blurred(2), pb.blurred(2));
    let (mut luma, mut fine, mut colour) = (Sums::default(), Sums::default(), Sums::default());
    for (i, point) in grid.iter().enumerate() {
        if comparable(la.padded(there(point)), lb.padded(*point)) {
            luma.add(pa.data[i], pb.data[i]);
            fine.add(pa.data[i] - ba.data[i], pb.data[i] - bb.data[i]);
        }
    }
    let mut grid = points(common, GRID / 2);
    let (la, lb) = levels(GRID / 2);
    grid.retain(|point| comparable(la.padded(there(point)), lb.padded(*point)));
    for (ca, cb) in a.colours().iter().zip(b.colours()) {
        let x = normalised(sample(ca, grid.iter().map(there)));
        let y = normalised(sample(cb, grid.iter().copied()));
        // Per channel: a tint must not count, a different drawing must.
        let contrast = x.1.max(y.1).min(16.0);
        x.0.iter().zip(&y.0).for_each(|(x, y)| colour.add(x * contrast, y * contrast));
    }
    let area = (right - left) * (bottom - top);
    // In the smaller picture the common part is the larger share.
    let covered = area.max(area * placement.area()).min(1.0);
    let (da, db) = luma.variances();
    Some(Likeness {
        luma: luma.correlation(),
        fine: fine.correlation(),
        colour: colour.correlation(),
        covered,
        contrast: da.min(db).sqrt(),
    })
}

fn normalised(mut values: Vec<f32>) -> (Vec<f32>, f32) {
    let n = values.len() as f32;
    let mean = values.iter().sum::<f32>() / n;
    let deviation = (values.iter().map(|v| (v - mean) * (v - mean)).sum::<f32>() / n).sqrt();
    for value in &mut values {
        *value = (*value - mean) / deviation.max(1e-3);
    }
    (values, deviation)
}
