//! Training and evaluation, and what happens without libtorch.

use std::process::Command;

use crate::world::{World, executable};

const PRESET: &str = r#"{
  "model_cfg": {
    "embed_dim": 16, "quick_gelu": true,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
  },
  "train": {"batch_size": 16, "epochs": 2, "warmup": 2, "precision": "fp32", "augment": "small"}
}"#;

#[test]
fn help_works_without_libtorch_and_train_says_what_to_do() {
    let world = World::new();
    let bare = |args: &[&str]| {
        let mut command = Command::new(executable("clip-data"));
        command.args(args).current_dir(world.path("")).env_clear().env("HOME", "/nonexistent");
        command.output().unwrap()
    };
    let help = bare(&["--help"]);
    assert!(help.status.success());
    assert!(String::from_utf8_lossy(&help.stdout).contains("contamination"));
    for (args, usage) in [
        (&["train", "--help"][..], "Usage: clip-data train [OPTIONS]"),
        (&["embed", "--help"], "Usage: clip-data embed [OPTIONS] --model <PATH>"),
        (&["eval", "--help"], "Usage: clip-data eval"),
        (&["eval", "zero-shot", "--help"], "Usage: clip-data eval zero-shot [OPTIONS]"),
    ] {
        let help = bare(args);
        let text = String::from_utf8_lossy(&help.stdout);
        assert!(help.status.success() && text.contains(usage), "{text}");
    }
    let wrong = bare(&["train", "--epoch", "3"]);
    let text = String::from_utf8_lossy(&wrong.stderr);
    assert_eq!(wrong.status.code(), Some(2), "{text}");
    assert!(text.contains("'--epochs'"), "{text}");
    let train = bare(&["train", "--preset", "emoji"]);
    let printed = String::from_utf8_lossy(&train.stderr);
    assert_eq!(train.status.code(), Some(5), "{printed}");
    assert!(printed.contains("libtorch 2.11") && printed.contains("hint: "), "{printed}");
}

#[test]
fn stopped_and_gone_on_a_training_ends_with_the_same_weights() {
    let world = World::new();
    world.good(&["build"]);
    std::fs::write(world.path("tiny.json"), PRESET).unwrap();
    let train = |name: &'static str, more: &[&'static str]| {
        let args = ["train", "--train-data", "runs/small/shards", "--preset", "tiny.json"];
        let run = ["--name", name, "--seed", "3", "--device", "cpu"];
        let args: Vec<&str> = args.iter().chain(&run).chain(more).copied().collect();
        world.run(&args)
    };
    assert!(train("whole", &[]).status.success());
    // Out of time after every step.
    let mut stops = 0;
    while train("stopped", &["--max-minutes", "0"]).status.code() == Some(3) && stops < 5 {
        stops += 1;
    }
    assert_eq!(stops, 5);
    assert!(train("stopped", &[]).status.success());
    let weights = |name: &str| {
        let path = format!("logs/{name}/checkpoints/step_00000019/open_clip_model.safetensors");
        std::fs::read(world.path(&path)).unwrap()
    };
    assert!(weights("whole") == weights("stopped"), "the weights differ");
    let steps = std::fs::read_to_string(world.path("logs/stopped/steps.jsonl")).unwrap();
    assert_eq!(steps.lines().count(), 19);
    let other = train("stopped", &["--lr", "0.1"]);
    let printed = String::from_utf8_lossy(&other.stderr);
    assert!(
        other.status.code() == Some(2) && printed.contains("lr was 0.0005, is 0.1"),
        "{printed}"
    );

    world.good(&["contamination"]);
    let eval = ["eval", "zero-shot", "--model", "logs/whole", "--dataset", "toys"];
    let files = ["--output", "scores.json", "--predictions", "p.parquet"];
    let account = ["--contamination", "runs/small/contamination.json"];
    let args: Vec<&str> = eval.iter().chain(&files).chain(&account).copied().collect();
    let printed = world.good(&args);
    for row in ["All ", "Clean ", "Overlap ", "chance 12.50%"] {
        assert!(printed.contains(row), "{printed}");
    }
    let effect = world.good(&["contamination", "--predictions", "toys=p.parquet"]);
    assert!(effect.contains("All-Clean"), "{effect}");
    let scores = std::fs::read_to_string(world.path("scores.json")).unwrap();
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    assert_eq!(scores["task"], "zeroshot_classification");
    assert_eq!(scores["overlap"]["acc1"]["n"], 8);
    assert_eq!(scores["contamination_covers_training"], true);
    reports_of_other_shards_are_named(&world);
    class_folders_are_taken_under_a_datasets_name(&world);
}

/// `logs/whole` was trained on `runs/small/shards`.
fn reports_of_other_shards_are_named(world: &World) {
    world.good(&[
        "reshard",
        "--input",
        "runs/small/shards",
        "--out",
        "other",
        "--shard-size",
        "30",
    ]);
    let eval = ["eval", "zero-shot", "--model", "logs/whole", "--dataset", "toys"];
    for (corpus, covers) in [("other", false), ("runs/small/shards", true)] {
        let out = format!("report-{covers}");
        world.good(&["contamination", "--corpus", corpus, "--eval", "toys=toys", "--out", &out]);
        let report = format!("{out}/contamination.json");
        let output = world
            .run(&[&eval[..], &["--contamination", &report, "--output", "covers.json"]].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{errors}");
        let warned = errors.contains("is not of the corpus that logs/whole/checkpoints/step_");
        assert_eq!(warned, !covers, "{errors}");
        let scores = std::fs::read_to_string(world.path("covers.json")).unwrap();
        let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
        assert_eq!(scores["contamination_covers_training"], covers);
    }
    let train = ["train", "--train-data", "runs/small/shards", "--preset", "tiny.json"];
    let more = ["--epochs", "1", "--device", "cpu", "--name", "watched", "--zeroshot", "toys"];
    let split = ["--contamination", "report-false/contamination.json"];
    let output = world.run(&[&train[..], &more, &split].concat());
    let printed = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(printed.contains("is not of the corpus that logs/watched was trained on"), "{printed}");
}

/// A copy of CIFAR-10 in folders of images, as `contamination` and `[check]` take it.
fn class_folders_are_taken_under_a_datasets_name(world: &World) {
    for (part, name) in [("train", "other.png"), ("test", "copy.png")] {
        for n in 0..8 {
            let class = world.path(&format!("c10/{part}/{}", ["cat", "Dog"][n / 4]));
            std::fs::create_dir_all(&class).unwrap();
            let from = world.path(&format!("toys/class_{n}/{name}"));
            std::fs::copy(from, class.join(format!("{n}.png"))).unwrap();
        }
    }
    let model = ["--model", "logs/whole", "--device", "cpu"];
    let zero = ["eval", "zero-shot", "--dataset", "cifar10=c10", "--output", "c.json"];
    let output = world.run(&[&zero[..], &model].concat());
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    assert!(errors.contains("8 items, and its test part has 10000"), "{errors}");
    let scores = std::fs::read_to_string(world.path("c.json")).unwrap();
    let scores: serde_json::Value = serde_json::from_str(&scores).unwrap();
    assert_eq!((&scores["items"], &scores["protocol"]), (&8.into(), &"openai".into()));
    world.good(&[&["eval", "linear-probe", "--dataset", "cifar10=c10"][..], &model].concat());
    let train = ["train", "--train-data", "runs/small/shards", "--preset", "tiny.json"];
    let more = ["--epochs", "1", "--device", "cpu", "--name", "zero", "--zeroshot", "cifar10=c10"];
    world.good(&[&train[..], &more].concat());
    let results = std::fs::read_to_string(world.path("logs/zero/checkpoints/results.jsonl"));
    assert!(results.unwrap().contains("cifar10-zeroshot-val-top1"));
    // The report knows a set by the name that was given.
    let check = ["contamination", "--corpus", "images", "--eval", "cifar10=c10", "--out", "c10r"];
    world.good(&check);
    let split = ["--contamination", "c10r/contamination.json"];
    world.good(&[&zero[..], &split, &model].concat());
    let named = ["eval", "zero-shot", "--dataset", "mine=c10"];
    let error = world.fails(&[&named[..], &split, &model].concat(), 2);
    assert!(
        error.contains("no set \"mine\", only cifar10\nhint: give the set the report's name, as in --dataset cifar10=PATH"),
        "{error}"
    );
}

/// What OpenMP's threads do while they wait is in the environment of the executable with libtorch,
/// and of its ranks, unless the user has decided.
#[test]
fn threads_that_wait_do_not_spin_unless_the_user_says_so() {
    let environment = |process: u32| {
        let bytes = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        bytes
            .split(|&b| b == 0)
            .map(|v| String::from_utf8_lossy(v).into_owned())
            .collect::<Vec<_>>()
    };
    let children = |process: u32| {
        let path = format!("/proc/{process}/task/{process}/children");
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace().map(|id| id.parse().unwrap()).collect::<Vec<u32>>()
    };
    let own = [None, Some(("GOMP_SPINCOUNT", "77")), Some(("OMP_WAIT_POLICY", "active"))];
    for own in own {
        let world = World::new();
        std::fs::write(world.path("tiny.json"), PRESET).unwrap();
        let data = ["--dataset-type", "synthetic", "--train-num-samples", "300000"];
        let run = ["train", "--preset", "tiny.json", "--device", "cpu", "--nproc", "2"];
        let mut command = world.command(&[&run[..], &data].concat());
        command.env_remove("GOMP_SPINCOUNT").env_remove("OMP_WAIT_POLICY").envs(own);
        let quiet = std::process::Stdio::null;
        let mut child = command.stdout(quiet()).stderr(quiet()).spawn().unwrap();
        // It becomes the other executable, which starts two ranks.
        let ranks = loop {
            let ranks = children(child.id());
            let ready = |rank: &u32| environment(*rank).iter().any(|v| v.starts_with("RANK="));
            if ranks.len() == 2 && ranks.iter().all(ready) {
                break ranks;
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended");
            std::thread::sleep(std::time::Duration::from_millis(10));
        };
        let processes = [child.id(), ranks[0], ranks[1]].map(environment);
        child.kill().unwrap();
        child.wait().unwrap();
        let ranks: Vec<String> = ranks.iter().map(u32::to_string).collect();
        Command::new("kill").arg("-9").args(ranks).status().unwrap();
        for variables in processes {
            let set = |name: &str| {
                let of = |v: &String| v.strip_prefix(name)?.strip_prefix('=').map(str::to_owned);
                variables.iter().find_map(of)
            };
            let spin = own
                .map_or(Some("1000"), |(name, value)| (name == "GOMP_SPINCOUNT").then_some(value));
            assert_eq!(set("GOMP_SPINCOUNT").as_deref(), spin, "{own:?}");
            let policy = own.filter(|(name, _)| *name == "OMP_WAIT_POLICY").map(|(_, v)| v);
            assert_eq!(set("OMP_WAIT_POLICY").as_deref(), policy, "{own:?}");
        }
    }
}

/// Losses of a run, a line of `steps.jsonl` each.
fn losses(world: &World, name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(world.path(&format!("logs/{name}/steps.jsonl"))).unwrap();
    let loss = |line: &str| -> f64 {
        let step: serde_json::Value = serde_json::from_str(line).unwrap();
        step["loss"].as_f64().unwrap()
    };
    text.lines().map(loss).collect()
}

#[test]
fn two_processes_train_as_one_does_and_go_on_after_a_kill() {
    let world = World::new();
    std::fs::write(world.path("tiny.json"), PRESET).unwrap();
    let data = ["train", "--dataset-type", "synthetic", "--train-num-samples", "640"];
    let run = ["--preset", "tiny.json", "--device", "cpu", "--save-steps", "3"];
    let args = |name: &'static str, nproc: &'static str| -> Vec<&str> {
        data.iter().chain(&run).copied().chain(["--name", name, "--nproc", nproc]).collect()
    };
    world.good(&args("one", "1"));
    let mut killed = Command::new(executable("clip-data"))
        .args(args("two", "2"))
        .current_dir(world.path(""))
        .spawn()
        .unwrap();
    let first = world.path("logs/two/checkpoints/step_00000003");
    for _ in 0..600 {
        if first.exists() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    let printed = world.good(&args("two", "2"));
    assert!(printed.contains("step_00000080"), "{printed}");
    let (one, two) = (losses(&world, "one"), losses(&world, "two"));
    assert_eq!((one.len(), two.len()), (80, 80));
    for (step, (a, b)) in one.iter().zip(&two).enumerate() {
        assert!((a - b).abs() < 1e-5, "step {step}: {a} {b}");
    }
}

#[test]
fn what_cannot_be_trained_or_evaluated_is_named() {
    let world = World::new();
    for (args, code, named) in [
        (&["train", "--train-data", "none", "--preset", "emoji", "--name", "x"][..], 2, "none"),
        (&["train", "--train-data", "x", "--preset", "emojis", "--name", "x"], 2, "no preset"),
        (&["train", "--train-data", "x", "--preset", "emoji", "--objective", "guess"], 2, "guess"),
        (&["train", "--train-data", "x", "--preset", "emoji", "--nproc", "3"], 2, "3 processes"),
        (&["eval", "zero-shot", "--model", "none", "--dataset", "toys"], 5, "no checkpoint"),
        (&["eval", "one-shot"], 2, "one-shot"),
    ] {
        let printed = world.fails(args, code);
        assert!(printed.contains(named), "{args:?}: {printed}");
    }
}
