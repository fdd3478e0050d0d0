//! k-means by Lloyd's algorithm, begun by k-means++: the same centroids for a seed on any number of
//! threads.
//!
//! A centroid is moved only when a row came or went, and a row whose own centroid stays is compared
//! with those alone that moved: the labels are those of the plain algorithm, and the late
//! iterations, in which few rows change, cost little.

use clip_random::{splitmix64, unit};
use ndarray::{Array2, ArrayView2, Axis, s};
use rayon::prelude::*;

use super::members::members;

/// Rows that are compared at a time.
const ROWS: usize = 256;
/// Centroids that they are compared with at a time.
const BLOCK: usize = 512;
/// Rows for each centroid that the first ones are drawn from.
const SEEDING: usize = 64;
/// Iterations at most, and the movement at which they end, as in scikit-learn's `KMeans`.
const ITERATIONS: usize = 300;
const TOLERANCE: f64 = 1e-4;

/// Centroids, and how well they fit.
pub(super) struct KMeans {
    /// [centroids, width].
    pub(super) centroids: Array2<f32>,
    /// The sum of squared distances from each row to its centroid.
    pub(super) inertia: f64,
    /// Iterations.
    pub(super) iterations: usize,
}

/// Clusters rows, `[rows, width]`, of which there must be `clusters` at least.
pub(super) fn train(rows: ArrayView2<f32>, clusters: usize, seed: u64) -> KMeans {
    let mut centroids = first_centroids(rows, clusters, seed);
    let mut labels = vec![u32::MAX; rows.nrows()];
    let mut nearest = vec![f32::INFINITY; rows.nrows()];
    let mut moved = vec![true; clusters];
    let still = TOLERANCE * mean_variance(rows);
    let mut iterations = 0;
    loop {
        let before = labels.clone();
        assign(rows, &centroids, &moved, &mut labels, &mut nearest);
        fill_empty(&mut labels, &mut nearest, clusters);
        moved = changed(&before, &labels, clusters);
        iterations += 1;
        if !moved.contains(&true) {
            break;
        }
        let shift = update(rows, &labels, &moved, &mut centroids);
        if shift <= still || iterations == ITERATIONS {
            assign(rows, &centroids, &moved, &mut labels, &mut nearest);
            break;
        }
    }
    let inertia = inertia(rows, &centroids, &labels);
    KMeans { centroids, inertia, iterations }
}

/// The nearest centroid of each row by squared distance, the first of equal ones.
pub(super) fn nearest(rows: ArrayView2<f32>, centroids: &Array2<f32>) -> Vec<u32> {
    let mut labels = vec![u32::MAX; rows.nrows()];
    let mut distances = vec![f32::INFINITY; rows.nrows()];
    let moved = vec![true; centroids.nrows()];
    assign(rows, centroids, &moved, &mut labels, &mut distances);
    labels
}

/// The least squared distance of each row to one of these centroids, less the row's own norm;
/// infinite where there is none.
pub(super) fn least(
    rows: ArrayView2<f32>,
    centroids: &Array2<f32>,
    places: Vec<usize>,
) -> Vec<f32> {
    let some = Candidates::new(centroids, places);
    let mut labels = vec![u32::MAX; rows.nrows()];
    let mut least = vec![f32::INFINITY; rows.nrows()];
    let blocks = labels.par_chunks_mut(ROWS).zip(least.par_chunks_mut(ROWS)).enumerate();
    blocks.for_each(|(block, (labels, least))| {
        let all: Vec<usize> = (0..labels.len()).collect();
        some.compare(rows, block * ROWS, &all, labels, least);
    });
    least
}

/// A number that depends on its arguments alone.
pub(super) fn mix(seed: u64, number: u64) -> u64 {
    splitmix64(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ number)
}

/// Greedy k-means++ on an even sample of the rows, as in scikit-learn: of some candidates, drawn by
/// the distances to the centroids before, the one becomes a centroid that leaves the least sum of
/// distances. Where very many are wanted, several are chosen at a time, each of candidates of its
/// own.
fn first_centroids(rows: ArrayView2<f32>, clusters: usize, seed: u64) -> Array2<f32> {
    let count = rows.nrows().min(clusters.saturating_mul(SEEDING));
    let places: Vec<usize> = (0..count).map(|at| at * rows.nrows() / count).collect();
    let sample = rows.select(Axis(0), &places);
    let norms: Vec<f32> = sample.outer_iter().map(|row| row.dot(&row)).collect();
    let trials = 2 + (clusters as f64).ln() as usize;
    let at_once = (clusters / 1024).clamp(1, 16);
    let mut distances = vec![1.0; count];
    let mut chosen: Vec<usize> = Vec::with_capacity(clusters);
    while chosen.len() < clusters {
        // Of the first there is nothing to compare: it is drawn.
        let (wanted, trials) = match chosen.len() {
            0 => (1, 1),
            before => (at_once.min(clusters - before), trials),
        };
        let drawn = draw(&distances, chosen.len() * trials, wanted * trials, seed);
        let limit = if chosen.is_empty() { &[][..] } else { &distances[..] };
        let left = distances_left(sample.view(), &norms, limit, &drawn);
        let sums = column_sums(&left, drawn.len());
        let best = |group: usize| {
            let own = group * trials..(group + 1) * trials;
            own.reduce(|a, b| if sums[b] < sums[a] { b } else { a }).unwrap_or(0)
        };
        let best: Vec<usize> = (0..wanted).map(best).collect();
        distances.par_iter_mut().zip(left.par_chunks(drawn.len())).for_each(|(distance, left)| {
            *distance = best.iter().map(|&at| left[at]).fold(f32::INFINITY, f32::min);
        });
        chosen.extend(best.iter().map(|&at| drawn[at]));
    }
    sample.select(Axis(0), &chosen)
}

/// Draws rows by their weights, the numbered draws of a seed.
fn draw(weights: &[f32], first: usize, wanted: usize, seed: u64) -> Vec<usize> {
    let mut sum = 0.0;
    let sums: Vec<f64> = weights
        .iter()
        .map(|&weight| {
            sum += f64::from(weight);
            sum
        })
        .collect();
    (first..first + wanted)
        .map(|number| {
            let draw = unit(mix(seed, number as u64));
            // Where all rows are some centroid already, any is as good.
            if sum > 0.0 {
                sums.partition_point(|&before| before <= draw * sum).min(weights.len() - 1)
            } else {
                number % weights.len()
            }
        })
        .collect()
}

/// The squared distance of each row to each of some rows, `[rows, drawn]`, where it is below the
/// row's limit, and else the limit.
fn distances_left(
    rows: ArrayView2<f32>,
    norms: &[f32],
    limits: &[f32],
    drawn: &[usize],
) -> Vec<f32> {
    let candidates = rows.select(Axis(0), drawn);
    let mut left = vec![0.0; rows.nrows() * drawn.len()];
    left.par_chunks_mut(ROWS * drawn.len()).enumerate().for_each(|(chunk, left)| {
        let first = chunk * ROWS;
        let products = rows.slice(s![first..first + left.len() / drawn.len(), ..]);
        let products = products.dot(&candidates.t());
        let places = (first..).zip(left.chunks_mut(drawn.len()));
        for (products, (row, left)) in products.outer_iter().zip(places) {
            let limit = limits.get(row).copied().unwrap_or(f32::INFINITY);
            for ((left, product), &other) in left.iter_mut().zip(products).zip(drawn) {
                let distance =
                    if row == other { 0.0 } else { norms[row] + norms[other] - 2.0 * product };
                *left = distance.clamp(0.0, limit);
            }
        }
    });
    left
}

/// Sums of the columns of numbers in rows of this width, in 64 bits, in an order that threads do
/// not change.
fn column_sums(numbers: &[f32], width: usize) -> Vec<f64> {
    let chunks: Vec<Vec<f64>> = numbers
        .par_chunks(ROWS * width)
        .map(|chunk| {
            let mut sums = vec![0.0; width];
            for row in chunk.chunks(width) {
                sums.iter_mut().zip(row).for_each(|(sum, &number)| *sum += f64::from(number));
            }
            sums
        })
        .collect();
    let mut sums = vec![0.0; width];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, number)| *sum += number);
    }
    sums
}

/// Gives each row its nearest centroid; rows of a centroid that stayed look only at those that
/// moved. `nearest` is the squared distance without the row's own norm.
fn assign(
    rows: ArrayView2<f32>,
    centroids: &Array2<f32>,
    moved: &[bool],
    labels: &mut [u32],
    nearest: &mut [f32],
) {
    let all: Vec<usize> = (0..moved.len()).collect();
    let some: Vec<usize> = all.iter().copied().filter(|&at| moved[at]).collect();
    let all = Candidates::new(centroids, all);
    let some = Candidates::new(centroids, some);
    let blocks = labels.par_chunks_mut(ROWS).zip(nearest.par_chunks_mut(ROWS)).enumerate();
    blocks.for_each(|(block, (labels, nearest))| {
        let first = block * ROWS;
        let stays = |label: u32| moved.get(label as usize).is_some_and(|moved| !moved);
        let (stayed, left): (Vec<usize>, Vec<usize>) =
            (0..labels.len()).partition(|&at| stays(labels[at]));
        for &at in &left {
            (labels[at], nearest[at]) = (u32::MAX, f32::INFINITY);
        }
        all.compare(rows, first, &left, labels, nearest);
        some.compare(rows, first, &stayed, labels, nearest);
    });
}

/// Centroids that rows are compared with.
struct Candidates {
    places: Vec<usize>,
    matrix: Array2<f32>,
    norms: Vec<f32>,
}

impl Candidates {
    fn new(centroids: &Array2<f32>, places: Vec<usize>) -> Self {
        let matrix = centroids.select(Axis(0), &places);
        let norms = matrix.outer_iter().map(|row| row.dot(&row)).collect();
        Self { places, matrix, norms }
    }

    fn compare(
        &self,
        rows: ArrayView2<f32>,
        first: usize,
        places: &[usize],
        labels: &mut [u32],
        nearest: &mut [f32],
    ) {
        if places.is_empty() || self.places.is_empty() {
            return;
        }
        let absolute: Vec<usize> = places.iter().map(|at| first + at).collect();
        let rows = rows.select(Axis(0), &absolute);
        for from in (0..self.places.len()).step_by(BLOCK) {
            let to = (from + BLOCK).min(self.places.len());
            let products = rows.dot(&self.matrix.slice(s![from..to, ..]).t());
            for (products, &at) in products.outer_iter().zip(places) {
                let mut best = (nearest[at], labels[at]);
                let candidates = self.norms[from..to].iter().zip(&self.places[from..to]);
                for (product, (norm, &place)) in products.iter().zip(candidates) {
                    let distance = norm - 2.0 * product;
                    if distance < best.0 || distance == best.0 && (place as u32) < best.1 {
                        best = (distance, place as u32);
                    }
                }
                (nearest[at], labels[at]) = best;
            }
        }
    }
}

/// Gives every centroid without rows the row that is farthest from its own, as scikit-learn does.
fn fill_empty(labels: &mut [u32], nearest: &mut [f32], clusters: usize) {
    let mut sizes = vec![0u32; clusters];
    labels.iter().for_each(|&label| sizes[label as usize] += 1);
    let empty: Vec<usize> = (0..clusters).filter(|&at| sizes[at] == 0).collect();
    for cluster in empty {
        let mut farthest: Option<usize> = None;
        for at in 0..labels.len() {
            let shared = sizes[labels[at] as usize] > 1;
            if shared && farthest.is_none_or(|other| nearest[at] > nearest[other]) {
                farthest = Some(at);
            }
        }
        let Some(at) = farthest else { return };
        sizes[labels[at] as usize] -= 1;
        sizes[cluster] = 1;
        (labels[at], nearest[at]) = (cluster as u32, f32::NEG_INFINITY);
    }
}

/// The clusters whose rows are others than before.
fn changed(before: &[u32], after: &[u32], clusters: usize) -> Vec<bool> {
    let mut changed = vec![false; clusters];
    for (&before, &after) in before.iter().zip(after).filter(|(before, after)| before != after) {
        changed[after as usize] = true;
        if let Some(changed) = changed.get_mut(before as usize) {
            *changed = true;
        }
    }
    changed
}

/// Moves centroids to the mean of their rows; returns by how much, squared, in all.
fn update(
    rows: ArrayView2<f32>,
    labels: &[u32],
    moved: &[bool],
    centroids: &mut Array2<f32>,
) -> f64 {
    let members = members(labels, moved.len());
    let width = centroids.ncols();
    let numbers = centroids.as_slice_mut().unwrap_or_default();
    let means = numbers.par_chunks_mut(width).enumerate().filter(|(at, _)| moved[*at]);
    let shifts: Vec<(usize, f64)> = means
        .map(|(at, centroid)| {
            let mut sum = vec![0.0f64; centroid.len()];
            for &row in members.rows_of(at) {
                let row = rows.row(row as usize);
                sum.iter_mut().zip(row).for_each(|(sum, &number)| *sum += f64::from(number));
            }
            let count = members.rows_of(at).len().max(1) as f64;
            let mut shift = 0.0;
            for (number, sum) in centroid.iter_mut().zip(sum) {
                let mean = (sum / count) as f32;
                shift += f64::from(mean - *number).powi(2);
                *number = mean;
            }
            (at, shift)
        })
        .collect();
    // In the order of clusters: the sum is the same on any number of threads.
    shifts.into_iter().map(|(_, shift)| shift).sum()
}

fn inertia(rows: ArrayView2<f32>, centroids: &Array2<f32>, labels: &[u32]) -> f64 {
    let each: Vec<f64> = labels
        .par_iter()
        .enumerate()
        .map(|(at, &label)| {
            let pairs = rows.row(at).into_iter().zip(centroids.row(label as usize));
            pairs.map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum()
        })
        .collect();
    each.iter().sum()
}

/// The mean over columns of their variances.
fn mean_variance(rows: ArrayView2<f32>) -> f64 {
    let mut sums = vec![(0.0f64, 0.0f64); rows.ncols()];
    for row in rows.outer_iter() {
        for (sum, &number) in sums.iter_mut().zip(row) {
            let number = f64::from(number);
            *sum = (sum.0 + number, sum.1 + number * number);
        }
    }
    let count = rows.nrows().max(1) as f64;
    let variances = sums.iter().map(|(sum, square)| square / count - (sum / count).powi(2));
    variances.sum::<f64>() / rows.ncols().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows around some centres.
    fn rows(count: usize, width: usize, centres: u64, noise: f32) -> Array2<f32> {
        let number = |seed, at: u64| (mix(seed, at) >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        Array2::from_shape_fn((count, width), |(row, column)| {
            let centre = mix(9, row as u64) % centres;
            let own = number(1, centre * 1000 + column as u64);
            own + noise * number(2, (row * width + column) as u64)
        })
    }

    #[test]
    fn skipped_comparisons_change_no_label() {
        let rows = rows(3000, 16, 40, 0.8);
        let trained = train(rows.view(), 40, 3);
        // Plain Lloyd iterations from the same start.
        let mut centroids = first_centroids(rows.view(), 40, 3);
        let still = TOLERANCE * mean_variance(rows.view());
        let mut iterations = 0;
        loop {
            let labels = nearest(rows.view(), &centroids);
            iterations += 1;
            if update(rows.view(), &labels, &[true; 40], &mut centroids) <= still {
                break;
            }
        }
        assert_eq!((trained.iterations, &trained.centroids), (iterations, &centroids));
        assert!(iterations > 3, "{iterations}");
    }

    #[test]
    fn clear_clusters_are_found_on_any_number_of_threads() {
        let rows = rows(2000, 8, 12, 0.02);
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| train(rows.view(), 12, 5))
        };
        let (one, three) = (on(1), on(3));
        assert_eq!(one.centroids, three.centroids);
        assert_eq!(one.inertia, three.inertia);
        // Each coordinate has a variance of 0.02^2 / 3.
        let expected = 2000.0 * 8.0 * 0.02f64.powi(2) / 3.0;
        assert!(one.inertia < 1.05 * expected, "{} {expected}", one.inertia);
    }

    #[test]
    fn as_many_clusters_as_rows_or_as_different_rows() {
        let all = rows(20, 4, 20, 0.1);
        assert!(train(all.view(), 20, 1).inertia < 1e-9);
        let same = Array2::from_elem((10, 3), 0.5f32);
        let trained = train(same.view(), 4, 1);
        assert!(trained.inertia == 0.0 && trained.centroids.iter().all(|c| c.is_finite()));
    }
}
