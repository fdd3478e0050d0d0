//! What a pickle may name and call: how tensors and dictionaries are built.

use clip_format::pickle::{Id, Machine, Objects, Parsed, TOO_MUCH, Value as Node};

use super::super::tensor::{Storage, View, kind_of};
use super::{Checkpoint, MOST_COPIED, Object};

type Nodes = [Node<String, Object>];

impl Checkpoint {
    /// Counts bytes that are copied.
    fn copies(&mut self, bytes: usize) -> Parsed<()> {
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > MOST_COPIED { Err(TOO_MUCH.into()) } else { Ok(()) }
    }
}

impl Objects for Checkpoint {
    type Text = String;
    type Object = Object;
    const MOST: usize = 2_000_000;

    fn text(machine: &mut Machine<Self>, length: u64) -> Parsed<String> {
        Ok(String::from_utf8_lossy(&machine.bytes(length)?).into_owned())
    }

    fn name(text: &String) -> String {
        text.clone()
    }

    /// Globals are names here, never code: only those that checkpoints need are known.
    fn global(machine: &mut Machine<Self>, module: String, name: String) -> Parsed<()> {
        machine.objects.copies(module.len() + name.len())?;
        let known = match module.as_str() {
            "collections" => name == "OrderedDict",
            "torch" => kind_of(&name).is_some() || name == "Size" || dtype(&name),
            "torch._utils" => {
                ["_rebuild_tensor_v2", "_rebuild_tensor", "_rebuild_parameter"].contains(&&*name)
            }
            "torch.jit._pickle" => {
                name == "restore_type_tag" || name.starts_with("build_") && name.ends_with("list")
            }
            module => module == "__torch__" || module.starts_with("__torch__."),
        };
        if !known {
            return Err(format!(
                "forbidden global {module}.{name}: a checkpoint of tensors, numbers and texts needs none such"
            ));
        }
        machine.push(Node::Object(Object::Global(module, name)))
    }

    fn call(machine: &mut Machine<Self>, called: Id, arguments: Id) -> Parsed<()> {
        let Node::Object(Object::Global(module, name)) = &machine.values[called] else {
            return Err("the pickle calls what is no global".into());
        };
        let Node::Tuple(arguments) = &machine.values[arguments] else {
            return Err(format!("{module}.{name} is called without arguments"));
        };
        let (module, name, arguments) = (module.clone(), name.clone(), arguments.clone());
        let copied = 2 * (module.len() + name.len()) + size_of_val(&arguments[..]);
        machine.objects.copies(copied)?;
        let first = arguments.first().copied();
        let lacking = || format!("{module}.{name} is called with the wrong arguments");
        match (module.as_str(), name.as_str()) {
            ("collections", _) => {
                let items = pairs(&machine.values, first)?;
                machine.objects.copies(size_of_val(&items[..]))?;
                machine.push(Node::Dict { ordered: true, items })
            }
            // A torch.Size is the tuple that it is made of.
            ("torch", "Size") => {
                let sides = first.filter(|&id| matches!(machine.values[id], Node::Tuple(_)));
                machine.give(sides.ok_or_else(lacking)?)
            }
            ("torch._utils", "_rebuild_parameter") | ("torch.jit._pickle", _) => {
                machine.give(first.ok_or_else(lacking)?)
            }
            ("torch._utils", _) => {
                let view = view(&machine.values, &arguments).ok_or_else(lacking)?;
                let sides = size_of_val(&view.size[..]) + size_of_val(&view.stride[..]);
                machine.objects.copies(sides)?;
                machine.push(Node::Object(Object::Tensor(view)))
            }
            ("torch", _) => Err(lacking()),
            (module, name) => {
                machine.push(Node::Object(Object::Script(format!("{module}.{name}"), None)))
            }
        }
    }

    /// The attributes of an `OrderedDict` are PyTorch's `_metadata`: nothing needs it.
    fn build(machine: &mut Machine<Self>, state: Id) -> Parsed<()> {
        let target = machine.top()?;
        if let Node::Object(Object::Script(_, slot)) = &mut machine.values[target] {
            *slot = Some(state);
        }
        Ok(())
    }

    fn persistent(machine: &mut Machine<Self>, id: Id) -> Parsed<()> {
        let found = storage(&machine.values, id);
        let found = found.ok_or("the pickle names a storage of an unknown kind")?;
        machine.push(Node::Object(Object::Storage(found)))
    }
}

fn pairs(nodes: &Nodes, list: Option<Id>) -> Parsed<Vec<(Id, Id)>> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let elements = |id: Id| match &nodes[id] {
        Node::List(elements) | Node::Tuple(elements) => Some(elements),
        _ => None,
    };
    let pair = |&pair: &Id| match elements(pair)?[..] {
        [key, value] => Some((key, value)),
        _ => None,
    };
    let pairs = elements(list).and_then(|list| list.iter().map(pair).collect());
    pairs.ok_or_else(|| "an OrderedDict is built from what is no list of pairs".into())
}

/// `_rebuild_tensor_v2(storage, offset, size, stride, …)`.
fn view(nodes: &Nodes, arguments: &[Id]) -> Option<View> {
    let [storage, offset, size, stride, ..] = arguments else { return None };
    let Node::Object(Object::Storage(storage)) = &nodes[*storage] else { return None };
    let sides = |id: Id| {
        let (Node::Tuple(sides) | Node::List(sides)) = &nodes[id] else { return None };
        sides.iter().map(|&side| int(nodes, side)).collect::<Option<Vec<i64>>>()
    };
    Some(View {
        storage: storage.clone(),
        offset: int(nodes, *offset)?,
        size: sides(*size)?,
        stride: sides(*stride)?,
    })
}

fn int(nodes: &Nodes, id: Id) -> Option<i64> {
    if let Node::Int(number) = nodes[id] { Some(number) } else { None }
}

/// `('storage', class, key, location, numel)`.
fn storage(nodes: &Nodes, id: Id) -> Option<Storage> {
    let Node::Tuple(parts) = &nodes[id] else { return None };
    let [_, class, key, _, numel] = parts[..] else { return None };
    let (Node::Object(Object::Global(_, class)), Node::Text(key)) = (&nodes[class], &nodes[key])
    else {
        return None;
    };
    Some(Storage { kind: kind_of(class)?, key: key.clone(), numel: int(nodes, numel)? })
}

fn dtype(name: &str) -> bool {
    ["float32", "float16", "bfloat16", "float64", "int64", "int32", "int8", "uint8", "bool"]
        .contains(&name)
}
