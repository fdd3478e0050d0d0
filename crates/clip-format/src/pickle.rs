//! The stack machine that a pickle is a program of, as far as numbers, texts, lists and
//! dictionaries go (Python's `pickletools` names the opcodes). Nothing is run: what a pickle names
//! and calls is decided by an [`Objects`].

use std::collections::HashMap;
use std::io::{BufRead, Read, Seek};

/// Bytes of the longest name of a class or function.
const LONGEST_NAME: u64 = 1 << 12;
const CUT: &str = "the pickle is cut off";
const EMPTY: &str = "the pickle takes what it never gave";

/// Why a pickle is not read that is a bomb.
pub const TOO_MUCH: &str = "the pickle unfolds to too much";

/// A result, or in words what is wrong with the pickle.
pub type Parsed<T> = Result<T, String>;

/// The place of a value in the machine's list; equal numbers are the same object.
pub type Id = usize;

/// A value: `T` is how texts and bytes are kept, `O` what is made of names and calls.
#[derive(Debug)]
pub enum Value<T, O> {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// Text or bytes, which Python 2 has one kind for.
    Text(T),
    /// A list.
    List(Vec<Id>),
    /// A tuple.
    Tuple(Vec<Id>),
    /// A dictionary, or an `OrderedDict`.
    Dict {
        /// Whether it is an `OrderedDict`.
        ordered: bool,
        /// Keys and values, in the order of the file.
        items: Vec<(Id, Id)>,
    },
    /// What was named, or made by a call.
    Object(O),
}

/// What a pickle may name and call, and what that makes.
pub trait Objects: Sized {
    /// How texts and bytes are kept.
    type Text;
    /// What is made of names and calls.
    type Object;
    /// Values, marks, memos and references that a pickle may have, of each; more is a bomb.
    const MOST: usize;

    /// Refuses protocols.
    ///
    /// # Errors
    /// That the protocol is not read.
    fn protocol(_protocol: u8) -> Parsed<()> {
        Ok(())
    }

    /// A text of `length` bytes, which come next.
    ///
    /// # Errors
    /// When the pickle has no more bytes.
    fn text(machine: &mut Machine<Self>, length: u64) -> Parsed<Self::Text>;

    /// A text that is the name of a class or function, or of its module.
    fn name(text: &Self::Text) -> String;

    /// Gives the machine what a name stands for.
    ///
    /// # Errors
    /// The name, when it is none that is known.
    fn global(machine: &mut Machine<Self>, module: String, name: String) -> Parsed<()>;

    /// Gives the machine what a call makes.
    ///
    /// # Errors
    /// When such a thing cannot be called, or not with these arguments.
    fn call(machine: &mut Machine<Self>, called: Id, arguments: Id) -> Parsed<()>;

    /// Gives the value on top of the stack its state.
    ///
    /// # Errors
    /// When it has no such state.
    fn build(machine: &mut Machine<Self>, state: Id) -> Parsed<()>;

    /// Gives the machine what is stored outside of the pickle under an identity.
    ///
    /// # Errors
    /// When nothing is, as in most pickles.
    fn persistent(_machine: &mut Machine<Self>, _id: Id) -> Parsed<()> {
        Err("the pickle names what is stored outside of it".into())
    }
}

/// What a pickle is read from.
pub trait Input: BufRead + Seek {}

impl<T: BufRead + Seek> Input for T {}

/// A pickle on its way to values.
pub struct Machine<'a, O: Objects> {
    /// What the names and calls so far have cost, or whatever else is kept of them.
    pub objects: O,
    /// All values so far.
    pub values: Vec<Value<O::Text, O::Object>>,
    input: &'a mut dyn Input,
    at: u64,
    length: u64,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
    recalled: usize,
}

impl<'a, O: Objects> Machine<'a, O> {
    /// For a pickle of `length` bytes.
    pub fn new(input: &'a mut dyn Input, length: u64, objects: O) -> Self {
        let (values, stack, marks, memo) = (vec![], vec![], vec![], HashMap::new());
        Self { objects, values, input, at: 0, length, stack, marks, memo, recalled: 0 }
    }

    /// Bytes that were read or skipped.
    pub fn at(&self) -> u64 {
        self.at
    }

    /// Bytes that are left.
    pub fn left(&self) -> u64 {
        self.length.saturating_sub(self.at)
    }

    /// Makes all values, and returns the one that the pickle is of.
    ///
    /// # Errors
    /// When the pickle is cut or damaged, needs what is not known here, or unfolds to too much.
    pub fn run(&mut self) -> Parsed<Id> {
        loop {
            let [code] = self.read()?;
            if code == b'.' {
                return self.pop();
            }
            self.step(code)?;
            let (memo, recalled) = (self.memo.len(), self.recalled);
            let sizes = [self.values.len(), self.stack.len(), self.marks.len(), memo, recalled];
            if sizes.iter().any(|&size| size > O::MOST) {
                return Err(TOO_MUCH.into());
            }
        }
    }

    fn step(&mut self, code: u8) -> Parsed<()> {
        match code {
            0x80 => {
                let [protocol] = self.read()?;
                O::protocol(protocol)
            }
            // A frame's length.
            0x95 => self.read::<8>().map(|_| ()),
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(|_| ()),
            b'1' => self.marked().map(|_| ()),
            b'2' => {
                let top = self.top()?;
                self.give(top)
            }
            b'N' => self.push(Value::None),
            0x88 | 0x89 => self.push(Value::Bool(code == 0x88)),
            b'K' | b'M' => {
                let number = self.unsigned(if code == b'K' { 1 } else { 2 })?;
                self.push(Value::Int(number as i64))
            }
            b'J' => {
                let number = i32::from_le_bytes(self.read()?);
                self.push(Value::Int(number.into()))
            }
            0x8a => self.long(),
            b'G' => {
                let number = f64::from_be_bytes(self.read()?);
                self.push(Value::Float(number))
            }
            b'U' | b'C' | 0x8c => self.text(1),
            b'T' | b'B' | b'X' => self.text(4),
            0x8d | 0x8e => self.text(8),
            b']' => self.push(Value::List(Vec::new())),
            b')' => self.push(Value::Tuple(Vec::new())),
            b'}' => self.push(Value::Dict { ordered: false, items: Vec::new() }),
            0x85..=0x87 => {
                let mut items = Vec::new();
                for _ in 0x84..code {
                    items.push(self.pop()?);
                }
                items.reverse();
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
                let entries = self.marked()?;
                self.set(&entries)
            }
            b'q' | b'r' => {
                let slot = self.unsigned(if code == b'q' { 1 } else { 4 })?;
                self.remember(slot)
            }
            0x94 => self.remember(self.memo.len() as u64),
            b'h' | b'j' => {
                let slot = self.unsigned(if code == b'h' { 1 } else { 4 })?;
                self.recalled += 1;
                self.give(*self.memo.get(&slot).ok_or("the pickle recalls what it never kept")?)
            }
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                O::global(self, module, name)
            }
            0x93 => {
                let (name, module) = (self.pop()?, self.pop()?);
                let [Value::Text(module), Value::Text(name)] =
                    [&self.values[module], &self.values[name]]
                else {
                    return Err("a class or function without a name".into());
                };
                let (module, name) = (O::name(module), O::name(name));
                O::global(self, module, name)
            }
            b'R' | 0x81 => {
                let (arguments, called) = (self.pop()?, self.pop()?);
                O::call(self, called, arguments)
            }
            b'b' => {
                let state = self.pop()?;
                O::build(self, state)
            }
            b'Q' => {
                let id = self.pop()?;
                O::persistent(self, id)
            }
            other => Err(format!("the pickle's opcode {other:#04x} is not known here")),
        }
    }

    fn read<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut bytes = [0; N];
        self.input.read_exact(&mut bytes).map_err(|_| CUT)?;
        self.at += N as u64;
        Ok(bytes)
    }

    /// The next bytes.
    ///
    /// # Errors
    /// When there are no more.
    pub fn bytes(&mut self, length: u64) -> Parsed<Vec<u8>> {
        if length > self.left() {
            return Err(CUT.into());
        }
        let mut bytes = vec![0; length as usize];
        self.input.read_exact(&mut bytes).map_err(|_| CUT)?;
        self.at += length;
        Ok(bytes)
    }

    /// Skips the next bytes.
    ///
    /// # Errors
    /// When there are no more.
    pub fn skip(&mut self, length: u64) -> Parsed<()> {
        let by = i64::try_from(length).ok().filter(|_| length <= self.left()).ok_or(CUT)?;
        self.input.seek_relative(by).map_err(|e| e.to_string())?;
        self.at += length;
        Ok(())
    }

    fn line(&mut self) -> Parsed<String> {
        let mut bytes = Vec::new();
        let read = (&mut *self.input).take(LONGEST_NAME).read_until(b'\n', &mut bytes);
        self.at += read.map_err(|e| e.to_string())? as u64;
        let text = bytes.strip_suffix(b"\n").ok_or(CUT)?;
        Ok(String::from_utf8_lossy(text).into_owned())
    }

    /// A text, whose length comes first, in some bytes.
    fn text(&mut self, bytes: usize) -> Parsed<()> {
        let length = self.unsigned(bytes)?;
        let text = O::text(self, length)?;
        self.push(Value::Text(text))
    }

    /// A number of up to 8 bytes.
    fn unsigned(&mut self, bytes: usize) -> Parsed<u64> {
        let mut number = [0; 8];
        self.input.read_exact(&mut number[..bytes]).map_err(|_| CUT)?;
        self.at += bytes as u64;
        Ok(u64::from_le_bytes(number))
    }

    /// An integer of any length, as far as it has 64 bits.
    fn long(&mut self) -> Parsed<()> {
        let [length] = self.read()?;
        let digits = self.bytes(length.into())?;
        let filler = if digits.last().is_some_and(|&byte| byte >= 0x80) { 0xff } else { 0 };
        if digits.iter().skip(8).any(|&byte| byte != filler) {
            return Err("the pickle holds an integer of more than 64 bits".into());
        }
        let mut bytes = [filler; 8];
        let kept = digits.len().min(8);
        bytes[..kept].copy_from_slice(&digits[..kept]);
        self.push(Value::Int(i64::from_le_bytes(bytes)))
    }

    /// Puts a new value on the stack.
    ///
    /// # Errors
    /// None: all that the machine does ends in a result.
    pub fn push(&mut self, value: Value<O::Text, O::Object>) -> Parsed<()> {
        self.values.push(value);
        self.give(self.values.len() - 1)
    }

    /// Puts a value that is there on the stack.
    ///
    /// # Errors
    /// None, as with [`Machine::push`].
    pub fn give(&mut self, id: Id) -> Parsed<()> {
        self.stack.push(id);
        Ok(())
    }

    fn pop(&mut self) -> Parsed<Id> {
        let floor = self.marks.last().copied().unwrap_or(0);
        let id = if self.stack.len() > floor { self.stack.pop() } else { None };
        id.ok_or_else(|| EMPTY.into())
    }

    /// The value on top of the stack, which stays there.
    ///
    /// # Errors
    /// When there is none.
    pub fn top(&self) -> Parsed<Id> {
        self.stack.last().copied().ok_or_else(|| EMPTY.into())
    }

    /// What was put on the stack since the last mark.
    fn marked(&mut self) -> Parsed<Vec<Id>> {
        let mark = self.marks.pop().ok_or("the pickle has no mark where it needs one")?;
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    fn append(&mut self, items: Vec<Id>) -> Parsed<()> {
        let top = self.top()?;
        match &mut self.values[top] {
            Value::List(list) => list.extend(items),
            _ => return Err("the pickle appends to what is no list".into()),
        }
        Ok(())
    }

    fn set(&mut self, entries: &[Id]) -> Parsed<()> {
        let top = self.top()?;
        match (&mut self.values[top], entries.as_chunks()) {
            (Value::Dict { items, .. }, (pairs, [])) => {
                items.extend(pairs.iter().map(|[key, value]| (*key, *value)));
            }
            _ => return Err("the pickle sets an entry of what is no dictionary".into()),
        }
        Ok(())
    }

    fn remember(&mut self, slot: u64) -> Parsed<()> {
        let top = self.top()?;
        self.memo.insert(slot, top);
        Ok(())
    }
}
