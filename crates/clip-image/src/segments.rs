//! The segments of a JPEG before its pixels, the chunks of PNG and WebP, and the first frame of a
//! GIF.

/// A marker of a JPEG with what follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Segment<'a> {
    /// The byte after 0xff.
    pub marker: u8,
    /// What follows the length; nothing for a marker without a length.
    pub body: &'a [u8],
    /// Where the next marker should be.
    pub end: usize,
}

/// Start of a scan.
pub(crate) const SOS: u8 = 0xda;
/// End of the image.
const EOI: u8 = 0xd9;

/// All segments up to and with the first start of a scan. Bytes between segments are skipped, as
/// libjpeg skips them.
pub(crate) fn segments(jpeg: &[u8]) -> impl Iterator<Item = Segment<'_>> {
    let mut at = 2;
    let mut last = false;
    std::iter::from_fn(move || {
        if last {
            return None;
        }
        let marker = loop {
            at += jpeg.get(at..)?.iter().position(|&byte| byte == 0xff)?;
            match jpeg.get(at + 1)? {
                0xff => at += 1,
                0 => at += 2,
                &marker => break marker,
            }
        };
        last = matches!(marker, SOS | EOI);
        at += 2;
        if matches!(marker, 0x01 | 0xd0..=EOI) {
            return Some(Segment { marker, body: &[], end: at });
        }
        let length: [u8; 2] = jpeg.get(at..at + 2)?.try_into().ok()?;
        let length = usize::from(u16::from_be_bytes(length)).max(2);
        let body = jpeg.get(at + 2..at + length)?;
        at += length;
        Some(Segment { marker, body, end: at })
    })
}

/// Names and bodies of a PNG's chunks, up to one that is cut off.
pub(crate) fn png_chunks(png: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = png.get(8..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk()?;
        let (name, after) = after.split_at_checked(4)?;
        let (body, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        rest = after.get(4..).unwrap_or_default();
        Some((name, body))
    })
}

/// Names and bodies of a WebP's chunks, up to one that is cut off.
pub(crate) fn webp_chunks(webp: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = webp.get(12..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (name, after) = rest.split_at_checked(4)?;
        let (length, after) = after.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (body, after) = after.split_at_checked(length)?;
        rest = after.get(length % 2..).unwrap_or_default();
        Some((name, body))
    })
}

/// A GIF from its first frame on: left, top, width and height (2 bytes each), flags, and what
/// follows.
pub(crate) fn gif_first_frame(gif: &[u8]) -> Option<&[u8]> {
    let mut rest = gif.get(13 + gif_table_len(*gif.get(10)?)..)?;
    loop {
        match rest {
            [b'!', _, blocks @ ..] => {
                rest = blocks;
                while let [length @ 1..=255, after @ ..] = rest {
                    rest = after.get(usize::from(*length)..)?;
                }
                rest = rest.get(1..)?;
            }
            [b',', frame @ ..] => return Some(frame),
            _ => return None,
        }
    }
}

/// Bytes of a table of colours: the highest bit of its flags announces it, the lowest three say how
/// long it is.
pub(crate) fn gif_table_len(flags: u8) -> usize {
    if flags & 0x80 == 0 { 0 } else { 3 << ((flags & 7) + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_end_where_pixels_begin_and_bytes_between_are_skipped() {
        let jpeg =
            b"\xff\xd8\xff\xe0\0\x03ajunk\xff\0\xff\xff\xe1\0\x04bc\xff\xd0\xff\xda\0\x02\xff\xe2\0\x03b";
        let found: Vec<(u8, &[u8])> = segments(jpeg).map(|s| (s.marker, s.body)).collect();
        assert_eq!(found, [(0xe0, &b"a"[..]), (0xe1, b"bc"), (0xd0, b""), (SOS, b"")]);
        assert_eq!(segments(jpeg).last().map(|s| s.end), Some(jpeg.len() - 5));
        assert_eq!(segments(&jpeg[..8]).count(), 1);
        assert_eq!(segments(b"\xff\xd8\xff\xd9\xff\xe0\0\x02").count(), 1);
        assert_eq!(segments(b"").count(), 0);
    }

    #[test]
    fn chunks_are_walked_to_the_end() {
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x01abcdX....\0\0\0\0efgh....\0\0\xff\0ijklY";
        let found: Vec<_> = png_chunks(png).collect();
        assert_eq!(found, [(&b"abcd"[..], &b"X"[..]), (b"efgh", b"")]);
        let webp = b"RIFF....WEBPodd \x01\0\0\0X\0even\x02\0\0\0YZcut \xff\0\0\0a";
        let found: Vec<_> = webp_chunks(webp).collect();
        assert_eq!(found, [(&b"odd "[..], &b"X"[..]), (b"even", b"YZ")]);
    }

    #[test]
    fn a_gifs_first_frame_is_behind_its_table_and_extensions() {
        let head = b"GIF89a\0\0\0\0\x80\0\0abcdef";
        let gif = [&head[..], b"!\xf9\x02xy\x01z\0!\xfe\0,frame"].concat();
        assert_eq!(gif_first_frame(&gif), Some(&b"frame"[..]));
        assert_eq!(gif_first_frame(&gif[..25]), None);
        assert_eq!(gif_first_frame(&[&head[..], b";"].concat()), None);
    }
}
