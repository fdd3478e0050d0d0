//! A build that stores no image twice makes the same shards, killed or not.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use clip_corpus::ShardReader;

use crate::world::{World, content};

/// Bytes of the images in the parts of a run's fetch, and of its shards.
fn stored(run: &Path) -> (u64, u64) {
    let stages = || std::fs::read_dir(run).into_iter().flatten().flatten();
    let size = |folder: &str| -> u64 {
        let folders = stages().map(|stage| stage.path().join(folder));
        let files = folders.flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten());
        // A file that takes its name meanwhile would be listed under both.
        let named = files.flatten().filter(|f| !f.file_name().to_string_lossy().starts_with('.'));
        named.filter_map(|file| Some(file.metadata().ok()?.len())).sum()
    };
    // A build that is at work removes an image after its shard is there: in the other order both
    // would count.
    let shards = size("shards");
    (size("images"), shards)
}

#[test]
fn a_lean_build_that_was_killed_makes_the_same_shards_on_less_disk() {
    let world = World::new();
    let started = Instant::now();
    world.good(&["build"]);
    let whole = started.elapsed();
    let run = world.path("runs/small");
    let expected = content(&run.join("shards"));
    let (images, shards) = stored(&run);
    assert!(images > 0 && shards > 0);

    for moment in 0..6u32 {
        let workdir = format!("workdir=lean-{moment}");
        let lean = ["build", "--lean", "--set", &workdir, "--set", "engine.workers=1"];
        let mut build = world.command(&lean);
        let mut child = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Most of the moments are in the last stages.
        std::thread::sleep(whole.mul_f64(0.5 + 0.09 * f64::from(moment)));
        let _ = child.kill();
        child.wait().unwrap();
        let run = world.path(&format!("lean-{moment}/small"));
        let mut build = world.command(&lean);
        let mut child = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut most = 0;
        while child.try_wait().unwrap().is_none() {
            let (images, shards) = stored(&run);
            most = most.max(images + shards);
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(child.wait().unwrap().success());
        assert!(content(&run.join("shards")) == expected, "killed at moment {moment}");
        // Beside the images there are at most the shards that are at work, and tables and indices.
        assert!(most < images + shards, "{most} of {images} + {shards} bytes");
        assert_eq!(stored(&run).0, 0, "images are left");
        world.good(&["verify", run.to_str().unwrap()]);
    }
    // What reads a run reads a lean one.
    let set = "workdir=lean-0";
    let shard = world.path("lean-0/small/shards/00000.tar");
    let first = ShardReader::open(&shard).unwrap().next().unwrap().unwrap();
    let json: serde_json::Value = serde_json::from_slice(first.get("json").unwrap()).unwrap();
    let uid = json["uid"].as_str().unwrap();
    assert!(world.good(&["explain", uid, "--set", set]).contains("in the corpus"));
    world.good(&["contamination", "--set", set]);
    world.good(&["report", "--set", set]);
    let page = |run: &str| std::fs::read_to_string(world.path(run)).unwrap();
    world.good(&["contamination"]);
    world.good(&["report"]);
    let images = |page: String| page.matches("data:image").count();
    let expected = images(page("runs/small/report.html"));
    assert!(expected > 8);
    assert_eq!(images(page("lean-0/small/report.html")), expected);
    assert!(
        world.good(&["plan", "--set", set]).lines().filter(|line| line.contains("reuse")).count()
            > 5
    );
}

#[test]
fn what_needs_images_that_were_removed_says_so() {
    let world = World::new();
    world.good(&["build", "--lean"]);
    let said = world.fails(&["build", "--set", "dedup.radius=2"], 2);
    assert!(said.contains("a build with --lean removed"), "{said}");
    assert!(said.contains("hint: `clip-data build --from fetch`"), "{said}");
    world.good(&["build", "--from", "fetch", "--set", "dedup.radius=2"]);
    // Options that do not go together.
    let said = world.fails(&["build", "--lean", "--until", "fetch"], 2);
    assert!(said.contains("no effect before the shards"), "{said}");
    world.fails(&["build", "--lean", "--part", "0/2"], 2);
}

#[test]
fn shards_that_alone_have_the_images_are_not_removed_to_be_made_again() {
    let world = World::new();
    world.good(&["build", "--lean"]);
    let before = content(&world.path("runs/small/shards"));
    let printed = world.fails(&["build", "--from", "shards"], 2);
    assert!(
        printed.contains("--lean removed the images") && printed.contains("\nhint: "),
        "{printed}"
    );
    let printed = world.fails(&["build", "--from", "shards", "--until", "captions"], 2);
    assert!(printed.contains("--from shards comes after --until captions"), "{printed}");
    assert!(content(&world.path("runs/small/shards")) == before);
}
