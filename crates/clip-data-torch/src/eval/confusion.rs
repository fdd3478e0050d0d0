//! The confusion of classes as SVG.

use clip_report::escape;

/// Letters of a class's name that are drawn; the whole name is in the cell's title.
const LETTERS: usize = 24;
/// Room for the title of an axis.
const TITLE: f64 = 20.0;

/// A square matrix: rows are true classes, columns predicted ones, cells hold `count` of items and
/// are darker where that is a larger share of the row's `total`.
pub fn heat(
    names: &[&str],
    count: impl Fn(usize, usize) -> u64,
    total: impl Fn(usize) -> u64,
) -> String {
    let classes = names.len();
    let most = (0..classes).flat_map(|row| (0..classes).map(move |column| (row, column)));
    let digits = most.map(|(row, column)| count(row, column)).max().unwrap_or(0).to_string().len();
    // A digit of 11 px is some 6.5 px wide.
    let cell = (6.5 * digits as f64 + 6.0).max(24.0);
    // So are most letters.
    let letters = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).min(LETTERS);
    let edge = TITLE + 6.5 * letters as f64 + 10.0;
    let (left, top) = (edge, edge);
    let side = cell * classes as f64;
    let (width, height) = (left + side + 4.0, top + side + 4.0);
    let mut svg = format!(
        "<div style=\"overflow-x:auto\"><svg viewBox=\"0 0 {width:.0} {height:.0}\" style=\"width:{width:.0}px;max-width:none\" role=\"img\">\n"
    );
    let (x, y) = (left + side / 2.0, top + side / 2.0);
    svg.push_str(&format!(
        "<text x=\"{x:.1}\" y=\"12\" text-anchor=\"middle\">predicted class</text>\n<text transform=\"translate(12 {y:.1}) rotate(-90)\" text-anchor=\"middle\">true class</text>\n"
    ));
    for (at, name) in names.iter().enumerate() {
        let middle = cell * (at as f64 + 0.5);
        let short = escape(&shortened(name));
        svg.push_str(&format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{short}</text>\n<text transform=\"translate({:.1} {:.1}) rotate(-90)\">{short}</text>\n",
            left - 6.0, top + middle + 4.0, left + middle + 4.0, top - 6.0
        ));
    }
    for row in 0..classes {
        for column in 0..classes {
            svg.push_str(&cell_of(
                names,
                (row, column),
                count(row, column),
                total(row),
                (left, top, cell),
            ));
        }
    }
    svg + "</svg></div>\n"
}

/// A cell with its number; an empty one is only framed.
fn cell_of(
    names: &[&str],
    (row, column): (usize, usize),
    count: u64,
    total: u64,
    (left, top, cell): (f64, f64, f64),
) -> String {
    let (x, y) = (left + cell * column as f64, top + cell * row as f64);
    let frame = format!(
        "x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" stroke=\"#8884\""
    );
    if count == 0 {
        return format!("<rect {frame} fill=\"none\"/>\n");
    }
    let share = count as f64 / total.max(1) as f64;
    let colour = if row == column { "59,125,216" } else { "217,130,91" };
    // On a dark cell the number is white.
    let ink = if share > 0.6 { " style=\"fill:#fff\"" } else { " style=\"fill:var(--ink)\"" };
    format!(
        "<rect {frame} fill=\"rgba({colour},{:.2})\"><title>{} as {}: {count} of {total}, {:.1}%</title></rect>\n<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\" pointer-events=\"none\"{ink}>{count}</text>\n",
        share.clamp(0.08, 1.0),
        escape(names[row]),
        escape(names[column]),
        100.0 * share,
        x + cell / 2.0,
        y + cell / 2.0 + 4.0
    )
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    format!("{}…", name.chars().take(LETTERS - 1).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_and_columns_are_named_and_cells_hold_counts() {
        let counts = [[12, 3], [0, 1234]];
        let svg = heat(
            &["<cat>", "a name that is longer than its room"],
            |row, column| counts[row][column],
            |row| counts[row].iter().sum(),
        );
        // Twice as an axis's name, and in the titles of its cells.
        assert_eq!(svg.matches("&lt;cat&gt;</text>").count(), 2, "{svg}");
        assert_eq!(svg.matches("a name that is longer t…</text>").count(), 2, "{svg}");
        for text in [">12</text>", ">3</text>", ">1234</text>", "true class", "predicted class"] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(svg.contains("3 of 15, 20.0%") && !svg.contains(">0</text>"));
    }
}
