//! Writing the pickle: protocol 2, the opcodes that `torch.save` uses.

use clip_torch::tch::Tensor;

use super::tensor::class_of;
use super::value::Value;

/// The pickle of a value, and the tensors whose bytes go into the records `data/0`, `data/1`, ….
///
/// # Errors
/// When a tensor has a type that no storage class is for, or a value is a TorchScript object.
pub(super) fn pickle(value: &Value) -> Result<(Vec<u8>, Vec<Tensor>), String> {
    let mut pickle = Pickle { bytes: vec![0x80, 2], tensors: Vec::new() };
    pickle.value(value)?;
    pickle.bytes.push(b'.');
    Ok((pickle.bytes, pickle.tensors))
}

struct Pickle {
    bytes: Vec<u8>,
    tensors: Vec<Tensor>,
}

impl Pickle {
    fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    fn value(&mut self, value: &Value) -> Result<(), String> {
        match value {
            Value::None => self.add(b"N"),
            Value::Bool(true) => self.add(b"\x88"),
            Value::Bool(false) => self.add(b"\x89"),
            Value::Int(number) => self.int(*number),
            Value::Float(number) => {
                self.add(b"G");
                self.add(&number.to_be_bytes());
            }
            Value::Text(text) => self.text(text),
            Value::List(elements) => {
                self.add(b"](");
                elements.iter().try_for_each(|element| self.value(element))?;
                self.add(b"e");
            }
            Value::Tuple(elements) => {
                self.add(b"(");
                elements.iter().try_for_each(|element| self.value(element))?;
                self.add(b"t");
            }
            Value::Dict(items) => {
                self.add(b"}");
                self.items(items)?;
            }
            Value::Ordered(items) => {
                self.add(b"ccollections\nOrderedDict\n)R");
                self.items(items)?;
            }
            Value::Object(class, _) => return Err(format!("an object of {class} is not written")),
            Value::Tensor(tensor) => self.tensor(tensor)?,
        }
        Ok(())
    }

    fn items(&mut self, items: &[(Value, Value)]) -> Result<(), String> {
        self.add(b"(");
        for (key, value) in items {
            self.value(key)?;
            self.value(value)?;
        }
        self.add(b"u");
        Ok(())
    }

    fn int(&mut self, number: i64) {
        if let Ok(byte) = u8::try_from(number) {
            self.add(&[b'K', byte]);
        } else if let Ok(short) = u16::try_from(number) {
            self.add(b"M");
            self.add(&short.to_le_bytes());
        } else if let Ok(int) = i32::try_from(number) {
            self.add(b"J");
            self.add(&int.to_le_bytes());
        } else {
            self.add(b"\x8a\x08");
            self.add(&number.to_le_bytes());
        }
    }

    fn text(&mut self, text: &str) {
        self.add(b"X");
        self.add(&(text.len() as u32).to_le_bytes());
        self.add(text.as_bytes());
    }

    fn ints(&mut self, numbers: &[i64]) {
        self.add(b"(");
        numbers.iter().for_each(|&number| self.int(number));
        self.add(b"t");
    }

    /// `_rebuild_tensor_v2(storage, 0, size, stride, False, OrderedDict())`.
    fn tensor(&mut self, tensor: &Tensor) -> Result<(), String> {
        let kind = tensor.kind();
        let class = class_of(kind).ok_or_else(|| format!("tensors of {kind:?} are not written"))?;
        self.add(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        self.text("storage");
        self.add(format!("ctorch\n{class}\n").as_bytes());
        self.text(&self.tensors.len().to_string());
        self.text("cpu");
        self.int(tensor.numel() as i64);
        self.add(b"tQK\x00");
        let size = tensor.size();
        let mut stride = vec![1; size.len()];
        for at in (1..size.len()).rev() {
            stride[at - 1] = stride[at] * size[at].max(1);
        }
        self.ints(&size);
        self.ints(&stride);
        self.add(b"\x89ccollections\nOrderedDict\n)RtR");
        self.tensors.push(tensor.shallow_clone());
        Ok(())
    }
}
