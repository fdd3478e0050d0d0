//! Arrow cells as JSON values, as pandas would give them to Python's `json`.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use serde_json::Value;

/// A cell as JSON. What JSON has no word for becomes text.
pub(crate) fn cell(column: &ArrayRef, row: usize) -> Value {
    macro_rules! number {
        ($kind:ty) => {
            column.as_primitive::<$kind>().value(row).into()
        };
    }
    if column.is_null(row) {
        return Value::Null;
    }
    match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        // Python widens these, so that 0.1f32 has all the digits of its double.
        DataType::Float32 => f64::from(column.as_primitive::<Float32Type>().value(row)).into(),
        DataType::Float64 => number!(Float64Type),
        DataType::List(_) => items(&column.as_list::<i32>().value(row)),
        DataType::LargeList(_) => items(&column.as_list::<i64>().value(row)),
        DataType::FixedSizeList(..) => items(&column.as_fixed_size_list().value(row)),
        DataType::Struct(fields) => {
            let columns = column.as_struct().columns();
            let pairs = fields.iter().zip(columns).map(|(f, c)| (f.name().clone(), cell(c, row)));
            Value::Object(pairs.collect())
        }
        _ => array_value_to_string(column, row).map_or(Value::Null, Value::from),
    }
}

fn items(list: &ArrayRef) -> Value {
    (0..list.len()).map(|at| cell(list, at)).collect::<Vec<_>>().into()
}
