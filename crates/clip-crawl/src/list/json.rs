//! JSON lists: an object a line, an array of objects, or pandas' object of columns.

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};

use clip_guard::{Line, read_line};
use clip_pipeline::config::source::CaptionList;
use clip_pipeline::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::files::ListFile;
use super::table::{Cell, Cells, Column, Found, missing, place};
use crate::pair_reader::{BATCH_BYTES, bad, open};

/// Rows that are looked at before a column that none of them has is called missing.
const SAMPLE: usize = 1000;
/// Names of columns that are remembered, to be named when one is missing.
const NAMES: usize = 1000;

impl From<Value> for Cell {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::String(text) => Self::Text(text),
            Value::Array(_) | Value::Object(_) => Self::Json(value),
            other => Self::Text(other.to_string()),
        }
    }
}

/// What the rows so far show of the file's columns. Writers leave out what is null, so no single
/// row decides.
#[derive(Default)]
struct Seen {
    names: Vec<String>,
    rows: usize,
    /// The first wanted column of text that holds lists which are refused.
    refused: Option<String>,
}

impl Seen {
    fn row(&mut self, value: Value, columns: &[Column]) -> Found {
        let Value::Object(row) = value else {
            return Found::Malformed("not an object of columns".into());
        };
        self.rows += 1;
        for name in row.keys() {
            if self.names.len() < NAMES && !self.names.contains(name) {
                self.names.push(name.clone());
            }
        }
        let cells: Vec<Cell> = columns.iter().map(|column| cell(&row, &column.from)).collect();
        for (column, cell) in columns.iter().zip(&cells) {
            self.cell(column, cell);
        }
        Found::Row(cells)
    }

    fn cell(&mut self, column: &Column, cell: &Cell) {
        let list = matches!(cell, Cell::Json(Value::Array(_)));
        if list && column.text && column.lists == CaptionList::Refuse && self.refused.is_none() {
            self.refused = Some(column.refusal());
        }
    }

    /// Whether the file has what is wanted.
    fn check(&self, file: &ListFile, columns: &[Column]) -> Result<()> {
        if let Some(refusal) = &self.refused {
            return Err(Error::Config(format!("{}: {refusal}", file.path.display())));
        }
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let lacks = |c: &&Column| {
            !c.optional && !names.iter().any(|name| name.eq_ignore_ascii_case(&c.from))
        };
        match columns.iter().find(lacks) {
            Some(column) if self.rows > 0 => Err(missing(file, column, &names)),
            _ => Ok(()),
        }
    }
}

fn cell(row: &Map<String, Value>, name: &str) -> Cell {
    if let Some(value) = row.get(name) {
        return value.clone().into();
    }
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    let value = place(&names, name).and_then(|at| row.values().nth(at));
    value.cloned().unwrap_or_default().into()
}

/// An object a line.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    columns: Vec<Column>,
    line: u64,
    bytes: usize,
    seen: Seen,
    /// Rows that were read to find the columns.
    ahead: VecDeque<Found>,
}

impl Lines {
    pub fn new(file: &ListFile, columns: &[Column]) -> Result<Self> {
        let (reader, columns) = (open(&file.path)?, columns.to_vec());
        let (seen, ahead) = (Seen::default(), VecDeque::new());
        let mut lines = Self { reader, columns, line: 0, bytes: 0, seen, ahead };
        while lines.ahead.len() < SAMPLE && lines.bytes < BATCH_BYTES {
            let Some(found) = lines.read().map_err(|e| bad(&file.path, e))? else { break };
            lines.ahead.push_back(found);
        }
        lines.seen.check(file, &lines.columns)?;
        Ok(lines)
    }

    fn read(&mut self) -> std::result::Result<Option<Found>, String> {
        let mut bytes = Vec::new();
        loop {
            let read = read_line(&mut self.reader, &mut bytes).map_err(|e| e.to_string())?;
            self.line += 1;
            self.bytes += bytes.len();
            let at = |fault: String| Found::Malformed(format!("line {}: {fault}", self.line));
            match read {
                Line::End => return Ok(None),
                Line::TooLong(length) => return Ok(Some(at(Line::reason(length)))),
                Line::Whole if bytes.iter().all(u8::is_ascii_whitespace) => continue,
                Line::Whole => {}
            }
            return Ok(Some(match clip_corpus::json::from_slice::<Value>(&bytes) {
                Err(e) => at(e.to_string()),
                Ok(value) => match self.seen.row(value, &self.columns) {
                    Found::Malformed(fault) => at(fault),
                    row @ Found::Row(_) => row,
                },
            }));
        }
    }
}

impl Cells for Lines {
    fn next(&mut self) -> std::result::Result<Option<Found>, String> {
        match self.ahead.pop_front() {
            Some(found) => Ok(Some(found)),
            None => self.read(),
        }
    }
}

/// A file that is one JSON value: rows after each other in an array, or columns after each other in
/// an object.
///
/// Either is read once from front to back into files without a name, one a column, and given from
/// there: the last column's first cell may be at the end of the file.
pub(super) fn columns_or_rows(file: &ListFile, columns: &[Column]) -> Result<Box<dyn Cells>> {
    let mut spools = Spools::new(columns).map_err(|e| Error::io(&file.path, e))?;
    let source = BufReader::new(clip_corpus::json::reader(open(&file.path)?));
    let mut json = serde_json::Deserializer::from_reader(source);
    let read = json.deserialize_any(Whole { columns, spools: &mut spools });
    read.map_err(|e| bad(&file.path, e))?;
    json.end().map_err(|e| bad(&file.path, e))?;
    spools.seen.check(file, columns)?;
    let most = spools.files.iter().map(|spool| spool.cells).max().unwrap_or(0);
    let short = |(spool, column): &(&Spool, &Column)| {
        spool.cells != most && !(column.optional && spool.cells == 0)
    };
    if let Some((spool, column)) = spools.files.iter().zip(columns).find(short) {
        let counts = format!("column {:?} has {} of {most} rows", column.from, spool.cells);
        return Err(bad(&file.path, counts));
    }
    let readers = spools.readers().map_err(|e| Error::io(&file.path, e))?;
    Ok(Box::new(Columns { readers, left: most }))
}

/// Cells of each wanted column, in a file of its own.
struct Spools {
    files: Vec<Spool>,
    seen: Seen,
}

struct Spool {
    file: BufWriter<File>,
    cells: usize,
}

/// What a spooled cell is.
const NULL: u8 = 0;
const TEXT: u8 = 1;
const JSON: u8 = 2;
/// The fault of a row that is none.
const MALFORMED: u8 = 3;

impl Spool {
    /// What the cell is, its length, and its bytes.
    fn put(&mut self, cell: &Cell) -> std::io::Result<()> {
        match cell {
            Cell::Null => self.bytes(NULL, ""),
            Cell::Text(text) => self.bytes(TEXT, text),
            Cell::Json(value) => self.bytes(JSON, &value.to_string()),
        }
    }

    fn bytes(&mut self, kind: u8, text: &str) -> std::io::Result<()> {
        self.cells += 1;
        self.file.write_all(&[kind])?;
        self.file.write_all(&(text.len() as u64).to_le_bytes())?;
        self.file.write_all(text.as_bytes())
    }
}

impl Spools {
    fn new(columns: &[Column]) -> std::io::Result<Self> {
        let new = |_| Ok(Spool { file: BufWriter::new(tempfile::tempfile()?), cells: 0 });
        let files = columns.iter().map(new).collect::<std::io::Result<_>>()?;
        Ok(Self { files, seen: Seen::default() })
    }

    fn row(&mut self, found: &Found) -> std::io::Result<()> {
        match found {
            Found::Row(cells) => self.files.iter_mut().zip(cells).try_for_each(|(f, c)| f.put(c)),
            Found::Malformed(fault) => {
                self.files.iter_mut().try_for_each(|file| file.bytes(MALFORMED, fault))
            }
        }
    }

    fn readers(self) -> std::io::Result<Vec<Option<BufReader<File>>>> {
        let reader = |spool: Spool| {
            if spool.cells == 0 {
                return Ok(None);
            }
            let mut file = spool.file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
            file.rewind()?;
            Ok(Some(BufReader::with_capacity(1 << 18, file)))
        };
        self.files.into_iter().map(reader).collect()
    }
}

struct Columns {
    readers: Vec<Option<BufReader<File>>>,
    left: usize,
}

impl Cells for Columns {
    fn next(&mut self) -> std::result::Result<Option<Found>, String> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let (mut cells, mut fault) = (Vec::with_capacity(self.readers.len()), None);
        for reader in &mut self.readers {
            let Some(reader) = reader else {
                cells.push(Cell::Null);
                continue;
            };
            let (kind, text) = read_cell(reader).map_err(|e| e.to_string())?;
            cells.push(match kind {
                NULL => Cell::Null,
                JSON => Cell::Json(serde_json::from_str(&text).map_err(|e| e.to_string())?),
                TEXT => Cell::Text(text),
                _ => {
                    fault = Some(text);
                    Cell::Null
                }
            });
        }
        Ok(Some(fault.map_or(Found::Row(cells), Found::Malformed)))
    }
}

fn read_cell(reader: &mut BufReader<File>) -> std::io::Result<(u8, String)> {
    let (mut kind, mut length) = ([0], [0; 8]);
    reader.read_exact(&mut kind)?;
    reader.read_exact(&mut length)?;
    let mut bytes = vec![0; u64::from_le_bytes(length) as usize];
    reader.read_exact(&mut bytes)?;
    Ok((kind[0], String::from_utf8_lossy(&bytes).into_owned()))
}

struct Whole<'a> {
    columns: &'a [Column],
    spools: &'a mut Spools,
}

impl<'de> Visitor<'de> for Whole<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array of rows or an object of columns")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> std::result::Result<(), A::Error> {
        let mut number = 0;
        while let Some(row) = rows.next_element::<Value>()? {
            number += 1;
            let found = match self.spools.seen.row(row, self.columns) {
                Found::Malformed(fault) => Found::Malformed(format!("row {number}: {fault}")),
                row @ Found::Row(_) => row,
            };
            self.spools.row(&found).map_err(serde::de::Error::custom)?;
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let wanted: Vec<usize> = (0..self.columns.len())
                .filter(|&at| self.columns[at].from.eq_ignore_ascii_case(&name))
                .collect();
            self.spools.seen.rows = 1;
            if self.spools.seen.names.len() < NAMES || !wanted.is_empty() {
                self.spools.seen.names.push(name);
            }
            if wanted.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let (columns, spools) = (self.columns, &mut *self.spools);
            map.next_value_seed(OneColumn { columns, spools, at: wanted })?;
        }
        Ok(())
    }
}

/// The cells of a column: `{"0": …, "1": …}`, or an array.
struct OneColumn<'a> {
    columns: &'a [Column],
    spools: &'a mut Spools,
    at: Vec<usize>,
}

impl OneColumn<'_> {
    fn put<E: serde::de::Error>(&mut self, value: Value) -> std::result::Result<(), E> {
        let cell = Cell::from(value);
        for &at in &self.at {
            self.spools.seen.cell(&self.columns[at], &cell);
            self.spools.files[at].put(&cell).map_err(E::custom)?;
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for OneColumn<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> std::result::Result<(), D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for OneColumn<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the cells of a column")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> std::result::Result<(), A::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            let value = map.next_value()?;
            self.put(value)?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut cells: A) -> std::result::Result<(), A::Error> {
        while let Some(value) = cells.next_element()? {
            self.put(value)?;
        }
        Ok(())
    }
}
