//! Training on shards that are streamed: the same on any number of processes, wherever they are.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

use clip_corpus::{Sample, ShardWriter};
use clip_image::{Rgb, encode_png};

use crate::world::{World, executable};

const PRESET: &str = r#"{
  "model_cfg": {
    "embed_dim": 16, "quick_gelu": true,
    "vision_cfg": {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16},
    "text_cfg": {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 1, "layers": 1}
  },
  "train": {"batch_size": 16, "epochs": 1, "warmup": 2, "precision": "fp32", "augment": "small"}
}"#;

/// `count` shards of two pairs each in the folder `shards`, with as many more bytes.
fn world(count: usize, more: usize) -> World {
    let world = World::new();
    std::fs::write(world.path("tiny.json"), PRESET).unwrap();
    std::fs::create_dir(world.path("shards")).unwrap();
    for number in 0..count {
        let path = world.path(&format!("shards/{number:05}.tar"));
        let mut shard = ShardWriter::create(&path).unwrap();
        for pair in 0..2 {
            let colour = [number, number / 7, pair].map(|value| (value * 37 % 256) as u8);
            let image = encode_png(&Rgb::filled(20, 16, colour)).unwrap();
            let text = format!("thing {pair} of shard {number}").into_bytes();
            let more = ("bin".to_owned(), vec![0; more / 2]);
            let fields = vec![("png".to_owned(), image), ("txt".to_owned(), text), more];
            shard.write(&Sample { key: format!("{pair}"), fields }).unwrap();
        }
        shard.finish().unwrap();
    }
    world
}

/// Flags with more.
fn with<'a>(flags: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [flags, more].concat()
}

/// `train` on shards with a name for the run.
fn train<'a>(data: &'a str, name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let own = ["train", "--preset", "tiny.json", "--device", "cpu", "--workers", "2"];
    [&own[..], &["--train-data", data, "--name", name], more].concat()
}

fn losses(world: &World, name: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(world.path(&format!("logs/{name}/steps.jsonl"))).unwrap();
    let loss = |line: &str| {
        serde_json::from_str::<serde_json::Value>(line).unwrap()["loss"].as_f64().unwrap()
    };
    text.lines().map(loss).collect()
}

fn alike(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-4)
}

#[test]
fn a_run_stopped_and_resumed_by_other_numbers_of_processes_sees_the_same() {
    let world = world(130, 0);
    let windows = ["--shuffle-window", "4"];
    world.good(&train("shards", "one", &windows));
    let whole = losses(&world, "one");
    assert_eq!(whole.len(), 16);
    // A step each, and the rest.
    world.fails(&train("shards", "pieces", &with(&windows, &["--max-minutes", "0"])), 3);
    world.fails(
        &train("shards", "pieces", &with(&windows, &["--max-minutes", "0", "--nproc", "2"])),
        3,
    );
    world.good(&train("shards", "pieces", &with(&windows, &["--nproc", "4"])));
    let pieces = losses(&world, "pieces");
    assert!(alike(&pieces, &whole), "{pieces:?}\n{whole:?}");
    // Another window is another order: such a run is not resumed.
    let refused = train("shards", "one", &["--shuffle-window", "5"]);
    assert!(world.fails(&refused, 2).contains("in windows of"));
    world.good(&train("shards", "resampled", &["--dataset-resampled"]));
    assert!(!alike(&losses(&world, "resampled"), &whole));
}

#[test]
fn more_shards_than_files_may_be_open() {
    let world = world(300, 0);
    for (name, window) in [("whole", "whole"), ("windows", "40")] {
        let args = train("shards", name, &["--shuffle-window", window, "--cache-mb", "0"]);
        let args = if window == "whole" { &args[..] } else { &args[..args.len() - 2] };
        let limited = "ulimit -n 256; exec \"$@\"";
        let mut command = Command::new("bash");
        command.args(["-c", limited, "_"]).arg(executable("clip-data")).args(args);
        command.current_dir(world.path("")).env("CLIP_DATA_CACHE", world.path("cache"));
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{window}: {errors}");
        assert_eq!(losses(&world, name).len(), 600 / 16);
    }
}

/// Serves the files of a folder, and counts nothing; ends with the test.
fn serve(folder: PathBuf) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let folder = folder.clone();
            std::thread::spawn(move || answer(stream, &folder));
        }
    });
    url
}

fn answer(stream: TcpStream, folder: &Path) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let (mut first, mut line) = (String::new(), String::new());
        reader.read_line(&mut first).ok().filter(|&read| read > 0)?;
        while reader.read_line(&mut line).ok()? > 2 {
            line.clear();
        }
        let path = first.split(' ').nth(1)?.trim_start_matches('/');
        let (status, body) = match std::fs::read(folder.join(path)) {
            Ok(body) => ("200 OK", body),
            Err(_) => ("404 Not Found", Vec::new()),
        };
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).ok()?;
        stream.write_all(&body).ok()?;
    }
}

fn bytes(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let size =
        |path: PathBuf| if path.is_dir() { bytes(&path) } else { path.metadata().unwrap().len() };
    entries.map(size).sum()
}

#[test]
fn shards_behind_urls_train_through_a_bounded_cache() {
    let world = world(24, 100_000);
    let url = format!("{}/{{00000..00023}}.tar", serve(world.path("shards")));
    let windows = ["--shuffle-window", "4", "--epochs", "2"];
    world.good(&train("shards", "local", &windows));
    // Of 24 shards of 100 KB the cache holds nine at most.
    let cache = ["--cache-dir", "copies", "--cache-limit", "0.001"];
    world.good(&train(&url, "remote", &[&windows[..], &cache].concat()));
    assert_eq!(losses(&world, "remote"), losses(&world, "local"));
    assert!(bytes(&world.path("copies")) <= 1_000_000);
    // By two processes that share the cache.
    let two = [&windows[..], &cache, &["--nproc", "2"]].concat();
    world.good(&train(&url, "shared", &two));
    assert!(alike(&losses(&world, "shared"), &losses(&world, "local")));

    // A copy that is not what its statistics say.
    let stats = serde_json::json!({"successes": 2, "blake3": "0".repeat(64)});
    std::fs::write(world.path("shards/00003_stats.json"), stats.to_string()).unwrap();
    let other = ["--cache-dir", "others"];
    // Counted under this name before it had statistics.
    let fewer = url.replace("00023", "00022");
    let printed = world.fails(&train(&fewer, "damaged", &[&windows[..], &other].concat()), 4);
    assert!(printed.contains("/00003.tar") && printed.contains("blake3 differs"), "{printed}");
    let absent = url.replace("00023", "00024");
    let printed = world.fails(&train(&absent, "absent", &windows), 2);
    assert!(printed.contains("/00024.tar"), "{printed}");
}

#[test]
fn a_table_of_files_and_the_first_held_out_pairs() {
    let world = world(20, 0);
    let mut table = "filepath\ttitle\n".to_owned();
    for number in 0..32 {
        let path = world.path(&format!("{number}.png"));
        let colour = [number * 8, 255 - number * 8, 7];
        std::fs::write(&path, encode_png(&Rgb::filled(20, 16, colour)).unwrap()).unwrap();
        table += &format!("{}\ta thing number {number}\n", path.display());
    }
    std::fs::write(world.path("pairs.csv"), table).unwrap();
    let held_out = ["--val-data", "shards"];
    let first = [&held_out[..], &["--val-num-samples", "8"]].concat();
    world.good(&train("pairs.csv", "table", &first));
    assert_eq!(losses(&world, "table").len(), 2);
    let results = |name: &str| {
        let path = world.path(&format!("logs/{name}/checkpoints/results.jsonl"));
        let line = std::fs::read_to_string(path).unwrap();
        serde_json::from_str::<serde_json::Value>(line.trim()).unwrap()
    };
    assert_eq!(results("table")["num_samples"].as_f64(), Some(8.0));
    world.good(&train("pairs.csv", "all", &held_out));
    let trained = results("all");
    assert_eq!(trained["num_samples"].as_f64(), Some(40.0));
    // The same of the finished model.
    let asked = ["eval", "retrieval", "--model", "logs/all", "--dataset", "shards"];
    world.good(&[&asked[..], &["--device", "cpu", "--output", "r.json"]].concat());
    let scored = std::fs::read_to_string(world.path("r.json")).unwrap();
    let scored: serde_json::Value = serde_json::from_str(&scored).unwrap();
    for (ours, open_clip) in [("image", "text_to_image"), ("text", "image_to_text")] {
        for k in [1, 5, 10] {
            let [a, b] = [
                &scored["metrics"][format!("{ours}_retrieval_recall@{k}")],
                &trained[format!("{open_clip}_R@{k}")],
            ];
            let apart = (a.as_f64().unwrap() - b.as_f64().unwrap()).abs();
            assert!(apart < 1e-9, "{open_clip}_R@{k}: {a} and {b}");
        }
    }
    let printed = world.fails(&train("pairs.csv", "comma", &["--csv-separator", ","]), 2);
    assert!(printed.contains("no column \"filepath\""), "{printed}");
}
