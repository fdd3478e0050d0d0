//! Lists of (URL, caption) in img2dataset's formats, streamed.

mod files;
mod json;
mod parquet;
mod table;

use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use arrow::array::{Array, AsArray, RecordBatch};
use clip_pipeline::Result;
use clip_pipeline::config::source::List;

use crate::feed::{Feed, Item, STAGE, Visit, located};
use crate::rows::Pair;

pub(crate) use files::{Format, ListFile, find};
pub(crate) use table::{Batches, Column, batches};

/// Rows of list files, in the order of the files; part `n` holds rows `n * part_rows` onward.
pub(crate) struct Lists {
    files: Vec<ListFile>,
    columns: Vec<Column>,
    part_rows: usize,
    counts: OnceLock<Vec<usize>>,
    /// Readers that stand where a part ended: the next part goes on there instead of from the start.
    open: Mutex<Vec<Cursor>>,
}

/// A file that is read up to a row.
struct Cursor {
    file: usize,
    row: usize,
    batches: Batches,
    /// What was read beyond that row.
    pending: Option<RecordBatch>,
}

/// Readers kept open at a time.
const CURSORS: usize = 16;

impl Lists {
    /// Finds the files: a folder means its list files, sorted.
    pub fn new(list: &List, base: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for path in &list.paths {
            files.extend(find(&located(path, base), list.format.as_deref())?);
        }
        let mut caption = Column::text(&list.caption_col, "caption");
        // A list of addresses alone has none.
        caption.optional = files.iter().all(|file| file.format == Format::Txt);
        Ok(Self {
            files,
            columns: vec![Column::text(&list.url_col, "url"), caption],
            part_rows: list.part_rows.max(1),
            counts: OnceLock::new(),
            open: Mutex::default(),
        })
    }

    /// Rows of each file.
    fn counts(&self) -> Result<&[usize]> {
        if let Some(counts) = self.counts.get() {
            return Ok(counts);
        }
        let count = |file: &ListFile| match file.format {
            Format::Parquet => {
                // The columns are looked up too, so that a wrong name is told before anything is fetched.
                drop(batches(file, &self.columns, 0)?);
                parquet::count(file)
            }
            _ => batches(file, &self.columns, 0)?
                .try_fold(0, |rows, batch| Ok(rows + batch?.num_rows())),
        };
        let counts = self.files.iter().map(count).collect::<Result<Vec<_>>>()?;
        Ok(self.counts.get_or_init(|| counts))
    }

    /// A reader at a row of a file: the nearest before it that is open, else a new one.
    fn cursor(&self, file: usize, row: usize) -> Result<Cursor> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (0..open.len()).filter(|&at| open[at].file == file && open[at].row <= row);
        let mut cursor = match before.max_by_key(|&at| open[at].row) {
            Some(nearest) => open.swap_remove(nearest),
            None => {
                let batches = batches(&self.files[file], &self.columns, row)?;
                return Ok(Cursor { file, row, batches, pending: None });
            }
        };
        drop(open);
        while cursor.row < row {
            let wanted = row - cursor.row;
            if cursor.take(wanted)?.is_none() {
                break;
            }
        }
        Ok(cursor)
    }

    fn put_back(&self, cursor: Cursor) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() == CURSORS {
            open.remove(0);
        }
        open.push(cursor);
    }
}

impl Cursor {
    /// Up to `most` of the next rows; nothing at the end of the file.
    fn take(&mut self, most: usize) -> Result<Option<RecordBatch>> {
        let batch = match self.pending.take() {
            Some(batch) => batch,
            None => match self.batches.next().transpose()? {
                Some(batch) => batch,
                None => return Ok(None),
            },
        };
        let rows = batch.num_rows().min(most);
        if rows < batch.num_rows() {
            self.pending = Some(batch.slice(rows, batch.num_rows() - rows));
        }
        self.row += rows;
        Ok(Some(batch.slice(0, rows)))
    }
}

impl Feed for Lists {
    fn units(&self) -> Result<usize> {
        Ok(self.counts()?.iter().sum::<usize>().div_ceil(self.part_rows))
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let (from, to) = (unit * self.part_rows, (unit + 1) * self.part_rows);
        let mut start = 0;
        for (file, &count) in self.counts()?.iter().enumerate() {
            let (first, last) = (from.max(start), to.min(start + count));
            if first < last {
                let mut cursor = self.cursor(file, first - start)?;
                let mut left = last - first;
                while left > 0 {
                    let Some(batch) = cursor.take(left)? else { break };
                    left -= batch.num_rows();
                    if !pairs(&batch, visit)? {
                        return Ok(());
                    }
                }
                self.put_back(cursor);
            }
            start += count;
        }
        Ok(())
    }
}

fn pairs(batch: &RecordBatch, visit: &mut Visit) -> Result<bool> {
    let texts: Option<Vec<_>> =
        batch.columns().iter().map(|column| column.as_string_opt::<i32>()).collect();
    let Some([urls, captions]) = texts.as_deref() else {
        return Err(clip_pipeline::Error::stage(STAGE, "a list's columns are no text"));
    };
    for row in 0..batch.num_rows() {
        let caption = if captions.is_valid(row) { captions.value(row) } else { "" }.to_owned();
        let item = if urls.is_valid(row) {
            let url = urls.value(row).to_owned();
            Item::Pair(Pair { url, caption, page: None, source: "list" })
        } else {
            Item::Fell(String::new(), caption, "bad_url", "the address is null".into())
        };
        if !visit(item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    fn lists(name: &str, content: &[u8], dir: &Path) -> Result<Lists> {
        std::fs::write(dir.join(name), content).unwrap();
        let (url_col, caption_col) = ("url".into(), "caption".into());
        let list =
            List { paths: vec![name.into()], format: None, url_col, caption_col, part_rows: 2 };
        Lists::new(&list, dir)
    }

    fn gz(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    fn rows(lists: &Lists, unit: usize) -> Vec<(String, String)> {
        let mut rows = Vec::new();
        lists
            .each(unit, &mut |item| {
                rows.push(match item {
                    Item::Pair(pair) => (pair.url, pair.caption),
                    Item::Fell(_, caption, reason, _) => (reason.to_owned(), caption),
                });
                Ok(true)
            })
            .unwrap();
        rows
    }

    fn parquet_bytes() -> Vec<u8> {
        let urls: ArrayRef =
            Arc::new(StringArray::from(vec![Some("http://e.com/1"), Some("http://e.com/2"), None]));
        let captions: ArrayRef =
            Arc::new(StringArray::from(vec![Some("one, \"two\""), Some("drei ü"), Some("four")]));
        let batch = RecordBatch::try_from_iter([("URL", urls), ("caption", captions)]).unwrap();
        let mut bytes = Vec::new();
        let mut writer =
            ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    #[test]
    fn every_format_gives_the_same_rows_from_any_part_on() {
        let dir = tempfile::tempdir().unwrap();
        let csv =
            "caption,url\n\"one, \"\"two\"\"\",http://e.com/1\ndrei ü,http://e.com/2\nfour,\n"
                .as_bytes();
        let tsv =
            "caption\turl\n\"one, \"\"two\"\"\"\thttp://e.com/1\ndrei ü\thttp://e.com/2\nfour\t\n"
                .as_bytes();
        let jsonl = "{\"url\":\"http://e.com/1\",\"caption\":\"one, \\\"two\\\"\",\"n\":1}\n\n{\"caption\":\"drei ü\",\"url\":\"http://e.com/2\"}\n{\"caption\":\"four\",\"url\":null}\n".as_bytes();
        let json = r#"{"n":{"0":1,"1":2,"2":3},"url":{"0":"http://e.com/1","1":"http://e.com/2","2":null},"caption":{"0":"one, \"two\"","1":"drei ü","2":"four"}}"#.as_bytes();
        let array = r#"[{"url":"http://e.com/1","caption":"one, \"two\""},{"url":"http://e.com/2","caption":"drei ü"},{"url":null,"caption":"four"}]"#.as_bytes();
        for (name, content) in [
            ("a.csv", csv.to_vec()),
            ("a.csv.gz", gz(csv)),
            ("a.tsv", tsv.to_vec()),
            ("a.tsv.gz", gz(tsv)),
            ("a.json", json.to_vec()),
            ("a.json.gz", gz(json)),
            ("b.json", array.to_vec()),
            ("a.jsonl", jsonl.to_vec()),
            ("a.jsonl.gz", gz(jsonl)),
            ("a.parquet", parquet_bytes()),
        ] {
            let lists = lists(name, &content, dir.path()).unwrap();
            assert_eq!(lists.units().unwrap(), 2, "{name}");
            let last = rows(&lists, 1);
            assert_eq!(last.len(), 1, "{name}");
            assert_eq!(last[0].1, "four", "{name}");
            for _ in 0..2 {
                let first = rows(&lists, 0);
                assert_eq!(first[0], ("http://e.com/1".into(), "one, \"two\"".into()), "{name}");
                assert_eq!(first[1], ("http://e.com/2".into(), "drei ü".into()), "{name}");
            }
        }
        for (name, content) in [
            ("a.txt", b"http://e.com/1,x\n\nhttp://e.com/2\r\n".to_vec()),
            ("a.txt.gz", gz(b"http://e.com/1,x\nhttp://e.com/2")),
        ] {
            let lists = lists(name, &content, dir.path()).unwrap();
            let expected = [("http://e.com/1,x".into(), String::new())];
            assert_eq!(rows(&lists, 0)[..1], expected, "{name}");
            assert_eq!(lists.units().unwrap(), 1, "{name}");
        }
    }

    #[test]
    fn a_missing_column_names_those_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("a.csv", "link,TEXT\nx,y\n"),
            ("a.jsonl", "{\"link\":\"x\",\"TEXT\":\"y\"}\n"),
            ("a.json", "{\"link\":{\"0\":\"x\"},\"TEXT\":{\"0\":\"y\"}}"),
            ("b.json", "[{\"link\":\"x\",\"TEXT\":\"y\"}]"),
        ] {
            let lists = lists(name, content.as_bytes(), dir.path()).unwrap();
            let message = lists.units().unwrap_err().to_string();
            let named = message.contains("no column \"url\"") && message.contains("link, TEXT");
            assert!(named, "{name}: {message}");
        }
    }

    #[test]
    fn a_broken_row_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let lists = |name: &str, content: &str| {
            let lists = lists(name, content.as_bytes(), dir.path()).unwrap();
            lists.units().unwrap_err().to_string()
        };
        let jsonl = "{\"url\":\"http://e.com\",\"caption\":\"\"}\n{broken\n";
        assert!(lists("a.jsonl", jsonl).contains("a.jsonl: row 2"));
        let short = "{\"url\":{\"0\":\"a\",\"1\":\"b\"},\"caption\":{\"0\":\"a\"}}";
        assert!(lists("a.json", short).contains("1 of 2 rows"));
    }
}
