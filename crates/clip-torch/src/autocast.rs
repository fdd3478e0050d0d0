//! Mixed precision: matrix products in 16 bits, the rest in 32.
#![allow(unsafe_code, reason = "calls the shim")]

use tch::Device;

use crate::ffi;

/// The arithmetic of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// 32 bits throughout.
    F32,
    /// bfloat16 products.
    Bf16,
    /// float16 products; gradients need scaling.
    F16,
}

/// Runs `body` with autocast to the precision on the device.
pub fn autocast<T>(precision: Precision, device: Device, body: impl FnOnce() -> T) -> T {
    struct End(i32);
    impl Drop for End {
        fn drop(&mut self) {
            // SAFETY: undoes the begin below, also when `body` panics.
            unsafe { ffi::ct_autocast_end(self.0) };
        }
    }
    let dtype = match precision {
        Precision::F32 => return body(),
        Precision::Bf16 => 0,
        Precision::F16 => 1,
    };
    let device = i32::from(device.is_cuda());
    // SAFETY: sets thread-local flags of libtorch.
    unsafe { ffi::ct_autocast_begin(device, dtype) };
    let _end = End(device);
    body()
}

/// Held by a test that uses [`autocast`]: the weights that it has converted are one list for all
/// threads, and the first thread that ends forgets them.
#[cfg(test)]
pub(crate) static ALONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[cfg(test)]
mod tests {
    use super::*;
    use tch::{Kind, Tensor};

    #[test]
    fn products_are_in_16_bits_inside_and_in_32_outside() {
        let a = Tensor::randn([8, 8], (Kind::Float, Device::Cpu));
        let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let inside = autocast(Precision::Bf16, Device::Cpu, || a.matmul(&a).kind());
        assert_eq!(inside, Kind::BFloat16);
        assert_eq!(a.matmul(&a).kind(), Kind::Float);
    }
}
