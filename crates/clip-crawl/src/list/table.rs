//! Rows of a list file as record batches, streamed: never the whole file in memory.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, StringBuilder};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clip_pipeline::Result;

use super::files::{Format, ListFile};
use super::{json, parquet};
use crate::feed::{bad, open};

/// Rows that are read at a time.
pub(super) const BATCH: usize = 8192;

/// A column that is wanted: its name in the list and what it is called from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub from: String,
    pub to: String,
    /// Made text, whatever it was.
    pub text: bool,
    /// Missing in the list, it is all null instead of an error.
    pub optional: bool,
}

impl Column {
    pub fn text(from: &str, to: &str) -> Self {
        Self { from: from.into(), to: to.into(), text: true, optional: false }
    }
}

/// The batches of a file, with the wanted columns in their order.
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Opens a file; its first `skip` rows are passed over.
pub(crate) fn batches(file: &ListFile, columns: &[Column], skip: usize) -> Result<Batches> {
    if file.format == Format::Parquet {
        return parquet::batches(file, columns, skip);
    }
    let cells: Box<dyn Cells> = match file.format {
        Format::Txt => {
            let urls = columns.iter().map(|column| column.to == "url").collect();
            Box::new(Lines { reader: open(&file.path)?, urls })
        }
        Format::Csv => Box::new(Csv::new(file, columns)?),
        Format::Tsv => Box::new(Tsv::new(file, columns)?),
        Format::Json => json::columns_or_rows(file, columns)?,
        Format::Jsonl | Format::Parquet => Box::new(json::Lines::new(file, columns)?),
    };
    let fields = columns.iter().map(|c| Field::new(&c.to, DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Ok(Box::new(Texts { cells, schema, file: file.clone(), row: 0, skip, done: false }))
}

/// A reader of rows of text.
pub(super) trait Cells: Send {
    /// The next row's cells, one for each wanted column, or nothing at the end; an error says why in words.
    fn next(&mut self, row: &mut Vec<Option<String>>) -> std::result::Result<bool, String>;
}

struct Texts {
    cells: Box<dyn Cells>,
    schema: SchemaRef,
    file: ListFile,
    row: usize,
    skip: usize,
    done: bool,
}

impl Texts {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut builders: Vec<StringBuilder> =
            self.schema.fields().iter().map(|_| StringBuilder::new()).collect();
        let mut row = Vec::new();
        let mut rows = 0;
        while rows < BATCH {
            row.clear();
            let more = self.cells.next(&mut row);
            if !more.map_err(|e| bad(&self.file.path, format!("row {}: {e}", self.row + 1)))? {
                self.done = true;
                break;
            }
            self.row += 1;
            if self.row <= self.skip {
                continue;
            }
            rows += 1;
            for (builder, cell) in builders.iter_mut().zip(&row) {
                builder.append_option(cell.as_deref());
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = builders.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        batch.map(Some).map_err(|e| bad(&self.file.path, e))
    }
}

impl Iterator for Texts {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let batch = self.batch().transpose();
        self.done |= !matches!(batch, Some(Ok(_)));
        batch
    }
}

/// Places of the wanted columns among `names`: as spelled, or, where that is clear, in other case.
pub(super) fn places(
    file: &ListFile,
    columns: &[Column],
    names: &[&str],
) -> Result<Vec<Option<usize>>> {
    let place = |column: &Column| {
        let name = column.from.as_str();
        let exact = names.iter().position(|n| *n == name);
        let mut alike = (0..names.len()).filter(|&at| names[at].eq_ignore_ascii_case(name));
        let found = exact.or_else(|| alike.next().filter(|_| alike.next().is_none()));
        match found {
            None if !column.optional => Err(missing(file, name, names)),
            found => Ok(found),
        }
    };
    columns.iter().map(place).collect()
}

pub(super) fn missing(file: &ListFile, name: &str, names: &[&str]) -> clip_pipeline::Error {
    clip_pipeline::Error::Config(format!(
        "{}: no column {name:?}\nhint: the columns are {}; url_col and caption_col name yours",
        file.path.display(),
        names.join(", ")
    ))
}

/// A line without its end; nothing at the end of the file.
pub(super) fn line(
    reader: &mut dyn BufRead,
    bytes: &mut Vec<u8>,
) -> std::result::Result<Option<String>, String> {
    bytes.clear();
    if reader.read_until(b'\n', bytes).map_err(|e| e.to_string())? == 0 {
        return Ok(None);
    }
    let text = String::from_utf8_lossy(bytes);
    Ok(Some(text.trim_end_matches(['\n', '\r']).to_owned()))
}

/// An address a line.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// Which of the wanted columns are the address; there is no other.
    urls: Vec<bool>,
}

impl Cells for Lines {
    fn next(&mut self, row: &mut Vec<Option<String>>) -> std::result::Result<bool, String> {
        let mut bytes = Vec::new();
        loop {
            match line(&mut *self.reader, &mut bytes)? {
                None => return Ok(false),
                Some(text) if text.trim().is_empty() => {}
                Some(text) => {
                    row.extend(self.urls.iter().map(|url| url.then(|| text.clone())));
                    return Ok(true);
                }
            }
        }
    }
}

struct Csv {
    records: csv::ByteRecordsIntoIter<Box<dyn BufRead + Send>>,
    places: Vec<Option<usize>>,
}

impl Csv {
    fn new(file: &ListFile, columns: &[Column]) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(open(&file.path)?);
        let header = reader.headers().map_err(|e| bad(&file.path, e))?.clone();
        let names: Vec<&str> = header.iter().collect();
        let places = places(file, columns, &names)?;
        Ok(Self { records: reader.into_byte_records(), places })
    }
}

impl Cells for Csv {
    fn next(&mut self, row: &mut Vec<Option<String>>) -> std::result::Result<bool, String> {
        let Some(record) = self.records.next() else { return Ok(false) };
        let record = record.map_err(|e| e.to_string())?;
        let cell = |at: usize| record.get(at).map(|v| String::from_utf8_lossy(v).into_owned());
        row.extend(self.places.iter().map(|place| place.and_then(cell)));
        Ok(true)
    }
}

/// A row is a line: a quote that nobody closes must not swallow the rest of the file. Cells in quotes, as pandas
/// writes them, lose them.
struct Tsv {
    reader: Box<dyn BufRead + Send>,
    places: Vec<Option<usize>>,
}

impl Tsv {
    fn new(file: &ListFile, columns: &[Column]) -> Result<Self> {
        let mut reader = open(&file.path)?;
        let header = line(&mut *reader, &mut Vec::new()).map_err(|e| bad(&file.path, e))?;
        let header = header.unwrap_or_default();
        let names: Vec<String> = header.split('\t').map(unquoted).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Ok(Self { places: places(file, columns, &names)?, reader })
    }
}

impl Cells for Tsv {
    fn next(&mut self, row: &mut Vec<Option<String>>) -> std::result::Result<bool, String> {
        let Some(text) = line(&mut *self.reader, &mut Vec::new())? else { return Ok(false) };
        if text.is_empty() {
            return self.next(row);
        }
        let cells: Vec<&str> = text.split('\t').collect();
        row.extend(self.places.iter().map(|place| Some(unquoted(cells.get((*place)?)?))));
        Ok(true)
    }
}

fn unquoted(cell: &str) -> String {
    let inner = cell.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.map_or_else(|| cell.to_owned(), |inner| inner.replace("\"\"", "\""))
}

/// A column made text.
pub(super) fn as_text(column: &ArrayRef) -> std::result::Result<ArrayRef, String> {
    if column.data_type() == &DataType::Utf8 {
        return Ok(column.clone());
    }
    if column.data_type() == &DataType::Null {
        return Ok(Arc::new(StringArray::new_null(column.len())));
    }
    cast(column, &DataType::Utf8).map_err(|e| e.to_string())
}
