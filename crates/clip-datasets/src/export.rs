//! Writing a set in CLIP_benchmark's WebDataset layout.

use std::path::{Path, PathBuf};

use clip_corpus::{Sample, ShardWriter};
use clip_format::{ImageFormat, npy, write_atomic};

use crate::error::text;
use crate::item::{EvalItem, Task, Truth};
use crate::load::{name, sorted};
use crate::{Error, EvalSet, Result};

/// The files beside the parts of an export, by what they hold.
const CLASSES: &str = "classnames.txt";
const TEMPLATES: &str = "zeroshot_classification_templates.txt";
const TYPE: &str = "dataset_type.txt";
/// The layout has no name of the set: this file of ours does.
const ABOUT: &str = "export.json";
/// The end of a part that is whole.
const COUNT: &str = "nshards.txt";
/// Folders of parts that the layout has.
const PARTS: [&str; 4] = ["train", "val", "valid", "test"];

/// Writes the items of a set, or of `sample` (how many, of how many) those that
/// [`EvalSet::sampled`] gives, below `root/PART/`, at most `per_shard` a shard, with classes and
/// templates beside. Returns the number of items.
///
/// Marks that are not judged (0) are written as absent: the layout has no sign for them. Class
/// names of several words a class keep the first.
///
/// # Errors
/// When the folder holds that part, another set's, or anything that is no export.
pub fn export(
    set: &EvalSet,
    root: &Path,
    per_shard: usize,
    sample: Option<(usize, u64)>,
) -> Result<u64> {
    let beside = beside(set);
    check_folder(set, root, &beside)?;
    let part = root.join(set.split.name());
    let (mut count, mut shards) = (0u64, 0usize);
    let mut writer: Option<ShardWriter> = None;
    let items = match sample {
        Some((limit, total)) => set.sampled(limit, total),
        None => set.items(),
    };
    for item in items {
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
        let sample = shard_sample(count, item);
        let sample = sample.map_err(|reason| Error::item(&set.root, &key, reason))?;
        open.write(&sample)?;
        count += 1;
    }
    if let Some(last) = writer {
        last.finish()?;
    }
    for (name, text) in &beside {
        if let Some(text) = text {
            write_atomic(&root.join(name), text.as_bytes())?;
        }
    }
    write_atomic(&part.join(COUNT), format!("{shards}\n").as_bytes())?;
    Ok(count)
}

/// What is written beside the parts: names with their texts, none of those that the set has not.
fn beside(set: &EvalSet) -> [(&'static str, Option<String>); 4] {
    let text = |lines: &[String]| format!("{}\n", lines.join("\n"));
    let kind = match set.task {
        Task::Retrieval => Some("retrieval\n".to_owned()),
        Task::MultiLabel => Some("multilabel\n".to_owned()),
        Task::Classification => None,
    };
    let prompts = (set.task != Task::Retrieval).then(|| set.all_prompts());
    let names = prompts.map(|prompts| {
        let first: Vec<String> = prompts.names.iter().map(|names| names[0].clone()).collect();
        text(&first)
    });
    [
        (TYPE, kind),
        (CLASSES, names),
        (TEMPLATES, prompts.map(|prompts| text(&prompts.templates))),
        (ABOUT, Some(format!("{:#}\n", serde_json::json!({"set": set.name})))),
    ]
}

/// Refuses a folder that the part cannot join: the shards of two sets, or of two exports of a part,
/// would be read as one set.
fn check_folder(
    set: &EvalSet,
    root: &Path,
    beside: &[(&'static str, Option<String>); 4],
) -> Result<()> {
    let refuse = |path: &Path, reason: String| {
        let hint = "hint: give --out another folder, or remove this one first";
        Err(Error::file(path, format!("{reason}\n{hint}")))
    };
    let Some(entries) = content(root)? else { return Ok(()) };
    for path in entries {
        let own = name(&path);
        let is_shard = |path: &PathBuf| {
            name(path) == COUNT || path.extension().is_some_and(|ending| ending == "tar")
        };
        let other = if PARTS.contains(&own.as_str()) {
            content(&path)?.into_iter().flatten().find(|path| !is_shard(path))
        } else {
            (!beside.iter().any(|(known, _)| *known == own)).then_some(path)
        };
        if let Some(other) = other {
            return refuse(root, format!("{} is there: it is no export", other.display()));
        }
    }
    let part = set.split.name();
    if root.join(part).join(COUNT).is_file() {
        return refuse(root, format!("a {part} part was exported there before"));
    }
    if !PARTS.iter().any(|part| root.join(part).join(COUNT).is_file()) {
        return Ok(());
    }
    for (name, wanted) in beside {
        let path = root.join(name);
        let there = path.is_file().then(|| text(&path)).transpose()?;
        // What CLIP_benchmark's tools wrote has no name of the set.
        let unnamed = *name == ABOUT && there.is_none();
        let same = there.as_deref().map(str::trim_end) == wanted.as_deref().map(str::trim_end);
        if !same && !unnamed {
            return refuse(
                &path,
                format!("the folder holds an export of another set than {}", set.name),
            );
        }
    }
    Ok(())
}

/// What is in a folder; none where there is no folder.
fn content(folder: &Path) -> Result<Option<Vec<PathBuf>>> {
    if folder.exists() { sorted(folder).map(Some) } else { Ok(None) }
}

/// A vector of 64-bit integers as NumPy saves it.
fn npy_labels(values: &[i64]) -> Vec<u8> {
    let mut bytes = npy::header("'<i8'", &[values.len()]);
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// Only images are copied: a table may name any file.
fn shard_sample(number: u64, item: EvalItem) -> std::result::Result<Sample, String> {
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
    use crate::{Split, Task, Truth, export, open};
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
        assert_eq!(export(&set, &copy, 2, None).unwrap(), 3);
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
            export(&set, &copy, 10, None).unwrap();
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
    fn a_part_joins_the_parts_of_its_own_set_only() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        write(&from, &["1", "0", "1", "0"]);
        let mut set = open(&from).unwrap();
        assert_eq!(export(&set, &to, 10, Some((2, 4))).unwrap(), 2);
        let refused = |set: &crate::EvalSet, to: &Path| {
            let message = export(set, to, 10, None).unwrap_err().to_string();
            assert!(message.contains("hint: give --out another folder"), "{message}");
            message
        };
        assert!(refused(&set, &to).contains("a test part was exported there before"));
        set.split = Split::Train;
        assert_eq!(export(&set, &to, 10, None).unwrap(), 4);
        // Other templates, another name, another task.
        set.split = Split::Val;
        let templates = std::mem::take(&mut set.prompts.templates);
        set.set_templates(vec!["{c}".into()]);
        assert!(refused(&set, &to).contains("zeroshot_classification_templates.txt: the folder"));
        set.set_templates(templates);
        let name = std::mem::replace(&mut set.name, "mnist".into());
        assert!(refused(&set, &to).contains("export.json: the folder holds an export of another"));
        set.name = name;
        set.task = Task::Retrieval;
        assert!(refused(&set, &to).contains("dataset_type.txt"));
        set.task = Task::Classification;
        // An export that was cut off has no count, and is made again.
        std::fs::create_dir(to.join("val")).unwrap();
        std::fs::write(to.join("val/0.tar"), "cut").unwrap();
        assert_eq!(export(&set, &to, 10, None).unwrap(), 4);
        // A set of images is no export.
        let images = dir.path().join("images");
        std::fs::create_dir_all(images.join("test/cat")).unwrap();
        assert!(refused(&set, &images).contains("test/cat is there"));
        assert!(!images.join("classnames.txt").exists());
    }

    #[test]
    fn only_images_are_exported() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("key.pem"), "-----BEGIN PRIVATE KEY-----").unwrap();
        let table = dir.path().join("t.csv");
        std::fs::write(&table, "image,label\nkey.pem,x\n").unwrap();
        let set = open(&table).unwrap();
        let message = export(&set, &dir.path().join("copy"), 10, None).unwrap_err().to_string();
        assert!(message.contains("key.pem") && message.contains("not an image"), "{message}");
    }
}
