//! Failures of libtorch where tch panics: its plain functions have no other way to report one.
#![allow(unsafe_code, reason = "reads and restores a thread-local flag of libtorch")]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind, set_hook, take_hook};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{Error, Result};

/// Calls of [`attempt`] that have not returned.
static CATCHING: AtomicUsize = AtomicUsize::new(0);

/// Runs `body`; a panic by which tch or this workspace reports a failure of libtorch becomes that
/// error, and is not printed. Other panics continue.
///
/// # Errors
/// [`Error::Memory`] and [`Error::Libtorch`].
pub fn caught<T>(body: impl FnOnce() -> T) -> Result<T> {
    attempt(body).or_else(|panic| match message(&*panic) {
        Some(text) => Err(Error::thrown(&text)),
        None => resume_unwind(panic),
    })
}

/// The same with any panic as it is; gradients are recorded afterwards as they were before.
pub(crate) fn attempt<T>(body: impl FnOnce() -> T) -> std::thread::Result<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = take_hook();
        set_hook(Box::new(move |panic| {
            if CATCHING.load(Ordering::Relaxed) == 0 || message(panic.payload()).is_none() {
                print(panic);
            }
        }));
    });
    // SAFETY: a thread-local flag, read by setting it; tch's `no_grad` leaves it set by a panic.
    let recorded = unsafe { torch_sys::at_grad_set_enabled(1) };
    let restore = || unsafe { torch_sys::at_grad_set_enabled(recorded) };
    restore();
    CATCHING.fetch_add(1, Ordering::Relaxed);
    let result = catch_unwind(AssertUnwindSafe(body));
    CATCHING.fetch_sub(1, Ordering::Relaxed);
    if result.is_err() {
        restore();
    }
    result
}

/// What libtorch reported, of the panic of tch's `unwrap` or of one with this crate's error.
pub(crate) fn message(panic: &(dyn Any + Send)) -> Option<String> {
    let text = panic.downcast_ref::<String>()?;
    if let Some(own) = text.strip_prefix("libtorch: ") {
        return Some(own.split("\nhint: ").next().unwrap_or(own).to_owned());
    }
    let debug = text.strip_prefix("called `Result::unwrap()` on an `Err` value: Torch(\"")?;
    let debug = debug.strip_suffix("\")").unwrap_or(debug);
    Some(debug.replace("\\n", "\n").replace("\\\"", "\"").replace("\\\\", "\\"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind, Tensor, no_grad};

    #[test]
    fn a_failure_of_libtorch_is_its_message_and_nothing_else_of_it() {
        let [a, b] =
            [[2i64, 3], [5, 7]].map(|size| Tensor::zeros(size, (Kind::Float, Device::Cpu)));
        let error = caught(|| no_grad(|| a.matmul(&b))).unwrap_err();
        assert!(matches!(&error, Error::Libtorch(_)), "{error}");
        let text = error.to_string();
        assert!(text.starts_with("libtorch: mat1 and mat2 shapes cannot be multiplied"), "{text}");
        assert!(!text.contains("frame #") && !text.contains("Exception raised"), "{text}");
        let x = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        assert!((x * 2.0).requires_grad(), "gradients are recorded again");
        assert_eq!(caught(|| 3).unwrap(), 3);
        let again = caught(|| panic!("{}", Error::thrown("CUDA out of memory. Tried 2 GiB")));
        assert!(matches!(&again, Err(Error::Memory(text)) if text.ends_with("2 GiB")), "{again:?}");
    }

    #[test]
    fn memory_that_is_not_there_is_the_machines_and_has_a_hint() {
        let error = caught(|| Tensor::zeros([1 << 50], (Kind::Float, Device::Cpu))).unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, Error::Memory(_)), "{text}");
        for flag in ["--batch-size", "--accum-freq", "--grad-checkpointing"] {
            assert!(text.split_once("\nhint: ").unwrap().1.contains(flag), "{text}");
        }
        let fallible = Tensor::f_zeros([1 << 50], (Kind::Float, Device::Cpu)).unwrap_err();
        assert!(matches!(Error::from(fallible), Error::Memory(_)));
    }

    #[test]
    #[should_panic(expected = "a fault of ours")]
    fn other_panics_continue() {
        let _ = caught(|| panic!("a fault of ours"));
    }
}
