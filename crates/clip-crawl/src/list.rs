//! Lists of (URL, caption) in img2dataset's formats, streamed.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray};
use clip_pipeline::config::source::List;
use clip_pipeline::{Context, Error, PartSink, Result, Source, row_id};
use flate2::read::MultiGzDecoder;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use url::Url;

use crate::rows::{Pair, batch};
use crate::web::unusable;

const STAGE: &str = "collect";
const EXTENSIONS: [&str; 5] = ["txt", "csv", "tsv", "jsonl", "parquet"];

/// Rows of list files, in the order of the files; part `n` holds rows `n * part_rows` onward.
pub struct ListSource {
    files: Vec<PathBuf>,
    url_col: String,
    caption_col: String,
    part_rows: usize,
}

impl ListSource {
    /// Finds the files: a folder means its list files, sorted.
    pub fn new(list: &List, base: &Path) -> Result<Self> {
        let mut files = Vec::new();
        for path in &list.paths {
            files.extend(list_files(&base.join(path))?);
        }
        if files.is_empty() {
            return Err(Error::Config(
                "source.paths names no list\nhint: .txt, .csv, .tsv, .jsonl (also .gz), .parquet"
                    .into(),
            ));
        }
        Ok(Self {
            files,
            url_col: list.url_col.clone(),
            caption_col: list.caption_col.clone(),
            part_rows: list.part_rows.max(1),
        })
    }

    /// The files, for the fingerprint.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Calls `visit` with every row from `skip` on until it says stop; rows are numbered over all files.
    fn rows(&self, visit: &mut dyn FnMut(Row) -> Result<bool>) -> Result<()> {
        for file in &self.files {
            let go_on = match format(file) {
                ("parquet", _) => self.parquet(file, visit)?,
                ("jsonl", gz) => lines(file, gz, &mut |line| visit(self.json(file, line)?))?,
                ("txt", gz) => lines(file, gz, &mut |(_, line)| {
                    visit(Row { url: Some(line), caption: String::new() })
                })?,
                (kind, gz) => {
                    self.delimited(file, gz, if kind == "tsv" { b'\t' } else { b',' }, visit)?
                }
            };
            if !go_on {
                break;
            }
        }
        Ok(())
    }

    fn parquet(&self, path: &Path, visit: &mut dyn FnMut(Row) -> Result<bool>) -> Result<bool> {
        let bad =
            |e: &dyn std::fmt::Display| Error::stage(STAGE, format!("{}: {e}", path.display()));
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build());
        for batch in reader.map_err(|e| bad(&e))? {
            let batch = batch.map_err(|e| bad(&e))?;
            let urls = text_column(path, &batch, &self.url_col)?;
            let captions = text_column(path, &batch, &self.caption_col)?;
            for row in 0..batch.num_rows() {
                let cell = |c: &arrow::array::StringArray| {
                    c.is_valid(row).then(|| c.value(row).to_owned())
                };
                if !visit(Row { url: cell(&urls), caption: cell(&captions).unwrap_or_default() })? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    fn json(&self, path: &Path, (number, line): (usize, String)) -> Result<Row> {
        let value: serde_json::Value = serde_json::from_str(&line)
            .map_err(|e| Error::stage(STAGE, format!("{} line {number}: {e}", path.display())))?;
        let cell = |name: &str| value.get(name).and_then(|v| v.as_str()).map(str::to_owned);
        if number == 1 && value.get(&self.url_col).is_none() {
            let names: Vec<&str> = value
                .as_object()
                .map(|o| o.keys().map(String::as_str).collect())
                .unwrap_or_default();
            return Err(missing(path, &self.url_col, &names));
        }
        Ok(Row { url: cell(&self.url_col), caption: cell(&self.caption_col).unwrap_or_default() })
    }

    fn delimited(
        &self,
        path: &Path,
        gz: bool,
        delimiter: u8,
        visit: &mut dyn FnMut(Row) -> Result<bool>,
    ) -> Result<bool> {
        let bad = |e: csv::Error| Error::stage(STAGE, format!("{}: {e}", path.display()));
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(delimiter)
            .flexible(true)
            .quoting(delimiter == b',')
            .from_reader(open(path, gz)?);
        let header = reader.headers().map_err(bad)?.clone();
        let names: Vec<&str> = header.iter().collect();
        let place = |name: &str| {
            names.iter().position(|n| *n == name).ok_or_else(|| missing(path, name, &names))
        };
        let (url, caption) = (place(&self.url_col)?, place(&self.caption_col)?);
        for record in reader.byte_records() {
            let record = record.map_err(bad)?;
            let cell = |at: usize| record.get(at).map(|v| String::from_utf8_lossy(v).into_owned());
            if !visit(Row { url: cell(url), caption: cell(caption).unwrap_or_default() })? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// A row as it stands in a list.
struct Row {
    url: Option<String>,
    caption: String,
}

impl Source for ListSource {
    fn parts(&self) -> Result<usize> {
        let mut count = 0usize;
        self.rows(&mut |_| {
            count += 1;
            Ok(true)
        })?;
        Ok(count.div_ceil(self.part_rows))
    }

    fn read(&self, part: usize, out: &mut PartSink, cx: &Context) -> Result<()> {
        let (from, to) = (part * self.part_rows, (part + 1) * self.part_rows);
        let mut at = 0;
        let mut pairs = Vec::new();
        let mut kept = 0;
        self.rows(&mut |row| {
            if at >= from && at < to {
                let address = row.url.as_deref().unwrap_or_default().trim();
                match Url::parse(address) {
                    Ok(url) if matches!(url.scheme(), "http" | "https") => pairs.push(Pair {
                        url: url.to_string(),
                        caption: row.caption,
                        page: None,
                        source: "list",
                    }),
                    _ => {
                        let id = row_id(part, at - from);
                        let detail = format!("row {}: {address:?} is no address", at + 1);
                        out.reject(unusable(id, address, &row.caption, "bad_url", detail))?;
                    }
                }
                if pairs.len() == 8192 {
                    out.keep(batch(part, kept, &pairs)?)?;
                    kept += pairs.len();
                    cx.rows(pairs.len() as u64);
                    pairs.clear();
                }
            }
            at += 1;
            Ok(at < to && !cx.cancelled())
        })?;
        cx.rows(pairs.len() as u64);
        out.keep(batch(part, kept, &pairs)?)
    }
}

fn missing(path: &Path, name: &str, names: &[&str]) -> Error {
    Error::Config(format!(
        "{}: no column {name:?}\nhint: the columns are {}; set source.url_col and source.caption_col",
        path.display(),
        names.join(", ")
    ))
}

fn format(path: &Path) -> (&'static str, bool) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let (stem, gz) = name.strip_suffix(".gz").map_or((name.as_str(), false), |stem| (stem, true));
    let kind = EXTENSIONS.into_iter().find(|ext| stem.ends_with(&format!(".{ext}")));
    (kind.unwrap_or("txt"), gz)
}

fn list_files(path: &Path) -> Result<Vec<PathBuf>> {
    let pattern = path.to_string_lossy();
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(|e| Error::io(path, e))?;
        let mut files: Vec<PathBuf> = entries.filter_map(|e| Some(e.ok()?.path())).collect();
        files.retain(|file| {
            let name = file.to_string_lossy().to_lowercase();
            let name = name.trim_end_matches(".gz");
            EXTENSIONS.iter().any(|ext| name.ends_with(&format!(".{ext}")))
        });
        files.sort();
        Ok(files)
    } else if pattern.contains(['*', '?', '[']) {
        let found = glob::glob(&pattern).map_err(|e| Error::Config(format!("{pattern}: {e}")))?;
        Ok(found.filter_map(std::result::Result::ok).collect())
    } else if path.exists() {
        Ok(vec![path.to_path_buf()])
    } else {
        Err(Error::Config(format!(
            "{pattern}: no such file\nhint: source.paths is relative to the pipeline's file"
        )))
    }
}

fn open(path: &Path, gz: bool) -> Result<Box<dyn Read>> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    Ok(if gz { Box::new(MultiGzDecoder::new(BufReader::new(file))) } else { Box::new(file) })
}

/// Calls `visit` with line number (from 1) and line, without the empty ones.
fn lines(
    path: &Path,
    gz: bool,
    visit: &mut dyn FnMut((usize, String)) -> Result<bool>,
) -> Result<bool> {
    let mut reader = BufReader::with_capacity(1 << 20, open(path, gz)?);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).map_err(|e| Error::io(path, e))? == 0 {
            return Ok(true);
        }
        number += 1;
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if !text.is_empty() && !visit((number, text.to_owned()))? {
            return Ok(false);
        }
    }
}

fn text_column(
    path: &Path,
    batch: &arrow::array::RecordBatch,
    name: &str,
) -> Result<arrow::array::StringArray> {
    let column = batch.column_by_name(name).ok_or_else(|| {
        let schema = batch.schema();
        let names: Vec<&str> = schema.fields().iter().map(|f| f.name().as_str()).collect();
        missing(path, name, &names)
    })?;
    let text = arrow::compute::cast(column, &arrow::datatypes::DataType::Utf8);
    let text = text.map_err(|e| Error::arrow(STAGE, e))?;
    Ok(text.as_string().clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn source(name: &str, content: &[u8], dir: &Path) -> Result<ListSource> {
        std::fs::write(dir.join(name), content).unwrap();
        let paths = vec![name.into()];
        let (url_col, caption_col) = ("url".into(), "caption".into());
        ListSource::new(&List { paths, url_col, caption_col, part_rows: 2 }, dir)
    }

    fn gz(content: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_format_gives_the_same_rows() {
        let dir = tempfile::tempdir().unwrap();
        let csv = b"caption,url\n\"one, two\",http://e.com/1\nthree,http://e.com/2\nfour,http://e.com/3\n";
        let tsv = b"caption\turl\none, two\thttp://e.com/1\nthree\thttp://e.com/2\nfour\thttp://e.com/3\n";
        let jsonl = b"{\"url\":\"http://e.com/1\",\"caption\":\"one, two\"}\n\n{\"caption\":\"three\",\"url\":\"http://e.com/2\"}\n{\"caption\":\"four\",\"url\":\"http://e.com/3\"}\n";
        for (name, content) in [
            ("a.csv", csv.to_vec()),
            ("a.csv.gz", gz(csv)),
            ("a.tsv", tsv.to_vec()),
            ("a.jsonl", jsonl.to_vec()),
            ("a.jsonl.gz", gz(jsonl)),
        ] {
            let source = source(name, &content, dir.path()).unwrap();
            let mut rows = Vec::new();
            source
                .rows(&mut |row| {
                    rows.push((row.url.unwrap(), row.caption));
                    Ok(true)
                })
                .unwrap();
            assert_eq!(source.parts().unwrap(), 2, "{name}");
            assert_eq!(rows[0], ("http://e.com/1".into(), "one, two".into()), "{name}");
            assert_eq!(rows.len(), 3, "{name}");
        }
    }

    #[test]
    fn a_missing_column_names_those_that_are_there() {
        let dir = tempfile::tempdir().unwrap();
        let source = source("a.csv", b"URL,TEXT\nx,y\n", dir.path()).unwrap();
        let message = source.parts().unwrap_err().to_string();
        assert!(
            message.contains("no column \"url\"") && message.contains("URL, TEXT"),
            "{message}"
        );
    }

    #[test]
    fn a_broken_line_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let source =
            source("a.jsonl", b"{\"url\":\"http://e.com\"}\n{broken\n", dir.path()).unwrap();
        assert!(source.parts().unwrap_err().to_string().contains("a.jsonl line 2"));
    }
}
