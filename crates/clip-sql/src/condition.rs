//! Conditions that users write: one expression over the columns of a table.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::common::{DFSchema, DFSchemaRef, SchemaError};
use datafusion::error::DataFusionError;
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{Expr, ExprSchemable, Volatility};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion::sql::parser::DFParser;

use crate::comparison::compared;
use crate::functions::functions;
use crate::session::config;
use crate::{Error, Result};

pub use crate::comparison::{is_text, number_of_text};

/// A condition that was checked against the columns of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    text: String,
    /// The same with its numbers compared as the columns ask for, where that changes it.
    compared: Option<String>,
    columns: Vec<String>,
}

impl Condition {
    /// Refuses what is not one SQL expression, before any table is there.
    ///
    /// # Errors
    /// [`Error::Condition`], with the parser's reason.
    pub fn parse(text: &str) -> Result<()> {
        let parsed = DFParser::parse_sql_into_expr(text);
        parsed.map(drop).map_err(|e| Error::condition(text, reason(&e)))
    }

    /// Refuses what is not one SQL expression over columns of these names, whatever their types.
    ///
    /// # Errors
    /// [`Error::Condition`]; for an unknown column it names those that exist.
    pub fn check_names(text: &str, names: &[&str]) -> Result<()> {
        Self::parse(text)?;
        let fields = names.iter().map(|name| Field::new(*name, DataType::Null, true));
        let columns = DFSchema::try_from(Schema::new(fields.collect::<Vec<_>>()));
        let context = SessionContext::new_with_config(config(SessionConfig::new()));
        for function in functions() {
            context.register_udf((*function).clone());
        }
        let planned = columns.and_then(|columns| context.parse_sql_expr(text, &columns));
        match planned {
            // Anything else may be for want of types.
            Err(error) if unknown_column(&error).is_some() => {
                Err(Error::condition(text, reason(&error)))
            }
            _ => Ok(()),
        }
    }

    /// Checks a condition: it must be true or false for a row by the row alone, the same each time
    /// that it is asked.
    ///
    /// # Errors
    /// [`Error::Condition`]; for an unknown column it names those that exist.
    pub fn new(text: &str, schema: &Schema) -> Result<Self> {
        Self::parse(text)?;
        let refused = |why: String| Error::condition(text, why);
        let context = SessionContext::new_with_config(config(SessionConfig::new()));
        for function in functions() {
            context.register_udf((*function).clone());
        }
        let columns = DFSchema::try_from(schema.clone()).map_err(|e| refused(reason(&e)))?;
        let expression = context.parse_sql_expr(text, &columns).map_err(|e| refused(reason(&e)))?;
        row_local(&expression).map_err(refused)?;
        match expression.get_type(&columns) {
            Ok(DataType::Boolean | DataType::Null) => {}
            Ok(other) => return Err(refused(format!("it is {other}, not true or false"))),
            Err(error) => return Err(refused(reason(&error))),
        }
        // Constants that are no values of what they are compared with, such as a word with a width.
        let columns = Arc::new(columns);
        let planned = planned(&context, expression.clone(), &columns);
        let none = RecordBatch::new_empty(Arc::new(schema.clone()));
        planned.and_then(|planned| planned.evaluate(&none)).map_err(|e| refused(reason(&e)))?;
        let type_of = |text: &str| {
            let part = context.parse_sql_expr(text, &columns).ok()?;
            part.get_type(&columns).ok()
        };
        let compared = compared(text, type_of).map_err(|e| refused(reason(&e)))?;
        let mut columns: Vec<String> =
            expression.column_refs().into_iter().map(|column| column.name.clone()).collect();
        columns.sort_unstable();
        Ok(Self { text: text.to_owned(), compared, columns })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The columns that it reads, by name.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The condition within a statement: numbers that are compared with a float of 32 or 16 bits
    /// are rounded to its type first, and text that is compared with numbers is read as one.
    pub fn sql(&self) -> String {
        // A comment at its end must not reach beyond it.
        format!("(\n{}\n)", self.compared.as_ref().unwrap_or(&self.text))
    }
}

/// An expression to evaluate. Some functions, such as `coalesce`, are there only as what they are
/// simplified to.
pub(crate) fn planned(
    context: &SessionContext,
    expression: Expr,
    columns: &DFSchemaRef,
) -> datafusion::error::Result<Arc<dyn PhysicalExpr>> {
    let simplifier =
        ExprSimplifier::new(SimplifyContext::builder().with_schema(columns.clone()).build());
    let expression = simplifier.simplify(simplifier.coerce(expression, columns)?)?;
    context.create_physical_expr(expression, columns)
}

/// What makes an expression depend on more than the row.
fn row_local(expression: &Expr) -> std::result::Result<(), String> {
    let mut found = Ok(());
    let visited = expression.apply(|inner| {
        found = match inner {
            Expr::ScalarFunction(call)
                if call.func.signature().volatility != Volatility::Immutable =>
            {
                Err(format!("`{}` has another result each time", call.func.name()))
            }
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) => {
                Err("it must be about one row, without aggregates".to_owned())
            }
            Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) => {
                Err("it must be about one row, without queries inside".to_owned())
            }
            Expr::Placeholder(_) | Expr::ScalarVariable(..) => {
                Err("it must have values in place of parameters".to_owned())
            }
            _ => Ok(()),
        };
        Ok(if found.is_ok() { TreeNodeRecursion::Continue } else { TreeNodeRecursion::Stop })
    });
    visited.map_err(|e| reason(&e)).and(found)
}

/// That a column is not among those that exist, where an error says so.
fn unknown_column(error: &DataFusionError) -> Option<String> {
    if let DataFusionError::SchemaError(unknown, _) = error.find_root()
        && let SchemaError::FieldNotFound { field, valid_fields } = &**unknown
    {
        let known: Vec<&str> = valid_fields.iter().map(|field| field.name.as_str()).collect();
        return Some(no_column(&field.name, &known));
    }
    None
}

/// DataFusion's reason in a line; of an unknown column, those that exist.
fn reason(error: &DataFusionError) -> String {
    if let Some(unknown) = unknown_column(error) {
        return unknown;
    }
    let reason = match error.find_root() {
        DataFusionError::SQL(fault, _) => fault.to_string(),
        root => root.strip_backtrace(),
    };
    reason.replace('\n', " ")
}

/// That a column is not among those that exist.
pub fn no_column(name: &str, known: &[&str]) -> String {
    format!("no column {name:?}\nhint: there are {}", known.join(", "))
}

/// The columns of a table, quoted, with NaN as null: a comparison with it is then neither true nor
/// false, where DataFusion takes it for the largest number.
pub fn columns_without_nan(schema: &Schema) -> String {
    let column = |field: &arrow::datatypes::FieldRef| {
        let name = quoted(field.name());
        match field.data_type() {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                format!("CASE WHEN isnan({name}) THEN NULL ELSE {name} END AS {name}")
            }
            _ => name,
        }
    };
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}

/// A column's name as SQL has it, whatever its letters.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("width", DataType::UInt32, false),
            Field::new("url", DataType::Utf8, false),
            Field::new("score", DataType::Float32, true),
        ])
    }

    #[test]
    fn a_condition_knows_its_columns() {
        let condition = Condition::new("host(url) <> 'a.example' AND width >= 200", &schema());
        assert_eq!(condition.unwrap().columns(), ["url", "width"]);
        assert!(Condition::new("score > 0.3 -- or more", &schema()).is_ok());
        assert!(Condition::new("true", &schema()).unwrap().columns().is_empty());
    }

    #[test]
    fn numbers_have_the_precision_of_what_they_are_compared_with() {
        let sql = |text: &str| Condition::new(text, &schema()).unwrap().sql();
        let real = |number: &str| format!("CAST({number} AS REAL)");
        for (text, expected) in [
            ("score >= 0.24 -- or more", format!("score >= {}", real("0.24"))),
            (
                "-0.2 < (score) AND width > 0.5",
                format!("{} < (score) AND width > 0.5", real("-0.2")),
            ),
            ("abs(score) = (0.2)", format!("abs(score) = {}", real("(0.2)"))),
            (
                "score BETWEEN 0.2 AND 0.3 OR score NOT IN (0.1, 1)",
                format!(
                    "score BETWEEN {} AND {} OR score NOT IN ({}, {})",
                    real("0.2"),
                    real("0.3"),
                    real("0.1"),
                    real("1")
                ),
            ),
            ("score IS DISTINCT FROM 0.2", format!("score IS DISTINCT FROM {}", real("0.2"))),
            ("url > 5", format!("{} > 5", number_of_text("url"))),
            ("-1 = url", format!("-1 = {}", number_of_text("url"))),
        ] {
            assert_eq!(sql(text), format!("(\n{expected}\n)"));
        }
        for text in [
            "width >= 0.24 -- or more",
            "url = '0.24'",
            "url IN ('a', '1')",
            "score > width",
            "score + 1 > 2",
        ] {
            let plain = format!("(\n{text}\n)");
            assert!(sql(text) == plain || text.contains('+'), "{text}: {}", sql(text));
        }
    }

    #[test]
    fn what_is_no_condition_is_refused_with_its_reason() {
        for (text, why) in [
            ("colour = 3", "no column \"colour\"\nhint: there are width, url, score"),
            ("width >=", "width >="),
            ("width > 1; DROP TABLE pairs", "DROP"),
            ("width + 1", "it is "),
            ("width > 'abc'", "Cannot cast string 'abc' to value of UInt32"),
            ("width >", "condition \"width >\": sql parser error: Expected: an expression"),
            ("random() < 0.5", "`random` has another result each time"),
            ("now() > to_timestamp('2020-01-01')", "`now` has another result each time"),
            ("width > avg(width)", "without aggregates"),
            ("width IN (SELECT width FROM pairs)", "width IN (SELECT"),
            ("hosts(url) = 'a'", "hosts"),
            ("", "condition \"\""),
        ] {
            let error = Condition::new(text, &schema()).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
        assert!(Condition::parse("colour = 3").is_ok(), "columns are not known yet");
        let names = ["width", "captions", "url"];
        let error = Condition::check_names("width > 2 AND colour = 3", &names).unwrap_err();
        let error = error.to_string();
        assert!(error.contains("no column \"colour\"\nhint: there are width, captions, url"));
        for text in ["width + 1 > 2", "host(url) = 'a'", "captions[1] LIKE 'a%'", "width"] {
            assert!(
                Condition::check_names(text, &names).is_ok(),
                "types are not known yet: {text}"
            );
        }
        assert!(Condition::parse("width >=").is_err());
    }
}
