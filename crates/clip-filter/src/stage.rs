//! The barrier of a build that keeps pairs by their columns.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use clip_corpus::columns::ROW;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo};
use clip_sql::Session;
use serde::{Deserialize, Serialize};

use crate::account::write_account;
use crate::scan::{Rows, Scanned, TABLE};
use crate::selection::{Selection, Verdict, schema_of};
use crate::{Error, GateReport, Result, Top};

/// The table of the parts whose rows are sorted together.
const SORTED: &str = "sorted";
/// How many rows and parts these are, at most: few enough to be sorted in memory.
const SORTED_ROWS: u64 = if cfg!(test) { 500 } else { 1 << 21 };
const SORTED_PARTS: usize = 4096;

/// Keeps the pairs that meet all conditions, and of these the exact fractions; a pair must be in
/// each.
///
/// A row is dropped as `condition`, as `not_in_top`, or as `missing_value` where what a gate needs
/// is null or NaN; its reject names the gate and the values. The account goes to
/// [`SelectStage::ACCOUNT`] in the stage's scratch folder.
#[derive(Debug, Clone, PartialEq)]
pub struct SelectStage {
    /// The conditions, over all columns of the rows. NaN counts as null there.
    pub conditions: Vec<String>,
    /// The fractions, each of all rows that meet the conditions.
    pub top: Vec<Top>,
}

/// What a selection did: the funnel of its gates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SelectAccount {
    /// Rows in.
    pub pairs: u64,
    /// Rows that continue.
    pub kept: u64,
    /// The gates, in order.
    pub gates: Vec<GateReport>,
}

impl SelectStage {
    /// The stage's name.
    pub const STAGE: &str = "select";
    /// Name of the account, in the scratch folder.
    pub const ACCOUNT: &str = "select.json";

    fn run(&self, inputs: &[PartInfo], cx: &Context, out: &mut DecisionSink) -> Result<()> {
        let session = Session::for_barrier(cx)?;
        let tables = clip_sql::table_of(inputs);
        session.table(TABLE, &tables)?;
        let schema = schema_of(&tables)?;
        let (scan, mut selection) =
            Selection::open(&session, &schema, &self.conditions, &self.top, cx.scratch())?;
        let decisions = decision_schema(None);
        out.push(&RecordBatch::new_empty(decisions.clone())).map_err(clip_sql::Error::from)?;
        let (mut pairs, mut kept) = (0, 0);
        let all: Vec<usize> = (0..scan.names().len()).collect();
        for group in groups(inputs) {
            session.table(SORTED, &clip_sql::table_of(group))?;
            scan.visit(Rows::Ordered(SORTED), &all, |rows| {
                let batch = decide(rows, &mut selection, scan.names(), &decisions)?;
                pairs += batch.num_rows() as u64;
                kept += batch["reason"].null_count() as u64;
                Ok(out.push(&batch).map_err(clip_sql::Error::from)?)
            })?;
        }
        let account = SelectAccount { pairs, kept, gates: selection.reports() };
        cx.note(account.summary());
        write_account(cx, Self::ACCOUNT, &account)
    }
}

impl SelectAccount {
    /// The account in a line.
    fn summary(&self) -> String {
        let gate = |gate: &GateReport| {
            let cut = gate.cut.map_or_else(String::new, |cut| format!(" (cut {cut})"));
            let missing = match gate.missing + gate.nan {
                0 => String::new(),
                _ => format!(" ({} null, {} NaN)", gate.missing, gate.nan),
            };
            format!("; {} dropped by {}{cut}{missing}", gate.dropped, gate.gate)
        };
        let gates: String = self.gates.iter().map(gate).collect();
        format!("{} of {} pairs are kept{gates}", self.kept, self.pairs)
    }
}

impl Barrier for SelectStage {
    fn decide(
        &self,
        inputs: &[PartInfo],
        cx: &Context,
        out: &mut DecisionSink,
    ) -> clip_pipeline::Result<()> {
        self.run(inputs, cx, out).map_err(|error| error.into_stage_error(cx.stage()))
    }
}

/// The parts in their order, those together whose rows are sorted together. All rows of a part are
/// before those of the next.
fn groups(inputs: &[PartInfo]) -> Vec<&[PartInfo]> {
    let (mut groups, mut first, mut rows) = (Vec::new(), 0, 0);
    for (at, part) in inputs.iter().enumerate() {
        let full = rows + part.rows > SORTED_ROWS || at - first == SORTED_PARTS;
        if full && at > first {
            groups.push(&inputs[first..at]);
            (first, rows) = (at, 0);
        }
        rows += part.rows;
    }
    groups.push(&inputs[first..]);
    groups
}

/// The columns of decisions, with one more or none.
pub(crate) fn decision_schema(more: Option<Field>) -> SchemaRef {
    let own = [
        Field::new(ROW, DataType::UInt64, false),
        Field::new("reason", DataType::Utf8, true),
        Field::new("detail", DataType::Utf8, true),
    ];
    Arc::new(Schema::new(own.into_iter().chain(more).collect::<Vec<_>>()))
}

/// The decisions about some rows.
fn decide(
    rows: &Scanned,
    selection: &mut Selection,
    names: &[String],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let lost = |what: &dyn std::fmt::Display| Error::Settings(format!("decisions: {what}"));
    let numbers = rows.rows.clone().ok_or_else(|| lost(&"no column `row`"))?;
    let (mut reasons, mut details) = (Vec::new(), Vec::new());
    for (at, id) in rows.ids.iter().enumerate() {
        let id =
            id.ok_or_else(|| lost(&format!("row {}: no uid of 32 hex digits", numbers[at])))?;
        let verdict = selection.decide(rows, at, id);
        let Verdict::Dropped { gate, missing } = verdict else {
            reasons.push(None);
            details.push(None);
            continue;
        };
        reasons.push(Some(match (missing, selection.is_condition(gate)) {
            (true, _) => "missing_value",
            (false, true) => "condition",
            (false, false) => "not_in_top",
        }));
        details.push(Some(selection.detail(gate, names, rows, at)));
    }
    let columns: Vec<ArrayRef> = vec![
        Arc::new(UInt64Array::from(numbers)),
        Arc::new(StringArray::from(reasons)),
        Arc::new(StringArray::from(details)),
    ];
    RecordBatch::try_new(schema.clone(), columns).map_err(|e| lost(&e))
}

#[cfg(test)]
#[path = "stage_tests.rs"]
mod tests;
