//! Plots as SVG: points in logit space, and bars.

use clip_report::escape;
use clip_stats::robustness::{logit, sigmoid};

const SIZE: f64 = 420.0;
const EDGE: f64 = 44.0;
/// Accuracies at the axes' ticks.
const TICKS: [f64; 11] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95];

/// Models as points, the line of the standard ones, and one model beside it.
pub struct Scatter<'a> {
    /// The standard models' accuracies.
    pub points: &'a [(f64, f64)],
    /// Slope and intercept in logit space.
    pub line: (f64, f64),
    /// The model.
    pub own: (f64, f64),
}

impl Scatter<'_> {
    /// The drawing.
    pub fn svg(&self) -> String {
        let all = || self.points.iter().copied().chain([self.own]);
        let (x0, x1) = bounds(all().map(|p| p.0));
        let (y0, y1) = bounds(all().map(|p| p.1));
        let px = |a: f64| EDGE + (logit(a) - x0) / (x1 - x0) * (SIZE - 2.0 * EDGE);
        let py = |a: f64| SIZE - EDGE - (logit(a) - y0) / (y1 - y0) * (SIZE - 2.0 * EDGE);
        let mut svg = format!(
            "<svg viewBox=\"0 0 {SIZE} {SIZE}\" style=\"max-width:{SIZE}px\" role=\"img\">\n"
        );
        for tick in TICKS {
            if (x0..=x1).contains(&logit(tick)) {
                svg.push_str(&format!(
                    "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{:.0}%</text>\n",
                    px(tick),
                    SIZE - EDGE + 16.0,
                    100.0 * tick
                ));
            }
            if (y0..=y1).contains(&logit(tick)) {
                svg.push_str(&format!("<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.0}%</text>\n<line x1=\"{EDGE}\" x2=\"{}\" y1=\"{:.1}\" y2=\"{:.1}\" stroke=\"#8884\"/>\n", EDGE - 6.0, py(tick) + 4.0, 100.0 * tick, SIZE - EDGE, py(tick), py(tick)));
            }
        }
        let (slope, intercept) = self.line;
        let ends = [x0, x1].map(|x| (px(sigmoid(x)), py(sigmoid(slope * x + intercept))));
        svg.push_str(&format!(
            "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"#3b7dd8\"/>\n",
            ends[0].0, ends[0].1, ends[1].0, ends[1].1
        ));
        for &(x, y) in self.points {
            svg.push_str(&format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"2.5\" fill=\"#3b7dd8aa\"/>\n",
                px(x),
                py(y)
            ));
        }
        svg.push_str(&format!(
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"6\" fill=\"#d9825b\"/>\n",
            px(self.own.0),
            py(self.own.1)
        ));
        svg.push_str(&format!("<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"middle\">accuracy on ImageNet</text>\n</svg>\n", SIZE / 2.0, SIZE - 6.0));
        svg
    }
}

/// Ends of an axis in logit space, a little beyond the points.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let inside = values.filter(|v| *v > 0.0 && *v < 1.0).map(logit);
    let (low, high) =
        inside.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low.is_finite() { (low - 0.2, high + 0.2) } else { (-1.0, 1.0) }
}

/// Named values as bars from a common zero; values are shares, shown in points.
pub fn bars(values: &[(String, f64)]) -> String {
    if values.is_empty() {
        return String::new();
    }
    let most = values.iter().fold(0.01f64, |most, (_, v)| most.max(v.abs()));
    let low = values.iter().fold(0.0f64, |low, (_, v)| low.min(*v));
    // A letter of 11 px is some 6 px wide.
    let letters = values.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let (left, width) = ((6.2 * letters as f64 + 12.0).max(150.0), 480.0);
    let span = most - low.min(0.0);
    let at = |v: f64| left + (v - low) / span * width;
    let height = 20.0 * values.len() as f64 + 10.0;
    let mut svg =
        format!("<svg viewBox=\"0 0 {:.0} {height}\" role=\"img\">\n", left + width + 90.0);
    for (row, (name, value)) in values.iter().enumerate() {
        let y = 20.0 * row as f64 + 5.0;
        let (a, b) = (at(value.min(0.0)), at(value.max(0.0)));
        let colour = if *value < 0.0 { "#d9825b" } else { "#3b7dd8" };
        svg.push_str(&format!(
            "<text x=\"{:.0}\" y=\"{:.0}\" text-anchor=\"end\">{}</text><rect x=\"{a:.1}\" y=\"{y}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/><text x=\"{:.1}\" y=\"{:.0}\">{:+.1}</text>\n",
            left - 8.0, y + 12.0, escape(name), b - a, at(value.max(0.0)) + 6.0, y + 12.0, 100.0 * value
        ));
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_hold_numbers_only() {
        let points = [(0.7, 0.6), (0.8, 0.7)];
        let svg = Scatter { points: &points, line: (1.0, -0.5), own: (0.76, 0.0) }.svg();
        assert!(svg.matches("<circle").count() == 3);
        let drawn = bars(&[("<a>".into(), 0.1), ("b".into(), -0.2)]);
        assert!(
            drawn.contains("&lt;a&gt;") && !drawn.contains("NaN") && drawn.contains("-20.0"),
            "{drawn}"
        );
    }
}
