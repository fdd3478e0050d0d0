//! Killed at any moment, a build continues and its shards are the same to the byte.

use std::process::Stdio;
use std::time::{Duration, Instant, SystemTime};

use crate::world::{World, content};

#[test]
fn killed_at_ten_random_moments_the_shards_are_the_same() {
    let world = World::new();
    let started = Instant::now();
    world.good(&["build"]);
    let whole = started.elapsed();
    let expected = content(&world.path("runs/small/shards"));
    assert!(expected.len() >= 8);
    for moment in 0..10 {
        let nanos =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        let share = (f64::from(moment) + f64::from(nanos % 1000) / 1000.0) / 10.0;
        let after = Duration::from_secs_f64(whole.as_secs_f64() * share);
        let workdir = format!("workdir=killed-{moment}");
        let mut build = world.command(&["build", "--set", &workdir]);
        let mut child = build.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
        world.good(&["build", "--set", &workdir]);
        let found = content(&world.path(&format!("killed-{moment}/small/shards")));
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|file| file.0.clone()).collect()
        };
        assert_eq!(names(&found), names(&expected), "killed after {after:?}");
        for (found, expected) in found.iter().zip(&expected) {
            assert!(found == expected, "killed after {after:?}: {} differs", found.0);
        }
    }
}

#[test]
fn array_jobs_and_any_number_of_workers_write_the_same_bytes() {
    let world = World::new();
    world.good(&["build", "--set", "engine.workers=1"]);
    let expected = content(&world.path("runs/small/shards"));
    let many = ["build", "--set", "engine.workers=7", "--set", "workdir=many"];
    world.good(&many);
    assert!(content(&world.path("many/small/shards")) == expected, "seven workers");
    // Jobs run until what they wait for is another's; whoever comes last finishes.
    for _ in 0..30 {
        let job = |part| ["build", "--set", "workdir=jobs", "--part", part];
        let codes = ["0/3", "1/3", "2/3"].map(|part| world.run(&job(part)).status.code());
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 3))), "{codes:?}");
        if codes == [Some(0); 3] {
            break;
        }
    }
    assert!(content(&world.path("jobs/small/shards")) == expected, "three jobs");
}

#[test]
fn two_builds_of_one_run_do_not_mix() {
    let world = World::new();
    let mut first =
        world.command(&["build"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while !world.path("runs/small").is_dir() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let mut refused = 0;
    while first.try_wait().unwrap().is_none() {
        let output = world.run(&["build"]);
        let printed = String::from_utf8_lossy(&output.stderr);
        refused += usize::from(
            output.status.code() == Some(2)
                && printed.contains("another clip-data is at work here"),
        );
    }
    assert!(refused > 0, "nobody was refused");
    world.good(&["build"]);
}

#[test]
fn a_first_build_that_was_killed_can_be_looked_at() {
    let world = World::new();
    let mut child =
        world.command(&["build"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let run = world.path("runs/small");
    let begun = |stage: &str| {
        let entries = std::fs::read_dir(&run).into_iter().flatten().flatten();
        let mut names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.any(|name| name.contains(stage))
    };
    while !begun("-captions-") && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let summary = std::fs::read(run.join("run.json")).unwrap();
    let summary: serde_json::Value = serde_json::from_slice(&summary).unwrap();
    assert_eq!(summary["finished"], false, "{summary}");
    assert!(world.good(&["inspect", "runs/small"]).contains("pairs"));
    assert!(world.good(&["explain", "0"]).contains("collect"));
    world.good(&["report"]);
    let output = world.run(&["verify", "runs/small"]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{shown}");
    world.good(&["build"]);
    let summary = std::fs::read_to_string(run.join("run.json")).unwrap();
    assert!(!summary.contains("finished"), "{summary}");
    world.good(&["verify", "runs/small"]);
}
