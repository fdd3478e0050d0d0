//! Rows of tables with what a selection asks of them: its conditions, and the values of columns.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float64Array, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Schema};
use clip_corpus::columns::UID;
use clip_corpus::uid_number;
use clip_sql::condition::{columns_without_nan, is_text, no_column, number_of_text, quoted};
use clip_sql::{Condition, Session};

use crate::{Error, Result};

/// The table that a selection reads.
pub(crate) const TABLE: &str = "pairs";

/// A table of a session, the conditions on its rows, and the columns whose values are looked at.
pub(crate) struct Scan<'a> {
    session: &'a Session,
    pub(crate) conditions: Vec<Condition>,
    /// Columns whose values are read as they are, NaN included.
    values: Vec<String>,
    /// Whether each of them is a column of numbers.
    pub(crate) numeric: Vec<bool>,
    /// Whether its numbers have 32 bits at most.
    narrow: Vec<bool>,
    columns: String,
}

/// Which rows a scan visits, and in which order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows<'a> {
    /// Those that meet all conditions, in any order.
    Chosen,
    /// All, in any order.
    All,
    /// All of a table with the same columns, in the order of the column `row`.
    Ordered(&'a str),
}

impl<'a> Scan<'a> {
    /// A scan of the table [`TABLE`] of a session. Of the columns `scores`, those of text are read
    /// as the numbers that they spell.
    ///
    /// # Errors
    /// When a condition does not fit the columns, or a value's column is not there.
    pub(crate) fn new(
        session: &'a Session,
        schema: &Schema,
        conditions: Vec<Condition>,
        values: Vec<String>,
        scores: &[&str],
    ) -> Result<Self> {
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        let kind = |(at, name): (usize, &String)| {
            let field = schema.field_with_name(name);
            let field = field.map_err(|_| Error::Settings(no_column(name, &known)))?;
            let kind = field.data_type();
            let narrow = matches!(kind, DataType::Float32 | DataType::Float16);
            let spelt = is_text(kind) && name != UID && scores.contains(&name.as_str());
            let plain = quoted(name);
            let read = if spelt { number_of_text(&plain) } else { plain };
            Ok((kind.is_numeric() || spelt, (narrow, format!(", {read} AS __value_{at}"))))
        };
        let kinds: Vec<_> = values.iter().enumerate().map(kind).collect::<Result<_>>()?;
        let (numeric, kinds): (_, Vec<_>) = kinds.into_iter().unzip();
        let (narrow, raw): (_, Vec<String>) = kinds.into_iter().unzip();
        let columns = format!("{}{}", columns_without_nan(schema), raw.concat());
        Ok(Self { session, conditions, values, numeric, narrow, columns })
    }

    /// A table as queries read it.
    fn from(&self, table: &str) -> String {
        format!("(SELECT {} FROM {table})", self.columns)
    }

    /// Bits that tell the numbers of a value apart: 32 or 64.
    pub(crate) fn bits(&self, value: usize) -> u32 {
        if self.narrow[value] { 32 } else { 64 }
    }

    /// The place of a column among the values.
    pub(crate) fn value(&self, name: &str) -> Option<usize> {
        self.values.iter().position(|value| value == name)
    }

    /// The names of the values.
    pub(crate) fn names(&self) -> &[String] {
        &self.values
    }

    /// Visits rows batch by batch, with the values at these places.
    pub(crate) fn visit(
        &self,
        rows: Rows,
        values: &[usize],
        mut visit: impl FnMut(&Scanned) -> Result<()> + Send,
    ) -> Result<()> {
        let conditions = self.conditions.iter().map(Condition::sql);
        let mut chosen: Vec<String> = vec!["uid".into()];
        let (mut table, mut rest) = (TABLE, String::new());
        match rows {
            Rows::Chosen => {
                let all: Vec<String> = conditions.collect();
                rest = if all.is_empty() { rest } else { format!(" WHERE {}", all.join(" AND ")) };
            }
            Rows::All | Rows::Ordered(_) => {
                chosen.extend(conditions.enumerate().map(|(at, c)| format!("{c} AS __met_{at}")));
            }
        }
        if let Rows::Ordered(own) = rows {
            chosen.push("row".into());
            (table, rest) = (own, " ORDER BY row".into());
        }
        chosen.extend(values.iter().map(|at| format!("__value_{at}")));
        let query = format!("SELECT {} FROM {}{rest}", chosen.join(", "), self.from(table));
        // Its own error says more than the query's.
        let mut failed = Ok(());
        let visited = self.session.each_of(&query, |batch| {
            failed = self.scanned(&batch, values).and_then(|scanned| visit(&scanned));
            let stopped = |_: &Error| clip_pipeline::Error::stage("scan", "stopped").into();
            failed.as_ref().copied().map_err(stopped)
        });
        failed?;
        Ok(visited?)
    }

    fn scanned(&self, batch: &RecordBatch, values: &[usize]) -> Result<Scanned> {
        let column = |name: &str| batch.column_by_name(name);
        let lost = |name: &str| Error::Settings(format!("the result lacks the column {name}"));
        let converted = |name: &str, column: &ArrayRef, kind: &DataType| {
            cast(column, kind).map_err(|e| Error::Settings(format!("column {name}: {e}")))
        };
        let uids = converted(UID, column(UID).ok_or_else(|| lost(UID))?, &DataType::Utf8)?;
        let uids = uids.as_string::<i32>();
        let met = (0..self.conditions.len())
            .map_while(|at| column(&format!("__met_{at}")))
            .map(|column| {
                Ok(converted("condition", column, &DataType::Boolean)?.as_boolean().clone())
            })
            .collect::<Result<_>>()?;
        let mut numbers = Vec::new();
        let mut raw = Vec::new();
        for &at in values {
            let name = format!("__value_{at}");
            let found = column(&name).ok_or_else(|| lost(&name))?;
            numbers.push(if self.numeric[at] {
                converted(&self.values[at], found, &DataType::Float64)?.as_primitive().clone()
            } else {
                Float64Array::new_null(batch.num_rows())
            });
            raw.push(found.clone());
        }
        Ok(Scanned {
            ids: (0..uids.len())
                .map(|at| uid_number(uids.value(at)).filter(|_| uids.is_valid(at)))
                .collect(),
            rows: clip_corpus::columns::uint64(batch, "row").map(|c| c.values().to_vec()),
            met,
            numbers,
            raw,
        })
    }

    /// The least and the largest finite value of each column of numbers.
    pub(crate) fn ranges(&self) -> Result<Vec<Option<(f64, f64)>>> {
        let names = self.values.iter().zip(&self.numeric).enumerate().filter(|(_, (_, n))| **n);
        let names: Vec<usize> = names.map(|(at, _)| at).collect();
        let mut ranges = vec![None; self.values.len()];
        if names.is_empty() {
            return Ok(ranges);
        }
        let ends = names.iter().map(|at| {
            let value = format!("CAST(__value_{at} AS DOUBLE)");
            let finite = format!("CASE WHEN abs({value}) < 1e300 THEN {value} END");
            format!("min({finite}), max({finite})")
        });
        let query =
            format!("SELECT {} FROM {}", ends.collect::<Vec<_>>().join(", "), self.from(TABLE));
        self.session.each_of(&query, |batch| {
            for (place, at) in names.iter().enumerate() {
                let end = |index: usize| {
                    let column = batch.column(index).as_primitive_opt::<Float64Type>()?;
                    column.is_valid(0).then(|| column.value(0))
                };
                let ends = (batch.num_rows() > 0).then(|| (end(2 * place), end(2 * place + 1)));
                ranges[*at] = ends.and_then(|(low, high): (Option<f64>, _)| Some((low?, high?)));
            }
            Ok(())
        })?;
        Ok(ranges)
    }
}

/// Some rows of a scan.
pub(crate) struct Scanned {
    /// The uid of each row, where it is one.
    pub(crate) ids: Vec<Option<u128>>,
    /// The number of each row, of an ordered scan.
    pub(crate) rows: Option<Vec<u64>>,
    /// Whether a row meets each condition; null where a value that it needs is missing. None of
    /// chosen rows.
    met: Vec<BooleanArray>,
    /// The values that were asked for, as numbers.
    numbers: Vec<Float64Array>,
    /// The same as they are.
    pub(crate) raw: Vec<ArrayRef>,
}

impl Scanned {
    /// Whether a row meets a condition; nothing where that is not known.
    pub(crate) fn met(&self, condition: usize, row: usize) -> Option<bool> {
        let met = &self.met[condition];
        met.is_valid(row).then(|| met.value(row))
    }

    /// A value of a row as a number; nothing where it is null.
    pub(crate) fn number(&self, value: usize, row: usize) -> Option<f64> {
        let column = &self.numbers[value];
        column.is_valid(row).then(|| column.value(row))
    }
}
