//! Where models run.

use clip_torch::tch::Device;

/// The first GPU where there is one, else the processor.
pub fn device(name: &str) -> anyhow::Result<Device> {
    const HINT: &str = "hint: set CLIP_DATA_LIBTORCH to the `torch` folder of pip's torch, which brings CUDA's libraries";
    Ok(match name {
        "auto" => {
            if let Some(fault) = clip_torch::cuda_fault() {
                eprintln!("warning: this machine's GPU is not used: {fault}\n{HINT}");
            }
            Device::cuda_if_available()
        }
        "cpu" => Device::Cpu,
        "cuda" if clip_torch::tch::Cuda::is_available() => Device::Cuda(0),
        "cuda" => {
            let fault =
                clip_torch::cuda_fault().map_or(String::new(), |fault| format!(": {fault}"));
            anyhow::bail!("--device cuda: libtorch sees no GPU{fault}\n{HINT}")
        }
        other => anyhow::bail!("--device {other}: one of auto, cpu, cuda"),
    })
}
