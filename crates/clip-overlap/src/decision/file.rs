//! What people and calibration decided: a threshold for each evaluation set, and pairs accepted or
//! rejected by eye.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::rule::{CopyRule, THRESHOLD, Verdict};
use crate::{Error, Result};

/// A pair that was looked at.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReviewedPair {
    /// The item's key.
    pub key: String,
    /// The image's name in its unit of the corpus.
    pub id: String,
    /// What was seen.
    pub verdict: Verdict,
    /// The pair's score when it was seen.
    #[serde(default)]
    pub score: f32,
}

/// What is decided of one evaluation set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetDecision {
    /// Least score of a copy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f32>,
    /// Pairs that were looked at: they overrule the threshold.
    #[serde(default)]
    pub marks: Vec<ReviewedPair>,
}

/// A decision file: JSON, by name of the evaluation set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Decisions {
    /// By name.
    pub sets: BTreeMap<String, SetDecision>,
}

impl Decisions {
    /// Name of the file in a report's folder.
    pub const FILE: &'static str = "decisions.json";

    /// Reads a decision file.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read(path).map_err(|e| Error::file(path, e))?;
        let hint = "hint: the contact sheet writes such a file";
        serde_json::from_slice(&text).map_err(|e| Error::file(path, format!("{e}\n{hint}")))
    }

    /// Writes it.
    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::file(path, e))?;
        Ok(clip_format::write_atomic(path, (text + "\n").as_bytes())?)
    }

    /// What is decided of a set.
    pub fn set(&self, name: &str) -> SetDecision {
        self.sets.get(name).cloned().unwrap_or_default()
    }
}

impl SetDecision {
    /// What follows from it.
    pub fn rule(&self) -> CopyRule {
        let reviewed =
            self.marks.iter().map(|mark| (mark.key.as_str(), mark.id.as_str(), mark.verdict));
        CopyRule::at(self.threshold.unwrap_or(THRESHOLD)).reviewed(reviewed)
    }

    /// The lowest threshold at which at least `precision` of the marked pairs from it on were
    /// accepted.
    ///
    /// # Errors
    /// With fewer than ten marked pairs that have a score, or when no threshold reaches the
    /// precision.
    pub fn calibrated(&self, precision: f64) -> std::result::Result<f32, String> {
        let mut marks: Vec<&ReviewedPair> =
            self.marks.iter().filter(|mark| mark.score > 0.0).collect();
        if marks.len() < 10 {
            return Err(format!(
                "{} marked pairs are too few to calibrate by, 10 are needed",
                marks.len()
            ));
        }
        marks.sort_by(|a, b| b.score.total_cmp(&a.score));
        let (mut good, mut best) = (0usize, None);
        for (at, mark) in marks.iter().enumerate() {
            good += usize::from(mark.verdict == Verdict::Accept);
            // Equal scores are copies together or not at all.
            let last = marks.get(at + 1).is_none_or(|next| next.score < mark.score);
            if last && good as f64 >= precision * (at + 1) as f64 {
                best = Some(mark.score);
            }
        }
        best.ok_or_else(|| format!("no threshold has {precision} of its marked pairs accepted"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(marks: &[(f32, Verdict)]) -> SetDecision {
        let mark = |(at, &(score, verdict)): (usize, &(f32, Verdict))| ReviewedPair {
            key: at.to_string(),
            id: at.to_string(),
            verdict,
            score,
        };
        SetDecision { threshold: None, marks: marks.iter().enumerate().map(mark).collect() }
    }

    #[test]
    fn calibration_takes_the_lowest_threshold_that_is_precise_enough() {
        use Verdict::{Accept, Reject};
        let seen = marks(&[
            (0.99, Accept),
            (0.97, Accept),
            (0.95, Accept),
            (0.93, Accept),
            (0.91, Reject),
            (0.89, Accept),
            (0.87, Accept),
            (0.85, Reject),
            (0.83, Reject),
            (0.81, Reject),
        ]);
        assert_eq!(seen.calibrated(0.95), Ok(0.93));
        assert_eq!(seen.calibrated(0.8), Ok(0.87));
        assert!(marks(&[(0.9, Accept)]).calibrated(0.9).unwrap_err().contains("too few"));
    }

    #[test]
    fn a_decision_file_comes_back_and_a_strange_one_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d.json");
        let mut all = Decisions::default();
        all.sets.insert("toys".into(), marks(&[(0.9, Verdict::Accept)]));
        all.write(&path).unwrap();
        assert_eq!(Decisions::read(&path).unwrap(), all);
        std::fs::write(&path, "{\"sets\": {\"toys\": {\"treshold\": 1}}}").unwrap();
        let error = Decisions::read(&path).unwrap_err().to_string();
        assert!(error.contains("treshold") && error.contains("hint: "), "{error}");
    }
}
