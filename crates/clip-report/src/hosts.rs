//! Which hosts the pairs came from, and why pairs were dropped: the rows of two queries as tables.

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, UInt64Type};

use crate::{Cell, Section, Table};

/// Rows of `sql/50_funnel.sql`: stage, reason, rows, hosts, share of the stage's rejects; by the
/// order of the stages. `cell` is how the reason of a stage is shown.
pub fn reasons<'a>(
    batches: &[RecordBatch],
    stages: impl Iterator<Item = &'a str>,
    cell: impl Fn(&str, &str) -> Cell,
) -> Section {
    let stages: Vec<Cell> = stages.map(Cell::from).collect();
    let mut table = Table::new(["stage", "dropped because", "pairs", "of hosts", "of the stage's"]);
    let mut rows = rows(batches, &["stage", "reason"], &["rows", "hosts"], "share");
    rows.sort_by_key(|row| stages.iter().position(|stage| *stage == row[0]));
    for mut row in rows {
        if let [Cell::Text(stage), Cell::Text(reason), ..] = &row[..] {
            row[1] = cell(stage, reason);
        }
        table.push(row);
    }
    let about = "Why pairs were dropped, and how many hosts they were of.";
    Section::new("Rejects", about).table(&table)
}

/// Rows of `sql/60_domains.sql`: host, kept, dropped, share that was kept. `cell` is how a host is
/// shown.
pub fn hosts(batches: &[RecordBatch], cell: impl Fn(&str) -> Cell) -> Section {
    let mut table = Table::new(["host", "kept", "dropped", "share kept"]);
    for mut row in rows(batches, &["host"], &["kept", "dropped"], "kept_share") {
        // Images of local files.
        if row[0] == Cell::from("?") {
            row[0] = "no host".into();
        } else if let Cell::Text(host) = &row[0] {
            row[0] = cell(host);
        }
        table.push(row);
    }
    let about =
        "The hosts with the most pairs: how many are in the shards, and how many were dropped.";
    Section::new("Hosts", about).table(&table)
}

fn rows(batches: &[RecordBatch], texts: &[&str], counts: &[&str], share: &str) -> Vec<Vec<Cell>> {
    let row = |batch: &RecordBatch, at: usize| {
        let text = |name: &&str| Cell::from(batch[*name].as_string::<i32>().value(at));
        let count = |name: &&str| batch[*name].as_primitive::<UInt64Type>().value(at).into();
        let share = Cell::Share(batch[share].as_primitive::<Float64Type>().value(at));
        texts.iter().map(text).chain(counts.iter().map(count)).chain([share]).collect()
    };
    batches.iter().flat_map(|batch| (0..batch.num_rows()).map(move |at| row(batch, at))).collect()
}
