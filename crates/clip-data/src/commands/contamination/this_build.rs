//! Whether a report on contamination is of a run as it is now.

use clip_corpus::Manifest;
use clip_curate::Check;
use clip_overlap::ContaminationReport;
use clip_pipeline::{RunReader, StageLayout};

/// Hash of what a stage's parts are: the fingerprint in its folder's name is the same after
/// `forget` and `retry`, this is not.
pub fn parts_hash(stage: &StageLayout) -> anyhow::Result<String> {
    let mut hasher = blake3::Hasher::new();
    for commit in Manifest::open(stage.dir())?.commits() {
        hasher.update(serde_json::to_string(commit)?.as_bytes());
    }
    Ok(hasher.finalize().to_hex().to_string())
}

/// Whether a report is of this very build: of the parts that its stage `check` has, or, where
/// `--corpus` named the shards, of as many pairs as they have.
///
/// # Errors
/// When what is stored is damaged.
pub fn is_of(report: &ContaminationReport, run: &RunReader) -> anyhow::Result<bool> {
    let corpus = &report.corpus;
    if corpus.check.is_some() {
        let Some(stage) = run.find(Check::STAGE).map(|stage| &stage.layout) else {
            return Ok(false);
        };
        let same = corpus.check == Some(stage.name());
        return Ok(same && corpus.check_parts == Some(parts_hash(stage)?));
    }
    let rows = corpus.images + corpus.hashed + corpus.without_image + corpus.unreadable;
    let last = run.stages().last().map(|stage| Manifest::open(stage.layout.dir())).transpose()?;
    Ok(last.is_some_and(|last| last.counts().rows_out == rows))
}
