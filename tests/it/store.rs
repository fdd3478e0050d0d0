//! Runs that are stored in object storage: the same bytes, whoever of many machines makes them.

use std::process::{Child, Stdio};

use crate::cluster::{Cluster, build, parts, reaches};
use crate::world::{World, content};

/// A folder of the bucket that `scripts/test` serves, for one test.
pub fn bucket(test: &str) -> Option<String> {
    let Ok(address) = std::env::var("CLIP_DATA_TEST_STORE") else {
        assert!(
            std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_none(),
            "no S3 server: run under scripts/s3"
        );
        eprintln!("skipped: CLIP_DATA_TEST_STORE names no bucket");
        return None;
    };
    Some(format!("{address}/{test}-{}", std::process::id()))
}

/// The settings of a machine that has nothing but the store in common with the others.
fn machine(store: &str, workdir: &str) -> [String; 4] {
    ["--set".into(), format!("store={store}"), "--set".into(), format!("workdir={workdir}")]
}

fn with<'a>(command: &[&'a str], settings: &'a [String]) -> Vec<&'a str> {
    command.iter().copied().chain(settings.iter().map(String::as_str)).collect()
}

/// Three jobs on three machines, another that only reads, and a last one that finds nothing to do.
fn shared_by_machines(store: &str) {
    let world = World::new();
    world.good(&["build"]);
    let (shards, hashes) = (content(&world.path("runs/small/shards")), parts(&world, "runs"));
    let jobs = ["0/3", "1/3", "2/3"];
    for _ in 0..30 {
        let start = |job: &str| -> Child {
            let settings = machine(store, &format!("job-{}", &job[..1]));
            let mut command = world.command(&with(&["build", "--part", job], &settings));
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        };
        let mut running = jobs.map(start);
        let codes = running.each_mut().map(|job| job.wait().unwrap().code());
        assert!(codes.iter().all(|code| matches!(code, Some(0 | 3))), "{codes:?}");
        if codes == [Some(0); 3] {
            break;
        }
    }
    let pulled = machine(store, "pulled");
    let printed = world.good(&with(&["pull"], &pulled));
    assert!(printed.contains("shards: "), "{printed}");
    assert!(content(&world.path("pulled/small/shards")) == shards, "three jobs");
    assert_eq!(parts(&world, "pulled"), hashes);
    let fresh = machine(store, "fresh");
    let plan = world.good(&with(&["plan"], &fresh));
    assert_eq!(plan.matches(" reuse ").count(), plan.lines().count() - 2, "{plan}");
    world.good(&with(&["build"], &fresh));
    assert!(!world.path("fresh/small/shards").exists(), "it did what was there already");
    world.good(&with(&["verify", "pulled/small"], &[]));
}

#[test]
fn machines_that_share_a_folder_of_objects_make_what_one_makes() {
    let objects = tempfile::tempdir().unwrap();
    shared_by_machines(&format!("file://{}/runs", objects.path().display()));
}

#[test]
fn machines_that_share_a_bucket_make_what_one_makes() {
    if let Some(store) = bucket("jobs") {
        shared_by_machines(&store);
    }
}

#[test]
fn a_killed_machine_is_followed_by_another() {
    let Some(store) = bucket("killed") else { return };
    let world = World::new();
    world.good(&["build"]);
    let first = machine(&store, "first");
    let mut running = world.command(&with(&["build"], &first));
    let mut running = running.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    reaches(&world, "first", 30);
    running.kill().unwrap();
    running.wait().unwrap();
    let second = machine(&store, "second");
    world.good(&with(&["build"], &second));
    world.good(&with(&["pull"], &second));
    let shards = content(&world.path("runs/small/shards"));
    assert!(content(&world.path("second/small/shards")) == shards);
    // Begun anew by one, it is not what the other remembers.
    world.good(&with(&["build", "--from", "balance"], &first));
    world.good(&with(&["build"], &second));
    assert!(content(&world.path("second/small/shards")) == shards, "begun anew");
    // A run that is here alone is left alone.
    let printed = world.fails(&with(&["build"], &machine(&store, "runs")), 2);
    assert!(printed.contains("runs/small") && printed.contains("hint: "), "{printed}");
}

#[test]
fn workers_of_a_cluster_need_only_the_bucket() {
    let Some(store) = bucket("cluster") else { return };
    let world = World::new();
    world.good(&["build"]);
    let mut cluster = Cluster::new(&world, 0);
    (0..2).for_each(|at| cluster.add_with(&world, &["--workdir", &format!("worker-{at}")]));
    let mut settings = cluster.settings("client").to_vec();
    settings.push(format!("store={store}"));
    world.good(&build(&settings));
    let all = machine(&store, "client");
    world.good(&with(&["pull"], &all));
    let shards = content(&world.path("runs/small/shards"));
    assert!(content(&world.path("client/small/shards")) == shards);
    let worked = |at: usize| world.path(&format!("worker-{at}/small")).is_dir();
    assert!(worked(0) && worked(1), "both did parts, in folders of their own");
}

#[test]
fn shards_in_a_bucket_are_read_like_files_and_secrets_stay_secret() {
    let Some(store) = bucket("shards") else { return };
    let world = World::new();
    let settings = machine(&store, "runs");
    let secret = std::env::var("AWS_SECRET_ACCESS_KEY").unwrap();
    let output = world.command(&with(&["build"], &settings)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let stage = std::fs::read_dir(world.path("runs/small")).unwrap();
    let stage = stage.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    let stage = stage.into_iter().find(|name| name.contains("-shards-")).unwrap();
    let here = world.good(&["verify", "runs/small/shards/{00000..00001}.tar"]);
    let there = format!("{store}/small/{stage}/shards");
    let named = world.good(&["verify", &format!("{there}/{{00000..00001}}.tar")]);
    let matched = world.good(&["verify", &format!("{there}/0000[01].tar")]);
    let counts = |printed: &str| printed.lines().last().unwrap_or_default().to_owned();
    assert_eq!((counts(&named), counts(&matched)), (counts(&here), counts(&here)));
    let absent = world.fails(&["verify", &format!("{there}/99999.tar")], 2);
    assert!(absent.contains("99999.tar"), "{absent}");
    let printed = [output.stdout, output.stderr].concat();
    assert!(!String::from_utf8_lossy(&printed).contains(&secret));
    for (name, bytes) in every_file(&world.path("runs")) {
        assert!(!String::from_utf8_lossy(&bytes).contains(&secret), "{name}");
    }
    let none = world.fails(&["build", "--set", "store=ftp://host/runs"], 2);
    assert!(none.contains("ftp://host/runs") && none.contains("hint: "), "{none}");
}

fn every_file(folder: &std::path::Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let found = entries.flat_map(|path| match path.is_dir() {
        true if path.is_symlink() => vec![],
        true => every_file(&path),
        false => vec![(path.display().to_string(), std::fs::read(&path).unwrap())],
    });
    found.collect()
}
