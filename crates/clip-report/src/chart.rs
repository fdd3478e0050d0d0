//! Line charts as SVG.

use crate::page::escape;

/// One line of a chart.
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points, x ascending.
    pub points: Vec<(f64, f64)>,
}

const COLOURS: [&str; 3] = ["#3b7dd8", "#d9825b", "#4f9d69"];
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 260.0;
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 28.0;

/// A chart of lines over a common x axis, which is logarithmic when `log_x`; empty without two
/// points.
pub fn line_chart(lines: &[Line], x_name: &str, log_x: bool) -> String {
    let at = |x: f64| if log_x { x.max(1.0).log10() } else { x };
    let points = || lines.iter().flat_map(|line| &line.points).filter(|p| p.1.is_finite());
    if points().count() < 2 {
        return String::new();
    }
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (x0, x1) = bounds(&mut points().map(|p| at(p.0)));
    let (y0, y1) = bounds(&mut points().map(|p| p.1));
    let y0 = y0.min(0.0);
    let (width, height) = (WIDTH - LEFT - 12.0, HEIGHT - BOTTOM - 16.0);
    let px = |x: f64| LEFT + (at(x) - x0) / (x1 - x0).max(1e-12) * width;
    let py = |y: f64| 16.0 + (1.0 - (y - y0) / (y1 - y0).max(1e-12)) * height;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    for step in 0..=4 {
        let y = y0 + (y1 - y0) * f64::from(step) / 4.0;
        let (at, end) = (py(y), WIDTH - 12.0);
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#8884\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
            LEFT - 6.0,
            at + 4.0,
            short(y)
        ));
    }
    for step in 0..=4 {
        let scaled = x0 + (x1 - x0) * f64::from(step) / 4.0;
        let x = if log_x { 10f64.powf(scaled) } else { scaled };
        let (at, y) = (LEFT + width * f64::from(step) / 4.0, HEIGHT - 10.0);
        let anchor = ["start", "middle", "middle", "middle", "end"][step as usize];
        svg.push_str(&format!(
            "<text x=\"{at:.0}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>\n",
            short(x)
        ));
    }
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let path: Vec<String> = line
            .points
            .iter()
            .filter(|p| p.1.is_finite())
            .map(|&(x, y)| format!("{:.1},{:.1}", px(x), py(y)))
            .collect();
        svg.push_str(&format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" points=\"{}\"/>\n",
            path.join(" ")
        ));
    }
    for (at, (line, colour)) in lines.iter().zip(COLOURS.iter().cycle()).enumerate() {
        let x = LEFT + 12.0 + 150.0 * at as f64;
        svg.push_str(&format!(
            "<rect x=\"{x}\" y=\"2\" width=\"10\" height=\"10\" fill=\"{colour}\"/>\
             <text x=\"{}\" y=\"11\">{}</text>\n",
            x + 15.0,
            escape(&line.name)
        ));
    }
    svg.push_str(&format!(
        "<text x=\"{}\" y=\"11\" text-anchor=\"end\">{}</text>\n</svg>\n",
        WIDTH - 12.0,
        escape(x_name)
    ));
    svg
}

/// How values are spread: all pairs of each bin, those that were kept in another colour, and the
/// cut upright in it. Empty without pairs.
pub fn histogram(
    name: &str,
    (from, to): (f64, f64),
    pairs: &[u64],
    kept: &[u64],
    cut: Option<f64>,
) -> String {
    let most = pairs.iter().copied().max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let (width, height) = (WIDTH - LEFT - 12.0, HEIGHT - BOTTOM - 16.0);
    let base = HEIGHT - BOTTOM;
    let bar = width / pairs.len() as f64;
    let mut svg = format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\">\n");
    let mut bars = |counts: &[u64], colour: &str| {
        for (at, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            // Few pairs are seen as well.
            let tall = (count as f64 / most as f64 * height).max(1.0);
            svg.push_str(&format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"{colour}\"/>\n",
                LEFT + bar * at as f64,
                base - tall,
                (bar - 0.5).max(0.5)
            ));
        }
    };
    bars(pairs, COLOURS[1]);
    bars(kept, COLOURS[0]);
    let x = |value: f64| LEFT + (value - from) / (to - from).max(f64::MIN_POSITIVE) * width;
    if let Some(cut) = cut.filter(|cut| (from..=to).contains(cut)) {
        let x = x(cut).clamp(LEFT, LEFT + width);
        svg.push_str(&format!(
            "<line class=\"cut\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"16\" y2=\"{base}\" stroke=\"currentColor\" stroke-dasharray=\"4 3\"/>\n"
        ));
    }
    for (value, x, anchor) in [(from, LEFT, "start"), (to, WIDTH - 12.0, "end")] {
        let y = HEIGHT - 10.0;
        let value = short(value);
        svg.push_str(&format!(
            "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{value}</text>\n"
        ));
    }
    let legend = [("kept", COLOURS[0]), ("dropped", COLOURS[1])];
    // Where nothing can be dropped there are no two colours to name.
    let legend = legend.into_iter().filter(|_| cut.is_some() || pairs != kept);
    for (at, (name, colour)) in legend.enumerate() {
        let x = LEFT + 12.0 + 90.0 * at as f64;
        svg.push_str(&format!(
            "<rect x=\"{x}\" y=\"2\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"11\">{name}</text>\n",
            x + 15.0
        ));
    }
    let (x, name) = (WIDTH - 12.0, escape(name));
    svg.push_str(&format!(
        "<text x=\"{x}\" y=\"11\" text-anchor=\"end\">{name}, up to {most} pairs</text>\n</svg>\n"
    ));
    svg
}

fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 1e6 => format!("{:.1}M", value / 1e6),
        v if v >= 1e4 => format!("{:.0}k", value / 1e3),
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stay_inside_and_gaps_are_left_out() {
        let line = |points: &[(f64, f64)]| Line { name: "a".into(), points: points.to_vec() };
        assert_eq!(line_chart(&[line(&[(1.0, 2.0)])], "x", false), "");
        let chart = line_chart(&[line(&[(0.0, 1.0), (5.0, f64::NAN), (10.0, 3.0)])], "x", false);
        assert!(
            chart.contains(&format!("points=\"48.0,{:.1} 708.0,16.0\"", 16.0 + 216.0 * 2.0 / 3.0)),
            "{chart}"
        );
    }
}
