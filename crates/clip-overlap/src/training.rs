//! What a training run scored on the items that its corpus holds, evaluation by evaluation.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// One evaluation of a run on one set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Epochs done.
    pub epoch: u64,
    /// Steps done.
    pub step: u64,
    /// Name of the evaluation set.
    pub set: String,
    /// Its items.
    pub items: u64,
    /// Items whose class came first.
    pub correct: u64,
    /// The items of which the corpus holds a copy.
    pub overlap: Vec<CopiedScore>,
}

/// An item of which the corpus holds a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedScore {
    /// Its key.
    pub key: String,
    /// How often the run had trained on a copy of it; not there where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<u64>,
    /// Whether its class came first.
    pub correct: bool,
}

impl Evaluation {
    /// Name of the file with a line of JSON for each, in a run's folder.
    pub const FILE: &'static str = "contamination.jsonl";

    /// Accuracy on all items.
    pub fn all(&self) -> f64 {
        share(self.correct, self.items).unwrap_or(f64::NAN)
    }

    /// Accuracy on the items that the corpus does not hold; none where it holds all.
    pub fn clean(&self) -> Option<f64> {
        let items = self.items.saturating_sub(self.overlap.len() as u64);
        share(self.correct.saturating_sub(self.correct_overlap()), items)
    }

    /// Accuracy on the items that the corpus holds; none where it holds none.
    pub fn overlapping(&self) -> Option<f64> {
        share(self.correct_overlap(), self.overlap.len() as u64)
    }

    fn correct_overlap(&self) -> u64 {
        self.overlap.iter().filter(|item| item.correct).count() as u64
    }

    /// All of a run, in order; none where the run has written none.
    ///
    /// # Errors
    /// When the file cannot be read, or a line is no evaluation.
    pub fn read(run: &Path) -> Result<Vec<Self>> {
        let path = run.join(Self::FILE);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = std::fs::read_to_string(&path).map_err(|e| Error::file(&path, e))?;
        let line = |(at, line)| {
            serde_json::from_str(line)
                .map_err(|e| Error::file(&path, format!("line {}: {e}", at + 1)))
        };
        text.lines().enumerate().map(line).collect()
    }

    /// Writes the evaluations after an epoch, in place of those after it and later ones, which a
    /// run that was killed has written.
    pub fn write(run: &Path, epoch: u64, new: &[Self]) -> Result<()> {
        let mut all = Self::read(run)?;
        all.retain(|known| known.epoch < epoch);
        let path = run.join(Self::FILE);
        let mut text = String::new();
        for evaluation in all.iter().chain(new) {
            text += &serde_json::to_string(evaluation).map_err(|e| Error::file(&path, e))?;
            text.push('\n');
        }
        Ok(clip_format::write_atomic(&path, text.as_bytes())?)
    }
}

fn share(part: u64, of: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn evaluation(epoch: u64, correct: u64, overlap: &[(u64, bool)]) -> Evaluation {
        let item = |(at, &(seen, correct)): (usize, &(u64, bool))| CopiedScore {
            key: format!("{at}"),
            seen: Some(seen),
            correct,
        };
        let overlap = overlap.iter().enumerate().map(item).collect();
        Evaluation { epoch, step: 10 * epoch, set: "toys".into(), items: 10, correct, overlap }
    }

    #[test]
    fn accuracies_are_of_all_of_the_others_and_of_copies() {
        let found = evaluation(1, 6, &[(1, true), (2, true), (2, false)]);
        assert_eq!((found.all(), found.clean()), (0.6, Some(4.0 / 7.0)));
        assert_eq!(found.overlapping(), Some(2.0 / 3.0));
        assert_eq!(evaluation(1, 6, &[]).overlapping(), None);
    }

    #[test]
    fn an_evaluation_that_is_made_again_replaces_later_ones() {
        let run = tempfile::tempdir().unwrap();
        let of = |epoch, correct| [evaluation(epoch, correct, &[(1, true)])];
        for epoch in 1..=3 {
            Evaluation::write(run.path(), epoch, &of(epoch, 5)).unwrap();
        }
        Evaluation::write(run.path(), 2, &of(2, 7)).unwrap();
        let found = Evaluation::read(run.path()).unwrap();
        assert_eq!(found, [of(1, 5), of(2, 7)].concat());
        std::fs::write(run.path().join(Evaluation::FILE), "{}\n").unwrap();
        assert!(Evaluation::read(run.path()).unwrap_err().to_string().contains("line 1"));
    }
}
