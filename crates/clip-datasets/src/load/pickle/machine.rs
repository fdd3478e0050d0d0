//! The stack machine that a pickle is a program of.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use clip_guard::claim;

use super::value::{Bytes, Global, Id, Parsed, Pickle, Value};
use crate::{Error, Result};

/// A dataset's labels and file names are fewer.
pub(super) const MOST: usize = 1 << 20;
/// NumPy's names of types are shorter; each call of `dtype` copies one.
const LONGEST_TYPE: usize = 16;
/// Text and bytes that are longer are not read, only found.
const LONG: u64 = 1 << 16;
const CUT: &str = "the file ends inside a value";
const EMPTY: &str = "nothing on the stack";

/// A file, and its bytes.
pub(super) fn open(path: &Path) -> Result<(File, u64)> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let length = file.metadata().map_err(|e| Error::io(path, e))?.len();
    Ok((file, length))
}

/// All values that a file makes.
pub(super) fn run(file: File, length: u64) -> Parsed<Pickle> {
    let machine = Machine {
        input: BufReader::with_capacity(1 << 16, file),
        at: 0,
        length,
        values: Vec::new(),
        stack: Vec::new(),
        memo: HashMap::new(),
        recalled: 0,
    };
    machine.run()
}

struct Machine {
    input: BufReader<File>,
    at: u64,
    length: u64,
    values: Vec<Value>,
    stack: Vec<Id>,
    memo: HashMap<u32, Id>,
    recalled: usize,
}

impl Machine {
    fn run(mut self) -> Parsed<Pickle> {
        loop {
            let [code] = self.read()?;
            match code {
                b'.' => {
                    let root = self.pop()?;
                    return Ok(Pickle { values: self.values, root });
                }
                0x80 => {
                    let [protocol] = self.read()?;
                    if !(2..=4).contains(&protocol) {
                        return Err(format!("protocol {protocol}, not 2 to 4"));
                    }
                }
                // A frame's length.
                0x95 => {
                    let _length: [u8; 8] = self.read()?;
                }
                code => self.step(code)?,
            }
        }
    }

    fn step(&mut self, code: u8) -> Parsed<()> {
        match code {
            b'(' => self.push(Value::Mark),
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Int(i64::from(code == 0x88))),
            b'K' => {
                let [number] = self.read()?;
                self.push(Value::Int(i64::from(number)))
            }
            b'M' => {
                let number = u16::from_le_bytes(self.read()?);
                self.push(Value::Int(i64::from(number)))
            }
            b'J' => {
                let number = i32::from_le_bytes(self.read()?);
                self.push(Value::Int(i64::from(number)))
            }
            b'U' | b'C' | 0x8c => {
                let [length] = self.read()?;
                self.text(u64::from(length))
            }
            b'T' | b'B' | b'X' => {
                let length = u32::from_le_bytes(self.read()?);
                self.text(u64::from(length))
            }
            0x8d | 0x8e => {
                let length = u64::from_le_bytes(self.read()?);
                self.text(length)
            }
            b']' => self.push(Value::List(Vec::new())),
            b'}' => self.push(Value::Dict(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            0x85..=0x87 => {
                let from = self.stack.len().checked_sub(usize::from(code - 0x84)).ok_or(EMPTY)?;
                let items = self.stack.split_off(from);
                self.push(Value::Tuple(items))
            }
            b't' => {
                let items = self.marked()?;
                self.push(Value::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.append(vec![item])
            }
            b'e' => {
                let items = self.marked()?;
                self.append(items)
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set(&[key, value])
            }
            b'u' => {
                let items = self.marked()?;
                self.set(&items)
            }
            b'q' => {
                let [slot] = self.read()?;
                self.remember(u32::from(slot))
            }
            b'r' => {
                let slot = u32::from_le_bytes(self.read()?);
                self.remember(slot)
            }
            0x94 => self.remember(self.memo.len() as u32),
            b'h' => {
                let [slot] = self.read()?;
                self.recall(u32::from(slot))
            }
            b'j' => {
                let slot = u32::from_le_bytes(self.read()?);
                self.recall(slot)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(&module, &name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                match (&self.values[module], &self.values[name]) {
                    (Value::Text(_, module), Value::Text(_, name)) => {
                        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                        let (module, name) = (text(module), text(name));
                        self.global(&module, &name)
                    }
                    _ => Err("a class without a name".into()),
                }
            }
            b'R' => self.call(),
            b'b' => self.build(),
            other => Err(format!("opcode {other:#04x}")),
        }
    }

    fn read<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| CUT)?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn line(&mut self) -> Parsed<String> {
        let mut bytes = Vec::new();
        let most = (&mut self.input).take(1024).read_until(b'\n', &mut bytes);
        self.at += most.map_err(|e| e.to_string())? as u64;
        let text = bytes.strip_suffix(b"\n").ok_or(CUT)?;
        String::from_utf8(text.to_vec()).map_err(|e| e.to_string())
    }

    fn text(&mut self, length: u64) -> Parsed<()> {
        claim(&[length], 1, self.length - self.at)?;
        let at = self.at;
        self.at += length;
        if length > LONG {
            let length = i64::try_from(length).map_err(|e| e.to_string())?;
            self.input.seek_relative(length).map_err(|e| e.to_string())?;
            return self.push(Value::Long(at, length.unsigned_abs()));
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes).map_err(|_| CUT)?;
        self.push(Value::Text(at, bytes))
    }

    fn push(&mut self, value: Value) -> Parsed<()> {
        if self.values.len() >= MOST {
            return Err(format!("more than {MOST} values"));
        }
        self.stack.push(self.values.len());
        self.values.push(value);
        Ok(())
    }

    fn pop(&mut self) -> Parsed<Id> {
        self.stack.pop().ok_or_else(|| EMPTY.into())
    }

    fn top(&mut self) -> Parsed<&mut Value> {
        let id = *self.stack.last().ok_or(EMPTY)?;
        Ok(&mut self.values[id])
    }

    /// What was put on the stack since the last mark.
    fn marked(&mut self) -> Parsed<Vec<Id>> {
        let mark = self.stack.iter().rposition(|&id| matches!(self.values[id], Value::Mark));
        let mut items = self.stack.split_off(mark.ok_or("no mark on the stack")?);
        items.remove(0);
        Ok(items)
    }

    fn append(&mut self, items: Vec<Id>) -> Parsed<()> {
        match self.top()? {
            Value::List(list) => list.extend(items),
            _ => return Err("items for what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, items: &[Id]) -> Parsed<()> {
        match self.top()? {
            Value::Dict(pairs) => pairs.extend(items.as_chunks().0.iter().map(|[k, v]| (*k, *v))),
            _ => return Err("keys for what is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, slot: u32) -> Parsed<()> {
        let id = *self.stack.last().ok_or(EMPTY)?;
        self.memo.insert(slot, id);
        if self.memo.len() > MOST { Err(format!("more than {MOST} memos")) } else { Ok(()) }
    }

    fn recall(&mut self, slot: u32) -> Parsed<()> {
        let id = *self.memo.get(&slot).ok_or("a reference to nothing")?;
        self.recalled += 1;
        self.stack.push(id);
        if self.recalled > MOST { Err(format!("more than {MOST} references")) } else { Ok(()) }
    }

    fn global(&mut self, module: &str, name: &str) -> Parsed<()> {
        let global = match (module, name) {
            ("numpy.core.multiarray" | "numpy._core.multiarray", "_reconstruct") => {
                Global::Reconstruct
            }
            ("numpy", "ndarray") => Global::Ndarray,
            ("numpy", "dtype") => Global::Dtype,
            _ => return Err(format!("it names {module}.{name}, which is not an array's")),
        };
        self.push(Value::Global(global))
    }

    /// `dtype("u1", …)` or `_reconstruct(ndarray, …)`.
    fn call(&mut self) -> Parsed<()> {
        let (arguments, called) = (self.pop()?, self.pop()?);
        let Value::Tuple(arguments) = &self.values[arguments] else {
            return Err("a call without arguments".into());
        };
        let first = arguments.first().map(|&id| &self.values[id]);
        let made = match (&self.values[called], first) {
            (Value::Global(Global::Dtype), Some(Value::Text(_, name)))
                if name.len() <= LONGEST_TYPE =>
            {
                Value::Dtype(name.clone())
            }
            (Value::Global(Global::Reconstruct), Some(Value::Global(Global::Ndarray))) => {
                Value::Array(Bytes::default())
            }
            _ => return Err("a call of something else than an array's parts".into()),
        };
        self.push(made)
    }

    /// The state of an array: version, shape, type, whether columns come first, bytes. A type's
    /// adds nothing here.
    fn build(&mut self) -> Parsed<()> {
        let state = self.pop()?;
        if let Value::Dtype(_) = self.top()? {
            return Ok(());
        }
        let Value::Tuple(state) = &self.values[state] else {
            return Err("no state of an array".into());
        };
        let [_, shape, kind, columns, data] = state[..] else {
            return Err("no state of an array".into());
        };
        let Value::Tuple(shape) = &self.values[shape] else {
            return Err("no shape of an array".into());
        };
        let sizes = shape.iter().map(|&id| match self.values[id] {
            Value::Int(size) => u64::try_from(size).map_err(|e| e.to_string()),
            _ => Err("no shape of an array".into()),
        });
        let sizes = sizes.collect::<Parsed<Vec<u64>>>()?;
        let Value::Dtype(kind) = &self.values[kind] else {
            return Err("no type of an array".into());
        };
        if kind != b"u1" {
            return Err(format!("an array of {:?}, not of bytes", String::from_utf8_lossy(kind)));
        }
        if !matches!(self.values[columns], Value::Int(0)) {
            return Err("an array with columns first".into());
        }
        let (at, length) = match &self.values[data] {
            Value::Long(at, length) => (*at, *length),
            Value::Text(at, bytes) => (*at, bytes.len() as u64),
            _ => return Err("an array without its bytes".into()),
        };
        if claim(&sizes, 1, length)? != length {
            return Err(format!("{length} bytes for an array of {sizes:?}"));
        }
        match self.top()? {
            Value::Array(bytes) => *bytes = Bytes { sizes, at },
            _ => return Err("a state for what is no array".into()),
        }
        Ok(())
    }
}
