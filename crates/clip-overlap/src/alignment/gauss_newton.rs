//! Gauss-Newton on the six numbers of a transform.

use super::overlay::levels;
use super::sums::Sums;
use super::transform::Transform;
use crate::pyramid::{Gradients, ImagePyramid, Points, apply_mask, gram};

/// Least correlation after two steps of a pair that is worth more of them. Of the copies that end
/// with a score of 0.8, one in a thousand has less; of all candidates, half.
const PROMISING: f32 = 0.72;
/// A step that gains no more than this leads nowhere; after two of them, none follows.
const GAIN: f32 = 1e-3;

/// Gauss-Newton steps on the six numbers, towards equal luma up to brightness and contrast.
///
/// Gives the transform of highest correlation on the way, and that correlation.
pub(super) fn gauss_newton(
    a: &ImagePyramid,
    b: &ImagePyramid,
    start: Transform,
    side: usize,
    steps: usize,
) -> Option<(Transform, f32)> {
    let common = start.common()?;
    let [level, own] = levels(a, b, &start, common, side);
    let grid = Points::over(common, side);
    let (wanted, shown) = (grid.values(&own.luma), own.validity_mask(&grid));
    let mut slopes = Gradients::default();
    let mut transform = start;
    let mut best: Option<(Transform, f32)> = None;
    let mut idle = 0;
    for taken in 0..=steps {
        let places = transform.mapped(&grid);
        let mut seen = places.inside();
        apply_mask(&mut seen, shown.as_deref());
        apply_mask(&mut seen, level.validity_mask(&places).as_deref());
        places.slopes(&level.luma, &mut slopes);
        let sums = Sums::over(&slopes.0[0], &wanted, &seen);
        let (va, vb) = sums.variances();
        if sums.n < 40.0 || va < 1.0 || vb < 1.0 {
            break;
        }
        let (agreement, old) = (sums.correlation(), best.map_or(-1.0, |best| best.1));
        if agreement > old {
            best = Some((transform, agreement));
        }
        idle = if agreement > old + GAIN { 0 } else { idle + 1 };
        let hopeless = taken == 2 && agreement.max(old) < PROMISING;
        if taken == steps || idle == 2 || hopeless {
            break;
        }
        let Some(step) = step_of(&grid, &slopes, &wanted, &seen, &sums) else { break };
        let [da, db, dc, dd, de, df] = step.map(|v| v.clamp(-0.08, 0.08));
        // The step is around the centre of the second image.
        let change = [da, db, dc - 0.5 * (da + db), dd, de, df - 0.5 * (dd + de)];
        transform.affine.iter_mut().zip(change).for_each(|(value, change)| *value += change);
        if step.iter().all(|v| v.abs() < 1e-3) || !transform.plausible([a.sides(), b.sides()]) {
            break;
        }
    }
    best
}

/// One Gauss-Newton step over the points seen, towards what is wanted there.
fn step_of(
    grid: &Points,
    Gradients([value, across, down]): &Gradients,
    wanted: &[f32],
    seen: &[f32],
    sums: &Sums,
) -> Option<[f32; 6]> {
    let (va, vb) = sums.variances();
    let (ma, mb) = (sums.a / sums.n, sums.b / sums.n);
    let (sa, sb) = (1.0 / va.sqrt(), 1.0 / vb.sqrt());
    let weights: Vec<f32> = seen.iter().map(|seen| seen * sa).collect();
    let weighted = |g: &[f32]| g.iter().zip(&weights).map(|(g, w)| g * w).collect::<Vec<f32>>();
    let centred = |g: &[f32], place: &[f32]| -> Vec<f32> {
        g.iter().zip(place).map(|(g, place)| g * (place - 0.5)).collect()
    };
    let (gx, gy) = (weighted(across), weighted(down));
    let values = value.iter().zip(wanted).zip(seen);
    let residual = values.map(|((a, b), seen)| seen * ((b - mb) * sb - (a - ma) * sa));
    let normal = gram(&[
        centred(&gx, &grid.x),
        centred(&gx, &grid.y),
        centred(&gy, &grid.x),
        centred(&gy, &grid.y),
        residual.collect(),
        gx,
        gy,
    ]);
    // In the order of the six numbers, with what is wanted at the end.
    const ORDER: [usize; 7] = [0, 1, 5, 2, 3, 6, 4];
    let line = |i: usize| ORDER.map(|j| normal[ORDER[i]][j]);
    let mut normal: [[f32; 7]; 6] = std::array::from_fn(line);
    for (j, line) in normal.iter_mut().enumerate() {
        // Shear and rotation are held more firmly than scale and shift.
        line[j] *= if j == 1 || j == 3 { 1.5 } else { 1.05 };
        line[j] += 1e-3;
    }
    solve(normal)
}

/// Gauss's elimination with pivots.
fn solve(mut m: [[f32; 7]; 6]) -> Option<[f32; 6]> {
    for column in 0..6 {
        let pivot =
            (column..6).max_by(|&a, &b| m[a][column].abs().total_cmp(&m[b][column].abs()))?;
        m.swap(column, pivot);
        if m[column][column].abs() < 1e-9 {
            return None;
        }
        let lead = m[column];
        for (row, line) in m.iter_mut().enumerate() {
            if row != column {
                let factor = line[column] / lead[column];
                line.iter_mut().zip(lead).for_each(|(v, l)| *v -= factor * l);
            }
        }
    }
    Some(std::array::from_fn(|i| m[i][6] / m[i][i]))
}
