//! Runs `sql/tests/*.slt`: what each query file gives for small tables.
//!
//! Beside SQL, a record may say `run FILE name=value …`: the query file of that name with its
//! parameters.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::util::display::array_value_to_string;
use clip_sql::{Error, Session, query};
use sqllogictest::{DB, DBOutput, DefaultColumnType, Runner};

struct Database {
    session: Session,
    _scratch: tempfile::TempDir,
}

impl Database {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        Self { session: Session::new(scratch.path()).unwrap(), _scratch: scratch }
    }
}

impl DB for Database {
    type Error = Error;
    type ColumnType = DefaultColumnType;

    fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, Error> {
        let batches = match sql.trim().strip_prefix("run ") {
            Some(command) => {
                let mut words = command.split_whitespace();
                let query = query(words.next().unwrap_or_default())?;
                let values: Vec<(&str, u64)> = words
                    .filter_map(|word| word.split_once('='))
                    .map(|(name, value)| (name, value.parse().unwrap()))
                    .collect();
                let batches = self.session.run(&query, &values)?;
                assert!(batches.iter().all(|batch| batch.schema() == query.outputs));
                batches
            }
            None => self.session.sql(sql)?,
        };
        let Some(first) = batches.first().filter(|batch| batch.num_columns() > 0) else {
            return Ok(DBOutput::StatementComplete(0));
        };
        let types = first.schema().fields().iter().map(|field| kind(field.data_type())).collect();
        let rows = batches.iter().flat_map(cells).collect();
        Ok(DBOutput::Rows { types, rows })
    }
}

fn kind(kind: &DataType) -> DefaultColumnType {
    match kind {
        kind if kind.is_integer() => DefaultColumnType::Integer,
        kind if kind.is_floating() => DefaultColumnType::FloatingPoint,
        _ => DefaultColumnType::Text,
    }
}

fn cells(batch: &RecordBatch) -> Vec<Vec<String>> {
    let cell = |row: usize, column: &arrow::array::ArrayRef| match column.data_type() {
        _ if column.is_null(row) => "NULL".to_owned(),
        kind if kind.is_floating() => {
            let value: f64 = array_value_to_string(column, row).unwrap().parse().unwrap();
            format!("{value:.4}")
        }
        _ => array_value_to_string(column, row).unwrap(),
    };
    (0..batch.num_rows())
        .map(|row| batch.columns().iter().map(|column| cell(row, column)).collect())
        .collect()
}

#[test]
fn query_files_give_what_their_tests_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../sql/tests");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Database::new()) });
        runner.run_file(&file).unwrap_or_else(|error| panic!("{error}"));
    }
}
