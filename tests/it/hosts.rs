//! `clip-data fetch` and `build` of many hosts: a slow one keeps only its own rows waiting.

use std::path::Path;
use std::process::Command;

use clip_image::encode_jpeg;
use clip_testkit::faults::{FaultSite, Robots};
use serde_json::Value;

use crate::world::{content, executable, smooth_image};

fn end_time(folder: &Path, shard: usize) -> f64 {
    let stats = std::fs::read(folder.join(format!("{shard:05}_stats.json"))).unwrap();
    serde_json::from_slice::<Value>(&stats).unwrap()["end_time"].as_f64().unwrap()
}

#[test]
fn shards_of_slow_hosts_keep_none_of_the_others_waiting_and_the_bytes_are_the_same() {
    const SLOW: usize = 6;
    let image = encode_jpeg(&smooth_image(1), 92).unwrap();
    let start = |n: usize| {
        let ip = format!("127.0.3.{}", n + 1).parse().unwrap();
        FaultSite::start(ip, image.clone(), Robots::Missing).unwrap()
    };
    let hosts: Vec<FaultSite> = (0..SLOW + 4).map(start).collect();
    let folder = tempfile::tempdir().unwrap();
    let path = |host: usize, row: usize| {
        let kind = if host < SLOW { "slow/300" } else { "n" };
        hosts[host].url(&format!("/{kind}/{row}"))
    };
    // A shard for each host.
    let urls: Vec<String> =
        (0..hosts.len()).flat_map(|host| (0..5).map(move |row| path(host, row))).collect();
    std::fs::write(folder.path().join("urls.txt"), urls.join("\n")).unwrap();
    let fetch = |out: &str, more: &[&str]| {
        let args = ["fetch", "urls.txt", "--output_format=webdataset", "--allow_private"];
        let args = [&args[..], &["--number_sample_per_shard=5", "--output_folder", out], more];
        let mut command = Command::new(executable("clip-data"));
        let output = command.args(args.concat()).current_dir(folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        folder.path().join(out)
    };
    let out = fetch("out", &["--per_host=1", "--host_delay_ms=0"]);
    let last_fast = (SLOW..hosts.len()).map(|shard| end_time(&out, shard)).fold(0.0, f64::max);
    let first_slow = (0..SLOW).map(|shard| end_time(&out, shard)).fold(f64::MAX, f64::min);
    assert!(last_fast < first_slow, "{last_fast} {first_slow}");
    let other = fetch("other", &["--per_host=64", "--host_delay_ms=0"]);
    for shard in 0..hosts.len() {
        for ending in ["tar", "parquet"] {
            let name = format!("{shard:05}.{ending}");
            let read = |folder: &Path| std::fs::read(folder.join(&name)).unwrap();
            assert!(read(&out) == read(&other), "{name}");
        }
    }
}

#[test]
fn parts_of_slow_hosts_keep_none_of_the_others_waiting_and_a_host_is_asked_once_for_all_parts() {
    const SLOW: usize = 6;
    const ROWS: usize = 5;
    let image = encode_jpeg(&smooth_image(1), 92).unwrap();
    let start = |n: usize| {
        let ip = format!("127.0.7.{}", n + 1).parse().unwrap();
        FaultSite::start(ip, image.clone(), Robots::Missing).unwrap()
    };
    let hosts: Vec<FaultSite> = (0..SLOW + 4).map(start).collect();
    let folder = tempfile::tempdir().unwrap();
    let line = |host: usize, row: usize| {
        let kind = if host < SLOW { "slow/300" } else { "n" };
        format!("{},caption {row} of {host}\n", hosts[host].url(&format!("/{kind}/{row}")))
    };
    // A part for each host, and two of all fast hosts.
    let own = (0..hosts.len()).flat_map(|host| (0..ROWS).map(move |row| (host, row)));
    let shared = (0..2 * ROWS).map(|at| (SLOW + at % 4, ROWS + at));
    let rows: String = own.chain(shared).map(|(host, row)| line(host, row)).collect();
    std::fs::write(folder.path().join("list.csv"), format!("url,caption\n{rows}")).unwrap();
    let build = |name: &str, fetch: &str| {
        let pipeline = format!(
            "schema = 1\nname = \"{name}\"\n[source]\nkind = \"list\"\npaths = [\"list.csv\"]\n\
             part_rows = {ROWS}\n[fetch]\nallow_private = true\nhost_delay_ms = 0\n{fetch}\n\
             [engine]\nworkers = 1\n"
        );
        std::fs::write(folder.path().join("pipeline.toml"), pipeline).unwrap();
        let mut command = Command::new(executable("clip-data"));
        let output = command.arg("build").current_dir(folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{errors}");
        folder.path().join("runs").join(name)
    };
    let run = build("first", "per_host = 1");
    let stages = std::fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().path());
    let fetch = stages.into_iter().find(|path| path.to_string_lossy().contains("-fetch-")).unwrap();
    let manifest = std::fs::read_to_string(fetch.join("manifest.jsonl")).unwrap();
    let commits = manifest.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let parts: Vec<u64> = commits.map(|commit| commit["part"].as_u64().unwrap()).collect();
    let (fast, slow) = parts.split_at(parts.len() - SLOW);
    assert_eq!(parts.len(), hosts.len() + 2);
    assert!(fast.iter().all(|part| *part >= SLOW as u64), "{fast:?} before {slow:?}");
    for host in &hosts {
        assert_eq!(host.hits("/robots.txt"), 1);
    }
    let other = build("other", "per_host = 64");
    assert!(content(&run.join("shards")) == content(&other.join("shards")));
}

#[test]
fn a_fetch_of_more_hosts_than_it_may_open_files_loses_none() {
    let image = encode_jpeg(&smooth_image(1), 92).unwrap();
    let site = FaultSite::start("0.0.0.0".parse().unwrap(), image, Robots::Missing).unwrap();
    let url = site.url("");
    let (_, port) = url.rsplit_once(':').unwrap();
    let urls: Vec<String> = (0..800)
        .map(|host| format!("http://127.0.{}.{}:{port}/n/{host}", 20 + host / 250, 1 + host % 250))
        .collect();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("urls.txt"), urls.join("\n")).unwrap();
    let args = ["fetch", "urls.txt", "--output_format=dummy", "--allow_private"];
    let mut command = Command::new("bash");
    command.args(["-c", "ulimit -n 450 && exec \"$@\"", "_"]).arg(executable("clip-data"));
    let output = command.args(args).current_dir(folder.path()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("success: 1.000"), "{printed}\n{errors}");
}
