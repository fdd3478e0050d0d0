//! Loss scaling for float16 (Micikevicius et al. 2018, "Mixed Precision Training").
#![allow(unsafe_code, reason = "calls the shim")]

use std::ffi::c_int;

use tch::{Device, Kind, Tensor};

use crate::{Result, ffi};

/// Keeps small gradients from vanishing in 16 bits. The numbers are those of PyTorch's
/// `GradScaler`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaler {
    /// What losses are multiplied with.
    pub scale: f64,
    /// Steps since it changed.
    pub good_steps: u64,
    /// Steps without overflow after which it doubles.
    pub growth_interval: u64,
}

impl Default for Scaler {
    fn default() -> Self {
        Self { scale: 65_536.0, good_steps: 0, growth_interval: 2000 }
    }
}

impl Scaler {
    /// Divides the gradients by the scale in place; false when one of them is not finite.
    pub fn unscale(&self, gradients: &[Tensor]) -> Result<bool> {
        let device = gradients.first().map_or(Device::Cpu, Tensor::device);
        let found = Tensor::zeros([], (Kind::Float, device));
        // Gradients of one type at a time: the kernel takes no mixture.
        for kind in [Kind::Float, Kind::Half, Kind::BFloat16] {
            let of_kind: Vec<_> =
                gradients.iter().filter(|g| g.kind() == kind).map(ffi::pointer).collect();
            let n = of_kind.len() as c_int;
            // SAFETY: a list of live tensors and one more.
            ffi::checked(unsafe {
                ffi::ct_unscale(of_kind.as_ptr(), n, ffi::pointer(&found), 1.0 / self.scale)
            })?;
        }
        Ok(found.double_value(&[]) == 0.0)
    }

    /// Halves the scale after an overflow, doubles it after enough steps without one.
    pub fn update(&mut self, finite: bool) {
        if !finite {
            self.scale = (self.scale / 2.0).max(1.0);
            self.good_steps = 0;
        } else if self.good_steps + 1 == self.growth_interval {
            self.scale *= 2.0;
            self.good_steps = 0;
        } else {
            self.good_steps += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflow_is_seen_and_the_scale_follows() {
        let mut scaler = Scaler { growth_interval: 2, ..Scaler::default() };
        let fine = Tensor::from_slice(&[65_536f32 * 3.0]);
        assert!(scaler.unscale(&[fine.shallow_clone()]).unwrap());
        assert_eq!(fine.double_value(&[0]), 3.0);
        let bad = Tensor::from_slice(&[f32::INFINITY]).to_kind(Kind::Half);
        assert!(!scaler.unscale(&[fine, bad]).unwrap());
        scaler.update(false);
        assert_eq!(scaler.scale, 32_768.0);
        scaler.update(true);
        scaler.update(true);
        assert_eq!(scaler.scale, 65_536.0);
    }
}
