//! Flags of `train` whose effect is seen in a run alone;
//! `crates/clip-data-torch/src/train/flags.rs` has the others.

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::models::values;
use crate::world::World;

const PRESET: &str = r#"{
  "model_cfg": {
    "embed_dim": 16, "quick_gelu": true,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
  },
  "train": {"batch_size": 16, "epochs": 2, "warmup": 2, "precision": "fp32", "augment": "small"}
}"#;

/// Two epochs of four steps.
const DATA: [&str; 8] = [
    "train",
    "--dataset-type",
    "synthetic",
    "--train-num-samples",
    "64",
    "--preset",
    "tiny.json",
    "--workers",
];

fn world() -> World {
    let world = World::new();
    std::fs::write(world.path("tiny.json"), PRESET).unwrap();
    world
}

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    DATA.iter().copied().chain(["1"]).chain(more.iter().copied()).collect()
}

fn losses(world: &World, run: &str) -> Vec<(u64, f64)> {
    let text = std::fs::read_to_string(world.path(&format!("{run}/steps.jsonl"))).unwrap();
    let step = |line: &str| {
        let step: serde_json::Value = serde_json::from_str(line).unwrap();
        (step["step"].as_u64().unwrap(), step["loss"].as_f64().unwrap())
    };
    text.lines().map(step).collect()
}

#[test]
fn where_a_run_is_and_what_it_begins_with() {
    let world = world();
    let cpu = ["--device", "cpu"];
    world.good(&train(&[&cpu[..], &["--name", "a", "--logs", "here"]].concat()));
    let first = losses(&world, "here/a");
    assert_eq!(first.len(), 8);
    let half = ["--batch-size", "4", "--global-batch-size", "16", "--precision", "auto"];
    let long = ["--warmup", "20", "--epochs", "1", "--name", "h", "--logs", "here"];
    let output = world.run(&train(&[&cpu[..], &half, &long].concat()));
    let errors = String::from_utf8_lossy(&output.stderr);
    let warning = "--warmup 20 is not shorter than the run's 4 steps: the highest learning rate is";
    assert!(output.status.success() && errors.matches(warning).count() == 1, "{errors}");
    let params = std::fs::read_to_string(world.path("here/h/params.txt")).unwrap();
    for line in ["batch_size: 4", "accum_freq: 4", "world_size: 1", "global_batch_size: 16"] {
        assert!(params.lines().any(|found| found == line), "{line}: {params}");
    }
    let precision = params.lines().find_map(|line| line.strip_prefix("precision: ")).unwrap();
    assert!(["fp32", "amp_bf16"].contains(&precision), "{precision}");
    let checkpoints = world.path("here/a/checkpoints");
    for epoch in ["epoch_1.pt", "epoch_2.pt"] {
        assert!(checkpoints.join(epoch).is_file(), "{epoch}");
    }
    // open_clip's line for the first and the last step of an epoch, by --log-every-n-steps 100.
    let log = std::fs::read_to_string(world.path("here/a/out.log")).unwrap();
    assert_eq!(log.matches("Train Epoch").count(), 4, "{log}");

    let half = checkpoints.join("epoch_1.pt").display().to_string();
    let resumed = ["--name", "b", "--logs", "here", "--resume", &half];
    world.good(&train(&[&cpu[..], &resumed].concat()));
    assert_eq!(losses(&world, "here/b"), first[4..]);

    let whole = checkpoints.join("epoch_2.pt").display().to_string();
    let from = ["--name", "c", "--logs", "here", "--pretrained", &whole];
    world.good(&train(&[&cpu[..], &from].concat()));
    let (step, loss) = losses(&world, "here/c")[0];
    assert!(step == 0 && loss < first[0].1 - 0.01, "{loss} after {}", first[0].1);

    // The image tower of `b` with a fresh text tower: that of `g`, which it keeps.
    let newest = |run: &str| {
        let path = world.path(&format!("here/{run}/checkpoints/step_00000008"));
        path.join("open_clip_model.safetensors")
    };
    let image = ["--pretrained-image", &whole, "--lock-image", "--force-context-length", "12"];
    world.good(&train(&[&cpu[..], &["--name", "g", "--logs", "here"], &image].concat()));
    for name in ["visual.proj", "visual.transformer.resblocks.0.mlp.c_fc.weight"] {
        assert_eq!(values(&newest("g"), name), values(&newest("a"), name), "{name}");
    }
    assert_eq!(values(&newest("g"), "positional_embedding").len(), 12 * 16);
    assert_ne!(losses(&world, "here/g")[0], losses(&world, "here/c")[0]);

    let project = ["--wandb-project-name", "mine"];
    world.good(&train(&[&["--name", "d", "--report-to", "all"][..], &project].concat()));
    assert_eq!(std::fs::read_dir(world.path("logs/d/tensorboard")).unwrap().count(), 1);
    let offline = std::fs::read_dir(world.path("logs/d/wandb")).unwrap().next().unwrap().unwrap();
    let run = std::fs::read(offline.path().join("run-d.wandb")).unwrap();
    let has = |text: &str| run.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(has("mine") && has("train/loss") && has("batch_size"));
    world.fails(&train(&["--name", "e", "--max-minutes", "0"]), 3);
    assert_eq!(losses(&world, "logs/e").len(), 1);
    let printed = world.fails(&train(&["--name", "f", "--device", "abacus"]), 2);
    assert!(printed.contains("--device abacus"), "{printed}");
    // Refused by the executable as in the table of flags, by exit code and name.
    for (more, flag) in [
        (["--report-to", "mlflow"], "--report-to mlflow"),
        (["--val-frequency", "1"], "--val-frequency"),
        (["--dist-backend", "gloo"], "--dist-backend"),
        (["--batch-size", "1"], "a batch of 1 pair"),
        (["--global-batch-size", "65"], "a batch of 65 pairs"),
    ] {
        let printed = world.fails(&train(&more), 2);
        assert!(printed.contains(flag), "{printed}");
    }
    let unknown = ["train", "--train-data", "x", "--model", "ViT-B-33"];
    assert!(world.fails(&unknown, 2).contains("no model \"ViT-B-33\"\nhint: RN50"));
}

#[test]
fn two_schedules_of_evaluation() {
    let world = world();
    world.good(&["build"]);
    let frequent = ["--val-frequency", "1", "--zeroshot-frequency", "2", "--name", "both"];
    let held_out = ["--val-data", "runs/small/shards", "--zeroshot", "toys"];
    let three = ["--epochs", "3"];
    world.good(&train(&[&held_out[..], &frequent, &three].concat()));
    let text = world.path("logs/both/checkpoints/results.jsonl");
    let text = std::fs::read_to_string(text).unwrap();
    let has = |key: &str| -> Vec<u64> {
        let lines =
            text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        let lines = lines.filter(|line| line.get(key).is_some());
        lines.map(|line| line["epoch"].as_u64().unwrap()).collect()
    };
    assert_eq!(has("clip_val_loss"), [1, 2, 3]);
    assert_eq!(has("toys-zeroshot-val-top1"), [2, 3]);
}

/// Text weights in float16 are read under autocast alone: in steps and in evaluations.
#[test]
fn every_objective_trains_and_is_evaluated_with_text_weights_in_16_bits() {
    let world = world();
    world.good(&["build"]);
    let small = ["--text-weights", "fp16-sr", "--epochs", "1", "--device", "cpu"];
    let scored = ["--val-data", "runs/small/shards", "--zeroshot", "toys"];
    for objective in ["contrastive", "sigmoid", "caption", "bag-of-words"] {
        for precision in ["amp", "amp_bf16"] {
            let name = format!("{objective}-{precision}");
            let way = ["--objective", objective, "--precision", precision, "--name", &name];
            world.good(&train(&[&small[..], &scored, &way].concat()));
            assert_eq!(losses(&world, &format!("logs/{name}")).len(), 4, "{name}");
            let path = world.path(&format!("logs/{name}/checkpoints/results.jsonl"));
            let text = std::fs::read_to_string(path).unwrap();
            let scores: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
            for score in ["clip_val_loss", "toys-zeroshot-val-top1"] {
                assert!(scores[score].is_f64(), "{name}: {text}");
            }
        }
    }
}

#[test]
fn a_group_of_processes_and_where_it_meets() {
    let world = world();
    world.good(&train(&["--name", "alone"]));
    let output = world.run(&train(&["--name", "pair", "--nproc", "2", "--dist-timeout", "60"]));
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && printed.contains("2 processes"), "{printed}");

    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("tcp://127.0.0.1:{port}");
    let met = ["--name", "met", "--dist-url", &url, "--dist-backend", "gloo"];
    let rank = |rank: &str| {
        let mut command = world.command(&train(&met));
        command.env("RANK", rank).env("WORLD_SIZE", "2").env("OMP_NUM_THREADS", "1");
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    };
    for mut child in [rank("0"), rank("1")] {
        assert!(child.wait().unwrap().success());
    }
    let alone = losses(&world, "logs/alone");
    for run in ["logs/pair", "logs/met"] {
        for ((_, a), (_, b)) in losses(&world, run).iter().zip(&alone) {
            assert!((a - b).abs() < 1e-5, "{run}: {a} {b}");
        }
    }
    let backend = world.command(&train(&["--dist-backend", "mpi", "--dist-url", &url]));
    let mut backend = backend;
    let output = backend.env("RANK", "0").env("WORLD_SIZE", "2").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(2) && printed.contains("--dist-backend mpi"), "{printed}");

    // The other one never comes.
    let started = Instant::now();
    let mut lonely = world.command(&train(&["--dist-url", &url, "--dist-timeout", "2"]));
    let output = lonely.env("RANK", "1").env("WORLD_SIZE", "2").output().unwrap();
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && printed.contains("could not join"), "{printed}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[test]
fn another_corpus_and_a_damaged_one_are_refused_by_name() {
    let world = world();
    world.good(&["build"]);
    let data = world.path("data");
    std::fs::create_dir(&data).unwrap();
    for (name, bytes) in crate::world::content(&world.path("runs/small/shards")) {
        std::fs::write(data.join(name), bytes).unwrap();
    }
    let args = ["train", "--train-data", "data", "--preset", "tiny.json", "--name", "run"];
    let minutes = [&args[..], &["--max-minutes", "0"]].concat();
    world.fails(&minutes, 3);
    let first = data.join("00000.tar");
    let whole = std::fs::read(&first).unwrap();
    // A byte of the last sample, in place: the names, counts and sizes stay.
    let mut bytes = whole.clone();
    let at = bytes.iter().rposition(|&byte| byte != 0).unwrap();
    bytes[at] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    let printed = world.fails(&minutes, 4);
    assert!(printed.contains("00000.tar") && printed.contains("blake3"), "{printed}");
    // The same content again, though written later.
    std::fs::write(&first, whole).unwrap();
    world.fails(&minutes, 3);
    // Two shards with all that is beside them change places: another corpus.
    for end in [".tar", ".idx", ".parquet", "_stats.json"] {
        let [a, b, c] = ["00000", "00001", "aside"].map(|name| data.join(format!("{name}{end}")));
        std::fs::rename(&a, &c).unwrap();
        std::fs::rename(&b, &a).unwrap();
        std::fs::rename(&c, &b).unwrap();
    }
    let printed = world.fails(&minutes, 2);
    assert!(printed.contains("0000") && printed.contains("has begun with"), "{printed}");
    // A copy elsewhere has no name that the run knows; its digest is another one.
    std::fs::rename(&data, world.path("moved")).unwrap();
    let moved = minutes.iter().map(|&arg| if arg == "data" { "moved" } else { arg });
    let printed = world.fails(&moved.collect::<Vec<_>>(), 2);
    assert!(printed.contains("corpus was"), "{printed}");
}

#[test]
fn weights_between_two_runs_and_weights_that_are_not_there() {
    let world = world();
    let short = ["--epochs", "1", "--device", "cpu", "--lr", "0.01"];
    world.good(&train(&[&short[..], &["--name", "a"]].concat()));
    let newest = "logs/a/checkpoints/step_00000004";
    let from = ["--name", "b", "--pretrained", newest, "--seed", "5"];
    world.good(&train(&[&short[..], &from].concat()));
    let between = ["convert", "--model", "logs/b", "--interpolate", "logs/a"];
    let quarter = ["--alpha", "0.25", "--to", "open-clip", "--out", "c"];
    world.good(&[&between[..], &quarter].concat());
    let [a, b, c] = [newest, "logs/b/checkpoints/step_00000004", "c"].map(|folder| {
        values(&world.path(&format!("{folder}/open_clip_model.safetensors")), "visual.proj")
    });
    assert!(a != b && a.len() == c.len());
    for ((a, b), c) in a.iter().zip(&b).zip(&c) {
        assert!((0.75 * a + 0.25 * b - c).abs() < 1e-6, "{a} {b} {c}");
    }
    let to = ["--to", "pt", "--out", "x.pt"];
    let alone = ["convert", "--model", "logs/b", "--alpha", "0.5"];
    let beyond = [&between[..], &["--alpha", "1.5"]].concat();
    let hub = ["convert", "--model", "hf-hub:a/b"];
    for (args, code, word) in [
        (&alone[..], 2, "--interpolate"),
        (&beyond, 2, "from 0 to 1"),
        (&hub, 5, "hint: nothing is downloaded here: `hf download a/b`"),
    ] {
        let message = world.fails(&[args, &to].concat(), code);
        assert!(message.contains(word), "{message}");
    }
    let few = PRESET.replace("49408", "512");
    std::fs::write(world.path("few.json"), few).unwrap();
    let few = train(&["--name", "d"]).into_iter();
    let few: Vec<&str> = few.map(|arg| if arg == "tiny.json" { "few.json" } else { arg }).collect();
    let message = world.fails(&few, 2);
    assert!(message.contains("the model has 512 tokens, and the tokenizer 49408"), "{message}");
    // A name of open_clip's is one of the model's; this model has none.
    let named = train(&["--name", "d", "--pretrained", "laion2b_s34b_b79k"]);
    let message = world.fails(&named, 2);
    assert!(message.contains("--pretrained: no weights \"laion2b_s34b_b79k\""), "{message}");
}
