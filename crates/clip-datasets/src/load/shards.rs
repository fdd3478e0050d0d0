//! Shards of pairs as `clip-data fetch`, img2dataset and open_clip have them: an image and its
//! caption a sample.

use std::path::{Path, PathBuf};

use clip_corpus::{ShardReader, is_shard};

use super::benchmark::TYPE;
use super::{Ask, Content, no_split, sorted};
use crate::item::{Split, Task};
use crate::source::{Member, Source};
use crate::{Error, Result};

pub(crate) const TREE: &str = "  00000.tar, 00001.tar …, or one of them: pairs, each IMAGE.{jpg,png,webp} with .txt (its caption)";

/// Whether the first sample is a pair: archives of many kinds are beside what they were unpacked
/// to. A part of CLIP_benchmark's folders, whose captions are the lines of a text, is none.
pub(crate) fn detect(root: &Path) -> bool {
    let benchmark = |dir: &Path| dir.join("nshards.txt").exists() || dir.join(TYPE).exists();
    if root.ancestors().take(2).any(benchmark) {
        return false;
    }
    let Some(first) = shards(root).ok().and_then(|shards| shards.into_iter().next()) else {
        return false;
    };
    let sample = ShardReader::open(&first).ok().and_then(|mut shard| shard.next());
    sample.is_some_and(|sample| {
        sample.is_ok_and(|sample| sample.image().is_some() && sample.get("txt").is_some())
    })
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    if ask.split != Split::Test {
        return Err(no_split(root, ask.split, TREE));
    }
    let shards = shards(root)?;
    if shards.is_empty() {
        return Err(Error::layout(root, "no shard (.tar)", TREE));
    }
    Ok(Content::of(Task::Retrieval, Source::Shards(shards, Member::Caption)))
}

/// A shard, or those of a folder.
fn shards(root: &Path) -> Result<Vec<PathBuf>> {
    let mut shards = if root.is_dir() { sorted(root)? } else { vec![root.to_path_buf()] };
    shards.retain(|path| is_shard(path) && path.is_file());
    Ok(shards)
}

#[cfg(test)]
mod tests {
    use clip_corpus::{Sample, ShardWriter};

    use crate::{OpenOptions, Split, Task, Truth, open, open_with};

    fn pairs(path: &std::path::Path, members: &[(&str, &str)]) {
        let mut writer = ShardWriter::create(path).unwrap();
        for key in ["000000000", "000000001"] {
            let fields = members.iter().map(|&(name, text)| (name.to_owned(), text.into()));
            writer.write(&Sample { key: key.to_owned(), fields: fields.collect() }).unwrap();
        }
        writer.finish().unwrap();
    }

    #[test]
    fn each_sample_has_one_caption_and_a_key_of_its_shard() {
        let dir = tempfile::tempdir().unwrap();
        let shard = |n: usize| dir.path().join(format!("0000{n}.tar"));
        for n in 0..2 {
            pairs(&shard(n), &[("jpg", "x"), ("txt", " one\ntwo \n"), ("json", "{}")]);
        }
        let set = open(dir.path()).unwrap();
        assert_eq!((set.loader, set.task, set.count().unwrap()), ("shards", Task::Retrieval, 4));
        let items: Vec<_> = set.items().map(|item| item.unwrap()).collect();
        assert_eq!(items[3].key, "00001/000000001");
        assert_eq!(items[0].truth, Truth::Captions(vec!["one\ntwo".into()]));
        assert_eq!(open(&shard(1)).unwrap().items().count(), 2);
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        assert!(open_with(dir.path(), &train).is_err());
    }

    #[test]
    fn other_archives_are_no_set() {
        let dir = tempfile::tempdir().unwrap();
        pairs(&dir.path().join("images.tar"), &[("jpg", "x")]);
        let refused = open(dir.path()).err().unwrap().to_string();
        assert!(
            refused.contains("no evaluation set") && refused.contains("00000.tar"),
            "{refused}"
        );
        pairs(&dir.path().join("images.tar"), &[("jpg", "x"), ("txt", " ")]);
        let refused = open(dir.path()).unwrap().items().next().unwrap().unwrap_err().to_string();
        assert!(refused.contains("000000000") && refused.contains("empty"), "{refused}");
    }
}
