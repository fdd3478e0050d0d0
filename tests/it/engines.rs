//! What barriers decide, by whoever decides it: pairs that are there twice, two languages with
//! limits of their own, copies and placeholders.

use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cluster::{Cluster, build, parts};
use crate::store::bucket;
use crate::world::{World, content};

const MODES: [&str; 4] = ["assign", "metaclip", "strict", "online"];

/// A world whose images are there twice, with a model that takes captions with half of the words
/// for one language, a list for the other, and no image behind two URLs.
fn world() -> World {
    let world = World::new();
    let (mut first, mut second) = (String::new(), String::new());
    for n in 0..200 {
        let place = format!("lamp in image {} of folder {}\n", n % 20, n % 8);
        for word in ["red", "green", "old", "small"] {
            first += &format!("a {word} {place}");
        }
        for word in ["round", "wooden", "bright", "quiet"] {
            second += &format!("a {word} {place}");
        }
    }
    std::fs::write(world.path("first.txt"), first).unwrap();
    std::fs::write(world.path("second.txt"), second).unwrap();
    let train = "classifier train --positive first.txt --negative second.txt --out languages.bin \
                 --dim 8 --epoch 40 --lr 0.5";
    world.good(&train.split_whitespace().collect::<Vec<_>>());
    std::fs::write(world.path("second-queries.txt"), "boat\nriver\nclock\nround\nquiet\n").unwrap();
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let pipeline = pipeline
        .replace("[\"images\"]", "[\"images\", \"images\"]")
        .replace(
            "[queries]\n",
            "[language]\nmodel = \"languages.bin\"\nkeep = [\"positive\", \"negative\"]\n\n\
             [queries]\nlanguages = { negative = \"second-queries.txt\" }\n",
        )
        .replace("limit = 40", "limit = 12")
        .replace("[dedup]\n", "[dedup]\nplaceholder_limit = 1\n");
    std::fs::write(world.path("pipeline.toml"), pipeline).unwrap();
    world
}

/// Reasons of all stages of a run, and the account of its balance.
fn dropped(world: &World) -> (String, Value) {
    let run = world.path("runs/small");
    let read = |path: std::path::PathBuf| std::fs::read_to_string(path).unwrap();
    let text = read(run.join("run.json"));
    let summary: Value = serde_json::from_str(&text).unwrap();
    let stages = summary["stages"].as_array().unwrap();
    let balance = stages.iter().find(|stage| stage["stage"] == "balance").unwrap();
    let account = run.join(balance["dir"].as_str().unwrap()).join("scratch/balance.json");
    (text, serde_json::from_str(&read(account)).unwrap())
}

/// Runs the jobs of an array in turn until all are done.
fn jobs(world: &World, settings: &[&str]) {
    for _ in 0..30 {
        let codes = ["0/3", "1/3", "2/3"]
            .map(|part| world.run(&[&["build", "--part", part], settings].concat()).status.code());
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 3))), "{codes:?}");
        if codes == [Some(0); 3] {
            return;
        }
    }
    panic!("the jobs never ended");
}

#[test]
fn barriers_decide_the_same_whoever_decides() {
    let world = world();
    let started = Instant::now();
    world.good(&["build", "--set", "engine.workers=1"]);
    let whole = started.elapsed();
    let (shards, hashes) = (content(&world.path("runs/small/shards")), parts(&world, "runs"));
    let (run, account) = dropped(&world);
    for reason in ["duplicate_pair", "over_limit", "placeholder"] {
        assert!(run.contains(&format!("\"{reason}\"")), "{reason} is not among {run}");
    }
    let languages = account["languages"].as_array().unwrap();
    assert!(languages.iter().all(|own| own["pairs"].as_u64() > Some(40)), "{account}");
    assert_ne!(languages[0]["limit"], languages[1]["limit"]);
    let same = |workdir: &str| {
        assert_eq!(parts(&world, workdir), hashes, "{workdir}");
        assert!(content(&world.path(workdir).join("small/shards")) == shards, "{workdir}");
    };

    jobs(&world, &["--set", "workdir=jobs"]);
    same("jobs");
    for moment in 1..5 {
        let workdir = format!("workdir=killed-{moment}");
        let mut command = world.command(&["build", "--set", &workdir]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * f64::from(moment) / 5.0));
        child.kill().unwrap();
        child.wait().unwrap();
        world.good(&["build", "--set", &workdir]);
        same(&format!("killed-{moment}"));
    }
    let objects = tempfile::tempdir().unwrap();
    let folder = format!("store=file://{}/runs", objects.path().display());
    jobs(&world, &["--set", "workdir=objects", "--set", &folder]);
    world.good(&["pull", "--set", "workdir=objects", "--set", &folder]);
    same("objects");
    let cluster = Cluster::new(&world, 2);
    world.good(&build(&cluster.settings("two")));
    same("two");
    if let Some(store) = bucket("engines") {
        let store = format!("store={store}");
        let mut cluster = Cluster::new(&world, 0);
        (0..2).for_each(|at| cluster.add_with(&world, &["--workdir", &format!("worker-{at}")]));
        let mut settings = cluster.settings("bucket").to_vec();
        settings.push(store.clone());
        world.good(&build(&settings));
        world.good(&["pull", "--set", "workdir=bucket", "--set", &store]);
        same("bucket");
    }
}

#[test]
fn every_mode_of_the_balance_decides_the_same_on_a_cluster() {
    let world = world();
    let cluster = Cluster::new(&world, 2);
    for mode in MODES {
        let setting = format!("balance.mode={mode}");
        let [here, there] = ["here", "there"].map(|place| format!("{mode}-{place}"));
        let local = [setting.clone(), format!("workdir={here}")];
        world.good(&[&build(&local)[..], &["--until", "balance"]].concat());
        let mut settings = cluster.settings(&there).to_vec();
        settings.push(setting);
        world.good(&[&build(&settings)[..], &["--until", "balance"]].concat());
        assert_eq!(parts(&world, &there), parts(&world, &here), "{mode}");
    }
}
