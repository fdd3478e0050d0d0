//! One process among those that train together: its threads, its GPU, and how it meets the others.

use anyhow::ensure;
use clip_cli::torch::TrainArgs as Args;
use clip_torch::tch::Device;
use clip_train::RankInfo;

use crate::device::{gpus, of_rank, requested, too_few};

/// Refuses what `count` processes of this machine cannot train with, before any is started.
pub fn check(args: &Args, count: usize) -> anyhow::Result<()> {
    let device = requested(&args.device)?;
    if device.is_cuda() {
        unnumbered(args)?;
        ensure!(count <= gpus(), too_few(count, gpus()));
    }
    nccl(args, device)?;
    Ok(())
}

/// The machine's cores are shared by its processes, unless the launcher has decided.
pub fn threads(place: Option<&RankInfo>) -> Option<usize> {
    if std::env::var_os("OMP_NUM_THREADS").is_some() {
        return None;
    }
    let local = place?.local_world?;
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    Some((cores / local).max(1))
}

/// The device of this process: of several on a machine, each has a GPU of its own.
pub fn own_device(args: &Args, place: Option<&RankInfo>) -> anyhow::Result<Device> {
    let device = match (requested(&args.device)?, place) {
        (Device::Cuda(_), Some(place)) => {
            unnumbered(args)?;
            of_rank(place, gpus())?
        }
        (device, _) => device,
    };
    clip_torch::use_device(device)?;
    Ok(device)
}

/// Refuses the number of a GPU for several processes.
fn unnumbered(args: &Args) -> anyhow::Result<()> {
    let (numbered, name) = (args.device.starts_with("cuda:"), &args.device);
    ensure!(
        !numbered,
        "--device {name} for several processes\nhint: --device cuda, and CUDA_VISIBLE_DEVICES chooses the GPUs of this machine"
    );
    Ok(())
}

/// The library with NCCL's backend, by which processes with GPUs meet: beside this executable, made
/// by `scripts/nccl`. None for processors.
pub fn nccl(args: &Args, device: Device) -> anyhow::Result<Option<String>> {
    if !meets_by_nccl(args.dist_backend.as_deref(), device.is_cuda())? {
        return Ok(None);
    }
    let library = std::env::current_exe()?.with_file_name("libclip_nccl.so");
    let shown = library.display();
    ensure!(
        library.is_file(),
        "processes with GPUs meet by NCCL, and {shown} is missing\nhint: build that library with scripts/nccl of the source code, or give --device cpu"
    );
    Ok(Some(shown.to_string()))
}

/// Whether processes meet by NCCL, with GPUs, or by Gloo, without: libtorch's Gloo is opened for
/// processors alone.
fn meets_by_nccl(backend: Option<&str>, gpus: bool) -> anyhow::Result<bool> {
    match (backend, gpus) {
        (None | Some("gloo"), false) => Ok(false),
        (None | Some("nccl"), true) => Ok(true),
        (Some("nccl"), false) => {
            anyhow::bail!("--dist-backend nccl: processes without GPUs meet by gloo")
        }
        (Some("gloo"), true) => anyhow::bail!(
            "--dist-backend gloo: processes with GPUs meet by nccl\nhint: leave it out, or give --device cpu"
        ),
        (Some(other), _) => anyhow::bail!("--dist-backend {other}: gloo or nccl"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gpus_meet_by_nccl_and_processors_by_gloo() {
        for (backend, gpus, wanted) in [
            (None, true, Some(true)),
            (None, false, Some(false)),
            (Some("nccl"), true, Some(true)),
            (Some("gloo"), false, Some(false)),
            (Some("nccl"), false, None),
            (Some("gloo"), true, None),
            (Some("mpi"), true, None),
        ] {
            let found = meets_by_nccl(backend, gpus);
            assert_eq!(found.as_ref().ok(), wanted.as_ref(), "{backend:?} {gpus}");
            if let (Err(error), Some(name)) = (found, backend) {
                assert!(error.to_string().contains(&format!("--dist-backend {name}")), "{error}");
            }
        }
    }
}
