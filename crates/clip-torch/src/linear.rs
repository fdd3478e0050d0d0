//! Linear maps on the processor whose weights were brought into oneDNN's order once, not at every
//! call.
#![allow(unsafe_code, reason = "calls the shim")]

use std::ffi::CStr;
use std::ptr::null_mut;

use tch::{Kind, Tensor};

use crate::{Result, ffi};

/// What the result of a map goes through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// Nothing.
    Nothing,
    /// The exact GELU.
    Gelu,
    /// `x sigmoid(x)`.
    Silu,
}

impl After {
    /// The name that oneDNN's operators have for it.
    fn name(self) -> &'static CStr {
        match self {
            Self::Nothing => c"none",
            Self::Gelu => c"gelu",
            Self::Silu => c"swish",
        }
    }
}

/// An affine map of the last dimension, to compute with only.
#[derive(Debug)]
pub struct PackedLinear {
    weight: Tensor,
    bias: Tensor,
}

impl PackedLinear {
    /// Packs `weight` (`[output, input]`) and `bias` (`[output]`).
    ///
    /// # Errors
    /// Where oneDNN has no such map: on other devices, or in 16 bits on a processor without them.
    pub fn new(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        // SAFETY: the tensor outlives the call.
        let packed = unsafe { ffi::ct_linear_weight(ffi::pointer(weight)) };
        Ok(Self { weight: ffi::owned(packed)?, bias: bias.shallow_clone() })
    }

    /// Weight and bias as they were.
    pub fn unpacked(&self) -> (Tensor, Tensor) {
        (self.weight.to_dense(None::<Kind>, false), self.bias.shallow_clone())
    }

    /// The map of `x` [.., input], and what comes after it.
    ///
    /// # Errors
    /// When sizes or types do not fit.
    pub fn forward(&self, x: &Tensor, after: After) -> Result<Tensor> {
        self.call(x, None, after)
    }

    /// The map of `x` [.., input] plus `sum` [.., output].
    ///
    /// # Errors
    /// When sizes or types do not fit.
    pub fn forward_plus(&self, x: &Tensor, sum: &Tensor) -> Result<Tensor> {
        self.call(x, Some(sum), After::Nothing)
    }

    fn call(&self, x: &Tensor, sum: Option<&Tensor>, after: After) -> Result<Tensor> {
        let (weight, bias) = (ffi::pointer(&self.weight), ffi::pointer(&self.bias));
        let sum = sum.map_or(null_mut(), ffi::pointer);
        let after = after.name().as_ptr();
        // SAFETY: the tensors and the name outlive the call; a null `sum` means that there is none.
        ffi::owned(unsafe { ffi::ct_linear(ffi::pointer(x), weight, bias, sum, after) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn packed_is_the_same_map() {
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        let near = |a: &Tensor, b: &Tensor| a.allclose(b, 1e-5, 1e-5, false);
        for (input, output) in [(64, 48), (3, 1)] {
            let (weight, bias) = (random(&[output, input]), random(&[output]));
            let packed = PackedLinear::new(&weight, &bias).unwrap();
            for x in [random(&[5, 7, input]), random(&[1, input]), random(&[input, 9]).tr()] {
                let plain = x.linear(&weight, Some(&bias));
                assert!(near(&packed.forward(&x, After::Nothing).unwrap(), &plain));
                assert!(near(&packed.forward(&x, After::Gelu).unwrap(), &plain.gelu("none")));
                assert!(near(&packed.forward(&x, After::Silu).unwrap(), &plain.silu()));
                let sum = random(&plain.size());
                assert!(near(&packed.forward_plus(&x, &sum).unwrap(), &(plain + sum)));
            }
            let (again, _) = packed.unpacked();
            assert_eq!(again, weight);
            assert!(packed.forward(&random(&[2, input + 1]), After::Nothing).is_err());
        }
    }
}
