//! Rows of a list file as record batches, streamed: never the whole file in memory.

use std::io::BufRead;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clip_corpus::{Delimited, Row};
use clip_guard::{Line, read_line};
use clip_pipeline::config::source::CaptionList;
use clip_pipeline::{Error, Result};
use serde_json::Value;

use super::files::{Format, ListFile};
use super::{json, parquet};
use crate::pair_reader::{BATCH_BYTES, bad, open};

/// Rows that are read at a time.
pub(super) const BATCH: usize = 8192;
/// The last column of every batch: why a row of the file cannot be used, null where it can.
pub(crate) const FAULT: &str = "row fault";

/// A column that is wanted: its name in the list and what it is called from then on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Column {
    pub from: String,
    pub to: String,
    /// Made text, whatever it was; what is no text at all is refused.
    pub text: bool,
    /// Missing in the list, it is all null instead of an error.
    pub optional: bool,
    /// What a list in a text column means; one column at most has [`CaptionList::All`].
    pub lists: CaptionList,
}

impl Column {
    pub fn text(from: &str, to: &str) -> Self {
        let (text, optional, lists) = (true, false, CaptionList::Refuse);
        Self { from: from.into(), to: to.into(), text, optional, lists }
    }

    /// Why a list in this column is refused, and what to do about it.
    pub fn refusal(&self) -> String {
        let hint = match self.to.as_str() {
            "caption" => "caption_list first takes the first of each list, all makes a row of each",
            _ => "name a column of text",
        };
        format!("column {:?} holds lists\nhint: {hint}", self.from)
    }
}

/// The batches of a file, with the wanted columns in their order, then [`FAULT`].
pub(crate) type Batches = Box<dyn Iterator<Item = Result<RecordBatch>> + Send>;

/// Opens a file; its first `skip` rows are skipped.
pub(crate) fn batches(file: &ListFile, columns: &[Column], skip: usize) -> Result<Batches> {
    let cells: Box<dyn Cells> = match file.format {
        Format::Parquet => return parquet::batches(file, columns, skip),
        Format::Txt => {
            let urls = columns.iter().map(|column| column.to == "url").collect();
            Box::new(Lines { reader: open(&file.path)?, urls, first: true })
        }
        Format::Csv => Box::new(Table::new(file, columns, b',')?),
        Format::Tsv => Box::new(Table::new(file, columns, b'\t')?),
        Format::Json => json::columns_or_rows(file, columns)?,
        Format::Jsonl => Box::new(json::Lines::new(file, columns)?),
    };
    let fields = columns.iter().map(|c| Field::new(&c.to, DataType::Utf8, true));
    let fields: Vec<Field> = fields.chain([fault_field()]).collect();
    let (schema, columns) = (Arc::new(Schema::new(fields)), columns.to_vec());
    let rows = Rows { cells, columns, file: file.clone(), read: 0, rest: None };
    Ok(Box::new(Texts { rows, schema, skip, done: false }))
}

pub(super) fn fault_field() -> Field {
    Field::new(FAULT, DataType::Utf8, true)
}

/// A cell as it is in the file.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Null,
    Text(String),
    /// A list or an object.
    Json(Value),
}

/// What a reader found: a cell for each wanted column, or something that should have been a row.
pub(super) enum Found {
    Row(Vec<Cell>),
    Malformed(String),
}

/// A reader of rows.
pub(super) trait Cells: Send {
    /// The next row, or nothing at the end; an error says in words why no more can be read.
    fn next(&mut self) -> std::result::Result<Option<Found>, String>;
}

type Texted = Vec<Option<String>>;

/// The rows of a file as text, [`FAULT`] last.
struct Rows {
    cells: Box<dyn Cells>,
    columns: Vec<Column>,
    file: ListFile,
    /// Rows of the file so far.
    read: usize,
    /// The row that is repeated for further captions: where they go, and which they are.
    rest: Option<(Texted, usize, std::vec::IntoIter<String>)>,
}

impl Rows {
    fn next(&mut self) -> Result<Option<Texted>> {
        if let Some((row, at, captions)) = &mut self.rest
            && let Some(caption) = captions.next()
        {
            let mut row = row.clone();
            row[*at] = Some(caption);
            return Ok(Some(row));
        }
        self.rest = None;
        let at = |rows: usize| format!("row {}", rows + 1);
        let found = self
            .cells
            .next()
            .map_err(|e| bad(&self.file.path, format!("{}: {e}", at(self.read))))?;
        let Some(found) = found else { return Ok(None) };
        self.read += 1;
        let row = match found {
            Found::Row(cells) => self.texts(cells),
            Found::Malformed(fault) => Err(fault),
        };
        Ok(Some(row.unwrap_or_else(|fault| {
            let mut row = vec![None; self.columns.len()];
            row.push(Some(fault));
            row
        })))
    }

    fn texts(&mut self, cells: Vec<Cell>) -> std::result::Result<Texted, String> {
        let mut row = Vec::with_capacity(cells.len() + 1);
        let mut more = None;
        for (column, cell) in self.columns.iter().zip(cells) {
            row.push(match cell {
                Cell::Null => None,
                Cell::Text(text) => Some(text),
                Cell::Json(value) if !column.text => Some(value.to_string()),
                Cell::Json(Value::Array(items)) => {
                    if column.lists == CaptionList::Refuse {
                        let refusal = column.refusal();
                        return Err(refusal.lines().next().unwrap_or_default().to_owned());
                    }
                    let mut texts = texts_of(column, items)?.into_iter();
                    let first = texts.next();
                    if column.lists == CaptionList::All {
                        more = Some((row.len(), texts));
                    }
                    first
                }
                Cell::Json(_) => return Err(format!("column {:?} holds an object", column.from)),
            });
        }
        row.push(None);
        self.rest = more.map(|(at, texts)| (row.clone(), at, texts));
        Ok(row)
    }
}

/// The texts of a list; nulls in it are none.
fn texts_of(column: &Column, items: Vec<Value>) -> std::result::Result<Vec<String>, String> {
    let items = items.into_iter().filter(|item| !item.is_null());
    let text = |item| match item {
        Value::String(text) => Ok(text),
        Value::Array(_) | Value::Object(_) => {
            Err(format!("column {:?} holds a list of more than text", column.from))
        }
        other => Ok(other.to_string()),
    };
    items.map(text).collect()
}

struct Texts {
    rows: Rows,
    schema: SchemaRef,
    skip: usize,
    done: bool,
}

impl Texts {
    fn batch(&mut self) -> Result<Option<RecordBatch>> {
        let mut builders: Vec<StringBuilder> =
            self.schema.fields().iter().map(|_| StringBuilder::new()).collect();
        let (mut rows, mut bytes) = (0, 0);
        while rows < BATCH && bytes < BATCH_BYTES {
            let Some(row) = self.rows.next()? else {
                self.done = true;
                break;
            };
            if self.skip > 0 {
                self.skip -= 1;
                continue;
            }
            rows += 1;
            bytes += row.iter().flatten().map(String::len).sum::<usize>();
            for (builder, cell) in builders.iter_mut().zip(&row) {
                builder.append_option(cell.as_deref());
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = builders.iter_mut().map(|b| Arc::new(b.finish()) as ArrayRef).collect();
        let batch = RecordBatch::try_new(self.schema.clone(), columns);
        batch.map(Some).map_err(|e| bad(&self.rows.file.path, e))
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
    let place = |column: &Column| match place(names, &column.from) {
        None if !column.optional => Err(missing(file, column, names)),
        found => Ok(found),
    };
    columns.iter().map(place).collect()
}

/// The place of a name among `names`: as spelled, or, where that is clear, in other case. No column
/// is meant by an empty one.
pub(super) fn place(names: &[&str], name: &str) -> Option<usize> {
    if name.is_empty() {
        return None;
    }
    let exact = names.iter().position(|n| *n == name);
    let mut alike = (0..names.len()).filter(|&at| names[at].eq_ignore_ascii_case(name));
    exact.or_else(|| alike.next().filter(|_| alike.next().is_none()))
}

pub(super) fn missing(file: &ListFile, column: &Column, names: &[&str]) -> Error {
    let name = &column.from;
    let hint = if names.iter().any(|name| name.contains("://")) {
        "the first line should name the columns: put `url,caption`, or what they are, before it"
            .to_owned()
    } else if names.iter().any(|name| name.contains('\0')) {
        "it looks like UTF-16: save it as UTF-8".to_owned()
    } else if names.iter().all(|name| name.is_empty()) {
        "its first line, which names the columns, is empty".to_owned()
    } else {
        let options =
            if column.to == "text" { "--column names" } else { "url_col and caption_col name" };
        format!("the columns are {}; {options} yours", names.join(", "))
    };
    Error::Config(format!("{}: no column {name:?}\nhint: {hint}", file.path.display()))
}

/// A URL a line.
struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// Which of the wanted columns are the URL; there is no other.
    urls: Vec<bool>,
    first: bool,
}

impl Cells for Lines {
    fn next(&mut self) -> std::result::Result<Option<Found>, String> {
        let mut bytes = Vec::new();
        loop {
            match read_line(&mut self.reader, &mut bytes).map_err(|e| e.to_string())? {
                Line::End => return Ok(None),
                Line::TooLong(length) => {
                    self.first = false;
                    return Ok(Some(Found::Malformed(Line::reason(length))));
                }
                Line::Whole => {}
            }
            let text = String::from_utf8_lossy(&bytes);
            let mut text = text.trim_end_matches(['\n', '\r']);
            if std::mem::take(&mut self.first) {
                text = text.trim_start_matches('\u{feff}');
            }
            if text.trim().is_empty() {
                continue;
            }
            let cell = |url: &bool| if *url { Cell::Text(text.to_owned()) } else { Cell::Null };
            return Ok(Some(Found::Row(self.urls.iter().map(cell).collect())));
        }
    }
}

/// Delimited text with a header.
struct Table {
    rows: Delimited<Box<dyn BufRead + Send>>,
    places: Vec<Option<usize>>,
    row: Row,
}

impl Table {
    fn new(file: &ListFile, columns: &[Column], delimiter: u8) -> Result<Self> {
        let rows = Delimited::new(open(&file.path)?, delimiter).map_err(|e| bad(&file.path, e))?;
        let names: Vec<&str> = rows.header().iter().map(String::as_str).collect();
        let places = places(file, columns, &names)?;
        Ok(Self { rows, places, row: Row::default() })
    }
}

impl Cells for Table {
    fn next(&mut self) -> std::result::Result<Option<Found>, String> {
        let read = self.rows.next_row(&mut self.row).map_err(|e| e.to_string())?;
        let cell = |at: usize| self.row.cell(at).map_or(Cell::Null, Cell::Text);
        Ok(read.map(|read| match read {
            Ok(()) => {
                let cells = self.places.iter().map(|place| place.map_or(Cell::Null, cell));
                Found::Row(cells.collect())
            }
            Err(fault) => Found::Malformed(fault),
        }))
    }
}
