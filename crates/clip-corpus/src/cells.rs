//! Arrow cells as JSON values.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use serde_json::Value;

/// The cell as JSON, or nothing for types that JSON has no word for (binary among them).
pub fn cell(column: &dyn Array, index: usize) -> Option<Value> {
    if column.is_null(index) {
        return Some(Value::Null);
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(index).into(),
        DataType::Boolean => column.as_boolean().value(index).into(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(index).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(index).into(),
        DataType::UInt8 => column.as_primitive::<UInt8Type>().value(index).into(),
        DataType::UInt16 => column.as_primitive::<UInt16Type>().value(index).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(index).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(index).into(),
        DataType::UInt32 => column.as_primitive::<UInt32Type>().value(index).into(),
        DataType::UInt64 => column.as_primitive::<UInt64Type>().value(index).into(),
        // Through text, so that 0.1f32 is written as 0.1; NaN has no JSON and becomes null.
        DataType::Float32 => {
            let value = column.as_primitive::<Float32Type>().value(index);
            value.to_string().parse::<f64>().ok().map_or(Value::Null, Value::from)
        }
        DataType::Float64 => column.as_primitive::<Float64Type>().value(index).into(),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(index);
            (0..items.len()).map(|at| cell(&items, at)).collect::<Option<Vec<_>>>()?.into()
        }
        _ => return None,
    })
}
