//! The JSON beside an image, as Python's `json.dumps(meta, indent=4)` writes it.

use std::io;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow::util::display::array_value_to_string;
use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value};

/// A cell as JSON. What JSON has no word for becomes text.
pub(super) fn cell(column: &ArrayRef, row: usize) -> Value {
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

/// The object with an indent of four, everything beyond ASCII escaped.
pub(super) fn dump(object: &Map<String, Value>) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1024);
    let formatter = Ascii(PrettyFormatter::with_indent(b"    "));
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, formatter);
    // A map of values cannot fail to be written into memory.
    let _ = object.serialize(&mut serializer);
    bytes
}

struct Ascii<'a>(PrettyFormatter<'a>);

macro_rules! forward {
    ($($name:ident($($arg:ident: $kind:ty),*);)*) => {
        $(fn $name<W: io::Write + ?Sized>(&mut self, writer: &mut W $(, $arg: $kind)*) -> io::Result<()> {
            self.0.$name(writer $(, $arg)*)
        })*
    };
}

impl Formatter for Ascii<'_> {
    forward! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
    }

    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        if fragment.is_ascii() {
            return writer.write_all(fragment.as_bytes());
        }
        for c in fragment.chars() {
            if c.is_ascii() {
                writer.write_all(&[c as u8])?;
            } else {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(writer, "\\u{unit:04x}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_is_what_python_writes() {
        let value = json!({"a": "caf\u{e9} \u{1f600} \"q\"", "b": null, "c": [[0.5, 1.0]], "d": 3});
        let Value::Object(map) = value else { panic!() };
        // json.dumps({"a": "café 😀 \"q\"", "b": None, "c": [[0.5, 1.0]], "d": 3}, indent=4)
        let expected = "{\n    \"a\": \"caf\\u00e9 \\ud83d\\ude00 \\\"q\\\"\",\n    \"b\": null,\n    \"c\": [\n        [\n            0.5,\n            1.0\n        ]\n    ],\n    \"d\": 3\n}";
        assert_eq!(String::from_utf8(dump(&map)).unwrap(), expected);
    }
}
