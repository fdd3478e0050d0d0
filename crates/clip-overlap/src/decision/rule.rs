//! The one rule by which a pair of images counts as a copy.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::hit_kind::HitKind;

/// Least score of a copy where nothing else was decided; measured on photographs and small images
/// alike.
pub const THRESHOLD: f32 = 0.80;

/// What was seen of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The same image.
    Accept,
    /// Another image.
    Reject,
}

impl Verdict {
    /// As pages spell it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Reject => "reject",
        }
    }
}

/// What the rule says of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// One is the other's copy.
    Copy,
    /// Alike enough, but one shows next to nothing, or only a perceptual hash is known.
    Unproven,
    /// Two images.
    Different,
}

/// When a pair counts as a copy: by its score, unless a person decided.
///
/// Deduplication, the check of a build and reports all ask this.
#[derive(Debug, Clone, PartialEq)]
pub struct CopyRule {
    threshold: f32,
    /// By key of the item, then name of the image.
    reviewed: HashMap<String, HashMap<String, Verdict>>,
}

impl Default for CopyRule {
    fn default() -> Self {
        Self::at(THRESHOLD)
    }
}

impl CopyRule {
    /// By the score alone.
    pub fn at(threshold: f32) -> Self {
        Self { threshold, reviewed: HashMap::new() }
    }

    /// The same with pairs that were looked at: key of the item, name of the image, and what was
    /// seen. The last look at a pair counts.
    #[must_use]
    pub fn reviewed<'a>(
        mut self,
        pairs: impl IntoIterator<Item = (&'a str, &'a str, Verdict)>,
    ) -> Self {
        for (key, id, verdict) in pairs {
            self.reviewed.entry(key.to_owned()).or_default().insert(id.to_owned(), verdict);
        }
        self
    }

    /// Least score of a copy.
    pub fn threshold(&self) -> f32 {
        self.threshold
    }

    /// Whether a score is high enough.
    pub fn reaches(&self, score: f32) -> bool {
        score >= self.threshold
    }

    /// What was seen of an item and an image, where they were looked at.
    pub fn verdict(&self, key: &str, id: &str) -> Option<Verdict> {
        self.reviewed.get(key)?.get(id).copied()
    }

    /// Whether image `id` is a copy of item `key`.
    pub fn judge(&self, key: &str, id: &str, kind: HitKind, score: f32) -> Judgement {
        match (self.verdict(key, id), kind) {
            (Some(Verdict::Accept), _) | (None, HitKind::Exact) => Judgement::Copy,
            (Some(Verdict::Reject), _) => Judgement::Different,
            _ if !self.reaches(score) => Judgement::Different,
            (None, HitKind::Flat | HitKind::Hash) => Judgement::Unproven,
            _ => Judgement::Copy,
        }
    }

    /// Whether that is [`Judgement::Copy`].
    pub fn is_copy(&self, key: &str, id: &str, kind: HitKind, score: f32) -> bool {
        self.judge(key, id, kind, score) == Judgement::Copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eyes_overrule_thresholds_and_flat_images_prove_nothing() {
        let rule = CopyRule::at(0.9);
        assert!(rule.is_copy("a", "1", HitKind::Near, 0.95));
        assert!(!rule.is_copy("a", "2", HitKind::Near, 0.85));
        assert_eq!(rule.judge("a", "3", HitKind::Flat, 0.99), Judgement::Unproven);
        assert_eq!(rule.judge("a", "4", HitKind::Hash, 0.99), Judgement::Unproven);
        assert_eq!(rule.judge("a", "3", HitKind::Flat, 0.5), Judgement::Different);
        let looks = [
            ("a", "1", Verdict::Accept),
            ("a", "1", Verdict::Reject),
            ("a", "2", Verdict::Accept),
            ("a", "3", Verdict::Accept),
        ];
        let rule = rule.reviewed(looks);
        assert!(!rule.is_copy("a", "1", HitKind::Near, 0.95));
        assert!(rule.is_copy("a", "2", HitKind::Near, 0.85));
        assert!(rule.is_copy("a", "3", HitKind::Flat, 0.2));
    }
}
