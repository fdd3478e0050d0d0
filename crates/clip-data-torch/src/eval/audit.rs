//! A contamination report beside scores: which items it found, and whether it is of the corpus that
//! the model was trained on.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::bail;
use clip_corpus::TrainedShard;
use clip_eval::AuditedItems;
use clip_overlap::{ContaminationReport, SetReport};
use clip_report::UNAUDITED;

/// Folders above a model in which its training's shards are looked for:
/// `NAME/checkpoints/step_…/ema`.
const ABOVE: usize = 5;

/// What a report says of a set's items.
pub fn audited(set: &SetReport) -> AuditedItems {
    AuditedItems { overlap: set.keys(), known: set.item_hashes.clone(), unreadable: set.unreadable }
}

/// A report that was opened.
pub struct Audit {
    path: PathBuf,
    account: ContaminationReport,
}

impl Audit {
    /// Reads it; a folder means the report in it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let inner = path.join(ContaminationReport::FILE);
        let path = if path.is_dir() { &inner } else { path };
        Ok(Self { path: path.to_path_buf(), account: ContaminationReport::read(path)? })
    }

    /// Its identity, which scores are stamped with.
    pub fn id(&self) -> &str {
        &self.account.id
    }

    /// What the scores of a set are stamped with: its identity, or that it says nothing of the set.
    pub fn covering(&self, set: &str) -> &str {
        if self.account.set(set).is_some() { self.id() } else { UNAUDITED }
    }

    /// What it says of the set's items.
    pub fn items(&self, set: &str) -> anyhow::Result<AuditedItems> {
        let Some(found) = self.account.set(set) else {
            let known: Vec<_> = self.account.sets.iter().map(|set| set.name.as_str()).collect();
            let like = known.first().copied().unwrap_or("NAME");
            let hint = format!("hint: give the set the report's name, as in --dataset {like}=PATH");
            bail!("{}: no set {set:?}, only {}\n{hint}", self.path.display(), known.join(", "));
        };
        Ok(audited(found))
    }

    /// Whether the report covers every shard that the model at a path was trained on; none where
    /// either does not say which those are.
    pub fn covers(&self, model: &Path) -> Option<bool> {
        self.missing(model).map(|(missing, _)| missing.is_empty())
    }

    /// The warning where it does not.
    pub fn warning(&self, model: &Path) -> Option<String> {
        let (missing, all) = self.missing(model)?;
        let first = missing.first()?;
        let again = if first.is_file() { ", which has been written anew since" } else { "" };
        Some(format!(
            "warning: {} is not of the corpus that {} was trained on: {} of its {all} shards are not in it, such \
             as {}{again}; Clean and Overlap are of another corpus\n\
             hint: `clip-data contamination --corpus` with the shards of the training writes its report",
            self.path.display(),
            model.display(),
            missing.len(),
            first.display()
        ))
    }

    /// The shards of the training that the report does not have, and how many there are.
    fn missing(&self, model: &Path) -> Option<(Vec<PathBuf>, usize)> {
        let known: HashSet<&str> = self.account.corpus.shards.iter().map(String::as_str).collect();
        let shards = trained_on(model)?;
        if known.is_empty() {
            return None;
        }
        let all = shards.len();
        let missing = shards.into_iter().filter(|trained| !known.contains(&*trained.blake3));
        Some((missing.map(|trained| trained.shard).collect(), all))
    }
}

/// The shards of the training that a checkpoint, or a folder of a run, is of.
fn trained_on(model: &Path) -> Option<Vec<TrainedShard>> {
    let path = model.canonicalize().ok()?;
    let mut files = path.ancestors().take(ABOVE).map(|dir| dir.join(TrainedShard::FILE));
    let file = files.find(|file| file.is_file())?;
    let shards = TrainedShard::parse(&std::fs::read_to_string(&file).ok()?, &file).ok()?;
    (!shards.is_empty() && shards.iter().all(|shard| !shard.blake3.is_empty())).then_some(shards)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_overlap::CorpusAccount;

    #[test]
    fn a_report_of_other_shards_differs_from_one_that_may_be_of_any() {
        let dir = tempfile::tempdir().unwrap();
        let model = dir.path().join("logs/m/checkpoints/step_1");
        std::fs::create_dir_all(&model).unwrap();
        let audit = |shards: &[&str]| {
            let shards = shards.iter().map(|&hash| hash.to_owned()).collect();
            let corpus = CorpusAccount { shards, ..CorpusAccount::default() };
            let account = ContaminationReport::new(corpus, Vec::new());
            Audit::open(&account.write(dir.path()).unwrap()).unwrap()
        };
        assert_eq!(audit(&["aa"]).covers(&model), None, "a model of elsewhere");
        let line = |name: &str, hash: &str| {
            format!(r#"{{"shard":"/{name}","bytes":1,"blake3":"{hash}"}}"#)
        };
        let lines = [line("0.tar", "aa"), line("1.tar", "bb")].join("\n");
        std::fs::write(dir.path().join("logs/m/shards.jsonl"), lines + "\n").unwrap();
        assert_eq!(audit(&[]).covers(&model), None, "a report without hashes");
        assert_eq!(audit(&["bb", "aa", "cc"]).covers(&model), Some(true));
        let other = audit(&["aa"]);
        assert_eq!(other.covers(&model), Some(false));
        let warning = other.warning(&model).unwrap();
        assert!(warning.contains("1 of its 2 shards are not in it, such as /1.tar"), "{warning}");
        assert_eq!(audit(&["aa", "bb"]).warning(&model), None);
    }
}
