//! The line search of Moré and Thuente (1994), with the constants of SciPy's L-BFGS-B.

const DECREASE: f64 = 1e-3;
const CURVATURE: f64 = 0.9;
const LONGEST: f64 = 1e10;
const EVALUATIONS: usize = 50;

/// A step: its length, the value there, and the slope along the direction.
#[derive(Clone, Copy)]
struct Step {
    at: f64,
    value: f64,
    slope: f64,
}

/// Looks along a line from `value` with `slope` (below zero), first at `first`; `evaluate` gives
/// value and slope at a length. Returns whether a step that is low and flat enough was the last
/// that was evaluated.
pub(super) fn search(
    value: f64,
    slope: f64,
    first: f64,
    mut evaluate: impl FnMut(f64) -> (f64, f64),
) -> bool {
    let test = DECREASE * slope;
    let (mut best, mut other) = (Step { at: 0.0, value, slope }, Step { at: 0.0, value, slope });
    let (mut bracketed, mut first_stage) = (false, true);
    let (mut width, mut width_before) = (LONGEST, 2.0 * LONGEST);
    let (mut low, mut high) = (0.0, 5.0 * first);
    let mut at = first;
    for _ in 0..EVALUATIONS {
        let (value_here, slope_here) = evaluate(at);
        let limit = value + at * test;
        if first_stage && value_here <= limit && slope_here >= 0.0 {
            first_stage = false;
        }
        if value_here <= limit && slope_here.abs() <= CURVATURE * -slope {
            return true;
        }
        if !value_here.is_finite() || bracketed && (at <= low || at >= high) {
            return false;
        }
        let here = Step { at, value: value_here, slope: slope_here };
        if first_stage && value_here <= best.value && value_here > limit {
            // Of the function less its line of sufficient decrease.
            let less = |s: Step| Step { value: s.value - s.at * test, slope: s.slope - test, ..s };
            let more = |s: Step| Step { value: s.value + s.at * test, slope: s.slope + test, ..s };
            let (mut b, mut o) = (less(best), less(other));
            at = next(&mut b, &mut o, less(here), &mut bracketed, (low, high));
            (best, other) = (more(b), more(o));
        } else {
            at = next(&mut best, &mut other, here, &mut bracketed, (low, high));
        }
        if bracketed {
            let apart = (other.at - best.at).abs();
            if apart >= 0.66 * width_before {
                at = best.at + 0.5 * (other.at - best.at);
            }
            width_before = width;
            width = apart;
            (low, high) = (best.at.min(other.at), best.at.max(other.at));
        } else {
            (low, high) = (at + 1.1 * (at - best.at), at + 4.0 * (at - best.at));
        }
        at = at.clamp(0.0, LONGEST);
        if bracketed && (at <= low || at >= high || high - low <= 0.1 * high) {
            at = best.at;
        }
    }
    false
}

/// The next length, from the best step, the other end of the interval and the step here; updates
/// both ends.
fn next(
    best: &mut Step,
    other: &mut Step,
    here: Step,
    bracketed: &mut bool,
    (low, high): (f64, f64),
) -> f64 {
    let (x, p) = (*best, here);
    let turned = p.slope * x.slope.signum();
    // The cubic through two steps: its place between them, seen from the second argument.
    let gamma = |a: Step, b: Step| {
        let theta = 3.0 * (a.value - b.value) / (b.at - a.at) + a.slope + b.slope;
        let scale = theta.abs().max(a.slope.abs()).max(b.slope.abs());
        let square = (theta / scale).powi(2) - (a.slope / scale) * (b.slope / scale);
        (theta, scale * square.max(0.0).sqrt())
    };
    let secant = p.at + p.slope / (p.slope - x.slope) * (x.at - p.at);
    let found = if p.value > x.value {
        let (theta, root) = gamma(x, p);
        let root = if p.at < x.at { -root } else { root };
        let share = ((root - x.slope) + theta) / (((root - x.slope) + root) + p.slope);
        let cubic = x.at + share * (p.at - x.at);
        let rise = (x.value - p.value) / (p.at - x.at) + x.slope;
        let square = x.at + x.slope / rise / 2.0 * (p.at - x.at);
        *bracketed = true;
        if (cubic - x.at).abs() < (square - x.at).abs() {
            cubic
        } else {
            cubic + (square - cubic) / 2.0
        }
    } else if turned < 0.0 {
        let (theta, root) = gamma(x, p);
        let root = if p.at > x.at { -root } else { root };
        let share = ((root - p.slope) + theta) / (((root - p.slope) + root) + x.slope);
        let cubic = p.at + share * (x.at - p.at);
        *bracketed = true;
        if (cubic - p.at).abs() > (secant - p.at).abs() { cubic } else { secant }
    } else if p.slope.abs() < x.slope.abs() {
        let (theta, root) = gamma(x, p);
        let root = if p.at > x.at { -root } else { root };
        let share = ((root - p.slope) + theta) / ((root + (x.slope - p.slope)) + root);
        let cubic = if share < 0.0 && root != 0.0 {
            p.at + share * (x.at - p.at)
        } else if p.at > x.at {
            high
        } else {
            low
        };
        let nearer = (cubic - p.at).abs() < (secant - p.at).abs();
        if *bracketed {
            let inside = if nearer { cubic } else { secant };
            let edge = p.at + 0.66 * (other.at - p.at);
            if p.at > x.at { inside.min(edge) } else { inside.max(edge) }
        } else {
            let outside = if nearer { secant } else { cubic };
            outside.clamp(low, high)
        }
    } else if *bracketed {
        let y = *other;
        let (theta, root) = gamma(p, y);
        let root = if p.at > y.at { -root } else { root };
        let share = ((root - p.slope) + theta) / (((root - p.slope) + root) + y.slope);
        p.at + share * (y.at - p.at)
    } else if p.at > x.at {
        high
    } else {
        low
    };
    if p.value > x.value {
        *other = p;
    } else {
        if turned < 0.0 {
            *other = x;
        }
        *best = p;
    }
    found
}
