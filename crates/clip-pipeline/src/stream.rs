//! Rows of a part with their images, a few at a time.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, BinaryBuilder, RecordBatch};
use clip_corpus::columns;

use crate::{Error, PartInfo, Result};

type Batches = Box<dyn Iterator<Item = clip_corpus::Result<RecordBatch>>>;

/// Iterates over batches of a part's rows, each with its image where the part has images.
///
/// Rows and images both are in ascending order of `row`, and images of rows that were dropped are
/// skipped, so one batch of each is held.
pub struct RowStream {
    rows: Batches,
    images: Option<Images>,
}

struct Images {
    path: PathBuf,
    batches: Batches,
    current: Option<RecordBatch>,
    at: usize,
}

impl PartInfo {
    /// The part's rows with their images, `rows` at a time.
    pub fn stream(&self, rows: usize) -> Result<RowStream> {
        let images = match &self.images {
            Some(path) => {
                let batches = clip_corpus::scan(path, &[columns::ROW, columns::IMAGE], rows)?;
                let (path, batches) = (path.clone(), Box::new(batches));
                Some(Images { path, batches, current: None, at: 0 })
            }
            None => None,
        };
        Ok(RowStream { rows: Box::new(clip_corpus::scan(&self.path, &[], rows)?), images })
    }
}

impl Images {
    fn lost(&self, reason: &str) -> Error {
        let (path, reason) = (self.path.clone(), reason.to_owned());
        Error::Corpus(clip_corpus::Error::Damaged { path, reason })
    }

    /// Appends the image of a row that is higher than the last one asked for.
    fn append(&mut self, row: u64, images: &mut BinaryBuilder) -> Result<()> {
        loop {
            if self.current.as_ref().is_none_or(|batch| self.at == batch.num_rows()) {
                self.current = self.batches.next().transpose()?;
                self.at = 0;
            }
            let Some(batch) = &self.current else {
                return Err(self.lost("a row has no image beside it"));
            };
            let rows = columns::uint64(batch, columns::ROW);
            let bytes = batch.column_by_name(columns::IMAGE).and_then(|c| c.as_binary_opt::<i32>());
            let (Some(rows), Some(bytes)) = (rows, bytes) else {
                return Err(self.lost("no columns `row` and `image`"));
            };
            while self.at < rows.len() {
                let (found, at) = (rows.value(self.at), self.at);
                if found > row {
                    return Err(self.lost("a row has no image beside it"));
                }
                self.at += 1;
                if found == row {
                    images.append_value(bytes.value(at));
                    return Ok(());
                }
            }
        }
    }
}

impl RowStream {
    fn joined(&mut self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some(images) = &mut self.images else { return Ok(batch) };
        let rows = columns::uint64(&batch, columns::ROW);
        let rows = rows.ok_or_else(|| images.lost("its rows have no column `row`"))?;
        let mut column = BinaryBuilder::new();
        for &row in rows.values() {
            images.append(row, &mut column)?;
        }
        let column = Arc::new(column.finish());
        columns::with_column(&batch, columns::IMAGE, false, column)
            .map_err(|e| Error::arrow("images", e))
    }
}

impl Iterator for RowStream {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.rows.next()?;
        Some(batch.map_err(Error::from).and_then(|batch| self.joined(batch)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, BinaryArray, UInt64Array};
    use std::path::Path;

    fn part(folder: &Path, rows: &[u64], images: &[u64]) -> PartInfo {
        let column = |rows: &[u64]| -> ArrayRef { Arc::new(UInt64Array::from(rows.to_vec())) };
        let (path, beside) = (folder.join("part.parquet"), folder.join("images.parquet"));
        let table = RecordBatch::try_from_iter([("row", column(rows))]).unwrap();
        clip_corpus::write_parquet(&path, table.schema(), &[table]).unwrap();
        let bytes: ArrayRef =
            Arc::new(BinaryArray::from_iter_values(images.iter().map(|row| row.to_le_bytes())));
        let table =
            RecordBatch::try_from_iter([("row", column(images)), ("image", bytes)]).unwrap();
        clip_corpus::write_parquet(&beside, table.schema(), &[table]).unwrap();
        PartInfo { part: 0, path, rows: rows.len() as u64, images: Some(beside), embeddings: None }
    }

    #[test]
    fn rows_get_their_images_in_batches_of_any_size() {
        let folder = tempfile::tempdir().unwrap();
        let kept: Vec<u64> = (0..50).filter(|row| row % 3 != 1).collect();
        let part = part(folder.path(), &kept, &(0..50).collect::<Vec<_>>());
        for size in [1, 7, 1000] {
            let mut seen = Vec::new();
            for batch in part.stream(size).unwrap() {
                let batch = batch.unwrap();
                let images = crate::image_bytes(&batch).unwrap();
                let rows = columns::uint64(&batch, "row").unwrap();
                for at in 0..batch.num_rows() {
                    assert_eq!(images.value(at), rows.value(at).to_le_bytes());
                    seen.push(rows.value(at));
                }
            }
            assert_eq!(seen, kept);
        }
    }

    #[test]
    fn a_row_without_an_image_is_damage() {
        let folder = tempfile::tempdir().unwrap();
        for images in [&[1u64, 3][..], &[1, 2]] {
            let part = part(folder.path(), &[1, 2, 3], images);
            let last = part.stream(10).unwrap().last().unwrap();
            assert!(last.unwrap_err().to_string().contains("no image beside it"));
        }
    }
}
