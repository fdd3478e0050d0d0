//! The elements of a MAT-file: small ones are read whole, an array of pixels is only found.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use clip_guard::{claim, unpacked_room};
use flate2::read::ZlibDecoder;

use super::mat::{COMPRESSED, Mat, Parsed, element, matrix, plain};
use crate::{Error, Result};

const MATRIX: u32 = 14;
const UINT8: (u8, u32) = (9, 2);
/// Labels, names and boxes: what is larger is not read whole.
const SMALL: u64 = 1 << 25;
/// Enough for all that comes before an array's values.
const HEADER: u64 = 4096;

/// An array of bytes, and where it begins: in the file, or in what is packed from `packed` on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ByteArray {
    pub sizes: Vec<u64>,
    pub packed: Option<u64>,
    pub head: u64,
}

struct Element {
    kind: u32,
    /// Where its content begins, and the content's bytes.
    at: u64,
    size: u64,
}

/// All named values of a file.
pub(crate) fn read_mat(path: &Path) -> Result<BTreeMap<String, Mat>> {
    with(path, |file| {
        let values =
            elements(file)?.iter().map(|found| value(file, found)).collect::<Parsed<Vec<_>>>();
        Ok(values?.into_iter().flatten().collect())
    })
}

/// One value of a file; the others are not read.
pub(crate) fn read_value(path: &Path, name: &str) -> Result<Mat> {
    with(path, |file| {
        for found in elements(file)? {
            if header(file, &found)?.is_some_and(|header| header.name == name) {
                return Ok(value(file, &found)?.map(|(_, value)| value).ok_or("no value")?);
            }
        }
        Err(format!("no value {name}"))
    })
}

/// Where an array of bytes is.
pub(crate) fn find_bytes(path: &Path, name: &str) -> Result<ByteArray> {
    with(path, |file| {
        for found in elements(file)? {
            let Some(header) = header(file, &found)?.filter(|header| header.name == name) else {
                continue;
            };
            let packed = found.kind == COMPRESSED;
            let room = if packed { unpacked_room(found.size) } else { found.size };
            let bytes =
                claim(&header.sizes, 1, room).map_err(|reason| format!("{name}: {reason}"))?;
            if (header.class, header.kind) != UINT8 || header.bytes != bytes {
                return Err(format!("{name} is not an array of bytes"));
            }
            let (packed, head) =
                if packed { (Some(found.at), header.head) } else { (None, found.at + header.head) };
            return Ok(ByteArray { sizes: header.sizes, packed, head });
        }
        Err(format!("no array {name}"))
    })
}

fn with<T>(path: &Path, read: impl FnOnce(&mut BufReader<File>) -> Parsed<T>) -> Result<T> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    read(&mut BufReader::new(file)).map_err(|reason| Error::file(path, reason))
}

fn failed(error: std::io::Error) -> String {
    error.to_string()
}

fn elements<R: Read + Seek>(file: &mut R) -> Parsed<Vec<Element>> {
    let length = file.seek(SeekFrom::End(0)).map_err(failed)?;
    file.rewind().map_err(failed)?;
    let mut start = Vec::new();
    file.by_ref().take(128).read_to_end(&mut start).map_err(failed)?;
    if start.get(126..) != Some(b"IM") {
        let seven = start.starts_with(b"MATLAB 7.3");
        let what = if seven { "version 7.3" } else { "no version 5 file of little-endian numbers" };
        return Err(format!("{what}: save it again with -v6 or -v7"));
    }
    let (mut at, mut found) = (128, Vec::new());
    while at < length {
        let mut tag = [0; 8];
        file.seek(SeekFrom::Start(at)).map_err(failed)?;
        file.read_exact(&mut tag).map_err(|_| "the file ends inside an element")?;
        let word = |at: usize| u32::from_le_bytes([tag[at], tag[at + 1], tag[at + 2], tag[at + 3]]);
        let (kind, size) = (word(0), u64::from(word(4)));
        at += 8;
        if size > length - at {
            return Err("the file ends inside an element".into());
        }
        found.push(Element { kind, at, size });
        // A packed element is not padded.
        at += if kind == COMPRESSED { size } else { size.next_multiple_of(8) };
    }
    Ok(found)
}

/// The content of an element, unpacked; for a packed one with the tag of what it holds.
fn content<'a, R: Read + Seek>(file: &'a mut R, found: &Element) -> Parsed<Box<dyn Read + 'a>> {
    file.seek(SeekFrom::Start(found.at)).map_err(failed)?;
    let bytes = file.take(found.size);
    Ok(if found.kind == COMPRESSED { Box::new(ZlibDecoder::new(bytes)) } else { Box::new(bytes) })
}

fn value<R: Read + Seek>(file: &mut R, found: &Element) -> Parsed<Option<(String, Mat)>> {
    if found.kind != MATRIX && found.kind != COMPRESSED {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    content(file, found)?.take(SMALL + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SMALL {
        return Err(format!("a value of more than {SMALL} bytes"));
    }
    if found.kind == MATRIX {
        return matrix(&bytes, 0).map(Some);
    }
    let (kind, inner, _) = element(&bytes)?;
    if kind == MATRIX { matrix(inner, 0).map(Some) } else { Ok(None) }
}

struct Header {
    class: u8,
    sizes: Vec<u64>,
    name: String,
    /// Type and bytes of the values, and where they begin in the content.
    kind: u32,
    bytes: u64,
    head: u64,
}

fn header<R: Read + Seek>(file: &mut R, found: &Element) -> Parsed<Option<Header>> {
    if found.kind != MATRIX && found.kind != COMPRESSED {
        return Ok(None);
    }
    let mut start = Vec::new();
    content(file, found)?.take(HEADER).read_to_end(&mut start).map_err(failed)?;
    let tag = if found.kind == COMPRESSED { 8 } else { 0 };
    let rest = start.get(tag..).ok_or("the file ends inside an element")?;
    let (_, flags, rest) = element(rest)?;
    let (kind, sizes, rest) = element(rest)?;
    let sizes = plain(kind, sizes)?.iter().map(|&size| size as u64).collect();
    let (_, name, rest) = element(rest)?;
    let name = String::from_utf8_lossy(name).into_owned();
    let Some((&[a, b, c, d, e, f, g, h], after)) = rest.split_first_chunk::<8>() else {
        return Ok(None);
    };
    let (kind, bytes) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
    let head = (start.len() - after.len()) as u64;
    let class = flags.first().copied().ok_or("no class of an array")?;
    Ok(Some(Header { class, sizes, name, kind, bytes: u64::from(bytes), head }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn golden(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
    }

    fn parse(bytes: &[u8]) -> Parsed<usize> {
        let mut file = Cursor::new(bytes);
        let found = elements(&mut file)?;
        found
            .iter()
            .map(|found| value(&mut file, found))
            .collect::<Parsed<Vec<_>>>()
            .map(|v| v.len())
    }

    #[test]
    fn files_of_scipy_are_read() {
        for packed in ["plain", "packed"] {
            let path = golden(&format!("values_{packed}.mat"));
            let values = read_mat(&path).unwrap();
            assert_eq!(values["labels"].numbers().unwrap(), [1.0, 102.0, 7.0]);
            assert_eq!(values["wide"].numbers().unwrap(), [0.5, -2.25]);
            assert_eq!(values["word"].text(), Some("tulip"));
            let Mat::Structs(fields) = &values["annotations"] else { panic!("{values:?}") };
            assert_eq!(fields["fname"][1].text(), Some("00002.jpg"));
            assert_eq!(fields["class"][1].numbers().unwrap(), [196.0]);
            let Mat::Cells(cells) = &values["names"] else { panic!() };
            assert_eq!(cells[1].text(), Some("Acura RL Sedan 2012"));
            assert_eq!(read_value(&path, "word").unwrap().text(), Some("tulip"));
            assert!(read_value(&path, "none").unwrap_err().to_string().contains("no value none"));
            assert!(find_bytes(&path, "wide").unwrap_err().to_string().contains("not an array"));
        }
    }

    #[test]
    fn cut_files_are_errors() {
        let bytes = std::fs::read(golden("values_plain.mat")).unwrap();
        for length in (0..bytes.len() - 1).step_by(7) {
            let _ = parse(&bytes[..length]);
        }
        assert!(parse(&bytes[..150]).is_err());
        assert!(parse(b"MATLAB 7.3 MAT-file").unwrap_err().contains("7.3"));
    }

    /// A file with one matrix of these sizes and of this class, with these bytes after its name
    /// `x`.
    fn one(class: u8, sizes: &[i32], rest: &[u8]) -> Vec<u8> {
        let tag = |kind: u32, bytes: &[u8]| {
            let mut all = kind.to_le_bytes().to_vec();
            all.extend((bytes.len() as u32).to_le_bytes());
            all.extend(bytes);
            all.resize(all.len().next_multiple_of(8), 0);
            all
        };
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let parts =
            [tag(6, &[class, 0, 0, 0, 0, 0, 0, 0]), tag(5, &sizes), tag(1, b"x"), rest.to_vec()];
        let mut file = vec![b' '; 126];
        file.extend(b"IM");
        file.extend(tag(MATRIX, &parts.concat()));
        file
    }

    #[test]
    fn claims_of_2_to_the_40_values_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.mat");
        let huge = [1 << 20, 1 << 20];
        // Cells; structures with no field; structures with one field of four letters.
        let field = [5, 0, 4, 0, 4, 0, 0, 0, 1, 0, 4, 0, b'n', b'a', b'm', 0];
        let none = [5, 0, 4, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0];
        for (class, rest) in [(1, &[][..]), (2, &field), (2, &none)] {
            std::fs::write(&path, one(class, &huge, rest)).unwrap();
            let found = read_mat(&path).map(|values| format!("{values:?}"));
            match found {
                // No fields, so nothing to read for any of the elements.
                Ok(values) => assert_eq!(values, "{\"x\": Structs({})}"),
                Err(error) => {
                    let message = error.to_string();
                    assert!(
                        message.contains("x.mat") && message.contains("1048576 x"),
                        "{message}"
                    );
                }
            }
        }
        std::fs::write(&path, one(9, &huge, &[2, 0, 0, 0, 0, 0, 0, 0])).unwrap();
        let message = find_bytes(&path, "x").unwrap_err().to_string();
        assert!(message.contains("x.mat") && message.contains("has room for"), "{message}");
    }
}
