//! Comparisons of a condition with numbers: in the precision of the column, and with text as the
//! number that it spells.

use std::ops::ControlFlow;

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, UnaryOperator, Value, visit_expressions_mut,
};

/// The condition with each number that is compared with a float of 32 or 16 bits as a number of
/// that type, as pandas compares them, and with text that is compared with a number as the number
/// that it spells; none where there is no such comparison. SQL would widen the column: a stored 0.2
/// is then less than the 0.2 of the condition. Of text it would make a number of the other's type,
/// or fail at the first row that is none: here that has no value.
///
/// `type_of` gives the type of an expression over the columns.
pub(crate) fn compared(
    text: &str,
    type_of: impl Fn(&str) -> Option<DataType>,
) -> Result<Option<String>, DataFusionError> {
    let mut condition = DFParser::parse_sql_into_expr(text)?.expr;
    let mut changed = false;
    let mut replace = |old: &mut Expr, new: String| -> Result<(), DataFusionError> {
        *old = DFParser::parse_sql_into_expr(&new)?.expr;
        changed = true;
        Ok(())
    };
    let visited = visit_expressions_mut(&mut condition, |expression| {
        let Some(Comparison { side, numbers, others }) = comparison(expression) else {
            return ControlFlow::Continue(());
        };
        let replaced = match type_of(&side.to_string()) {
            Some(DataType::Float32) => numbers
                .into_iter()
                .try_for_each(|number| replace(number, format!("CAST({number} AS REAL)"))),
            Some(DataType::Float16) => numbers.into_iter().try_for_each(|number| {
                let half = half(&number.to_string());
                half.map_or(Ok(()), |half| replace(number, format!("CAST({half} AS REAL)")))
            }),
            Some(kind) if is_text(&kind) && !others => {
                replace(side, number_of_text(&side.to_string()))
            }
            _ => Ok(()),
        };
        replaced.map_or_else(ControlFlow::Break, ControlFlow::Continue)
    });
    match visited {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(changed.then(|| condition.to_string())),
    }
}

/// Whether values are text, also by a dictionary.
pub fn is_text(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_text(values),
        kind => kind.is_string(),
    }
}

/// The number that text spells, as an expression; null where it spells none, or NaN.
pub fn number_of_text(text: &str) -> String {
    format!("NULLIF(TRY_CAST(TRIM(CAST({text} AS VARCHAR)) AS DOUBLE), CAST('NaN' AS DOUBLE))")
}

/// A number rounded to 16 bits, which 32 hold as it is: there is no name for such a type in SQL.
fn half(number: &str) -> Option<f32> {
    let number: f64 = number.replace(['(', ')', ' '], "").parse().ok()?;
    Some(<Float16Type as ArrowPrimitiveType>::Native::from_f64(number).to_f32())
}

/// What an expression compares with numbers.
struct Comparison<'a> {
    side: &'a mut Expr,
    numbers: Vec<&'a mut Expr>,
    /// Whether it is compared with something else too.
    others: bool,
}

fn comparison(expression: &mut Expr) -> Option<Comparison<'_>> {
    let (side, all): (&mut Expr, Vec<&mut Expr>) = match expression {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => sides(left, right),
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            sides(left, right)
        }
        Expr::Between { expr, low, high, .. } => (expr, vec![low, high]),
        Expr::InList { expr, list, .. } => (expr, list.iter_mut().collect()),
        _ => return None,
    };
    let of = all.len();
    let numbers: Vec<&mut Expr> = all.into_iter().filter(|e| is_number(e)).collect();
    let others = numbers.len() < of;
    (!numbers.is_empty() && !is_number(side)).then_some(Comparison { side, numbers, others })
}

/// The side that is no number first.
fn sides<'a>(left: &'a mut Expr, right: &'a mut Expr) -> (&'a mut Expr, Vec<&'a mut Expr>) {
    if is_number(left) { (right, vec![left]) } else { (left, vec![right]) }
}

fn is_comparison(operator: &BinaryOperator) -> bool {
    use BinaryOperator::{Eq, Gt, GtEq, Lt, LtEq, NotEq};
    matches!(operator, Eq | NotEq | Lt | LtEq | Gt | GtEq)
}

fn is_number(expression: &Expr) -> bool {
    match expression {
        Expr::Value(value) => matches!(value.value, Value::Number(..)),
        Expr::UnaryOp { op: UnaryOperator::Minus | UnaryOperator::Plus, expr }
        | Expr::Nested(expr) => is_number(expr),
        _ => false,
    }
}
