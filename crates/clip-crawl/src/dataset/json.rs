//! The JSON beside an image, as Python's `json.dumps(meta, indent=4)` writes it.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter};
use serde_json::{Map, Value};

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
