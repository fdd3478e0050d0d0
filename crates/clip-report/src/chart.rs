//! Line charts and histograms as SVG, with the names and units of their axes.

use crate::markup::{escape, grouped};

/// One line of a chart.
pub struct Line {
    /// Its name in the legend.
    pub name: String,
    /// Its points, x ascending.
    pub points: Vec<(f64, f64)>,
}

/// What an axis shows.
#[derive(Debug, Clone, Copy)]
pub struct Axis<'a> {
    /// What is measured, with its unit.
    pub name: &'a str,
    /// How its values are written and spaced.
    pub scale: Scale,
}

/// How the values of an axis are written and spaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scale {
    /// Numbers, evenly.
    Linear,
    /// Numbers from 1 on, by their logarithm.
    Log,
    /// Shares, as percentages.
    Share,
}

const COLOURS: [&str; 6] = ["#3b7dd8", "#d9825b", "#4f9d69", "#9a6dd7", "#c2598b", "#7d8590"];
const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 290.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
/// Room for the name of the vertical axis and the legend.
const TOP: f64 = 26.0;
/// Room for the ticks and the name of the horizontal axis.
const BOTTOM: f64 = 42.0;
/// Values at an axis, at most (and one more).
const MOST_TICKS: f64 = 5.0;
/// Room for an entry of the legend.
const ENTRY: f64 = 120.0;

/// Where values are in a chart.
struct Frame {
    x: (f64, f64),
    y: (f64, f64),
}

impl Frame {
    const WIDTH: f64 = WIDTH - LEFT - RIGHT;
    const HEIGHT: f64 = HEIGHT - TOP - BOTTOM;

    fn x(&self, x: f64) -> f64 {
        LEFT + (x - self.x.0) / (self.x.1 - self.x.0).max(1e-12) * Self::WIDTH
    }

    fn y(&self, y: f64) -> f64 {
        TOP + (1.0 - (y - self.y.0) / (self.y.1 - self.y.0).max(1e-12)) * Self::HEIGHT
    }
}

impl Axis<'_> {
    /// Where a value is along the axis.
    fn at(&self, value: f64) -> f64 {
        if self.scale == Scale::Log { value.max(1.0).log10() } else { value }
    }

    /// Round places along the axis between two, with their texts: multiples of 1, 2 or 5 times a
    /// power of ten, and of a logarithm whole decades where there are two.
    fn ticks(&self, (low, high): (f64, f64), least: f64) -> Vec<(f64, String)> {
        let range = (high - low).max(1e-12);
        let least = least.max(range / MOST_TICKS);
        let power = 10f64.powf(least.log10().floor());
        let round = [1.0, 2.0, 5.0, 10.0].map(|times| times * power);
        let next = round.into_iter().find(|step| *step >= least * (1.0 - 1e-9));
        let decades = (high + 1e-9).floor() - (low - 1e-9).ceil() >= 1.0;
        let step = match next.unwrap_or(10.0 * power) {
            step if self.scale == Scale::Log && decades => step.max(1.0),
            step => step,
        };
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        let places = (0..=(last - first).max(0.0) as u32).map(|at| (first + f64::from(at)) * step);
        places.map(|at| (at, self.tick(at, step))).collect()
    }

    /// The text of the value at a place along the axis whose ticks are a step apart.
    fn tick(&self, at: f64, step: f64) -> String {
        match self.scale {
            Scale::Linear => short(at, step),
            Scale::Log => short(10f64.powf(at), 10f64.powf(at) * step.min(1.0)),
            Scale::Share => format!("{}%", short(100.0 * at, 100.0 * step)),
        }
    }
}

/// A chart of lines over a common horizontal axis; empty without two points.
pub fn line_chart(lines: &[Line], x: Axis, y: Axis) -> String {
    let points = || lines.iter().flat_map(|line| &line.points).filter(|p| p.1.is_finite());
    if points().count() < 2 {
        return String::new();
    }
    let bounds = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
    };
    let (low, high) = bounds(&mut points().map(|p| y.at(p.1)));
    let frame = Frame { x: bounds(&mut points().map(|p| x.at(p.0))), y: (low.min(0.0), high) };
    let mut svg = begin(x.name, y.name);
    ticks(&mut svg, &frame, x, y, 0.0);
    let coloured = || lines.iter().zip(COLOURS.iter().cycle());
    for (line, colour) in coloured() {
        let path: Vec<String> = line
            .points
            .iter()
            .filter(|p| p.1.is_finite())
            .map(|p| format!("{:.1},{:.1}", frame.x(x.at(p.0)), frame.y(y.at(p.1))))
            .collect();
        svg.push_str(&format!(
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.6\" points=\"{}\"/>\n",
            path.join(" ")
        ));
    }
    legend(
        &mut svg,
        &coloured().map(|(line, colour)| (line.name.as_str(), *colour)).collect::<Vec<_>>(),
    );
    svg + "</svg>\n"
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
    let to = to.max(from + f64::MIN_POSITIVE);
    let frame = Frame { x: (from, to), y: (0.0, most as f64) };
    let (x, y) =
        (Axis { name, scale: Scale::Linear }, Axis { name: "pairs", scale: Scale::Linear });
    let mut svg = begin(name, y.name);
    ticks(&mut svg, &frame, x, y, 1.0);
    let bar = Frame::WIDTH / pairs.len() as f64;
    let mut bars = |counts: &[u64], colour: &str| {
        for (at, &count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            // Few pairs are seen as well.
            let tall = (count as f64 / most as f64 * Frame::HEIGHT).max(1.0);
            svg.push_str(&format!(
                "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{tall:.1}\" fill=\"{colour}\"/>\n",
                LEFT + bar * at as f64,
                frame.y(0.0) - tall,
                (bar - 0.5).max(0.5)
            ));
        }
    };
    bars(pairs, COLOURS[1]);
    bars(kept, COLOURS[0]);
    if let Some(cut) = cut.filter(|cut| (from..=to).contains(cut)) {
        let (x, base) = (frame.x(cut).clamp(LEFT, LEFT + Frame::WIDTH), frame.y(0.0));
        svg.push_str(&format!(
            "<line class=\"cut\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{TOP}\" y2=\"{base}\" stroke=\"currentColor\" stroke-dasharray=\"4 3\"/>\n"
        ));
    }
    // Where nothing can be dropped there are no two colours to name.
    if cut.is_some() || pairs != kept {
        legend(&mut svg, &[("kept", COLOURS[0]), ("dropped", COLOURS[1])]);
    }
    svg + "</svg>\n"
}

/// The head of a chart with the names of its axes. It is a file of its own as well.
fn begin(x_name: &str, y_name: &str) -> String {
    let (x_name, y_name) = (escape(x_name), escape(y_name));
    let (middle, below) = (LEFT + Frame::WIDTH / 2.0, HEIGHT - 6.0);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{y_name} by {x_name}\" font-family=\"sans-serif\" font-size=\"11\">\n\
         <text x=\"4\" y=\"11\">{y_name}</text>\
         <text x=\"{middle}\" y=\"{below}\" text-anchor=\"middle\">{x_name}</text>\n"
    )
}

/// Lines across the chart with the values of both axes; those upright are at least `least` apart.
fn ticks(svg: &mut String, frame: &Frame, x: Axis, y: Axis, least: f64) {
    for (value, text) in y.ticks(frame.y, least) {
        let (at, end) = (frame.y(value), WIDTH - RIGHT);
        svg.push_str(&format!(
            "<line x1=\"{LEFT}\" x2=\"{end}\" y1=\"{at:.1}\" y2=\"{at:.1}\" stroke=\"#8884\"/>\
             <text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>\n",
            LEFT - 6.0,
            at + 4.0,
        ));
    }
    for (value, text) in x.ticks(frame.x, 0.0) {
        let (at, below) = (frame.x(value), HEIGHT - BOTTOM + 16.0);
        // Nothing is cut off at the edge.
        let anchor = if at > WIDTH - RIGHT - ENTRY / 4.0 { "end" } else { "middle" };
        svg.push_str(&format!(
            "<text x=\"{at:.0}\" y=\"{below}\" text-anchor=\"{anchor}\">{text}</text>\n",
        ));
    }
}

/// Names and colours, at the upper right.
fn legend(svg: &mut String, entries: &[(&str, &str)]) {
    for (at, (name, colour)) in entries.iter().enumerate() {
        let x = WIDTH - RIGHT - ENTRY * (entries.len() - at) as f64;
        svg.push_str(&format!(
            "<rect x=\"{x}\" y=\"2\" width=\"10\" height=\"10\" fill=\"{colour}\"/><text x=\"{}\" y=\"11\">{}</text>\n",
            x + 15.0,
            escape(name)
        ));
    }
}

/// A value with as many digits as the step to the next one needs.
fn short(value: f64, step: f64) -> String {
    let millions = value.abs() >= 1e6;
    let unit = if millions { 1e6 } else { 1.0 };
    let digits =
        (unit / step.abs().max(1e-12)).log10().ceil().max(if millions { 1.0 } else { 0.0 });
    let text = format!("{:.*}", digits as usize, value.abs() / unit);
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let whole = whole.parse().map_or_else(|_| whole.to_owned(), grouped);
    let rest = if millions { rest } else { rest.trim_end_matches('0') };
    let (point, sign) =
        (if rest.is_empty() { "" } else { "." }, if value < 0.0 { "-" } else { "" });
    format!("{sign}{whole}{point}{rest}{}", if millions { "M" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Axis = Axis { name: "step", scale: Scale::Linear };

    #[test]
    fn lines_stay_inside_and_gaps_are_left_out() {
        let line = |points: &[(f64, f64)]| Line { name: "a".into(), points: points.to_vec() };
        assert_eq!(line_chart(&[line(&[(1.0, 2.0)])], STEP, STEP), "");
        let chart = line_chart(&[line(&[(0.0, 1.0), (5.0, f64::NAN), (10.0, 3.0)])], STEP, STEP);
        let middle = TOP + Frame::HEIGHT * 2.0 / 3.0;
        assert!(chart.contains(&format!("points=\"52.0,{middle:.1} 708.0,26.0\"")), "{chart}");
    }

    #[test]
    fn values_at_the_axes_are_round() {
        let ticks = |scale, bounds, least| {
            let axis = Axis { name: "", scale };
            axis.ticks(bounds, least)
                .into_iter()
                .map(|(_, text)| text)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(ticks(Scale::Linear, (0.5, 366.0), 0.0), "100 200 300");
        assert_eq!(ticks(Scale::Linear, (0.0, 3.37), 0.0), "0 1 2 3");
        assert_eq!(ticks(Scale::Linear, (-0.3, 0.31), 0.0), "-0.2 0 0.2");
        assert_eq!(ticks(Scale::Linear, (0.0, 2.0), 1.0), "0 1 2");
        assert_eq!(ticks(Scale::Share, (0.0, 1.0), 0.0), "0% 20% 40% 60% 80% 100%");
        assert_eq!(ticks(Scale::Log, (0.0, 4.3), 0.0), "1 10 100 1,000 10,000");
        assert_eq!(ticks(Scale::Linear, (7.0, 7.0), 0.0), "7");
        assert_eq!(ticks(Scale::Linear, (0.9961, 1.0), 0.0), "0.997 0.998 0.999 1");
        assert_eq!(ticks(Scale::Linear, (1e6, 1.04e6), 0.0), "1.00M 1.01M 1.02M 1.03M 1.04M");
        assert_eq!(ticks(Scale::Linear, (640.0, 641.0), 0.0), "640 640.2 640.4 640.6 640.8 641");
    }

    #[test]
    fn axes_have_names_and_units_and_a_chart_is_a_file_of_its_own() {
        let lines = [Line { name: "a".into(), points: vec![(1.0, 0.0), (10_000.0, 0.5)] }];
        let x = Axis { name: "limit, pairs a query", scale: Scale::Log };
        let chart = line_chart(&lines, x, Axis { name: "share of <all>", scale: Scale::Share });
        for part in [
            "xmlns=\"http://www.w3.org/2000/svg\"",
            ">limit, pairs a query</text>",
            ">share of &lt;all&gt;</text>",
            ">50%</text>",
            ">10%</text>",
            ">100</text>",
            ">10,000</text>",
            ">0%</text>",
        ] {
            assert!(chart.contains(part), "{part}: {chart}");
        }
        let few = histogram("width", (0.0, 2.0), &[1, 2], &[1, 0], None);
        assert!(few.contains(">pairs</text>") && few.contains(">2</text>"), "{few}");
    }
}
