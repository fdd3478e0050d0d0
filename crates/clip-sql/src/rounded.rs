//! Numbers of a condition in the precision of what they are compared with.

use std::ops::ControlFlow;

use arrow::datatypes::{ArrowPrimitiveType, DataType, Float16Type};
use datafusion::error::DataFusionError;
use datafusion::sql::parser::DFParser;
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, UnaryOperator, Value, visit_expressions_mut,
};

/// The condition with each number that is compared with a float of 32 or 16 bits as a number of
/// that type, as pandas compares them; none where there is no such number. SQL would widen the
/// column: a stored 0.2 is then less than the 0.2 of the condition.
///
/// `type_of` gives the type of an expression over the columns.
pub(crate) fn rounded(
    text: &str,
    type_of: impl Fn(&str) -> Option<DataType>,
) -> Result<Option<String>, DataFusionError> {
    let mut condition = DFParser::parse_sql_into_expr(text)?.expr;
    let mut changed = false;
    let visited = visit_expressions_mut(&mut condition, |expression| {
        for (side, numbers) in comparisons(expression) {
            let numbers: Vec<&mut Expr> = numbers.into_iter().filter(|e| is_number(e)).collect();
            if numbers.is_empty() {
                continue;
            }
            let kind = type_of(&side);
            for number in numbers {
                let narrow = match kind {
                    Some(DataType::Float32) => format!("CAST({number} AS REAL)"),
                    Some(DataType::Float16) => match half(&number.to_string()) {
                        Some(half) => format!("CAST({half} AS REAL)"),
                        None => continue,
                    },
                    _ => continue,
                };
                match DFParser::parse_sql_into_expr(&narrow) {
                    Ok(narrow) => *number = narrow.expr,
                    Err(error) => return ControlFlow::Break(error),
                }
                changed = true;
            }
        }
        ControlFlow::Continue(())
    });
    match visited {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(changed.then(|| condition.to_string())),
    }
}

/// A number rounded to 16 bits, which 32 hold as it is: there is no name for such a type in SQL.
fn half(number: &str) -> Option<f32> {
    let number: f64 = number.replace(['(', ')', ' '], "").parse().ok()?;
    Some(<Float16Type as ArrowPrimitiveType>::Native::from_f64(number).to_f32())
}

/// What an expression compares: an operand as text, and those that it is compared with.
fn comparisons(expression: &mut Expr) -> Vec<(String, Vec<&mut Expr>)> {
    match expression {
        Expr::BinaryOp { left, op, right } if is_comparison(op) => both(left, right),
        Expr::IsDistinctFrom(left, right) | Expr::IsNotDistinctFrom(left, right) => {
            both(left, right)
        }
        Expr::Between { expr, low, high, .. } => vec![(expr.to_string(), vec![low, high])],
        Expr::InList { expr, list, .. } => vec![(expr.to_string(), list.iter_mut().collect())],
        _ => Vec::new(),
    }
}

fn both<'a>(left: &'a mut Expr, right: &'a mut Expr) -> Vec<(String, Vec<&'a mut Expr>)> {
    let sides = (left.to_string(), right.to_string());
    vec![(sides.1, vec![left]), (sides.0, vec![right])]
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
