//! Host memory that is filled in place.
#![allow(unsafe_code, reason = "calls the shim")]

use tch::Tensor;

use crate::{Result, ffi};

/// Copies bytes into a contiguous host tensor from a byte offset: filling a buffer that is used again and again.
pub fn write_bytes(tensor: &Tensor, offset: usize, bytes: &[u8]) -> Result<()> {
    // SAFETY: the shim checks that the bytes fit.
    ffi::checked(unsafe {
        ffi::ct_write_bytes(ffi::pointer(tensor), offset, bytes.as_ptr(), bytes.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Device, Kind};

    #[test]
    fn bytes_land_and_none_beyond() {
        let tensor = Tensor::zeros([2, 3], (Kind::Uint8, Device::Cpu));
        write_bytes(&tensor, 3, &[7, 8]).unwrap();
        assert_eq!(Vec::<u8>::try_from(tensor.view([-1])).unwrap(), [0, 0, 0, 7, 8, 0]);
        assert!(write_bytes(&tensor, 5, &[1, 2]).is_err());
        assert!(write_bytes(&tensor.transpose(0, 1), 0, &[1]).is_err());
    }
}
