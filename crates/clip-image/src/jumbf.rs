//! The C2PA manifest store of an image: JUMBF boxes in the segments of a JPEG, a chunk of a PNG or
//! of a WebP, a box of an AVIF or JPEG XL (C2PA 2.1, appendices A.3 and A.5).

use clip_format::ImageFormat;

use crate::bmff::boxes;
use crate::segments::{png_chunks, segments, webp_chunks};

/// Longest store that is read.
const LONGEST: usize = 16 << 20;
/// The marker of JPEG's application segment 11.
const APP11: u8 = 0xeb;

/// The store's boxes, if the image has one: whether they are whole or right is not checked.
pub fn c2pa_store(image: &[u8]) -> Option<Vec<u8>> {
    let store = match ImageFormat::sniff(image)? {
        ImageFormat::Jpeg => of_jpeg(image),
        ImageFormat::Png => png_chunks(image).find(|(name, _)| *name == b"caBX")?.1.to_vec(),
        ImageFormat::Webp => webp_chunks(image).find(|(name, _)| *name == b"C2PA")?.1.to_vec(),
        ImageFormat::Avif => of_avif(image)?.to_vec(),
        ImageFormat::Jxl => of_jxl(image),
        _ => return None,
    };
    (!store.is_empty() && store.len() <= LONGEST).then_some(store)
}

/// What is in the box of C2PA's UUID: a version and flags, a purpose that ends with a zero, where
/// more of them are, and the store.
fn of_avif(avif: &[u8]) -> Option<&[u8]> {
    const UUID: u128 = 0xd8fe_c3d6_1b0e_483c_9297_5828_877e_c481;
    let (_, body) = boxes(avif)
        .find(|(name, body)| *name == b"uuid" && body.starts_with(&UUID.to_be_bytes()))?;
    let store = body.get(20..)?.strip_prefix(b"manifest\0")?;
    store.get(8..)
}

/// The boxes of the name `jumb`, with their heads.
fn of_jxl(jxl: &[u8]) -> Vec<u8> {
    let mut store = Vec::new();
    for (_, body) in boxes(jxl).filter(|(name, _)| *name == b"jumb") {
        let Ok(size) = u32::try_from(body.len() + 8) else { break };
        if store.len() + body.len() > LONGEST {
            break;
        }
        store.extend([&size.to_be_bytes(), &b"jumb"[..], body].concat());
    }
    store
}

/// The boxes of all application segments 11 that hold some (ISO 19566-5 annex D): each segment has
/// `JP`, the number of the box and of the piece, and, from the second piece on, the header of the
/// box again.
fn of_jpeg(jpeg: &[u8]) -> Vec<u8> {
    let mut store = Vec::new();
    for segment in segments(jpeg).filter(|segment| segment.marker == APP11) {
        let Some(piece) = segment.body.strip_prefix(b"JP") else { continue };
        let Some((head, piece)) = piece.split_first_chunk::<6>() else { continue };
        let first = head[2..] == [0, 0, 0, 1];
        let header = if piece.starts_with(&[0, 0, 0, 1]) { 16 } else { 8 };
        let piece = if first { piece } else { piece.get(header..).unwrap_or_default() };
        if store.len() + piece.len() > LONGEST {
            break;
        }
        store.extend_from_slice(piece);
    }
    store
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app11(number: u32, piece: &[u8]) -> Vec<u8> {
        let body = [b"JP\0\x01", &number.to_be_bytes()[..], piece].concat();
        let length = (body.len() as u16 + 2).to_be_bytes();
        [&[0xff, APP11], &length[..], &body].concat()
    }

    #[test]
    fn pieces_of_a_jpeg_are_put_together_and_chunks_are_found() {
        let pieces =
            [app11(1, b"\0\0\0\x0ejumbABC"), app11(2, b"\0\0\0\x0ejumbDEF"), app11(3, b"short")];
        let jpeg = [b"\xff\xd8\xff", &pieces.concat()[1..], b"\xff\xd9"].concat();
        assert_eq!(c2pa_store(&jpeg).unwrap(), b"\0\0\0\x0ejumbABCDEF");
        let png = b"\x89PNG\r\n\x1a\n\0\0\0\x03caBXabc....";
        assert_eq!(c2pa_store(png).unwrap(), b"abc");
        let webp = b"RIFF\x10\0\0\0WEBPC2PA\x03\0\0\0abc\0";
        assert_eq!(c2pa_store(webp).unwrap(), b"abc");
        let uuid = b"\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81";
        let body = [&uuid[..], b"\0\0\0\0manifest\0\0\0\0\0\0\0\0\0abc"].concat();
        let size = (body.len() as u32 + 8).to_be_bytes();
        let avif =
            [&b"\0\0\0\x10ftypavif\0\0\0\0"[..], &size, b"uuid", &body, b"\0\0\0\x08mdat"].concat();
        assert_eq!(c2pa_store(&avif).unwrap(), b"abc");
        let jxl = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x0bjumbabc\0\0\0\x08jxlc";
        assert_eq!(c2pa_store(jxl).unwrap(), b"\0\0\0\x0bjumbabc");
        for none in [&b"\xff\xd8\xff\xd9"[..], b"\x89PNG\r\n\x1a\n", b"GIF89a", b""] {
            assert_eq!(c2pa_store(none), None);
        }
    }
}
