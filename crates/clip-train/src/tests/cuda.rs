//! The same numbers on a GPU: `scripts/test_cuda`.

use std::time::Duration;

use clip_torch::tch::Device;

use super::{Seen, alone, corpus, recipe, tiny, train_options, trainer_on};
use crate::{
    AdamStats, Logs, Objective, ProcessGroup, RankInfo, Recipe, TextWeights, TrainPrecision, latest,
};

/// Losses and norms of a run.
fn curve(
    device: Device,
    world: ProcessGroup,
    resnet: bool,
    recipe: &Recipe,
    chunk: usize,
) -> Vec<f64> {
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), 48);
    let mut trainer =
        trainer_on(device, world, &tiny(resnet), recipe, &corpus, train_options(chunk));
    trainer.model.set_grad_checkpointing(chunk < 16);
    let mut seen = Seen::default();
    trainer.run(None, &mut seen).unwrap();
    seen.steps.iter().flat_map(|step| [step.loss, step.grad_norm]).collect()
}

fn close(name: &str, a: &[f64], b: &[f64], bound: f64) {
    let apart = a.iter().zip(b).map(|(x, y)| (x - y).abs() / (1.0 + y.abs()));
    let apart = apart.map(|x| if x.is_nan() { f64::INFINITY } else { x }).fold(0.0, f64::max);
    eprintln!("{name}: {apart:.1e}");
    assert!(a.len() == b.len() && apart <= bound, "{name}\n{a:?}\n{b:?}");
}

fn gpu() -> Device {
    clip_torch::init(None).unwrap();
    assert!(clip_torch::tch::Cuda::is_available(), "libtorch sees no GPU");
    Device::Cuda(0)
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_learns_as_the_processor_does() {
    let _alone = alone();
    let gpu = gpu();
    let of = |device, resnet, recipe: &Recipe, chunk| {
        curve(device, ProcessGroup::alone(), resnet, recipe, chunk)
    };
    for resnet in [false, true] {
        let base = of(Device::Cpu, resnet, &recipe(16), 16);
        // cuDNN's convolutions have 10 bits of mantissa.
        close("fp32", &of(gpu, resnet, &recipe(16), 16), &base, 5e-3);
        for precision in [TrainPrecision::AmpBf16, TrainPrecision::Amp] {
            let half = Recipe { precision, ..recipe(16) };
            let found = of(gpu, resnet, &half, 16);
            // The gradients of float16 may overflow until its scale is found.
            close(&precision.to_string(), &found[..1], &base[..1], 2e-2);
            assert!(found[found.len() - 2] < base[0], "{found:?}");
        }
    }
    let chunks = of(gpu, false, &recipe(16), 5);
    close("chunks, blocks computed again", &chunks, &of(Device::Cpu, false, &recipe(16), 16), 5e-3);
    for objective in [Objective::Sigmoid, Objective::Caption, Objective::BagOfWords] {
        let recipe = Recipe { objective, ..recipe(16) };
        let base = of(Device::Cpu, false, &recipe, 16);
        close(&format!("{objective:?}"), &of(gpu, false, &recipe, 16), &base, 5e-3);
    }
    let small = Recipe {
        precision: TrainPrecision::Amp,
        adam_stats: AdamStats::Fp16,
        text_weights: TextWeights::Fp16Sr,
        patch_dropout: 0.5,
        ema_decay: Some(0.9),
        ..recipe(16)
    };
    let found = of(gpu, false, &small, 8);
    assert!(found[found.len() - 2] < found[0], "{found:?}");
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_goes_on_from_a_checkpoint() {
    let _alone = alone();
    let (gpu, data, folder) = (gpu(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let corpus = corpus(data.path(), 48);
    let recipe = Recipe { ema_decay: Some(0.9), ..recipe(16) };
    let start = || {
        trainer_on(gpu, ProcessGroup::alone(), &tiny(false), &recipe, &corpus, train_options(16))
    };
    let mut whole = Seen::default();
    start().run(None, &mut whole).unwrap();
    let mut losses = Vec::new();
    for stop_after in [Some(4), None] {
        let mut trainer = start();
        if let Some(checkpoint) = latest(&folder.path().join("checkpoints")) {
            trainer.resume(&checkpoint).unwrap();
        }
        let mut logs = Logs::open(folder.path(), trainer.steps_done(), false).unwrap();
        let mut seen = Seen { stop_after, ..Seen::default() };
        trainer.run(Some(&mut logs), &mut seen).unwrap();
        losses.extend(seen.steps.iter().map(|step| step.loss));
    }
    let whole: Vec<f64> = whole.steps.iter().map(|step| step.loss).collect();
    close("in pieces", &losses, &whole, 1e-3);
}

/// NCCL takes one process a GPU: with one GPU it is a group of one, which still gathers, scatters
/// and averages.
#[test]
#[ignore = "needs a GPU and libclip_nccl.so, as CLIP_NCCL says"]
fn cuda_processes_meet_by_nccl() {
    let _alone = alone();
    let gpu = gpu();
    let library = std::env::var("CLIP_NCCL").expect("CLIP_NCCL: the path of libclip_nccl.so");
    let place = RankInfo {
        rank: 0,
        local_rank: 0,
        world: 1,
        local_world: Some(1),
        host: "127.0.0.1".into(),
        port: 29_511,
        agent_store: false,
        attempt: "0".into(),
    };
    let world = ProcessGroup::join(place, gpu, Duration::from_secs(60), Some(library)).unwrap();
    assert_eq!(world.all_reduce_sum(&[1.5, -2.0]).unwrap(), [1.5, -2.0]);
    let found = curve(gpu, world, false, &recipe(16), 5);
    close("NCCL", &found, &curve(Device::Cpu, ProcessGroup::alone(), false, &recipe(16), 16), 5e-3);
}
