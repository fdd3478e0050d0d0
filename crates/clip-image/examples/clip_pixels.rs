//! Writes CLIP's pixels of each image of a tar, for comparison with Pillow's: `clip_pixels TAR
//! SIZE`. For each: the name and a line end, then 1 and the pixels, or 0.

use std::io::{BufWriter, Read, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: clip_pixels TAR SIZE";
    let (tar, size) = (arguments.next().ok_or(usage)?, arguments.next().ok_or(usage)?.parse()?);
    let mut archive = tar::Archive::new(std::fs::File::open(tar)?);
    let mut out = BufWriter::new(std::io::stdout().lock());
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.display().to_string();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes)?;
        if clip_image::ImageHeader::read(&bytes).is_err() {
            continue;
        }
        writeln!(out, "{name}")?;
        match clip_image::clip_pixels(&bytes, size) {
            Ok(image) => {
                out.write_all(&[1])?;
                out.write_all(&image.data)?;
            }
            Err(_) => out.write_all(&[0])?,
        }
    }
    out.flush()?;
    Ok(())
}
