//! The names of everything in a run's folder: no other file spells them.
//!
//! ```text
//! RUN/run.json                          what the last build consisted of
//! RUN/shards                            link to the newest shards
//! RUN/06-fetch-3f9c1a2b/stage.json      what decides a stage's output
//! RUN/06-fetch-3f9c1a2b/manifest.jsonl  a line for each committed part
//! RUN/06-fetch-3f9c1a2b/part-00007.parquet, images/part-00007.parquet, rejects/part-00007.parquet
//! RUN/11-score-20cf1d77/img_emb/img_emb_00007.npy, text_emb/…, metadata/metadata_00007.parquet
//! RUN/05-dedup-9b1e22c0/decisions/      what a barrier decided
//! RUN/09-shards-…/shards/00000.tar      what a sink wrote
//! RUN/06-fetch-3f9c1a2b/scratch/        what need not outlive the stage, and its summaries
//! ```

use std::path::{Path, PathBuf};

use clip_corpus::{EmbeddingNames, Manifest};

use crate::{Error, Result};

const IMAGES: &str = "images/";
const REJECTS: &str = "rejects/";
const SHARDS: &str = "shards/";
const PART: &str = "part-";
/// Name of the list of a barrier's decision files, in their folder.
pub(crate) const INDEX: &str = "index.json";
/// The same in the stage's folder.
pub(crate) const DECISION_INDEX: &str = "decisions/index.json";

/// The folder of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunLayout {
    dir: PathBuf,
}

impl RunLayout {
    /// Name of the file that says what the last build consisted of.
    pub const SUMMARY: &str = "run.json";

    /// The run in a folder, whether anything is there or not.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether a build wrote its summary here.
    pub fn is_run(&self) -> bool {
        self.summary().is_file()
    }

    /// The first run in a folder below, as `NAME` or `runs/NAME`: where a folder above it was
    /// given, it is what was meant.
    pub fn below(&self) -> Option<PathBuf> {
        let folders = [self.dir.clone(), self.dir.join("runs")];
        folders.iter().find_map(|folder| {
            let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
            entries.map(|entry| entry.path()).filter(|path| Self::new(path).is_run()).min()
        })
    }

    /// The file of [`crate::RunSummary`].
    pub fn summary(&self) -> PathBuf {
        self.dir.join(Self::SUMMARY)
    }

    /// The link to the newest shards.
    pub fn shards(&self) -> PathBuf {
        self.dir.join(SHARDS.trim_end_matches('/'))
    }

    /// The page of `clip-data report`, where no other is named.
    pub fn report(&self) -> PathBuf {
        self.dir.join("report.html")
    }

    /// Held by every process that works on the run.
    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join(".lock")
    }

    /// Names the store that the folder is a copy of.
    pub(crate) fn store_address(&self) -> PathBuf {
        self.dir.join(".store")
    }

    /// The folder of a stage: its number, its name and the first digits of its fingerprint's hash.
    pub fn stage(&self, number: usize, name: &str, hash: &str) -> StageLayout {
        StageLayout::new(&self.dir.join(format!("{}{}", stage_prefix(number, name), &hash[..8])))
    }

    /// The folders of all stages that are here, whatever settings made them, in their order.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn stage_folders(&self) -> Result<Vec<StageLayout>> {
        let failed = |e| Error::io(&self.dir, e);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            // A link is no folder of ours.
            if is_stage_name(&name.to_string_lossy()) && entry.file_type().map_err(failed)?.is_dir()
            {
                found.push(StageLayout::new(&entry.path()));
            }
        }
        found.sort_by_key(StageLayout::name);
        Ok(found)
    }

    /// Every folder that a stage of that number and name ever had here.
    pub(crate) fn versions(&self, number: usize, name: &str) -> Vec<PathBuf> {
        let prefix = stage_prefix(number, name);
        let entries =
            std::fs::read_dir(&self.dir).into_iter().flatten().filter_map(std::result::Result::ok);
        let mine = entries.filter(|e| e.file_name().to_string_lossy().starts_with(&prefix));
        mine.map(|entry| entry.path()).collect()
    }
}

/// `06-fetch-3f9c1a2b`.
pub(crate) fn is_stage_name(name: &str) -> bool {
    let digits = |text: &str| text.len() >= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let hash = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let parts = name.split_once('-').and_then(|(number, rest)| {
        let (stage, end) = rest.rsplit_once('-')?;
        Some((number, stage, end))
    });
    parts.is_some_and(|(number, stage, end)| digits(number) && !stage.is_empty() && hash(end))
}

fn stage_prefix(number: usize, name: &str) -> String {
    format!("{number:02}-{name}-")
}

/// The folder of a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StageLayout {
    dir: PathBuf,
}

impl StageLayout {
    /// Name of the file of [`crate::StageFile`].
    pub const FILE: &str = "stage.json";

    /// The stage in a folder, whether anything is there or not.
    pub fn new(dir: &Path) -> Self {
        Self { dir: dir.to_path_buf() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder's name in the run's.
    pub fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The first digits of its fingerprint's hash, which its folder is called by.
    pub(crate) fn hash_start(&self) -> String {
        self.name().rsplit('-').next().unwrap_or_default().to_owned()
    }

    /// Whether a stage began here.
    pub fn is_stage(&self) -> bool {
        self.file().is_file()
    }

    /// The file of [`crate::StageFile`].
    pub fn file(&self) -> PathBuf {
        self.dir.join(Self::FILE)
    }

    /// The file of [`Manifest`].
    pub fn manifest(&self) -> PathBuf {
        self.dir.join(Manifest::FILE)
    }

    /// A part's rows.
    pub fn rows(&self, part: usize) -> PathBuf {
        self.dir.join(rows_name(part))
    }

    /// A part's images.
    pub fn images(&self, part: usize) -> PathBuf {
        self.dir.join(images_name(part))
    }

    /// A part's rejects.
    pub fn rejects(&self, part: usize) -> PathBuf {
        self.dir.join(rejects_name(part))
    }

    /// The folder of all rejects.
    pub fn all_rejects(&self) -> PathBuf {
        self.dir.join(REJECTS.trim_end_matches('/'))
    }

    /// The folder of what a barrier decided.
    pub fn decisions(&self) -> PathBuf {
        self.dir.join("decisions")
    }

    /// The list of the files there.
    pub(crate) fn decision_index(&self) -> PathBuf {
        self.dir.join(DECISION_INDEX)
    }

    /// The folder of what a sink wrote.
    pub fn shards(&self) -> PathBuf {
        self.dir.join(SHARDS.trim_end_matches('/'))
    }

    /// The folder of [`crate::Context::scratch`].
    pub fn scratch(&self) -> PathBuf {
        self.dir.join("scratch")
    }
}

/// What a committed file of a stage holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartFileKind {
    /// Rows that continue.
    Rows,
    /// Their images.
    Images,
    /// Rows that were dropped.
    Rejects,
    /// Something that a sink wrote.
    Shard,
    /// Embeddings of rows.
    Embeddings,
    /// What the rows of embeddings are of.
    Metadata,
}

impl PartFileKind {
    /// By the name in the manifest.
    pub fn from_name(name: &str) -> Option<Self> {
        let known = [
            (PART, Self::Rows),
            (IMAGES, Self::Images),
            (REJECTS, Self::Rejects),
            (SHARDS, Self::Shard),
            (EmbeddingNames::IMAGES, Self::Embeddings),
            (EmbeddingNames::TEXTS, Self::Embeddings),
            (EmbeddingNames::METADATA, Self::Metadata),
        ];
        known.into_iter().find(|(prefix, _)| name.starts_with(prefix)).map(|(_, kind)| kind)
    }
}

/// Name of a part's rows in its stage's folder.
pub fn rows_name(part: usize) -> String {
    format!("{PART}{part:05}.parquet")
}

/// Name of a part's images.
pub fn images_name(part: usize) -> String {
    format!("{IMAGES}{}", rows_name(part))
}

/// Name of a part's rejects.
pub fn rejects_name(part: usize) -> String {
    format!("{REJECTS}{}", rows_name(part))
}

/// Names of a part's embeddings.
pub(crate) fn embedding_names(part: usize) -> EmbeddingNames {
    EmbeddingNames::new(&format!("{part:05}"))
}

/// Name of a file that a sink wrote.
pub fn shard_name(file: &str) -> String {
    format!("{SHARDS}{file}")
}

/// Name of what a part has so far, in the scratch folder.
pub(crate) fn spool_name(part: usize) -> String {
    format!("{PART}{part:05}.{SPOOL}")
}

/// Ending of [`spool_name`].
pub(crate) const SPOOL: &str = "spool";

/// Name of the object of a part's manifest line, in a store.
pub(crate) fn commit_name(part: usize) -> String {
    format!("{PART}{part:05}.json")
}

/// The part of a name of [`commit_name`].
pub(crate) fn commit_part(name: &str) -> Option<usize> {
    name.strip_prefix(PART)?.strip_suffix(".json")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_agree() {
        let kinds = [rows_name(7), images_name(7), rejects_name(7), shard_name("00000.tar")];
        let kinds = kinds.map(|name| PartFileKind::from_name(&name));
        assert_eq!(
            kinds,
            [PartFileKind::Rows, PartFileKind::Images, PartFileKind::Rejects, PartFileKind::Shard]
                .map(Some)
        );
        let embeddings = embedding_names(7);
        for name in embeddings.arrays() {
            assert_eq!(PartFileKind::from_name(name), Some(PartFileKind::Embeddings));
        }
        assert_eq!(PartFileKind::from_name(&embeddings.metadata), Some(PartFileKind::Metadata));
        assert_eq!(PartFileKind::from_name("other"), None);
        assert_eq!(commit_part(&commit_name(123_456)), Some(123_456));
        assert_eq!(commit_part("part-x.json"), None);
        let stage = RunLayout::new(Path::new("runs/a")).stage(6, "fetch", "3f9c1a2bcc");
        assert_eq!(
            stage.rejects(7),
            Path::new("runs/a/06-fetch-3f9c1a2b/rejects/part-00007.parquet")
        );
        assert_eq!(stage.name(), "06-fetch-3f9c1a2b");
        assert!(is_stage_name(&stage.name()) && is_stage_name("100-x-y-0123abcd"));
        for other in [
            "shards",
            "06-fetch",
            "06-fetch-3f9c",
            "6-fetch-3f9c1a2b",
            "06--3f9c1a2b",
            "aa-b-3f9c1a2b",
        ] {
            assert!(!is_stage_name(other), "{other}");
        }
    }
}
