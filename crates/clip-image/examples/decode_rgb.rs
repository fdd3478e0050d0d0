//! Writes decoded pixels for comparison with Pillow's. Paths of images come on standard input, one
//! a line; for each of them: width, height (4 bytes each, little-endian) and RGB pixels, or a width
//! of 0, the length of a reason (4 bytes) and the reason. EXIF's orientation is applied, colour
//! profiles are not.

use std::io::{BufRead, BufWriter, Write};

use clip_image::{DecodeOptions, decode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let options = DecodeOptions { icc: false, ..DecodeOptions::default() };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for path in std::io::stdin().lock().lines() {
        match decode(&std::fs::read(path?)?, &options) {
            Ok(image) => {
                out.write_all(&image.width.to_le_bytes())?;
                out.write_all(&image.height.to_le_bytes())?;
                out.write_all(&image.data)?;
            }
            Err(error) => {
                let reason = error.to_string();
                out.write_all(&0u32.to_le_bytes())?;
                out.write_all(&(reason.len() as u32).to_le_bytes())?;
                out.write_all(reason.as_bytes())?;
            }
        }
        out.flush()?;
    }
    Ok(())
}
