//! What a model scored.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::json;
use crate::markup::percent_fine;
use crate::{Cell, Error, Result, Section, Table};

/// What scores that no contamination report split are stamped with, in place of its id.
pub const UNAUDITED: &str = "unaudited";

/// What is said of scores whose contamination report is not of the model's corpus.
pub const OTHER_CORPUS: &str = "the contamination report is of other shards than the model was trained on; \
                                Clean and Overlap are of another corpus.";

/// The fields of a result file that are shown.
#[derive(Deserialize)]
struct Scored {
    dataset: Option<String>,
    model: Option<String>,
    #[serde(default)]
    hashes: Hashes,
    contamination: Option<String>,
    contamination_covers_training: Option<bool>,
    classes: Option<u64>,
    chance: Option<f64>,
    #[serde(flatten)]
    part: ScoredPart,
    all: Option<Accuracies>,
    clean: Option<Accuracies>,
    overlap: Option<Accuracies>,
}

/// What of a set was scored, as result files say it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoredPart {
    /// Items that were scored.
    pub items: Option<u64>,
    /// Items of the set.
    pub items_total: Option<u64>,
    /// Which classes were scored, where not all.
    pub class_subset: Option<KeptClasses>,
    /// Items that could not be decoded: key and reason.
    pub unreadable: Vec<(String, String)>,
}

/// The classes that a score is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeptClasses {
    /// The name of their list.
    pub name: String,
    /// How many they are.
    pub classes: u64,
    /// Classes of the set.
    pub of: u64,
}

impl ScoredPart {
    /// What a reader of the scores has to know: that they are of a part of the set.
    pub fn notes(&self) -> Vec<String> {
        let grouped = crate::markup::grouped;
        let mut notes = Vec::new();
        if let (Some(items), Some(total)) = (self.items, self.items_total)
            && items < total
        {
            let (items, total) = (grouped(items), grouped(total));
            notes.push(format!("--limit: these are scores of {items} of its {total} items"));
        }
        if let Some(KeptClasses { name, classes, of }) = &self.class_subset {
            notes.push(format!("these are scores of {classes} of its {of} classes: {name}"));
        }
        match self.unreadable.as_slice() {
            [] => {}
            [(key, reason)] => {
                notes.push(format!("1 item could not be decoded and was left out: {key}: {reason}"));
            }
            [(key, reason), ..] => notes.push(format!(
                "{} items could not be decoded and were left out, the first of them {key}: {reason}",
                grouped(self.unreadable.len() as u64)
            )),
        }
        notes
    }
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Hashes {
    model: String,
}

#[derive(Deserialize)]
struct Accuracies {
    acc1: Option<Accuracy>,
    acc5: Option<Accuracy>,
    mean_per_class_recall: Option<f64>,
}

#[derive(Deserialize)]
struct Accuracy {
    n: u64,
    value: f64,
    low: f64,
    high: f64,
}

/// A result file of `clip-data eval --out`.
pub struct ScoreFile {
    /// The file.
    pub path: PathBuf,
    scored: Scored,
}

impl ScoreFile {
    /// Reads it.
    ///
    /// # Errors
    /// When the file is no such result.
    pub fn read(path: &Path) -> Result<Self> {
        let scored = json(path).map_err(|error| match error {
            Error::File(error) => Error::file(
                &error.path,
                format!(
                    "{}\nhint: the file that `clip-data eval … --out` wrote is wanted",
                    error.reason
                ),
            ),
            other => other,
        })?;
        Ok(Self { path: path.to_path_buf(), scored })
    }

    /// The path of the model, as it was given.
    pub fn model(&self) -> Option<&str> {
        self.scored.model.as_deref()
    }

    /// blake3 of the weights that were scored.
    pub fn weights(&self) -> Option<&str> {
        Some(self.scored.hashes.model.as_str()).filter(|hash| !hash.is_empty())
    }

    /// The id of the contamination report that split the scores; none where they are unaudited.
    pub fn contamination(&self) -> Option<&str> {
        self.scored.contamination.as_deref().filter(|id| *id != UNAUDITED)
    }

    /// The scores, below what they are of and what the reader has to know of that.
    pub fn section(&self, notes: &[String]) -> Section {
        section(&self.scored, notes)
    }
}

fn section(scored: &Scored, notes: &[String]) -> Section {
    let cell = |accuracy: &Option<Accuracy>| match accuracy {
        Some(Accuracy { value, low, high, .. }) => Cell::Markup(format!(
            "<b>{}</b> [{}, {}]",
            percent_fine(*value),
            percent_fine(*low),
            percent_fine(*high)
        )),
        None => "–".into(),
    };
    let mut table = Table::new(["items", "n", "top-1", "top-5", "per class"]);
    let parts = [("All", &scored.all), ("Clean", &scored.clean), ("Overlap", &scored.overlap)];
    for (name, part) in parts.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?))) {
        table.push([
            name.into(),
            part.acc1.as_ref().map_or(0, |accuracy| accuracy.n).into(),
            cell(&part.acc1),
            cell(&part.acc5),
            part.mean_per_class_recall.map_or("–".into(), |share| percent_fine(share).into()),
        ]);
    }
    let name = scored.dataset.as_deref().unwrap_or("?");
    let classes = crate::markup::grouped(scored.classes.unwrap_or(0));
    let chance = 100.0 * scored.chance.unwrap_or(0.0);
    let part: String = scored.part.notes().iter().map(|note| format!(". {note}")).collect();
    let about = "Accuracy with 99.5% Clopper-Pearson intervals: on all items, on those that the corpus does \
                 not hold (Clean), and on those that it does (Overlap).";
    let model = scored.model.as_deref().unwrap_or("?");
    let split = match scored.contamination.as_deref() {
        None | Some(UNAUDITED) => "no contamination report".to_owned(),
        Some(id) => format!("contamination report {id}"),
    };
    let section = Section::new("Zero-shot transfer", about)
        .text(&format!("{name}: {classes} classes, chance {chance:.2}%{part}"))
        .text(&format!("Model {model}; {split}."));
    let foreign = scored.contamination_covers_training == Some(false);
    let section = if foreign { section.text(&format!("Warning: {OTHER_CORPUS}")) } else { section };
    notes.iter().fold(section, |section, note| section.text(note)).table(&table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_set_and_another_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let page = |text: &str| {
            let path = dir.path().join("scores.json");
            std::fs::write(&path, text).unwrap();
            ScoreFile::read(&path).map(|file| file.section(&["a note".into()]).html())
        };
        let all = r#""dataset": "cifar10", "classes": 10, "chance": 0.1, "items": 500"#;
        let part = page(&format!("{{{all}, \"items_total\": 10000}}")).unwrap();
        assert!(part.contains("scores of 500 of its 10,000 items"), "{part}");
        for part in ["Model ?; no contamination report.", "<p>a note</p>"] {
            assert!(page(&format!("{{{all}}}")).unwrap().contains(part), "{part}");
        }
        let known = r#", "model": "logs/m", "contamination": "0123"}"#;
        let known = page(&format!("{{{all}{known}")).unwrap();
        assert!(known.contains("Model logs/m; contamination report 0123."), "{known}");
        let warned = |covers: &str| {
            let text = format!("{{{all}, \"contamination_covers_training\": {covers}}}");
            page(&text).unwrap().contains("Warning: the contamination report is of other shards")
        };
        assert!(warned("false") && !warned("true") && !warned("null"));
        let whole = page(&format!("{{{all}, \"items_total\": 500}}")).unwrap();
        assert!(!whole.contains("--limit"), "{whole}");
        let error = page("PAR1").unwrap_err().to_string();
        assert!(error.contains("\nhint: the file that `clip-data eval"), "{error}");
    }
}
