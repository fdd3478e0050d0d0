//! Writes a table of made pairs for `scripts/bench_serve`: `serve_table FILE ROWS`.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray, UInt32Array, UInt64Array};
use clip_corpus::PartWriter;

const WORDS: [&str; 16] = [
    "red", "old", "small", "round", "wooden", "bright", "quiet", "green", "boat", "house", "dog",
    "chair", "lamp", "garden", "river", "clock",
];
/// Rows that are written at a time.
const BATCH: u64 = 65_536;

/// A number that follows from a row and what it is for.
fn draw(row: u64, purpose: u64) -> u64 {
    let hash = blake3::hash(&[row.to_le_bytes(), purpose.to_le_bytes()].concat());
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap_or_default())
}

fn rows(rows: std::ops::Range<u64>) -> Result<RecordBatch, arrow::error::ArrowError> {
    let caption = |row: u64| {
        let words = (0..9).map(|at| WORDS[(draw(row, at) % 16) as usize]);
        let rare = if row.is_multiple_of(50_000) { " zeppelin" } else { "" };
        format!("a photo of {} number {row}{rare}", words.collect::<Vec<_>>().join(" "))
    };
    let url = |row: u64| {
        format!("https://img{}.example.org/{:x}.jpg", draw(row, 20) % 20_000, draw(row, 21))
    };
    let uid = |row: u64| format!("{:016x}{:016x}", draw(row, 22), draw(row, 23));
    let texts = |text: &dyn Fn(u64) -> String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.clone().map(text)))
    };
    let side = |purpose| -> ArrayRef {
        let sides = rows.clone().map(|row| (draw(row, purpose) % 2000) as u32 + 64);
        Arc::new(UInt32Array::from_iter_values(sides))
    };
    let score = rows.clone().map(|row| (draw(row, 26) % 10_000) as f32 / 10_000.0);
    let columns: [(&str, ArrayRef); 7] = [
        ("row", Arc::new(UInt64Array::from_iter_values(rows.clone()))),
        ("uid", texts(&uid)),
        ("url", texts(&url)),
        ("caption", texts(&caption)),
        ("width", side(24)),
        ("height", side(25)),
        ("clip_similarity", Arc::new(Float32Array::from_iter_values(score))),
    ];
    RecordBatch::try_from_iter(columns)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (file, count) = (args.next().ok_or("no file")?, args.next().ok_or("no number of rows")?);
    let count: u64 = count.parse()?;
    let mut writer = PartWriter::create(Path::new(&file), rows(0..1)?.schema())?;
    for start in (0..count).step_by(BATCH as usize) {
        writer.write(&rows(start..count.min(start + BATCH))?)?;
    }
    writer.finish()?;
    Ok(())
}
