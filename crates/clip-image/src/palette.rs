//! Palettes as they are stored: padding of an image with a palette is one of its colours for
//! Pillow.

use clip_format::ImageFormat;

use crate::segments::{gif_first_frame, gif_table_len, png_chunks};

/// The palette of a PNG, or of a GIF's first frame: 3 bytes a colour, none where the file has no
/// palette.
pub(crate) fn palette(bytes: &[u8], format: ImageFormat) -> &[u8] {
    match format {
        ImageFormat::Png => of_png(bytes),
        ImageFormat::Gif => of_gif(bytes),
        _ => None,
    }
    .unwrap_or_default()
}

/// A colour of a palette; black beyond its end.
pub(crate) fn colour(palette: &[u8], index: u8) -> [u8; 3] {
    palette.as_chunks().0.get(usize::from(index)).copied().unwrap_or_default()
}

/// Whether each colour is the grey of its own index: Pillow holds such a GIF as grey and not by its
/// palette.
pub(crate) fn is_grey_ramp(palette: &[u8]) -> bool {
    (0..=255).zip(palette.as_chunks().0).all(|(grey, colour)| *colour == [grey; 3])
}

fn of_png(bytes: &[u8]) -> Option<&[u8]> {
    let mut chunks = png_chunks(bytes).take_while(|(name, _)| *name != b"IDAT");
    chunks.find(|(name, _)| *name == b"PLTE").map(|(_, body)| body)
}

fn of_gif(bytes: &[u8]) -> Option<&[u8]> {
    let frame = gif_first_frame(bytes)?;
    let own = frame.get(9..)?.get(..gif_table_len(*frame.get(8)?))?;
    if own.is_empty() { bytes.get(13..)?.get(..gif_table_len(*bytes.get(10)?)) } else { Some(own) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn palettes_are_found_behind_other_chunks() {
        let chunk = |name: &[u8], body: &[u8]| {
            let length = (body.len() as u32).to_be_bytes();
            [&length[..], name, body, &[0; 4]].concat()
        };
        let head = [b"\x89PNG\r\n\x1a\n".to_vec(), chunk(b"IHDR", &[0; 13])].concat();
        let png = [&*head, &chunk(b"gAMA", &[0; 4]), &chunk(b"PLTE", &[1, 2, 3, 4, 5, 6])].concat();
        let found = palette(&png, ImageFormat::Png);
        assert_eq!([0, 1, 2].map(|at| colour(found, at)), [[1, 2, 3], [4, 5, 6], [0; 3]]);
        for bad in [&png[..png.len() - 6], &[&*head, &chunk(b"IDAT", &[1])].concat(), b""] {
            assert!(palette(bad, ImageFormat::Png).is_empty());
        }
    }

    #[test]
    fn a_frame_may_have_a_palette_of_its_own() {
        let screen = |flags: u8, table: &[u8]| {
            [&b"GIF89a\x02\0\x02\0"[..], &[flags, 0, 0], table, b"\x21\xf9\x04\0\0\0\0\0"].concat()
        };
        let frame = |flags: u8, table: &[u8]| {
            [&[0x2c, 0, 0, 0, 0, 2, 0, 2, 0, flags][..], table, &[2, 0]].concat()
        };
        let shared = [9, 8, 7, 6, 5, 4];
        let plain = [screen(0x80, &shared), frame(0, &[])].concat();
        assert_eq!(palette(&plain, ImageFormat::Gif), shared);
        let own = [screen(0x80, &shared), frame(0x80, &[1; 6])].concat();
        assert_eq!(palette(&own, ImageFormat::Gif), [1; 6]);
        assert!(palette(&screen(0, &[]), ImageFormat::Gif).is_empty());
        assert!(is_grey_ramp(&[0, 0, 0, 1, 1, 1]) && !is_grey_ramp(&shared));
    }
}
