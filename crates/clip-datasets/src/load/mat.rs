//! MATLAB's MAT-file, version 5: numbers, text, cells and structures, packed or not
//! (The MathWorks, "MAT-File Format", 2019).

use std::collections::BTreeMap;

use clip_guard::claim;

/// The kind of an element that is packed.
pub(super) const COMPRESSED: u32 = 15;

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

pub(super) type Parsed<T> = std::result::Result<T, String>;

const INT8: u32 = 1;

/// Kind, content and what comes after an element, with its padding.
pub(super) fn element(bytes: &[u8]) -> Parsed<(u32, &[u8], &[u8])> {
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

pub(super) fn matrix(mut rest: &[u8], depth: usize) -> Parsed<(String, Mat)> {
    if depth > 16 {
        return Err("values nested too deep".into());
    }
    if rest.is_empty() {
        return Ok((String::new(), Mat::Numbers(Vec::new())));
    }
    let room = rest.len() as u64;
    // Each value of cells and structures is an element, which has a tag of eight bytes.
    let count = |sizes: &[u64], each: u64| Ok::<_, String>(claim(sizes, 8 * each, room)? / 8);
    let mut next = || {
        let (kind, data, after) = element(rest)?;
        rest = after;
        Ok::<_, String>((kind, data))
    };
    let (_, flags) = next()?;
    let class = *flags.first().ok_or("no class of an array")?;
    let (kind, sizes) = next()?;
    let sizes: Vec<u64> = plain(kind, sizes)?.iter().map(|&size| size as u64).collect();
    let (_, name) = next()?;
    let name = String::from_utf8_lossy(name).into_owned();
    let value = match class {
        1 => {
            let mut cell = || -> Parsed<Mat> { Ok(matrix(next()?.1, depth + 1)?.1) };
            let cells = (0..count(&sizes, 1)?).map(|_| cell());
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
            for at in 0..count(&sizes, names.len() as u64)? {
                let value = matrix(next()?.1, depth + 1)?.1;
                let name = &names[at as usize % names.len()];
                fields.entry(name.clone()).or_default().push(value);
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
pub(super) fn plain(kind: u32, data: &[u8]) -> Parsed<Vec<f64>> {
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
