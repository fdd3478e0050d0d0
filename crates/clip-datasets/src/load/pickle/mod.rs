//! Python's pickle as far as labels, names and NumPy's arrays of bytes go. Any other class or
//! function is refused by its name.

mod value;

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use clip_format::pickle::{Id, Machine, Objects, Parsed, Value};
use clip_guard::claim;

pub(crate) use value::Pickle;
use value::{Bytes, Object, Text};

use crate::{Error, Result};

/// NumPy's names of types are shorter; each call of `dtype` copies one.
const LONGEST_TYPE: u64 = 16;
/// Text and bytes that are longer are not read, only found.
const LONG: u64 = 1 << 16;

impl Pickle {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|e| Error::io(path, e))?;
        let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
        let mut input = BufReader::with_capacity(1 << 16, file);
        let mut machine = Machine::new(&mut input, length, Arrays);
        match machine.run() {
            Ok(root) => Ok(Self { values: machine.values, root }),
            Err(reason) => Err(Error::file(path, format!("not a pickle that is read: {reason}"))),
        }
    }
}

struct Arrays;

impl Objects for Arrays {
    type Text = Text;
    type Object = Object;
    /// A dataset's labels and file names are fewer.
    const MOST: usize = 1 << 20;

    fn protocol(protocol: u8) -> Parsed<()> {
        let known = (2..=4).contains(&protocol);
        if known { Ok(()) } else { Err(format!("protocol {protocol}, not 2 to 4")) }
    }

    fn text(machine: &mut Machine<Self>, length: u64) -> Parsed<Text> {
        claim(&[length], 1, machine.left())?;
        let at = machine.at();
        let is_read = length <= LONG;
        let bytes = if is_read { machine.bytes(length)? } else { Vec::new() };
        if !is_read {
            machine.skip(length)?;
        }
        Ok(Text { at, length, bytes })
    }

    fn name(text: &Text) -> String {
        String::from_utf8_lossy(&text.bytes).into_owned()
    }

    fn global(machine: &mut Machine<Self>, module: String, name: String) -> Parsed<()> {
        let object = match (module.as_str(), name.as_str()) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Object::Reconstruct
            }
            ("numpy", "ndarray") => Object::Ndarray,
            ("numpy", "dtype") => Object::Dtype,
            _ => return Err(format!("it names {module}.{name}, which is not an array's")),
        };
        machine.push(Value::Object(object))
    }

    /// `dtype("u1", …)` or `_reconstruct(ndarray, …)`.
    fn call(machine: &mut Machine<Self>, called: Id, arguments: Id) -> Parsed<()> {
        let Value::Tuple(arguments) = &machine.values[arguments] else {
            return Err("a call without arguments".into());
        };
        let first = arguments.first().map(|&id| &machine.values[id]);
        let made = match (&machine.values[called], first) {
            (Value::Object(Object::Dtype), Some(Value::Text(name)))
                if name.length <= LONGEST_TYPE =>
            {
                Object::Type(name.bytes.clone())
            }
            (Value::Object(Object::Reconstruct), Some(Value::Object(Object::Ndarray))) => {
                Object::Array(Bytes::default())
            }
            _ => return Err("a call of something else than an array's parts".into()),
        };
        machine.push(Value::Object(made))
    }

    /// The state of an array. A type's adds nothing here.
    fn build(machine: &mut Machine<Self>, state: Id) -> Parsed<()> {
        let top = machine.top()?;
        match &machine.values[top] {
            Value::Object(Object::Type(_)) => {}
            Value::Object(Object::Array(_)) => {
                let array = array(&machine.values, state)?;
                machine.values[top] = Value::Object(Object::Array(array));
            }
            _ => return Err("a state for what is no array".into()),
        }
        Ok(())
    }
}

/// The array of a state: version, shape, type, whether columns come first, bytes.
fn array(values: &[Value<Text, Object>], state: Id) -> Parsed<Bytes> {
    let Value::Tuple(state) = &values[state] else {
        return Err("no state of an array".into());
    };
    let [_, shape, kind, columns, data] = state[..] else {
        return Err("no state of an array".into());
    };
    let Value::Tuple(shape) = &values[shape] else {
        return Err("no shape of an array".into());
    };
    let sizes = shape.iter().map(|&id| match values[id] {
        Value::Int(size) => u64::try_from(size).map_err(|e| e.to_string()),
        _ => Err("no shape of an array".into()),
    });
    let sizes = sizes.collect::<Parsed<Vec<u64>>>()?;
    let Value::Object(Object::Type(kind)) = &values[kind] else {
        return Err("no type of an array".into());
    };
    if kind != b"u1" {
        return Err(format!("an array of {:?}, not of bytes", String::from_utf8_lossy(kind)));
    }
    if !matches!(values[columns], Value::Bool(false) | Value::Int(0)) {
        return Err("an array with columns first".into());
    }
    let Value::Text(Text { at, length, .. }) = &values[data] else {
        return Err("an array without its bytes".into());
    };
    if claim(&sizes, 1, *length)? != *length {
        return Err(format!("{length} bytes for an array of {sizes:?}"));
    }
    Ok(Bytes { sizes, at: *at })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A short text as Python 2 writes it.
    fn text(word: &str) -> Vec<u8> {
        [&[b'U', word.len() as u8], word.as_bytes()].concat()
    }

    /// `{"data": array of rows x 3072 bytes, KEY: labels}` in protocol 2, as Python 2's cPickle
    /// writes CIFAR's batches.
    pub(crate) fn batch(key: &str, labels: &[u8], pixels: &[u8]) -> Vec<u8> {
        let mut file = b"\x80\x02}q\x01(".to_vec();
        file.extend(text("data"));
        file.extend(array(&[labels.len() as u16, 3072], "u1", pixels));
        file.extend(text(key));
        file.extend(b"]q\x02(");
        file.extend(labels.iter().flat_map(|label| [b'K', *label]));
        file.extend(b"eu.");
        file
    }

    fn array(sizes: &[u16], kind: &str, bytes: &[u8]) -> Vec<u8> {
        let mut file = b"cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nK\0\x85U\x01b\x87R(K\x01(".to_vec();
        file.extend(
            sizes.iter().flat_map(|size| [vec![b'M'], size.to_le_bytes().to_vec()].concat()),
        );
        file.extend(b"tcnumpy\ndtype\n");
        file.extend(text(kind));
        file.extend(b"K\0K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89T");
        file.extend((bytes.len() as u32).to_le_bytes());
        file.extend(bytes);
        file.extend(b"tb");
        file
    }

    /// `{"names": [WORDS]}`.
    pub(crate) fn names(key: &str, words: &[&str]) -> Vec<u8> {
        let mut file = b"\x80\x02}(".to_vec();
        file.extend(text(key));
        file.extend(b"](");
        file.extend(words.iter().flat_map(|word| text(word)));
        file.extend(b"eu.");
        file
    }

    fn read(bytes: &[u8]) -> Result<Pickle> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("batch");
        std::fs::write(&path, bytes).unwrap();
        Pickle::read(&path)
    }

    fn refused(bytes: &[u8]) -> String {
        read(bytes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn labels_names_and_where_the_pixels_are() {
        for rows in [2usize, 40] {
            let labels: Vec<u8> = (0..rows as u8).collect();
            let file = batch("labels", &labels, &vec![7; rows * 3072]);
            let found = read(&file).unwrap();
            let bytes = found.bytes(found.get("data").unwrap()).unwrap();
            assert_eq!(bytes.sizes, [rows as u64, 3072]);
            assert!(
                file[bytes.at as usize..].starts_with(&[7; 3072])
                    && file[bytes.at as usize - 1] != 7
            );
            assert_eq!(found.numbers(found.get("labels").unwrap()).unwrap()[1], 1);
        }
        let found = read(&names("label_names", &["cat", "caf\u{e9}"])).unwrap();
        assert_eq!(found.texts(found.get("label_names").unwrap()).unwrap()[0], "cat");
        assert!(found.get("labels").is_none());
    }

    #[test]
    fn nothing_is_run_and_other_classes_are_named() {
        assert!(refused(b"\x80\x02cos\nsystem\nU\x02ls\x85R.").contains("names os.system"));
        let four = b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.";
        assert!(refused(four).contains("names builtins.eval"));
        assert!(refused(b"\x80\x05.").contains("protocol 5"));
        assert!(
            refused(
                &[b"\x80\x02}(", &text("data")[..], &array(&[1, 2], "i8", &[0; 16]), b"u."]
                    .concat()
            )
            .contains("not of bytes")
        );
    }

    #[test]
    fn claims_and_cuts_are_errors() {
        assert!(refused(b"\x80\x02T\xff\xff\xff\x7f").contains("room for 0 bytes"));
        assert!(refused(b"\x80\x04\x8e\0\0\0\0\0\x01\0\0").contains("1099511627776 values"));
        // A name of 60,000 bytes for a type, over and over, would take gigabytes.
        let name = [b"T\x60\xea\0\0", &vec![b'u'; 60_000][..], b"\x85q\x01cnumpy\ndtype\nq\x02"];
        let names = [b"\x80\x02", &name.concat()[..], &b"h\x02h\x01R".repeat(100_000)].concat();
        assert!(refused(&names).contains("something else than an array's parts"));
        assert!(refused(&array_file(&[u16::MAX, u16::MAX])).contains("65535 x 65535"));
        let whole = batch("labels", &[1, 2], &[0; 6144]);
        for length in (0..whole.len() - 1).step_by(13) {
            assert!(refused(&whole[..length]).contains("batch"));
        }
        assert!(refused(b"\x80\x02h\x07.").contains("recalls what it never kept"));
        assert!(
            refused(&[&b"\x80\x02"[..], &vec![b']'; Arrays::MOST + 1]].concat())
                .contains("too much")
        );
    }

    fn array_file(sizes: &[u16]) -> Vec<u8> {
        [b"\x80\x02", &array(sizes, "u1", &[1, 2, 3])[..], b"."].concat()
    }
}
