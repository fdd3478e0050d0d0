//! Decoded pixels of AVIF and JPEG XL against those of libavif and libjxl
//! (`scripts/oracles/avif_jxl.py`).

mod pixels;

#[test]
fn oracle_avif_jxl() {
    pixels::compare("avif_jxl", include_bytes!("golden/oracle/avif_jxl/images.jsonl.gz"));
}
