//! Evaluation datasets: class names, prompt templates and items, from folders that are there already.
//!
//! Nothing is downloaded. A folder is recognised by what lies in it: CLIP_benchmark's WebDataset layout, or
//! one folder of images per class.

mod benchmark;
mod error;
mod folder;

use std::path::{Path, PathBuf};

pub use error::{Error, Result};

/// What an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Label(pub usize);

/// One item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvalItem {
    /// Its key, unique in the set.
    pub key: String,
    /// Its encoded image.
    pub image: Vec<u8>,
    /// Its class.
    pub label: Label,
}

/// An evaluation set whose folder was recognised.
#[derive(Debug, Clone)]
pub struct EvalSet {
    /// Name of the set: its folder's.
    pub name: String,
    /// Class names by label.
    pub classes: Vec<String>,
    /// Prompt templates; `{c}` is the class name.
    pub templates: Vec<String>,
    source: Source,
}

#[derive(Debug, Clone)]
enum Source {
    Shards(Vec<PathBuf>),
    Files(Vec<(PathBuf, Label)>),
}

/// The template of sets that bring none: the paper's default (section 3.1.4).
const DEFAULT_TEMPLATE: &str = "a photo of a {c}.";

/// Opens an evaluation set.
///
/// # Errors
/// When the folder has no layout that is known; the message shows those that are.
pub fn open(path: &Path) -> Result<EvalSet> {
    if path.join("test/nshards.txt").is_file() { benchmark::open(path) } else { folder::open(path) }
}

impl EvalSet {
    /// All items, in the order of the set.
    pub fn items(&self) -> Box<dyn Iterator<Item = Result<EvalItem>> + Send + '_> {
        match &self.source {
            Source::Shards(shards) => Box::new(benchmark::items(shards, self.classes.len())),
            Source::Files(files) => Box::new(folder::items(files)),
        }
    }

    /// The prompts of a class.
    pub fn prompts(&self, label: Label) -> Vec<String> {
        let class = &self.classes[label.0];
        self.templates.iter().map(|template| template.replace("{c}", class)).collect()
    }
}

/// Name of a set: the last part of its path, without CLIP_benchmark's `wds_` before and `_test` after.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_prefix("wds_").unwrap_or(&name);
    name.strip_suffix("_test").unwrap_or(name).to_owned()
}
