//! Parameters and buffers by name, in PyTorch's order.

use std::collections::HashMap;

use clip_torch::tch::{Device, Kind, Tensor};

use crate::init::Init;
use crate::weight_mismatch::{Fault, Faults};

/// Tensors by name, in order.
pub(crate) type Named = Vec<(String, Tensor)>;

/// What a module tree registers, in the order in which PyTorch would: drawn afresh, or taken from
/// weights.
pub(crate) struct Params {
    state: Vec<(String, Tensor)>,
    parameters: Vec<(String, Tensor)>,
    device: Device,
    kind: Kind,
    given: Option<HashMap<String, Tensor>>,
    faults: Faults,
    shapes_only: bool,
}

impl Params {
    /// Fresh f32 weights.
    pub fn fresh(device: Device) -> Self {
        Self {
            state: Vec::new(),
            parameters: Vec::new(),
            device,
            kind: Kind::Float,
            given: None,
            faults: Faults::default(),
            shapes_only: false,
        }
    }

    /// Weights from a file, of any floating type, taken over without a copy where type and device
    /// are right.
    pub fn given(weights: Vec<(String, Tensor)>, device: Device, kind: Kind) -> Self {
        Self { kind, given: Some(weights.into_iter().collect()), ..Self::fresh(device) }
    }

    /// Shapes alone, without memory: a tensor of libtorch's `meta` device is not to be had through
    /// tch, so each is one number seen in that shape.
    pub fn shapes() -> Self {
        Self { shapes_only: true, ..Self::fresh(Device::Cpu) }
    }

    /// Whether there are weights, and one of that name.
    pub fn has(&self, name: &str) -> bool {
        self.given.as_ref().is_some_and(|given| given.contains_key(name))
    }

    /// Registers a parameter.
    pub fn weight(&mut self, name: String, shape: &[i64], init: Init) -> Tensor {
        self.weight_of(name, shape, init, self.kind)
    }

    /// Registers a parameter that is in 32 bits whatever the others are.
    pub fn weight_f32(&mut self, name: String, shape: &[i64], init: Init) -> Tensor {
        self.weight_of(name, shape, init, Kind::Float)
    }

    fn weight_of(&mut self, name: String, shape: &[i64], init: Init, kind: Kind) -> Tensor {
        let tensor = self.value(&name, shape, init, kind).set_requires_grad(true);
        self.parameters.push((name.clone(), tensor.shallow_clone()));
        self.state.push((name, tensor.shallow_clone()));
        tensor
    }

    /// Registers a buffer: part of the state, not of what is trained.
    pub fn buffer(&mut self, name: String, shape: &[i64], init: Init, kind: Kind) -> Tensor {
        let tensor = self.value(&name, shape, init, kind);
        self.state.push((name, tensor.shallow_clone()));
        tensor
    }

    fn value(&mut self, name: &str, shape: &[i64], init: Init, kind: Kind) -> Tensor {
        let no_memory = || Tensor::zeros([0; 0], (kind, Device::Cpu)).expand(shape, false);
        if self.shapes_only {
            return no_memory();
        }
        let fresh = |kind| init.draw(shape).to_kind(kind).to_device(self.device);
        let Some(given) = &mut self.given else { return fresh(kind) };
        match given.remove(name) {
            Some(tensor) if tensor.size() == shape => {
                tensor.detach().to_device(self.device).to_kind(kind)
            }
            // One number may be stored as a vector of one: open_clip's `nonscalar_logit_scale`.
            Some(tensor) if shape.is_empty() && tensor.size() == [1] => {
                tensor.detach().view([0i64; 0].as_slice()).to_device(self.device).to_kind(kind)
            }
            Some(tensor) => {
                let (has, wants) = (tensor.size(), shape.to_vec());
                self.faults.push(Fault::Shape { name: name.to_owned(), has, wants });
                no_memory()
            }
            // PyTorch before 0.4.1 did not count batches.
            None if name.ends_with("num_batches_tracked") => fresh(kind),
            None => {
                self.faults.push(Fault::Missing(name.to_owned()));
                no_memory()
            }
        }
    }

    /// State (parameters and buffers), parameters, and what was wrong with the weights given.
    pub fn finish(mut self) -> (Named, Named, Faults) {
        let mut left: Vec<String> =
            self.given.into_iter().flatten().map(|(name, _)| name).collect();
        left.sort();
        left.into_iter().for_each(|name| self.faults.push(Fault::Extra(name)));
        (self.state, self.parameters, self.faults)
    }
}
