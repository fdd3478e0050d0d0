//! `clip-data fetch` and `retry` of data sets in object storage.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use clip_store::Store;

use crate::fetch::Place;
use crate::store::bucket;

const ROWS: usize = 40;

/// `clip-data` on a machine of its own: what it keeps of a data set elsewhere is its.
fn command(place: &Place, machine: &str, args: &[&str]) -> Command {
    let mut command = place.command(args);
    command.env("CLIP_DATA_CACHE", place.path(machine));
    command.args(["--allow_private=True", "--per_host", "1", "--host_delay_ms"]);
    command
}

fn good(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn fetch<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let args = ["fetch", "urls.txt", "--number_sample_per_shard", "5", "--out", out];
    [&args, more].concat()
}

/// Objects and their bytes, but for those of statistics and settings, which have times and where
/// they are.
fn content(store: &Store) -> Vec<(String, Vec<u8>)> {
    let names = store.list().unwrap().into_iter().map(|(name, _)| name);
    let names: Vec<String> = names.filter(|name| name != ".lock").collect();
    let bytes = store.get_all(&names).unwrap();
    let timed = |name: &str| name.ends_with("_stats.json") || name.ends_with(".toml");
    let bare = |(name, bytes): (String, Vec<u8>)| {
        let bytes = if timed(&name) { Vec::new() } else { bytes };
        (name, bytes)
    };
    names.into_iter().zip(bytes).map(bare).collect()
}

fn folder(path: &Path) -> Store {
    Store::open(&format!("file://{}", path.display())).unwrap()
}

/// What a machine still has of data sets elsewhere.
fn left(place: &Place, machine: &str) -> Vec<String> {
    let found = folder(&place.path(machine)).list().unwrap();
    let own = |name: &str| name.ends_with(".lock") || name.ends_with(".toml");
    found.into_iter().map(|(name, _)| name).filter(|name| !own(name)).collect()
}

fn killed_and_resumed(address: &str) {
    let place = Place::new();
    let urls: Vec<String> = (0..ROWS).map(|row| place.site.url(&format!("/n/{row}"))).collect();
    place.write("urls.txt", &urls.join("\n"));
    for format in ["webdataset", "files", "parquet"] {
        let address = format!("{address}/{format}");
        let store = Store::open(&address).unwrap();
        let run = |machine: &str, out: &str, delay: &str| {
            let args = fetch(out, &["--output_format", format]);
            let mut command = command(&place, machine, &args);
            command.arg(delay);
            command
        };
        let whole = format!("whole-{format}");
        good(run("first", &whole, "0"));
        let mut killed = run("first", &address, "30");
        killed.stdout(Stdio::null()).stderr(Stdio::null());
        let mut killed = killed.spawn().unwrap();
        let there = || -> Vec<String> {
            let names = store.names().unwrap().into_iter();
            names.filter(|name| name.ends_with("_stats.json")).collect()
        };
        while there().len() < 2 {
            std::thread::sleep(Duration::from_millis(5));
            assert!(killed.try_wait().unwrap().is_none(), "it ended before it was killed");
        }
        killed.kill().unwrap();
        killed.wait().unwrap();
        let finished = there();
        let asked = || -> Vec<usize> {
            let shards = finished.iter().map(|name| name[..5].parse::<usize>().unwrap());
            let rows = shards.flat_map(|shard| shard * 5..shard * 5 + 5);
            rows.map(|row| place.site.hits(&format!("/n/{row}"))).collect()
        };
        let before = asked();
        let mut dry = run("first", &address, "0");
        dry.arg("--dry-run");
        let plan = good(dry);
        assert!(plan.contains("40 rows in 8 shards"), "{plan}");
        assert!(plan.contains(" URLs of 1 hosts\n") && !plan.contains("to fetch             0"));
        // Another machine resumes with what is in the storage.
        good(run("second", &address, "0"));
        assert_eq!(asked(), before, "{format}: a shard that is there was asked again");
        // The one that was killed then has nothing to do.
        good(run("first", &address, "0"));
        assert!(content(&store) == content(&folder(&place.path(&whole))), "{format}");
        assert_eq!(left(&place, "second"), [""; 0], "{format}");
        assert_eq!(left(&place, "first"), [""; 0], "{format}");
        let mut other = run("second", &address, "0");
        let refused = other.args(["--image_size", "64"]).output().unwrap();
        let errors = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{errors}");
        assert!(errors.contains("image_size 256 -> 64") && errors.contains(&address), "{errors}");
        store.clear().unwrap();
    }
}

fn parts_and_retries(address: &str) {
    let place = Place::new();
    for format in ["webdataset", "files", "parquet"] {
        let urls = (0..15).map(|row| match row % 5 {
            3 => place.site.url(&format!("/busy/1/{format}-{row}")),
            4 => place.site.url("/status/404"),
            _ => place.site.url(&format!("/n/{row}")),
        });
        place.write("urls.txt", &urls.collect::<Vec<_>>().join("\n"));
        let address = format!("{address}/{format}");
        let store = Store::open(&address).unwrap();
        for part in ["0/2", "1/2"] {
            let args = fetch(&address, &["--output_format", format, "--part", part]);
            let mut command = command(&place, "one", &args);
            command.arg("0");
            good(command);
        }
        let again = |wanted: &str| {
            let args = ["retry", address.as_str(), "--where", wanted];
            let mut command = command(&place, "two", &args);
            command.arg("0");
            good(command)
        };
        let stats = |shard: usize| -> serde_json::Value {
            let name = format!("0000{shard}_stats.json");
            serde_json::from_slice(&store.get(&name).unwrap().unwrap().bytes).unwrap()
        };
        let successes = || -> u64 { (0..3).filter_map(|s| stats(s)["successes"].as_u64()).sum() };
        assert_eq!(successes(), 9);
        let printed = again("error_kind = 'http_429'");
        assert!(printed.contains("asked again: 3, there now: 3"), "{format}: {printed}");
        assert_eq!(successes(), 12);
        let printed = again("error_kind = 'http_4xx'");
        assert!(printed.contains("asked again: 3, there now: 0"), "{format}: {printed}");
        assert_eq!(left(&place, "one"), [""; 0]);
        assert_eq!(left(&place, "two"), [""; 0]);
        let samples = store.list().unwrap().into_iter().filter(|(name, _)| name.ends_with(".jpg"));
        assert_eq!(samples.count(), if format == "files" { 12 } else { 0 });
        store.clear().unwrap();
    }
}

#[test]
fn a_folder_of_objects_resumes_after_a_kill_and_is_the_same() {
    let objects = tempfile::tempdir().unwrap();
    killed_and_resumed(&format!("file://{}", objects.path().display()));
}

#[test]
fn a_bucket_resumes_after_a_kill_and_is_the_same() {
    if let Some(store) = bucket("fetch") {
        killed_and_resumed(&store);
    }
}

#[test]
fn jobs_and_retries_work_on_a_folder_of_objects() {
    let objects = tempfile::tempdir().unwrap();
    parts_and_retries(&format!("file://{}", objects.path().display()));
}

#[test]
fn jobs_and_retries_work_on_a_bucket() {
    if let Some(store) = bucket("retry") {
        parts_and_retries(&store);
    }
}

#[test]
fn what_is_no_object_storage_is_refused() {
    let place = Place::new();
    place.write("urls.txt", "http://e.com/1.jpg\n");
    for out in ["https://e.com/set", "s3://"] {
        let mut command = command(&place, "one", &fetch(out, &[]));
        let output = command.arg("0").output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(out) && errors.contains("hint: "), "{errors}");
    }
}
