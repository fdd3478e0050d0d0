//! Heads on unit embeddings of images: a linear layer or an MLP.

use std::path::Path;

use clip_model::pt::read_pt;
use clip_model::{Error as ModelError, read_safetensors};
use clip_score::{Activation, Head, HeadOutput};
use clip_torch::tch::{Device, Kind, Tensor, no_grad};

use crate::{Error, Result};

/// A head with its weights.
pub struct LoadedHead {
    head: Head,
    /// Weight [out, in] and bias [out] of each layer, in f32.
    layers: Vec<(Tensor, Tensor)>,
}

impl LoadedHead {
    /// Reads the weights of a head for embeddings of `width` numbers.
    ///
    /// Layers are in the order of the numbers in their names, as in `layers.0.weight`; a file of
    /// PyTorch is read as data, without running what is in it.
    ///
    /// # Errors
    /// When the file holds no such layers, the first takes another width, one does not fit the one
    /// before it, or the last gives more than one number.
    pub fn open(head: &Head, width: i64) -> Result<Self> {
        let fault =
            |reason: String| Error::file(&head.file, format!("head {}: {reason}", head.name));
        let mut layers = Vec::new();
        let mut input = width;
        for (name, weight, bias) in linear_layers(&tensors(&head.file)?).map_err(fault)? {
            let shape = weight.size();
            let &[out, wanted] = shape.as_slice() else {
                return Err(fault(format!("{name} is no matrix: {shape:?}")));
            };
            if wanted != input && layers.is_empty() {
                let hint = "hint: a head fits the embeddings of the model that it was trained on";
                let reason = format!(
                    "its first layer takes embeddings of {wanted} numbers, and the model's have {width}\n{hint}"
                );
                return Err(fault(reason));
            }
            if wanted != input || bias.size() != [out] {
                let reason = format!(
                    "{name} is {shape:?} after a layer of {input}, with a bias of {:?}",
                    bias.size()
                );
                return Err(fault(reason));
            }
            let own = |tensor: &Tensor| tensor.to_kind(Kind::Float);
            layers.push((own(&weight), own(&bias)));
            input = out;
        }
        if layers.is_empty() {
            let hint = "hint: layers are named as in `layers.0.weight`, `layers.0.bias`";
            return Err(fault(format!("no linear layer in it\n{hint}")));
        }
        if input != 1 {
            return Err(fault(format!("it gives {input} numbers where one is wanted")));
        }
        Ok(Self { head: head.clone(), layers })
    }

    /// The name of its column.
    pub fn name(&self) -> &str {
        &self.head.name
    }

    /// A number for each of the embeddings, `[n, width]` to `[n]`, in f32.
    pub fn forward(&self, embeddings: &Tensor) -> Tensor {
        no_grad(|| {
            let last = self.layers.len() - 1;
            let layers = self.layers.iter().enumerate();
            let x = layers.fold(embeddings.shallow_clone(), |x, (at, (weight, bias))| {
                let x = x.linear(weight, Some(bias));
                match self.head.activation {
                    Activation::Relu if at < last => x.relu(),
                    Activation::Gelu if at < last => x.gelu("none"),
                    _ => x,
                }
            });
            let x = x.squeeze_dim(-1);
            if self.head.output == HeadOutput::Sigmoid { x.sigmoid() } else { x }
        })
    }
}

fn tensors(path: &Path) -> Result<Vec<(String, Tensor)>> {
    let start = std::fs::File::open(path).and_then(|mut file| {
        let mut start = [0; 2];
        std::io::Read::read_exact(&mut file, &mut start)?;
        Ok(start)
    });
    let start = start.map_err(|e| Error::io(path, e))?;
    // A zip archive, or the pickle alone of PyTorch before 1.6.
    if &start != b"PK" && start != [0x80, 0x02] {
        return Ok(read_safetensors(path)?);
    }
    let value = read_pt(path).map_err(|error| match error {
        ModelError::File(mut error) if !error.reason.contains("\nhint: ") => {
            let hint =
                "hint: a head is a state dict; safetensors.torch.save_file writes one without code";
            error.reason = format!("{}\n{hint}", error.reason);
            error.into()
        }
        other => other,
    })?;
    Ok(value.get("state_dict").unwrap_or(&value).tensors())
}

/// Weights and biases by the number in their names; none has one where there is one layer.
fn linear_layers(
    tensors: &[(String, Tensor)],
) -> std::result::Result<Vec<(String, Tensor, Tensor)>, String> {
    let number = |name: &str| name.split('.').rev().find_map(|word| word.parse::<usize>().ok());
    let mut layers = Vec::new();
    for (name, weight) in tensors {
        let Some(layer) = name.strip_suffix("weight") else {
            if name.ends_with("bias") {
                continue;
            }
            return Err(format!("{name} is no part of a linear layer"));
        };
        let bias = format!("{layer}bias");
        let bias = tensors.iter().find(|(other, _)| *other == bias).map(|(_, bias)| bias);
        let bias = match bias {
            Some(bias) => bias.shallow_clone(),
            None => {
                Tensor::zeros(&weight.size()[..1.min(weight.dim())], (Kind::Float, Device::Cpu))
            }
        };
        layers.push((number(name), name.clone(), weight.shallow_clone(), bias));
    }
    layers.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    Ok(layers.into_iter().map(|(_, name, weight, bias)| (name, weight, bias)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_model::pt::{Value, write_pt};
    use clip_model::write_safetensors;

    fn head(file: &Path, activation: Activation, output: HeadOutput) -> Head {
        Head { name: "aesthetic".into(), file: file.to_path_buf(), activation, output }
    }

    /// A layer whose weights count up from `from`.
    fn layer(name: &str, out: i64, input: i64, from: f64) -> Vec<(String, Tensor)> {
        let weight = (Tensor::arange(out * input, (Kind::Float, Device::Cpu)) * 0.01 + from)
            .view([out, input]);
        let bias = Tensor::full([out], -0.05, (Kind::Float, Device::Cpu));
        vec![(format!("{name}weight"), weight), (format!("{name}bias"), bias)]
    }

    #[test]
    fn the_shape_of_laions_predictor_is_read_in_the_order_of_its_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let sides = [768, 1024, 128, 64, 16, 1];
        // Its dropouts have numbers, too: 0, 2, 4, 6, 7.
        let numbers = [0, 2, 4, 6, 7];
        let layers: Vec<(String, Tensor)> = (0..5)
            .flat_map(|at| {
                layer(&format!("layers.{}.", numbers[at]), sides[at + 1], sides[at], -0.001)
            })
            .map(|(name, tensor)| (name, tensor * 1e-3))
            .collect();
        let file = folder.path().join("sac.safetensors");
        write_safetensors(&file, &layers).unwrap();
        let open =
            |activation, output, width| LoadedHead::open(&head(&file, activation, output), width);
        let x = (Tensor::arange(2 * 768, (Kind::Float, Device::Cpu)) * 0.37).sin().view([2, 768]);
        let mut expected = x.shallow_clone();
        for at in 0..5 {
            let (weight, bias) = (&layers[2 * at].1, &layers[2 * at + 1].1);
            expected = expected.matmul(&weight.tr()) + bias;
        }
        let found = open(Activation::None, HeadOutput::None, 768).unwrap().forward(&x);
        assert_eq!(found.size(), [2]);
        assert!(found.allclose(&expected.squeeze_dim(-1), 1e-5, 1e-7, false));
        let relu = open(Activation::Relu, HeadOutput::Sigmoid, 768).unwrap().forward(&x);
        assert!(relu.min().double_value(&[]) > 0.0 && !relu.allclose(&found, 1e-5, 1e-8, false));
        let error = open(Activation::None, HeadOutput::None, 512).err().unwrap().to_string();
        for part in ["sac.safetensors", "768", "512", "\nhint: "] {
            assert!(error.contains(part), "{error}");
        }
    }

    #[test]
    fn a_linear_head_comes_from_a_state_dict_of_pytorch_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("linear.pth");
        write_pt(&file, &Value::state_dict(&layer("", 1, 4, 0.1))).unwrap();
        let head = head(&file, Activation::None, HeadOutput::None);
        let head = LoadedHead::open(&head, 4).unwrap();
        let found = head.forward(&Tensor::from_slice(&[1f32, 1.0, 1.0, 1.0]).view([1, 4]));
        assert!((found.double_value(&[0]) - 0.41).abs() < 1e-6);
    }

    #[test]
    fn what_is_no_head_is_named_with_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, layers: Vec<(String, Tensor)>| {
            let file = folder.path().join(name);
            write_safetensors(&file, &layers).unwrap();
            file
        };
        let two = layer("0.", 3, 4, 0.0).into_iter().chain(layer("2.", 1, 5, 0.0)).collect();
        let odd =
            vec![("layers.0.scale".to_owned(), Tensor::ones([1], (Kind::Float, Device::Cpu)))];
        let code = folder.path().join("code.pth");
        // A pickle that calls os.system when it is loaded.
        std::fs::write(&code, b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.").unwrap();
        for (file, part) in [
            (write("wide.safetensors", layer("", 2, 4, 0.0)), "gives 2 numbers"),
            (write("unfit.safetensors", two), "after a layer of 3"),
            (write("odd.safetensors", odd), "layers.0.scale"),
            (code, "code.pth"),
        ] {
            let head = head(&file, Activation::None, HeadOutput::None);
            let error = LoadedHead::open(&head, 4).err().unwrap().to_string();
            let name = file.file_name().unwrap().to_str().unwrap();
            assert!(error.contains(part) && error.contains(name), "{error}");
        }
    }
}
