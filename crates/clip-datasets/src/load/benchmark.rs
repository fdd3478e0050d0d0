//! CLIP_benchmark's WebDataset layout: `test/nshards.txt`, `test/0.tar` …, `.cls` beside each
//! image.

use std::path::{Path, PathBuf};

use super::prompts::own_prompts;
use super::{Ask, Content, no_split};
use crate::error::lines;
use crate::item::{Split, Task};
use crate::source::{Member, Source};
use crate::{Error, Result};

pub(crate) const TREE: &str = "  test/nshards.txt, test/0.tar …, classnames.txt, zeroshot_classification_templates.txt (CLIP_benchmark)\n    each sample: IMAGE.{jpg,png,webp} with .cls (number), .npy (marks, dataset_type.txt = multilabel) or .txt (captions, = retrieval)";

/// The file that says what the samples have, where these are not classes.
pub(crate) const TYPE: &str = "dataset_type.txt";

pub(crate) fn detect(root: &Path) -> bool {
    ["test", "train"].iter().any(|part| root.join(part).join("nshards.txt").is_file())
}

/// Whether the shards of a folder say that they have captions.
pub(crate) fn has_captions(root: &Path) -> bool {
    lines(&root.join(TYPE)).is_ok_and(|kind| kind.concat().eq_ignore_ascii_case("retrieval"))
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    // Some sets have a part for choosing on, under either name.
    let parts: &[&str] = match ask.split {
        Split::Train => &["train"],
        Split::Val => &["val", "valid"],
        Split::Test => &["test"],
    };
    let part = parts.iter().find(|part| root.join(part).join("nshards.txt").is_file());
    let part = part.ok_or_else(|| no_split(root, ask.split, TREE))?;
    let count_file = root.join(part).join("nshards.txt");
    let count = lines(&count_file)?;
    let count: usize = count
        .first()
        .and_then(|line| line.parse().ok())
        .ok_or_else(|| Error::file(&count_file, "not a number of shards"))?;
    let mut shards: Vec<PathBuf> = Vec::new();
    for shard in (0..count).map(|n| root.join(format!("{part}/{n}.tar"))) {
        if !shard.is_file() {
            return Err(Error::file(&shard, format!("missing, though nshards.txt says {count}")));
        }
        shards.push(shard);
    }
    let kind_file = root.join(TYPE);
    let kind = if kind_file.is_file() { lines(&kind_file)?.concat() } else { String::new() };
    let task = match kind.to_lowercase().as_str() {
        "" | "classification" => Task::Classification,
        "multilabel" => Task::MultiLabel,
        "retrieval" => Task::Retrieval,
        other => return Err(Error::file(&kind_file, format!("a type that is unknown: {other:?}"))),
    };
    if task == Task::Retrieval {
        let source = Source::Shards(shards, Member::Captions);
        return Ok(Content::of(task, source));
    }
    let own = own_prompts(root)?.ok_or_else(|| Error::layout(root, "no classnames.txt", TREE))?;
    let keys: Vec<String> = own.names.concat();
    let classes = keys.len();
    let member =
        if task == Task::MultiLabel { Member::Marks(classes) } else { Member::Class(classes) };
    Ok(Content { keys, own: Some(own), ..Content::of(task, Source::Shards(shards, member)) })
}
