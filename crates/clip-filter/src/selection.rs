//! A row through the gates of a selection: conditions first, then exact fractions.

use std::path::Path;

use arrow::array::Array;
use arrow::datatypes::{DataType, Schema};
use clip_corpus::columns::{CAPTION, URL};
use clip_sql::condition::is_text;
use clip_sql::{Condition, Session};

use crate::cut::{Limit, Top};
use crate::gate_report::{GateReport, Histogram};
use crate::scan::{Scan, Scanned};
use crate::{Error, Result};

/// The gates of a selection, with what they did so far.
pub(crate) struct Selection {
    gates: Vec<SelectGate>,
    conditions: usize,
}

struct SelectGate {
    report: GateReport,
    /// The places of the values that it is about, among those that are read.
    values: Vec<usize>,
    limit: Option<Limit>,
}

/// What a selection decided about a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Kept,
    /// Dropped by this gate, for lack of a value or not.
    Dropped {
        gate: usize,
        missing: bool,
    },
}

impl Selection {
    /// Checks conditions and fractions against the columns of a table, and finds the cuts.
    pub(crate) fn open<'a>(
        session: &'a Session,
        schema: &Schema,
        conditions: &[String],
        top: &[Top],
        scratch: &Path,
    ) -> Result<(Scan<'a>, Self)> {
        top.iter().try_for_each(Top::check)?;
        let conditions: Vec<Condition> = conditions
            .iter()
            .map(|text| Condition::new(text, schema))
            .collect::<clip_sql::Result<_>>()?;
        let shown = |name: &&String| {
            // The reject of a row has these two anyway.
            let known = [CAPTION, URL].contains(&name.as_str());
            let plain = schema.field_with_name(name).is_ok_and(|f| is_plain(f.data_type()));
            !known && plain
        };
        let mut names: Vec<String> = top.iter().map(|top| top.column.clone()).collect();
        for condition in &conditions {
            names.extend(condition.columns().iter().filter(shown).cloned());
        }
        names.sort_unstable();
        names.dedup();
        let scores: Vec<&str> = top.iter().map(|top| top.column.as_str()).collect();
        let scan = Scan::new(session, schema, conditions, names, &scores)?;
        let ranges = scan.ranges()?;
        for name in scores {
            let text = schema.field_with_name(name).is_ok_and(|field| is_text(field.data_type()));
            // By their uids alone is no selection.
            if text && scan.value(name).is_some_and(|at| ranges[at].is_none()) {
                return Err(Error::Settings(format!("column {name} is no score: no numbers")));
            }
        }
        let histogram = |values: &[usize]| match values {
            &[one] => ranges[one].map(|range| Histogram::new(&scan.names()[one], range)),
            _ => None,
        };
        let mut gates = Vec::new();
        for condition in &scan.conditions {
            let named = condition.columns().iter().filter_map(|name| scan.value(name));
            let values: Vec<usize> = named.collect();
            let histogram = histogram(&values).filter(|_| condition.columns().len() == 1);
            let report = GateReport::new(condition.text().to_owned(), None, histogram);
            gates.push(SelectGate { report, values, limit: None });
        }
        for top in top {
            let limit = Limit::find(&scan, top, scratch)?;
            let values: Vec<usize> = scan.value(&top.column).into_iter().collect();
            let cut = limit.as_ref().and_then(Limit::score);
            let gate = format!("top {} by {}", top.fraction, top.column);
            let report = GateReport::new(gate, cut, histogram(&values));
            gates.push(SelectGate { report, values, limit });
        }
        let conditions = scan.conditions.len();
        Ok((scan, Self { gates, conditions }))
    }

    /// Decides about a row, with all values read. Rows must come in a fixed order where two have
    /// the same score and uid.
    pub(crate) fn decide(&mut self, rows: &Scanned, at: usize, id: u128) -> Verdict {
        let (conditions, tops) = self.gates.split_at_mut(self.conditions);
        for (place, gate) in conditions.iter_mut().enumerate() {
            let met = rows.met(place, at);
            let value = match gate.values[..] {
                [one] => rows.number(one, at),
                _ => None,
            };
            gate.report.add(value, met == Some(true));
            if met.is_none() {
                let is_nan = |&value: &usize| rows.number(value, at).is_some_and(f64::is_nan);
                let nan = gate.values.iter().any(is_nan);
                gate.report.nan += u64::from(nan);
                gate.report.missing += u64::from(!nan);
            }
            if met != Some(true) {
                return Verdict::Dropped { gate: place, missing: met.is_none() };
            }
        }
        let mut verdict = Verdict::Kept;
        for (place, gate) in tops.iter_mut().enumerate() {
            let score = gate.values.first().and_then(|&value| rows.number(value, at));
            // Asked of every row, so that each fraction is exact by itself.
            let taken = gate.limit.as_mut().is_some_and(|limit| limit.takes(score, id));
            if verdict != Verdict::Kept {
                continue;
            }
            let row = rows.rows.as_ref().map(|numbers| numbers[at]);
            gate.report.add_row(score, taken, row);
            gate.report.missing += u64::from(score.is_none());
            gate.report.nan += u64::from(score.is_some_and(f64::is_nan));
            if !taken {
                let missing = score.is_none_or(f64::is_nan);
                verdict = Verdict::Dropped { gate: self.conditions + place, missing };
            }
        }
        verdict
    }

    /// Why a gate dropped a row, with the values that it saw.
    pub(crate) fn detail(
        &self,
        gate: usize,
        names: &[String],
        rows: &Scanned,
        at: usize,
    ) -> String {
        let SelectGate { report, values, .. } = &self.gates[gate];
        let value = |&place: &usize| {
            let column = &rows.raw[place];
            let value = if column.is_null(at) {
                "null".to_owned()
            } else {
                arrow::util::display::array_value_to_string(column, at).unwrap_or_default()
            };
            format!("{} is {value}", names[place])
        };
        let mut seen: Vec<String> = values.iter().map(value).collect();
        seen.extend(report.cut.map(|cut| format!("the cut is {cut}")));
        let seen = seen.join(", ");
        if seen.is_empty() { report.gate.clone() } else { format!("{}: {seen}", report.gate) }
    }

    /// Whether a gate is a condition.
    pub(crate) fn is_condition(&self, gate: usize) -> bool {
        gate < self.conditions
    }

    /// What the gates did.
    pub(crate) fn reports(self) -> Vec<GateReport> {
        self.gates.into_iter().map(|gate| gate.report).collect()
    }
}

/// Whether a value of this type is one number, text or verdict.
fn is_plain(kind: &DataType) -> bool {
    kind.is_numeric()
        || matches!(
            kind,
            DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
        )
}

/// The columns of a table.
pub(crate) fn schema_of(tables: &[std::path::PathBuf]) -> Result<arrow::datatypes::SchemaRef> {
    let first = tables.first().ok_or_else(|| Error::Settings("there are no tables".into()))?;
    Ok(clip_corpus::schema_of(first)?)
}
