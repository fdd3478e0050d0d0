//! AVIF and JPEG XL: what a header says, limits, and damage.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use clip_format::ImageFormat;
use clip_image::{DecodeOptions, Error, Exif, ImageHeader, decode};

/// `scripts/oracles/avif_jxl.py` makes them.
const TURNED: &[u8] = include_bytes!("golden/oracle/avif_jxl/turned.avif");
const GRID: &[u8] = include_bytes!("golden/oracle/avif_jxl/grid.avif");
const BOXES: &[u8] = include_bytes!("golden/oracle/avif_jxl/boxes.jxl");
const LOSSY: &[u8] = include_bytes!("golden/oracle/avif_jxl/lossy.jxl");

/// The file with an orientation in its EXIF, in place of the maker.
fn with_exif_orientation(file: &[u8], orientation: u8) -> Vec<u8> {
    let at = file.windows(4).position(|entry| entry == b"\x01\x0f\0\x02").unwrap();
    let mut other = file.to_vec();
    other[at..at + 12].copy_from_slice(b"\x01\x12\0\x03\0\0\0\x01\0\0\0\0");
    other[at + 9] = orientation;
    other
}

#[test]
fn headers_say_format_size_and_orientation_whatever_exif_says() {
    for (file, format, size, orientation) in [
        (TURNED, ImageFormat::Avif, (10, 12), 6),
        (GRID, ImageFormat::Avif, (70, 64), 1),
        (BOXES, ImageFormat::Jxl, (9, 6), 1),
        (LOSSY, ImageFormat::Jxl, (10, 12), 1),
    ] {
        let header = ImageHeader::read(file).unwrap();
        assert_eq!((header.format, (header.width, header.height)), (format, size));
        assert_eq!(header.orientation(), orientation, "{header:?}");
        let image = decode(file, &DecodeOptions::default()).unwrap();
        let turned = if orientation < 5 { size } else { (size.1, size.0) };
        assert_eq!((image.width, image.height), turned, "{header:?}");
        let stored = decode(file, &DecodeOptions::stored()).unwrap();
        assert_eq!((stored.width, stored.height), size, "{header:?}");
    }
    for file in [TURNED, BOXES] {
        let before = ImageHeader::read(file).unwrap().orientation();
        for orientation in [3, 6] {
            let other = with_exif_orientation(file, orientation);
            assert_eq!(Exif::of(&other).unwrap().orientation(), u32::from(orientation));
            assert_eq!(ImageHeader::read(&other).unwrap().orientation(), before);
        }
    }
    assert!(Exif::of(GRID).is_none() && Exif::of(LOSSY).is_none());
}

#[test]
fn pixels_are_limited_also_those_of_tiles_that_are_cut_off() {
    let limited = |max_pixels| DecodeOptions { max_pixels, ..DecodeOptions::default() };
    for (file, pixels) in [(TURNED, 120), (GRID, 70 * 64), (BOXES, 54), (LOSSY, 120)] {
        let refused = decode(file, &limited(pixels - 1));
        assert!(matches!(refused, Err(Error::TooLarge { .. })), "{refused:?}");
    }
    let error = decode(GRID, &limited(2 * 64 * 64 - 1)).unwrap_err().to_string();
    assert!(error.contains("tiles have more pixels"), "{error}");
    assert!(decode(GRID, &limited(2 * 64 * 64)).is_ok());
}

#[test]
fn files_that_are_cut_off_or_of_other_items_are_errors_and_no_panics() {
    for file in [TURNED, GRID, BOXES, LOSSY] {
        for end in 12..file.len() {
            let result = decode(&file[..end], &DecodeOptions::default());
            let message = result.err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!message.contains("panicked"), "{end}: {message}");
            // The last byte of a codestream may be padding.
            assert!(!message.is_empty() || end + 2 > file.len(), "{end} of {}", file.len());
        }
    }
    let at = GRID.windows(4).position(|name| name == b"grid").unwrap();
    let mut other = GRID.to_vec();
    other[at..at + 4].copy_from_slice(b"hvc1");
    let error = decode(&other, &DecodeOptions::default()).unwrap_err().to_string();
    assert!(error.contains("kind \"hvc1\" is not decoded"), "{error}");
    // Tiles whose bytes are the whole file each.
    let places = GRID.windows(4).position(|name| name == b"iloc").unwrap() + 12;
    let mut shared = GRID.to_vec();
    for tile in [1, 2] {
        let (offset, length) = (places + 14 * tile + 6, places + 14 * tile + 10);
        shared[offset..offset + 4].fill(0);
        shared[length..length + 4].copy_from_slice(&(GRID.len() as u32).to_be_bytes());
    }
    let error = decode(&shared, &DecodeOptions::default()).unwrap_err().to_string();
    assert!(error.contains("tiles that share their bytes"), "{error}");
}
