//! Lists in text files: CSV, TSV and JSON lines with hashes of images that are elsewhere.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use super::table::{hash, lacking};
use super::{Picture, Visit, extension};
use crate::{Error, Result};

pub(super) fn each(path: &Path, visit: &mut Visit) -> Result<bool> {
    match extension(path).as_str() {
        "jsonl" => json_lines(path, visit),
        kind => delimited(path, if kind == "tsv" { b'\t' } else { b',' }, visit),
    }
}

/// A row whose cells are found by name.
fn row(number: usize, cell: impl Fn(&str) -> Option<String>) -> Picture {
    let first = |names: &[&str]| names.iter().find_map(|name| cell(name)).filter(|v| !v.is_empty());
    let files = ["blake3", "sha256"].iter().filter_map(|name| first(&[name]));
    Picture {
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
    let bad = |e: csv::Error| Error::file(path, e);
    let mut builder = csv::ReaderBuilder::new();
    let reader = builder.delimiter(delimiter).flexible(true).quoting(delimiter == b',');
    let mut reader = reader.from_path(path).map_err(bad)?;
    let header = reader.headers().map_err(bad)?.clone();
    let names: Vec<&str> = header.iter().collect();
    if !comparable(&names) {
        return Err(lacking(path, &names));
    }
    for (number, record) in reader.byte_records().enumerate() {
        let record = record.map_err(bad)?;
        let cell = |name: &str| {
            let at = names.iter().position(|known| *known == name)?;
            Some(String::from_utf8_lossy(record.get(at)?).into_owned())
        };
        if !visit(row(number, cell))? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn json_lines(path: &Path, visit: &mut Visit) -> Result<bool> {
    let file = File::open(path).map_err(|e| Error::file(path, e))?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.map_err(|e| Error::file(path, e))?;
        if line.trim().is_empty() {
            continue;
        }
        let value: Value = serde_json::from_str(&line)
            .map_err(|e| Error::file(path, format!("line {}: {e}", number + 1)))?;
        let names: Vec<&str> =
            value.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default();
        if number == 0 && !comparable(&names) {
            return Err(lacking(path, &names));
        }
        if !visit(row(number, |name| value[name].as_str().map(str::to_owned)))? {
            return Ok(false);
        }
    }
    Ok(true)
}
