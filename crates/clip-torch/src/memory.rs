//! Host memory that is filled in place.
#![allow(unsafe_code, reason = "calls the shim")]

use std::ffi::c_int;

use tch::{Device, Tensor};

use crate::{Result, ffi};

/// Zero bytes in host memory, of a shape; pinned where they are to go to a GPU.
///
/// # Errors
/// When there is no such memory.
pub fn host_bytes(shape: &[i64], device: Device) -> Result<Tensor> {
    let (sizes, pinned) = (shape.as_ptr(), c_int::from(device.is_cuda()));
    // SAFETY: the shim reads this many sizes, and gives a new tensor, or null after a failure.
    unsafe {
        let tensor = ffi::ct_host_bytes(sizes, shape.len() as c_int, pinned);
        if tensor.is_null() { Err(ffi::last_error()) } else { Ok(Tensor::from_ptr(tensor)) }
    }
}

/// Copies bytes into a contiguous host tensor from a byte offset: filling a buffer that is used
/// again and again.
pub fn write_bytes(tensor: &Tensor, offset: usize, bytes: &[u8]) -> Result<()> {
    // SAFETY: the shim checks that the bytes fit.
    ffi::checked(unsafe {
        ffi::ct_write_bytes(ffi::pointer(tensor), offset, bytes.as_ptr(), bytes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    #[test]
    fn bytes_land_and_none_beyond() {
        let tensor = host_bytes(&[2, 3], Device::Cpu).unwrap();
        assert_eq!((tensor.size(), tensor.kind()), (vec![2, 3], Kind::Uint8));
        write_bytes(&tensor, 3, &[7, 8]).unwrap();
        assert_eq!(Vec::<u8>::try_from(tensor.view([-1])).unwrap(), [0, 0, 0, 7, 8, 0]);
        assert!(write_bytes(&tensor, 5, &[1, 2]).is_err());
        assert!(write_bytes(&tensor.transpose(0, 1), 0, &[1]).is_err());
    }
}
