//! What a run's folder says of itself: the stages of the last build, and what decides each.

use serde::{Deserialize, Serialize};

use crate::format::Format;
use crate::{Counts, Fingerprint};

/// `run.json`: what the last build of a run consisted of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The run's seed.
    pub seed: u64,
    /// Whether every stage is whole; a build writes its summary while it runs, too.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub finished: bool,
    /// Its stages, in order.
    pub stages: Vec<StageSummary>,
}

fn yes() -> bool {
    true
}

/// A stage of the last build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageSummary {
    /// Its name.
    pub stage: String,
    /// Its folder's name in the run's.
    pub dir: String,
    /// Hash of what decides its output, as 64 hex digits.
    pub fingerprint: String,
    /// What happened to its rows.
    #[serde(rename = "tally")]
    pub counts: Counts,
}

impl Format for RunSummary {
    // 2: counts have `flagged`.
    const VERSION: u32 = 2;
}

/// `stage.json`: what decides a stage's output, and the number of its parts. Its version is that
/// of all files in the stage's folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageFile {
    /// What decides the output.
    #[serde(flatten)]
    pub fingerprint: Fingerprint,
    /// Number of parts.
    pub parts: usize,
}

impl Format for StageFile {
    const VERSION: u32 = 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use serde_json::json;

    fn stage() -> StageFile {
        let fingerprint = Fingerprint {
            stage: "unique".into(),
            version: 3,
            config: json!({}),
            resources: vec![("a.sql".into(), "00".into())],
            seed: 7,
            input: None,
        };
        StageFile { fingerprint, parts: 4 }
    }

    #[test]
    fn files_come_back_and_those_without_a_version_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stage.json");
        assert_eq!(StageFile::read(&path).unwrap(), None);
        stage().write(&path).unwrap();
        assert_eq!(StageFile::read(&path).unwrap(), Some(stage()));
        std::fs::write(&path, json!(stage()).to_string()).unwrap();
        assert_eq!(StageFile::read(&path).unwrap(), Some(stage()));
        let old = json!({"seed": 7, "stages": [{"stage": "unique", "dir": "01-unique-00",
            "fingerprint": "00", "tally": {"rows_in": 3, "rows_out": 2, "dropped": {"x": 1}}}]});
        let path = folder.path().join("run.json");
        std::fs::write(&path, old.to_string()).unwrap();
        let summary = RunSummary::read(&path).unwrap().unwrap();
        assert_eq!((summary.stages[0].counts.rows_in, summary.seed), (3, 7));
    }

    #[test]
    fn a_newer_version_is_refused_by_name_and_a_damaged_file_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("stage.json");
        std::fs::write(&path, r#"{"format": 9, "anything": true}"#).unwrap();
        let error = StageFile::read(&path).unwrap_err();
        assert!(matches!(error, Error::Newer { format: 9, known: StageFile::VERSION, .. }));
        let text = error.to_string();
        assert!(text.contains("stage.json: format 9") && text.contains("\nhint: "), "{text}");
        std::fs::write(&path, &stage().text()[..40]).unwrap();
        let error = StageFile::read(&path).unwrap_err();
        assert!(matches!(error, Error::Corpus(error) if error.is_damage()));
    }
}
