//! Limited-memory BFGS with a strong Wolfe line search (Nocedal and Wright, algorithms 7.4 and
//! 7.5).

use super::line;

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub struct Stop {
    /// The largest entry of the gradient that counts as none.
    pub gradient: f64,
    /// The relative change of the value that counts as none.
    pub change: f64,
    /// Most iterations.
    pub iterations: usize,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Minimum {
    /// The place.
    pub x: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// Iterations that it took.
    pub iterations: usize,
    /// Whether it stopped because there was nothing left to gain.
    pub converged: bool,
}

/// Pairs of steps that are remembered (SciPy's default).
const MEMORY: usize = 10;

struct Point {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// Minimises `f`, which writes its gradient and returns its value. `size` gets the gradient and
/// says how large it is: with a change of variables, that of the original ones decides.
pub fn minimise(
    start: Vec<f64>,
    stop: Stop,
    size: impl Fn(&[f64]) -> f64,
    mut f: impl FnMut(&[f64], &mut [f64]) -> f64,
) -> Minimum {
    let mut evaluate = |x: Vec<f64>| {
        let mut gradient = vec![0.0; x.len()];
        let value = f(&x, &mut gradient);
        Point { x, value, gradient }
    };
    let mut at = evaluate(start);
    let mut pairs: std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)> =
        std::collections::VecDeque::new();
    let (mut iterations, mut converged) = (0, false);
    while iterations < stop.iterations {
        if size(&at.gradient) <= stop.gradient {
            converged = true;
            break;
        }
        let mut direction = direction(&at.gradient, &pairs);
        let mut slope = dot(&direction, &at.gradient);
        if slope >= 0.0 {
            pairs.clear();
            direction = at.gradient.iter().map(|g| -g).collect();
            slope = -dot(&at.gradient, &at.gradient);
        }
        let first = if pairs.is_empty() {
            1.0f64.min(1.0 / dot(&direction, &direction).sqrt())
        } else {
            1.0
        };
        let Some(next) = search(&at, &direction, slope, first, &mut evaluate) else {
            // Nothing lower along the best direction: the arithmetic is exhausted.
            if pairs.is_empty() {
                converged = true;
                break;
            }
            pairs.clear();
            continue;
        };
        iterations += 1;
        let step: Vec<f64> = next.x.iter().zip(&at.x).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next.gradient.iter().zip(&at.gradient).map(|(a, b)| a - b).collect();
        let curvature = dot(&step, &change);
        if curvature > 1e-12 * dot(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((step, change, 1.0 / curvature));
        }
        let gained = (at.value - next.value) / at.value.abs().max(next.value.abs()).max(1.0);
        at = next;
        if gained <= stop.change {
            converged = true;
            break;
        }
    }
    Minimum { x: at.x, value: at.value, iterations, converged }
}

/// The two-loop recursion.
fn direction(
    gradient: &[f64],
    pairs: &std::collections::VecDeque<(Vec<f64>, Vec<f64>, f64)>,
) -> Vec<f64> {
    let mut q: Vec<f64> = gradient.iter().map(|g| -g).collect();
    let mut weights = Vec::with_capacity(pairs.len());
    for (step, change, rho) in pairs.iter().rev() {
        let weight = rho * dot(step, &q);
        axpy(-weight, change, &mut q);
        weights.push(weight);
    }
    if let Some((step, change, _)) = pairs.back() {
        let scale = dot(step, change) / dot(change, change);
        q.iter_mut().for_each(|value| *value *= scale);
    }
    for ((step, change, rho), weight) in pairs.iter().zip(weights.into_iter().rev()) {
        let other = rho * dot(change, &q);
        axpy(weight - other, step, &mut q);
    }
    q
}

/// The last step of the line search where it is good; else the lowest that was seen; none where
/// none is lower.
fn search(
    from: &Point,
    direction: &[f64],
    slope: f64,
    first: f64,
    evaluate: &mut impl FnMut(Vec<f64>) -> Point,
) -> Option<Point> {
    let mut lowest: Option<Point> = None;
    let mut last: Option<Point> = None;
    let good = line::search(from.value, slope, first, |length| {
        let x = from.x.iter().zip(direction).map(|(x, d)| x + length * d).collect();
        let point = evaluate(x);
        let found = (point.value, dot(&point.gradient, direction));
        if let Some(before) = last.replace(point)
            && before.value < lowest.as_ref().map_or(from.value, |p| p.value)
        {
            lowest = Some(before);
        }
        found
    });
    if good {
        last
    } else {
        last.filter(|p| p.value < from.value && lowest.as_ref().is_none_or(|l| p.value < l.value))
            .or(lowest)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn axpy(scale: f64, x: &[f64], y: &mut [f64]) {
    y.iter_mut().zip(x).for_each(|(y, x)| *y += scale * x);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rosenbrocks_valley_is_walked_to_its_end() {
        let found = minimise(
            vec![-1.2, 1.0, -1.2, 1.0],
            Stop { gradient: 1e-10, change: 0.0, iterations: 500 },
            |gradient| gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs())),
            |x, gradient| {
                let mut value = 0.0;
                for at in [0, 2] {
                    let (a, b) = (1.0 - x[at], x[at + 1] - x[at] * x[at]);
                    value += a * a + 100.0 * b * b;
                    gradient[at] = -2.0 * a - 400.0 * x[at] * b;
                    gradient[at + 1] = 200.0 * b;
                }
                value
            },
        );
        assert!(found.converged && found.iterations < 100, "{found:?}");
        assert!(found.x.iter().all(|x| (x - 1.0).abs() < 1e-8), "{found:?}");
    }
}
