//! What a machine has, as far as files say so: known without libtorch.

use std::path::Path;

/// Whether the processor multiplies bfloat16.
pub fn has_bf16() -> bool {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpu.contains("avx512_bf16") || cpu.contains("amx_bf16")
}

/// Whether there is an NVIDIA driver: as a module, in a sandbox that has its devices alone, or
/// under WSL.
pub fn has_gpu_driver() -> bool {
    ["/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"]
        .iter()
        .any(|path| Path::new(path).exists())
}
