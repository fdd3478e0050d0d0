//! A condition of a user on rows in memory, compiled for the columns that it meets.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{
    Array, ArrayRef, AsArray, Float16Array, Float32Array, Float64Array, RecordBatch,
};
use arrow::datatypes::{DataType, Float16Type, Float32Type, Float64Type, Schema, SchemaRef};
use clip_pipeline::{Result, RowCondition};
use datafusion::common::DFSchema;
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};

use crate::condition::planned;
use crate::functions::functions;
use crate::{Condition, Error};

/// A [`Condition`] of which the columns are not known yet.
pub struct CompiledCondition {
    text: String,
    compiled: Mutex<Option<Compiled>>,
}

#[derive(Clone)]
struct Compiled {
    schema: SchemaRef,
    expression: Arc<dyn PhysicalExpr>,
}

impl CompiledCondition {
    /// Parses a condition; which columns there are shows when it meets rows.
    ///
    /// # Errors
    /// When it is no SQL expression.
    pub fn parse(text: &str) -> Result<Self> {
        Condition::parse(text).map_err(|e| refused(&e))?;
        Ok(Self { text: text.to_owned(), compiled: Mutex::default() })
    }

    fn failed(&self, error: &DataFusionError) -> clip_pipeline::Error {
        refused(&Error::condition(&self.text, error.strip_backtrace()))
    }

    fn compiled(&self, schema: &SchemaRef) -> Result<Arc<dyn PhysicalExpr>> {
        let mut compiled = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Compiled { expression, .. }) = compiled.as_ref().filter(|c| c.schema == *schema)
        {
            return Ok(expression.clone());
        }
        let condition = Condition::new(&self.text, schema).map_err(|e| refused(&e))?;
        let compile = || {
            let context = SessionContext::new_with_config(crate::config(SessionConfig::new()));
            for function in functions() {
                context.register_udf((*function).clone());
            }
            let columns = Arc::new(DFSchema::try_from(schema.clone())?);
            let expression = context.parse_sql_expr(&condition.sql(), &columns)?;
            planned(&context, expression, &columns)
        };
        let expression = compile().map_err(|e| self.failed(&e))?;
        *compiled = Some(Compiled { schema: schema.clone(), expression: expression.clone() });
        Ok(expression)
    }
}

impl RowCondition for CompiledCondition {
    fn matches(&self, rows: &RecordBatch) -> Result<Vec<bool>> {
        let fields =
            rows.schema_ref().fields().iter().map(|f| f.as_ref().clone().with_nullable(true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let expression = self.compiled(&schema)?;
        let columns = rows.columns().iter().map(without_nan).collect();
        let found = RecordBatch::try_new(schema, columns)
            .map_err(DataFusionError::from)
            .and_then(|rows| expression.evaluate(&rows))
            .and_then(|found| found.into_array(rows.num_rows()))
            .map_err(|e| self.failed(&e))?;
        // A bare null has no truth value.
        let found = found.as_boolean_opt().map(|found| found.iter().map(|m| m == Some(true)));
        Ok(found.map_or_else(|| vec![false; rows.num_rows()], Iterator::collect))
    }
}

/// NaN as null: a comparison with it is then neither true nor false.
fn without_nan(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float16 => {
            let values = column.as_primitive::<Float16Type>().iter();
            let values = values.map(|value| value.filter(|value| !value.is_nan()));
            Arc::new(values.collect::<Float16Array>())
        }
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>().iter();
            let values = values.map(|value| value.filter(|value| !value.is_nan()));
            Arc::new(values.collect::<Float32Array>())
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>().iter();
            let values = values.map(|value| value.filter(|value| !value.is_nan()));
            Arc::new(values.collect::<Float64Array>())
        }
        _ => column.clone(),
    }
}

/// As a fault of the command line, with how a condition is written.
fn refused(error: &Error) -> clip_pipeline::Error {
    let written = "texts are in single quotes, as in error_kind in ('timeout', 'http_5xx') and url like '%.jpg'";
    let text = error.to_string();
    let join = if text.contains("\nhint: ") { "; " } else { "\nhint: " };
    clip_pipeline::Error::Config(format!("{text}{join}{written}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, StringArray};

    fn rows() -> RecordBatch {
        let texts =
            |texts: [Option<&str>; 4]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let kinds = texts([Some("timeout"), Some("http_4xx"), Some("dns"), Some("http_5xx")]);
        let urls = texts([Some("http://a/1.jpg"), Some("a.gif"), None, Some("HAT.jpg")]);
        let scores: ArrayRef = Arc::new(Float32Array::from(vec![0.1, f32::NAN, 0.3, 0.4]));
        let halves = arrow::compute::cast(&scores, &DataType::Float16).unwrap();
        let columns: [(&str, ArrayRef); 6] = [
            ("error_kind", kinds.clone()),
            ("reason", kinds),
            ("url", urls),
            ("width", Arc::new(Int32Array::from(vec![Some(1), None, Some(3), Some(40)]))),
            ("score", scores),
            ("half", halves),
        ];
        RecordBatch::try_from_iter_with_nullable(columns.map(|(n, c)| (n, c, true))).unwrap()
    }

    fn meant(text: &str) -> Result<Vec<usize>> {
        let found = CompiledCondition::parse(text)?.matches(&rows())?;
        Ok((0..found.len()).filter(|&row| found[row]).collect())
    }

    #[test]
    fn conditions_mean_rows() {
        for (text, expected) in [
            ("error_kind = 'timeout'", vec![0]),
            ("error_kind in ('timeout', 'http_5xx')", vec![0, 3]),
            ("error_kind NOT IN ('dns')", vec![0, 1, 3]),
            ("Error_Kind = 'dns' or error_kind = 'timeout'", vec![0, 2]),
            ("error_kind like 'http%' and not url like '%.gif'", vec![3]),
            ("(reason != 'dns') and (url like 'h_t%')", vec![0]),
            ("reason <> 'dns'", vec![0, 1, 3]),
            // What the small language before it had no words for.
            ("width < 10 or url is null", vec![0, 2]),
            ("lower(url) like '%hat%' and width between 30 and 50", vec![3]),
            ("score > 0.2", vec![2, 3]),
            // As numpy compares a float32: 0.3 is the stored 0.3.
            ("score >= 0.3", vec![2, 3]),
            ("0.1 = score or score in (0.4, 0.5)", vec![0, 3]),
            ("score between 0.1 and 0.3", vec![0, 2]),
            ("score > 0.1 and score <= 0.4", vec![2, 3]),
            ("half >= 0.1 and half < 0.3", vec![0]),
            // Functions that are there only as what they are simplified to.
            ("coalesce(url, 'none') = 'none'", vec![2]),
            ("nvl2(width, width, 7) = 7 or nvl(width, 3) = 3", vec![1, 2]),
            ("nullif(error_kind, 'dns') is null", vec![2]),
            ("true", vec![0, 1, 2, 3]),
            ("null", vec![]),
        ] {
            assert_eq!(meant(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_condition_says_why_and_how_it_is_written() {
        let mut wrong = Vec::new();
        for (text, words) in [
            ("", "condition"),
            ("kind = 'x'", "no column \"kind\""),
            ("error_kind = \"timeout\"", "no column \"timeout\""),
            ("url like", "Expected"),
            ("url in ('a'", "Expected"),
            ("url = 'a", "Unterminated"),
            ("width", "it is Int32"),
            ("random() < 0.5", "another result"),
            ("1 / (width - 1) > 0", "ivide by zero"),
        ] {
            let message = meant(text).map(|rows| format!("{rows:?}"));
            let message = message.unwrap_or_else(|e| e.to_string());
            let hint = message.contains("hint: ") && message.contains("texts are in single quotes");
            if !hint || !message.to_lowercase().contains(&words.to_lowercase()) {
                wrong.push(format!("{text}: {message}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }

    #[test]
    fn tables_may_have_other_columns_from_one_to_the_next() {
        let condition = CompiledCondition::parse("url like 'a%'").unwrap();
        assert_eq!(condition.matches(&rows()).unwrap(), [false, true, false, false]);
        let urls: ArrayRef = Arc::new(StringArray::from(vec!["b", "a"]));
        let other = RecordBatch::try_from_iter([("url", urls)]).unwrap();
        assert_eq!(condition.matches(&other).unwrap(), [false, true]);
        let without = rows().project(&[0]).unwrap();
        assert!(condition.matches(&without).is_err());
    }
}
