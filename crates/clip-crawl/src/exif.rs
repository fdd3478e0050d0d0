//! EXIF tags as JSON, with the names that img2dataset (Python exifread) gives them.

use std::io::Cursor;

use exif::{Context, In, Reader};
use serde_json::{Map, Value};

/// Longest value that is kept, in characters: maker notes are binary and long.
const LONGEST: usize = 200;

/// All tags as a JSON object of strings; `{}` when there are none or they cannot be read.
pub(crate) fn to_json(bytes: &[u8]) -> String {
    let mut tags = Map::new();
    if clip_image::may_hold_exif(bytes)
        && let Ok(exif) = Reader::new().read_from_container(&mut Cursor::new(bytes))
    {
        for field in exif.fields() {
            let group = match (field.tag.context(), field.ifd_num) {
                (_, In::THUMBNAIL) => "Thumbnail",
                (Context::Exif, _) => "EXIF",
                (Context::Gps, _) => "GPS",
                (Context::Interop, _) => "Interoperability",
                _ => "Image",
            };
            let value = field.display_value().to_string();
            let value: String = value.trim_matches('"').chars().take(LONGEST).collect();
            tags.insert(format!("{group} {}", field.tag), Value::String(value));
        }
    }
    Value::Object(tags).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A JPEG that holds only an EXIF segment: big-endian TIFF with Make = "abc".
    fn jpeg() -> Vec<u8> {
        let mut tiff =
            b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x0f\0\x02\0\0\0\x04abc\0\0\0\0\0".to_vec();
        let mut bytes = vec![0xff, 0xd8, 0xff, 0xe1, 0, (tiff.len() + 2) as u8];
        bytes.append(&mut tiff);
        bytes.extend([0xff, 0xd9]);
        bytes
    }

    #[test]
    fn tags_are_named_by_their_group() {
        assert_eq!(to_json(&jpeg()), r#"{"Image Make":"abc"}"#);
        assert_eq!(to_json(b"no image"), "{}");
    }
}
