//! Jobs of an array, at work at the same time: the bytes of one process, and no host asked by two.

use std::path::{Path, PathBuf};

use clip_image::encode_jpeg;
use clip_testkit::faults::{FaultSite, Robots};

use crate::world::{World, smooth_image};

/// Jobs, and rows of a part or shard: three of each job.
const JOBS: usize = 3;
const ROWS: usize = 6;

fn site() -> FaultSite {
    let image = encode_jpeg(&smooth_image(1), 90).unwrap();
    FaultSite::start("127.0.0.1".parse().unwrap(), image, Robots::Missing).unwrap()
}

/// A list of rows of one host that takes its time.
fn list(world: &World, site: &FaultSite) {
    let rows = (0..3 * JOBS * ROWS).map(|row| {
        format!("{},a quiet image number {row}\n", site.url(&format!("/slow/30/{row}")))
    });
    let list: String = std::iter::once("url,caption\n".to_owned()).chain(rows).collect();
    std::fs::write(world.path("pairs.csv"), list).unwrap();
}

/// Runs a command once for each job, all at the same time, and all again while parts are missing.
fn all_jobs(world: &World, args: &[&str]) {
    let run = |job: usize| {
        let part = format!("{job}/{JOBS}");
        let args: Vec<&str> = args.iter().copied().chain(["--part", &part]).collect();
        let output = world.run(&args);
        match output.status.code() {
            Some(0) => true,
            // It waits for another's parts.
            Some(3) => false,
            other => panic!("{other:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    };
    for _ in 0..20 {
        let jobs: Vec<_> = std::thread::scope(|scope| {
            let jobs: Vec<_> = (0..JOBS).map(|job| scope.spawn(move || run(job))).collect();
            jobs.into_iter().map(|job| job.join().unwrap()).collect()
        });
        if jobs.iter().all(|done| *done) {
            return;
        }
    }
    panic!("the jobs never ended");
}

/// Tars and tables of a folder, which have no times of day.
fn shards(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_shard = |path: &PathBuf| path.extension().is_some_and(|e| e == "tar" || e == "parquet");
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    let shards = entries.filter(is_shard);
    let mut shards: Vec<_> =
        shards.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect();
    shards.sort();
    shards
}

#[test]
fn jobs_of_a_fetch_make_the_bytes_of_one_and_share_the_host() {
    let (world, site) = (World::new(), site());
    list(&world, &site);
    let rows = ROWS.to_string();
    let fetch = |out: &'static str| {
        let args = ["fetch", "pairs.csv", "--caption_col", "caption", "--out", out];
        let shards = ["--number_sample_per_shard", &rows, "--output_format", "webdataset"];
        let limits = ["--per_host", "2", "--host_delay_ms", "0", "--allow_private", "True"];
        [&args[..], &shards, &limits].concat()
    };
    world.good(&fetch("one"));
    all_jobs(&world, &fetch("jobs"));
    assert_eq!(site.most_at_once(), 2, "per_host is two, over all jobs");
    let one = shards(&world.path("one"));
    assert_eq!(one.len(), 2 * 3 * JOBS, "a tar and a table each");
    assert!(one == shards(&world.path("jobs")));
}

#[test]
fn jobs_of_a_build_make_the_bytes_of_one_and_share_the_host() {
    let (world, site) = (World::new(), site());
    list(&world, &site);
    let pipeline = format!(
        "schema = 1\nname = \"small\"\n[source]\nkind = \"list\"\npaths = [\"pairs.csv\"]\n\
         part_rows = {ROWS}\n[fetch]\nallow_private = true\nhost_delay_ms = 0\nper_host = 2\n"
    );
    std::fs::write(world.path("pipeline.toml"), pipeline).unwrap();
    world.good(&["build", "--set", "workdir=one"]);
    all_jobs(&world, &["build", "--set", "workdir=jobs"]);
    assert_eq!(site.most_at_once(), 2, "per_host is two, over all jobs");
    let [one, jobs] =
        ["one", "jobs"].map(|run| shards(&world.path(&format!("{run}/small/shards"))));
    assert!(!one.is_empty() && one == jobs);
}
