//! Where models run.

use anyhow::ensure;
use clip_torch::tch::{Cuda, Device};
use clip_train::RankInfo;

const HINT: &str = "hint: set CLIP_DATA_LIBTORCH to the `torch` folder of pip's torch, which brings CUDA's libraries";

/// The device that a flag names, which is this process's current one from now on.
pub fn device(name: &str) -> anyhow::Result<Device> {
    let device = requested(name)?;
    clip_torch::use_device(device)?;
    Ok(device)
}

/// The device that a flag names: the first GPU where there is one, else the processor.
pub fn requested(name: &str) -> anyhow::Result<Device> {
    if name == "auto" {
        if let Some(fault) = clip_torch::cuda_fault() {
            eprintln!("warning: this machine's GPU is not used: {fault}\n{HINT}");
        }
        return Ok(Device::cuda_if_available());
    }
    numbered(name, gpus())
}

/// GPUs that libtorch sees.
pub fn gpus() -> usize {
    Cuda::device_count().try_into().unwrap_or(0)
}

fn numbered(name: &str, gpus: usize) -> anyhow::Result<Device> {
    let number = match name {
        "cpu" => return Ok(Device::Cpu),
        "cuda" => Some(0),
        other => other.strip_prefix("cuda:").and_then(|number| number.parse().ok()),
    };
    let Some(number) = number else {
        anyhow::bail!("--device {name}: one of auto, cpu, cuda, cuda:N");
    };
    if gpus == 0 {
        let fault = clip_torch::cuda_fault().map_or(String::new(), |fault| format!(": {fault}"));
        anyhow::bail!("--device {name}: libtorch sees no GPU{fault}\n{HINT}");
    }
    ensure!(number < gpus, "--device {name}: libtorch sees {gpus} GPU(s), numbered from 0");
    Ok(Device::Cuda(number))
}

/// The GPU of one of several processes, of the `gpus` that it sees.
///
/// # Errors
/// When there are fewer GPUs than processes on its machine.
pub fn of_rank(place: &RankInfo, gpus: usize) -> anyhow::Result<Device> {
    let rank = place.local_rank;
    // Slurm and MPI may show each process its own GPU alone; `--nproc` and torchrun, which bring a
    // store, show all of them.
    if gpus == 1 && !place.agent_store {
        return Ok(Device::Cuda(0));
    }
    ensure!(rank < gpus, too_few(rank + 1, gpus));
    Ok(Device::Cuda(rank))
}

/// Why `processes` of a machine cannot train on its `gpus`.
pub fn too_few(processes: usize, gpus: usize) -> String {
    format!(
        "{processes} processes on this machine, and libtorch sees {gpus} GPU(s): each process needs one of its own\n\
         hint: start at most {gpus} on this machine, or give --device cpu"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gpu_has_a_number_that_is_there() {
        assert_eq!(numbered("cpu", 0).unwrap(), Device::Cpu);
        assert_eq!(numbered("cuda", 2).unwrap(), Device::Cuda(0));
        assert_eq!(numbered("cuda:1", 2).unwrap(), Device::Cuda(1));
        for (name, gpus, wanted) in [
            ("cuda:2", 2, "--device cuda:2: libtorch sees 2 GPU(s)"),
            ("cuda", 0, "--device cuda: libtorch sees no GPU"),
            ("cuda:x", 2, "--device cuda:x: one of auto, cpu, cuda, cuda:N"),
            ("abacus", 2, "--device abacus: one of"),
        ] {
            let message = numbered(name, gpus).unwrap_err().to_string();
            assert!(message.starts_with(wanted), "{message}");
        }
    }

    #[test]
    fn each_process_of_a_machine_has_a_gpu_of_its_own() {
        let place = |local_rank, agent_store| RankInfo {
            rank: 9,
            local_rank,
            world: 16,
            local_world: None,
            host: "head".into(),
            port: 1,
            agent_store,
            attempt: "0".into(),
        };
        for (local_rank, agent_store, gpus, wanted) in [
            (3, false, 8, Some(3)),
            (3, true, 8, Some(3)),
            (0, true, 1, Some(0)),
            // srun --gpus-per-task 1: each task sees its own as the first.
            (3, false, 1, Some(0)),
            (3, true, 1, None),
            (3, false, 2, None),
        ] {
            let found = of_rank(&place(local_rank, agent_store), gpus);
            assert_eq!(found.as_ref().ok(), wanted.map(Device::Cuda).as_ref(), "{found:?}");
            if let Err(error) = found {
                let wanted = format!("4 processes on this machine, and libtorch sees {gpus} GPU");
                assert!(error.to_string().starts_with(&wanted), "{error}");
            }
        }
    }
}
