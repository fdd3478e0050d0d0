//! Lists and tables, as text and as Parquet.

use std::error::Error;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::Int32Type;
use clip_corpus::{write_parquet, write_subset};

use crate::{Seeds, chosen};

const CSV: &str = "url,caption,n\nhttp://e.com/1.jpg,\"a \"\"red\"\" cat,\nover lines\",1\nhttp://e.com/2.jpg,plain,2\nfile:///etc/passwd,no,3\nshort\n";
const JSON: &str = r#"[{"url": "http://e.com/1.jpg", "caption": ["a", null, "b"]}, {"URL": "http://e.com/2.jpg", "caption": "\ud83d x", "n": NaN}]"#;
const COLUMNS: &str = r#"{"url": {"0": "http://e.com/1.jpg", "1": "http://e.com/2.jpg"}, "caption": {"0": "a", "1": ["b"]}}"#;
const LINES: &str = "{\"url\": \"http://e.com/1.jpg\", \"caption\": \"a cat\"}\n\n{broken\n{\"caption\": {\"x\": 1}, \"url\": 7}\n";

/// A file as one of the crate's own writers makes it.
fn written(
    write: impl FnOnce(&std::path::Path) -> clip_corpus::Result<()>,
) -> Result<Vec<u8>, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("file");
    write(&path)?;
    Ok(std::fs::read(path)?)
}

fn table(columns: Vec<(&str, ArrayRef)>) -> Result<Vec<u8>, Box<dyn Error>> {
    let batch = RecordBatch::try_from_iter(columns)?;
    written(|path| write_parquet(path, batch.schema(), &[batch]))
}

pub fn seeds() -> Result<Seeds, Box<dyn Error>> {
    let texts = |texts: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
    let urls = texts(["http://e.com/1.jpg", "http://e.com/2.jpg", "file:///etc/passwd"]);
    let captions = [Some(vec![Some(0), None]), None, Some(vec![Some(3)])];
    let captions = ListArray::from_iter_primitive::<Int32Type, _, _>(captions);
    let plain = table(vec![
        ("url", urls.clone()),
        ("caption", texts(["a", "b", "c"])),
        ("row", Arc::new(UInt64Array::from(vec![1, 2, 3]))),
    ])?;
    let lists = table(vec![("url", urls), ("caption", Arc::new(captions))])?;
    let queries = table(vec![("query", texts(["red", "apple", "red apple"]))])?;
    let ids = written(|path| write_subset(path, &[7, 1 << 90, 7]))?;
    let none = written(|path| write_subset(path, &[]))?;
    Ok(vec![
        (
            "delimited",
            vec![
                ("csv", chosen(0, CSV)),
                ("tsv", chosen(1, "a\tb\n1\t'x\n\"2\t3\n\"4\"x\t\"5\n6\"\n")),
                ("marks", chosen(2, "\u{feff}a|b\r\n\"\"|\"\"\"\"\r\n|\r\n")),
            ],
        ),
        (
            "list",
            vec![
                (
                    "txt",
                    chosen(
                        0,
                        "\u{feff}http://e.com/1.jpg\r\n\nfile:///etc/passwd\n//x\nhttp://[::1]/a b\n",
                    ),
                ),
                ("csv", chosen(1, CSV)),
                ("tsv", chosen(2, "URL\tcaption\nhttp://e.com/1.jpg\ta cat\n")),
                ("json", chosen(3 + 16, JSON)),
                ("columns", chosen(3 + 8, COLUMNS)),
                ("jsonl", chosen(4, LINES)),
                ("csv_gz", chosen(5 + 128, CSV)),
                ("jsonl_gz", chosen(7 + 128 + 8, LINES)),
            ],
        ),
        ("parquet", vec![("plain", plain), ("lists", lists)]),
        ("queries", vec![("parquet", chosen(2, queries))]),
        ("subset", vec![("ids", ids), ("none", none)]),
    ])
}
