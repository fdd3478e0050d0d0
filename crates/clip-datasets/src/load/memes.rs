//! Hateful Memes: `dev.jsonl` with an image, its text and 0 or 1 a line. The dev part is the test
//! part.

use std::path::{Path, PathBuf};

use super::{Ask, Content, file, no_split};
use crate::error::text;
use crate::item::Split;
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str =
    "  img/*.png, dev.jsonl or dev_seen.jsonl, train.jsonl (id, img, label, text)";

fn list(root: &Path, split: Split) -> Option<PathBuf> {
    match split {
        Split::Test => file(root, &["dev.jsonl", "dev_seen.jsonl", "data/dev.jsonl"]),
        Split::Train => file(root, &["train.jsonl", "data/train.jsonl"]),
        Split::Val => None,
    }
}

pub(crate) fn detect(root: &Path) -> bool {
    list(root, Split::Test).is_some()
}

pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let list = list(root, ask.split).ok_or_else(|| no_split(root, ask.split, TREE))?;
    let folder = list.parent().unwrap_or(root);
    let mut items = Vec::new();
    for (number, line) in
        text(&list)?.lines().enumerate().filter(|(_, line)| !line.trim().is_empty())
    {
        let bad = |reason: String| Error::file(&list, format!("line {}: {reason}", number + 1));
        let row: serde_json::Value = serde_json::from_str(line).map_err(|e| bad(e.to_string()))?;
        let image = row["img"].as_str().ok_or_else(|| bad("no img".into()))?;
        let label = row["label"].as_u64().filter(|label| *label < 2);
        let label = label.ok_or_else(|| bad("no label 0 or 1".into()))?;
        items.push(FileItem::new(
            folder.join(image),
            image.to_owned(),
            Truth::Class(label as usize),
        ));
    }
    Ok(Content::classes(vec!["meme".into(), "hatespeech meme".into()], Source::files(items)))
}

#[cfg(test)]
mod tests {
    use crate::{Metric, OpenOptions, open_named};

    #[test]
    fn labels_and_mistakes() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("img")).unwrap();
        std::fs::write(dir.path().join("img/8291.png"), b"x").unwrap();
        let list = dir.path().join("dev.jsonl");
        std::fs::write(
            &list,
            "{\"id\":8291,\"img\":\"img/8291.png\",\"label\":1,\"text\":\"white people\"}\n",
        )
        .unwrap();
        let spec = format!("hateful-memes={}", dir.path().display());
        let set = open_named(&spec, &OpenOptions::default()).unwrap();
        assert_eq!(
            (set.metric(), set.prompts(1)),
            (Metric::RocAuc, vec!["a hatespeech meme.".to_owned()])
        );
        assert_eq!(set.items().next().unwrap().unwrap().truth.class(), Some(1));
        std::fs::write(&list, "{\"id\":1,\"img\":\"a\",\"text\":\"\"}\n").unwrap();
        let message =
            open_named(&spec, &OpenOptions::default()).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("line 1: no label"), "{message}");
    }
}
