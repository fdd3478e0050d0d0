//! Parameters by name, in PyTorch's order.

use clip_torch::tch::{Device, Tensor};

/// An ordered list of named parameters: what a module tree registers, in the order in which PyTorch would.
#[derive(Default)]
pub struct Params {
    entries: Vec<(String, Tensor)>,
}

impl Params {
    /// Registers a parameter on the device and gives it back.
    pub(crate) fn add(&mut self, name: String, tensor: Tensor, device: Device) -> Tensor {
        let tensor = tensor.to_device(device).set_requires_grad(true);
        self.entries.push((name, tensor.shallow_clone()));
        tensor
    }

    /// Name and tensor of each parameter.
    pub fn entries(&self) -> &[(String, Tensor)] {
        &self.entries
    }

    /// Number of scalars.
    pub fn count(&self) -> usize {
        self.entries.iter().map(|(_, tensor)| tensor.numel()).sum()
    }
}
