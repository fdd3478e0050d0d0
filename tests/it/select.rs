//! `[select]` in a build: the same pairs whoever decides, and why each other one was dropped.

use crate::cluster::{Cluster, build, parts};
use crate::world::World;

const SELECT: [&str; 4] =
    ["--set", r#"select.where=["caption NOT LIKE '%image 3 %'"]"#, "--set", "select.top.width=0.3"];

#[test]
fn a_build_keeps_exactly_the_fraction_and_says_why_others_were_dropped() {
    let world = World::new();
    let printed = world.good(&[&["build"][..], &SELECT].concat());
    let numbers = |stage: &str| -> Vec<usize> {
        let line = printed.lines().find(|line| line.starts_with(stage)).unwrap();
        line.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect()
    };
    let (before, after) = (numbers("check ")[1], numbers("select ")[1]);
    let account = world.path("runs/small");
    let folder = std::fs::read_dir(account).unwrap().map(|entry| entry.unwrap().path());
    let folder =
        folder.into_iter().find(|path| path.to_string_lossy().contains("-select-")).unwrap();
    let account = std::fs::read_to_string(folder.join("scratch/select.json")).unwrap();
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    let met = account["gates"][1]["pairs"].as_u64().unwrap() as usize;
    assert!(met < before, "{account}");
    assert_eq!(after, met * 3 / 10);
    assert_eq!(numbers("shards ")[0], after);
    assert!(printed.contains(" condition\n") && printed.contains(" not_in_top\n"), "{printed}");
    world.good(&[&["report", "--out", "report.html"][..], &SELECT].concat());
    let html = std::fs::read_to_string(world.path("report.html")).unwrap();
    assert!(html.contains("Selection") && html.contains("top 0.3 by width"));
    assert!(html.contains("Dropped, nearest to the cut") && html.contains("class=\"cut\""));
    // What cannot be asked is a fault of the configuration, and names what can.
    let printed = world.fails(&["build", "--set", r#"select.where=["widht >= 3"]"#], 2);
    assert!(printed.contains("no column \"widht\"\nhint: there are row, uid"), "{printed}");
    // Before anything is done, and by `plan`, too.
    let fresh = World::new();
    for set in [r#"select.where=["width > 2 and widht >= 3"]"#, "select.top.widht=0.3"] {
        for command in ["plan", "build"] {
            let printed = fresh.fails(&[command, "--set", set], 2);
            let named = "no column \"widht\"\nhint: there are row, uid, url";
            assert!(printed.contains(named), "{command} {set}: {printed}");
            assert!(!fresh.path("runs").exists(), "{command} {set} did something");
        }
    }
    let printed = world.fails(&["plan", "--set", r#"select.where=["width >="]"#], 2);
    assert!(printed.contains("[select]: condition \"width >=\""), "{printed}");
}

#[test]
fn a_cluster_and_array_jobs_decide_the_same() {
    let world = World::new();
    world.good(&[&["build"][..], &SELECT, &["--set", "workdir=\"alone\""]].concat());
    let cluster = Cluster::new(&world, 2);
    world.good(&[&build(&cluster.settings("together"))[..], &SELECT].concat());
    assert_eq!(parts(&world, "alone"), parts(&world, "together"));
    // Each of two jobs, in turn, gets as far as the other let it.
    let set = ["--set", "workdir=jobs"];
    let job = |job| world.run(&[&["build", "--part", job][..], &SELECT, &set].concat());
    let done = (0..40).any(|turn| job(["0/2", "1/2"][turn % 2]).status.success());
    assert!(done, "the jobs do not end");
    assert_eq!(parts(&world, "alone"), parts(&world, "jobs"));
}
