//! What a pickle may name and call: how tensors and dictionaries are built.

use super::super::tensor::{Storage, View, kind_of};
use super::{Id, Machine, Node, Result};

impl Machine<'_> {
    /// Globals are names here, never code: only those that checkpoints need are known.
    pub(super) fn global(&mut self, module: String, name: String) -> Result<()> {
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
        self.push(Node::Global(module, name));
        Ok(())
    }

    pub(super) fn call(&mut self, callee: Id, arguments: Id) -> Result<()> {
        let Node::Global(module, name) = &self.nodes[callee] else {
            return Err("the pickle calls what is no global".into());
        };
        let Node::Tuple(arguments) = &self.nodes[arguments] else {
            return Err(format!("{module}.{name} is called without arguments"));
        };
        let (module, name, arguments) = (module.clone(), name.clone(), arguments.clone());
        self.copies(2 * (module.len() + name.len()) + size_of_val(&arguments[..]))?;
        let first = arguments.first().copied();
        let lacking = || format!("{module}.{name} is called with the wrong arguments");
        let node = match (module.as_str(), name.as_str()) {
            ("collections", _) => {
                let items = self.pairs(first)?;
                self.copies(size_of_val(&items[..]))?;
                Node::Dict { ordered: true, items }
            }
            // A torch.Size is the tuple that it is made of.
            ("torch", "Size") => {
                let sides = first.ok_or_else(lacking)?;
                if !matches!(self.nodes[sides], Node::Tuple(_)) {
                    return Err(lacking());
                }
                self.stack.push(sides);
                return Ok(());
            }
            ("torch._utils", "_rebuild_parameter") | ("torch.jit._pickle", _) => {
                self.stack.push(first.ok_or_else(lacking)?);
                return Ok(());
            }
            ("torch._utils", _) => {
                let view = self.view(&arguments).ok_or_else(lacking)?;
                self.copies(size_of_val(&view.size[..]) + size_of_val(&view.stride[..]))?;
                Node::Tensor(view)
            }
            ("torch", _) => return Err(lacking()),
            (module, name) => Node::Object(format!("{module}.{name}"), None),
        };
        self.push(node);
        Ok(())
    }

    fn pairs(&self, list: Option<Id>) -> Result<Vec<(Id, Id)>> {
        let Some(list) = list else { return Ok(Vec::new()) };
        let elements = |id: Id| match &self.nodes[id] {
            Node::List(elements) | Node::Tuple(elements) => Ok(elements),
            _ => Err("an OrderedDict is built from what is no list of pairs".to_owned()),
        };
        elements(list)?
            .iter()
            .map(|&pair| match elements(pair)?.as_slice() {
                [key, value] => Ok((*key, *value)),
                _ => Err("an OrderedDict is built from what is no list of pairs".to_owned()),
            })
            .collect()
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, …)`.
    fn view(&self, arguments: &[Id]) -> Option<View> {
        let [storage, offset, size, stride, ..] = arguments else { return None };
        let Node::Storage(storage) = &self.nodes[*storage] else { return None };
        let sides = |id: Id| {
            let (Node::Tuple(sides) | Node::List(sides)) = &self.nodes[id] else { return None };
            sides.iter().map(|&side| self.int(side)).collect::<Option<Vec<i64>>>()
        };
        Some(View {
            storage: storage.clone(),
            offset: self.int(*offset)?,
            size: sides(*size)?,
            stride: sides(*stride)?,
        })
    }

    fn int(&self, id: Id) -> Option<i64> {
        if let Node::Int(number) = self.nodes[id] { Some(number) } else { None }
    }

    /// `('storage', class, key, location, numel)`.
    pub(super) fn storage(&mut self) -> Result<()> {
        let id = self.pop()?;
        let found = match &self.nodes[id] {
            Node::Tuple(parts) => match parts[..] {
                [_, class, key, _, numel] => {
                    let kind = match &self.nodes[class] {
                        Node::Global(_, name) => kind_of(name),
                        _ => None,
                    };
                    let key = match &self.nodes[key] {
                        Node::Text(key) => Some(key.clone()),
                        _ => None,
                    };
                    kind.zip(key).zip(self.int(numel)).map(|((kind, key), numel)| Storage {
                        key,
                        kind,
                        numel,
                    })
                }
                _ => None,
            },
            _ => None,
        };
        self.push(Node::Storage(found.ok_or("the pickle names a storage of an unknown kind")?));
        Ok(())
    }
}

fn dtype(name: &str) -> bool {
    ["float32", "float16", "bfloat16", "float64", "int64", "int32", "int8", "uint8", "bool"]
        .contains(&name)
}
