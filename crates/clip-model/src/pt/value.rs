//! What a `.pt` file holds.

use clip_torch::tch::Tensor;

/// A Python value, as far as checkpoints have them.
#[derive(Debug)]
pub enum Value {
    /// `None`.
    None,
    /// `True` or `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Float(f64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// A tuple.
    Tuple(Vec<Value>),
    /// A dictionary, in its order.
    Dict(Vec<(Value, Value)>),
    /// A `collections.OrderedDict`: what PyTorch's state dicts are.
    Ordered(Vec<(Value, Value)>),
    /// A TorchScript module: the name of its class, and its attributes.
    Object(String, Box<Value>),
    /// A tensor.
    Tensor(Tensor),
}

impl Value {
    /// A state dict.
    pub fn state_dict(tensors: &[(String, Tensor)]) -> Self {
        let entry = |(name, tensor): &(String, Tensor)| {
            (Self::Text(name.clone()), Self::Tensor(tensor.shallow_clone()))
        };
        Self::Ordered(tensors.iter().map(entry).collect())
    }

    /// A dictionary with texts as keys.
    pub fn dict<'a>(entries: impl IntoIterator<Item = (&'a str, Value)>) -> Self {
        Self::Dict(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }

    /// The entries of a dictionary of either kind; none of anything else.
    pub fn items(&self) -> &[(Value, Value)] {
        match self {
            Self::Dict(items) | Self::Ordered(items) => items,
            _ => &[],
        }
    }

    /// The elements of a list or tuple; none of anything else.
    pub fn elements(&self) -> &[Value] {
        match self {
            Self::List(elements) | Self::Tuple(elements) => elements,
            _ => &[],
        }
    }

    /// What a dictionary has under a text.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.items().iter().find(|(name, _)| name.as_str() == Some(key)).map(|(_, value)| value)
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The integer, if it is one.
    pub fn as_i64(&self) -> Option<i64> {
        if let Self::Int(number) = self { Some(*number) } else { None }
    }

    /// The number, if it is one.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Float(number) => Some(*number),
            Self::Int(number) => Some(*number as f64),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(*value) } else { None }
    }

    /// The tensor, if it is one.
    pub fn as_tensor(&self) -> Option<&Tensor> {
        if let Self::Tensor(tensor) = self { Some(tensor) } else { None }
    }

    /// The tensors of a dictionary by name, in its order; what is no tensor is skipped.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        let named = |(key, value): &(Value, Value)| {
            Some((key.as_str()?.to_owned(), value.as_tensor()?.shallow_clone()))
        };
        self.items().iter().filter_map(named).collect()
    }
}

macro_rules! from {
    ($($kind:ty => $variant:ident),*) => {
        $(impl From<$kind> for Value {
            fn from(value: $kind) -> Self {
                Self::$variant(value.into())
            }
        })*
    };
}

from!(&str => Text, String => Text, i64 => Int, f64 => Float, bool => Bool, Tensor => Tensor);
