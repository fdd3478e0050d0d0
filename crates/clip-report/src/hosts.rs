//! Which hosts the pairs came from, and why pairs were dropped: the rows of two queries as tables.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, UInt64Type};

use crate::page::{escape, grouped, percent, table};

/// Rows of `sql/50_funnel.sql`: stage, reason, rows, hosts, share of the stage's rejects.
pub fn reasons(batches: &[RecordBatch]) -> String {
    let rows = cells(batches, &["stage", "reason"], &["rows", "hosts"], "share");
    table(&["stage", "dropped because", "pairs", "of hosts", "of the stage's"], &rows)
}

/// Rows of `sql/60_domains.sql`: host, kept, dropped, share that was kept.
pub fn hosts(batches: &[RecordBatch]) -> String {
    let mut rows = cells(batches, &["host"], &["kept", "dropped"], "kept_share");
    // Images of local files.
    for row in rows.iter_mut().filter(|row| row[0] == "?") {
        "no host".clone_into(&mut row[0]);
    }
    table(&["host", "kept", "dropped", "share kept"], &rows)
}

fn cells(
    batches: &[RecordBatch],
    texts: &[&str],
    counts: &[&str],
    share: &str,
) -> Vec<Vec<String>> {
    let row = |batch: &RecordBatch, at: usize| {
        let text = |name: &&str| escape(batch[*name].as_string::<i32>().value(at));
        let count = |name: &&str| grouped(batch[*name].as_primitive::<UInt64Type>().value(at));
        let share = percent(batch[share].as_primitive::<Float64Type>().value(at));
        texts.iter().map(text).chain(counts.iter().map(count)).chain([share]).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect()
}
