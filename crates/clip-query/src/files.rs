//! Lists on disk: Parquet, MetaCLIP's JSON, plain text.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, UInt64Type};
use clip_corpus::ParquetFile;
use clip_format::AtomicFile;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use crate::open::{each_line, refuse_table};
use crate::origin::Origin;
use crate::{Error, Query, QueryList, QuerySource, Result};

/// Key of the list's origin in the Parquet file's own metadata, as JSON.
const ORIGIN: &str = "clip_data.queries.origin";

fn ending(path: &Path) -> &str {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default()
}

impl QueryList {
    /// Reads a list: `.parquet` with a column `query` and perhaps `source`, `count`, `score`;
    /// `.json`, an array of strings, as MetaCLIP's `metadata.json`; else text with one query a
    /// line, packed or not.
    pub fn load(path: &Path) -> Result<Self> {
        load(path)
    }

    /// Refuses a name that [`QueryList::save`] would write as text and [`QueryList::load`] refuse.
    ///
    /// # Errors
    /// When the name is a table's that is no list.
    pub fn check_name(path: &Path) -> Result<()> {
        refuse_table(path, &OTHER_TABLES, "a list is .parquet, .json or text (.txt)")
    }

    /// Writes the list as Parquet, JSON or text, by the ending of its name, in one piece or not at
    /// all.
    pub fn save(&self, path: &Path) -> Result<()> {
        save(self, path)
    }
}

/// Rows that are read at a time.
const BATCH: usize = 1024;

/// Endings of tables that are no lists.
const OTHER_TABLES: [&str; 3] = ["csv", "tsv", "jsonl"];

/// Reads a list by the ending of its name.
fn load(path: &Path) -> Result<QueryList> {
    let list = match ending(path) {
        "parquet" => load_parquet(path)?,
        "json" => load_json(path)?,
        _ => load_text(path)?,
    };
    if list.is_empty() {
        return Err(Error::file(
            path,
            "it holds no query",
            "one query a line, or a column `query`",
        ));
    }
    Ok(list)
}

fn load_text(path: &Path) -> Result<QueryList> {
    let hint = "one query a line in a file of another ending, or .parquet with a column `query`";
    refuse_table(path, &OTHER_TABLES, hint)?;
    let mut texts = Vec::new();
    each_line(path, &|_| (), |number, line| {
        let text = std::str::from_utf8(line).ok().filter(|text| !text.contains('\0'));
        let text = text.ok_or_else(|| {
            let reason = "not UTF-8\nhint: convert the file first: iconv -f latin1 -t utf-8";
            Error::line(path, number, reason)
        })?;
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { text };
        texts.push(text.to_owned());
        Ok(())
    })?;
    Ok(QueryList::from_texts(texts))
}

fn load_json(path: &Path) -> Result<QueryList> {
    let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
    let texts: std::result::Result<Vec<String>, _> = serde_json::from_slice(&bytes);
    let texts =
        texts.map_err(|e| Error::file(path, e.to_string(), "an array of strings is wanted"))?;
    Ok(QueryList::from_texts(texts))
}

fn load_parquet(path: &Path) -> Result<QueryList> {
    let file = ParquetFile::open(path)?;
    let origin = file.schema().metadata().get(ORIGIN);
    let origin = origin.and_then(|text| serde_json::from_str::<Origin>(text).ok());
    let mut rows = Vec::new();
    for batch in file.batches(None, BATCH, 0)? {
        let batch = batch?;
        let text = |name| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
        let hint = "`clip-data queries build` makes such a list";
        let lacks = || Error::file(path, "no text column `query`", hint);
        let texts = text("query").ok_or_else(lacks)?;
        let sources = text("source");
        let counts = batch.column_by_name("count").and_then(|c| c.as_primitive_opt::<UInt64Type>());
        let scores =
            batch.column_by_name("score").and_then(|c| c.as_primitive_opt::<Float64Type>());
        for row in 0..texts.len() {
            let source = sources.and_then(|sources| QuerySource::parse(sources.value(row)));
            rows.push(Query {
                // A null is a row without a query.
                text: if texts.is_null(row) { String::new() } else { texts.value(row).to_owned() },
                source: source.unwrap_or(QuerySource::List),
                count: counts.map_or(0, |c| c.value(row)),
                score: scores.map_or(0.0, |c| c.value(row)),
            });
        }
    }
    Ok(QueryList::from_rows(rows, origin.unwrap_or_default()))
}

/// Writes a list by the ending of its name.
fn save(list: &QueryList, path: &Path) -> Result<()> {
    let mut file = BufWriter::new(AtomicFile::create(path)?);
    let io = |e| Error::io(path, e);
    match ending(path) {
        "parquet" => save_parquet(list, &mut file, path)?,
        "json" => {
            let texts: Vec<&str> = list.queries().iter().map(|query| query.text.as_str()).collect();
            serde_json::to_writer(&mut file, &texts).map_err(|e| Error::table(path, e))?;
        }
        _ => list.queries().iter().try_for_each(|q| writeln!(file, "{}", q.text)).map_err(io)?,
    }
    file.flush().map_err(io)?;
    Ok(file.get_mut().commit()?)
}

/// `query`, `source`, `count`, `score`, and the list's origin beside them.
fn save_parquet(list: &QueryList, file: impl Write + Send, path: &Path) -> Result<()> {
    let table = |e| Error::table(path, e);
    let schema = Arc::new(Schema::new(vec![
        Field::new("query", DataType::Utf8, false),
        Field::new("source", DataType::Utf8, false),
        Field::new("count", DataType::UInt64, false),
        Field::new("score", DataType::Float64, false),
    ]));
    let queries = || list.queries().iter();
    let batch = RecordBatch::try_new(
        schema.clone(),
        vec![
            Arc::new(StringArray::from_iter_values(queries().map(|q| &q.text))),
            Arc::new(StringArray::from_iter_values(queries().map(|q| q.source.name()))),
            Arc::new(UInt64Array::from_iter_values(queries().map(|q| q.count))),
            Arc::new(Float64Array::from_iter_values(queries().map(|q| q.score))),
        ],
    );
    let batch = batch.map_err(|e| Error::table(path, e))?;
    let origin = serde_json::to_string(list.origin()).map_err(|e| Error::table(path, e))?;
    let origin = KeyValue { key: ORIGIN.into(), value: Some(origin) };
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![origin]));
    let mut writer = ArrowWriter::try_new(file, schema, Some(properties.build())).map_err(table)?;
    writer.write(&batch).map_err(table)?;
    writer.close().map_err(table)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Given;

    #[test]
    fn lists_keep_order_provenance_and_origin() {
        let row = |text: &str| Query {
            text: text.into(),
            source: QuerySource::Title,
            count: 7,
            score: 1.5,
        };
        let source = QuerySource::Title;
        let given = Given { source, offered: 2, kept: 2, repeated: 0, unusable: 0, beyond: 0 };
        let origin = Origin { sources: vec![given], words: 9, ..Origin::default() };
        let list = QueryList::from_rows(["a", "St. Louis"].map(row), origin);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.parquet");
        list.save(&path).unwrap();
        assert_eq!(QueryList::load(&path).unwrap(), list);
        for name in ["q.json", "q.txt"] {
            let path = folder.path().join(name);
            list.save(&path).unwrap();
            let again = QueryList::load(&path).unwrap();
            assert_eq!(again.queries()[1].text, "St. Louis");
            assert_eq!(again.queries()[1].source, QuerySource::List);
        }
    }

    #[test]
    fn what_is_no_list_is_named_with_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            QueryList::load(&path).unwrap_err().to_string()
        };
        let message = write("q.txt", b"apple\r\ncaf\xe9\n");
        assert!(message.contains("q.txt line 2: not UTF-8\nhint: "), "{message}");
        let utf16: Vec<u8> = "apple\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(write("u.txt", &utf16).contains("line 1: not UTF-8"));
        assert!(write("e.txt", b"\n \n").contains("it holds no query"));
        assert!(write("q.json", b"{\"a\": 1}").contains("hint: an array of strings"));
        assert!(write("q.parquet", b"PAR1").contains("q.parquet: "));
    }
}
