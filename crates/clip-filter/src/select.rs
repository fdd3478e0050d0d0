//! Pairs of a pool that meet conditions in SQL, and of these exact fractions by a score.

use std::path::Path;

use clip_corpus::SubsetWriter;
use clip_corpus::columns::UID;
use clip_sql::Session;

use crate::pool::column_of;
use crate::scan::{Rows, TABLE};
use crate::selection::{Selection, Verdict, schema_of};
use crate::{Dropped, FilterReport, Pool, Result, Top};

/// Conditions and fractions; a pair must meet all of the first and be in all of the second.
#[derive(Debug, Clone, PartialEq)]
pub struct Select {
    /// The conditions, over all columns of the tables. NaN counts as null there.
    pub conditions: Vec<String>,
    /// The fractions, each of all pairs that meet the conditions.
    pub top: Vec<Top>,
}

impl Select {
    /// Selects pairs of a pool and writes the subset file. Memory does not grow with the pool;
    /// what is sorted is in files of `scratch`.
    ///
    /// # Errors
    /// When a fraction is none, a column is absent, or a condition is no SQL.
    pub fn run(&self, pool: &Pool, scratch: &Path, out: &Path) -> Result<FilterReport> {
        let tables = pool.tables();
        for table in &tables {
            column_of(&clip_corpus::schema_of(table)?, table, &[UID])?;
        }
        let session = Session::new(scratch)?;
        session.foreign_table(TABLE, &tables)?;
        let schema = schema_of(&tables)?;
        let (scan, mut selection) =
            Selection::open(&session, &schema, &self.conditions, &self.top, scratch)?;
        let mut writer = SubsetWriter::new(out);
        let (mut pairs, mut without_uid, mut kept) = (0u64, 0u64, 0u64);
        let all: Vec<usize> = (0..scan.names().len()).collect();
        scan.visit(Rows::All, &all, |rows| {
            pairs += rows.ids.len() as u64;
            for (at, id) in rows.ids.iter().enumerate() {
                let Some(id) = *id else {
                    without_uid += 1;
                    continue;
                };
                if selection.decide(rows, at, id) == Verdict::Kept {
                    kept += 1;
                    writer.push(id)?;
                }
            }
            Ok(())
        })?;
        writer.finish()?;
        let gates = selection.reports();
        let mut dropped =
            vec![Dropped { gate: "no uid of 32 hex digits".into(), pairs: without_uid }];
        dropped.extend(gates.iter().map(|report| Dropped {
            gate: format!("not in: {}", report.gate),
            pairs: report.dropped,
        }));
        for (dropped, condition) in dropped[1..].iter_mut().zip(&self.conditions) {
            dropped.gate = format!("not met: {condition}");
        }
        Ok(FilterReport {
            filter: "select".into(),
            files: pool.files.len(),
            pairs,
            kept,
            dropped,
            threshold: match &gates[self.conditions.len()..] {
                [only] => only.cut,
                _ => None,
            },
            scores: Vec::new(),
            gates,
            clustering: None,
        })
    }
}

#[cfg(test)]
#[path = "select_tests.rs"]
mod tests;
