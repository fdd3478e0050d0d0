//! Convolutions on the processor whose weights were brought into oneDNN's order once, not at every
//! call.
#![allow(unsafe_code, reason = "calls the shim")]

use std::ptr::null_mut;

use tch::Tensor;

use crate::{Result, ffi};

/// A convolution of square stride and padding in one group, to compute with only.
#[derive(Debug)]
pub struct PackedConv {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl PackedConv {
    /// Packs `weight` [output, input, height, width] for inputs of the sizes of `x` [batch, input,
    /// height, width] and its type; other sizes are computed too.
    ///
    /// # Errors
    /// Where oneDNN has no such convolution: on other devices, or in 16 bits on a processor without
    /// them.
    pub fn new(
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        stride: i64,
        padding: i64,
    ) -> Result<Self> {
        let (sizes, bias) = (<[i64; 4]>::from(x.size4()?), bias.shallow_clone());
        // SAFETY: the tensors outlive the call, which reads four sizes.
        let packed =
            unsafe { ffi::ct_conv_weight(ffi::pointer(weight), stride, padding, sizes.as_ptr()) };
        Ok(Self { weight: ffi::owned(packed)?, bias, stride, padding })
    }

    /// The convolution; plus `sum`, whose memory then holds the result; and of that the positive
    /// part.
    ///
    /// # Errors
    /// When sizes or types do not fit.
    pub fn forward(&self, x: &Tensor, sum: Option<Tensor>, relu: bool) -> Result<Tensor> {
        let (weight, bias) = (ffi::pointer(&self.weight), ffi::pointer(&self.bias));
        let sum = sum.as_ref().map_or(null_mut(), ffi::pointer);
        let (stride, padding) = (self.stride, self.padding);
        // SAFETY: the tensors outlive the call; a null `sum` means that there is none.
        ffi::owned(unsafe {
            ffi::ct_conv(ffi::pointer(x), weight, bias, stride, padding, sum, i32::from(relu))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn packed_is_the_same_convolution() {
        let random = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
        for (kernel, stride, padding) in [(1, 1, 0), (3, 1, 1), (3, 2, 1)] {
            let (weight, bias) = (random(&[8, 16, kernel, kernel]), random(&[8]));
            let first = random(&[2, 16, 9, 9]);
            let packed = PackedConv::new(&first, &weight, &bias, stride, padding).unwrap();
            // Also with another batch than it was packed for.
            for x in [first, random(&[5, 16, 9, 9])] {
                let (step, edge) = ([stride; 2], [padding; 2]);
                let plain = x.conv2d(&weight, Some(&bias), step, edge, [1, 1], 1);
                let near = |a: &Tensor, b: &Tensor| a.allclose(b, 1e-5, 1e-5, false);
                assert!(near(&packed.forward(&x, None, false).unwrap(), &plain));
                assert!(near(&packed.forward(&x, None, true).unwrap(), &plain.relu()));
                let sum = random(&plain.size());
                let both = (&plain + &sum).relu();
                assert!(near(&packed.forward(&x, Some(sum), true).unwrap(), &both));
            }
            assert!(packed.forward(&random(&[2, 3, 9, 9]), None, false).is_err());
        }
    }
}
