//! Aligned comparison of two thumbnails: shift, scale, crop, small rotation, brightness and contrast.

use clip_image::Rgb;

use crate::thumb::Plane;

/// Points a side of the grid on which two pictures are compared.
const GRID: usize = 32;

/// Where the second picture's unit square lies in the first's: `x' = a x + b y + c`, `y' = d x + e y + f`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// The six numbers a to f.
    pub affine: [f32; 6],
}

impl Placement {
    /// Edge on edge.
    pub const WHOLE: Self = Self { affine: [1.0, 0.0, 0.0, 0.0, 1.0, 0.0] };

    /// Scaled and shifted.
    pub fn scaled(sx: f32, sy: f32, tx: f32, ty: f32) -> Self {
        Self { affine: [sx, 0.0, tx, 0.0, sy, ty] }
    }

    fn map(&self, x: f32, y: f32) -> (f32, f32) {
        let [a, b, c, d, e, f] = self.affine;
        (a * x + b * y + c, d * x + e * y + f)
    }

    /// The rectangle of the second picture that the first covers: left, top, right, bottom in [0, 1].
    fn common(&self) -> Option<[f32; 4]> {
        let [a, _, _, _, e, _] = self.affine;
        if a < 0.2 || e < 0.2 {
            return None;
        }
        // Shear and rotation are small: the axes' own scales say where the edges are, at the middle.
        let (mx, my) = self.map(0.5, 0.5);
        let (left, right) = (0.5 - mx / a, 0.5 + (1.0 - mx) / a);
        let (top, bottom) = (0.5 - my / e, 0.5 + (1.0 - my) / e);
        let found = [left.max(0.0), top.max(0.0), right.min(1.0), bottom.min(1.0)];
        (found[2] - found[0] > 0.15 && found[3] - found[1] > 0.15).then_some(found)
    }
}

/// A thumbnail ready to be compared.
pub(crate) struct Ready {
    luma: Plane,
    colours: [Plane; 3],
    coarse: Plane,
}

impl Ready {
    pub fn new(thumb: &Rgb) -> Self {
        let luma = Plane::luma(thumb);
        let coarse = luma.resized(GRID / 2, GRID / 2);
        let colours = [0, 1, 2].map(|c| Plane::channel(thumb, c));
        Self { luma, colours, coarse }
    }
}

/// How alike two aligned pictures are.
#[derive(Debug, Clone, Copy, PartialEq)]
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
        let mean = 0.4 * self.luma + 0.4 * self.fine + 0.2 * self.colour;
        mean.clamp(0.0, 1.0)
    }
}

/// Finds the best placement near each of `starts` and says how alike the pictures are there.
pub(crate) fn align(a: &Ready, b: &Ready, starts: &[Placement]) -> Option<(Likeness, Placement)> {
    let mut best: Option<(Likeness, Placement)> = None;
    for start in starts {
        let placement = refine(a, b, refine(a, b, *start, GRID / 2, 6), GRID, 6);
        let Some(found) = likeness(a, b, &placement) else { continue };
        if best.is_none_or(|(old, _)| found.score() > old.score()) {
            best = Some((found, placement));
        }
    }
    best
}

/// The best few shifts and zooms on coarse grids, and the correlation there.
pub(crate) fn search(a: &Ready, b: &Ready) -> (f32, Placement) {
    let mut best = (-1.0, Placement::WHOLE);
    for zoom in [1.0f32, 0.85, 1.18] {
        for dy in -2..=2 {
            for dx in -2..=2 {
                let shift = |d: i32| (1.0 - zoom) / 2.0 + d as f32 / 16.0;
                let placement = Placement::scaled(zoom, zoom, shift(dx), shift(dy));
                let found = coarse(a, b, &placement);
                if found > best.0 {
                    best = (found, placement);
                }
            }
        }
    }
    best
}

fn coarse(a: &Ready, b: &Ready, placement: &Placement) -> f32 {
    const SIDE: usize = GRID / 2;
    let mut sums = Correlation::default();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let (u, v) = ((x as f32 + 0.5) / SIDE as f32, (y as f32 + 0.5) / SIDE as f32);
            let (u, v) = placement.map(u, v);
            if (0.0..=1.0).contains(&u) && (0.0..=1.0).contains(&v) {
                let there = a.coarse.at(u * SIDE as f32 - 0.5, v * SIDE as f32 - 0.5);
                sums.add(there, b.coarse.data[y * SIDE + x]);
            }
        }
    }
    sums.value()
}

#[derive(Default)]
struct Correlation {
    n: f32,
    a: f32,
    b: f32,
    aa: f32,
    bb: f32,
    ab: f32,
}

impl Correlation {
    fn add(&mut self, a: f32, b: f32) {
        self.n += 1.0;
        self.a += a;
        self.b += b;
        self.aa += a * a;
        self.bb += b * b;
        self.ab += a * b;
    }

    fn variances(&self) -> (f32, f32) {
        let n = self.n.max(1.0);
        let square = |sum: f32| (sum / n) * (sum / n);
        ((self.aa / n - square(self.a)).max(0.0), (self.bb / n - square(self.b)).max(0.0))
    }

    fn value(&self) -> f32 {
        let (va, vb) = self.variances();
        // A common part without contrast proves nothing.
        if va < 1.0 || vb < 1.0 {
            return 0.0;
        }
        let n = self.n.max(1.0);
        (self.ab / n - self.a / n * (self.b / n)) / (va * vb).sqrt()
    }
}

/// Both pictures sampled on a grid over the common part.
struct Sampled {
    /// Grid points in the second picture's unit square.
    points: Vec<(f32, f32)>,
    side: usize,
}

impl Sampled {
    fn new(placement: &Placement, side: usize) -> Option<Self> {
        let [left, top, right, bottom] = placement.common()?;
        let step = |i: usize| (i as f32 + 0.5) / side as f32;
        let mut points = Vec::with_capacity(side * side);
        for y in 0..side {
            for x in 0..side {
                points.push((left + (right - left) * step(x), top + (bottom - top) * step(y)));
            }
        }
        Some(Self { points, side })
    }

    fn first(&self, plane: &Plane, placement: &Placement) -> Vec<f32> {
        let (w, h) = (plane.width as f32, plane.height as f32);
        let value = |&(x, y): &(f32, f32)| {
            let (u, v) = placement.map(x, y);
            plane.at(u * w - 0.5, v * h - 0.5)
        };
        self.points.iter().map(value).collect()
    }

    fn second(&self, plane: &Plane) -> Vec<f32> {
        self.first(plane, &Placement::WHOLE)
    }
}

/// Gauss-Newton steps on the six numbers, towards equal luma up to brightness and contrast.
fn refine(a: &Ready, b: &Ready, start: Placement, side: usize, steps: usize) -> Placement {
    let mut placement = start;
    for _ in 0..steps {
        let Some(grid) = Sampled::new(&placement, side) else { return start };
        let target = normalised(grid.second(&b.luma)).0;
        let (current, deviation) = normalised(grid.first(&a.luma, &placement));
        if deviation < 1.0 {
            return placement;
        }
        let h = 0.5 / side as f32;
        let moved = |dx: f32, dy: f32| {
            let mut other = placement;
            other.affine[2] += dx;
            other.affine[5] += dy;
            grid.first(&a.luma, &other)
        };
        let (right, left, down, up) =
            (moved(h, 0.0), moved(-h, 0.0), moved(0.0, h), moved(0.0, -h));
        let mut normal = [[0f32; 7]; 6];
        for (i, &(x, y)) in grid.points.iter().enumerate() {
            let gx = (right[i] - left[i]) / (2.0 * h * deviation);
            let gy = (down[i] - up[i]) / (2.0 * h * deviation);
            // Around the centre, so that scale and shift are nearly independent.
            let (cx, cy) = (x - 0.5, y - 0.5);
            let row = [gx * cx, gx * cy, gx, gy * cx, gy * cy, gy];
            let wanted = target[i] - current[i];
            for (j, line) in normal.iter_mut().enumerate() {
                for k in 0..6 {
                    line[k] += row[j] * row[k];
                }
                line[6] += row[j] * wanted;
            }
        }
        for (j, line) in normal.iter_mut().enumerate() {
            // Shear and rotation are held more firmly than scale and shift.
            line[j] *= if j == 1 || j == 3 { 1.5 } else { 1.05 };
            line[j] += 1e-3;
        }
        let Some(step) = solve(normal) else { return placement };
        let step = step.map(|v| v.clamp(-0.08, 0.08));
        let [da, db, dc, dd, de, df] = step;
        let mut next = placement;
        for (value, change) in
            next.affine.iter_mut().zip([da, db, dc - 0.5 * (da + db), dd, de, df - 0.5 * (dd + de)])
        {
            *value += change;
        }
        placement = next;
        if step.iter().all(|v| v.abs() < 5e-4) {
            break;
        }
    }
    placement
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

fn likeness(a: &Ready, b: &Ready, placement: &Placement) -> Option<Likeness> {
    let [la, lb, _, ld, le, _] = placement.affine;
    let plausible = (0.25..4.0).contains(&la)
        && (0.25..4.0).contains(&le)
        && lb.abs() < 0.25
        && ld.abs() < 0.25;
    let [left, top, right, bottom] = placement.common().filter(|_| plausible)?;
    let grid = Sampled::new(placement, GRID)?;
    let (mut luma, mut colour, mut fine) =
        (Correlation::default(), Correlation::default(), Correlation::default());
    let (va, vb) = (grid.first(&a.luma, placement), grid.second(&b.luma));
    let plane = |data: Vec<f32>| Plane { width: grid.side, height: grid.side, data };
    let (pa, pb) = (plane(va), plane(vb));
    let (ba, bb) = (pa.blurred(2), pb.blurred(2));
    for i in 0..pa.data.len() {
        luma.add(pa.data[i], pb.data[i]);
        fine.add(pa.data[i] - ba.data[i], pb.data[i] - bb.data[i]);
    }
    for (ca, cb) in a.colours.iter().zip(&b.colours) {
        let (x, y) = (normalised(grid.first(ca, placement)), normalised(grid.second(cb)));
        // Per channel: a tint must not count, a different drawing must.
        let contrast = x.1.max(y.1).min(16.0);
        x.0.iter().zip(&y.0).for_each(|(x, y)| colour.add(x * contrast, y * contrast));
    }
    let area = (right - left) * (bottom - top);
    // In the smaller picture the common part is the larger share.
    let covered = area.max(area * la * le).min(1.0);
    let (da, db) = luma.variances();
    let contrast = da.min(db).sqrt();
    Some(Likeness {
        luma: luma.value(),
        fine: fine.value(),
        colour: colour.value(),
        covered,
        contrast,
    })
}
