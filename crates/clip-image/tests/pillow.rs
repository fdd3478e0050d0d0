//! Pixels of open_clip's evaluation transform with Pillow, which `scripts/golden/clip` makes.

use std::io::Read;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clip_image::clip_pixels;

#[test]
fn pixels_are_pillows() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/pixels.jsonl.gz");
    let mut golden = String::new();
    let file = std::fs::File::open(path).unwrap();
    flate2::read::GzDecoder::new(file).read_to_string(&mut golden).unwrap();
    assert_eq!(golden.lines().count(), 24);
    for line in golden.lines() {
        let (name, image, size, pixels): (String, String, u32, String) =
            serde_json::from_str(line).unwrap();
        let (image, wanted) =
            (BASE64_STANDARD.decode(image).unwrap(), BASE64_STANDARD.decode(pixels).unwrap());
        let found = clip_pixels(&image, size).unwrap();
        let worst = found.data.iter().zip(&wanted).map(|(a, b)| a.abs_diff(*b)).max();
        assert_eq!((found.data.len(), worst), (wanted.len(), Some(0)), "{name}");
    }
}
