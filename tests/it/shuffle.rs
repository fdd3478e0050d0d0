//! Shards in another order: the same on any number of threads, after a kill, and in little memory.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use clip_corpus::{Sample, ShardReader, ShardWriter};

use crate::world::{World, content};

/// Two hundred samples of half a megabyte each in ten shards.
fn shards(folder: &Path) {
    for shard in 0..10u64 {
        let mut writer = ShardWriter::create(&folder.join(format!("in/{shard:05}.tar"))).unwrap();
        for at in 0..20u64 {
            let number = 20 * shard + at;
            let mut image = vec![0; 500_000];
            blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut image);
            let uid = clip_corpus::uid("http://e.com", &number.to_string());
            let json = serde_json::json!({"uid": uid}).to_string().into_bytes();
            let fields = vec![("jpg".to_owned(), image), ("json".to_owned(), json)];
            writer.write(&Sample { key: format!("{number:06}"), fields }).unwrap();
        }
        writer.finish().unwrap();
    }
}

/// The most memory that a process had, in bytes; nothing where it is gone.
fn peak(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(1024 * line.split_whitespace().nth(1)?.parse::<u64>().ok()?)
}

#[test]
fn a_shuffled_corpus_is_the_same_on_any_threads_and_never_in_memory() {
    let world = World::new();
    shards(&world.path(""));
    let reshard = |out: &str, threads: &str| {
        let args = ["reshard", "-i", "in", "-o", out, "--shuffle", "7", "--shard-size", "30"];
        let mut command = world.command(&args);
        command.env("RAYON_NUM_THREADS", threads).stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    let mut child = reshard("one", "1").spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        most = most.max(peak(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(2));
    }
    assert!(child.wait().unwrap().success());
    assert!((1..80 << 20).contains(&most), "{most} bytes of memory for 100 MB of samples");
    let expected = content(&world.path("one"));

    // Killed while samples wait, or while shards are written, and begun again.
    for wait in [60, 200] {
        let mut child = reshard("two", "3").arg("--overwrite").spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(reshard("two", "3").arg("--overwrite").status().unwrap().success());
    let found = content(&world.path("two"));
    let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
        files.iter().map(|file| file.0.clone()).collect()
    };
    assert_eq!(names(&found), names(&expected));
    assert!(found == expected);

    // The same samples in another order.
    let mut keys = Vec::new();
    for (name, _) in expected.iter().filter(|(name, _)| name.ends_with(".tar")) {
        let shard = ShardReader::open(&world.path("one").join(name)).unwrap();
        keys.extend(shard.map(|sample| sample.unwrap().key));
    }
    assert!(!keys.is_sorted());
    keys.sort();
    assert_eq!(keys, (0..200).map(|number| format!("{number:06}")).collect::<Vec<_>>());
    world.good(&["verify", "one"]);
}
