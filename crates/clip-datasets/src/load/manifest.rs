//! A table of images: `.csv` or `.tsv` with a header.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use super::prompts::{class_list, read_class_names};
use super::{Ask, Content};
use crate::item::{Split, Task};
use crate::matching::{self, ClassMatch};
use crate::registry;
use crate::source::{FileItem, Source};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  NAME.csv or NAME.tsv with a header: image (path, from the table's folder), and label (a class name or number), labels (several, by |) or caption (one a row; rows of one image belong together)\n    optional: split (train, val, test), group, video; classes in order in classnames.txt beside it";

pub(crate) fn detect(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|e| e == "csv" || e == "tsv")
}

/// Columns by any of their usual names.
struct Columns {
    image: usize,
    label: Option<usize>,
    labels: Option<usize>,
    caption: Option<usize>,
    split: Option<usize>,
    group: Option<usize>,
    video: Option<usize>,
}

struct Row {
    image: String,
    truth: String,
    group: Option<String>,
    video: Option<String>,
}

pub(crate) fn open(path: &Path, ask: &Ask) -> Result<Content> {
    let tab = path.extension().is_some_and(|e| e == "tsv");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if tab { b'\t' } else { b',' })
        .flexible(false)
        .trim(csv::Trim::Headers)
        .from_path(path)
        .map_err(|e| Error::file(path, e))?;
    let header = reader.headers().map_err(|e| Error::file(path, e))?.clone();
    let column =
        |names: &[&str]| header.iter().position(|h| names.contains(&h.to_lowercase().as_str()));
    let columns = Columns {
        image: column(&["image", "filepath", "path", "file", "filename"])
            .ok_or_else(|| Error::layout(path, "no column image", TREE))?,
        label: column(&["label", "class", "classname"]),
        labels: column(&["labels"]),
        caption: column(&["caption", "text", "title"]),
        split: column(&["split"]),
        group: column(&["group"]),
        video: column(&["video", "anchor"]),
    };
    let (at, task) = match (columns.label, columns.labels, columns.caption) {
        (Some(at), _, _) => (at, Task::Classification),
        (_, Some(at), _) => (at, Task::MultiLabel),
        (_, _, Some(at)) => (at, Task::Retrieval),
        _ => return Err(Error::layout(path, "no column label, labels or caption", TREE)),
    };
    if columns.split.is_none() && ask.split != Split::Test {
        return Err(super::no_split(path, ask.split, TREE));
    }
    let mut rows = Vec::new();
    // Of all parts, so that a class that one of them lacks moves no other.
    let mut labels = BTreeSet::new();
    for record in reader.records() {
        let record = record.map_err(|e| Error::file(path, e))?;
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        if task != Task::Retrieval {
            labels.extend(words(task, cell(at)));
        }
        if columns.split.is_some_and(|at| !cell(at).eq_ignore_ascii_case(ask.split.name())) {
            continue;
        }
        let line = || record.position().map_or(0, csv::Position::line);
        let image = cell(columns.image).to_owned();
        if image.is_empty() {
            return Err(Error::file(path, format!("line {}: no image", line())));
        }
        if task == Task::Classification && cell(at).is_empty() {
            return Err(Error::file(path, format!("line {}: no label", line())));
        }
        let optional =
            |at: Option<usize>| at.map(|at| cell(at).to_owned()).filter(|c| !c.is_empty());
        let (group, video) = (optional(columns.group), optional(columns.video));
        rows.push(Row { image, truth: cell(at).to_owned(), group, video });
    }
    if rows.is_empty() {
        return Err(super::no_split(path, ask.split, TREE));
    }
    if task == Task::Retrieval {
        return captions(path, rows);
    }
    labelled(path, task, rows, labels.into_iter().collect())
}

fn captions(path: &Path, rows: Vec<Row>) -> Result<Content> {
    let root = path.parent().unwrap_or(Path::new(""));
    let mut place = HashMap::new();
    let mut items: Vec<FileItem> = Vec::new();
    for row in rows {
        let at = *place.entry(row.image.clone()).or_insert_with(|| {
            let file = root.join(&row.image);
            items.push(FileItem::new(file, row.image.clone(), Truth::Captions(Vec::new())));
            items.len() - 1
        });
        if let Truth::Captions(captions) = &mut items[at].truth {
            captions.push(row.truth);
        }
    }
    let source = Source::files(items);
    Ok(Content::of(Task::Retrieval, source))
}

/// The classes in a cell.
fn words(task: Task, cell: &str) -> Vec<String> {
    let parts = if task == Task::MultiLabel { cell.split('|').collect() } else { vec![cell] };
    let parts = parts.into_iter().map(str::trim).filter(|word| !word.is_empty());
    parts.map(str::to_owned).collect()
}

/// Classes are those of `classnames.txt`, which the labels name or number, else the labels
/// themselves.
fn labelled(path: &Path, task: Task, rows: Vec<Row>, mut labels: Vec<String>) -> Result<Content> {
    let root = path.parent().unwrap_or(Path::new(""));
    matching::sort(&mut labels);
    let (keys, places) = match class_list(root) {
        Some(listed) => {
            let names = read_class_names(&listed)?;
            let classes: Vec<Vec<String>> = names.iter().map(|name| vec![name.clone()]).collect();
            let set = path.display().to_string();
            let found = matching::pair(&set, &labels, &classes, registry::labels(None))?;
            if found.kind == ClassMatch::Position {
                let label = labels.first().map_or("", String::as_str);
                let reason = format!("class {label:?} is not in {}", listed.display());
                return Err(Error::file(path, reason));
            }
            (names, found.places)
        }
        None => (labels.clone(), (0..labels.len()).collect()),
    };
    let place: HashMap<&str, usize> =
        labels.iter().map(String::as_str).zip(places.iter().copied()).collect();
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        let words = words(task, &row.truth);
        let classes: Vec<usize> =
            words.iter().filter_map(|word| place.get(word.as_str()).copied()).collect();
        let truth = if task == Task::MultiLabel {
            let mut marks = vec![-1; keys.len()];
            classes.iter().for_each(|&class| marks[class] = 1);
            Truth::Marks(marks)
        } else {
            Truth::Class(classes.first().copied().unwrap_or_default())
        };
        let key = match &row.video {
            Some(video) => format!("{video}/{}", row.image),
            None => row.image.clone(),
        };
        let item = FileItem::new(root.join(&row.image), key, truth);
        items.push(FileItem { group: row.group, video: row.video, ..item });
    }
    Ok(Content { keys, ..Content::of(task, Source::files(items)) })
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Split, Task, Truth, open, open_with};

    #[test]
    fn labels_captions_and_parts() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("toys.csv");
        std::fs::write(dir.path().join("a.png"), b"a").unwrap();
        std::fs::write(&table, "image,label,split,group\na.png,\"cat, big\",test,EU\na.png,ant,test,US\na.png,ant,train,\n").unwrap();
        let set = open(&table).unwrap();
        assert_eq!(
            (set.name.as_str(), &set.classes[..]),
            ("toys", &["ant".to_owned(), "cat, big".to_owned()][..])
        );
        let items: Vec<_> = set.items().map(Result::unwrap).collect();
        assert_eq!(
            (items[0].truth.clone(), items[0].group.as_deref()),
            (Truth::Class(1), Some("EU"))
        );
        let train = OpenOptions { split: Split::Train, ..OpenOptions::default() };
        assert_eq!(open_with(&table, &train).unwrap().len(), Some(1));

        std::fs::write(&table, "filepath,caption\na.png,one\nb.png,two\na.png,three\n").unwrap();
        let set = open(&table).unwrap();
        assert_eq!((set.task, set.len()), (Task::Retrieval, Some(2)));
        assert_eq!(
            set.items().next().unwrap().unwrap().truth,
            Truth::Captions(vec!["one".into(), "three".into()])
        );

        std::fs::write(&table, "image,labels\na.png,0|2\na.png,1\n").unwrap();
        let set = open(&table).unwrap();
        assert_eq!(set.items().next().unwrap().unwrap().truth, Truth::Marks(vec![1, -1, 1]));
    }

    #[test]
    fn what_is_missing_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("t.csv");
        for (text, reason) in [
            ("x,y\n1,2\n", "no column image"),
            ("image,y\n1,2\n", "no column label"),
            ("image,label\na,b,c\n", "t.csv"),
            ("image,label\n,b\n", "line 2: no image"),
        ] {
            std::fs::write(&table, text).unwrap();
            let message = open(&table).map(|_| ()).unwrap_err().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
}
