//! FER2013 as tables of 48 x 48 grey pixels, separated by spaces: `fer2013.csv` and
//! `icml_face_data.csv` with all parts, and the challenge's `train.csv`.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::{Ask, Content, listed, no_split};
use crate::item::{EvalItem, Split};
use crate::source::{Items, Layout, Source, netpbm};
use crate::{Error, Result, Truth};

pub(crate) const TREE: &str = "  fer2013.csv (emotion,pixels,Usage) or icml_face_data.csv (emotion, Usage, pixels); train.csv (emotion,pixels) has the train part alone, test.csv has no emotions";
const SIDE: u32 = 48;
/// In the order of the table's numbers.
const EMOTIONS: [&str; 7] = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"];

/// Rows of a table.
#[derive(Clone)]
pub(crate) struct Table {
    path: PathBuf,
    /// The column of pixels.
    pixels: usize,
    /// Row and class of those of the part, ascending.
    rows: Vec<(u64, usize)>,
    prefix: String,
}

/// The table, and whether it names its parts.
fn table(root: &Path) -> Option<(PathBuf, bool)> {
    let whole = listed(root, &["fer2013.csv", "icml_face_data.csv"]).map(|path| (path, true));
    whole.or_else(|| {
        let path = listed(root, &["train.csv"])?;
        let named = |record: &csv::StringRecord| record.iter().any(|name| name.trim() == "emotion");
        header(&path).is_ok_and(|header| named(&header)).then_some((path, false))
    })
}

fn reader(path: &Path) -> Result<csv::Reader<File>> {
    let mut options = csv::ReaderBuilder::new();
    options.trim(csv::Trim::Headers).from_path(path).map_err(|e| Error::file(path, e))
}

fn header(path: &Path) -> Result<csv::StringRecord> {
    reader(path)?.headers().cloned().map_err(|e| Error::file(path, e))
}

pub(crate) fn detect(root: &Path) -> bool {
    table(root).is_some()
}

/// `PublicTest` is the part to choose on, `PrivateTest` the one that is scored.
pub(crate) fn open(root: &Path, ask: &Ask) -> Result<Content> {
    let missing = || no_split(root, ask.split, TREE);
    let (path, whole) = table(root).ok_or_else(missing)?;
    if !whole && ask.split != Split::Train {
        return Err(missing());
    }
    let usage = match ask.split {
        Split::Train => "Training",
        Split::Val => "PublicTest",
        Split::Test => "PrivateTest",
    };
    let header = header(&path)?;
    let column = |name: &str| {
        let found = header.iter().position(|column| column == name);
        found.ok_or_else(|| Error::file(&path, format!("no column {name}")))
    };
    let (emotion, pixels) = (column("emotion")?, column("pixels")?);
    let part = if whole { Some(column("Usage")?) } else { None };
    let mut rows = Vec::new();
    for (row, record) in reader(&path)?.records().enumerate() {
        let record = record.map_err(|e| Error::file(&path, e))?;
        let cell = |at: usize| record.get(at).unwrap_or_default().trim();
        if part.is_some_and(|at| cell(at) != usage) {
            continue;
        }
        let class = cell(emotion).parse().ok().filter(|class| *class < EMOTIONS.len());
        let class = class.ok_or_else(|| {
            Error::file(&path, format!("row {row}: emotion {:?} is not 0 to 6", cell(emotion)))
        })?;
        rows.push((row as u64, class));
    }
    let prefix = format!("{usage}/");
    let keys = EMOTIONS.map(str::to_owned).to_vec();
    Ok(Content::classes(keys, Source::Table(Table { path, pixels, rows, prefix })))
}

impl Table {
    pub(crate) fn len(&self) -> u64 {
        self.rows.len() as u64
    }

    pub(crate) fn items(&self) -> Items<'_> {
        let reader = match reader(&self.path) {
            Ok(reader) => reader,
            Err(error) => return Box::new(std::iter::once(Err(error))),
        };
        let mut records = reader.into_records().enumerate();
        Box::new(self.rows.iter().map(move |&(row, class)| {
            let bad = |reason: String| Error::file(&self.path, format!("row {row}: {reason}"));
            let found = records.find(|(at, _)| *at as u64 == row);
            let (_, record) = found.ok_or_else(|| bad("it is not there".into()))?;
            let record = record.map_err(|e| bad(e.to_string()))?;
            let words = record.get(self.pixels).unwrap_or_default().split_whitespace();
            let pixels = words.map(str::parse::<u8>).collect::<std::result::Result<Vec<u8>, _>>();
            let pixels = pixels.map_err(|e| bad(format!("a pixel: {e}")))?;
            if pixels.len() != (SIDE * SIDE) as usize {
                return Err(bad(format!("{} pixels, not {SIDE} x {SIDE}", pixels.len())));
            }
            let image = netpbm(&pixels, SIDE, SIDE, Layout::Grey);
            Ok(EvalItem::new(format!("{}{row:05}", self.prefix), image, Truth::Class(class)))
        }))
    }
}

#[cfg(test)]
mod tests {
    use crate::{OpenOptions, Split, open_named};
    use std::path::Path;

    fn open(root: &Path, split: Split) -> crate::Result<crate::EvalSet> {
        let options = OpenOptions { split, ..OpenOptions::default() };
        open_named(&format!("fer2013={}", root.display()), &options)
    }

    #[test]
    fn tables_of_both_headers_and_the_challenges() {
        let pixels = |shade: u8| vec![shade.to_string(); 48 * 48].join(" ");
        let dir = tempfile::tempdir().unwrap();
        let rows = [
            (0, "Training", 1),
            (6, "PrivateTest", 2),
            (3, "PublicTest", 3),
            (6, "PrivateTest", 4),
            (1, "PrivateTest", 5),
        ];
        let mut first = "emotion,pixels,Usage\n".to_owned();
        let mut second = "emotion, Usage, pixels\n".to_owned();
        let mut train = "emotion,pixels\n".to_owned();
        for (emotion, usage, shade) in rows {
            first += &format!("{emotion},{},{usage}\n", pixels(shade));
            second += &format!("{emotion},{usage},{}\n", pixels(shade));
            train += &format!("{emotion},{}\n", pixels(shade));
        }
        for (name, text) in [("fer2013.csv", first), ("icml_face_data.csv", second)] {
            let root = dir.path().join(name.replace('.', "_"));
            std::fs::create_dir_all(root.join("fer2013")).unwrap();
            std::fs::write(root.join("fer2013").join(name), text).unwrap();
            let set = open(&root, Split::Test).unwrap();
            let items: Vec<_> = set.items().map(Result::unwrap).collect();
            assert_eq!((set.loader, set.len(), items.len()), ("fer2013", Some(3), 3));
            assert_eq!(items[0].key, "PrivateTest/00001");
            assert!(items[1].image.starts_with(b"P5\n48 48\n255\n\x04\x04"));
            let names: Vec<&str> = items
                .iter()
                .map(|item| set.classes[item.truth.class().unwrap()].as_str())
                .collect();
            assert_eq!(names, ["neutral / bored", "neutral / bored", "disgusted"]);
            assert_eq!(open(&root, Split::Val).unwrap().len(), Some(1));
            let table = root.join("fer2013").join(name);
            assert_eq!(open(&table, Split::Test).unwrap().len(), Some(3), "the table itself");
        }
        let root = dir.path().join("challenge");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(root.join("train.csv"), &train).unwrap();
        std::fs::write(root.join("test.csv"), "pixels\n1 2\n").unwrap();
        assert_eq!(open(&root, Split::Train).unwrap().len(), Some(5));
        let message = open(&root, Split::Test).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("no test part") && message.contains("no emotions"), "{message}");
    }

    #[test]
    fn rows_that_are_no_faces_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fer2013.csv");
        std::fs::write(&path, "emotion,pixels,Usage\n7,1 2,PrivateTest\n").unwrap();
        let message = open(dir.path(), Split::Test).map(|_| ()).unwrap_err().to_string();
        assert!(message.contains("row 0: emotion \"7\""), "{message}");
        std::fs::write(&path, "emotion,pixels,Usage\n6,1 2,PrivateTest\n").unwrap();
        let set = open(dir.path(), Split::Test).unwrap();
        let message = set.items().next().unwrap().unwrap_err().to_string();
        assert!(message.contains("row 0: 2 pixels"), "{message}");
    }
}
