//! The C interface of `shim/`.
#![allow(unsafe_code, reason = "the one place that calls C")]

use std::ffi::{CStr, CString, c_char, c_int, c_void};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::{Error, Result};

pub(crate) type Segment = extern "C" fn(*mut c_void, *mut C_tensor, c_int) -> *mut C_tensor;
pub(crate) type Drop = extern "C" fn(*mut c_void);

unsafe extern "C" {
    fn ct_error() -> *const c_char;
    fn ct_fail(reason: *const c_char);
    pub(crate) fn ct_set_device(index: c_int) -> c_int;
    pub(crate) fn ct_synchronize(index: c_int) -> c_int;
    pub(crate) fn ct_peak_memory(index: c_int) -> i64;
    pub(crate) fn ct_tf32(allow: c_int) -> c_int;
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
    pub(crate) fn ct_unscale(
        grads: *const *mut C_tensor,
        n: c_int,
        found_inf: *mut C_tensor,
        inverse_scale: f64,
    ) -> c_int;
    pub(crate) fn ct_norm(tensors: *const *mut C_tensor, n: c_int) -> *mut C_tensor;
    pub(crate) fn ct_clear_grads(tensors: *const *mut C_tensor, n: c_int);
    pub(crate) fn ct_backward(
        outputs: *const *mut C_tensor,
        gradients: *const *mut C_tensor,
        n: c_int,
    ) -> c_int;
    pub(crate) fn ct_checkpoint(
        x: *mut C_tensor,
        segment: Segment,
        context: *mut c_void,
        drop: Drop,
    ) -> *mut C_tensor;
    pub(crate) fn ct_over(
        data: *mut c_void,
        sizes: *const i64,
        dimensions: c_int,
        dtype: c_int,
        release: extern "C" fn(*mut c_void),
        owner: *mut c_void,
    ) -> *mut C_tensor;
    pub(crate) fn ct_host_bytes(
        sizes: *const i64,
        dimensions: c_int,
        pinned: c_int,
    ) -> *mut C_tensor;
    pub(crate) fn ct_write_bytes(
        tensor: *mut C_tensor,
        offset: usize,
        bytes: *const u8,
        n: usize,
    ) -> c_int;
    pub(crate) fn ct_conv_weight(
        weight: *mut C_tensor,
        stride: i64,
        padding: i64,
        sizes: *const i64,
    ) -> *mut C_tensor;
    pub(crate) fn ct_conv(
        x: *mut C_tensor,
        weight: *mut C_tensor,
        bias: *mut C_tensor,
        stride: i64,
        padding: i64,
        sum: *mut C_tensor,
        relu: c_int,
    ) -> *mut C_tensor;
    pub(crate) fn ct_linear_weight(weight: *mut C_tensor) -> *mut C_tensor;
    pub(crate) fn ct_linear(
        x: *mut C_tensor,
        weight: *mut C_tensor,
        bias: *mut C_tensor,
        sum: *mut C_tensor,
        after: *const c_char,
    ) -> *mut C_tensor;
    pub(crate) fn ct_store_serve(port: *mut c_int, timeout_ms: i64) -> *mut c_void;
    pub(crate) fn ct_store_free(store: *mut c_void);
    pub(crate) fn ct_group_join(
        host: *const c_char,
        port: c_int,
        rank: c_int,
        world: c_int,
        serve: c_int,
        prefix: *const c_char,
        interface: *const c_char,
        nccl_library: *const c_char,
        timeout_ms: i64,
    ) -> *mut c_void;
    pub(crate) fn ct_group_free(group: *mut c_void);
    pub(crate) fn ct_all_reduce(group: *mut c_void, tensor: *mut C_tensor) -> c_int;
    pub(crate) fn ct_all_gather(
        group: *mut c_void,
        out: *mut C_tensor,
        input: *mut C_tensor,
    ) -> c_int;
    pub(crate) fn ct_reduce_scatter(
        group: *mut c_void,
        out: *mut C_tensor,
        input: *mut C_tensor,
    ) -> c_int;
    pub(crate) fn ct_broadcast(group: *mut c_void, tensor: *mut C_tensor, root: c_int) -> c_int;
    pub(crate) fn ct_store_set(
        group: *mut c_void,
        key: *const c_char,
        value: *const c_char,
    ) -> c_int;
    pub(crate) fn ct_store_get(
        group: *mut c_void,
        key: *const c_char,
        buffer: *mut u8,
        size: c_int,
    ) -> c_int;
    pub(crate) fn ct_reducer_new(
        group: *mut c_void,
        tensors: *const *mut C_tensor,
        n: c_int,
    ) -> *mut c_void;
    pub(crate) fn ct_reducer_free(averager: *mut c_void);
    pub(crate) fn ct_reducer_begin(averager: *mut c_void) -> c_int;
    pub(crate) fn ct_reducer_expect(averager: *mut c_void) -> c_int;
}

/// Turns the shim's return code into a result.
pub(crate) fn checked(code: c_int) -> Result<()> {
    if code == 0 { Ok(()) } else { Err(last_error()) }
}

pub(crate) fn last_error() -> Error {
    // SAFETY: ct_error gives a NUL-terminated string that lives until this thread's next call.
    let text = unsafe { CStr::from_ptr(ct_error()) };
    Error::thrown(&text.to_string_lossy())
}

/// Leaves the reason of a failure for the shim, which called us, to throw.
pub(crate) fn fail(reason: &str) {
    let reason = CString::new(reason.replace('\0', " ")).unwrap_or_default();
    // SAFETY: a string that outlives the call.
    unsafe { ct_fail(reason.as_ptr()) };
}

/// The version in the headers that the shim was compiled with.
pub(crate) fn version() -> String {
    // SAFETY: ct_version gives a string constant.
    unsafe { CStr::from_ptr(ct_version()) }.to_string_lossy().into_owned()
}

/// Pointers to tensors, as the shim takes a list. The tensors must outlive the call.
pub(crate) fn pointers(tensors: &[Tensor]) -> Vec<*mut C_tensor> {
    tensors.iter().map(pointer).collect()
}

/// A tensor as the shim takes it. The tensor must outlive the call.
pub(crate) fn pointer(tensor: &Tensor) -> *mut C_tensor {
    tensor.as_ptr().cast_mut()
}

/// A tensor that the shim made.
pub(crate) fn owned(tensor: *mut C_tensor) -> Result<Tensor> {
    if tensor.is_null() {
        return Err(last_error());
    }
    // SAFETY: a tensor of the shim that is not null belongs to the caller.
    Ok(unsafe { Tensor::from_ptr(tensor) })
}
