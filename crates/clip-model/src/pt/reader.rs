//! The restricted pickle machine (Python's `pickletools` describes the opcodes).

mod calls;

use std::collections::HashMap;

use clip_torch::tch::Tensor;

use super::tensor::{Storage, View};
use super::value::Value;

/// Values a pickle may unfold to; more is a bomb.
const MOST: usize = 2_000_000;
/// Bytes of names, arguments and sides that calls may copy: an operation of five bytes copies a
/// list of any length.
const MOST_COPIED: usize = 1 << 27;
/// Bytes of text that count as one of the values that a pickle unfolds to.
const TEXT: usize = 64;
const TOO_MUCH: &str = "the pickle unfolds to too much";
/// How deep values may nest.
const DEEPEST: usize = 200;

type Result<T> = std::result::Result<T, String>;
/// Where a node is in the machine's list; equal numbers are the same object.
type Id = usize;

enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict { ordered: bool, items: Vec<(Id, Id)> },
    Global(String, String),
    Object(String, Option<Id>),
    Storage(Storage),
    Tensor(View),
}

impl Node {
    /// Bytes of text that a value of it has.
    fn text_len(&self) -> usize {
        match self {
            Self::Text(text) | Self::Object(text, _) => text.len(),
            Self::Global(module, name) => module.len() + name.len(),
            Self::Storage(storage) => storage.key.len(),
            _ => 0,
        }
    }
}

/// Reads a pickle; `tensor` gives the tensor of a view.
pub(super) fn read(bytes: &[u8], tensor: &dyn Fn(&View) -> Result<Tensor>) -> Result<Value> {
    let mut machine = Machine { bytes, ..Machine::default() };
    let root = machine.run().map_err(|e| format!("{e} (byte {} of the pickle)", machine.at))?;
    let mut unfolded = 0;
    machine.value(root, 0, &mut unfolded, tensor)
}

#[derive(Default)]
struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    copied: usize,
}

impl Machine<'_> {
    fn take(&mut self, length: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(length).filter(|&end| end <= self.bytes.len());
        let end = end.ok_or("the pickle is cut off")?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.take(N)?.try_into().map_err(|_| "the pickle is cut off".to_owned())
    }

    fn skip(&mut self, length: usize) -> Result<()> {
        self.take(length).map(|_| ())
    }

    fn line(&mut self) -> Result<String> {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|&b| b == b'\n').ok_or("the pickle is cut off")?;
        let line = String::from_utf8_lossy(&rest[..length]).into_owned();
        self.at += length + 1;
        Ok(line)
    }

    fn text(&mut self, length: usize) -> Result<()> {
        let text = String::from_utf8_lossy(self.take(length)?).into_owned();
        self.push(Node::Text(text));
        Ok(())
    }

    fn push(&mut self, node: Node) {
        self.nodes.push(node);
        self.stack.push(self.nodes.len() - 1);
    }

    fn pop(&mut self) -> Result<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        if self.stack.len() <= floor {
            return Err("the pickle takes what it never gave".into());
        }
        self.stack.pop().ok_or_else(|| "the pickle takes what it never gave".into())
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().ok_or_else(|| "the pickle takes what it never gave".into())
    }

    fn since_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().ok_or("the pickle has no mark where it needs one")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    /// Counts bytes that are copied.
    fn copies(&mut self, bytes: usize) -> Result<()> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > MOST_COPIED { Err(TOO_MUCH.into()) } else { Ok(()) }
    }

    fn remember(&mut self, key: u32) -> Result<()> {
        let top = self.top()?;
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, key: u32) -> Result<()> {
        let id = *self.memo.get(&key).ok_or("the pickle recalls what it never kept")?;
        self.stack.push(id);
        Ok(())
    }

    fn run(&mut self) -> Result<Id> {
        loop {
            let [opcode] = self.array()?;
            match opcode {
                b'.' => return self.pop(),
                0x80 => self.skip(1)?,
                0x95 => self.skip(8)?,
                b'(' => self.marks.push(self.stack.len()),
                b'0' => {
                    self.pop()?;
                }
                b'1' => {
                    self.since_mark()?;
                }
                b'2' => self.stack.push(self.top()?),
                b'N' => self.push(Node::None),
                0x88 => self.push(Node::Bool(true)),
                0x89 => self.push(Node::Bool(false)),
                b'J' => {
                    let number = i32::from_le_bytes(self.array()?);
                    self.push(Node::Int(number.into()));
                }
                b'K' => {
                    let [number] = self.array()?;
                    self.push(Node::Int(number.into()));
                }
                b'M' => {
                    let number = u16::from_le_bytes(self.array()?);
                    self.push(Node::Int(number.into()));
                }
                0x8a => self.long()?,
                b'G' => {
                    let number = f64::from_be_bytes(self.array()?);
                    self.push(Node::Float(number));
                }
                b'X' => {
                    let length = u32::from_le_bytes(self.array()?);
                    self.text(length as usize)?;
                }
                0x8c => {
                    let [length] = self.array()?;
                    self.text(length.into())?;
                }
                b'U' => {
                    let [length] = self.array()?;
                    self.text(length.into())?;
                }
                b']' => self.push(Node::List(Vec::new())),
                b')' => self.push(Node::Tuple(Vec::new())),
                b'}' => self.push(Node::Dict { ordered: false, items: Vec::new() }),
                b't' => {
                    let elements = self.since_mark()?;
                    self.push(Node::Tuple(elements));
                }
                0x85..=0x87 => {
                    let mut elements = Vec::new();
                    for _ in 0x84..opcode {
                        elements.push(self.pop()?);
                    }
                    elements.reverse();
                    self.push(Node::Tuple(elements));
                }
                b'a' => {
                    let element = self.pop()?;
                    self.append(vec![element])?;
                }
                b'e' => {
                    let elements = self.since_mark()?;
                    self.append(elements)?;
                }
                b's' => {
                    let (value, key) = (self.pop()?, self.pop()?);
                    self.set(vec![key, value])?;
                }
                b'u' => {
                    let entries = self.since_mark()?;
                    self.set(entries)?;
                }
                b'c' => {
                    let (module, name) = (self.line()?, self.line()?);
                    self.global(module, name)?;
                }
                0x93 => {
                    let (name, module) = (self.pop()?, self.pop()?);
                    let [Node::Text(module), Node::Text(name)] =
                        [&self.nodes[module], &self.nodes[name]]
                    else {
                        return Err("a global has no name".into());
                    };
                    let (module, name) = (module.clone(), name.clone());
                    self.copies(module.len() + name.len())?;
                    self.global(module, name)?;
                }
                b'R' | 0x81 => {
                    let (arguments, callee) = (self.pop()?, self.pop()?);
                    self.call(callee, arguments)?;
                }
                b'b' => {
                    let state = self.pop()?;
                    let target = self.top()?;
                    // The attributes of an OrderedDict are PyTorch's `_metadata`: nothing needs it.
                    if let Node::Object(_, slot) = &mut self.nodes[target] {
                        *slot = Some(state);
                    }
                }
                b'q' => {
                    let [key] = self.array()?;
                    self.remember(key.into())?;
                }
                b'r' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.remember(key)?;
                }
                0x94 => self.remember(self.memo.len() as u32)?,
                b'h' => {
                    let [key] = self.array()?;
                    self.recall(key.into())?;
                }
                b'j' => {
                    let key = u32::from_le_bytes(self.array()?);
                    self.recall(key)?;
                }
                b'Q' => self.storage()?,
                other => return Err(format!("the pickle's opcode {other:#04x} is not known here")),
            }
            if self.nodes.len() > MOST || self.stack.len() > MOST {
                return Err(TOO_MUCH.into());
            }
        }
    }

    fn long(&mut self) -> Result<()> {
        let [length] = self.array()?;
        let digits = self.take(length.into())?;
        let negative = digits.last().is_some_and(|&byte| byte >= 0x80);
        let filler = if negative { 0xff } else { 0 };
        if digits.iter().skip(8).any(|&byte| byte != filler) {
            return Err("the pickle holds an integer of more than 64 bits".into());
        }
        let mut bytes = [filler; 8];
        let kept = digits.len().min(8);
        bytes[..kept].copy_from_slice(&digits[..kept]);
        self.push(Node::Int(i64::from_le_bytes(bytes)));
        Ok(())
    }

    fn append(&mut self, elements: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.nodes[target] {
            Node::List(list) => list.extend(elements),
            _ => return Err("the pickle appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, entries: Vec<Id>) -> Result<()> {
        let target = self.top()?;
        match &mut self.nodes[target] {
            Node::Dict { items, .. } if entries.len().is_multiple_of(2) => {
                items.extend(entries.chunks_exact(2).map(|pair| (pair[0], pair[1])));
            }
            _ => return Err("the pickle sets an entry of what is no dictionary".into()),
        }
        Ok(())
    }

    fn value(
        &self,
        id: Id,
        depth: usize,
        unfolded: &mut usize,
        tensor: &dyn Fn(&View) -> Result<Tensor>,
    ) -> Result<Value> {
        *unfolded += 1 + self.nodes[id].text_len() / TEXT;
        if depth > DEEPEST || *unfolded > MOST {
            return Err(TOO_MUCH.into());
        }
        let mut inner = |id: Id| self.value(id, depth + 1, unfolded, tensor);
        Ok(match &self.nodes[id] {
            Node::None => Value::None,
            Node::Bool(value) => Value::Bool(*value),
            Node::Int(number) => Value::Int(*number),
            Node::Float(number) => Value::Float(*number),
            Node::Text(text) => Value::Text(text.clone()),
            Node::List(ids) => Value::List(ids.iter().map(|&id| inner(id)).collect::<Result<_>>()?),
            Node::Tuple(ids) => {
                Value::Tuple(ids.iter().map(|&id| inner(id)).collect::<Result<_>>()?)
            }
            Node::Dict { ordered, items } => {
                let items = items.iter().map(|&(key, value)| Ok((inner(key)?, inner(value)?)));
                let items = items.collect::<Result<_>>()?;
                if *ordered { Value::Ordered(items) } else { Value::Dict(items) }
            }
            Node::Global(module, name) => Value::Text(format!("{module}.{name}")),
            Node::Object(class, state) => {
                let state = state.map_or(Ok(Value::None), inner)?;
                Value::Object(class.clone(), Box::new(state))
            }
            Node::Storage(storage) => Value::Text(format!("storage {}", storage.key)),
            Node::Tensor(view) => Value::Tensor(tensor(view)?),
        })
    }
}

#[cfg(test)]
mod tests;
