//! Arrow cells as JSON values.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use serde_json::Value;

/// The cell as JSON, or nothing for types that JSON has no word for (binary among them).
pub fn cell(column: &dyn Array, index: usize) -> Option<Value> {
    // Through text, so that 0.1f32 is written as 0.1; NaN has no JSON and becomes null.
    let short = |value: f32| value.to_string().parse::<f64>().ok().map_or(Value::Null, Value::from);
    Rules { float: &short, other: &|_, _| None }.cell(column, index)
}

/// The cell as pandas gives it to Python's `json`: 32-bit floats are widened, so that 0.1f32 has
/// all the digits of its double. What JSON has no word for becomes text.
pub fn python_cell(column: &dyn Array, index: usize) -> Value {
    let text = |column: &dyn Array, index| array_value_to_string(column, index).ok();
    let rules = Rules { float: &|value| f64::from(value).into(), other: &text };
    rules.cell(column, index).unwrap_or(Value::Null)
}

/// What the two kinds of JSON differ in.
struct Rules<'a> {
    float: &'a dyn Fn(f32) -> Value,
    other: &'a dyn Fn(&dyn Array, usize) -> Option<String>,
}

impl Rules<'_> {
    fn cell(&self, column: &dyn Array, index: usize) -> Option<Value> {
        macro_rules! number {
            ($kind:ty) => {
                column.as_primitive::<$kind>().value(index).into()
            };
        }
        if column.is_null(index) {
            return Some(Value::Null);
        }
        Some(match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value(index).into(),
            DataType::LargeUtf8 => column.as_string::<i64>().value(index).into(),
            DataType::Boolean => column.as_boolean().value(index).into(),
            DataType::Int8 => number!(Int8Type),
            DataType::Int16 => number!(Int16Type),
            DataType::Int32 => number!(Int32Type),
            DataType::Int64 => number!(Int64Type),
            DataType::UInt8 => number!(UInt8Type),
            DataType::UInt16 => number!(UInt16Type),
            DataType::UInt32 => number!(UInt32Type),
            DataType::UInt64 => number!(UInt64Type),
            DataType::Float32 => (self.float)(column.as_primitive::<Float32Type>().value(index)),
            DataType::Float64 => number!(Float64Type),
            DataType::List(_) => self.items(&column.as_list::<i32>().value(index))?,
            DataType::LargeList(_) => self.items(&column.as_list::<i64>().value(index))?,
            DataType::FixedSizeList(..) => self.items(&column.as_fixed_size_list().value(index))?,
            DataType::Struct(fields) => {
                let columns = column.as_struct().columns();
                let names = fields.iter().map(|field| field.name().clone());
                let values = columns.iter().map(|column| self.cell(column, index));
                let pairs = names.zip(values).map(|(name, value)| Some((name, value?)));
                Value::Object(pairs.collect::<Option<_>>()?)
            }
            _ => (self.other)(column, index)?.into(),
        })
    }

    fn items(&self, list: &dyn Array) -> Option<Value> {
        Some((0..list.len()).map(|at| self.cell(list, at)).collect::<Option<Vec<_>>>()?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, BinaryArray, Float32Array, StructArray};
    use arrow::datatypes::Field;
    use std::sync::Arc;

    #[test]
    fn the_two_kinds_differ_in_short_floats_and_in_what_json_has_no_word_for() {
        let floats = Float32Array::from(vec![Some(0.1), None, Some(f32::NAN)]);
        assert_eq!(cell(&floats, 0).unwrap().to_string(), "0.1");
        assert_eq!(python_cell(&floats, 0).to_string(), "0.10000000149011612");
        assert_eq!(python_cell(&floats, 1), Value::Null);
        assert_eq!((cell(&floats, 2), python_cell(&floats, 2)), (Some(Value::Null), Value::Null));
        let bytes = BinaryArray::from_vec(vec![b"\x01\xff"]);
        assert_eq!(cell(&bytes, 0), None);
        assert_eq!(python_cell(&bytes, 0), "01ff");
        let field = Arc::new(Field::new("a", DataType::Binary, true));
        let objects = StructArray::from(vec![(field, Arc::new(bytes) as ArrayRef)]);
        assert_eq!(cell(&objects, 0), None);
        assert_eq!(python_cell(&objects, 0).to_string(), r#"{"a":"01ff"}"#);
    }
}
