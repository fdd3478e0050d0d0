//! The images whose stored embeddings are nearest to a vector.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clip_corpus::EmbeddingNames;
use clip_format::{PathError, npy};
use clip_pipeline::{PartFileKind, StageReader};
use rayon::prelude::*;

use crate::{Error, Result};

/// Rows that are read of a file at a time.
const ROWS: usize = 4096;
/// Numbers of the longest embedding.
const WIDEST: usize = 1 << 16;

/// Makes an embedding of a text: a process that links libtorch does.
pub trait TextEncoder: Send + Sync {
    /// The embedding of a text, in the space of the stored ones.
    ///
    /// # Errors
    /// In words, with a hint, when there is no libtorch, or the model cannot be used.
    fn encode(&self, text: &str) -> std::result::Result<Vec<f32>, String>;
}

/// The stored embeddings of a part, and the number of their first row among all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub file: PathBuf,
    pub rows: std::ops::Range<u64>,
}

/// Files of embeddings of images that a stage stored, in the order of its parts; none where it
/// stores none.
///
/// # Errors
/// When the manifest is damaged.
pub(crate) fn embedding_files(stage: &StageReader) -> Result<Vec<PathBuf>> {
    let folder = stage.layout.dir().join(EmbeddingNames::IMAGES);
    let mut files = stage.layout.files(PartFileKind::Embeddings)?;
    files.retain(|file| file.parent() == Some(folder.as_path()));
    Ok(files)
}

/// The `wanted` rows nearest to a vector, by cosine, the nearest first, with their cosines.
///
/// # Errors
/// When a file is damaged, or its embeddings have another width.
pub(crate) fn nearest(parts: &[Part], vector: &[f32], wanted: usize) -> Result<Vec<(u64, f32)>> {
    let vector = unit(vector);
    let found = parts.par_iter().map(|part| {
        let mut best = Vec::new();
        scan(part, &mut |row, embedding| {
            if embedding.len() != vector.len() {
                return Err(other_width(&part.file, embedding.len(), vector.len()));
            }
            let dot: f32 = embedding.iter().zip(&vector).map(|(a, b)| a * b).sum();
            let norm = embedding.iter().map(|a| a * a).sum::<f32>().sqrt();
            let cosine = dot / norm;
            if cosine.is_finite() {
                best.push((row, cosine));
                if best.len() >= 2 * wanted + ROWS {
                    keep(&mut best, wanted);
                }
            }
            Ok(())
        })?;
        keep(&mut best, wanted);
        Ok(best)
    });
    let mut best: Vec<(u64, f32)> =
        found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect();
    keep(&mut best, wanted);
    Ok(best)
}

/// The stored embedding of a row.
///
/// # Errors
/// When its file is damaged, or has no such row.
pub(crate) fn embedding(parts: &[Part], row: u64) -> Result<Vec<f32>> {
    let part = parts.iter().find(|part| part.rows.contains(&row));
    let part = part.ok_or_else(|| Error::absent(format!("an embedding of row {row}")))?;
    let mut array = Array::open(&part.file)?;
    array.skip((row - part.rows.start) as usize)?;
    let block = array.read(1)?;
    if block.is_empty() {
        Err(Error::absent(format!("an embedding of row {row}")))
    } else {
        Ok(block)
    }
}

fn keep(best: &mut Vec<(u64, f32)>, wanted: usize) {
    best.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    best.truncate(wanted);
}

fn unit(vector: &[f32]) -> Vec<f32> {
    let norm = vector.iter().map(|a| a * a).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter().map(|a| a / norm).collect()
}

fn other_width(file: &Path, own: usize, asked: usize) -> Error {
    let hint = "hint: --model must be the model whose embeddings are stored";
    let file = file.display();
    Error::BadRequest(format!(
        "{file}: embeddings of {own} numbers, the model gives {asked}\n{hint}"
    ))
}

fn scan(part: &Part, visit: &mut dyn FnMut(u64, &[f32]) -> Result<()>) -> Result<()> {
    let mut array = Array::open(&part.file)?;
    if array.rows as u64 != part.rows.end - part.rows.start {
        let (own, rows) = (array.rows, part.rows.end - part.rows.start);
        let reason = format!("{own} embeddings of {rows} rows");
        return Err(damaged(&part.file, reason));
    }
    let mut at = part.rows.start;
    loop {
        let block = array.read(ROWS)?;
        if block.is_empty() {
            return Ok(());
        }
        for embedding in block.chunks_exact(array.width) {
            visit(at, embedding)?;
            at += 1;
        }
    }
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Corpus(clip_corpus::Error::Damaged { path: path.to_path_buf(), reason })
}

/// A `.npy` file of `[rows, width]` numbers of 16 or 32 bits.
struct Array {
    path: PathBuf,
    input: BufReader<File>,
    rows: usize,
    left: usize,
    width: usize,
    half: bool,
}

impl Array {
    fn open(path: &Path) -> Result<Self> {
        let failed = |e| Error::Io(PathError::new(path, e));
        let mut input = BufReader::new(File::open(path).map_err(failed)?);
        let head = npy::read_header(&mut input).map_err(|e| damaged(path, e))?;
        let about = npy::parse(&head).map_err(|e| damaged(path, e))?;
        let half = match about.descr.trim_matches('\'') {
            "<f2" => true,
            "<f4" => false,
            other => return Err(damaged(path, format!("numbers of type {other}"))),
        };
        let [rows, width] = about.shape[..] else {
            return Err(damaged(path, "not an array of rows".into()));
        };
        if about.fortran_order || width == 0 || width > WIDEST {
            return Err(damaged(path, format!("embeddings of {width} numbers")));
        }
        Ok(Self { path: path.to_path_buf(), input, rows, left: rows, width, half })
    }

    fn bytes(&self) -> usize {
        self.width * if self.half { 2 } else { 4 }
    }

    fn skip(&mut self, rows: usize) -> Result<()> {
        let rows = rows.min(self.left);
        self.left -= rows;
        let by = SeekFrom::Current((rows * self.bytes()) as i64);
        self.input.seek(by).map(drop).map_err(|e| Error::Io(PathError::new(&self.path, e)))
    }

    /// Numbers of the next rows, at most `rows`; none at the end.
    fn read(&mut self, rows: usize) -> Result<Vec<f32>> {
        let rows = rows.min(self.left);
        let mut bytes = vec![0; rows * self.bytes()];
        self.input.read_exact(&mut bytes).map_err(|e| Error::Io(PathError::new(&self.path, e)))?;
        self.left -= rows;
        Ok(if self.half {
            bytes.as_chunks::<2>().0.iter().map(|pair| npy::half(*pair)).collect()
        } else {
            bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_over_files_of_both_types() {
        let folder = tempfile::tempdir().unwrap();
        // A turn in the plane, of lengths that count for nothing.
        let at = |n: u16| (f32::from(n) / 100.0).sin_cos();
        let (a, b) = (folder.path().join("a.npy"), folder.path().join("b.npy"));
        let numbers = |rows: std::ops::Range<u16>| -> Vec<u8> {
            let row = |n| [at(n).1 * 3.0, at(n).0 * 3.0].map(f32::to_le_bytes).concat();
            rows.flat_map(row).collect()
        };
        npy::write(&a, "'<f4'", &[100, 2], &numbers(0..100)).unwrap();
        // 1 and 0 in halves, then 0 and 0, which is no direction.
        let halves: Vec<u8> =
            [0x3c00u16, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()).collect();
        npy::write(&b, "'<f2'", &[2, 2], &halves).unwrap();
        let parts = [Part { file: a, rows: 0..100 }, Part { file: b.clone(), rows: 100..102 }];
        let (sin, cos) = at(40);
        let found = nearest(&parts, &[cos * 7.0, sin * 7.0], 3).unwrap();
        let rows: Vec<u64> = found.iter().map(|(row, _)| *row).collect();
        assert_eq!(rows, [40, 39, 41]);
        assert!((found[0].1 - 1.0).abs() < 1e-6);
        assert_eq!(nearest(&parts, &[1.0, 0.0], 2).unwrap()[0].1, 1.0);
        assert_eq!(nearest(&parts, &[1.0, 0.0], 1000).unwrap().len(), 101);
        assert_eq!(embedding(&parts, 100).unwrap(), [1.0, 0.0]);
        assert!(embedding(&parts, 102).is_err());
        let narrow = nearest(&parts, &[1.0], 2).unwrap_err().to_string();
        assert!(narrow.contains("embeddings of 2 numbers, the model gives 1\nhint: "), "{narrow}");
        std::fs::write(&b, &std::fs::read(&b).unwrap()[..130]).unwrap();
        assert!(nearest(&parts, &[1.0, 0.0], 2).is_err());
        let short = [Part { file: b, rows: 0..7 }];
        assert!(
            nearest(&short, &[1.0, 0.0], 2).unwrap_err().to_string().contains("2 embeddings of 7")
        );
    }
}
