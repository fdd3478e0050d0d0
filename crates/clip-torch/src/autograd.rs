//! Backward from given gradients, and segments that are computed twice to save memory.
#![allow(unsafe_code, reason = "calls the shim")]

use std::ffi::c_void;

use tch::Tensor;
use torch_sys::C_tensor;

use crate::{Result, ffi};

/// Backward from each output with the gradient given for it.
pub fn backward(outputs: &[Tensor], gradients: &[Tensor]) -> Result<()> {
    let (y, g) = (ffi::pointers(outputs), ffi::pointers(gradients));
    // SAFETY: two lists of live tensors; the shim reads as many as the shorter has.
    let code = unsafe { ffi::ct_backward(y.as_ptr(), g.as_ptr(), y.len().min(g.len()) as i32) };
    ffi::checked(code)
}

type Body = Box<dyn Fn(&Tensor) -> Tensor>;

extern "C" fn run(context: *mut c_void, input: *mut C_tensor) -> *mut C_tensor {
    let result = std::panic::catch_unwind(|| {
        // SAFETY: `context` is the `Body` that `checkpoint` leaked, `input` a tensor that libtorch holds.
        let (body, x) = unsafe { (&*context.cast::<Body>(), Tensor::clone_from_ptr(input)) };
        let mut y = body(&x);
        let pointer = y.as_mut_ptr();
        // The shim takes the tensor over.
        std::mem::forget(y);
        pointer
    });
    result.unwrap_or(std::ptr::null_mut())
}

/// `body(x)` without keeping the activations inside: they are computed again in the backward pass.
///
/// `body` must give the same result both times and is kept until the process ends, so make it once a model,
/// not once a step.
pub fn checkpoint(x: &Tensor, body: &'static Body) -> Result<Tensor> {
    let context = std::ptr::from_ref(body).cast_mut().cast();
    // SAFETY: `body` lives forever; the shim gives a new tensor, or null after a failure.
    unsafe {
        let y = ffi::ct_checkpoint(x.as_ptr().cast_mut(), run, context);
        if y.is_null() { Err(ffi::last_error()) } else { Ok(Tensor::from_ptr(y)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn given_gradients_flow_back() {
        let x = Tensor::from_slice(&[1f32, 2.0]).set_requires_grad(true);
        backward(&[&x * &x], &[Tensor::from_slice(&[3f32, 5.0])]).unwrap();
        assert_eq!(Vec::<f32>::try_from(x.grad()).unwrap(), [6.0, 20.0]);
        let y = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        assert!(backward(&[y], &[Tensor::from_slice(&[1f32, 1.0])]).is_err());
    }

    #[test]
    fn a_checkpointed_segment_has_the_same_gradients() {
        let w = Tensor::randn([4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let x = Tensor::randn([3, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        x.matmul(&w).tanh().sum(Kind::Float).backward();
        let (wg, xg) = (w.grad().copy(), x.grad().copy());
        let (mut w2, mut x2) = (w.shallow_clone(), x.shallow_clone());
        w2.zero_grad();
        x2.zero_grad();
        let inner = w.shallow_clone();
        let body: Body = Box::new(move |x: &Tensor| x.matmul(&inner).tanh());
        let body: &'static Body = Box::leak(Box::new(body));
        checkpoint(&x, body).unwrap().sum(Kind::Float).backward();
        for (a, b) in [(w.grad(), wg), (x.grad(), xg)] {
            assert!((a - b).abs().max().double_value(&[]) < 1e-6);
        }
    }
}
