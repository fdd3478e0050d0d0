//! Reading the pickle, by the machine of [`clip_format::pickle`].

mod calls;

use std::io::Cursor;

use clip_format::pickle::{Id, Machine, Objects, Parsed, TOO_MUCH, Value as Node};
use clip_torch::tch::Tensor;

use super::tensor::{Storage, View};
use super::value::Value;

/// Bytes of names, arguments and sides that calls may copy: an operation of five bytes copies a
/// list of any length.
const MOST_COPIED: usize = 1 << 27;
/// Bytes of text that count as one of the values that a pickle unfolds to.
const TEXT: usize = 64;
/// How deep values may nest.
const DEEPEST: usize = 200;

/// What a checkpoint names and calls.
#[derive(Default)]
struct Checkpoint {
    /// Bytes that calls have copied.
    copied: usize,
}

enum Object {
    /// A module and a name in it.
    Global(String, String),
    /// The class of a TorchScript module, and its attributes.
    Script(String, Option<Id>),
    Storage(Storage),
    Tensor(View),
}

/// Reads a pickle; `tensor` gives the tensor of a view.
pub(super) fn read(bytes: &[u8], tensor: &dyn Fn(&View) -> Parsed<Tensor>) -> Parsed<Value> {
    let mut input = Cursor::new(bytes);
    let mut machine = Machine::new(&mut input, bytes.len() as u64, Checkpoint::default());
    let root = machine.run().map_err(|e| format!("{e} (byte {} of the pickle)", machine.at()))?;
    value(&machine.values, root, 0, &mut 0, tensor)
}

fn value(
    nodes: &[Node<String, Object>],
    id: Id,
    depth: usize,
    unfolded: &mut usize,
    tensor: &dyn Fn(&View) -> Parsed<Tensor>,
) -> Parsed<Value> {
    *unfolded += 1 + text_len(&nodes[id]) / TEXT;
    if depth > DEEPEST || *unfolded > Checkpoint::MOST {
        return Err(TOO_MUCH.into());
    }
    let mut inner = |id: Id| value(nodes, id, depth + 1, unfolded, tensor);
    Ok(match &nodes[id] {
        Node::None => Value::None,
        Node::Bool(value) => Value::Bool(*value),
        Node::Int(number) => Value::Int(*number),
        Node::Float(number) => Value::Float(*number),
        Node::Text(text) => Value::Text(text.clone()),
        Node::List(ids) => Value::List(ids.iter().map(|&id| inner(id)).collect::<Parsed<_>>()?),
        Node::Tuple(ids) => Value::Tuple(ids.iter().map(|&id| inner(id)).collect::<Parsed<_>>()?),
        Node::Dict { ordered, items } => {
            let items = items.iter().map(|&(key, value)| Ok((inner(key)?, inner(value)?)));
            let items = items.collect::<Parsed<_>>()?;
            if *ordered { Value::Ordered(items) } else { Value::Dict(items) }
        }
        Node::Object(Object::Global(module, name)) => Value::Text(format!("{module}.{name}")),
        Node::Object(Object::Script(class, state)) => {
            let state = state.map_or(Ok(Value::None), inner)?;
            Value::Object(class.clone(), Box::new(state))
        }
        Node::Object(Object::Storage(storage)) => Value::Text(format!("storage {}", storage.key)),
        Node::Object(Object::Tensor(view)) => Value::Tensor(tensor(view)?),
    })
}

/// Bytes of text that a value has.
fn text_len(node: &Node<String, Object>) -> usize {
    match node {
        Node::Text(text) | Node::Object(Object::Script(text, _)) => text.len(),
        Node::Object(Object::Global(module, name)) => module.len() + name.len(),
        Node::Object(Object::Storage(storage)) => storage.key.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
