//! EXIF tags as JSON, with the names that img2dataset (Python exifread) gives them.

use clip_image::{Exif, ExifDirectory, ExifEntry};
use exif::{Context, Field, In, Tag, Value};
use serde_json::Map;

/// Longest value that is kept, in characters: maker notes are binary and long.
const LONGEST: usize = 200;
/// Numbers or bytes of a value that are looked at: each gives a character or more, and a hostile
/// value has millions.
const MOST: usize = LONGEST + 56;

/// The tags that can be read as a JSON object of strings; `{}` where there are none.
pub(crate) fn to_json(exif: Option<Exif>) -> String {
    let mut tags = Map::new();
    for entry in exif.iter().flat_map(Exif::entries) {
        let (group, context, ifd_num) = match entry.directory {
            ExifDirectory::Image => ("Image", Context::Tiff, In::PRIMARY),
            ExifDirectory::Thumbnail => ("Thumbnail", Context::Tiff, In::THUMBNAIL),
            ExifDirectory::Exif => ("EXIF", Context::Exif, In::PRIMARY),
            ExifDirectory::Gps => ("GPS", Context::Gps, In::PRIMARY),
            ExifDirectory::Interop => ("Interoperability", Context::Interop, In::PRIMARY),
        };
        let Some(value) = value(&entry) else { continue };
        let field = Field { tag: Tag(context, entry.tag), ifd_num, value };
        let text = field.display_value().to_string();
        let text: String = text.trim_matches('"').chars().take(LONGEST).collect();
        tags.insert(format!("{group} {}", field.tag), text.into());
    }
    serde_json::Value::Object(tags).to_string()
}

/// The first [`MOST`] values of an entry.
fn value(entry: &ExifEntry) -> Option<Value> {
    let bytes = entry.bytes;
    let text = &bytes[..bytes.len().min(MOST)];
    let big = entry.big_endian;
    let words = |at: &[u8; 2]| if big { u16::from_be_bytes(*at) } else { u16::from_le_bytes(*at) };
    let longs = |at: &[u8; 4]| if big { u32::from_be_bytes(*at) } else { u32::from_le_bytes(*at) };
    let wides = |at: &[u8; 8]| if big { u64::from_be_bytes(*at) } else { u64::from_le_bytes(*at) };
    let of_two = || bytes.as_chunks().0.iter().take(MOST).map(words);
    let of_four = || bytes.as_chunks().0.iter().take(MOST).map(longs);
    let pairs: Vec<(u32, u32)> = match entry.kind {
        5 | 10 => {
            let pairs = bytes.as_chunks::<8>().0.iter().take(MOST);
            pairs
                .filter_map(|pair| match pair.as_chunks().0 {
                    [first, second] => Some((longs(first), longs(second))),
                    _ => None,
                })
                .collect()
        }
        _ => Vec::new(),
    };
    Some(match entry.kind {
        1 => Value::Byte(text.to_vec()),
        2 => {
            let mut texts: Vec<Vec<u8>> =
                text.split(|&byte| byte == 0).map(<[u8]>::to_vec).collect();
            if texts.last().is_some_and(Vec::is_empty) {
                texts.pop();
            }
            Value::Ascii(texts)
        }
        3 => Value::Short(of_two().collect()),
        4 | 13 => Value::Long(of_four().collect()),
        5 => Value::Rational(pairs.into_iter().map(Into::into).collect()),
        6 => Value::SByte(text.iter().map(|&byte| byte as i8).collect()),
        7 => Value::Undefined(text.to_vec(), 0),
        8 => Value::SShort(of_two().map(|word| word as i16).collect()),
        9 => Value::SLong(of_four().map(|long| long as i32).collect()),
        10 => {
            let signed = pairs.into_iter().map(|(a, b)| (a as i32, b as i32).into());
            Value::SRational(signed.collect())
        }
        11 => Value::Float(of_four().map(f32::from_bits).collect()),
        12 => {
            let numbers = bytes.as_chunks().0.iter().take(MOST);
            Value::Double(numbers.map(|at| f64::from_bits(wides(at))).collect())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// A JPEG that has only an EXIF segment.
    fn jpeg(tiff: &[u8]) -> Vec<u8> {
        let length = (tiff.len() + 8) as u16;
        [b"\xff\xd8\xff\xe1", &length.to_be_bytes()[..], b"Exif\0\0", tiff, b"\xff\xd9"].concat()
    }

    #[test]
    fn tags_are_named_by_their_group() {
        // Big-endian, with Make = "abc".
        let tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x04abc\0\0\0\0\0";
        assert_eq!(to_json(Exif::of(&jpeg(tiff))), r#"{"Image Make":"abc"}"#);
        assert_eq!(to_json(None), "{}");
    }

    /// A directory at 8 of (tag, type, count, bytes), its values after it, in either order of
    /// bytes. A value of 0x8769, 0x8825 or 0xa005 is the directory that follows its values.
    fn tiff(big: bool, entries: &[(u16, u16, u32, &[u8])]) -> Vec<u8> {
        let two = |v: u16| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let four = |v: u32| if big { v.to_be_bytes() } else { v.to_le_bytes() };
        let mut head = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        head.extend(four(8));
        head.extend(two(entries.len() as u16));
        let mut values: Vec<u8> = Vec::new();
        let after = 10 + 12 * entries.len() + 4;
        for (tag, kind, count, bytes) in entries {
            head.extend(two(*tag));
            head.extend(two(*kind));
            head.extend(four(*count));
            if bytes.len() <= 4 {
                head.extend([*bytes, &[0; 4][bytes.len()..]].concat());
            } else {
                head.extend(four((after + values.len()) as u32));
                values.extend_from_slice(bytes);
            }
        }
        head.extend(four(0));
        [head, values].concat()
    }

    /// Every type, long and short, as kamadak-exif itself reads and prints it.
    #[test]
    fn values_are_printed_as_the_strict_reader_prints_them() {
        let bytes: Vec<u8> = (0..240u32).map(|i| (i * 7 % 96 + 32) as u8).collect();
        let entries: Vec<(u16, u16, u32, &[u8])> = vec![
            (0x010e, 2, 240, &bytes),
            (0x010f, 2, 9, b"ab\0cd\"e\0\0"),
            (0x0112, 3, 1, b"\x01\x02"),
            (0x011a, 5, 1, b"\0\0\0\x48\0\0\0\x01"),
            (0x9000, 7, 4, b"0232"),
            (0xc001, 1, 5, &bytes[..5]),
            (0xc002, 3, 120, &bytes),
            (0xc003, 4, 2, &bytes[..8]),
            (0xc004, 6, 3, b"\xff\x01\x80"),
            (0xc005, 7, 240, &bytes),
            (0xc006, 8, 3, b"\xff\xfe\0\x01\0\x02"),
            (0xc007, 9, 1, b"\xff\xff\xff\xfe"),
            (0xc008, 10, 2, b"\xff\xff\xff\xfe\0\0\0\x03\0\0\0\x01\0\0\0\x02"),
            (0xc009, 11, 1, b"\x41\x20\0\0"),
            (0xc00a, 12, 1, b"\x40\x24\0\0\0\0\0\0"),
            (0xc00b, 5, 30, &bytes),
        ];
        for big in [true, false] {
            let block = tiff(big, &entries);
            let strict = exif::Reader::new().read_from_container(&mut Cursor::new(jpeg(&block)));
            let mut expected = Map::new();
            for field in strict.unwrap().fields() {
                let text = field.display_value().to_string();
                let text: String = text.trim_matches('"').chars().take(LONGEST).collect();
                expected.insert(format!("Image {}", field.tag), text.into());
            }
            assert_eq!(expected.len(), entries.len());
            assert_eq!(
                to_json(Exif::of(&jpeg(&block))),
                serde_json::Value::Object(expected).to_string()
            );
        }
    }

    #[test]
    fn one_bad_value_costs_itself_only() {
        let mut block = tiff(true, &[(0x010f, 2, 4, b"abc"), (0x0110, 2, 9, b"12345678\0")]);
        // The place of the second value is beyond the end.
        block[30] = 0x7f;
        assert_eq!(to_json(Exif::of(&jpeg(&block))), r#"{"Image Make":"abc"}"#);
    }

    /// 5,000 values of 300 kB each, all in the same place: 1.5 GB for a reader that copies them.
    #[test]
    fn long_values_cost_what_is_kept_of_them() {
        let span = vec![1; 300 << 10];
        let mut block = b"II*\0\x08\0\0\0\x88\x13".to_vec();
        for tag in 0..5000u32 {
            block.extend(((0xb000 + tag) as u16).to_le_bytes());
            block.extend(3u16.to_le_bytes());
            block.extend((span.len() as u32 / 2).to_le_bytes());
            block.extend(8u32.to_le_bytes());
        }
        block.extend(&span);
        let started = std::time::Instant::now();
        let json = to_json(Exif::of(&block));
        assert!(json.len() < 300_000, "{}", json.len());
        assert!(started.elapsed().as_secs() < 2, "{:?}", started.elapsed());
    }
}
