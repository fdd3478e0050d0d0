//! Settings of the corpus stages: duplicates, evaluation sets, shards, engine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// `[dedup]`: which images are the same.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dedup {
    /// Images whose 64-bit pHash differ in at most this many bits are candidates; 0 leaves only
    /// equal files.
    #[serde(default = "default_radius")]
    pub radius: u32,
    /// Whether the captions of a cluster's other images are kept with the one that stays.
    #[serde(default = "yes")]
    pub keep_captions: bool,
    /// Captions that an image keeps at most, its own included.
    #[serde(default = "default_max_captions")]
    pub max_captions: usize,
    /// An image behind more URLs or captions than this is a placeholder and is dropped; 0 keeps
    /// it.
    #[serde(default = "default_placeholder_limit")]
    pub placeholder_limit: usize,
    /// Least score of two candidates, laid over each other, from 0 to 1, as contamination counts
    /// copies by when absent; 0 trusts the hashes.
    pub likeness: Option<f32>,
    /// Corpora that exist already (folders of shards, Parquet tables): an image that they have
    /// is dropped.
    #[serde(default)]
    pub against: Vec<PathBuf>,
}

fn default_max_captions() -> usize {
    100
}

fn default_placeholder_limit() -> usize {
    1000
}

fn default_radius() -> u32 {
    4
}

fn yes() -> bool {
    true
}

/// `[block]`: what a row must not match. Every list is a file with an entry a line; empty lines and
/// those that begin with `#` are ignored.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Block {
    /// Hosts of images and pages, with all hosts below them.
    pub hosts: Vec<PathBuf>,
    /// URLs of images and pages; `*` is any run of characters.
    pub urls: Vec<PathBuf>,
    /// SHA-256 of images as they came.
    pub sha256: Vec<PathBuf>,
    /// pHash of images, 16 hexadecimal digits.
    pub phash: Vec<PathBuf>,
    /// Bits by which a pHash may differ.
    pub phash_radius: Option<u32>,
    /// PDQ of images, 64 hexadecimal digits.
    pub pdq: Vec<PathBuf>,
    /// Bits by which a PDQ may differ.
    pub pdq_radius: Option<u32>,
}

impl Block {
    /// By default 4, as in `[dedup]`.
    pub fn phash_radius(&self) -> u32 {
        self.phash_radius.unwrap_or_else(default_radius)
    }

    /// By default 31: Meta's own threshold.
    pub fn pdq_radius(&self) -> u32 {
        self.pdq_radius.unwrap_or(31)
    }

    /// The lists that are looked at before the fetch, each with its setting's name.
    pub fn before_fetch(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let lists = [("block.hosts", &self.hosts), ("block.urls", &self.urls)];
        lists.into_iter().flat_map(|(name, paths)| paths.iter().map(move |path| (name, path)))
    }

    /// The lists that are looked at after the fetch.
    pub fn after_fetch(&self) -> impl Iterator<Item = (&'static str, &PathBuf)> {
        let lists = [
            ("block.sha256", &self.sha256),
            ("block.phash", &self.phash),
            ("block.pdq", &self.pdq),
        ];
        lists.into_iter().flat_map(|(name, paths)| paths.iter().map(move |path| (name, path)))
    }

    /// What is wrong with it.
    pub(crate) fn fault(&self) -> Option<String> {
        let idle = |name: &str, radius: Option<u32>, list: &[PathBuf]| {
            (radius.is_some() && list.is_empty()).then(|| {
                format!("`block.{name}_radius` has no effect\nhint: `block.{name}` is empty")
            })
        };
        let wide = |name: &str, radius: u32, most: u32| {
            (radius > most).then(|| format!("`block.{name}_radius` must be at most {most}"))
        };
        let none = self.before_fetch().chain(self.after_fetch()).next().is_none();
        none.then(|| "[block] names no list\nhint: `hosts = [\"hosts.txt\"]`".to_owned())
            .or_else(|| idle("phash", self.phash_radius, &self.phash))
            .or_else(|| idle("pdq", self.pdq_radius, &self.pdq))
            .or_else(|| wide("phash", self.phash_radius(), 16))
            .or_else(|| wide("pdq", self.pdq_radius(), 128))
    }
}

/// `[check]`: evaluation sets that the corpus is checked against.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Name and folder of each set.
    pub against: BTreeMap<String, PathBuf>,
    /// What happens to a copy.
    #[serde(default)]
    pub action: CheckAction,
    /// Least score of a copy, from 0 to 1: of every set, or by name.
    #[serde(default)]
    pub threshold: Threshold,
    /// Whether images inside larger ones are looked for longer.
    #[serde(default)]
    pub thorough: bool,
    /// Thresholds and marks, as `clip-data contamination` keeps them; `threshold` overrules its
    /// thresholds.
    pub decisions: Option<PathBuf>,
}

/// Least score of a copy.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged, expecting = "must be a score from 0 to 1, or a table of scores by set")]
pub enum Threshold {
    /// The same for every set.
    All(f32),
    /// By the name of the set; others have the default.
    Each(BTreeMap<String, f32>),
}

impl Default for Threshold {
    fn default() -> Self {
        Self::Each(BTreeMap::new())
    }
}

impl Threshold {
    /// That of a set, where one is given.
    pub fn of(&self, set: &str) -> Option<f32> {
        match self {
            Self::All(threshold) => Some(*threshold),
            Self::Each(sets) => sets.get(set).copied(),
        }
    }
}

impl Check {
    /// What is wrong with the thresholds.
    pub(crate) fn fault(&self) -> Option<String> {
        let odd = |threshold: &f32| !(0.0..=1.0).contains(threshold);
        let range = "`check.threshold` must be between 0 and 1";
        match &self.threshold {
            Threshold::All(threshold) => odd(threshold).then(|| range.to_owned()),
            Threshold::Each(sets) => {
                let known: Vec<&str> = self.against.keys().map(String::as_str).collect();
                let strange = sets.keys().find(|set| !known.contains(&set.as_str()));
                let fault = strange.map(|set| {
                    let known = known.join(", ");
                    format!("`check.threshold` names no set {set}\nhint: the sets are {known}")
                });
                fault.or_else(|| sets.values().any(odd).then(|| range.to_owned()))
            }
        }
    }
}

/// What happens to an image that an evaluation set has too.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckAction {
    /// It stays, and says so.
    Flag,
    /// It is dropped.
    #[default]
    Drop,
}

/// `[shards]`: how the corpus is written.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shards {
    /// Samples in a shard.
    pub rows: usize,
}

impl Default for Shards {
    fn default() -> Self {
        Self { rows: 10_000 }
    }
}

/// `[engine]`: who runs the parts. Never part of a fingerprint: any number of workers writes the
/// same bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EngineConfig {
    /// Where the parts are done.
    pub kind: EngineKind,
    /// Parts at work at a time; absent: as many as there are cores here, or 64 on a cluster.
    pub workers: Option<usize>,
    /// The scheduler of `kind = "ballista"`.
    pub scheduler: Option<String>,
}

/// Where parts are done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// In this process.
    #[default]
    Local,
    /// By the workers of a Ballista cluster that see the same files.
    Ballista,
}

impl EngineConfig {
    /// The scheduler's address, where [`EngineKind::Ballista`] names none of its own.
    pub const SCHEDULER: &str = "127.0.0.1:50050";

    /// Host and port of the scheduler.
    pub fn scheduler(&self) -> &str {
        self.scheduler.as_deref().unwrap_or(Self::SCHEDULER)
    }
}
