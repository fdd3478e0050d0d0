//! The C interface of `shim/shim.cpp`.
#![allow(unsafe_code, reason = "the one place that calls C")]

use std::ffi::{CStr, c_char, c_int, c_void};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::{Error, Result};

pub(crate) type Segment = extern "C" fn(*mut c_void, *mut C_tensor) -> *mut C_tensor;

unsafe extern "C" {
    fn ct_error() -> *const c_char;
    fn ct_version() -> *const c_char;
    pub(crate) fn ct_autocast_begin(device: c_int, dtype: c_int) -> c_int;
    pub(crate) fn ct_autocast_end(device: c_int) -> c_int;
    pub(crate) fn ct_adamw(
        params: *const *mut C_tensor,
        grads: *const *mut C_tensor,
        m: *const *mut C_tensor,
        v: *const *mut C_tensor,
        steps: *const *mut C_tensor,
        n: c_int,
        lr: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        eps: f64,
    ) -> c_int;
    pub(crate) fn ct_backward(
        outputs: *const *mut C_tensor,
        gradients: *const *mut C_tensor,
        n: c_int,
    ) -> c_int;
    pub(crate) fn ct_checkpoint(
        x: *mut C_tensor,
        segment: Segment,
        context: *mut c_void,
    ) -> *mut C_tensor;
    pub(crate) fn ct_over(
        data: *mut c_void,
        sizes: *const i64,
        dimensions: c_int,
        dtype: c_int,
        release: extern "C" fn(*mut c_void),
        owner: *mut c_void,
    ) -> *mut C_tensor;
}

/// Turns the shim's return code into a result.
pub(crate) fn checked(code: c_int) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(last_error()) }
}

pub(crate) fn last_error() -> Error {
    // SAFETY: ct_error gives a NUL-terminated string that lives until this thread's next call.
    let text = unsafe { CStr::from_ptr(ct_error()) };
    Error::Libtorch(text.to_string_lossy().into_owned())
}

/// The version in the headers that the shim was compiled with.
pub(crate) fn version() -> String {
    // SAFETY: ct_version gives a string constant.
    unsafe { CStr::from_ptr(ct_version()) }.to_string_lossy().into_owned()
}

/// Pointers to tensors, as the shim takes a list. The tensors must outlive the call.
pub(crate) fn pointers(tensors: &[Tensor]) -> Vec<*mut C_tensor> {
    tensors.iter().map(|tensor| tensor.as_ptr().cast_mut()).collect()
}
