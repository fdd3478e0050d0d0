//! The list itself: every query with where it came from.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, UInt64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{Error, Result};

/// Longest query that is kept, in bytes: longer lines are no queries but faults of their source.
const MAX_BYTES: usize = 256;

/// Where a query came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuerySource {
    /// "0" to "99".
    Numeral,
    /// A name of a WordNet synset.
    Wordnet,
    /// A frequent word.
    Unigram,
    /// A pair of words that occur together.
    Bigram,
    /// The title of an article.
    Title,
    /// A line of a plain list.
    List,
}

impl QuerySource {
    /// All of them, in the order of a list.
    pub const ALL: [Self; 6] =
        [Self::Numeral, Self::Wordnet, Self::Unigram, Self::Bigram, Self::Title, Self::List];

    /// The name in files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Numeral => "numeral",
            Self::Wordnet => "wordnet",
            Self::Unigram => "unigram",
            Self::Bigram => "bigram",
            Self::Title => "title",
            Self::List => "list",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|source| source.name() == name)
    }
}

/// One query.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// Its text.
    pub text: String,
    /// Where it came from.
    pub source: QuerySource,
    /// How often its source had it (occurrences, views); 0 where that is not known.
    pub count: u64,
    /// What ranked it: PMI in bits for bigrams, else the count.
    pub score: f64,
}

/// "0" to "99": MetaCLIP's list begins with them.
pub fn numerals() -> Vec<Query> {
    (0..100)
        .map(|n: u32| Query {
            text: n.to_string(),
            source: QuerySource::Numeral,
            count: 0,
            score: 0.0,
        })
        .collect()
}

/// Queries in order; a query's id is its place. No text stands twice.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryList(Vec<Query>);

impl QueryList {
    /// Appends queries until `limit` is reached, passing over empty, overlong and repeated texts; returns
    /// how many were passed over.
    pub fn extend(&mut self, queries: impl IntoIterator<Item = Query>, limit: usize) -> usize {
        let mut seen: HashSet<String> = self.0.iter().map(|query| query.text.clone()).collect();
        let mut passed = 0;
        for query in queries {
            if self.0.len() >= limit {
                break;
            }
            let blank = query.text.trim().is_empty() || query.text.len() > MAX_BYTES;
            let mark = query.text.chars().all(|c| c.is_ascii_punctuation());
            if blank || mark || !seen.insert(query.text.clone()) {
                passed += 1;
            } else {
                self.0.push(query);
            }
        }
        passed
    }

    /// The queries, by id.
    pub fn queries(&self) -> &[Query] {
        &self.0
    }

    /// Reads a Parquet list, or a text file with one query a line.
    pub fn load(path: &Path) -> Result<Self> {
        if path.extension().is_some_and(|ext| ext == "parquet") {
            return Self::load_parquet(path);
        }
        let bytes = std::fs::read(path).map_err(|e| Error::io(path, e))?;
        let mut queries = Vec::new();
        for (index, line) in bytes.split(|&b| b == b'\n').enumerate() {
            let line = std::str::from_utf8(line).map_err(|_| Error::Line {
                path: path.to_path_buf(),
                line: index + 1,
                reason: "not UTF-8".into(),
            })?;
            let text = line.trim_end_matches('\r').to_owned();
            queries.push(Query { text, source: QuerySource::List, count: 0, score: 0.0 });
        }
        let mut list = Self::default();
        list.extend(queries, usize::MAX);
        Ok(list)
    }

    fn load_parquet(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(|b| b.build());
        let mut queries = Vec::new();
        for batch in reader.map_err(|e| Error::table(path, e))? {
            let batch = batch.map_err(|e| Error::table(path, e))?;
            let text = |name| batch.column_by_name(name).and_then(|c| c.as_string_opt::<i32>());
            let (Some(texts), Some(sources)) = (text("query"), text("source")) else {
                return Err(Error::table(path, "no text columns `query` and `source`"));
            };
            let counts =
                batch.column_by_name("count").and_then(|c| c.as_primitive_opt::<UInt64Type>());
            let scores =
                batch.column_by_name("score").and_then(|c| c.as_primitive_opt::<Float64Type>());
            for row in 0..texts.len() {
                queries.push(Query {
                    text: texts.value(row).to_owned(),
                    source: QuerySource::parse(sources.value(row)).unwrap_or(QuerySource::List),
                    count: counts.map_or(0, |c| c.value(row)),
                    score: scores.map_or(0.0, |c| c.value(row)),
                });
            }
        }
        Ok(Self(queries))
    }

    /// Writes the list as Parquet: `query`, `source`, `count`, `score`.
    pub fn save(&self, path: &Path) -> Result<()> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("query", DataType::Utf8, false),
            Field::new("source", DataType::Utf8, false),
            Field::new("count", DataType::UInt64, false),
            Field::new("score", DataType::Float64, false),
        ]));
        let queries = || self.0.iter();
        let batch = RecordBatch::try_new(
            schema.clone(),
            vec![
                Arc::new(StringArray::from_iter_values(queries().map(|q| &q.text))),
                Arc::new(StringArray::from_iter_values(queries().map(|q| q.source.name()))),
                Arc::new(UInt64Array::from_iter_values(queries().map(|q| q.count))),
                Arc::new(Float64Array::from_iter_values(queries().map(|q| q.score))),
            ],
        );
        let batch = batch.map_err(|e| Error::table(path, e))?;
        let temporary = path.with_extension("tmp");
        let file = File::create(&temporary).map_err(|e| Error::io(&temporary, e))?;
        let mut writer =
            ArrowWriter::try_new(file, schema, None).map_err(|e| Error::table(path, e))?;
        writer.write(&batch).map_err(|e| Error::table(path, e))?;
        writer.close().map_err(|e| Error::table(path, e))?;
        std::fs::rename(&temporary, path).map_err(|e| Error::io(path, e))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_keep_order_and_provenance_and_drop_what_is_no_query() {
        let query = |text: &str| Query {
            text: text.into(),
            source: QuerySource::Title,
            count: 7,
            score: 1.5,
        };
        let mut list = QueryList::default();
        let passed = list.extend(["a", "", "b", "a", "?!", &"x".repeat(300), "c"].map(query), 10);
        assert_eq!((list.queries().len(), passed), (3, 4));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.parquet");
        list.save(&path).unwrap();
        assert_eq!(QueryList::load(&path).unwrap(), list);
    }

    #[test]
    fn a_text_list_in_another_encoding_names_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("q.txt");
        std::fs::write(&path, b"apple\r\ncaf\xe9\n").unwrap();
        let message = QueryList::load(&path).unwrap_err().to_string();
        assert!(message.ends_with("line 2: not UTF-8"), "{message}");
    }
}
