//! Every option that enters a step, alone and all together, on one, two and four processes: all of
//! them keep the same weights, to the bit.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use clip_loader::Augment;
use clip_model::Clip;
use clip_torch::Store;
use clip_torch::tch::{self, Device, Kind, Tensor};
use serde::{Deserialize, Serialize};

use super::ranks::{finished, start};
use super::{Seen, alone, corpus, recipe, tiny, train_options};
use crate::{
    AdamStats, DecayRule, Objective, Opt, ProcessGroup, Recipe, Schedule, TextWeights,
    TrainPrecision, Trainer,
};

/// One way to train.
struct Case {
    name: &'static str,
    recipe: Recipe,
    resnet: bool,
    checkpointing: bool,
    /// Pairs in the model at a time, over all processes.
    chunk: usize,
    /// Whether losses are one process's. In 16 bits it depends on the number of processes which
    /// steps overflow until the loss scale is found, and batch normalisation sees smaller
    /// batches: the first loss is the same then.
    same: bool,
}

/// Enough steps for float16's loss scale to be found, on any number of processes, and for some
/// after that.
const LONG: u64 = 5;

/// What can be switched on together.
fn all(recipe: &mut Recipe) {
    recipe.epochs = LONG;
    recipe.precision = TrainPrecision::Amp;
    recipe.text_weights = TextWeights::Fp16Sr;
    recipe.adam_stats = AdamStats::Fp16;
    recipe.patch_dropout = 0.5;
    recipe.ema_decay = Some(0.9);
    recipe.grad_clip_norm = Some(0.5);
    recipe.lock_image = Some(2);
    recipe.lock_text = Some(2);
}

fn cases() -> Vec<Case> {
    let base = || Recipe { epochs: 2, ..recipe(16) };
    let case = |name, change: fn(&mut Recipe)| {
        let mut recipe = base();
        change(&mut recipe);
        Case { name, recipe, resnet: false, checkpointing: false, chunk: 16, same: true }
    };
    let loose = |name, change: fn(&mut Recipe)| Case { same: false, ..case(name, change) };
    vec![
        case("plain", |_| {}),
        loose("fp16-sr in bf16", |r| {
            r.epochs = LONG;
            r.precision = TrainPrecision::AmpBf16;
            r.text_weights = TextWeights::Fp16Sr;
        }),
        loose("fp16-sr in fp16", |r| {
            r.epochs = LONG;
            r.precision = TrainPrecision::Amp;
            r.text_weights = TextWeights::Fp16Sr;
        }),
        loose("fp16 moments", |r| r.adam_stats = AdamStats::Fp16),
        loose("bf16", |r| r.precision = TrainPrecision::AmpBf16),
        loose("fp16", |r| (r.precision, r.epochs) = (TrainPrecision::Amp, LONG)),
        case("patch dropout", |r| r.patch_dropout = 0.5),
        Case { chunk: 8, ..case("patch dropout in chunks", |r| r.patch_dropout = 0.5) },
        Case { chunk: 8, ..case("chunks", |_| {}) },
        Case { checkpointing: true, ..case("checkpointing", |r| r.patch_dropout = 0.25) },
        case("moving average", |r| r.ema_decay = Some(0.9)),
        case("clipping", |r| r.grad_clip_norm = Some(0.1)),
        case("locked image", |r| r.lock_image = Some(1)),
        case("locked text", |r| r.lock_text = Some(0)),
        case("sigmoid", |r| r.objective = Objective::Sigmoid),
        case("caption", |r| r.objective = Objective::Caption),
        case("bag of words", |r| r.objective = Objective::BagOfWords),
        case("spared positions", |r| r.decay_rule = DecayRule::SparePositions),
        case("crops", |r| r.augment = Augment::ResizedCrop(0.5, 1.0)),
        case("layer-wise rates", |r| r.layer_decay = Some(0.5)),
        // The sign of a gradient near 0 depends on the order of a sum, and so does bfloat16.
        loose("lion", |r| r.opt = Opt::Lion),
        loose("muon", |r| {
            (r.opt, r.momentum, r.epochs) = (Opt::Muon, 0.9, LONG);
            (r.precision, r.text_weights) = (TrainPrecision::AmpBf16, TextWeights::Fp16Sr);
        }),
        case("numbers", |r| {
            (r.lr, r.beta1, r.beta2, r.eps, r.wd) = (2e-3, 0.8, 0.9, 1e-8, 0.1);
            (r.warmup, r.epochs, r.batch_size) = (1, 3, 24);
        }),
        case("budget", |r| r.train_num_samples = Some(40)),
        case("cool-down", |r| {
            r.lr_scheduler = Schedule::ConstCooldown;
            (r.epochs_cooldown, r.lr_cooldown_end, r.lr_cooldown_power) = (1, 1e-4, 2.0);
        }),
        // Batch normalisation sees smaller batches on more processes.
        Case { resnet: true, ..loose("resnet", |_| {}) },
        Case { resnet: true, ..loose("locked resnet", |r| r.lock_image = Some(0)) },
        Case { chunk: 8, checkpointing: true, ..loose("all", all) },
        Case {
            chunk: 8,
            ..loose("all, sigmoid", |r| {
                all(r);
                r.objective = Objective::Sigmoid;
            })
        },
    ]
}

/// What a process ended with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct End {
    /// Of all parameters, buffers, averages and moments.
    digest: String,
    losses: Vec<f64>,
}

fn digest(trainer: &Trainer) -> String {
    let mut hasher = blake3::Hasher::new();
    let mut add = |name: &str, tensor: &Tensor| {
        let bytes = tensor.detach().contiguous().view([-1]).view_dtype(Kind::Uint8);
        hasher.update(name.as_bytes()).update(&Vec::<u8>::try_from(bytes).unwrap());
    };
    trainer.model.state_dict().iter().for_each(|(name, tensor)| add(name, tensor));
    trainer.trained.state().iter().for_each(|(name, tensor)| add(name, tensor));
    trainer.trained.average.iter().flatten().for_each(|tensor| add("average", tensor));
    hasher.finalize().to_hex().to_string()
}

/// Trains every case among the processes of `world`.
fn train(mut world: ProcessGroup, data: &Path) -> BTreeMap<String, End> {
    let corpus = corpus(data, 48);
    let mut ends = BTreeMap::new();
    for case in cases() {
        tch::manual_seed(if world.rank() == 0 { 7 } else { 1000 });
        let model = crate::fresh(&tiny(case.resnet), case.recipe.objective, Device::Cpu);
        let options = train_options((case.chunk / world.size()).max(1));
        let mut trainer = Trainer::new(model, case.recipe, corpus.clone(), options, world).unwrap();
        trainer.model.set_grad_checkpointing(case.checkpointing);
        let mut seen = Seen::default();
        trainer.run(None, &mut seen).unwrap();
        // In float16 the first steps overflow; what is compared has learned after that.
        assert!(seen.steps.iter().any(|step| !step.skipped), "{}", case.name);
        let losses = seen.steps.iter().map(|step| step.loss).collect();
        ends.insert(case.name.to_owned(), End { digest: digest(&trainer), losses });
        world = trainer.world;
    }
    ends
}

/// In a process of the group.
pub fn child(world: ProcessGroup, folder: &Path, data: &Path) {
    let path = folder.join(format!("ends-{}-{}", world.size(), world.rank()));
    let ends = train(world, data);
    std::fs::write(path, serde_json::to_string(&ends).unwrap()).unwrap();
}

#[test]
fn all_processes_keep_the_same_weights_with_every_option() {
    let _alone = alone();
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = train(ProcessGroup::alone(), data.path());
    for size in [2, 4] {
        let store = Store::serve(Duration::from_secs(60)).unwrap();
        let children = start(size, store.port(), folder.path(), "options");
        finished(children, folder.path(), size);
        let ends = |rank| -> BTreeMap<String, End> {
            let path = folder.path().join(format!("ends-{size}-{rank}"));
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
        };
        let first = ends(0);
        for rank in 1..size {
            for (name, end) in ends(rank) {
                assert_eq!(end, first[&name], "{name}: rank {rank} of {size}");
            }
        }
        for case in cases() {
            let (a, b) = (&one[case.name].losses, &first[case.name].losses);
            assert_eq!(a.len(), b.len(), "{}", case.name);
            let steps = if case.same { a.len() } else { usize::from(!case.resnet) };
            for (x, y) in a.iter().zip(b).take(steps) {
                // The first loss in 16 bits is of sums in another order.
                let bound = if case.same { 1e-5 } else { 1e-3 };
                let apart = (x - y).abs() / (1.0 + x.abs());
                assert!(apart <= bound, "{}, {size} processes\n{a:?}\n{b:?}", case.name);
            }
        }
    }
}

#[test]
fn every_setting_of_the_recipe_is_varied() {
    let base = Recipe { epochs: 2, ..recipe(16) }.settings();
    let cases: Vec<_> = cases().into_iter().map(|case| case.recipe.settings()).collect();
    for (at, (name, value)) in base.iter().enumerate() {
        assert!(cases.iter().any(|case| case[at].1 != *value), "{name} is {value} in every case");
    }
}

#[test]
fn a_process_with_other_weights_or_flags_is_named() {
    let _alone = alone();
    let folder = tempfile::tempdir().unwrap();
    let store = Store::serve(Duration::from_secs(60)).unwrap();
    finished(start(2, store.port(), folder.path(), "strangers"), folder.path(), 2);
    for rank in 0..2 {
        let read = |what: &str| {
            std::fs::read_to_string(folder.path().join(format!("{what}-{rank}"))).unwrap()
        };
        let (flags, weights) = (read("flags"), read("weights"));
        assert!(flags.contains("rank 1 begins another run") && flags.contains("lr"), "{flags}");
        let named = "rank 1 has another visual.proj than rank 0";
        assert!(weights.starts_with("step 0: ") && weights.contains(named), "{weights}");
    }
}

/// In a process of a group of which the second has another learning rate, then other weights.
pub fn stranger(world: ProcessGroup, folder: &Path, data: &Path) {
    let (corpus, rank) = (corpus(data, 48), world.rank());
    let write = |what: &str, error: &crate::Error| {
        std::fs::write(folder.join(format!("{what}-{rank}")), error.to_string()).unwrap();
    };
    let model = || Clip::new(&tiny(false), Device::Cpu);
    let odd = Recipe { lr: if rank == 0 { 1e-3 } else { 2e-3 }, ..recipe(16) };
    let begins = crate::checkpoint::state_of(
        &odd,
        &train_options(16),
        &corpus.clone().into(),
        clip_loader::EpochSampler::new(&corpus, 7, 16, 1).unwrap().epochs().steps(),
    );
    write("flags", &crate::replicas::same_start(&world, &begins, "model", 16).unwrap_err());
    let mut trainer = Trainer::new(model(), recipe(16), corpus, train_options(16), world).unwrap();
    if rank == 1 {
        let (_, weight) =
            &trainer.model.named_parameters().iter().find(|(n, _)| n == "visual.proj").unwrap();
        let _ = tch::no_grad(|| weight.shallow_clone().detach().narrow(0, 0, 1).fill_(1.0));
    }
    write("weights", &trainer.run(None, &mut Seen::default()).unwrap_err());
}
