//! A decoder that panics costs the image at which it does. One test: the hook is the process's.

use std::sync::atomic::{AtomicUsize, Ordering};

use clip_image::{DecodeOptions, Error, ImageHeader, clip_pixels, decode, encode_png};

static PRINTED: AtomicUsize = AtomicUsize::new(0);

/// `scripts/oracles/images.py` makes it: the tiff crate asserts what does not hold for it.
const PLANAR_TILES: &[u8] = include_bytes!("golden/oracle/images/planar_tiles.tif");

#[test]
fn a_panic_of_a_decoder_is_an_undecodable_image_and_prints_nothing() {
    std::panic::set_hook(Box::new(|_| {
        PRINTED.fetch_add(1, Ordering::Relaxed);
    }));
    let header = ImageHeader::read(PLANAR_TILES).unwrap();
    assert_eq!((header.width, header.height), (20, 20));
    let panicked = |error: Error| {
        let text = error.to_string();
        assert!(text.contains("the decoder panicked: "), "{text}");
    };
    panicked(decode(PLANAR_TILES, &DecodeOptions::default()).unwrap_err());
    panicked(clip_pixels(PLANAR_TILES, 32).unwrap_err());
    assert_eq!(PRINTED.load(Ordering::Relaxed), 0);
    // The next image is decoded as ever, and a panic of another kind is printed.
    let good = encode_png(&clip_image::Rgb::filled(3, 2, [1, 2, 3])).unwrap();
    assert_eq!(decode(&good, &DecodeOptions::default()).unwrap().data.len(), 18);
    assert!(std::thread::spawn(|| panic!("elsewhere")).join().is_err());
    assert_eq!(PRINTED.load(Ordering::Relaxed), 1);
}
