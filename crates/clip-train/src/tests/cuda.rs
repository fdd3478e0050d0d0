//! The same numbers on a GPU: `scripts/test_cuda`.

use std::time::Duration;

use clip_torch::tch::{Device, Kind, Tensor};
use clip_torch::{Precision, allow_tf32};

use super::{Seen, alone, corpus, recipe, tiny, train_options, trainer_on};
use crate::{
    AdamStats, Logs, Objective, Opt, ProcessGroup, RankInfo, Recipe, TextWeights, TrainPrecision,
    evaluate, latest,
};

/// How far numbers in 32 bits may be from the processor's, TF32 off. The products of both differ in
/// the order of their sums.
const CLOSE: f64 = 1e-3;

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

/// The GPU, which multiplies 32-bit numbers as the processor does.
fn gpu() -> Device {
    clip_torch::init(None).unwrap();
    let fault = clip_torch::cuda_fault().unwrap_or("this machine has none");
    assert!(clip_torch::tch::Cuda::is_available(), "libtorch sees no GPU: {fault}");
    allow_tf32(false).unwrap();
    Device::Cuda(0)
}

/// Losses and norms on the GPU, and on the processor.
fn both(resnet: bool, recipe: &Recipe, chunk: usize) -> [Vec<f64>; 2] {
    let _alone = alone();
    let gpu = gpu();
    [gpu, Device::Cpu].map(|device| curve(device, ProcessGroup::alone(), resnet, recipe, chunk))
}

/// Adam's first steps are signs of gradients that may be nothing but rounding: a ResNet, whose
/// gradients are small, takes them slowly.
fn slow() -> Recipe {
    Recipe { warmup: 100, ..recipe(16) }
}

fn learns(found: &[f64], first: f64) {
    assert!(found[found.len() - 2] < first, "{found:?}");
}

/// In 16 bits: the first loss is the processor's in 32, and the last is lower. The gradients of
/// float16 may overflow until its scale is found.
fn in_16_bits(resnet: bool, precision: TrainPrecision) {
    let [found, _] = both(resnet, &Recipe { precision, ..recipe(16) }, 16);
    let [_, base] = both(resnet, &recipe(16), 16);
    close("16 bits", &found[..1], &base[..1], 2e-2);
    learns(&found, base[0]);
}

fn with(objective: Objective) {
    let [found, base] = both(false, &Recipe { objective, ..recipe(16) }, 16);
    close("objective", &found, &base, CLOSE);
}

/// A test for each case, so that one that fails hides no other.
macro_rules! cases {
    ($($name:ident: $body:expr;)*) => {
        $(#[test]
        #[ignore = "needs a GPU"]
        fn $name() {
            $body;
        })*
    };
}

cases! {
    cuda_transformer_in_32_bits: {
        let [found, base] = both(false, &recipe(16), 16);
        close("transformer", &found, &base, CLOSE);
    };
    cuda_resnet_in_32_bits: {
        let [found, base] = both(true, &slow(), 16);
        close("resnet", &found, &base, CLOSE);
    };
    cuda_transformer_in_bfloat16: in_16_bits(false, TrainPrecision::AmpBf16);
    cuda_transformer_in_float16: in_16_bits(false, TrainPrecision::Amp);
    cuda_resnet_in_bfloat16: in_16_bits(true, TrainPrecision::AmpBf16);
    cuda_resnet_in_float16: in_16_bits(true, TrainPrecision::Amp);
    cuda_chunks_whose_blocks_are_computed_again: {
        let [found, _] = both(false, &recipe(16), 5);
        let [_, base] = both(false, &recipe(16), 16);
        close("chunks", &found, &base, CLOSE);
    };
    cuda_sigmoid: with(Objective::Sigmoid);
    cuda_caption: with(Objective::Caption);
    cuda_bag_of_words: with(Objective::BagOfWords);
    cuda_lion: {
        let [found, _] = both(false, &Recipe { opt: Opt::Lion, lr: 1e-4, ..recipe(16) }, 16);
        learns(&found, found[0]);
    };
    cuda_muon: {
        let [found, _] = both(false, &Recipe { opt: Opt::Muon, momentum: 0.9, ..recipe(16) }, 16);
        learns(&found, found[0]);
    };
    cuda_all_that_saves_memory: {
        let small = Recipe {
            precision: TrainPrecision::Amp,
            adam_stats: AdamStats::Fp16,
            text_weights: TextWeights::Fp16Sr,
            patch_dropout: 0.5,
            ema_decay: Some(0.9),
            ..recipe(16)
        };
        let [found, _] = both(false, &small, 8);
        learns(&found, found[0]);
    };
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_evaluates_held_out_pairs() {
    let _alone = alone();
    let gpu = gpu();
    let folder = tempfile::tempdir().unwrap();
    let corpus = corpus(folder.path(), 48);
    let [found, base] = [gpu, Device::Cpu].map(|device| {
        let options = train_options(16);
        let world = ProcessGroup::alone();
        let trainer = trainer_on(device, world, &tiny(false), &recipe(16), &corpus, options);
        let world = ProcessGroup::alone();
        let scores = evaluate(&trainer.model, Precision::F32, &corpus, &world, 16, &|| false);
        let scores = scores.unwrap();
        scores.into_iter().find(|(name, _)| name == "clip_val_loss").unwrap().1
    });
    close("held-out loss", &[found], &[base], CLOSE);
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_memory_that_is_not_there_is_an_error() {
    let gpu = gpu();
    let none = clip_torch::caught(|| Tensor::zeros([1 << 50], (Kind::Float, gpu))).unwrap_err();
    assert!(none.is_memory(), "{none}");
    assert!(clip_torch::peak_memory(gpu).is_some());
    clip_torch::synchronize(gpu).unwrap();
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

/// NCCL takes one process a GPU: with one GPU it is a group of one. A training in it averages by
/// NCCL; it gathers and compares nothing, so these calls are made here.
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
    assert!(world.any(true).unwrap() && !world.any(false).unwrap());
    let rows = Tensor::arange(6, (Kind::Float, gpu)).view([3, 2]);
    for found in [world.all_gather(&rows), world.reduce_scatter(&rows), world.all_gather_v(&rows)] {
        assert!(found.unwrap().equal(&rows));
    }
    let given = rows.copy();
    world.broadcast(&[given.shallow_clone()]).unwrap();
    assert!(given.equal(&rows));
    let found = curve(gpu, world, false, &recipe(16), 5);
    close(
        "NCCL",
        &found,
        &curve(Device::Cpu, ProcessGroup::alone(), false, &recipe(16), 16),
        CLOSE,
    );
}
