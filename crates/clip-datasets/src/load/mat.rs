//! MATLAB's MAT-file, version 5: numbers, text, cells and structures, packed or not
//! (The MathWorks, "MAT-File Format", 2019).

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use flate2::read::ZlibDecoder;

use crate::error::read;
use crate::{Error, Result};

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Mat {
    Numbers(Vec<f64>),
    Text(String),
    Cells(Vec<Mat>),
    /// Field by field, the values of all elements.
    Structs(BTreeMap<String, Vec<Mat>>),
}

impl Mat {
    pub(crate) fn numbers(&self) -> Option<&[f64]> {
        if let Self::Numbers(numbers) = self { Some(numbers) } else { None }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Cells(cells) if cells.len() == 1 => cells[0].text(),
            _ => None,
        }
    }
}

/// All named values of a file.
pub(crate) fn read_mat(path: &Path) -> Result<BTreeMap<String, Mat>> {
    parse(&read(path)?).map_err(|reason| Error::file(path, reason))
}

type Parsed<T> = std::result::Result<T, String>;

const INT8: u32 = 1;
const COMPRESSED: u32 = 15;
const MATRIX: u32 = 14;

fn parse(bytes: &[u8]) -> Parsed<BTreeMap<String, Mat>> {
    if bytes.len() < 128 || &bytes[126..128] != b"IM" {
        let seven = bytes.starts_with(b"MATLAB 7.3");
        let what = if seven { "version 7.3" } else { "no version 5 file of little-endian numbers" };
        return Err(format!("{what}: save it again with -v6 or -v7"));
    }
    let mut rest = &bytes[128..];
    let mut values = BTreeMap::new();
    while !rest.is_empty() {
        let (kind, data, after) = element(rest)?;
        let unpacked;
        let (kind, data) = if kind == COMPRESSED {
            let mut buffer = Vec::new();
            // Labels and boxes are small: what unpacks to more than this is no such file.
            ZlibDecoder::new(data)
                .take(1 << 28)
                .read_to_end(&mut buffer)
                .map_err(|e| e.to_string())?;
            unpacked = buffer;
            let (kind, data, _) = element(&unpacked)?;
            (kind, data)
        } else {
            (kind, data)
        };
        if kind == MATRIX {
            let (name, value) = matrix(data, 0)?;
            values.insert(name, value);
        }
        rest = after;
    }
    Ok(values)
}

/// Kind, content and what comes after an element, with its padding.
fn element(bytes: &[u8]) -> Parsed<(u32, &[u8], &[u8])> {
    let cut = || "the file ends inside an element".to_owned();
    let word =
        |at: usize| bytes.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    let first = word(0).ok_or_else(cut)?;
    if first >> 16 != 0 {
        let size = (first >> 16) as usize;
        let data = bytes.get(4..4 + size).filter(|_| size <= 4).ok_or_else(cut)?;
        return Ok((first & 0xffff, data, bytes.get(8..).ok_or_else(cut)?));
    }
    let size = word(4).ok_or_else(cut)? as usize;
    let data = bytes.get(8..8 + size).ok_or_else(cut)?;
    // A packed element is not padded.
    let padded = if first == COMPRESSED { size } else { size.next_multiple_of(8) };
    Ok((first, data, bytes.get((8 + padded).min(bytes.len())..).unwrap_or_default()))
}

fn matrix(mut rest: &[u8], depth: usize) -> Parsed<(String, Mat)> {
    if depth > 16 {
        return Err("values nested too deep".into());
    }
    if rest.is_empty() {
        return Ok((String::new(), Mat::Numbers(Vec::new())));
    }
    let mut next = || {
        let (kind, data, after) = element(rest)?;
        rest = after;
        Ok::<_, String>((kind, data))
    };
    let (_, flags) = next()?;
    let class = *flags.first().ok_or("no class of an array")?;
    let (kind, sizes) = next()?;
    let count = plain(kind, sizes)?.iter().product::<f64>() as usize;
    let (_, name) = next()?;
    let name = String::from_utf8_lossy(name).into_owned();
    let value = match class {
        1 => {
            let mut cell = || -> Parsed<Mat> { Ok(matrix(next()?.1, depth + 1)?.1) };
            let cells = (0..count).map(|_| cell());
            Mat::Cells(cells.collect::<Parsed<_>>()?)
        }
        2 => {
            let (kind, width) = next()?;
            let width = plain(kind, width)?.first().copied().unwrap_or(0.0) as usize;
            let (_, names) = next()?;
            let names = names
                .chunks_exact(width.max(1))
                .map(|name| String::from_utf8_lossy(name).trim_end_matches('\0').to_owned());
            let names: Vec<String> = names.collect();
            let mut fields: BTreeMap<String, Vec<Mat>> = BTreeMap::new();
            for _ in 0..count {
                for name in &names {
                    let value = matrix(next()?.1, depth + 1)?.1;
                    fields.entry(name.clone()).or_default().push(value);
                }
            }
            Mat::Structs(fields)
        }
        4 => {
            let (kind, data) = next()?;
            let codes = plain(kind, data)?;
            Mat::Text(codes.iter().filter_map(|&code| char::from_u32(code as u32)).collect())
        }
        6..=15 => {
            let (kind, data) = next()?;
            Mat::Numbers(plain(kind, data)?)
        }
        other => return Err(format!("an array of class {other}")),
    };
    Ok((name, value))
}

/// Numbers of any plain type.
fn plain(kind: u32, data: &[u8]) -> Parsed<Vec<f64>> {
    fn each<const N: usize>(data: &[u8], of: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        data.as_chunks::<N>().0.iter().map(|chunk| of(*chunk)).collect()
    }
    Ok(match kind {
        INT8 => each::<1>(data, |b| f64::from(b[0] as i8)),
        2 | 16 => each::<1>(data, |b| f64::from(b[0])),
        3 => each(data, |b| f64::from(i16::from_le_bytes(b))),
        4 | 17 => each(data, |b| f64::from(u16::from_le_bytes(b))),
        5 => each(data, |b| f64::from(i32::from_le_bytes(b))),
        6 | 18 => each(data, |b| f64::from(u32::from_le_bytes(b))),
        7 => each(data, |b| f64::from(f32::from_le_bytes(b))),
        9 => each(data, f64::from_le_bytes),
        12 => each(data, |b| i64::from_le_bytes(b) as f64),
        13 => each(data, |b| u64::from_le_bytes(b) as f64),
        other => return Err(format!("numbers of type {other}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_scipy_are_read() {
        for packed in ["plain", "packed"] {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("tests/golden/values_{packed}.mat"));
            let values = read_mat(&path).unwrap();
            assert_eq!(values["labels"].numbers().unwrap(), [1.0, 102.0, 7.0]);
            assert_eq!(values["wide"].numbers().unwrap(), [0.5, -2.25]);
            assert_eq!(values["word"].text(), Some("tulip"));
            let Mat::Structs(fields) = &values["annotations"] else { panic!("{values:?}") };
            assert_eq!(fields["fname"][1].text(), Some("00002.jpg"));
            assert_eq!(fields["class"][1].numbers().unwrap(), [196.0]);
            let Mat::Cells(cells) = &values["names"] else { panic!() };
            assert_eq!(cells[1].text(), Some("Acura RL Sedan 2012"));
        }
    }

    #[test]
    fn cut_files_are_errors() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/values_plain.mat");
        let bytes = std::fs::read(path).unwrap();
        for length in (0..bytes.len() - 1).step_by(7) {
            let _ = parse(&bytes[..length]);
        }
        assert!(parse(&bytes[..150]).is_err());
        assert!(parse(b"MATLAB 7.3 MAT-file").unwrap_err().contains("7.3"));
    }
}
