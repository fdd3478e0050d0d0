//! Decoded pixels against Pillow's (`scripts/oracles/images.py`), on small images of every kind.

mod pixels;

#[test]
fn oracle_images() {
    pixels::compare("images", include_bytes!("golden/oracle/images/images.jsonl.gz"));
}
