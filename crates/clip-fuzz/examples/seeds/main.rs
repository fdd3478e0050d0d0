//! Writes the seeds of the fuzz targets: `cargo run --release -p clip-fuzz --example seeds`.
//!
//! Inputs that fuzzing found are in the same folders under the hash of their content, and stay.

mod archives;
mod images;
mod models;
mod sets;
mod tables;
mod texts;

use std::path::Path;

/// Seeds of a target: its name, and the name and content of each.
type Seeds = Vec<(&'static str, Vec<(&'static str, Vec<u8>)>)>;

/// A first byte that chooses, before what is read.
fn chosen(first: u8, content: impl AsRef<[u8]>) -> Vec<u8> {
    [&[first], content.as_ref()].concat()
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut all = texts::seeds();
    all.extend(images::seeds()?);
    all.extend(archives::seeds()?);
    all.extend(tables::seeds()?);
    all.extend(sets::seeds());
    all.extend(models::seeds()?);
    for (target, seeds) in all {
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        for (name, bytes) in seeds {
            std::fs::write(folder.join(format!("seed-{name}")), bytes)?;
        }
    }
    Ok(())
}
