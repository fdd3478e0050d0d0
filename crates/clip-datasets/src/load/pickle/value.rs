//! The values of a pickle.

use clip_format::pickle::{Id, Value};

/// Text or bytes, which Python 2 has one kind for.
pub(super) struct Text {
    /// Where they begin in the file.
    pub at: u64,
    pub length: u64,
    /// Empty where they are too long to be a label or a name.
    pub bytes: Vec<u8>,
}

impl Text {
    pub(super) fn short(&self) -> Option<&[u8]> {
        (self.bytes.len() as u64 == self.length).then_some(&self.bytes)
    }
}

pub(super) enum Object {
    Reconstruct,
    Ndarray,
    Dtype,
    /// NumPy's name of a type of numbers.
    Type(Vec<u8>),
    Array(Bytes),
}

/// An array of bytes, and where in the file it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub sizes: Vec<u64>,
    pub at: u64,
}

/// The values of a file.
pub(crate) struct Pickle {
    pub(super) values: Vec<Value<Text, Object>>,
    pub(super) root: Id,
}

impl Pickle {
    /// The value of a key of the dictionary that the file holds.
    pub(crate) fn get(&self, key: &str) -> Option<Id> {
        let Value::Dict { items, .. } = &self.values[self.root] else { return None };
        let same = |id: Id| matches!(&self.values[id], Value::Text(text) if text.short() == Some(key.as_bytes()));
        items.iter().rev().find(|(name, _)| same(*name)).map(|(_, value)| *value)
    }

    /// The items of a list.
    fn list<T>(&self, id: Id, item: impl Fn(&Value<Text, Object>) -> Option<T>) -> Option<Vec<T>> {
        let Value::List(items) = &self.values[id] else { return None };
        items.iter().map(|&id| item(&self.values[id])).collect()
    }

    /// A list of numbers.
    pub(crate) fn numbers(&self, id: Id) -> Option<Vec<i64>> {
        self.list(id, |value| match value {
            Value::Int(number) => Some(*number),
            Value::Bool(bit) => Some((*bit).into()),
            _ => None,
        })
    }

    /// A list of texts, in Latin-1 as Python 2 wrote them.
    pub(crate) fn texts(&self, id: Id) -> Option<Vec<String>> {
        self.list(id, |value| match value {
            Value::Text(text) => Some(text.short()?.iter().map(|&byte| char::from(byte)).collect()),
            _ => None,
        })
    }

    /// An array of bytes.
    pub(crate) fn bytes(&self, id: Id) -> Option<&Bytes> {
        match &self.values[id] {
            Value::Object(Object::Array(bytes)) => Some(bytes),
            _ => None,
        }
    }
}
