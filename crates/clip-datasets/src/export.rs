//! Writing a set in CLIP_benchmark's WebDataset layout.

use std::path::Path;

use clip_corpus::{Sample, ShardWriter};
use clip_format::{ImageFormat, npy, write_atomic};

use crate::item::{EvalItem, Task, Truth};
use crate::{Error, EvalSet, Result};

/// Writes the items of a set below `root/PART/`, at most `per_shard` a shard, with classes and
/// templates beside. Returns the number of items.
///
/// Marks that are not judged (0) are written as absent: the layout has no sign for them. Class
/// names of several words a class keep the first.
pub fn export(set: &EvalSet, root: &Path, per_shard: usize) -> Result<u64> {
    let part = root.join(set.split.name());
    let (mut count, mut shards) = (0u64, 0usize);
    let mut writer: Option<ShardWriter> = None;
    for item in set.items() {
        if count > 0
            && count.is_multiple_of(per_shard.max(1) as u64)
            && let Some(full) = writer.take()
        {
            full.finish()?;
        }
        let open = match &mut writer {
            Some(open) => open,
            None => {
                shards += 1;
                writer.insert(ShardWriter::create(&part.join(format!("{}.tar", shards - 1)))?)
            }
        };
        let item = item?;
        let key = item.key.clone();
        let sample = sample(count, item).map_err(|reason| Error::item(&set.root, &key, reason))?;
        open.write(&sample)?;
        count += 1;
    }
    if let Some(last) = writer {
        last.finish()?;
    }
    write_atomic(&part.join("nshards.txt"), format!("{shards}\n").as_bytes())?;
    let text = |name: &str, lines: &[String]| {
        write_atomic(&root.join(name), format!("{}\n", lines.join("\n")).as_bytes())
    };
    match set.task {
        Task::Retrieval => text("dataset_type.txt", &["retrieval".into()])?,
        Task::MultiLabel => text("dataset_type.txt", &["multilabel".into()])?,
        Task::Classification => {}
    }
    if set.task != Task::Retrieval {
        let prompts = set.all_prompts();
        let names: Vec<String> = prompts.names.iter().map(|names| names[0].clone()).collect();
        text("classnames.txt", &names)?;
        text("zeroshot_classification_templates.txt", &prompts.templates)?;
    }
    Ok(count)
}

/// A vector of 64-bit integers as NumPy saves it.
fn npy_labels(values: &[i64]) -> Vec<u8> {
    let mut bytes = npy::header("'<i8'", &[values.len()]);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Only images are copied: a table may name any file.
fn sample(number: u64, item: EvalItem) -> std::result::Result<Sample, String> {
    let format = ImageFormat::sniff(&item.image).ok_or("not an image of a known format")?;
    let extension = format.extension();
    let truth = match item.truth {
        Truth::Class(class) => ("cls", class.to_string().into_bytes()),
        Truth::Marks(marks) => {
            let ones: Vec<i64> = marks.iter().map(|&mark| i64::from(mark == 1)).collect();
            ("npy", npy_labels(&ones))
        }
        Truth::Captions(captions) => {
            let lines: Vec<String> = captions.iter().map(|c| c.replace('\n', "\\n")).collect();
            ("txt", lines.join("\n").into_bytes())
        }
    };
    let fields = vec![(extension.to_owned(), item.image), (truth.0.to_owned(), truth.1)];
    Ok(Sample { key: format!("s{number:07}"), fields })
}

#[cfg(test)]
mod tests {
    use crate::{Task, Truth, export, open};
    use clip_corpus::{Sample, ShardWriter};
    use std::path::Path;

    /// The start of a PNG, and a byte.
    fn image(last: u8) -> Vec<u8> {
        [b"\x89PNG\r\n\x1a\n".as_slice(), &[last]].concat()
    }

    fn write(dir: &Path, labels: &[&str]) {
        let mut shard = ShardWriter::create(&dir.join("test/0.tar")).unwrap();
        for (at, label) in labels.iter().enumerate() {
            let fields =
                vec![("cls".into(), label.as_bytes().to_vec()), ("png".into(), image(at as u8))];
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
        assert_eq!(set.prompts(0), ["a red apple.", "the red apple"]);
        let items: Vec<_> = set.items().map(Result::unwrap).collect();
        assert_eq!(
            (items.len(), &items[0].truth, &items[1].image),
            (2, &Truth::Class(1), &image(1))
        );
    }

    #[test]
    fn labels_beyond_the_classes_and_missing_shards_are_named() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["2"]);
        let set = open(dir.path()).unwrap();
        let message = set.items().next().unwrap().unwrap_err().to_string();
        assert!(message.contains("s0000000") && message.contains("counted from 1"), "{message}");
        std::fs::write(dir.path().join("test/nshards.txt"), "2\n").unwrap();
        assert!(open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("1.tar"));
        std::fs::write(dir.path().join("test/nshards.txt"), "1\n").unwrap();
        std::fs::write(dir.path().join("zeroshot_classification_templates.txt"), "a {}.\n")
            .unwrap();
        assert!(open(dir.path()).map(|_| ()).unwrap_err().to_string().contains("{c}"));
    }

    #[test]
    fn what_is_exported_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), &["1", "0", "1"]);
        let set = open(dir.path()).unwrap();
        let copy = dir.path().join("copy");
        assert_eq!(export(&set, &copy, 2).unwrap(), 3);
        assert_eq!(std::fs::read_to_string(copy.join("test/nshards.txt")).unwrap(), "2\n");
        let again = open(&copy).unwrap();
        assert_eq!((&again.classes, again.prompts(1)), (&set.classes, set.prompts(1)));
        let truths =
            |set: &crate::EvalSet| set.items().map(|i| i.unwrap().truth).collect::<Vec<_>>();
        assert_eq!(truths(&again), truths(&set));

        for (table, task) in [
            ("image,labels\na.png,x|y\na.png,y\n", Task::MultiLabel),
            ("image,caption\na.png,one\na.png,\"two\nlines\"\n", Task::Retrieval),
        ] {
            let path = dir.path().join("t.csv");
            std::fs::write(&path, table).unwrap();
            std::fs::write(dir.path().join("a.png"), image(0)).unwrap();
            std::fs::remove_file(dir.path().join("classnames.txt")).ok();
            let set = open(&path).unwrap();
            let copy = dir.path().join(format!("{task:?}"));
            export(&set, &copy, 10).unwrap();
            let again = open(&copy).unwrap();
            assert_eq!(again.task, task);
            if task == Task::MultiLabel {
                assert_eq!(truths(&again), truths(&set));
            } else {
                assert_eq!(
                    truths(&again),
                    [Truth::Captions(vec!["one".into(), "two\\nlines".into()])]
                );
            }
        }
    }

    #[test]
    fn only_images_are_exported() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----").unwrap();
        let table = dir.path().join("t.csv");
        std::fs::write(&table, "image,label\nkey.pem,x\n").unwrap();
        let message =
            export(&open(&table).unwrap(), &dir.path().join("copy"), 10).unwrap_err().to_string();
        assert!(message.contains("key.pem") && message.contains("not an image"), "{message}");
    }
}
