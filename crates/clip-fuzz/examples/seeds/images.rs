//! Images of each format, and EXIF.

use clip_image::{Error, Rgb, encode_jpeg, encode_png, encode_webp};

use crate::Seeds;

fn ramp(width: u32, height: u32) -> Rgb {
    let pixel = |i: u32| [(i % width * 5) as u8, (i / width * 7) as u8, 90];
    Rgb { width, height, data: (0..width * height).flat_map(pixel).collect() }
}

/// A directory at 8: tag, type, count and the four bytes of value or offset of each entry.
pub fn tiff(entries: &[(u16, u16, u32, [u8; 4])], rest: &[u8]) -> Vec<u8> {
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    bytes.extend((entries.len() as u16).to_le_bytes());
    for (tag, kind, count, value) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(kind.to_le_bytes());
        bytes.extend(count.to_le_bytes());
        bytes.extend(value);
    }
    bytes.extend([0; 4]);
    bytes.extend(rest);
    bytes
}

/// An uncompressed grey TIFF of 4 x 4 pixels.
fn grey_tiff() -> Vec<u8> {
    let word = |n: u32| n.to_le_bytes();
    let entries = [
        (0x100, 3, 1, word(4)),
        (0x101, 3, 1, word(4)),
        (0x102, 3, 1, word(8)),
        (0x103, 3, 1, word(1)),
        (0x106, 3, 1, word(1)),
        (0x111, 4, 1, word(8 + 2 + 9 * 12 + 4)),
        (0x112, 3, 1, word(6)),
        (0x116, 3, 1, word(4)),
        (0x117, 4, 1, word(16)),
    ];
    tiff(&entries, &[100; 16])
}

/// A bitmap of 2 x 2 pixels with 32 bits each.
fn bmp() -> Vec<u8> {
    let mut bytes =
        b"BM\x46\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x02\0\0\0\x02\0\0\0\x01\0\x20\0".to_vec();
    bytes.resize(54, 0);
    bytes.extend((0..16).map(|n| n * 15));
    bytes
}

/// The least GIF: one pixel.
const GIF: &[u8] = b"GIF89a\x01\0\x01\0\x80\0\0\xff\xff\xff\0\0\0!\xf9\x04\x01\0\0\0\0,\0\0\0\0\x01\0\x01\0\0\x02\x02D\x01\0;";

/// A file of `scripts/oracles/avif_jxl.py`: nothing here encodes these formats.
macro_rules! golden {
    ($name:literal) => {
        include_bytes!(concat!("../../../clip-image/tests/golden/oracle/avif_jxl/", $name)).to_vec()
    };
}

pub fn seeds() -> Result<Seeds, Error> {
    let exif = tiff(
        &[
            (0x0112, 3, 1, [6, 0, 0, 0]),
            (0x010f, 2, 9, [74, 0, 0, 0]),
            (0x8769, 4, 1, [62, 0, 0, 0]),
            (0x8825, 4, 1, [8, 0, 0, 0]),
        ],
        b"\x01\0\x05\xa0\x04\0\x01\0\0\0\x3e\0\0\0Canon EOS\0",
    );
    let mut big = exif.clone();
    big[..4].copy_from_slice(b"MM\0*");
    let jpeg = encode_jpeg(&ramp(24, 16), 80)?;
    let segment = [b"\xff\xe1", &(exif.len() as u16 + 8).to_be_bytes()[..], b"Exif\0\0", &exif];
    let turned = [&jpeg[..2], &segment.concat(), &jpeg[2..]].concat();
    let images = vec![
        ("jpeg", jpeg),
        ("turned", turned),
        ("png", encode_png(&ramp(9, 7))?),
        ("webp", encode_webp(&ramp(12, 10), 80)?),
        ("gif", GIF.to_vec()),
        ("bmp", bmp()),
        ("tiff", grey_tiff()),
        ("pgm", b"P5 4 2 255\n12345678".to_vec()),
        ("ppm", b"P3\n# text\n2 1\n255\n1 2 3 4 5 6\n".to_vec()),
        ("pbm", b"P1 3 2\n1 0 1 0 1 0\n".to_vec()),
        ("avif", golden!("turned.avif")),
        ("avif-grid", golden!("grid.avif")),
        ("jxl", golden!("lossy.jxl")),
        ("jxl-boxes", golden!("boxes.jxl")),
    ];
    Ok(vec![
        ("image", images),
        ("exif", vec![("little", exif), ("big", big), ("tiff", grey_tiff())]),
    ])
}
