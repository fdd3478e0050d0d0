//! The pairing with libtorch, checked at start.

use std::sync::OnceLock;

use tch::Tensor;

use crate::{Error, Result, ffi};

/// The libtorch that this crate is written for: tch 0.24 and the shim know its C++ interface.
pub const VERSION: &str = "2.11.0";

/// Checks the pairing, opens the CUDA half where there is one, and sets the number of threads.
///
/// # Errors
/// [`Error::Version`] when another libtorch is loaded.
pub fn init(threads: Option<usize>) -> Result<()> {
    let found = ffi::version();
    if found.split(['+', 'a', '-']).next() != Some(VERSION) {
        return Err(Error::Version { found, wanted: VERSION });
    }
    open_cuda();
    if let Some(threads) = threads {
        tch::set_num_threads(threads.max(1) as i32);
    }
    // The first tensor loads what is loaded lazily; better here than inside a timed step.
    drop(Tensor::zeros([1], (tch::Kind::Float, tch::Device::Cpu)));
    Ok(())
}

/// The linker drops `libtorch_cuda.so` because nothing names its symbols; opening it registers its
/// kernels.
#[allow(unsafe_code, reason = "opening a library runs its initialisers")]
fn open_cuda() {
    use libloading::os::unix::{Library, RTLD_GLOBAL, RTLD_NOW};
    if !clip_format::has_gpu_driver() {
        return;
    }
    // SAFETY: libtorch's own library; its initialisers register kernels and do nothing else.
    match unsafe { Library::open(Some("libtorch_cuda.so"), RTLD_NOW | RTLD_GLOBAL) } {
        Ok(library) => {
            // It stays for the life of the process.
            std::mem::forget(library);
            if tch::Cuda::device_count() == 0 {
                drop(FAULT.set(NO_DEVICE.into()));
            }
        }
        Err(error) => {
            // The name of the missing library is the cause's.
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            drop(FAULT.set(cause.unwrap_or_else(|| error.to_string())));
        }
    }
}

const NO_DEVICE: &str =
    "libtorch sees no GPU: CUDA_VISIBLE_DEVICES hides all, or the driver is too old for its CUDA";

static FAULT: OnceLock<String> = OnceLock::new();

/// Why libtorch cannot use the GPU that this machine has a driver for, as far as [`init`] saw.
pub fn cuda_fault() -> Option<&'static str> {
    FAULT.get().map(String::as_str)
}
