//! Embeddings of a part's rows, in clip-retrieval's layout beside them.

use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use clip_corpus::columns;
use clip_format::npy;

use crate::layout::{StageLayout, embedding_names};
use crate::{Error, Result};

/// How the numbers are stored: IEEE 754 binary16, as clip-retrieval has them.
const HALF: &str = "'<f2'";

/// Columns of the metadata, where rows have them.
const METADATA: [&str; 4] = [columns::UID, columns::URL, columns::CAPTION, "sha256"];

/// Stored embeddings of a part, as a later stage sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartEmbeddings {
    /// The rows of the stage that stored them, which may be more than those that are left.
    pub rows: PathBuf,
    /// The embeddings of their images, `.npy` of [rows, width].
    pub images: PathBuf,
}

impl PartEmbeddings {
    /// Those of a part in a stage's folder.
    pub(crate) fn of(layout: &StageLayout, part: usize) -> Self {
        let images = layout.dir().join(embedding_names(part).images);
        Self { rows: layout.rows(part), images }
    }
}

/// Embeddings that wait for their part to be whole.
#[derive(Default)]
pub(crate) struct EmbeddedRows {
    /// Bytes of both, row after row.
    images: Vec<u8>,
    texts: Vec<u8>,
    metadata: Vec<RecordBatch>,
}

impl EmbeddedRows {
    /// Takes the next rows with their embeddings, of 16 bits a number.
    pub fn push(&mut self, rows: &RecordBatch, images: &[u8], texts: &[u8]) -> Result<()> {
        let schema = rows.schema();
        let places = METADATA.iter().filter_map(|name| schema.index_of(name).ok());
        let metadata = rows.project(&places.collect::<Vec<_>>());
        self.metadata.push(metadata.map_err(|e| Error::arrow("embeddings", e))?);
        self.images.extend_from_slice(images);
        self.texts.extend_from_slice(texts);
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.metadata.iter().map(RecordBatch::num_rows).sum()
    }

    /// Writes the files of a part, and returns their names; none where there are no rows.
    pub fn write(&self, dir: &Path, part: usize) -> Result<Vec<String>> {
        let rows = self.rows();
        let (Some(first), true) = (self.metadata.first(), rows > 0) else { return Ok(Vec::new()) };
        let names = embedding_names(part);
        for (name, bytes) in names.arrays().into_iter().zip([&self.images, &self.texts]) {
            let width = bytes.len() / (2 * rows);
            if width == 0 || width * 2 * rows != bytes.len() {
                let message = format!("{name}: {} bytes for {rows} rows", bytes.len());
                return Err(Error::stage("embeddings", message));
            }
            npy::write(&dir.join(name), HALF, &[rows, width], bytes)?;
        }
        clip_corpus::write_parquet(&dir.join(&names.metadata), first.schema(), &self.metadata)?;
        Ok([names.images, names.texts, names.metadata].to_vec())
    }
}
