//! JSON lists: an object a line, an array of objects, or pandas' object of columns.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, Write};

use clip_pipeline::{Error, Result};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::files::ListFile;
use super::table::{Cells, Column, line, missing};
use crate::feed::{bad, open};

type Row = Map<String, Value>;

/// What a value is as text: a string itself, another its JSON, null nothing.
fn text(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

fn cells(row: &mut Row, columns: &[Column], out: &mut Vec<Option<String>>) {
    for column in columns {
        let name = column.from.as_str();
        let value = row.get(name).or_else(|| {
            let mut alike = row.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
            alike.next().filter(|_| alike.next().is_none()).map(|(_, value)| value)
        });
        out.push(value.cloned().and_then(text));
    }
}

/// The first row tells whether the list has the columns at all; in later ones a missing key is null.
fn check(file: &ListFile, columns: &[Column], row: &Row) -> Result<()> {
    let names: Vec<&str> = row.keys().map(String::as_str).collect();
    super::table::places(file, columns, &names).map(drop)
}

/// An object a line.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    columns: Vec<Column>,
    first: Option<Row>,
}

impl Lines {
    pub fn new(file: &ListFile, columns: &[Column]) -> Result<Self> {
        let mut lines = Self { reader: open(&file.path)?, columns: columns.to_vec(), first: None };
        lines.first = lines.row().map_err(|e| bad(&file.path, format!("row 1: {e}")))?;
        if let Some(row) = &lines.first {
            check(file, columns, row)?;
        }
        Ok(lines)
    }

    fn row(&mut self) -> std::result::Result<Option<Row>, String> {
        loop {
            match line(&mut *self.reader, &mut Vec::new())? {
                None => return Ok(None),
                Some(text) if text.trim().is_empty() => {}
                Some(text) => return serde_json::from_str(&text).map_err(|e| e.to_string()),
            }
        }
    }
}

impl Cells for Lines {
    fn next(&mut self, row: &mut Vec<Option<String>>) -> std::result::Result<bool, String> {
        let next = match self.first.take() {
            Some(first) => Some(first),
            None => self.row()?,
        };
        let Some(mut next) = next else { return Ok(false) };
        cells(&mut next, &self.columns, row);
        Ok(true)
    }
}

/// A file that is one JSON value: rows after each other in an array, or columns after each other in an object.
///
/// Either is read once from front to back into files without a name, one a column, and given from there: the
/// last column's first cell may stand at the end of the file.
pub(super) fn columns_or_rows(file: &ListFile, columns: &[Column]) -> Result<Box<dyn Cells>> {
    let mut spools = Spools::new(columns).map_err(|e| Error::io(&file.path, e))?;
    let mut json = serde_json::Deserializer::from_reader(open(&file.path)?);
    let read = json.deserialize_any(Whole { columns, spools: &mut spools });
    read.map_err(|e| bad(&file.path, e))?;
    json.end().map_err(|e| bad(&file.path, e))?;
    let names: Vec<&str> = spools.names.iter().map(String::as_str).collect();
    for (column, spool) in columns.iter().zip(&spools.files) {
        if spool.cells == 0 && !column.optional && !spools.found.contains(&column.from) {
            return Err(missing(file, &column.from, &names));
        }
    }
    let most = spools.files.iter().map(|spool| spool.cells).max().unwrap_or(0);
    if let Some(short) = spools
        .files
        .iter()
        .zip(columns)
        .find(|(s, c)| s.cells != most && !(c.optional && s.cells == 0))
    {
        let (spool, column) = short;
        let counts = format!("column {:?} has {} of {most} rows", column.from, spool.cells);
        return Err(bad(&file.path, counts));
    }
    let readers = spools.readers().map_err(|e| Error::io(&file.path, e))?;
    Ok(Box::new(Columns { readers, left: most }))
}

/// Cells of each wanted column, in a file of its own.
struct Spools {
    files: Vec<Spool>,
    /// Names that the file has.
    names: Vec<String>,
    /// Wanted names among them.
    found: Vec<String>,
}

struct Spool {
    file: BufWriter<File>,
    cells: usize,
}

impl Spool {
    /// A length, plus one so that 0 is null, and the bytes.
    fn put(&mut self, cell: Option<&str>) -> std::io::Result<()> {
        self.cells += 1;
        let length = cell.map_or(0, |text| text.len() as u64 + 1);
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(cell.unwrap_or_default().as_bytes())
    }
}

impl Spools {
    fn new(columns: &[Column]) -> std::io::Result<Self> {
        let new = |_| Ok(Spool { file: BufWriter::new(tempfile::tempfile()?), cells: 0 });
        let files = columns.iter().map(new).collect::<std::io::Result<_>>()?;
        Ok(Self { files, names: Vec::new(), found: Vec::new() })
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
    fn next(&mut self, row: &mut Vec<Option<String>>) -> std::result::Result<bool, String> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        for reader in &mut self.readers {
            let cell = match reader {
                None => None,
                Some(reader) => read_cell(reader).map_err(|e| e.to_string())?,
            };
            row.push(cell);
        }
        Ok(true)
    }
}

fn read_cell(reader: &mut BufReader<File>) -> std::io::Result<Option<String>> {
    let mut length = [0; 8];
    reader.read_exact(&mut length)?;
    let Some(length) = u64::from_le_bytes(length).checked_sub(1) else { return Ok(None) };
    let mut bytes = vec![0; length as usize];
    reader.read_exact(&mut bytes)?;
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
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
        while let Some(mut row) = rows.next_element::<Row>()? {
            if self.spools.names.is_empty() {
                self.spools.names = row.keys().cloned().collect();
                let has = |c: &&Column| row.keys().any(|key| key.eq_ignore_ascii_case(&c.from));
                self.spools.found =
                    self.columns.iter().filter(has).map(|c| c.from.clone()).collect();
            }
            let mut out = Vec::new();
            cells(&mut row, self.columns, &mut out);
            // A column that no row has must be told as missing: its nulls do not count.
            for ((spool, cell), column) in self.spools.files.iter_mut().zip(&out).zip(self.columns)
            {
                if self.spools.found.contains(&column.from) {
                    spool.put(cell.as_deref()).map_err(serde::de::Error::custom)?;
                }
            }
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while let Some(name) = map.next_key::<String>()? {
            let wanted: Vec<usize> = (0..self.columns.len())
                .filter(|&at| self.columns[at].from.eq_ignore_ascii_case(&name))
                .collect();
            self.spools.names.push(name);
            if wanted.is_empty() {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let names = wanted.iter().map(|&at| self.columns[at].from.clone());
            self.spools.found.extend(names);
            map.next_value_seed(OneColumn { spools: self.spools, at: wanted })?;
        }
        Ok(())
    }
}

/// The cells of a column: `{"0": …, "1": …}`, or an array.
struct OneColumn<'a> {
    spools: &'a mut Spools,
    at: Vec<usize>,
}

impl OneColumn<'_> {
    fn put<E: serde::de::Error>(&mut self, value: Value) -> std::result::Result<(), E> {
        let cell = text(value);
        for &at in &self.at {
            self.spools.files[at].put(cell.as_deref()).map_err(E::custom)?;
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
