//! Shards that img2dataset wrote: their tables have no perceptual hashes, their samples no uids.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use clip_corpus::{Sample, ShardWriter, write_parquet, write_subset};
use clip_image::{Filter, encode_jpeg, resize};

use crate::fetch::{Place, names};
use crate::world::{World, smooth_image};

/// Keys in the order in which img2dataset's rows may have ended.
const KEYS: [&str; 3] = ["000000001", "000000000", "000000002"];

/// A row of an img2dataset table: key, URL, and why its image is not there.
pub type Row<'a> = (&'a str, String, Option<&'a str>);

/// A shard as img2dataset writes it: samples and rows in the order in which they ended, no kinds
/// of errors, no hash of the tar.
pub fn img2dataset_shard(folder: &Path, name: &str, rows: &[Row]) {
    std::fs::create_dir_all(folder).unwrap();
    let path = folder.join(format!("{name}.tar"));
    let mut writer = ShardWriter::create(&path).unwrap();
    let there = || rows.iter().filter(|(_, _, why)| why.is_none());
    for (key, url, _) in there() {
        let jpeg = encode_jpeg(&smooth_image(key.parse().unwrap()), 92).unwrap();
        let json = serde_json::json!({"url": url, "key": key, "status": "success"});
        let fields = vec![("jpg".into(), jpeg), ("json".into(), json.to_string().into_bytes())];
        writer.write(&Sample { key: (*key).into(), fields }).unwrap();
    }
    writer.finish().unwrap();
    let texts = |get: fn(&Row) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(get).collect::<StringArray>())
    };
    let status =
        |row: &Row| Some(if row.2.is_none() { "success" } else { "failed_to_download" }.to_owned());
    let columns = [
        ("url", texts(|row| Some(row.1.clone())), true),
        ("key", texts(|row| Some(row.0.to_owned())), true),
        ("status", texts(status), true),
        ("error_message", texts(|row| row.2.map(str::to_owned)), true),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns).unwrap();
    write_parquet(&path.with_extension("parquet"), batch.schema(), &[batch]).unwrap();
    let stats = serde_json::json!({"count": rows.len(), "successes": there().count()});
    std::fs::write(folder.join(format!("{name}_stats.json")), stats.to_string()).unwrap();
}

#[test]
fn images_are_searched_and_missing_uids_are_named() {
    let world = World::new();
    let folder = world.path("foreign");
    std::fs::create_dir_all(&folder).unwrap();
    let mut writer = ShardWriter::create(&folder.join("00000.tar")).unwrap();
    for number in 0..5 {
        let key = format!("{number:09}");
        let json = format!("{{\"key\": {key:?}, \"url\": \"https://e.org/{number}.jpg\"}}");
        let jpeg = encode_jpeg(&smooth_image(1000 + number), 95).unwrap();
        let fields = vec![("jpg".into(), jpeg), ("json".into(), json.into_bytes())];
        writer.write(&Sample { key, fields }).unwrap();
    }
    let fields = vec![("jpg".into(), b"no image".to_vec())];
    writer.write(&Sample { key: "000000009".into(), fields }).unwrap();
    writer.finish().unwrap();
    let image = encode_jpeg(&smooth_image(1003), 95).unwrap();
    std::fs::write(world.path("mine.jpg"), image).unwrap();
    let output = world.run(&["inspect", "foreign", "--has", "mine.jpg"]);
    let [found, errors] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(errors.contains("foreign/00000.tar: 1 samples without a readable image"), "{errors}");
    assert!(found.contains("mine.jpg  0 bits  000000003  https://e.org/3.jpg"), "{found}");

    write_subset(&world.path("s.npy"), &[7]).unwrap();
    let error = world.fails(&["reshard", "-i", "foreign", "-o", "out", "-s", "s.npy"], 2);
    assert!(error.contains("foreign: no sample has a uid in its json"), "{error}");
    assert!(error.contains("hint: img2dataset stores the list's uids"), "{error}");
    // Nothing was written: the folder can be used again.
    world.good(&["reshard", "-i", "foreign", "-o", "out"]);
}

#[test]
fn a_folder_of_shards_is_hashed_explained_and_cut_without_copies() {
    let world = World::new();
    world.good(&["build", "--set", "check.action=flag"]);
    world.good(&["reshard", "-i", "runs/small/shards", "-o", "shards", "--shard-size", "30"]);
    let hashed = world.good(&["hash", "shards"]);
    assert_eq!(world.good(&["hash", "shards/*.tar"]), hashed);
    let read = world.good(&["reshard", "-i", "shards", "-o", "again"]);
    let samples = read.split(' ').next().unwrap();
    assert_eq!(hashed.lines().count().to_string(), samples, "{read}");
    std::fs::create_dir(world.path("empty")).unwrap();
    let printed = world.fails(&["hash", "empty"], 2);
    assert!(printed.contains("empty: no image is in it\nhint: "), "{printed}");

    // The tables beside shards say what is known of a pair, without a build.
    let printed = world.good(&["explain", "file:00/001.jpg", "--run", "shards"]);
    assert!(printed.contains("shards/00000000.parquet row "), "{printed}");
    assert!(printed.contains("status           success"), "{printed}");
    let json = world.good(&["explain", "file:00/001.jpg", "--run", "shards", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["values"]["url"], "file:00/001.jpg");
    let printed = world.fails(&["explain", "nowhere", "--run", "shards"], 2);
    assert!(printed.contains("no pair \"nowhere\" in its tables"), "{printed}");

    // A report's folder, given twice, leaves out the same.
    let compare = ["contamination", "--corpus", "shards", "--eval", "toys=toys", "--out", "audit"];
    world.good(&compare);
    let cut = ["reshard", "-i", "shards", "--without", "audit", "--without", "audit/pairs.parquet"];
    let printed = world.good(&[&cut[..], &["-o", "clean"]].concat());
    assert!(printed.contains("8 copies of evaluation items left out"), "{printed}");

    // What is no shard, and no subset, is a fault of the command, not of what is stored.
    let table = "shards/00000000.parquet";
    let printed = world.fails(&["reshard", "-i", table, "-o", "new"], 2);
    assert!(printed.contains("a Parquet file, not a shard"), "{printed}");
    let printed = world.fails(&["reshard", "-i", "shards", "-s", table, "-o", "new"], 2);
    assert!(printed.contains("not a .npy file\nhint: a subset file"), "{printed}");
    let printed = world.good(&["verify", "--decode", "shards"]);
    assert!(printed.contains("images decoded, 0 findings"), "{printed}");
    for (archive, kind) in [("x.warc.wat.gz", "wat"), ("x.warc.gz", "warc")] {
        std::fs::write(world.path(archive), [0x1f, 0x8b, 8, 0, 0]).unwrap();
        let printed = world.fails(&["inspect", archive], 2);
        let hint = format!("hint: `clip-data init --from {kind}`");
        assert!(printed.contains(&hint), "{printed}");
    }
    std::fs::write(world.path("x.txt.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    std::fs::write(world.path("latin.txt"), [b'a', 0xe9, b'\n']).unwrap();
    for (captions, kind) in [
        ("x.warc.wat.gz", "an archive of Common Crawl, not a list\nhint: "),
        ("x.txt.gz", "a file in gzip, not text\nhint: unpack it"),
        ("latin.txt", "not text in UTF-8\nhint: "),
    ] {
        let stats = ["queries", "stats", "queries.txt", "--captions", captions];
        let printed = world.fails(&stats, 2);
        assert!(printed.contains(&format!("{captions}: {kind}")), "{printed}");
    }
    std::fs::write(world.path("cifar10.tar.gz"), [0x1f, 0x8b, 8, 0, 0]).unwrap();
    let set = ["--eval", "cifar10=cifar10.tar.gz"];
    let printed = world.fails(&[&["contamination", "--corpus", "shards"], &set[..]].concat(), 2);
    assert!(printed.contains("hint: unpack it, and name the folder"), "{printed}");
    let printed = world.fails(&["verify", "--decode", table], 2);
    assert!(printed.contains("--decode is for the images of shards"), "{printed}");
}

#[test]
fn images_without_hashes_are_counted_as_copies_as_hash_and_a_build_do() {
    let world = World::new();
    std::fs::create_dir_all(world.path("large")).unwrap();
    let mut writer = ShardWriter::create(&world.path("large/00000.tar")).unwrap();
    for number in 0..24 {
        // Large enough to be decoded at a fraction; the second is a copy by another quality.
        let image = resize(&smooth_image(number / 2), 1024, 1024, Filter::Bicubic);
        let jpeg = encode_jpeg(&image, if number % 2 == 0 { 90 } else { 12 }).unwrap();
        let fields = vec![("jpg".to_owned(), jpeg)];
        writer.write(&Sample { key: format!("{number:03}"), fields }).unwrap();
    }
    writer.finish().unwrap();
    let hashed = world.good(&["hash", "large"]);
    let hashes: Vec<&str> = hashed.lines().filter_map(|l| l.split('\t').next()).collect();
    let distinct: std::collections::HashSet<&str> = hashes.iter().copied().collect();
    let inspect = ["inspect", "large", "--hash", "--radius", "0"];
    let json = world.good(&[&inspect[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["duplicates"]["near"], hashes.len() - distinct.len(), "{hashed}");
    // Each has one copy.
    let printed = world.good(&inspect);
    assert!(printed.contains("at most 1 of one image"), "{printed}");
}

#[test]
fn a_tar_or_table_of_an_img2dataset_set_that_is_gone_is_found() {
    let world = World::new();
    let set = world.path("set");
    for name in ["00000", "00001", "00002"] {
        let rows: Vec<Row> =
            KEYS.iter().map(|key| (*key, format!("https://e.org/{name}/{key}"), None)).collect();
        img2dataset_shard(&set, name, &rows);
    }
    let run = |args: &[&str]| {
        let output = world.run(args);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, printed) = run(&["verify", "set"]);
    assert_eq!(code, Some(0), "{printed}");
    std::fs::remove_file(set.join("00001.tar")).unwrap();
    std::fs::remove_file(set.join("00002.parquet")).unwrap();
    let tar = "set/00001.tar: it is gone, and its statistics, of 3 samples, are not";
    let table = "set/00002.parquet: it is gone, and its statistics are not";
    for command in ["verify", "inspect"] {
        let (code, printed) = run(&[command, "set"]);
        assert_eq!(code, Some(4), "{printed}");
        assert!(printed.contains(tar) && printed.contains(table), "{printed}");
    }
    // What would be made of the others alone is refused.
    for command in [
        &["contamination", "--corpus", "set", "--eval", "toys=toys"][..],
        &["reshard", "-i", "set", "-o", "again"],
    ] {
        let printed = world.fails(command, 4);
        assert!(printed.contains(tar), "{command:?}: {printed}");
    }
    std::fs::remove_file(set.join("00001_stats.json")).unwrap();
    let (code, printed) = run(&["verify", "set"]);
    assert_eq!(code, Some(4), "{printed}");
    assert!(printed.contains("its table, with 3 stored rows, is not"), "{printed}");
}

#[test]
fn inspect_lists_what_failed_in_an_img2dataset_set() {
    let world = World::new();
    let [gone, slow] = ["HTTP Error 404: Not Found", "<urlopen error timed out>"].map(Some);
    let keys = ["000000003", "000000004", "000000005"];
    let ends = KEYS.iter().map(|key| (key, None)).chain(keys.iter().zip([slow, gone, gone]));
    let rows: Vec<Row> =
        ends.map(|(key, why)| (*key, format!("https://e.org/{key}"), why)).collect();
    img2dataset_shard(&world.path("set"), "00000", &rows);
    let printed = world.good(&["inspect", "set"]);
    let lines = "3 of 6 rows failed (50.0%):\n         \
                 2  33.3%  HTTP Error 404: Not Found the image is gone, or not for everyone\n         \
                 1  16.7%  <urlopen error timed out> too slow: ";
    assert!(printed.contains(lines), "{printed}");
    let json: serde_json::Value =
        serde_json::from_str(&world.good(&["inspect", "set", "--json"])).unwrap();
    assert_eq!(json["failures"]["top"]["HTTP Error 404: Not Found"], 2);
}

#[test]
fn another_list_or_size_is_refused_for_a_set_of_img2dataset() {
    let place = Place::new();
    let urls: Vec<String> = (0..4).map(|row| place.site.url(&format!("/n/{row}"))).collect();
    place.write("urls.txt", &urls.join("\n"));
    place.write("others.txt", &[&urls[..3], &[place.site.url("/n/9")]].concat().join("\n"));
    let rows: Vec<_> = urls.iter().map(|url| (&url[url.len() - 1..], url.clone(), None)).collect();
    img2dataset_shard(&place.path("out"), "00000", &rows);
    let fetch = |list: &str, rows: &str| {
        let command = ["fetch", list, "--out", "out", "--output_format", "webdataset"];
        let command = [&command[..], &["--number_sample_per_shard", rows]].concat();
        let output = place.command(&command).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for (list, rows) in [("others.txt", "4"), ("urls.txt", "2")] {
        let (code, errors) = fetch(list, rows);
        assert_eq!(code, Some(2), "{errors}");
        assert!(errors.contains("00000.parquet has other URLs than the rows"), "{errors}");
    }
    assert_eq!(names(&place.path("out")), ["00000.parquet", "00000.tar", "00000_stats.json"]);
    assert_eq!(fetch("urls.txt", "4").0, Some(0));
}
