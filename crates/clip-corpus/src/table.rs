//! Parquet files of Arrow record batches, written whole or not at all.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use crate::parquet_file::{Batches, ParquetFile};
use crate::{IoContext, Result};
use clip_format::AtomicFile;

/// Bytes of a file that are hashed at a time, on all processors.
const HASHED: usize = 4 << 20;
/// Encoded bytes after which a row group ends.
const ROW_GROUP: usize = 64 << 20;

/// Writes one Parquet file: zstd, no dates inside, so that the same rows give the same bytes.
pub struct PartWriter {
    writer: ArrowWriter<AtomicFile>,
    rows: u64,
}

impl PartWriter {
    /// Opens a temporary file beside `path`.
    pub fn create(path: &Path, schema: SchemaRef) -> Result<Self> {
        let level = ZstdLevel::try_new(1).at(path)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(65_536))
            .set_created_by("clip-data".into())
            .build();
        let file = AtomicFile::create(path)?;
        let writer = ArrowWriter::try_new(file, schema, Some(properties)).at(path)?;
        Ok(Self { writer, rows: 0 })
    }

    /// Appends rows.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        let path = self.writer.inner().path().to_path_buf();
        self.writer.write(batch).at(&path)?;
        // A row group is held until it is whole: rows with images end it sooner.
        if self.writer.in_progress_size() > ROW_GROUP {
            self.writer.flush().at(&path)?;
        }
        Ok(())
    }

    /// Appends rows to the file at `path`, which the first of them opens.
    pub fn append(writer: &mut Option<Self>, path: &Path, batch: &RecordBatch) -> Result<()> {
        match writer {
            Some(writer) => writer,
            None => writer.insert(Self::create(path, batch.schema())?),
        }
        .write(batch)
    }

    /// Closes the file and gives it its name; returns the number of rows.
    pub fn finish(mut self) -> Result<u64> {
        let path = self.writer.inner().path().to_path_buf();
        // `into_inner` would make a text of the system's error, which says whether the disk is
        // full.
        self.writer.finish().at(&path)?;
        self.writer.inner_mut().commit()?;
        Ok(self.rows)
    }
}

/// Writes `batches`, all of `schema`, as one file.
pub fn write_parquet(path: &Path, schema: SchemaRef, batches: &[RecordBatch]) -> Result<()> {
    let mut writer = PartWriter::create(path, schema)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish().map(drop)
}

/// All rows of a file, in batches of at most 8,192.
pub fn read_parquet(path: &Path) -> Result<Vec<RecordBatch>> {
    ParquetFile::open(path)?.batches(None, 8192, 0)?.collect()
}

/// Rows of a file in batches of at most `rows`, with those of the named columns that it has; with
/// all when none is named.
pub fn scan(path: &Path, columns: &[&str], rows: usize) -> Result<Batches> {
    let file = ParquetFile::open(path)?;
    let wanted = |(_, field): &(usize, &FieldRef)| columns.contains(&field.name().as_str());
    let fields = file.schema().fields().iter().enumerate();
    let places: Vec<usize> = fields.filter(wanted).map(|(place, _)| place).collect();
    file.batches((!columns.is_empty()).then_some(&places), rows, 0)
}

/// The columns of a file, from its footer.
pub fn schema_of(path: &Path) -> Result<SchemaRef> {
    Ok(ParquetFile::open(path)?.schema().clone())
}

/// The number of rows of a file, from its footer.
pub fn parquet_rows(path: &Path) -> Result<u64> {
    Ok(ParquetFile::open(path)?.rows())
}

/// blake3 of a file's content, as hex, and its length in bytes.
pub fn hash_file(path: &Path) -> Result<(String, u64)> {
    // Read, not mapped: a mapped file that another process cuts ends this one.
    let mut file = File::open(path).at(path)?;
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; HASHED];
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finalize().to_hex().to_string(), hasher.count())),
            Ok(read) => read,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(e) => return Err(e).at(path),
        };
        hasher.update_rayon(&buffer[..read]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::UInt64Array;
    use arrow::datatypes::{DataType, Field, Schema};
    use std::sync::Arc;

    #[test]
    fn the_same_rows_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let schema = Arc::new(Schema::new(vec![Field::new("row", DataType::UInt64, false)]));
        let column = Arc::new(UInt64Array::from_iter_values(0..1000));
        let batch = RecordBatch::try_new(schema.clone(), vec![column]).unwrap();
        let (a, b) = (folder.path().join("a.parquet"), folder.path().join("b.parquet"));
        write_parquet(&a, schema.clone(), std::slice::from_ref(&batch)).unwrap();
        write_parquet(&b, schema, std::slice::from_ref(&batch)).unwrap();
        assert_eq!(hash_file(&a).unwrap(), hash_file(&b).unwrap());
        assert_eq!(parquet_rows(&a).unwrap(), 1000);
        assert_eq!(read_parquet(&a).unwrap(), [batch]);
        let rows = |columns: &[&str]| -> Vec<(usize, usize)> {
            let batches = scan(&a, columns, 600).unwrap().map(|batch| batch.unwrap());
            batches.map(|batch| (batch.num_rows(), batch.num_columns())).collect()
        };
        assert_eq!(rows(&["row", "other"]), [(600, 1), (400, 1)]);
        assert_eq!(rows(&[]), [(600, 1), (400, 1)]);
    }

    #[test]
    fn a_cut_file_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cut.parquet");
        std::fs::write(&path, b"PAR1 and no more").unwrap();
        assert!(read_parquet(&path).unwrap_err().to_string().contains("cut.parquet"));
    }
}
