//! Rows of many Parquet files as one list, of which a page reads few.
//!
//! A page names the row that it begins with. What comes before it is skipped by row groups and
//! pages, a filter reads the columns that it asks about, and the others are read of the rows that
//! it found. A search ends when it has a page's rows, or has taken its time: the next page resumes
//! there.

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{Schema, SchemaRef};
use clip_corpus::{ParquetFile, cell};
use clip_pipeline::RowCondition;
use clip_sql::{CompiledCondition, Condition};
use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// Rows that are read at a time.
const BATCH: usize = 8192;
/// Rows that a thread searches before it is known whether more are needed.
const CHUNK: u64 = 65_536;

/// Some Parquet files, in order.
pub(crate) struct Tables {
    files: Vec<TableFile>,
    schema: SchemaRef,
}

/// A file, and the number of its first row among all.
pub(crate) struct TableFile {
    pub path: PathBuf,
    pub rows: Range<u64>,
}

/// The rows of a page.
pub(crate) struct Found {
    /// Their numbers among all, ascending.
    pub rows: Vec<u64>,
    /// The rows that were looked at.
    pub searched: Range<u64>,
}

impl Tables {
    /// Reads the footers of files.
    ///
    /// # Errors
    /// When there are none, or one is damaged.
    pub fn open(paths: Vec<PathBuf>) -> Result<Self> {
        let count = |path: &PathBuf| Ok(clip_corpus::parquet_rows(path)?);
        let counts: Vec<u64> = paths.par_iter().map(count).collect::<Result<_>>()?;
        let first = paths.first().ok_or_else(|| Error::absent("a Parquet table"))?;
        let schema = clip_corpus::schema_of(first)?;
        let mut start = 0;
        let file = |(path, count)| {
            let rows = start..start + count;
            start = rows.end;
            TableFile { path, rows }
        };
        Ok(Self { files: paths.into_iter().zip(counts).map(file).collect(), schema })
    }

    /// The columns, of the first file.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Number of rows.
    pub fn rows(&self) -> u64 {
        self.files.last().map_or(0, |file| file.rows.end)
    }

    /// The files, in order.
    pub fn files(&self) -> impl Iterator<Item = &TableFile> {
        self.files.iter()
    }

    /// The file of a row.
    pub fn file_of(&self, row: u64) -> Option<&TableFile> {
        self.files.get(self.files.partition_point(|file| file.rows.end <= row))
    }

    /// Up to `wanted` rows from number `from` on that meet a condition, or all do without one.
    ///
    /// # Errors
    /// When a file is damaged, or the condition does not fit its columns.
    pub fn find(
        &self,
        condition: Option<&str>,
        from: u64,
        wanted: usize,
        time: Duration,
    ) -> Result<Found> {
        let end = self.rows();
        let from = from.min(end);
        let Some(text) = condition else {
            let rows: Vec<u64> = (from..end.min(from + wanted as u64)).collect();
            return Ok(Found { searched: from..from + rows.len() as u64, rows });
        };
        let condition = Condition::new(text, self.schema())?;
        let compiled = CompiledCondition::parse(text)?;
        let started = Instant::now();
        let mut found = Found { rows: Vec::new(), searched: from..from };
        // The first rows may be enough; then each wave is larger.
        let mut chunk = BATCH as u64;
        while found.searched.end < end && found.rows.len() < wanted {
            if !found.searched.is_empty() && started.elapsed() > time {
                break;
            }
            let wave = self.wave(found.searched.end, chunk, rayon::current_num_threads());
            let matched =
                wave.par_iter().map(|(file, rows)| search(file, rows, &condition, &compiled));
            for rows in matched.collect::<Result<Vec<_>>>()? {
                found.rows.extend(rows);
            }
            found.searched.end = wave.last().map_or(end, |(_, rows)| rows.end);
            chunk = (2 * chunk).min(CHUNK);
        }
        if found.rows.len() > wanted {
            found.rows.truncate(wanted);
            found.searched.end = found.rows.last().map_or(end, |row| row + 1);
        }
        Ok(found)
    }

    /// Up to `count` stretches of at most `chunk` rows, each within a file.
    fn wave(&self, from: u64, chunk: u64, count: usize) -> Vec<(&TableFile, Range<u64>)> {
        let (mut wave, mut at) = (Vec::new(), from);
        while wave.len() < count
            && let Some(file) = self.file_of(at)
        {
            let end = (at + chunk).min(file.rows.end);
            wave.push((file, at..end));
            at = end;
        }
        wave
    }

    /// Cells of rows, whose numbers ascend, of the columns of these names that there are; of all
    /// where none is named.
    ///
    /// # Errors
    /// When a file is damaged.
    pub fn cells(&self, rows: &[u64], columns: &[String]) -> Result<Vec<Map<String, Value>>> {
        let groups: Vec<&[u64]> = rows
            .chunk_by(|a, b| {
                self.file_of(*a).map(|f| f.rows.start) == self.file_of(*b).map(|f| f.rows.start)
            })
            .collect();
        let read = |rows: &&[u64]| {
            let file =
                self.file_of(rows[0]).ok_or_else(|| Error::absent(format!("row {}", rows[0])))?;
            let places: Vec<usize> =
                rows.iter().map(|row| (row - file.rows.start) as usize).collect();
            // A column is as costly as all rows are.
            let of_column = |name: &String| cells_of(file, &places, std::slice::from_ref(name));
            let parts: Vec<Vec<Map<String, Value>>> = if columns.is_empty() {
                vec![cells_of(file, &places, &[])?]
            } else {
                columns.par_iter().map(of_column).collect::<Result<_>>()?
            };
            let mut merged = vec![Map::new(); rows.len()];
            for part in parts {
                for (row, cells) in merged.iter_mut().zip(part) {
                    row.extend(cells);
                }
            }
            Ok(merged)
        };
        Ok(groups.par_iter().map(read).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// The rows of a stretch of a file that meet a condition.
fn search(
    file: &TableFile,
    rows: &Range<u64>,
    condition: &Condition,
    compiled: &CompiledCondition,
) -> Result<Vec<u64>> {
    let table = ParquetFile::open(&file.path)?;
    let places = places(table.schema(), condition.columns());
    let skip = (rows.start - file.rows.start) as usize;
    // A condition of no column is of any one.
    let places = if places.is_empty() { vec![0] } else { places };
    let (mut found, mut at) = (Vec::new(), rows.start);
    let length = (rows.end - rows.start) as usize;
    for batch in table.batches(Some(&places), BATCH.min(length), skip)? {
        let batch = batch?;
        let batch = batch.slice(0, batch.num_rows().min((rows.end - at) as usize));
        let met = compiled.matches(&batch)?;
        found.extend((at..).zip(met).filter_map(|(row, met)| met.then_some(row)));
        at += batch.num_rows() as u64;
        if at >= rows.end {
            break;
        }
    }
    Ok(found)
}

fn places(schema: &Schema, names: &[String]) -> Vec<usize> {
    let fields = schema.fields().iter().enumerate();
    fields.filter(|(_, field)| names.contains(field.name())).map(|(place, _)| place).collect()
}

fn cells_of(
    file: &TableFile,
    rows: &[usize],
    columns: &[String],
) -> Result<Vec<Map<String, Value>>> {
    let table = ParquetFile::open(&file.path)?;
    let places = places(table.schema(), columns);
    if places.is_empty() && !columns.is_empty() {
        return Ok(vec![Map::new(); rows.len()]);
    }
    let mut cells = Vec::with_capacity(rows.len());
    for batch in table.rows_at((!columns.is_empty()).then_some(&places), rows)? {
        let batch = batch?;
        cells.extend((0..batch.num_rows()).map(|at| row_cells(&batch, at)));
    }
    Ok(cells)
}

fn row_cells(batch: &RecordBatch, at: usize) -> Map<String, Value> {
    let fields = batch.schema();
    let columns = fields.fields().iter().zip(batch.columns());
    let cells = columns.filter_map(|(field, column)| {
        Some((field.name().clone(), cell(column as &dyn Array, at)?))
    });
    cells.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, StringArray, UInt32Array};
    use std::sync::Arc;

    const LONG: Duration = Duration::from_secs(3600);

    fn table(folder: &std::path::Path, name: &str, rows: Range<u32>) -> PathBuf {
        let caption =
            |n: u32| format!("number {n}{}", if n.is_multiple_of(1000) { " round" } else { "" });
        let texts: ArrayRef = Arc::new(StringArray::from_iter_values(rows.clone().map(caption)));
        let numbers: ArrayRef = Arc::new(UInt32Array::from_iter_values(rows));
        let batch = RecordBatch::try_from_iter([("caption", texts), ("width", numbers)]).unwrap();
        let path = folder.join(name);
        clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
        path
    }

    #[test]
    fn pages_follow_each_other_over_files_and_row_groups() {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![
            table(folder.path(), "0.parquet", 0..70_000),
            table(folder.path(), "1.parquet", 70_000..70_000),
            table(folder.path(), "2.parquet", 70_000..150_500),
        ];
        let tables = Tables::open(files).unwrap();
        assert_eq!(tables.rows(), 150_500);
        let found = tables.find(None, 69_998, 4, LONG).unwrap();
        assert_eq!(
            (found.rows.clone(), found.searched),
            (vec![69_998, 69_999, 70_000, 70_001], 69_998..70_002)
        );
        let cells = tables.cells(&found.rows, &["caption".into(), "none".into()]).unwrap();
        let captions: Vec<&str> =
            cells.iter().map(|row| row["caption"].as_str().unwrap()).collect();
        assert_eq!(
            captions,
            ["number 69998", "number 69999", "number 70000 round", "number 70001"]
        );
        assert_eq!(cells[0].len(), 1);
        assert_eq!(tables.cells(&found.rows, &[]).unwrap()[3]["width"], 70_001);
        let (mut all, mut from) = (Vec::new(), 0);
        while from < tables.rows() {
            let found = tables.find(Some("caption LIKE '%round%'"), from, 20, LONG).unwrap();
            assert!(found.rows.len() <= 20 && found.searched.start == from);
            all.extend(found.rows);
            from = found.searched.end;
        }
        assert_eq!(all, (0..=150).map(|n| n * 1000).collect::<Vec<u64>>());
        let one = tables.find(Some("width = 150499"), 0, 20, LONG).unwrap();
        assert_eq!((one.rows, one.searched), (vec![150_499], 0..150_500));
        assert!(tables.find(None, 1 << 40, 20, LONG).unwrap().rows.is_empty());
        assert_eq!(tables.find(Some("true"), 3, 2, LONG).unwrap().rows, [3, 4]);
    }

    #[test]
    fn a_search_that_took_its_time_resumes_where_it_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::open(vec![table(folder.path(), "0.parquet", 0..150_000)]).unwrap();
        let (mut rows, mut from, mut pages) = (Vec::new(), 0, 0);
        while from < tables.rows() {
            let found = tables.find(Some("width >= 149999"), from, 20, Duration::ZERO).unwrap();
            assert!(found.searched.end > from);
            rows.extend(found.rows);
            (from, pages) = (found.searched.end, pages + 1);
        }
        assert_eq!(rows, [149_999]);
        assert!(pages > 1, "{pages}");
    }

    #[test]
    fn a_condition_that_means_nothing_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let tables = Tables::open(vec![table(folder.path(), "0.parquet", 0..3)]).unwrap();
        let error = tables.find(Some("colour = 3"), 0, 20, LONG).err().unwrap().to_string();
        assert!(error.contains("no column \"colour\"\nhint: there are caption, width"), "{error}");
        assert!(Tables::open(Vec::new()).is_err());
    }
}
