//! Images and what is stored in them.

use clip_image::{DecodeOptions, Exif, ImageHeader, decode};

/// Most pixels of an image here: what more cost is known.
const PIXELS: u64 = 1 << 18;
/// Entries that are read of an image (`clip-image/src/exif.rs`).
const ENTRIES: usize = 1024;

/// Header, pixels, orientation and profile of an encoded image.
pub fn image(data: &[u8]) {
    let header = ImageHeader::read(data);
    let _ = header.as_ref().map(ImageHeader::may_be_transparent);
    for min_side in [None, Some(16)] {
        let options = DecodeOptions { max_pixels: PIXELS, min_side, ..DecodeOptions::default() };
        let Ok(image) = decode(data, &options) else { continue };
        let (width, height) = (u64::from(image.width), u64::from(image.height));
        assert_eq!(image.data.len() as u64, width * height * 3, "{width} x {height}");
        assert!(width * height <= PIXELS, "{width} x {height}");
        let Ok(header) = &header else { panic!("decoded, but its header is {header:?}") };
        if min_side.is_none() {
            let sides = (u64::from(header.width), u64::from(header.height));
            assert!(sides == (width, height) || sides == (height, width), "{header:?}");
        }
    }
}

/// EXIF as a TIFF has it, and in a JPEG.
pub fn exif(data: &[u8]) {
    check_exif(data);
    let body = &data[..data.len().min(60_000)];
    let length = (body.len() as u16 + 8).to_be_bytes();
    let jpeg = [b"\xff\xd8\xff\xe1", &length[..], b"Exif\0\0", body, b"\xff\xd9"].concat();
    check_exif(&jpeg);
}

fn check_exif(image: &[u8]) {
    let Some(exif) = Exif::of(image) else { return };
    let entries = exif.entries();
    assert!(entries.len() <= ENTRIES, "{}", entries.len());
    let inside = image.as_ptr_range();
    let within = |bytes: &[u8]| {
        let range = bytes.as_ptr_range();
        bytes.is_empty() || (inside.start <= range.start && range.end <= inside.end)
    };
    assert!(entries.iter().all(|entry| within(entry.bytes)));
    assert!((1..=8).contains(&exif.orientation()));
}
