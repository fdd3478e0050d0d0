//! NumPy's `.npy` files (NumPy, `lib/format.py`, versions 1 to 3): their headers, and arrays of
//! plain numbers.

use std::io::{Read, Write};
use std::path::Path;

use crate::{AtomicFile, PathError};

const MAGIC: &[u8] = b"\x93NUMPY";
const CUT: &str = "a cut .npy header";
const OTHER: &str = "not a .npy file";

/// What precedes the numbers of an array: its type as NumPy spells it (`'<f4'`, with its quotes, or
/// a list of fields) and its shape.
///
/// The numbers begin at a multiple of 64 bytes.
pub fn header(descr: &str, shape: &[usize]) -> Vec<u8> {
    let sides: Vec<String> = shape.iter().map(ToString::to_string).collect();
    let shape = match &sides[..] {
        [one] => format!("({one},)"),
        sides => format!("({})", sides.join(", ")),
    };
    let mut text = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version and length take 10 bytes, the line end one.
    let whole = (10 + text.len() + 1).next_multiple_of(64);
    text.extend(std::iter::repeat_n(' ', whole - 10 - text.len() - 1));
    text.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((text.len() as u16).to_le_bytes());
    bytes.extend(text.bytes());
    bytes
}

/// Writes an array, whole or not at all: `numbers` has its rows one after the other, in the type
/// that `descr` names.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, descr: &str, shape: &[usize], numbers: &[u8]) -> Result<(), PathError> {
    let mut file = AtomicFile::create(path)?;
    let mut put = |bytes: &[u8]| file.write_all(bytes).map_err(|e| PathError::new(path, e));
    put(&header(descr, shape))?;
    put(numbers)?;
    file.commit()
}

/// Bytes of the longest header that is read from a stream.
const LONGEST: usize = 1 << 16;

/// Reads a header from the beginning of a stream, for [`parse`]; the numbers follow in the stream.
///
/// # Errors
/// What it lacks, when it is no such header, is cut, or cannot be read.
pub fn read_header(input: &mut impl Read) -> Result<Vec<u8>, String> {
    let mut head = vec![0; 10];
    let mut fill = |bytes: &mut [u8]| input.read_exact(bytes).map_err(|e| format!("{CUT}: {e}"));
    fill(&mut head)?;
    if !head.starts_with(MAGIC) {
        return Err(OTHER.into());
    }
    let mut size = usize::from(u16::from_le_bytes([head[8], head[9]]));
    if head[6] > 1 {
        head.resize(12, 0);
        fill(&mut head[10..])?;
        size = u32::from_le_bytes([head[8], head[9], head[10], head[11]]) as usize;
    }
    if size > LONGEST {
        return Err(format!("a .npy header of {size} bytes"));
    }
    let start = head.len();
    head.resize(start + size, 0);
    fill(&mut head[start..])?;
    Ok(head)
}

/// An array as a file has it: a header, and the numbers that follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array<'a> {
    /// The type, without white space: `'<i8'`, or `[('f0','<u8'),('f1','<u8')]`.
    pub descr: String,
    /// Whether the first axis varies fastest.
    pub fortran_order: bool,
    /// The length of each axis.
    pub shape: Vec<usize>,
    /// All bytes after the header; their count is not compared with the shape.
    pub data: &'a [u8],
}

/// Splits a file into header and numbers.
///
/// # Errors
/// What it lacks, when it is no such file or is cut.
pub fn parse(bytes: &[u8]) -> Result<Array<'_>, String> {
    let rest = bytes.strip_prefix(MAGIC).ok_or(OTHER)?;
    let (&[major, _], rest) = rest.split_first_chunk::<2>().ok_or(CUT)?;
    let (size, rest) = if major == 1 {
        let (size, rest) = rest.split_first_chunk::<2>().ok_or(CUT)?;
        (usize::from(u16::from_le_bytes(*size)), rest)
    } else {
        let (size, rest) = rest.split_first_chunk::<4>().ok_or(CUT)?;
        (u32::from_le_bytes(*size) as usize, rest)
    };
    let (text, data) = rest.split_at_checked(size).ok_or(CUT)?;
    let text: String =
        String::from_utf8_lossy(text).chars().filter(|c| !c.is_whitespace()).collect();
    let after = |key: &str| text.split_once(key).map(|(_, value)| value);
    let descr = after("'descr':").ok_or("no type in the .npy header")?;
    let end = match descr.as_bytes().first() {
        Some(b'[') => descr.find(']').map(|at| at + 1),
        _ => descr.find(','),
    };
    let descr = &descr[..end.ok_or("no type in the .npy header")?];
    let shape = after("'shape':(").and_then(|value| value.split_once(')'));
    let (shape, _) = shape.ok_or("no shape in the .npy header")?;
    let sides = shape.split(',').filter(|side| !side.is_empty()).map(str::parse);
    Ok(Array {
        descr: descr.to_owned(),
        fortran_order: after("'fortran_order':").is_some_and(|value| value.starts_with("True")),
        shape: sides.collect::<Result<_, _>>().map_err(|_| "a shape that is no list of numbers")?,
        data,
    })
}

/// The numbers of an array of any plain type, in the order of the file.
///
/// # Errors
/// When it is no `.npy` file, is cut, or its type is not one of these (a date, a text, a record).
pub fn numbers(bytes: &[u8]) -> Result<Vec<f64>, String> {
    fn each<const N: usize>(data: &[u8], number: impl Fn([u8; N]) -> f64) -> Vec<f64> {
        data.as_chunks::<N>().0.iter().map(|chunk| number(*chunk)).collect()
    }
    let array = parse(bytes)?;
    let (descr, data) = (array.descr, array.data);
    Ok(match descr.trim_matches('\'').trim_start_matches(['<', '|', '=']) {
        "b1" | "u1" => each::<1>(data, |b| f64::from(b[0])),
        "i1" => each::<1>(data, |b| f64::from(b[0] as i8)),
        "i2" => each(data, |b| f64::from(i16::from_le_bytes(b))),
        "u2" => each(data, |b| f64::from(u16::from_le_bytes(b))),
        "f2" => each(data, |b| f64::from(half(b))),
        "i4" => each(data, |b| f64::from(i32::from_le_bytes(b))),
        "u4" => each(data, |b| f64::from(u32::from_le_bytes(b))),
        "i8" => each(data, |b| i64::from_le_bytes(b) as f64),
        "u8" => each(data, |b| u64::from_le_bytes(b) as f64),
        "f4" => each(data, |b| f64::from(f32::from_le_bytes(b))),
        "f8" => each(data, f64::from_le_bytes),
        _ => return Err(format!("a .npy array of type {descr}")),
    })
}

/// A number of 16 bits (IEEE 754 binary16, little-endian), by a product that is exact: 2^112 is the
/// difference of the exponents.
pub fn half(bytes: [u8; 2]) -> f32 {
    let half = u16::from_le_bytes(bytes);
    let magnitude = if half & 0x7c00 == 0x7c00 {
        f32::INFINITY
    } else {
        f32::from_bits(u32::from(half & 0x7fff) << 13) * f32::from_bits(239 << 23)
    };
    if half & 0x8000 == 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.save` of `[[1, 0, -3]]` as 64-bit integers, NumPy 2.4.
    fn saved() -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00v\x00".to_vec();
        bytes.extend(b"{'descr': '<i8', 'fortran_order': False, 'shape': (1, 3), }");
        bytes.resize(127, b' ');
        bytes.push(b'\n');
        bytes.extend([1i64, 0, -3].iter().flat_map(|number| number.to_le_bytes()));
        bytes
    }

    #[test]
    fn the_header_is_numpys() {
        assert_eq!(header("'<i8'", &[1, 3]), saved()[..128]);
        let vector = parse(&header("[('f0', '<u8'), ('f1', '<u8')]", &[2])).unwrap().shape;
        assert_eq!(vector, [2]);
    }

    #[test]
    fn arrays_are_read_and_cut_ones_are_refused() {
        let saved = saved();
        let array = parse(&saved).unwrap();
        assert_eq!(
            (&*array.descr, array.fortran_order, &*array.shape),
            ("'<i8'", false, &[1, 3][..])
        );
        assert_eq!(numbers(&saved).unwrap(), [1.0, 0.0, -3.0]);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write(&path, "'<i8'", &[1, 3], &saved[128..]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), saved);
        for cut in [0, 5, 8, 20, 127] {
            assert!(numbers(&saved[..cut]).is_err(), "{cut}");
        }
        assert!(numbers(b"PK").is_err());
        let mut stream = &saved[..];
        assert_eq!(read_header(&mut stream).unwrap(), saved[..128]);
        assert_eq!(stream.len(), 24);
        for cut in [0, 5, 8, 20, 127] {
            assert!(read_header(&mut &saved[..cut]).is_err(), "{cut}");
        }
        let mut long = saved.clone();
        long[6..12].copy_from_slice(b"\x03\x00\xff\xff\xff\xff");
        assert!(read_header(&mut &long[..]).unwrap_err().contains("a .npy header of 4294967295"));
    }

    #[test]
    fn halves_are_ieees() {
        for (half, number) in [
            (0x3c00, 1.0),
            (0xb800, -0.5),
            (0x0001, 2f32.powi(-24)),
            (0x03ff, 1023.0 * 2f32.powi(-24)),
            (0x7bff, 65_504.0),
            (0x8000, -0.0),
        ] {
            assert_eq!(super::half(u16::to_le_bytes(half)), number, "{half:x}");
        }
        assert!(
            [0x7c00u16, 0x7e01].iter().all(|half| !super::half(half.to_le_bytes()).is_finite())
        );
    }
}
