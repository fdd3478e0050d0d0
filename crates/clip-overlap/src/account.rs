//! The account of a corpus against evaluation sets: which items it has too, and what that does to a score.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use arrow::datatypes::Float32Type;
use clip_corpus::{Manifest, columns};
use clip_stats::{Contamination, Interval, clopper_pearson, contamination};
use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// The paper's confidence (figure 17).
const CONFIDENCE: f64 = 0.995;

/// An image of the corpus that is an evaluation item's copy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Copy {
    /// Name of the evaluation set.
    pub set: String,
    /// Key of its item.
    pub key: String,
    /// How alike, in [0, 1].
    pub score: f32,
    /// The corpus row.
    pub row: u64,
    /// Where its image came from.
    pub url: String,
    /// Its caption.
    pub caption: String,
    /// Whether it is still in the corpus.
    pub kept: bool,
}

/// One evaluation set against the corpus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetAccount {
    /// Its name.
    pub name: String,
    /// Its items.
    pub items: u64,
    /// Items of which the corpus holds a copy.
    pub overlap: u64,
    /// Their share.
    pub rate: f64,
    /// 99.5% Clopper-Pearson interval of the share.
    pub interval: Interval,
    /// What the overlap does to an accuracy, where predictions were given.
    pub effect: Option<Contamination>,
    /// The copies, the most alike first.
    pub copies: Vec<Copy>,
}

/// Every evaluation set against the corpus: `contamination.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Account {
    /// By name.
    pub sets: Vec<SetAccount>,
}

/// The copies that a finished check stage found, in the order of rows: flagged ones in its parts, dropped ones
/// in its rejects.
pub fn copies(check: &Path) -> Result<Vec<Copy>> {
    let mut found = Vec::new();
    let manifest = Manifest::open(check)?;
    for (name, _, _) in manifest.commits().flat_map(|commit| &commit.files) {
        if name.starts_with("part-") {
            flagged(&check.join(name), &mut found)?;
        } else if name.starts_with("rejects/") {
            dropped(&check.join(name), &mut found)?;
        }
    }
    found.sort_by_key(|copy| copy.row);
    Ok(found)
}

fn flagged(path: &Path, found: &mut Vec<Copy>) -> Result<()> {
    for batch in clip_corpus::read_parquet(path)? {
        let missing = |name: &str| Error::file(path, format!("no column `{name}`"));
        let text = |name: &str| columns::text(&batch, name).ok_or_else(|| missing(name));
        let (sets, keys) = (text(columns::OVERLAP)?, text("overlap_key")?);
        let (urls, captions) = (text(columns::URL)?, text(columns::CAPTION)?);
        let rows = columns::uint64(&batch, columns::ROW).ok_or_else(|| missing(columns::ROW))?;
        let scores = batch.column_by_name("overlap_score");
        let scores = scores.and_then(|c| c.as_primitive_opt::<Float32Type>());
        let scores = scores.ok_or_else(|| missing("overlap_score"))?;
        found.extend((0..batch.num_rows()).filter(|&at| sets.is_valid(at)).map(|at| Copy {
            set: sets.value(at).to_owned(),
            key: keys.value(at).to_owned(),
            score: scores.value(at),
            row: rows.value(at),
            url: urls.value(at).to_owned(),
            caption: captions.value(at).to_owned(),
            kept: true,
        }));
    }
    Ok(())
}

fn dropped(path: &Path, found: &mut Vec<Copy>) -> Result<()> {
    for batch in clip_corpus::read_parquet(path)? {
        let missing = |name: &str| Error::file(path, format!("no column `{name}`"));
        let text = |name: &str| columns::text(&batch, name).ok_or_else(|| missing(name));
        let (details, urls) = (text("detail")?, text(columns::URL)?);
        let captions = text(columns::CAPTION)?;
        let rows = columns::uint64(&batch, columns::ROW).ok_or_else(|| missing(columns::ROW))?;
        for at in 0..batch.num_rows() {
            let detail: Vec<&str> = details.value(at).split('\t').collect();
            let &[set, key, score] = &detail[..] else { continue };
            found.push(Copy {
                set: set.to_owned(),
                key: key.to_owned(),
                score: score.parse().unwrap_or(0.0),
                row: rows.value(at),
                url: urls.value(at).to_owned(),
                caption: captions.value(at).to_owned(),
                kept: false,
            });
        }
    }
    Ok(())
}

/// Whether each item was classified right: the columns `key` and `correct` of an evaluation's predictions.
pub fn correct(path: &Path) -> Result<BTreeMap<String, bool>> {
    let mut correct = BTreeMap::new();
    for batch in clip_corpus::read_parquet(path)? {
        let keys = columns::text(&batch, "key");
        let values = batch.column_by_name("correct").and_then(|column| column.as_boolean_opt());
        let (Some(keys), Some(values)) = (keys, values) else {
            let hint = "hint: `clip-data eval zero-shot --predictions FILE` writes them";
            return Err(Error::file(path, format!("no columns `key` and `correct`\n{hint}")));
        };
        correct.extend((0..keys.len()).map(|at| (keys.value(at).to_owned(), values.value(at))));
    }
    Ok(correct)
}

impl SetAccount {
    /// The account of a set of `items` items; `copies` may be of other sets too.
    pub fn new(name: &str, items: u64, copies: &[Copy]) -> Result<Self> {
        let mut copies: Vec<Copy> = copies.iter().filter(|c| c.set == name).cloned().collect();
        copies.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.key.cmp(&b.key)));
        let keys: HashSet<&str> = copies.iter().map(|copy| copy.key.as_str()).collect();
        let overlap = keys.len() as u64;
        let interval = clopper_pearson(overlap, items.max(1), CONFIDENCE)?;
        let rate = overlap as f64 / items.max(1) as f64;
        Ok(Self { name: name.to_owned(), items, overlap, rate, interval, effect: None, copies })
    }

    /// Keys of the items that the corpus holds.
    pub fn keys(&self) -> HashSet<String> {
        self.copies.iter().map(|copy| copy.key.clone()).collect()
    }

    /// Adds what the overlap does to the accuracy of a model, `tests` sets being judged at once.
    pub fn judge(&mut self, correct: &BTreeMap<String, bool>, tests: usize) -> Result<()> {
        let keys = self.keys();
        if let Some(stray) = keys.iter().find(|key| !correct.contains_key(*key)) {
            let reason = format!("the predictions lack item {stray:?}: they are of another set");
            return Err(Error::EvalSet { name: self.name.clone(), reason });
        }
        let right = correct.values().filter(|&&right| right).count() as u64;
        let right_overlap = keys.iter().filter(|key| correct[*key]).count() as u64;
        let all = correct.len() as u64;
        self.effect = Some(contamination(all, keys.len() as u64, right, right_overlap, tests)?);
        Ok(())
    }
}

impl Account {
    /// Name of its file in a run's folder.
    pub const FILE: &'static str = "contamination.json";

    /// Reads `contamination.json`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| Error::file(path, e))?;
        serde_json::from_slice(&text).map_err(|e| Error::file(path, e))
    }

    /// Writes it into a folder.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        let path = folder.join(Self::FILE);
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::file(&path, e))?;
        clip_corpus::write_atomic(&path, (text + "\n").as_bytes())?;
        Ok(path)
    }

    /// The account of one set.
    pub fn set(&self, name: &str) -> Option<&SetAccount> {
        self.sets.iter().find(|set| set.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copy(key: &str, score: f32, row: u64) -> Copy {
        let (url, caption) = (format!("http://x.org/{row}"), "a cat".to_owned());
        Copy { set: "toys".into(), key: key.into(), score, row, url, caption, kept: true }
    }

    #[test]
    fn an_item_counts_once_however_many_copies_it_has() {
        let copies = [copy("a", 0.95, 1), copy("b", 0.99, 2), copy("a", 1.0, 3)];
        let mut account = SetAccount::new("toys", 10, &copies).unwrap();
        assert_eq!((account.overlap, account.copies[0].row), (2, 3));
        let correct = (0..10).map(|n| (char::from(b'a' + n).to_string(), n < 5)).collect();
        account.judge(&correct, 1).unwrap();
        let effect = account.effect.clone().unwrap();
        assert_eq!((effect.correct, effect.correct_overlap), (5, 2));
        let folder = tempfile::tempdir().unwrap();
        let whole = Account { sets: vec![account] };
        assert_eq!(Account::read(&whole.write(folder.path()).unwrap()).unwrap(), whole);
    }

    #[test]
    fn predictions_of_another_set_are_refused() {
        let mut account = SetAccount::new("toys", 10, &[copy("a", 1.0, 1)]).unwrap();
        let correct = [("z".to_owned(), true)].into();
        assert!(account.judge(&correct, 1).unwrap_err().to_string().contains("another set"));
    }
}
