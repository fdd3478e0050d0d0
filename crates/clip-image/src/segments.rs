//! The segments of a JPEG before its pixels.

use crate::Format;

/// Markers and bodies, up to the start of the first scan.
pub(crate) fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut at = 2;
    std::iter::from_fn(move || {
        // Any number of 0xff may stand before a marker.
        while jpeg.get(at..at + 2)? == [0xff, 0xff] {
            at += 1;
        }
        let &[0xff, marker, high, low] = jpeg.get(at..at + 4)?.first_chunk()? else { return None };
        if marker == 0xda {
            return None;
        }
        let length = usize::from(u16::from_be_bytes([high, low])).max(2);
        let body = jpeg.get(at + 4..at + 2 + length)?;
        at += 2 + length;
        Some((marker, body))
    })
}

/// Whether a reader of EXIF could find some: looking is cheap, reading goes through all pixels of a JPEG that has
/// none.
pub fn may_hold_exif(bytes: &[u8]) -> bool {
    Format::sniff(bytes) != Some(Format::Jpeg)
        || segments(bytes).any(|(marker, body)| marker == 0xe1 && body.starts_with(b"Exif\0"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_end_where_pixels_begin() {
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x03a\xff\xff\xe1\0\x09Exif\0\0z\xff\xda\0\x02\xff\xe2\0\x03b";
        let found: Vec<_> = segments(jpeg).collect();
        assert_eq!(found, [(0xe0, &b"a"[..]), (0xe1, &b"Exif\0\0z"[..])]);
        assert!(may_hold_exif(jpeg) && !may_hold_exif(&jpeg[..8]));
        assert!(may_hold_exif(b"\x89PNG"));
    }
}
