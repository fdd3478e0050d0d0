//! The rows of a list, cut into shards as they are read.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Float32Type};
use clip_corpus::ShardNames;
use clip_pipeline::config::source::CaptionList;
use clip_pipeline::{Error, Result};

use crate::list::{Batches, Column, ListFile, batches};
use crate::window::memory_of;

/// Rows that are fetched and written together.
#[derive(Debug, Clone)]
pub(super) struct Shard {
    pub id: usize,
    /// The wanted columns of its rows.
    pub rows: RecordBatch,
    /// The keys of a shard that is there. img2dataset writes rows in the order in which they
    /// ended, and `forget` removes some: their places are not their keys.
    pub keys: Option<StringArray>,
}

impl Shard {
    /// The keys of its rows: those that they have, else their places in the list.
    pub fn keys(&self, names: ShardNames) -> StringArray {
        self.keys.clone().unwrap_or_else(|| {
            let keys = (0..self.rows.num_rows()).map(|row| names.sample(self.id, row));
            StringArray::from_iter_values(keys)
        })
    }

    /// About the memory that it takes until it is written.
    pub fn bytes(&self) -> u64 {
        memory_of(&self.rows)
    }

    /// A cell of a text column.
    pub fn text(&self, name: &str, row: usize) -> Option<&str> {
        let column = self.rows.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    /// The boxes of a row: a list of lists of four numbers. None when the cell is null.
    pub fn boxes(&self, name: &str, row: usize) -> Option<Vec<clip_image::BoundingBox>> {
        let column = self.rows.column_by_name(name)?;
        let item = |inner: ArrayRef| -> Option<Vec<f32>> {
            let floats = cast(&inner, &DataType::Float32).ok()?;
            Some(floats.as_primitive_opt::<Float32Type>()?.values().to_vec())
        };
        if let Some(text) = column.as_string_opt::<i32>() {
            // Text formats have no lists: `[[0.1, 0.2, 0.3, 0.4]]`.
            return serde_json::from_str(text.is_valid(row).then(|| text.value(row))?).ok();
        }
        let boxes = list_item(column, row)?;
        (0..boxes.len())
            .map(|at| item(list_item(&boxes, at)?)?.try_into().ok())
            .collect::<Option<Vec<clip_image::BoundingBox>>>()
    }
}

fn list_item(column: &ArrayRef, row: usize) -> Option<ArrayRef> {
    if column.is_null(row) {
        return None;
    }
    match column.data_type() {
        DataType::List(_) => Some(column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => Some(column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => Some(column.as_fixed_size_list().value(row)),
        _ => None,
    }
}

/// Which shards are not to be made.
pub(super) struct Skip {
    /// Numbers of those that are there.
    pub done: HashSet<usize>,
    /// Of N jobs, the number of this one.
    pub job: Option<(usize, usize)>,
}

impl Skip {
    /// Whether a shard is to be made.
    pub fn wants(&self, shard: usize) -> bool {
        !self.done.contains(&shard) && self.job.is_none_or(|(job, jobs)| shard % jobs == job)
    }
}

/// Cuts files into shards of this many rows, numbered from `first` on. Every file starts a new
/// shard, as img2dataset does it; shards that are skipped keep their number.
pub(super) struct Shards {
    pub files: Vec<ListFile>,
    pub columns: Vec<Column>,
    pub rows: usize,
    pub first: usize,
    /// The first number that is another list's.
    pub end: Option<usize>,
    pub skip: Skip,
}

impl Shards {
    /// The rows of the shards that are wanted, where the files say how many they have: Parquet
    /// does, text must be read to its end.
    pub fn total(&self) -> Option<u64> {
        if self.columns.iter().any(|column| column.lists == CaptionList::All) {
            return None;
        }
        let rows: Option<Vec<u64>> = self.files.iter().map(ListFile::rows).collect();
        Some(wanted_rows(&rows?, self.rows as u64, self.first, &self.skip))
    }

    /// Gives each shard to `visit` until it says stop; returns how many were skipped.
    pub fn each(&self, visit: &mut dyn FnMut(Shard) -> bool) -> Result<usize> {
        let (mut id, mut skipped) = (self.first, 0);
        for file in &self.files {
            let mut reader = Reader { batches: batches(file, &self.columns, 0)?, pending: None };
            loop {
                let wanted = self.skip.wants(id);
                let rows = reader.take(self.rows, wanted)?;
                let Some(rows) = rows else { break };
                if self.end.is_some_and(|end| id >= end) {
                    return Err(Error::Config(format!(
                        "{}: its shard {id} is another list's, which was fetched later\n\
                         hint: fetch this list into a folder of its own",
                        file.path.display()
                    )));
                }
                if wanted {
                    let Taken::Rows(rows) = rows else { break };
                    if !visit(Shard { id, rows: rows.map_err(|e| bad(file, e))?, keys: None }) {
                        return Ok(skipped);
                    }
                } else {
                    skipped += 1;
                }
                id += 1;
            }
        }
        Ok(skipped)
    }
}

/// Of files with these numbers of rows, cut into shards of `most` that are numbered from `first`
/// on, the rows that are not skipped.
fn wanted_rows(files: &[u64], most: u64, first: usize, skip: &Skip) -> u64 {
    let shards = files
        .iter()
        .flat_map(|&rows| (0..rows.div_ceil(most)).map(move |at| most.min(rows - at * most)));
    let wanted = shards.enumerate().filter(|(at, _)| skip.wants(first + at));
    wanted.map(|(_, rows)| rows).sum()
}

fn bad(file: &ListFile, error: impl std::fmt::Display) -> Error {
    Error::stage("fetch", format!("{}: {error}", file.path.display()))
}

struct Reader {
    batches: Batches,
    pending: Option<RecordBatch>,
}

enum Taken {
    Rows(std::result::Result<RecordBatch, arrow::error::ArrowError>),
    Passed,
}

impl Reader {
    /// The next `most` rows, or fewer at the end of the file; nothing when there are none.
    fn take(&mut self, most: usize, wanted: bool) -> Result<Option<Taken>> {
        let (mut pieces, mut rows) = (Vec::new(), 0);
        while rows < most {
            let batch = match self.pending.take() {
                Some(batch) => batch,
                None => match self.batches.next().transpose()? {
                    Some(batch) => batch,
                    None => break,
                },
            };
            let take = batch.num_rows().min(most - rows);
            if take < batch.num_rows() {
                self.pending = Some(batch.slice(take, batch.num_rows() - take));
            }
            rows += take;
            if wanted {
                pieces.push(batch.slice(0, take));
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        Ok(Some(match pieces.first() {
            Some(first) => Taken::Rows(concat_batches(&Arc::clone(&first.schema()), &pieces)),
            None => Taken::Passed,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_skipped_are_not_counted() {
        let skip = |done: &[usize], job| Skip { done: done.iter().copied().collect(), job };
        // Shards 0 to 2 of 10, 10 and 5 rows, then 3 and 4 of 10 and 1.
        let rows = |skip: Skip| wanted_rows(&[25, 11, 0], 10, 0, &skip);
        assert_eq!(rows(skip(&[], None)), 36);
        assert_eq!(rows(skip(&[0, 2], None)), 21);
        assert_eq!(rows(skip(&[], Some((1, 2)))), 20);
        assert_eq!(rows(skip(&[0], Some((0, 2)))), 6);
    }
}
