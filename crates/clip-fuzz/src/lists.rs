//! Lists of pairs: delimited text, JSON, Parquet, and the files of published sets.

use std::path::Path;

use arrow::array::{Array, RecordBatch, StringArray};
use clip_corpus::{Delimited, PartFile, Row, columns, json as repair, read_parquet, verify_table};
use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::source::SourceConfig;
use clip_pipeline::{Context, PartFileKind, PartSink};
use serde_json::{Value, json as document};

use crate::scratch::{gzipped, with_files};
use crate::{choice, must};

/// Cells of delimited text, the first byte choosing the delimiter.
pub fn delimited(data: &[u8]) {
    let (first, text) = choice(data);
    let delimiter = [b',', b'\t', b'|', b';'][first % 4];
    // A header whose quote is never closed is an error of the file.
    let Ok(mut rows) = Delimited::new(text, delimiter) else { return };
    let mut length: usize = rows.header().iter().map(String::len).sum();
    let columns = rows.header().len();
    let mut row = Row::default();
    while let Some(read) = must(rows.next_row(&mut row)) {
        // Lines after the first of a malformed row are read again.
        if read.is_err() {
            continue;
        }
        let cells = (0..row.len()).filter_map(|at| row.cell(at));
        length += cells.map(|cell| cell.len()).sum::<usize>();
        assert_eq!(row.len(), columns);
    }
    // A byte that is no UTF-8 becomes the three of U+FFFD.
    assert!(length <= 3 * text.len(), "{length} bytes of cells in {} of text", text.len());
}

/// JSON as Python writes it: what is JSON stays what it is, and streams give what slices give.
pub fn json(data: &[u8]) {
    let repaired = repair::repair(data);
    assert!(std::str::from_utf8(&repaired).is_ok());
    let mut streamed = Vec::new();
    must(std::io::Read::read_to_end(&mut repair::reader(Trickle(data)), &mut streamed));
    assert_eq!(streamed, repaired);
    if let Ok(value) = serde_json::from_slice::<Value>(data) {
        assert_eq!(must(serde_json::from_slice::<Value>(&repaired)), value);
        assert_eq!(must(repair::from_slice::<Value>(data)), value);
    }
}

/// Gives up to three bytes at a time.
struct Trickle<'a>(&'a [u8]);

impl std::io::Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = buffer.len().min(3).min(self.0.len());
        let (now, later) = self.0.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.0 = later;
        Ok(length)
    }
}

/// Formats of lists by the ending of their names.
const LISTS: [&str; 8] = ["txt", "csv", "tsv", "json", "jsonl", "csv.gz", "json.gz", "jsonl.gz"];

/// A list in one of its formats, which the first byte chooses with the meaning of lists of
/// captions.
pub fn list(data: &[u8]) {
    let (first, content) = choice(data);
    let name = format!("list.{}", LISTS[first % 8]);
    let captions = ["refuse", "first", "all"][first / 8 % 3];
    let packed;
    let content = if name.ends_with(".gz") && first >= 128 {
        packed = gzipped(content);
        &packed
    } else {
        content
    };
    with_files(&[(&name, content)], |folder| {
        let config = document!({"kind": "list", "paths": [&name], "caption_list": captions});
        for row in collect(config, folder) {
            check_url(&row);
        }
    });
}

/// Tables of Parquet: as a list, as a part, and their verification.
pub fn parquet(data: &[u8]) {
    with_files(&[("list.parquet", data)], |folder| {
        let path = folder.join("list.parquet");
        let _ = (read_parquet(&path), verify_table(&path));
        for captions in ["refuse", "all"] {
            let config =
                document!({"kind": "list", "paths": ["list.parquet"], "caption_list": captions});
            for row in collect(config, folder) {
                check_url(&row);
            }
        }
    });
}

/// Published sets, shards and folders as sources of pairs, the first byte choosing the kind.
pub fn source(data: &[u8]) {
    let (first, content) = choice(data);
    let images: &[u8] = br#"[{"image_id":1,"url":"http://v.org/1.jpg"}]"#;
    let (files, config, local) = match first % 6 {
        0 => (vec![("c.json", content)], document!({"kind": "coco", "paths": ["c.json"]}), false),
        1 => (
            vec![("r.json", content), ("i.json", images)],
            document!({"kind": "visual-genome", "regions": "r.json", "images": "i.json"}),
            false,
        ),
        2 => (vec![("y.tsv", content)], document!({"kind": "yfcc100m", "paths": ["y.tsv"]}), false),
        3 => (vec![("w.tsv", content)], document!({"kind": "wit", "paths": ["w.tsv"]}), false),
        4 => {
            let config = document!({"kind": "webdataset", "paths": ["0.tar"]});
            (vec![("0.tar", content)], config, true)
        }
        _ => {
            let config = document!({"kind": "folder", "paths": ["."]});
            (vec![("a.jpg", &b"\xff\xd8\xff"[..]), ("a.json", content)], config, true)
        }
    };
    with_files(&files, |folder| {
        for row in collect(config, folder) {
            if local {
                let file = row.location.as_deref().and_then(|place| place.split('#').next());
                assert_eq!(file, Some(files[0].0), "{row:?}");
            } else {
                check_url(&row);
            }
        }
    });
}

/// A pair as it would continue to the next stage.
#[derive(Debug)]
pub(crate) struct Collected {
    url: Option<String>,
    /// The file that it is read from, of sources of local images alone.
    location: Option<String>,
}

/// What a list, an archive or a page says must not name a file of the machine.
pub(crate) fn check_url(row: &Collected) {
    let url = row.url.as_deref().and_then(|url| url::Url::parse(url).ok());
    let asked = url.is_some_and(|url| matches!(url.scheme(), "http" | "https"));
    assert!(asked && row.location.is_none(), "{row:?}");
}

/// The rows of a source's parts, read and committed as a build does it.
pub(crate) fn collect(config: Value, folder: &Path) -> Vec<Collected> {
    let config: SourceConfig = must(serde_json::from_value(config));
    let Ok(source) = clip_crawl::source(&config, &FetchConfig::default(), folder) else {
        return Vec::new();
    };
    let parts = source.parts().unwrap_or(0).min(4);
    let cx = Context::detached("collect", 0, folder);
    let mut rows = Vec::new();
    for part in 0..parts {
        let stage = folder.join("collect");
        must(std::fs::create_dir_all(&stage));
        let mut out = PartSink::new("collect", part, &stage, false);
        if source.read(part, &mut out, &cx).is_err() {
            continue;
        }
        // Fails where rows in are not rows out and rows dropped.
        let commit = must(out.commit(None));
        let before = rows.len();
        let stored =
            |file: &&PartFile| PartFileKind::from_name(&file.name) == Some(PartFileKind::Rows);
        for file in commit.files.iter().filter(stored) {
            for batch in must(read_parquet(&stage.join(&file.name))) {
                rows.extend(collected(&batch));
            }
        }
        assert_eq!((rows.len() - before) as u64, commit.counts.rows_out);
    }
    rows
}

fn collected(batch: &RecordBatch) -> impl Iterator<Item = Collected> {
    let cell = move |name: &str, row: usize| {
        let column: &StringArray = columns::text(batch, name)?;
        column.is_valid(row).then(|| column.value(row).to_owned())
    };
    (0..batch.num_rows()).map(move |row| Collected {
        url: cell(columns::URL, row),
        location: cell(columns::LOCATION, row),
    })
}
