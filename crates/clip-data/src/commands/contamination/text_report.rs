//! An account as text, and as gates.

use clip_cli::counted;
use clip_overlap::{ContaminationReport, SetReport};
use clip_report::percent_fine;

use super::retrain_report::retrained;
use super::texts;

/// Everything, as tables.
pub fn tables(account: &ContaminationReport, list: usize) -> String {
    let mut text = corpus(account);
    text.push_str(&rates(account));
    text.push_str(&suite(account));
    text.push_str(&effects(account));
    text.push_str(&differences(account));
    account.sets.iter().for_each(|set| text.push_str(&retrained(set)));
    account.sets.iter().for_each(|set| text.push_str(&listing(set, list)));
    account.sets.iter().for_each(|set| text.push_str(&texts::table(set, list)));
    text
}

/// Which gates fail, and why.
pub fn faults(
    account: &ContaminationReport,
    rate: Option<f64>,
    inflation: Option<f64>,
) -> Vec<String> {
    let mut faults = Vec::new();
    for set in &account.sets {
        let percent = |share: f64| format!("{:.3}%", 100.0 * share);
        if let Some(most) = rate.filter(|most| set.rate > *most) {
            let (found, most) = (percent(set.rate), percent(most));
            faults.push(format!("{found} of {} are in the corpus, more than {most}", set.name));
        }
        let texts = set.text.as_ref().map(|text| text.rate);
        if let (Some(most), Some(found)) = (rate, texts)
            && found > most
        {
            let (found, most, name) = (percent(found), percent(most), &set.name);
            faults
                .push(format!("{found} of {name} have a caption in the corpus, more than {most}"));
        }
        let found = set.effect.as_ref().and_then(|effect| effect.inflation);
        if inflation.is_some() && set.effect.is_some() && found.is_none() {
            let name = &set.name;
            faults.push(format!("{name}: no clean item is left, so that All - Clean is not known"));
        }
        if let (Some(most), Some(found)) = (inflation, found)
            && found > most
        {
            let (found, most) = (percent(found), percent(most));
            faults.push(format!("{}: All - Clean is {found}, more than {most}", set.name));
        }
    }
    faults
}

fn corpus(account: &ContaminationReport) -> String {
    let corpus = &account.corpus;
    let mut text = format!("corpus: {} images", corpus.images);
    if corpus.check.is_some() {
        text.push_str(" that the stage `check` compared");
    }
    if let Some(rows) = corpus.in_shards {
        text.push_str(&format!(", {rows} of them in the shards"));
    }
    for (count, what) in [
        (corpus.hashed, "rows by hashes alone"),
        (corpus.without_image, "rows with neither image nor hash"),
        (corpus.unreadable, "unreadable"),
    ] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text + "\n\n"
}

fn rates(account: &ContaminationReport) -> String {
    let mut text = format!(
        "{:<16} {:>8} {:>8} {:>8}  {:<19} {:>9} {:>8} {:>6} {:>10}\n",
        "set",
        "items",
        "overlap",
        "rate",
        "99.5% interval",
        "threshold",
        "removed",
        "flat",
        "unverified"
    );
    for set in &account.sets {
        let (low, high) = (percent_fine(set.interval.low), percent_fine(set.interval.high));
        let interval = format!("[{low}, {high}]");
        text.push_str(&format!(
            "{:<16} {:>8} {:>8} {:>8}  {interval:<19} {:>9.3} {:>8} {:>6} {:>10}\n",
            set.name,
            set.items,
            set.overlap,
            percent_fine(set.rate),
            set.threshold,
            set.removed,
            set.flat,
            set.unverified
        ));
    }
    // Sets of captions have no classes to name.
    let has_classes =
        |set: &&clip_overlap::SetReport| set.copies.iter().any(|copy| !copy.class.is_empty());
    for set in account.sets.iter().filter(|set| set.captions.captioned > 0).filter(has_classes) {
        let (naming, captioned) = (set.captions.naming, set.captions.captioned);
        text.push_str(&format!(
            "{}: of {captioned} copied items with a caption, {naming} have one that names the class\n",
            set.name
        ));
    }
    for set in account.sets.iter().filter(|set| set.unreadable > 0) {
        let (name, count) = (&set.name, set.unreadable);
        text.push_str(&format!(
            "{name}: {} could not be decoded, and not be looked for\n",
            counted(count, "item")
        ));
    }
    text
}

fn suite(account: &ContaminationReport) -> String {
    let Some(suite) = account.suite.as_ref().filter(|suite| suite.sets > 1) else {
        return String::new();
    };
    let mut text = format!(
        "\nsuite: {} sets, {} without overlap; rate: median {}, mean {}, highest {}\n",
        suite.sets,
        suite.without_overlap,
        percent_fine(suite.median_rate),
        percent_fine(suite.mean_rate),
        percent_fine(suite.max_rate)
    );
    if let Some(most) = suite.max_inflation {
        text.push_str(&format!(
            "of {} with predictions: {} differ by more than 0.1 points, {} significant, {} intervals \
             exclude Clean, greatest All-Clean {}\n",
            suite.judged,
            suite.beyond_tenth,
            suite.significant,
            suite.intervals_apart,
            percent_fine(most)
        ));
    }
    text
}

/// The paper's table of section 5: accuracy on All, Clean and Overlap, and whether their difference
/// counts.
fn effects(account: &ContaminationReport) -> String {
    let judged: Vec<_> =
        account.sets.iter().filter_map(|set| Some((set, set.effect.as_ref()?))).collect();
    let Some((_, first)) = judged.first() else { return String::new() };
    let share = |value: Option<f64>| value.map_or("-".into(), percent_fine);
    let number = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.3}"));
    let mut text = format!(
        "\n{:<16} {:>8} {:>8} {:>8} {:>10} {:>9} {:>7} {:>7}  verdict (Bonferroni m = {})\n",
        "set", "All", "Clean", "Overlap", "All-Clean", "reweighed", "p", "p corr.", first.tests
    );
    for (set, effect) in judged {
        let verdict = match (&effect.detectable, effect.significant()) {
            (_, true) => "significant".to_owned(),
            (Some(seen), false) => {
                let least = percent_fine(seen.inflation);
                format!("not significant (an inflation from {least} on would have been)")
            }
            (None, false) => effect.untested().unwrap_or_default().to_owned(),
        };
        text.push_str(&format!(
            "{:<16} {:>8} {:>8} {:>8} {:>10} {:>9} {:>7} {:>7}  {verdict}\n",
            set.name,
            share(Some(effect.accuracy_all)),
            share(effect.accuracy_clean),
            share(effect.accuracy_overlap),
            share(effect.inflation),
            share(set.stratified.as_ref().map(|even| even.clean)),
            number(effect.p),
            number(effect.p_corrected),
        ));
        if let Some(interval) = effect.interval {
            let (low, high) = (percent_fine(interval.low), percent_fine(interval.high));
            let apart = match (effect.accuracy_clean, effect.interval_excludes_clean()) {
                (None, _) => "",
                (Some(_), true) => " excludes Clean",
                (Some(_), false) => " includes Clean",
            };
            text.push_str(&format!(
                "{:<16} 99.5% interval of Overlap [{low}, {high}]{apart}\n",
                ""
            ));
        }
    }
    text + "reweighed: Clean with Overlap's mix of classes\n"
}

fn differences(account: &ContaminationReport) -> String {
    let mut text = String::new();
    for set in &account.sets {
        for d in &set.differences {
            let number = |value: Option<f64>| value.map_or("-".into(), |v| format!("{v:.4}"));
            let interval = d.interval.map_or(String::new(), |i| {
                format!(
                    " [{:.4}, {:.4}], {} resamples, seed {}",
                    i.low, i.high, d.resamples, d.seed
                )
            });
            text.push_str(&format!(
                "{}, {}: All {:.4}, Clean {}, Overlap {}, All-Clean {}{interval}\n",
                set.name,
                d.metric,
                d.all,
                number(d.clean),
                number(d.overlap),
                number(d.inflation)
            ));
        }
    }
    text
}

fn listing(set: &SetReport, most: usize) -> String {
    let mut text = String::new();
    if set.copies.is_empty() || most == 0 {
        return text;
    }
    let (shown, all) = (set.copies.len().min(most), set.copies.len());
    let SetReport { name, overlap, removed, .. } = set;
    text.push_str(&format!(
        "\nitems of {name} with a copy: {overlap} in the corpus, {removed} removed from it ({shown} of {all} \
         shown):\n"
    ));
    for copy in set.copies.iter().take(most) {
        let fate = if copy.kept { "in the corpus" } else { "removed" };
        let whence = if copy.url.is_empty() {
            format!("{} {}", copy.place, copy.id)
        } else {
            copy.url.clone()
        };
        let kind = copy.kind.name();
        text.push_str(&format!("  {:.3}  {kind:<8}  {}  {fate}  {whence}\n", copy.score, copy.key));
    }
    text
}
