//! `clip-data fetch`: from a list of URLs to a data set in img2dataset's layout.
//!
//! The rows of a window of shards wait in queues by host, so that a host with many rows keeps no
//! row of another one waiting; encoded images wait in a spool on disk, and a shard is written in
//! the order of the list once its last row is there. What says that a shard is done is its
//! `_stats.json`, the last of its files to get its name.

mod adopted;
mod asks;
mod collect;
mod columns;
mod diagnosis;
mod dispatch;
mod dry_run;
mod fetched_list;
mod folder;
mod json;
mod outcome;
mod output;
mod prepare;
mod retry;
mod row;
mod run;
mod shards;
mod stats;
mod write;

use std::path::PathBuf;

use clip_pipeline::config::fetch::{FetchConfig, ImageConfig};
use clip_pipeline::config::source::CaptionList;
use serde::{Deserialize, Serialize};

pub use diagnosis::{
    access_flags, diagnosis, failures, pages_hint, retry_command, retry_diagnosis, retry_hint,
    shell_word,
};
pub use dry_run::{DryRun, dry_run};
pub use fetched_list::FetchedList;
pub use folder::{is_begun, unfinished};
pub use outcome::Status;
pub use prepare::settings;
pub use retry::{Retried, retry};
pub use run::{Summary, run};
pub use stats::{HostStats, Stats};

/// Everything that decides what a data set holds, with img2dataset's names.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DatasetConfig {
    /// File, folder, pattern or URL of the list.
    pub url_list: PathBuf,
    /// What the list is; without it, its name says.
    pub input_format: Option<String>,
    /// Column of the URL.
    pub url_col: String,
    /// Column of the caption.
    pub caption_col: Option<String>,
    /// What a list of captions in that column means.
    pub caption_list: CaptionList,
    /// Column of boxes to blur: lists of left, top, right, bottom, from 0 to 1.
    pub bbox_col: Option<String>,
    /// Columns of the list that are kept.
    pub save_additional_columns: Vec<String>,
    /// Column of a hash that the bytes must have, and its kind.
    pub verify_hash: Option<(String, HashKind)>,
    /// What happens to an image that has another hash.
    pub hash_mismatch: HashMismatch,
    /// Where the data set goes: a folder, or a URL of object storage.
    pub output_folder: PathBuf,
    /// How samples are written.
    pub output_format: OutputFormat,
    /// Rows of a shard.
    pub number_sample_per_shard: usize,
    /// Digits of a shard's number.
    pub oom_shard_count: usize,
    /// Whether EXIF tags are kept.
    pub extract_exif: bool,
    /// Hash of the bytes as they came.
    pub compute_hash: Option<HashKind>,
    /// Whether bytes are stored as they came, unseen.
    pub disable_all_reencoding: bool,
    /// What happens to shards that are there.
    #[serde(skip)]
    pub incremental_mode: IncrementalMode,
    /// Of N jobs, the number of this one, from 0: it does every N-th shard.
    #[serde(skip)]
    pub job: Option<(usize, usize)>,
    /// Politeness and limits.
    pub fetch: FetchConfig,
    /// Which images may stay, and how they are stored.
    pub image: ImageConfig,
    /// The lists that its shards were made from; written, and not set by anyone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lists: Vec<FetchedList>,
}

impl Default for DatasetConfig {
    fn default() -> Self {
        Self {
            url_list: PathBuf::new(),
            input_format: None,
            url_col: "url".into(),
            caption_col: None,
            caption_list: CaptionList::Refuse,
            bbox_col: None,
            save_additional_columns: Vec::new(),
            verify_hash: None,
            hash_mismatch: HashMismatch::Drop,
            output_folder: "images".into(),
            output_format: OutputFormat::Files,
            number_sample_per_shard: 10_000,
            oom_shard_count: 5,
            extract_exif: true,
            compute_hash: Some(HashKind::Sha256),
            disable_all_reencoding: false,
            incremental_mode: IncrementalMode::Incremental,
            job: None,
            fetch: FetchConfig::default(),
            image: ImageConfig::default(),
            lists: Vec::new(),
        }
    }
}

/// How samples are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutputFormat {
    /// Image, text and JSON as files in a folder for each shard.
    Files,
    /// A tar file for each shard.
    Webdataset,
    /// Images in the shard's Parquet file.
    Parquet,
    /// Statistics alone.
    Dummy,
}

/// What happens to an image whose hash is not the one that the list expects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashMismatch {
    /// Its row fails, as img2dataset's does.
    #[default]
    Drop,
    /// It is in the data set, counted and marked as `hash mismatch`.
    Keep,
}

/// What happens to shards that are there already.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum IncrementalMode {
    /// They stay; the missing ones are made.
    #[default]
    Incremental,
    /// They go.
    Overwrite,
    /// They stay; new ones are numbered after them.
    Extend,
}

/// Hashes that img2dataset knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HashKind {
    /// MD5, which proves nothing against malice.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl HashKind {
    /// Its name, which is its column's too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }
}

/// Someone who watches a data set grow.
pub trait Watch: Send + Sync {
    /// The rows of this run, all of them: called as soon as the list is known to its end.
    fn total(&self, _rows: u64) {}
    /// A row is done.
    fn row(&self, _status: Status) {}
    /// A shard is written.
    fn shard(&self, _shard: usize, _stats: &Stats) {}
    /// A line for people.
    fn note(&self, _message: &str) {}
}

impl Watch for () {}
