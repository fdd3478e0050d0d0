//! Scores on the page: whose they are, and whether they fit what is beside them.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clip_overlap::ContaminationReport;
use clip_report::{ScoreFile, Section, UNAUDITED};
use serde_json::Value;

/// The sections of score files, beside the contamination report that the page shows and the
/// trainings.
///
/// # Errors
/// When a file's scores were split by another contamination report: its Clean and Overlap are of
/// other items than those on the page.
pub fn sections(
    files: &[PathBuf],
    trainings: &[PathBuf],
    beside: Option<&ContaminationReport>,
) -> anyhow::Result<Vec<Section>> {
    let mut weights = HashSet::new();
    for folder in trainings {
        weights.extend(checkpoint_files(folder)?);
    }
    let section = |path: &PathBuf| -> anyhow::Result<Section> {
        let file = ScoreFile::read(path)?;
        if let (Some(own), Some(account)) = (file.contamination(), beside) {
            same_report(path, own, &account.id)?;
        }
        let foreign = file.weights().filter(|own| !trainings.is_empty() && !weights.contains(*own));
        let note = foreign.map(|_| {
            let known: Vec<String> =
                trainings.iter().map(|folder| folder.display().to_string()).collect();
            let model = file.model().unwrap_or("the model");
            format!("{model} has the weights of no checkpoint of --training {}.", known.join(", "))
        });
        if let Some(note) = &note {
            eprintln!("warning: {}: {note}", path.display());
        }
        Ok(file.section(note.as_slice()))
    };
    files.iter().map(section).collect()
}

/// Refuses scores that were split by a report on the build as it was before.
pub fn refuse_split_by(files: &[PathBuf], stale: &str) -> anyhow::Result<()> {
    for path in files {
        if ScoreFile::read(path)?.contamination() == Some(stale) {
            bail!(
                "{}: its scores were split by the contamination report {stale}, which is of this build before rows were removed or fetched again\n\
                 hint: `clip-data contamination` again, then `clip-data eval … --contamination`",
                path.display()
            );
        }
    }
    Ok(())
}

/// Refuses scores that another contamination report split than the one that is shown with them:
/// their Clean and Overlap are of other items. What no report split is of all items.
pub fn same_report(scores: &Path, own: &str, shown: &str) -> anyhow::Result<()> {
    if own == shown || ["", UNAUDITED].contains(&own) {
        return Ok(());
    }
    bail!(
        "{}: its scores were split by the contamination report {own}, and the one beside the corpus is {shown}\n\
         hint: where that is of an earlier build, `clip-data contamination` writes it anew; else give the scores anew with `clip-data eval … --contamination`",
        scores.display()
    )
}

/// blake3 of the files of a training's checkpoints: their weights are among them.
pub fn checkpoint_files(folder: &Path) -> anyhow::Result<HashSet<String>> {
    let entries = std::fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    let mut found = HashSet::new();
    for path in entries.map(|entry| entry.path().join("trainer.json")) {
        let Ok(text) = std::fs::read(&path) else { continue };
        let state: Value =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        let files = state["files"].as_object().into_iter().flatten();
        found.extend(files.filter_map(|(_, hash)| hash.as_str().map(str::to_owned)));
    }
    Ok(found)
}
