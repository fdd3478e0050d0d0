//! Backward from given gradients, and segments that are computed twice to save memory.
#![allow(unsafe_code, reason = "calls the shim")]

use std::cell::Cell;
use std::ffi::{c_int, c_void};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::caught::{attempt, message};
use crate::{Result, ffi};

/// Backward from each output with the gradient given for it; outputs that depend on no parameter
/// are skipped.
pub fn backward(outputs: &[Tensor], gradients: &[Tensor]) -> Result<()> {
    let pairs: Vec<_> =
        outputs.iter().zip(gradients).filter(|(output, _)| output.requires_grad()).collect();
    let y: Vec<_> = pairs.iter().map(|(output, _)| ffi::pointer(output)).collect();
    let g: Vec<_> = pairs.iter().map(|(_, gradient)| ffi::pointer(gradient)).collect();
    if y.is_empty() {
        return Ok(());
    }
    // SAFETY: two lists of live tensors of the same length.
    ffi::checked(unsafe { ffi::ct_backward(y.as_ptr(), g.as_ptr(), y.len() as c_int) })
}

/// Forgets the gradients of parameters: the next backward pass moves its results in instead of
/// adding them.
pub fn clear_gradients(params: &[Tensor]) {
    let all = ffi::pointers(params);
    // SAFETY: a list of live tensors.
    unsafe { ffi::ct_clear_grads(all.as_ptr(), all.len() as c_int) };
}

/// The Euclidean norm over all tensors together; 0 of none.
pub fn norm(tensors: &[Tensor]) -> Result<f64> {
    if tensors.is_empty() {
        return Ok(0.0);
    }
    let all = ffi::pointers(tensors);
    // SAFETY: a list of live tensors; the shim gives a new tensor, or null after a failure.
    unsafe {
        let norm = ffi::ct_norm(all.as_ptr(), all.len() as c_int);
        if norm.is_null() {
            return Err(ffi::last_error());
        }
        Ok(Tensor::from_ptr(norm).double_value(&[]))
    }
}

thread_local! {
    static FROZEN: Cell<bool> = const { Cell::new(false) };
}

/// Whether this forward pass must leave running statistics (batch norm's) as they are: it is the
/// second look at the same batch, or a first look that will be repeated.
pub fn statistics_frozen() -> bool {
    FROZEN.get()
}

/// Runs `body` with [`statistics_frozen`].
pub fn freeze_statistics<T>(body: impl FnOnce() -> T) -> T {
    struct Before(bool);
    impl Drop for Before {
        fn drop(&mut self) {
            FROZEN.set(self.0);
        }
    }
    let _before = Before(FROZEN.replace(true));
    body()
}

type Body = Box<dyn Fn(&Tensor) -> Tensor>;

extern "C" fn run(context: *mut c_void, input: *mut C_tensor, replay: c_int) -> *mut C_tensor {
    let result = attempt(|| {
        // SAFETY: `context` is the `Body` that `checkpoint` gave away, `input` a tensor that
        // libtorch holds.
        let (body, x) = unsafe { (&*context.cast::<Body>(), Tensor::clone_from_ptr(input)) };
        let mut y = if replay == 0 { body(&x) } else { freeze_statistics(|| body(&x)) };
        let pointer = y.as_mut_ptr();
        // The shim takes the tensor over.
        std::mem::forget(y);
        pointer
    });
    result.unwrap_or_else(|panic| {
        ffi::fail(&message(&*panic).unwrap_or_else(|| "a checkpointed segment panicked".into()));
        std::ptr::null_mut()
    })
}

extern "C" fn drop_body(context: *mut c_void) {
    // SAFETY: the shim calls this once, when the graph is gone.
    drop(unsafe { Box::from_raw(context.cast::<Body>()) });
}

/// `body(x)` without keeping the activations inside: they are computed again in the backward pass,
/// under the same autocast and with running statistics frozen. Under [`tch::no_grad`] this is
/// `body(x)`.
///
/// `body` must give the same result both times; it lives until the graph is gone.
pub fn checkpoint(x: &Tensor, body: impl Fn(&Tensor) -> Tensor + 'static) -> Result<Tensor> {
    let body: Box<Body> = Box::new(Box::new(body));
    // SAFETY: the shim owns the closure from here and gives a new tensor, or null after a failure.
    unsafe {
        let context = Box::into_raw(body).cast();
        let y = ffi::ct_checkpoint(ffi::pointer(x), run, context, drop_body);
        if y.is_null() { Err(ffi::last_error()) } else { Ok(Tensor::from_ptr(y)) }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::sync::PoisonError;

    use super::*;
    use crate::{Precision, autocast};
    use tch::{Device, Kind};

    #[test]
    fn given_gradients_flow_back() {
        let x = Tensor::from_slice(&[1f32, 2.0]).set_requires_grad(true);
        let blind = Tensor::zeros([2], (Kind::Float, Device::Cpu));
        let one = Tensor::from_slice(&[1f32, 1.0]);
        backward(&[blind, &x * &x], &[one, Tensor::from_slice(&[3f32, 5.0])]).unwrap();
        assert_eq!(Vec::<f32>::try_from(x.grad()).unwrap(), [6.0, 20.0]);
        assert!((norm(&[x.grad()]).unwrap() - 436f64.sqrt()).abs() < 1e-5);
        clear_gradients(&[x.shallow_clone()]);
        assert!(!x.grad().defined());
        let wrong = Tensor::from_slice(&[1f32, 2.0, 3.0]);
        assert!(backward(&[&x * 2.0], &[wrong]).is_err());
    }

    #[test]
    fn a_checkpointed_segment_has_the_same_gradients_in_the_same_arithmetic() {
        let _alone = crate::autocast::ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        for precision in [Precision::F32, Precision::Bf16] {
            let random = |rows| Tensor::randn([rows, 4], (Kind::Float, Device::Cpu));
            let (w, x) = (random(4).set_requires_grad(true), random(3).set_requires_grad(true));
            let of = |y: Tensor| {
                y.to_kind(Kind::Float).sum(Kind::Float).backward();
                let gradients = [w.grad().copy(), x.grad().copy()];
                clear_gradients(&[w.shallow_clone(), x.shallow_clone()]);
                gradients
            };
            let plain = of(autocast(precision, Device::Cpu, || x.matmul(&w).tanh().matmul(&w)));
            let inner = w.shallow_clone();
            let body = move |x: &Tensor| x.matmul(&inner).tanh().matmul(&inner);
            let twice = of(autocast(precision, Device::Cpu, || checkpoint(&x, body).unwrap()));
            for (a, b) in plain.iter().zip(&twice) {
                assert!((a - b).abs().max().double_value(&[]) < 1e-6, "{precision:?}");
            }
        }
    }

    #[test]
    fn a_segment_that_fails_says_why_in_both_passes() {
        let _alone = crate::autocast::ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let x = Tensor::ones([2, 3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let wrong = Tensor::ones([5, 7], (Kind::Float, Device::Cpu));
        let reason = "mat1 and mat2 shapes cannot be multiplied (2x3 and 5x7)";
        let first = checkpoint(&x, {
            let wrong = wrong.shallow_clone();
            move |x| x.matmul(&wrong)
        });
        assert_eq!(first.unwrap_err().to_string(), format!("libtorch: {reason}"));
        let replay = move |x: &Tensor| if statistics_frozen() { x.matmul(&wrong) } else { x * 2.0 };
        let y = checkpoint(&x, replay).unwrap();
        let error = backward(&[y], &[Tensor::ones([2, 3], (Kind::Float, Device::Cpu))]);
        assert_eq!(error.unwrap_err().to_string(), format!("libtorch: {reason}"));
    }

    #[test]
    fn a_replay_freezes_statistics_and_the_closure_goes_with_the_graph() {
        let _alone = crate::autocast::ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = Rc::new(std::cell::RefCell::new(Vec::new()));
        let inner = seen.clone();
        let x = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let body = move |x: &Tensor| {
            inner.borrow_mut().push(statistics_frozen());
            x * 2.0
        };
        let y = checkpoint(&x, body).unwrap();
        y.sum(Kind::Float).backward();
        drop(y);
        assert_eq!(*seen.borrow(), [false, true]);
        assert_eq!(Rc::strong_count(&seen), 1);
    }
}
