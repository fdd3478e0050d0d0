//! CLIP_benchmark's WebDataset layout: `test/nshards.txt`, `test/0.tar` …, `.cls` beside each image.

use std::path::{Path, PathBuf};

use clip_corpus::{Sample, ShardReader};

use crate::error::lines;
use crate::{DEFAULT_TEMPLATE, Error, EvalItem, EvalSet, Label, Result, Source, name_of};

pub(crate) fn open(path: &Path) -> Result<EvalSet> {
    let count_file = path.join("test/nshards.txt");
    let count = lines(&count_file)?;
    let count: usize = count
        .first()
        .and_then(|line| line.parse().ok())
        .ok_or_else(|| Error::layout(&count_file, "not a number of shards"))?;
    let shards: Vec<PathBuf> = (0..count).map(|n| path.join(format!("test/{n}.tar"))).collect();
    if let Some(missing) = shards.iter().find(|shard| !shard.is_file()) {
        return Err(Error::layout(missing, format!("missing, though nshards.txt says {count}")));
    }
    let templates_file = path.join("zeroshot_classification_templates.txt");
    let templates = if templates_file.exists() {
        lines(&templates_file)?
    } else {
        vec![DEFAULT_TEMPLATE.to_owned()]
    };
    let classes = lines(&path.join("classnames.txt"))?;
    Ok(EvalSet { name: name_of(path), classes, templates, source: Source::Shards(shards) })
}

pub(crate) fn items(
    shards: &[PathBuf],
    classes: usize,
) -> impl Iterator<Item = Result<EvalItem>> + Send + '_ {
    shards.iter().flat_map(move |shard| {
        let reader: Box<dyn Iterator<Item = Result<EvalItem>> + Send> =
            match ShardReader::open(shard) {
                Ok(reader) => Box::new(reader.map(move |sample| item(shard, sample?, classes))),
                Err(error) => Box::new(std::iter::once(Err(error.into()))),
            };
        reader
    })
}

fn item(shard: &Path, sample: Sample, classes: usize) -> Result<EvalItem> {
    let bad = |reason: &str| Error::Item {
        path: shard.to_path_buf(),
        key: sample.key.clone(),
        reason: reason.to_owned(),
    };
    let label = sample.get("cls").and_then(|bytes| std::str::from_utf8(bytes).ok());
    let label = label.and_then(|text| text.trim().parse::<usize>().ok());
    let label = label.ok_or_else(|| bad("no class number in .cls"))?;
    if label >= classes {
        return Err(bad(&format!("class {label} of {classes}: are labels counted from 1?")));
    }
    let (_, image) = sample.image().ok_or_else(|| bad("no image"))?;
    Ok(EvalItem { image: image.to_vec(), label: Label(label), key: sample.key.clone() })
}

#[cfg(test)]
mod tests {
    use crate::{Label, open};
    use clip_corpus::{Sample, ShardWriter};
    use std::path::Path;

    fn write(dir: &Path, labels: &[&str]) {
        let mut shard = ShardWriter::create(&dir.join("test/0.tar")).unwrap();
        for (at, label) in labels.iter().enumerate() {
            let fields =
                vec![("cls".into(), label.as_bytes().to_vec()), ("png".into(), vec![at as u8])];
            shard.write(&Sample { key: format!("s{at:07}"), fields }).unwrap();
        }
        shard.finish().unwrap();
        std::fs::write(dir.join("test/nshards.txt"), "1\n").unwrap();
        std::fs::write(dir.join("classnames.txt"), "red apple\ncat\n").unwrap();
        std::fs::write(dir.join("zeroshot_classification_templates.txt"), "a {c}.\nthe {c}\n")
            .unwrap();
    }

    #[test]
    fn the_layout_is_read() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["1", "0"]);
        let set = open(dir.path()).unwrap();
        assert_eq!(set.prompts(Label(0)), ["a red apple.", "the red apple"]);
        let items: Vec<_> = set.items().map(Result::unwrap).collect();
        assert_eq!((items.len(), items[0].label, items[1].image[0]), (2, Label(1), 1));
    }

    #[test]
    fn labels_beyond_the_classes_and_missing_shards_are_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["2"]);
        let set = open(dir.path()).unwrap();
        let message = set.items().next().unwrap().unwrap_err().to_string();
        assert!(message.contains("s0000000") && message.contains("counted from 1"), "{message}");
        std::fs::write(dir.path().join("test/nshards.txt"), "2\n").unwrap();
        assert!(open(dir.path()).unwrap_err().to_string().contains("1.tar"));
    }
}
