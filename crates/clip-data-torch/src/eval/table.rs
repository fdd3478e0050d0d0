//! Scores as tables of plain text.

use std::collections::BTreeMap;

use clip_eval::{Accuracy, ChoiceResult, Recall, RetrievalScores, Sample, Scores, ZeroShot};

/// An accuracy with its interval, or a dash.
pub fn cell(accuracy: Option<Accuracy>) -> String {
    accuracy.map_or("-".into(), |a| {
        format!("{:>6.2}% [{:.2}%, {:.2}%]", 100.0 * a.value, 100.0 * a.low, 100.0 * a.high)
    })
}

/// The table of a zero-shot evaluation.
pub fn zero_shot(result: &ZeroShot) -> String {
    let mut text = format!(
        "{} ({}): {} classes, chance {:.2}%\n",
        result.dataset,
        result.protocol,
        result.classes,
        100.0 / result.classes as f64,
    );
    if let Some(all) = &result.all {
        text.push_str(&format!(
            "{:<8} {:>7}  {:<27} {:<27} {:>9}\n",
            "items", "n", "top-1 [99.5% interval]", "top-5 [99.5% interval]", "per class"
        ));
        let rows = [
            ("All", Some(all)),
            ("Clean", result.clean.as_ref()),
            ("Overlap", result.overlap.as_ref()),
        ];
        for (name, scores) in rows {
            if let Some(scores) = scores {
                text.push_str(&row(name, scores));
            }
        }
    }
    let value = result.metrics.get(&result.main_metric).copied().flatten();
    if result.main_metric != "acc1" {
        let chance = result.chance.map_or(String::new(), |c| format!(", chance {:.2}%", 100.0 * c));
        let value = value.map_or("-".into(), |value| format!("{:.2}%", 100.0 * value));
        text.push_str(&format!("{}: {value}{chance}\n", result.main_metric));
    }
    if let Some(groups) = &result.groups {
        text.push_str(&by_group(result, groups));
    }
    text.push_str(&sample(result.sample));
    text.push_str(&unreadable(&result.unreadable));
    text
}

/// The accuracy of each group, worst first, and what of the worst could be misread.
fn by_group(result: &ZeroShot, groups: &BTreeMap<String, Accuracy>) -> String {
    const SHOWN: usize = 20;
    let top = if result.main_metric.starts_with("acc_top5") { "top-5" } else { "top-1" };
    let mut rows: Vec<(&String, &Accuracy)> = groups.iter().collect();
    rows.sort_by(|a, b| a.1.value.total_cmp(&b.1.value));
    let mut text = format!("{top} by group, the worst first:\n");
    for (group, accuracy) in rows.iter().take(SHOWN) {
        text.push_str(&format!("{group:<16} {:>7}  {}\n", accuracy.n, cell(Some(**accuracy))));
    }
    if rows.len() > SHOWN {
        text.push_str(&format!("and {} more groups\n", rows.len() - SHOWN));
    }
    let named = result.metrics.get("acc_worst_region_without_other").copied().flatten();
    if let Some(value) = named {
        text.push_str(&format!(
            "acc_worst_region counts all regions, as DataComp does; without region:5, which is WILDS's \"Other\", it is {:.2}%\n",
            100.0 * value
        ));
    }
    text
}

/// That these are scores of some of the items, where they are.
pub fn sample(sample: Sample) -> String {
    sample.note().map_or(String::new(), |note| format!("{note}\n"))
}

/// The table of choices.
pub fn choices(result: &ChoiceResult) -> String {
    let mut text = String::new();
    let cues = result.groups.values().any(|scores| scores.jaccard.is_some());
    let head = if cues { "Jaccard index" } else { "image, text, both" };
    text.push_str(&format!("{:<16} {:>6}  {head}\n", "group", "n"));
    for (group, s) in &result.groups {
        let scores = match s.jaccard {
            Some(value) => format!("{:>6.2}%", 100.0 * value),
            None => [s.image_acc, s.text_acc, s.acc].map(|a| format!("{:<27}", cell(a))).join(" "),
        };
        text.push_str(&format!("{group:<16} {:>6}  {}\n", s.n, scores.trim_end()));
    }
    let value = result.metrics.get(result.main_metric).copied().flatten();
    let value = value.map_or("- (no such instance)".into(), |v| format!("{:.2}%", 100.0 * v));
    text.push_str(&format!("{}: {value}\n", result.main_metric));
    text
}

/// Images that were skipped, if any.
pub fn unreadable(items: &[(String, String)]) -> String {
    match items.first() {
        None => String::new(),
        Some((key, reason)) => {
            format!(
                "{} images could not be read and were skipped, first {key}: {reason}\n",
                items.len()
            )
        }
    }
}

fn row(name: &str, scores: &Scores) -> String {
    format!(
        "{name:<8} {:>7}  {:<27} {:<27} {:>8.2}%\n",
        scores.acc1.n,
        cell(Some(scores.acc1)),
        cell(scores.acc5),
        100.0 * scores.mean_per_class_recall
    )
}

/// The table of a retrieval evaluation.
pub fn retrieval(scores: &RetrievalScores) -> String {
    let mut text = String::new();
    let ways = [("text to image", &scores.image), ("image to text", &scores.text)];
    for (name, recall) in ways {
        text.push_str(&way(name, recall));
    }
    text
}

fn way(name: &str, recall: &Recall) -> String {
    let mut text = format!("{name:<14} {:>7}", recall.n);
    for (k, accuracy) in &recall.at {
        text.push_str(&format!("  R@{k} {}", cell(Some(*accuracy)).trim_start()));
        let all = recall.true_at[k];
        // Where images have several captions: the mean share of them that is found.
        if (all - accuracy.value).abs() > 1e-9 {
            text.push_str(&format!(" ({:.2}% of an image's captions)", 100.0 * all));
        }
    }
    text.push_str(&format!("  median rank {}\n", recall.median_rank));
    text
}
