//! Lists in text files: CSV, TSV and JSON lines with hashes of images that are elsewhere.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use clip_corpus::{Delimited, Row};
use serde_json::Value;

use super::table::{hash, lacking};
use super::{CorpusRow, STATUS, Visit, extension, is_stored};
use crate::{Error, Result};

pub(super) fn each(path: &Path, visit: &mut Visit) -> Result<bool> {
    match extension(path).as_str() {
        "jsonl" => json_lines(path, visit),
        kind => delimited(path, if kind == "tsv" { b'\t' } else { b',' }, visit),
    }
}

/// A row whose cells are found by name.
fn row(number: usize, cell: impl Fn(&str) -> Option<String>) -> CorpusRow {
    let first = |names: &[&str]| names.iter().find_map(|name| cell(name)).filter(|v| !v.is_empty());
    let files = ["blake3", "sha256"].iter().filter_map(|name| first(&[name]));
    CorpusRow {
        id: first(&["key", "uid", "id"]).unwrap_or_else(|| number.to_string()),
        image: None,
        files: files.map(|hash| hash.to_lowercase()).collect(),
        phash: first(&["phash"]).and_then(|text| hash(&text)),
        url: first(&["url", "URL"]).unwrap_or_default(),
        caption: first(&["caption", "text", "TEXT"]).unwrap_or_default(),
    }
}

fn comparable(names: &[&str]) -> bool {
    names.iter().any(|name| ["blake3", "sha256", "phash"].contains(name))
}

fn delimited(path: &Path, delimiter: u8, visit: &mut Visit) -> Result<bool> {
    let bad = |e: std::io::Error| Error::file(path, e);
    let file = File::open(path).map_err(bad)?;
    let mut rows = Delimited::new(BufReader::new(file), delimiter).map_err(bad)?;
    let header = rows.header().to_vec();
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    if !comparable(&names) {
        return Err(lacking(path, &names));
    }
    let (mut cells, mut number) = (Row::default(), 0);
    while let Some(read) = rows.next_row(&mut cells).map_err(bad)? {
        let cell = |name: &str| cells.cell(names.iter().position(|known| *known == name)?);
        number += 1;
        if read.is_ok() && !is_stored(cell(STATUS).as_deref()) {
            continue;
        }
        // A row that is none has neither an image nor a hash, and is counted with those.
        let found = if read.is_ok() { row(number - 1, cell) } else { row(number - 1, |_| None) };
        if !visit(found)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Lines that are looked at before a list counts as one without hashes: writers leave out what is
/// null.
const SAMPLE: usize = 1000;

fn json_lines(path: &Path, visit: &mut Visit) -> Result<bool> {
    let mut names: Vec<String> = Vec::new();
    for value in values(path)?.take(SAMPLE) {
        let keys = value?.as_object().map(|o| o.keys().cloned().collect::<Vec<_>>());
        names.extend(keys.unwrap_or_default());
        names.sort_unstable();
        names.dedup();
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    if !known.is_empty() && !comparable(&known) {
        return Err(lacking(path, &known));
    }
    for (number, value) in values(path)?.enumerate() {
        let value = value?;
        if !is_stored(value[STATUS].as_str()) {
            continue;
        }
        if !visit(row(number, |name| value[name].as_str().map(str::to_owned)))? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The values of a file, one a line; null for a line that is no JSON.
fn values(path: &Path) -> Result<impl Iterator<Item = Result<Value>>> {
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    let lines = BufReader::new(file).split(b'\n');
    let written = |line: &std::io::Result<Vec<u8>>| {
        line.as_ref().map_or(true, |line| !line.trim_ascii().is_empty())
    };
    Ok(lines.filter(written).map(move |line| {
        let line = line.map_err(|e| Error::file(path, e))?;
        Ok(clip_corpus::json::from_slice(&line).unwrap_or_default())
    }))
}
