//! The limit of each query: one for all, or one for the queries of each language.

use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use clip_query::LanguageIds;

use crate::tail::{limit_of, share_below};
use crate::{Error, Result};

/// Limits of languages; of the first, or of all queries where there are none, the limit that was
/// asked for.
pub(crate) struct Limits {
    limit: u64,
    languages: Vec<(LanguageIds, u64)>,
}

impl Limits {
    /// Carries the limit over to the other languages: there the tail has the share of all matches
    /// that it has in the first (MetaCLIP 2, section 3.2). A first language without any match has
    /// no tail to follow, and its limit is that of all.
    pub fn new(limit: u64, languages: &[LanguageIds], counted: &[RecordBatch]) -> Self {
        let counts = |own: &LanguageIds| -> Vec<u64> {
            let of = |batch: &RecordBatch| {
                let (queries, counts) = columns(batch);
                let pairs = queries.iter().copied().zip(counts.iter().copied());
                pairs.filter(|(query, _)| own.ids.contains(query)).map(|(_, n)| n).collect()
            };
            counted.iter().flat_map(|batch| -> Vec<u64> { of(batch) }).collect()
        };
        let share = languages.first().and_then(|first| share_below(&counts(first), limit));
        let own = languages.iter().enumerate().map(|(at, own)| {
            let followed = share.filter(|_| at > 0).and_then(|share| limit_of(&counts(own), share));
            (own.clone(), followed.unwrap_or(limit))
        });
        Self { limit, languages: own.collect() }
    }

    /// Each language with its ids and its limit; none where one limit is that of all.
    pub fn languages(&self) -> &[(LanguageIds, u64)] {
        &self.languages
    }

    /// The place of a query's language among them.
    pub fn language_of(&self, query: u32) -> Option<usize> {
        let at = self.languages.partition_point(|(own, _)| own.ids.end <= query);
        (at < self.languages.len()).then_some(at)
    }

    /// The limit of a query.
    pub fn of(&self, query: u32) -> u64 {
        self.language_of(query).map_or(self.limit, |at| self.languages[at].1)
    }

    /// Counts of queries with the limit of each beside them, as `most`.
    pub fn beside(&self, counted: &[RecordBatch]) -> Result<(SchemaRef, Vec<RecordBatch>)> {
        let fields = [
            Field::new("query", DataType::UInt32, false),
            Field::new("count", DataType::UInt64, false),
            Field::new("most", DataType::UInt64, false),
        ];
        let schema = Arc::new(Schema::new(fields.to_vec()));
        let with = |batch: &RecordBatch| {
            let most = columns(batch).0.iter().map(|&query| self.of(query));
            let most = Arc::new(UInt64Array::from_iter_values(most));
            let columns = vec![batch["query"].clone(), batch["count"].clone(), most];
            RecordBatch::try_new(schema.clone(), columns)
        };
        let batches = counted.iter().map(with).collect::<std::result::Result<_, _>>();
        Ok((schema.clone(), batches.map_err(|e| Error::result("balance", e))?))
    }
}

/// Queries and their counts.
fn columns(batch: &RecordBatch) -> (&[u32], &[u64]) {
    let queries = batch["query"].as_primitive::<UInt32Type>().values();
    (queries, batch["count"].as_primitive::<UInt64Type>().values())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, UInt32Array};
    use std::ops::Range;

    fn counted(counts: &[(u32, u64)]) -> RecordBatch {
        let queries: ArrayRef =
            Arc::new(UInt32Array::from_iter_values(counts.iter().map(|count| count.0)));
        let counts = UInt64Array::from_iter_values(counts.iter().map(|count| count.1));
        RecordBatch::try_from_iter([("query", queries), ("count", Arc::new(counts) as ArrayRef)])
            .unwrap()
    }

    fn languages(ids: &[(&str, Range<u32>)]) -> Vec<LanguageIds> {
        let own = |(language, ids): &(&str, Range<u32>)| LanguageIds {
            language: (*language).to_owned(),
            ids: ids.clone(),
        };
        ids.iter().map(own).collect()
    }

    #[test]
    fn each_language_has_the_tail_of_the_first() {
        let own = languages(&[("en", 0..10), ("de", 10..20), ("ja", 20..30), ("th", 30..40)]);
        // Below 20: 10 of 100 matches. In `de` 5 of 50 are up to 3, in `ja` all are one query's.
        let counted =
            [counted(&[(0, 4), (1, 6), (9, 90), (10, 2), (11, 3)]), counted(&[(19, 45), (20, 7)])];
        let limits = Limits::new(20, &own, &counted);
        let found: Vec<u64> = limits.languages().iter().map(|(_, limit)| *limit).collect();
        assert_eq!(found, [20, 3, 7, 20]);
        assert_eq!(
            [0, 9, 10, 19, 20, 39, 40].map(|query| limits.of(query)),
            [20, 20, 3, 3, 7, 20, 20]
        );
        let (_, batches) = limits.beside(&counted).unwrap();
        let most = batches[1]["most"].as_primitive::<UInt64Type>().values();
        assert_eq!(most[..], [3, 7]);
    }

    #[test]
    fn without_languages_or_without_matches_one_limit_is_that_of_all() {
        let counted = [counted(&[(3, 4), (12, 6)])];
        assert_eq!(Limits::new(20, &[], &counted).of(12), 20);
        let own = languages(&[("en", 0..3), ("de", 3..20)]);
        assert_eq!(Limits::new(20, &own, &counted).of(12), 20);
    }
}
