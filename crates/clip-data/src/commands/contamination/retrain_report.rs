//! What training without the copies changed, as text.

use clip_overlap::{SetReport, Split};
use clip_stats::Mean;

/// A table of the arms, of their differences and of the doses.
pub fn retrained(set: &SetReport) -> String {
    let Some(found) = &set.retrained else { return String::new() };
    let mut text = format!(
        "\n{}, trained on {} seeds with and without its copies (95% intervals over seeds):\n\
         {:<34} {:<26} {:<26} {:<26}\n",
        set.name, found.seeds, "", "All", "Clean", "Overlap"
    );
    for (name, split) in [
        ("with the copies", &found.keep),
        ("others in their places", &found.replace),
        ("what the copies did", &found.effect),
        ("what as many other changes did", &found.noise),
    ] {
        text.push_str(&row(name, split));
    }
    if let Some(observed) = &found.observed {
        text.push_str(&format!("{:<34} {}\n", "All - Clean with the copies", mean(observed)));
    }
    if !found.dose.is_empty() {
        text.push_str(
            "times its copies were seen: accuracy with them, without them, scored items\n",
        );
    }
    for dose in &found.dose {
        let times = if dose.from == dose.to {
            dose.to.to_string()
        } else {
            format!("{} to {}", dose.from, dose.to)
        };
        text.push_str(&format!(
            "  {times:>12} {:>7.2}% {:>7.2}% {:>8}\n",
            100.0 * dose.keep,
            100.0 * dose.replace,
            dose.scored
        ));
    }
    text
}

fn row(name: &str, split: &Split) -> String {
    let clean = split.clean.as_ref().map_or("-".into(), mean);
    format!("{name:<34} {:<26} {clean:<26} {}\n", mean(&split.all), mean(&split.overlap))
}

/// A mean with its interval, as percentages.
fn mean(mean: &Mean) -> String {
    let interval = mean.interval.map_or(String::new(), |interval| {
        format!(" [{:.2}%, {:.2}%]", 100.0 * interval.low, 100.0 * interval.high)
    });
    format!("{:.2}%{interval}", 100.0 * mean.mean)
}
