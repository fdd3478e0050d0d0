//! Parquet files that may be damaged. What the `parquet` crate would assert, or allocate because
//! the file says so, is an error that names the file. All crates above read Parquet through this,
//! but for queries of DataFusion.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, FieldRef, Fields, Schema, SchemaRef};
use clip_guard::catch_panic;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader,
    ParquetRecordBatchReaderBuilder, RowSelection,
};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};

use crate::parquet_checked::Checked;
use crate::{IoContext, Result};

/// An open file, of which the footer was read.
pub struct ParquetFile {
    path: PathBuf,
    builder: ParquetRecordBatchReaderBuilder<Checked>,
}

impl ParquetFile {
    /// Opens a file by name.
    ///
    /// # Errors
    /// When it cannot be read, or is no Parquet file or a damaged one.
    pub fn open(path: &Path) -> Result<Self> {
        Self::new(path, File::open(path).at(path)?)
    }

    /// The same for a file that is open; `path` is what errors call it.
    ///
    /// # Errors
    /// As [`ParquetFile::open`].
    pub fn new(path: &Path, file: File) -> Result<Self> {
        let file = Checked::new(file).at(path)?;
        // What is called a Parquet file and is none is damaged.
        if !path.to_string_lossy().to_lowercase().contains(".parquet") {
            file.check_kind(path)?;
        }
        let builder = guarded(path, || {
            file.check_footer()?;
            let mut found = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())?;
            if let Some(plain) = plain_schema(found.schema()) {
                let options = ArrowReaderOptions::new().with_schema(plain);
                found = ArrowReaderMetadata::try_new(found.metadata().clone(), options)?;
            }
            Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, found))
        })?;
        Ok(Self { path: path.to_path_buf(), builder })
    }

    /// The columns: texts, bytes and lists are those of 32 bits, whatever variant of them the
    /// program that wrote the file had in memory (pandas and polars have others).
    pub fn schema(&self) -> &SchemaRef {
        self.builder.schema()
    }

    /// The number of rows, as the footer has it.
    pub fn rows(&self) -> u64 {
        self.builder.metadata().file_metadata().num_rows().max(0) as u64
    }

    /// The rows from number `skip` on, in batches of at most `rows`; of the columns with these
    /// numbers, or of all.
    ///
    /// # Errors
    /// When the file is damaged where its first rows are.
    pub fn batches(self, columns: Option<&[usize]>, rows: usize, skip: usize) -> Result<Batches> {
        let Self { path, builder } = self.projected(columns);
        let builder = builder.with_batch_size(rows).with_offset(skip);
        let reader = guarded(&path, || builder.build())?;
        Ok(Batches { path, reader: Some(reader) })
    }

    /// The rows with these numbers, which ascend, of the columns with these numbers, or of all.
    /// Pages that none of them is in are not decoded.
    ///
    /// # Errors
    /// When the file is damaged where its first rows are.
    pub fn rows_at(self, columns: Option<&[usize]>, rows: &[usize]) -> Result<Batches> {
        let of = self.rows() as usize;
        let Self { path, builder } = self.projected(columns);
        let ranges = rows.iter().filter(|&&row| row < of).map(|&row| row..row + 1);
        let builder = builder
            .with_batch_size(rows.len().max(1))
            .with_row_selection(RowSelection::from_consecutive_ranges(ranges, of));
        let reader = guarded(&path, || builder.build())?;
        Ok(Batches { path, reader: Some(reader) })
    }

    fn projected(self, columns: Option<&[usize]>) -> Self {
        let Self { path, builder } = self;
        let mask = columns.map_or_else(ProjectionMask::all, |columns| {
            ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied())
        });
        Self { path, builder: builder.with_projection(mask) }
    }
}

/// A schema with one type for all variants of text, of bytes and of lists; nothing where it has no
/// other.
fn plain_schema(schema: &SchemaRef) -> Option<SchemaRef> {
    let fields: Fields = schema.fields().iter().map(plain_field).collect();
    let plain = Schema::new_with_metadata(fields, schema.metadata().clone());
    (plain != **schema).then(|| Arc::new(plain))
}

fn plain_field(field: &FieldRef) -> FieldRef {
    Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type())))
}

fn plain_type(of: &DataType) -> DataType {
    match of {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::List(item) | DataType::LargeList(item) => DataType::List(plain_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        // pandas' categories.
        DataType::Dictionary(_, value) => plain_type(value),
        other => other.clone(),
    }
}

/// Passes the footer and the header of each page, without their data, for what reads a file by
/// itself: a header of some kilobytes can claim as many elements as take hours to pass.
///
/// # Errors
/// When the file cannot be read, or one of them is damaged.
pub fn check_pages(path: &Path) -> Result<()> {
    let file = Checked::new(File::open(path).at(path)?).at(path)?;
    guarded(path, || {
        file.check_footer()?;
        let reader = SerializedFileReader::new(file)?;
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            for column in 0..group.num_columns() {
                let mut pages = group.get_column_page_reader(column)?;
                while pages.peek_next_page()?.is_some() {
                    pages.skip_next_page()?;
                }
            }
        }
        Ok(())
    })
}

/// Rows of a file, batch after batch; an error is the last.
pub struct Batches {
    path: PathBuf,
    reader: Option<ParquetRecordBatchReader>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let reader = self.reader.as_mut()?;
        let batch = guarded(&self.path, || Ok(reader.next().transpose()?)).transpose();
        if !matches!(batch, Some(Ok(_))) {
            self.reader = None;
        }
        batch
    }
}

fn guarded<T>(
    path: &Path,
    work: impl FnOnce() -> std::result::Result<T, ParquetError>,
) -> Result<T> {
    let damaged = |why| Err(ParquetError::General(format!("the file is damaged: {why}")));
    catch_panic(work).unwrap_or_else(damaged).at(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        Array, ArrayRef, AsArray, BinaryArray, DictionaryArray, Int64Array, LargeBinaryArray,
        LargeListBuilder, LargeStringArray, LargeStringBuilder, StringArray, StringViewArray,
    };
    use arrow::datatypes::Int8Type;
    use parquet::arrow::ArrowWriter;
    use parquet::basic::{Compression, ZstdLevel};
    use parquet::file::properties::WriterProperties;

    /// A file of 3,000 rows with texts, numbers, bytes and nulls, dictionaries and plain pages.
    fn file(compression: Compression, dictionary: bool) -> Vec<u8> {
        let url = |n: i64| format!("http://e.com/{n}.jpg");
        let columns: [(&str, ArrayRef); 4] = [
            ("url", Arc::new(StringArray::from_iter_values((0..3000).map(url)))),
            (
                "caption",
                Arc::new(
                    (0..3000)
                        .map(|n| (n % 3 > 0).then(|| format!("caption {}", n % 50)))
                        .collect::<StringArray>(),
                ),
            ),
            (
                "width",
                Arc::new((0..3000).map(|n| (n % 7 > 0).then_some(n)).collect::<Int64Array>()),
            ),
            ("image", Arc::new(BinaryArray::from_iter_values((0..3000u32).map(u32::to_le_bytes)))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let properties = WriterProperties::builder()
            .set_compression(compression)
            .set_dictionary_enabled(dictionary)
            .set_max_row_group_row_count(Some(150))
            .build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    fn read(path: &Path) -> Result<usize> {
        let file = ParquetFile::open(path)?;
        let _ = (file.rows(), file.schema().fields().len());
        file.batches(None, 512, 3)?.map(|batch| Ok(batch?.num_rows())).sum()
    }

    /// Two files of 1.2 KB that took 7 seconds of processor time for each reading.
    #[test]
    fn a_header_that_claims_more_than_the_file_has_is_refused_at_once() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/parquet");
        for name in ["claimed-fields", "claimed-lists"] {
            let path = folder.join(name);
            let read = || -> Result<()> {
                let batches = ParquetFile::open(&path)?.batches(None, 512, 0)?;
                batches.collect::<Result<Vec<_>>>().map(drop)
            };
            for error in [read().unwrap_err(), check_pages(&path).unwrap_err()] {
                let error = error.to_string();
                let place = ["in the header of a page", "in a footer"];
                assert!(place.iter().any(|place| error.contains(place)), "{error}");
            }
        }
    }

    /// 2,000 files with changed bits or bytes, cut, or with a stretch taken out, in footers and in
    /// pages.
    #[test]
    fn damage_of_any_kind_is_an_error_and_no_panic() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let mut state = 7u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below.max(1)
        };
        let zstd = Compression::ZSTD(ZstdLevel::try_new(1).unwrap());
        let whole = [file(zstd, true), file(zstd, false), file(Compression::UNCOMPRESSED, true)];
        let mut failed = 0;
        for round in 0..2000 {
            let mut bytes = whole[round % whole.len()].clone();
            let length = bytes.len();
            let footer = u32::from_le_bytes(bytes[length - 8..length - 4].try_into().unwrap());
            // The footer is small, and most of what can be wrong is there.
            let from = if round % 2 == 0 { length - 8 - footer as usize } else { 0 };
            for _ in 0..=draw(3) {
                let at = from + draw(length - from);
                match draw(4) {
                    0 => bytes[at] ^= 1 << draw(8),
                    1 => bytes[at] = [0, 0xff, 0x7f, 0x80, 0xfc][draw(5)],
                    2 => bytes[at..length.min(at + 9)].fill(0xff),
                    _ => bytes[at] = draw(256) as u8,
                }
            }
            match draw(8) {
                0 => bytes.truncate(draw(length)),
                1 => drop(bytes.drain(from + draw(length - from)..)),
                2 => {
                    let at = draw(length - 10);
                    drop(bytes.drain(at..at + 10));
                }
                _ => {}
            }
            std::fs::write(&path, &bytes).unwrap();
            let _ = check_pages(&path);
            if let Err(error) = read(&path) {
                assert!(error.is_damage() && error.to_string().contains("a.parquet"), "{error}");
                failed += 1;
            }
        }
        assert!(failed > 1000, "{failed}");
        std::fs::write(&path, &whole[0]).unwrap();
        assert_eq!(read(&path).unwrap(), 2997);
    }

    #[test]
    fn texts_lists_and_bytes_of_any_variant_are_read_as_one() {
        let mut lists = LargeListBuilder::new(LargeStringBuilder::new());
        lists.append_value([Some("a boat"), None]);
        lists.append_null();
        let category = vec![Some("en"), None].into_iter().collect::<DictionaryArray<Int8Type>>();
        let columns: [(&str, ArrayRef); 5] = [
            ("large", Arc::new(LargeStringArray::from(vec![Some("x"), None]))),
            ("view", Arc::new(StringViewArray::from(vec![Some("longer than twelve bytes"), None]))),
            ("category", Arc::new(category)),
            ("lists", Arc::new(lists.finish())),
            ("bytes", Arc::new(LargeBinaryArray::from(vec![Some(&b"y"[..]), None]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        let file = File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let file = ParquetFile::open(&path).unwrap();
        let texts = ["large", "view", "category"];
        for name in texts {
            assert_eq!(*file.schema().field_with_name(name).unwrap().data_type(), DataType::Utf8);
        }
        let read = file.batches(None, 8, 0).unwrap().next().unwrap().unwrap();
        let text = |name: &str| crate::columns::text(&read, name).unwrap().iter().next().unwrap();
        assert_eq!(texts.map(text), [Some("x"), Some("longer than twelve bytes"), Some("en")]);
        let list = read.column_by_name("lists").unwrap().as_list::<i32>().value(0);
        assert_eq!(list.as_string::<i32>().value(0), "a boat");
        assert_eq!(read.column_by_name("bytes").unwrap().as_binary::<i32>().value(0), b"y");
    }

    #[test]
    fn rows_are_read_by_their_numbers_across_row_groups() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.parquet");
        std::fs::write(&path, file(Compression::UNCOMPRESSED, true)).unwrap();
        let wanted = [0, 149, 150, 151, 1700, 2999, 3000];
        let batches = ParquetFile::open(&path).unwrap().rows_at(Some(&[0]), &wanted).unwrap();
        let batches: Vec<RecordBatch> = batches.collect::<Result<_>>().unwrap();
        let urls = batches.iter().flat_map(|batch| {
            assert_eq!(batch.num_columns(), 1);
            let column = batch.column(0).as_any().downcast_ref::<StringArray>().unwrap().clone();
            (0..column.len()).map(move |at| column.value(at).to_owned()).collect::<Vec<_>>()
        });
        // The last one is not there.
        let expected = wanted[..6].iter().map(|n| format!("http://e.com/{n}.jpg"));
        assert_eq!(urls.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let none = ParquetFile::open(&path).unwrap().rows_at(None, &[]).unwrap();
        assert_eq!(none.count(), 0);
    }

    #[test]
    fn a_list_longer_than_the_footer_is_refused_before_it_is_allocated() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("claims.parquet");
        let mut bytes = file(Compression::UNCOMPRESSED, true);
        let end = bytes.len() - 8;
        let footer = u32::from_le_bytes(bytes[end..end + 4].try_into().unwrap());
        // The field of the row groups (4, a list), of 20 structures.
        let at =
            (end - footer as usize..end).find(|&at| bytes[at..at + 3] == [0x19, 0xfc, 20]).unwrap();
        bytes.splice(at + 2..=at + 2, [0xff, 0xff, 0xff, 0xff, 7]);
        let length = bytes.len() - 8;
        bytes[length..length + 4].copy_from_slice(&(footer + 4).to_le_bytes());
        std::fs::write(&path, &bytes).unwrap();
        let refused = read(&path).unwrap_err().to_string();
        assert!(refused.contains("a list of 2147483647 elements"), "{refused}");
    }
}
