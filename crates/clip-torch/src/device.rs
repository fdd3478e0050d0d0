//! The current GPU of this process, its memory, and the arithmetic of its 32-bit products.
#![allow(unsafe_code, reason = "calls the shim")]

use std::ffi::c_int;

use tch::Device;

use crate::{Result, ffi};

/// Makes a GPU the current one of this thread: what names no device uses it, and no memory of
/// another GPU is taken. Nothing for the processor.
///
/// # Errors
/// When there is no such GPU.
pub fn use_device(device: Device) -> Result<()> {
    match device {
        // SAFETY: a plain call.
        Device::Cuda(index) => ffi::checked(unsafe { ffi::ct_set_device(index as c_int) }),
        _ => Ok(()),
    }
}

/// Waits until a GPU has done all that it was asked to; nothing for the processor.
///
/// # Errors
/// A failure of what it was asked to do.
pub fn synchronize(device: Device) -> Result<()> {
    match device {
        // SAFETY: a plain call.
        Device::Cuda(index) => ffi::checked(unsafe { ffi::ct_synchronize(index as c_int) }),
        _ => Ok(()),
    }
}

/// The most memory of a GPU that tensors have had at a time, in bytes; none for the processor.
pub fn peak_memory(device: Device) -> Option<u64> {
    let Device::Cuda(index) = device else { return None };
    // SAFETY: a plain call.
    u64::try_from(unsafe { ffi::ct_peak_memory(index as c_int) }).ok()
}

/// Whether GPUs multiply 32-bit numbers with 10 bits of mantissa (TF32), in matrix products and in
/// convolutions: several times faster, and 1e-3 apart. libtorch begins with convolutions alone.
///
/// # Errors
/// When libtorch refuses.
pub fn allow_tf32(allow: bool) -> Result<()> {
    // SAFETY: sets two flags of libtorch.
    ffi::checked(unsafe { ffi::ct_tf32(c_int::from(allow)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_needs_none_of_it_and_a_gpu_that_is_not_there_is_refused() {
        use_device(Device::Cpu).unwrap();
        synchronize(Device::Cpu).unwrap();
        assert_eq!(peak_memory(Device::Cpu), None);
        allow_tf32(false).unwrap();
        assert!(use_device(Device::Cuda(99)).is_err());
        assert_eq!(peak_memory(Device::Cuda(99)), None);
    }
}
