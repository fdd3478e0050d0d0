//! The values of a pickle.

pub(super) type Parsed<T> = std::result::Result<T, String>;
/// A value's place among the values of its file.
pub(crate) type Id = usize;

#[derive(Debug, Clone, Default)]
pub(super) enum Value {
    #[default]
    None,
    Mark,
    Int(i64),
    /// Text or bytes, which Python 2 has one kind for, and where they begin.
    Text(u64, Vec<u8>),
    /// Text or bytes that were not read: where they begin, and their length.
    Long(u64, u64),
    List(Vec<Id>),
    Tuple(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    Global(Global),
    /// NumPy's name of a type of numbers.
    Dtype(Vec<u8>),
    Array(Bytes),
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Global {
    Reconstruct,
    Ndarray,
    Dtype,
}

/// An array of bytes, and where in the file it begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub sizes: Vec<u64>,
    pub at: u64,
}

/// The values of a file.
pub(crate) struct Pickle {
    pub(super) values: Vec<Value>,
    pub(super) root: Id,
}

impl Pickle {
    /// The value of a key of the dictionary that the file holds.
    pub(crate) fn get(&self, key: &str) -> Option<Id> {
        let Value::Dict(pairs) = &self.values[self.root] else { return None };
        let same =
            |id: Id| matches!(&self.values[id], Value::Text(_, text) if text == key.as_bytes());
        pairs.iter().rev().find(|(name, _)| same(*name)).map(|(_, value)| *value)
    }

    /// A list of numbers.
    pub(crate) fn numbers(&self, id: Id) -> Option<Vec<i64>> {
        let Value::List(items) = &self.values[id] else { return None };
        let number = |&id: &Id| match self.values[id] {
            Value::Int(number) => Some(number),
            _ => None,
        };
        items.iter().map(number).collect()
    }

    /// A list of texts, in Latin-1 as Python 2 wrote them.
    pub(crate) fn texts(&self, id: Id) -> Option<Vec<String>> {
        let Value::List(items) = &self.values[id] else { return None };
        let text = |&id: &Id| match &self.values[id] {
            Value::Text(_, bytes) => Some(bytes.iter().map(|&byte| char::from(byte)).collect()),
            _ => None,
        };
        items.iter().map(text).collect()
    }

    /// An array of bytes.
    pub(crate) fn bytes(&self, id: Id) -> Option<&Bytes> {
        match &self.values[id] {
            Value::Array(bytes) => Some(bytes),
            _ => None,
        }
    }
}
