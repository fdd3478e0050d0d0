//! The cards as documents.

use clip_cli::counted;
use clip_curate::Check;
use clip_report::OTHER_CORPUS;

use super::data::DataCard;
use super::model::{Accuracy, ModelCard};
use super::origin::{Counted, Origin};

/// The data card.
pub fn data(card: &DataCard) -> String {
    let mut text = format!(
        "# Data card: {}\n\n{} in {} ({} bytes), built with seed {}.\n\n{}\n## Stages\n\n\
         A fingerprint is the hash of all that decides a stage's output.\n\n\
         | stage | in | out | dropped because | fingerprint |\n|---|---|---|---|---|\n",
        cell(&card.name),
        counted(card.pairs, "pair"),
        counted(card.shards, "shard"),
        card.bytes,
        card.seed,
        origin(&card.origin)
    );
    for stage in &card.stages {
        let mut reasons: Vec<String> = stage
            .dropped
            .iter()
            .map(|(reason, count)| format!("{count} {}", cell(reason)))
            .collect();
        if stage.flagged > 0 {
            reasons.push(format!("{} flagged, which continue", stage.flagged));
        }
        let (name, reasons) = (cell(&stage.stage), reasons.join(", "));
        let hash = stage.fingerprint.get(..16).unwrap_or(&stage.fingerprint);
        text += &format!(
            "| {name} | {} | {} | {reasons} | `{hash}` |\n",
            stage.rows_in, stage.rows_out
        );
    }
    text += "\n## Opt-outs\n\nPairs that were not fetched or not kept because page, host or image forbids it.\n\n";
    if card.opt_outs.is_empty() {
        text += "None.\n";
    }
    for (reason, count) in &card.opt_outs {
        text += &format!("- {}: {count}\n", cell(reason));
    }
    text += "\n## Licences\n\n";
    match &card.licences {
        None => text += "No column of the corpus says under which licences the images are.\n",
        Some(licences) => text += &by_column(licences),
    }
    text + &overlap(card)
}

/// Where the pairs come from.
fn origin(origin: &Origin) -> String {
    let mut text = "## Sources\n\n".to_owned();
    if let Some(kind) = &origin.kind {
        text += &format!("A source of the kind `{}`.\n\n", cell(kind));
    }
    for (setting, read) in &origin.read {
        let read: Vec<String> = read.iter().map(|text| cell(text)).collect();
        text += &format!("- {}: {}\n", cell(setting), read.join(", "));
    }
    text += &match origin.hosts {
        Some(hosts) => format!("- hosts of the images: {hosts}\n"),
        None => "- hosts of the images: none, they are local\n".to_owned(),
    };
    text += &format!("- pairs with a caption: {}\n", origin.captions);
    if let Some(sources) = &origin.caption_sources {
        text += &format!("\nWhere captions were. {}", by_column(sources));
    }
    match &origin.languages {
        Some(languages) => text += &format!("\nLanguages of captions. {}", by_column(languages)),
        None => text += "\nThe languages of the captions were not identified.\n",
    }
    text
}

fn by_column(counted: &Counted) -> String {
    let mut text = format!("By the column `{}`:\n\n", cell(&counted.column));
    for (value, count) in &counted.most {
        text += &format!("- {}: {count}\n", cell(value));
    }
    text + &format!("- others: {}\n- not stated: {}\n", counted.others, counted.none)
}

fn overlap(card: &DataCard) -> String {
    let mut text = "\n## Overlap with evaluation sets\n\n".to_owned();
    let Some(overlap) = &card.overlap else { return text + &without_report(card) };
    text += &format!(
        "By the contamination report `{}`. Captions are items of which a text of the corpus has a caption; \
         inflation is what the copies did to top-1, by training without them.\n\n\
         | set | items | in the corpus | share, 99.5% interval | removed | captions | inflation, 95% interval |\n|---|---|---|---|---|---|---|\n",
        cell(&overlap.report)
    );
    for set in &overlap.sets {
        let inflation = set.inflation.map_or("not measured".to_owned(), |(mean, interval)| {
            let interval = interval.map_or(String::new(), |[low, high]| ends(low, high));
            format!("{}{interval}", percent(mean))
        });
        let share = set.overlap as f64 / set.items.max(1) as f64;
        let [low, high] = set.interval;
        let captions = set.captions.map_or("not looked for".to_owned(), |(found, [low, high])| {
            let share = found as f64 / set.items.max(1) as f64;
            format!("{found}: {}{}", percent(share), ends(low, high))
        });
        text += &format!(
            "| {} | {} | {} | {}{} | {} | {captions} | {inflation} |\n",
            cell(&set.set),
            set.items,
            set.overlap,
            percent(share),
            ends(low, high),
            set.removed
        );
    }
    text
}

/// What the stages say of evaluation sets where there is no report on them.
fn without_report(card: &DataCard) -> String {
    match card.stages.iter().find(|stage| stage.stage == Check::STAGE) {
        None => "It was not looked for.\n".into(),
        Some(check) => format!(
            "The stage `{}` compared the images with evaluation sets: {} were dropped as copies, {} flagged. \
             `clip-data contamination` reports the rates by set, which are not here.\n",
            check.stage,
            check.dropped.values().sum::<u64>(),
            check.flagged
        ),
    }
}

/// Name of the model card's file.
pub const MODEL: &str = "model_card.md";

/// What is said of a model beside a corpus that is not its own.
pub const OTHER_TRAINING: &str = "the model was trained on shards that are not of this run as it is now: the data card is of another corpus";

/// The model card.
pub fn model(card: &ModelCard, data: &DataCard) -> String {
    let [steps, all] = card.steps;
    let mut text = format!(
        "# Model card: {}\n\nCheckpoint `{}`, after {steps} of {all} steps and {} pairs seen. Trained on {} pairs \
         (digest `{}`); [data_card.md](data_card.md) is of `{}`.\n",
        cell(&card.name),
        cell(&card.checkpoint),
        card.seen,
        card.pairs,
        cell(&card.corpus),
        cell(&data.name)
    );
    if card.trained_on_this_corpus == Some(false) {
        text += &format!("\nWarning: {OTHER_TRAINING}.\n\n");
    }
    if let Some(loss) = card.loss {
        text += &format!("Loss of the last step: {loss:.4}.\n");
    }
    text += "\n## Scores\n\nTop-1 accuracy with 99.5% intervals: on all items, on those of which the corpus holds no \
             copy (Clean), and on those of which it does (Overlap).\n\n";
    if card.scores.is_empty() {
        text += "None was given.\n";
    } else {
        text += "| set | protocol | All | Clean | Overlap | contamination report |\n|---|---|---|---|---|---|\n";
    }
    for score in &card.scores {
        let part = |name: &str| score.top1.get(name).map_or("–".to_owned(), accuracy);
        text += &format!(
            "| {} | {} | {} | {} | {} | `{}` |\n",
            cell(&score.dataset),
            cell(&score.protocol),
            part("all"),
            part("clean"),
            part("overlap"),
            cell(&score.contamination)
        );
    }
    for score in &card.scores {
        for note in score.part.notes() {
            text += &format!("\n{}: {}.\n", cell(&score.dataset), cell(&note));
        }
    }
    let foreign = card.scores.iter();
    let foreign = foreign.filter(|score| score.contamination_covers_training == Some(false));
    let foreign: Vec<String> = foreign.map(|score| cell(&score.dataset)).collect();
    if !foreign.is_empty() {
        text += &format!("\nWarning ({}): {OTHER_CORPUS}\n", foreign.join(", "));
    }
    text += "\n## Training\n\n| setting | value |\n|---|---|\n";
    for (name, value) in &card.settings {
        text += &format!("| {} | {} |\n", cell(name), cell(value));
    }
    text
}

fn accuracy(found: &Accuracy) -> String {
    format!("{}{} of {}", percent(found.value), ends(found.low, found.high), found.n)
}

fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share)
}

fn ends(low: f64, high: f64) -> String {
    format!(" [{}, {}]", percent(low), percent(high))
}

/// Text that stays in its cell: what comes of files is neither markup nor a table's border.
fn cell(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            '|' | '<' | '>' | '[' | ']' | '*' | '`' | '\\' => safe.extend(['\\', c]),
            c if c.is_control() => safe.push(' '),
            c => safe.push(c),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_files_are_no_markup() {
        assert_eq!(cell("a|b<script>\n`x`"), "a\\|b\\<script\\> \\`x\\`");
    }
}
