//! What a balance did, counted while its decisions pass: pairs of each query before and after.
//!
//! Decisions and parts both come in the order of rows, so one batch of each is in memory. A join of
//! all decisions with all queries would hold one side of it.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, AsArray, ListArray, RecordBatch, UInt32Array, UInt64Array, new_empty_array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, UInt32Type, UInt64Type};
use clip_corpus::{Batches, columns};
use clip_pipeline::PartInfo;

use crate::limits::Limits;
use crate::{Error, Result};

/// Rows that are read at a time.
const BATCH: usize = 8192;

/// What was decided, in numbers: memory holds them for each query, and rows pass.
pub(crate) struct Realised<'a> {
    /// Pairs in all.
    pub pairs: usize,
    /// Pairs that stay.
    pub kept: usize,
    /// By query.
    pub queries: HashMap<u32, QueryCount>,
    /// By language: pairs that have a query of it.
    pub languages: Vec<PairCount>,
    limits: &'a Limits,
    entries: Entries<'a>,
}

/// Pairs before and after.
#[derive(Default, Clone, Debug, PartialEq, Eq)]
pub(crate) struct PairCount {
    pub before: u64,
    pub after: u64,
}

/// Pairs of a query: a pair counts for each of its queries, and is charged to one.
#[derive(Default)]
pub(crate) struct QueryCount {
    pub before: u64,
    pub after: u64,
    pub charged: u64,
}

impl<'a> Realised<'a> {
    /// With the counts of the queries before the balance.
    pub fn new(counted: &[RecordBatch], inputs: &'a [PartInfo], limits: &'a Limits) -> Self {
        let mut queries = HashMap::new();
        for batch in counted {
            let query = batch["query"].as_primitive::<UInt32Type>().values();
            let before = batch["count"].as_primitive::<UInt64Type>().values();
            let counts = before.iter().map(|&before| QueryCount { before, ..Default::default() });
            queries.extend(query.iter().copied().zip(counts));
        }
        let entries = Entries { inputs: inputs.iter(), batches: None, batch: None };
        let languages = vec![PairCount::default(); limits.languages().len()];
        Self { pairs: 0, kept: 0, queries, languages, limits, entries }
    }

    /// Takes the next decisions, in the order of rows.
    pub fn add(&mut self, batch: &RecordBatch) -> Result<()> {
        self.pairs += batch.num_rows();
        let rows = batch["row"].as_primitive::<UInt64Type>().values();
        let reason = batch["reason"].as_string::<i32>();
        let query = batch["query"].as_primitive::<UInt32Type>();
        let every = !self.languages.is_empty();
        for at in (0..batch.num_rows()).filter(|&at| every || reason.is_null(at)) {
            let (entries, kept) = (self.entries.of(rows[at])?, reason.is_null(at));
            let first = entries.values().first().and_then(|&query| self.limits.language_of(query));
            if let Some(language) = first {
                self.languages[language].before += 1;
                self.languages[language].after += u64::from(kept);
            }
            if !kept {
                continue;
            }
            self.kept += 1;
            if query.is_valid(at) {
                self.queries.entry(query.value(at)).or_default().charged += 1;
            }
            for &entry in entries.values() {
                self.queries.entry(entry).or_default().after += 1;
            }
        }
        Ok(())
    }
}

/// The queries of rows that are asked for in their order.
struct Entries<'a> {
    inputs: std::slice::Iter<'a, PartInfo>,
    batches: Option<(&'a PartInfo, Batches)>,
    /// Rows, their queries, and the place of the row that was asked for last.
    batch: Option<(UInt64Array, ListArray, usize)>,
}

impl Entries<'_> {
    fn of(&mut self, row: u64) -> Result<UInt32Array> {
        loop {
            if let Some((rows, queries, at)) = &mut self.batch {
                *at += rows.values()[*at..].partition_point(|&other| other < row);
                if *at < rows.len() && rows.value(*at) == row {
                    let none = || new_empty_array(&DataType::UInt32);
                    let found = if queries.is_valid(*at) { queries.value(*at) } else { none() };
                    return Ok(found.as_primitive::<UInt32Type>().clone());
                }
            }
            let lost = || Error::result("balance", format!("row {row} is in no part"));
            match self.batches.as_mut().and_then(|(part, batches)| Some((*part, batches.next()?))) {
                Some((part, batch)) => self.batch = Some(columns_of(part, &batch?)?),
                None => {
                    let part = self.inputs.next().ok_or_else(lost)?;
                    let names = [columns::ROW, columns::QUERIES];
                    self.batches = Some((part, clip_corpus::scan(&part.path, &names, BATCH)?));
                }
            }
        }
    }
}

/// Rows and their queries.
fn columns_of(part: &PartInfo, batch: &RecordBatch) -> Result<(UInt64Array, ListArray, usize)> {
    let missing = |column: &str| Error::Column {
        query: "balance".to_owned(),
        table: part.path.display().to_string(),
        column: column.to_owned(),
    };
    let rows = columns::uint64(batch, columns::ROW).ok_or_else(|| missing(columns::ROW))?;
    let queries = batch.column_by_name(columns::QUERIES);
    let queries = queries.ok_or_else(|| missing(columns::QUERIES))?;
    let list = DataType::List(Arc::new(Field::new_list_field(DataType::UInt32, true)));
    let queries = cast(queries, &list).map_err(|e| Error::result("balance", e))?;
    Ok((rows.clone(), queries.as_list::<i32>().clone(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, ListBuilder, StringArray, UInt32Builder};
    use clip_query::LanguageIds;
    use std::path::Path;

    fn part(folder: &Path, part: usize, rows: &[(u64, Option<&[u32]>)]) -> PartInfo {
        let mut queries = ListBuilder::new(UInt32Builder::new());
        for (_, ids) in rows {
            ids.iter().for_each(|ids| queries.values().append_slice(ids));
            queries.append(ids.is_some());
        }
        let row = UInt64Array::from_iter_values(rows.iter().map(|row| row.0));
        let columns: [(&str, ArrayRef); 2] =
            [("row", Arc::new(row)), ("queries", Arc::new(queries.finish()))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let path = folder.join(format!("{part}.parquet"));
        clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
        PartInfo { part, path, rows: rows.len() as u64, images: None, embeddings: None }
    }

    fn decided(rows: &[(u64, Option<&str>, Option<u32>)]) -> RecordBatch {
        let columns: [(&str, ArrayRef); 3] = [
            ("row", Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.0)))),
            ("reason", Arc::new(rows.iter().map(|row| row.1).collect::<StringArray>())),
            ("query", Arc::new(rows.iter().map(|row| row.2).collect::<UInt32Array>())),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    #[test]
    fn pairs_count_for_all_their_queries_in_any_batches() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = [
            part(folder.path(), 0, &[(3, Some(&[1, 2])), (4, None), (9, Some(&[2]))]),
            part(folder.path(), 1, &[]),
            part(folder.path(), 2, &[(20, Some(&[])), (21, Some(&[1, 7]))]),
        ];
        let ids: ArrayRef = Arc::new(UInt32Array::from(vec![1, 2, 7]));
        let counts: ArrayRef = Arc::new(UInt64Array::from(vec![2, 2, 1]));
        let counted = RecordBatch::try_from_iter([("query", ids), ("count", counts)]).unwrap();
        let rows = [
            (3, None, Some(1)),
            (4, None, None),
            (9, Some("over_limit"), Some(2)),
            (20, Some("no_query"), None),
            (21, None, Some(7)),
        ];
        let ids = |language: &str, ids| LanguageIds { language: language.into(), ids };
        let limits = Limits::new(9, &[ids("en", 0..7), ids("ja", 7..9)], &[]);
        for size in [1, 2, 5] {
            let mut realised = Realised::new(std::slice::from_ref(&counted), &inputs, &limits);
            rows.chunks(size).for_each(|rows| realised.add(&decided(rows)).unwrap());
            assert_eq!((realised.pairs, realised.kept), (5, 3));
            // The first query of a pair says its language.
            let pairs = [(3, 2), (0, 0)].map(|(before, after)| PairCount { before, after });
            assert_eq!(realised.languages, pairs);
            let mut found: Vec<_> = realised.queries.iter().collect();
            found.sort_by_key(|(query, _)| **query);
            let found = found.into_iter().map(|(q, c)| (*q, c.before, c.after, c.charged));
            assert_eq!(found.collect::<Vec<_>>(), [(1, 2, 2, 1), (2, 2, 1, 0), (7, 1, 1, 1)]);
        }
        let mut realised = Realised::new(&[counted], &inputs, &limits);
        let error = realised.add(&decided(&[(5, None, None)])).unwrap_err().to_string();
        assert!(error.contains("row 5 is in no part"), "{error}");
    }
}
