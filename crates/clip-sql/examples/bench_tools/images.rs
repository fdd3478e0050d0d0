//! Made-up images, as far as deduplication knows them.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int32Array, RecordBatch, StringArray, UInt64Array};
use clip_pipeline::PartInfo;
use clip_pipeline::layout::rows_name;

use crate::mix::mix;

/// Rows of a part.
pub const PART: u64 = 100_000;

/// Which bytes the image of a row has, and its perceptual hash.
pub struct Image {
    pub file: u64,
    pub hash: u64,
}

/// Writes the rows in parts; a part that is there is not written again.
pub fn write(
    folder: &Path,
    rows: u64,
    image: &dyn Fn(u64) -> Image,
) -> Result<Vec<PartInfo>, Box<dyn std::error::Error>> {
    let mut inputs = Vec::new();
    for part in 0..rows.div_ceil(PART) {
        let numbers: Vec<u64> = (part * PART..((part + 1) * PART).min(rows)).collect();
        let part = usize::try_from(part)?;
        let path = folder.join(rows_name(part));
        let rows = numbers.len() as u64;
        inputs.push(PartInfo { part, path: path.clone(), rows, images: None, embeddings: None });
        if path.is_file() {
            continue;
        }
        let images: Vec<Image> = numbers.iter().map(|&n| image(n)).collect();
        let texts = |of: &dyn Fn(u64) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(numbers.iter().map(|&n| of(n))))
        };
        let row = numbers.iter().map(|n| ((n / PART) << 32) | (n % PART));
        let sha256 = images.iter().map(|image| {
            (0..4).map(|at| format!("{:016x}", mix(image.file + at))).collect::<String>()
        });
        let side = numbers.iter().map(|&n| 200 + (mix(n) % 800) as i32);
        let side: ArrayRef = Arc::new(Int32Array::from_iter_values(side));
        let flat = numbers.iter().map(|&n| Some(mix(n + 3).is_multiple_of(50)));
        let batch = RecordBatch::try_from_iter([
            ("row", Arc::new(UInt64Array::from_iter_values(row)) as ArrayRef),
            ("sha256", Arc::new(StringArray::from_iter_values(sha256))),
            ("phash", Arc::new(UInt64Array::from_iter_values(images.iter().map(|i| i.hash)))),
            ("flat", Arc::new(flat.collect::<BooleanArray>())),
            ("original_width", side.clone()),
            ("original_height", side),
            ("caption", texts(&|n| format!("a caption of the usual length for image number {n}"))),
            ("url", texts(&|n| format!("https://host{}.example/{n}.jpg", n % 97))),
        ])?;
        clip_corpus::write_parquet(&path, batch.schema(), &[batch])?;
    }
    Ok(inputs)
}
