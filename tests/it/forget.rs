//! Rows that are removed later, from everything that has them.

use std::path::Path;

use clip_corpus::{Sample, ShardReader, ShardWriter, columns, read_parquet};

use crate::fetch::{Place, json, names, table, texts};
use crate::world::{FOLDERS, IMAGES, TINY_PRESET, World};

/// The uids of a table.
fn uids(table: &Path) -> Vec<String> {
    let batches = read_parquet(table).unwrap();
    let texts = |batch: &arrow::array::RecordBatch| -> Vec<String> {
        let column = columns::text(batch, "uid").unwrap();
        column.iter().map(|uid| uid.unwrap().to_owned()).collect()
    };
    batches.iter().flat_map(texts).collect()
}

/// Whether any file of a folder has these bytes; Parquet pages are packed, so tables are read.
fn holds(folder: &Path, uid: &str) -> bool {
    let mut found = false;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_symlink() || name == "decisions" {
            continue;
        }
        found |= if path.is_dir() {
            holds(&path, uid)
        } else if name.ends_with(".parquet") {
            let batches = read_parquet(&path).unwrap();
            batches.iter().any(|batch| {
                let column = columns::text(batch, "uid");
                column.is_some_and(|column| column.iter().any(|cell| cell == Some(uid)))
            })
        } else {
            let bytes = std::fs::read(&path).unwrap();
            bytes.windows(uid.len()).any(|part| part == uid.as_bytes())
        };
    }
    found
}

#[test]
fn a_run_loses_the_rows_everywhere_and_is_whole_and_reused() {
    let world = World::new();
    world.good(&["build"]);
    let shards = world.path("runs/small/shards");
    let all = uids(&shards.join("00000.parquet"));
    let gone = [all[1].clone(), all[40].clone()];
    // Either case, and one that is nowhere.
    let text = format!("# ours\n{}\n{}\n{:032x}\n", gone[0].to_uppercase(), gone[1], 7);
    std::fs::write(world.path("uids.txt"), text).unwrap();
    assert!(gone.iter().all(|uid| holds(&world.path("runs/small"), uid)));
    let would = world.good(&["forget", "--uids", "uids.txt", "runs/small", "--dry-run"]);
    assert!(gone.iter().all(|uid| holds(&world.path("runs/small"), uid)));
    let done = world.good(&["forget", "--uids", "uids.txt", "runs/small"]);
    let same = would.replace("would be removed", "removed");
    assert!(would != same && done.starts_with(same.lines().next().unwrap()), "{would}{done}");
    let rows =
        |text: &str| text.lines().find(|l| l.ends_with("2 uids removed")).unwrap().to_owned();
    assert_eq!(rows(&same), rows(&done));
    assert!(!gone.iter().any(|uid| holds(&world.path("runs/small"), uid)));
    let left = uids(&shards.join("00000.parquet"));
    assert_eq!(left, all.iter().filter(|uid| !gone.contains(uid)).cloned().collect::<Vec<_>>());
    let keys = ShardReader::open(&shards.join("00000.tar")).unwrap().map(|s| s.unwrap().key);
    assert_eq!(keys.count(), left.len());
    world.good(&["verify", "runs/small"]);
    world.good(&["verify", "runs/small/shards", "--decode"]);
    // The build has nothing to do, and its funnel begins with what is left.
    let plan = world.good(&["plan"]);
    assert!(plan.lines().skip(1).all(|line| line.contains("reuse")), "{plan}");
    let funnel = world.good(&["build"]);
    let collected = FOLDERS * IMAGES - 2;
    let line = funnel.lines().find(|line| line.starts_with("collect")).unwrap();
    let counts: Vec<usize> = line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    assert_eq!(counts, [collected, collected, 0], "{funnel}");
    // Nothing is left to do, and the shards are as they are.
    let before = std::fs::read(shards.join("00000.tar")).unwrap();
    let printed = world.good(&["forget", "--uids", "uids.txt", "runs/small"]);
    assert!(printed.starts_with("0 rows"), "{printed}");
    assert!(before == std::fs::read(shards.join("00000.tar")).unwrap());
}

/// The uids of a pair that deduplication dropped, and of the one that it kept.
fn copy_and_kept(world: &World) -> [String; 2] {
    let entries = std::fs::read_dir(world.path("runs/small")).unwrap();
    let mut folders = entries.map(|entry| entry.unwrap().path());
    let dedup = folders.find(|path| path.to_string_lossy().contains("-dedup-")).unwrap();
    let copy = uids(&dedup.join("rejects/part-00000.parquet"))[0].clone();
    // Of two equal images the one with the longer caption stays: the last of the folder.
    [copy, uids(&dedup.join("part-00000.parquet")).pop().unwrap()]
}

#[test]
fn a_rejected_copy_is_removed_and_the_pair_with_its_caption_named() {
    let world = World::new();
    world.good(&["build"]);
    let [copy, kept] = copy_and_kept(&world);
    std::fs::write(world.path("uids.txt"), &copy).unwrap();
    let printed = world.good(&["forget", "--uids", "uids.txt", "runs/small"]);
    assert!(printed.contains(&kept), "{printed}");
    assert!(!holds(&world.path("runs/small"), &copy));
    world.good(&["verify", "runs/small"]);
}

#[test]
fn shards_tables_and_arrays_lose_their_rows_together() {
    let world = World::new();
    world.good(&["build"]);
    let folder = world.path("out");
    std::fs::create_dir_all(folder.join("metadata")).unwrap();
    std::fs::create_dir_all(folder.join("img_emb")).unwrap();
    let shards = world.path("runs/small/shards");
    let all = uids(&shards.join("00000.parquet"));
    std::fs::write(world.path("uids.txt"), &all[3]).unwrap();
    std::fs::copy(shards.join("00000.parquet"), world.path("table.parquet")).unwrap();
    std::fs::copy(shards.join("00000.parquet"), folder.join("metadata/metadata_0.parquet"))
        .unwrap();
    // Each row has its place, as a number of 32 bits, and zero.
    let header =
        format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}, 2), }}", all.len());
    let mut array = b"\x93NUMPY\x01\x00".to_vec();
    let padded = format!("{header:<117}\n");
    array.extend((padded.len() as u16).to_le_bytes());
    array.extend(padded.bytes());
    array.extend((0..all.len()).flat_map(|at| [(at as f32).to_le_bytes(), [0; 4]].concat()));
    std::fs::write(world.path("table.npy"), &array).unwrap();
    std::fs::write(folder.join("img_emb/img_emb_0.npy"), &array).unwrap();
    world.good(&[
        "reshard",
        "--input",
        "runs/small/shards",
        "--out",
        "copies",
        "--shard-size",
        "50",
    ]);
    let paths = ["table.parquet", "out", "copies"];
    let dry = [&["forget", "--uids", "uids.txt", "--dry-run"][..], &paths].concat();
    let would = world.good(&dry);
    assert!(would.contains("3 rows of 1 uid would be removed"), "{would}");
    let printed = world.good(&[&["forget", "--uids", "uids.txt"][..], &paths].concat());
    assert!(printed.contains("3 rows of 1 uid removed"), "{printed}");
    for name in ["table.npy", "out/img_emb/img_emb_0.npy"] {
        let bytes = std::fs::read(world.path(name)).unwrap();
        let shape = format!("({}, 2)", all.len() - 1);
        assert!(String::from_utf8_lossy(&bytes[..128]).contains(&shape), "{name}");
        let rows = bytes[bytes.len() - 8 * (all.len() - 1)..].chunks(8);
        let firsts: Vec<f32> =
            rows.map(|row| f32::from_le_bytes(row[..4].try_into().unwrap())).collect();
        assert_eq!(firsts[..5], [0.0, 1.0, 2.0, 4.0, 5.0], "{name}");
    }
    assert!(!holds(&world.path("copies"), &all[3]) && !holds(&folder, &all[3]));
    world.good(&["verify", "copies", "table.parquet"]);
}

/// Copies a folder; links stay links.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, to) = {
            let entry = entry.unwrap();
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&path).unwrap(), to).unwrap();
        } else if path.is_dir() {
            copy(&path, &to);
        } else {
            std::fs::copy(&path, &to).unwrap();
        }
    }
}

/// Path and content of every file of a folder.
fn everything(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_symlink() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            let below = everything(&path).into_iter();
            files.extend(below.map(|(below, content)| (format!("{name}/{below}"), content)));
        } else {
            files.push((name, std::fs::read(&path).unwrap()));
        }
    }
    files.sort();
    files
}

#[test]
fn killed_at_any_moment_the_same_command_ends_with_the_same_bytes() {
    let world = World::new();
    world.good(&["build"]);
    let all = uids(&world.path("runs/small/shards/00000.parquet"));
    std::fs::write(world.path("uids.txt"), all[..all.len() / 2].join("\n")).unwrap();
    copy(&world.path("runs/small"), &world.path("runs/whole"));
    world.good(&["forget", "--uids", "uids.txt", "runs/whole"]);
    let whole = everything(&world.path("runs/whole"));
    for milliseconds in [2, 5, 8, 12, 16, 22, 30, 45] {
        let name = format!("runs/killed-{milliseconds}");
        copy(&world.path("runs/small"), &world.path(&name));
        let mut child = world.command(&["forget", "--uids", "uids.txt", &name]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(milliseconds));
        child.kill().unwrap();
        child.wait().unwrap();
        world.good(&["forget", "--uids", "uids.txt", &name]);
        let found = everything(&world.path(&name));
        let names = |files: &[(String, Vec<u8>)]| -> Vec<String> {
            files.iter().map(|file| file.0.clone()).collect()
        };
        assert_eq!(names(&found), names(&whole), "{name}");
        let other = found.iter().zip(&whole).find(|(a, b)| a.1 != b.1);
        assert!(other.is_none(), "{name}: {}", other.unwrap().0.0);
        world.good(&["verify", &name]);
    }
}

#[test]
fn trainings_that_have_seen_a_removed_row_are_named() {
    let world = World::new();
    world.good(&["build"]);
    std::fs::write(world.path("tiny.json"), TINY_PRESET).unwrap();
    let data = ["train", "--train-data", "runs/small/shards/00000.tar", "--preset", "tiny.json"];
    let run = ["--batch-size", "16", "--device", "cpu", "--name", "m"];
    world.good(&[&data[..], &run].concat());
    let shards = world.path("runs/small/shards");
    let [seen, unseen] =
        ["00000", "00001"].map(|name| uids(&shards.join(format!("{name}.parquet")))[5].clone());
    let forget = |uid: &String| {
        std::fs::write(world.path("uids.txt"), uid).unwrap();
        world.good(&["forget", "--uids", "uids.txt", "runs/small", "--training", "logs/m"])
    };
    assert!(!forget(&unseen).contains("logs/m"));
    let printed = forget(&seen);
    let named: Vec<&str> = printed.lines().filter(|line| line.contains("trained on")).collect();
    assert!(named.len() == 1 && named[0].starts_with("logs/m: "), "{printed}");
    assert!(named[0].ends_with("00000.tar"), "{printed}");
    // 50 pairs in batches of 16, twice.
    let steps = "  step_00000006: saw each of them once or twice";
    assert!(printed.contains(steps), "{printed}");
    assert!(printed.contains("each pair is seen once in each 4 steps"), "{printed}");
    // The row is gone, and with it what could be said.
    let printed = forget(&seen);
    let unknown = "logs/m: whether it saw these uids in 1 of its 1 shards cannot be said";
    assert!(printed.contains(unknown) && !printed.contains("trained on"), "{printed}");
}

#[test]
fn what_cannot_be_done_is_named() {
    let world = World::new();
    world.good(&["build", "--until", "captions"]);
    std::fs::write(world.path("uids.txt"), "# none\n").unwrap();
    let printed = world.fails(&["forget", "--uids", "uids.txt", "runs/small"], 2);
    assert!(printed.contains("uids.txt: no uid"), "{printed}");
    let printed = world.fails(&["forget", "--uids", "none.txt", "runs/small"], 2);
    assert!(printed.contains("none.txt: ") && printed.contains("\nhint: "), "{printed}");
    for text in ["x", "not a uid", "https://example.org/1.jpg", "000000001", &"0".repeat(33)] {
        std::fs::write(world.path("uids.txt"), format!("{:032x}\n{text}\n", 1)).unwrap();
        let printed = world.fails(&["forget", "--uids", "uids.txt", "runs/small"], 2);
        let named = format!("uids.txt: line 2: {text:?} is no uid\nhint: ");
        assert!(printed.contains(&named), "{printed}");
    }
    std::fs::write(world.path("uids.txt"), format!("{:032x}", 1)).unwrap();
    let args = ["forget", "--uids", "uids.txt", "runs/small", "--training", "images"];
    assert!(world.fails(&args, 2).contains("shards.jsonl"));
    std::fs::write(world.path("plain.parquet"), "x").unwrap();
    world.fails(&["forget", "--uids", "uids.txt", "plain.parquet"], 4);
    let runs = std::fs::read_dir(world.path("runs/small")).unwrap();
    let mut stages = runs.map(|entry| entry.unwrap().path());
    let stage = stages.find(|path| path.to_string_lossy().contains("-captions-")).unwrap();
    let table = stage.join("part-00000.parquet");
    let printed = world.fails(&["forget", "--uids", &table.to_string_lossy(), "runs/small"], 2);
    assert!(printed.contains("a Parquet file, not a list of uids\nhint: "), "{printed}");
    assert!(printed.len() < 1000, "{printed}");
}

#[test]
fn a_wrong_path_is_found_before_anything_changes_and_folders_of_tables_lose_rows() {
    let world = World::new();
    world.good(&["build"]);
    let table = world.path("runs/small/shards/00000.parquet");
    let uid = uids(&table)[3].clone();
    std::fs::write(world.path("uids.txt"), &uid).unwrap();
    std::fs::create_dir(world.path("scores")).unwrap();
    std::fs::copy(&table, world.path("scores/00000.parquet")).unwrap();
    std::fs::write(world.path("scores/score.json"), "{}").unwrap();
    let forget = ["forget", "--uids", "uids.txt", "runs/small", "scores"];
    let printed = world.fails(&[&forget[..], &["nowhere"]].concat(), 2);
    assert!(printed.contains("nowhere"), "{printed}");
    assert!(holds(&world.path("runs/small"), &uid) && holds(&world.path("scores"), &uid));
    let printed = world.good(&forget);
    assert!(printed.contains("scores: 1 row"), "{printed}");
    assert!(!holds(&world.path("runs/small"), &uid) && !holds(&world.path("scores"), &uid));
}

#[test]
fn what_has_no_uids_is_named_as_such() {
    let world = World::new();
    let write = |name: &str, json: &[u8]| {
        let mut shard = ShardWriter::create(&world.path(name)).unwrap();
        let image = std::fs::read(world.path("images/00/000.jpg")).unwrap();
        let fields = vec![("jpg".to_owned(), image), ("json".to_owned(), json.to_vec())];
        shard.write(&Sample { key: "0".into(), fields }).unwrap();
        shard.finish().unwrap();
    };
    std::fs::create_dir(world.path("set")).unwrap();
    write("set/0.tar", br#"{"url": "https://example.org/1.jpg"}"#);
    let uid = format!("{:032x}", 1);
    std::fs::write(world.path("uids.txt"), &uid).unwrap();
    let forget = ["forget", "--uids", "uids.txt", "set"];
    let printed = world.fails(&forget, 2);
    assert!(printed.contains("set: no pair of it has a uid\nhint: a build of them"), "{printed}");
    // Beside one that has some, it is only named.
    write("set/1.tar", format!("{{\"uid\": \"{uid}\"}}").as_bytes());
    let output = world.run(&forget);
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(printed.contains("set/0.tar: no pair of it has a uid"), "{printed}");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(printed.ends_with("1 row of 1 uid removed\n"), "{printed}");
    // Nothing is left in it to have one.
    world.good(&["forget", "--uids", "uids.txt", "set/1.tar"]);
    let nulls: arrow::array::ArrayRef =
        std::sync::Arc::new(arrow::array::StringArray::from(vec![None::<&str>]));
    let batch = arrow::array::RecordBatch::try_from_iter_with_nullable([("uid", nulls, true)]);
    let batch = batch.unwrap();
    for (table, given) in [("t.parquet", "t.parquet"), ("e/metadata/metadata_0.parquet", "e")] {
        let path = world.path(table);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        clip_corpus::write_parquet(&path, batch.schema(), std::slice::from_ref(&batch)).unwrap();
        let printed = world.fails(&["forget", "--uids", "uids.txt", given], 2);
        assert!(printed.contains("has a uid"), "{given}: {printed}");
    }
}

#[test]
fn copies_that_were_dropped_for_a_removed_image_are_named_and_can_be_removed() {
    let world = World::new();
    world.good(&["build"]);
    let [copy, kept] = copy_and_kept(&world);
    let forget = ["forget", "--uids", "uids.txt", "runs/small"];
    std::fs::write(world.path("uids.txt"), &kept).unwrap();
    let printed = world.good(&forget);
    let named = "1 pair with the same image as a removed one";
    assert!(printed.contains(named) && printed.contains(&format!("\n  {copy}\n")), "{printed}");
    assert!(holds(&world.path("runs/small"), &copy));
    std::fs::write(world.path("uids.txt"), &copy).unwrap();
    let printed = world.good(&forget);
    assert!(!printed.contains("same image") && !printed.contains("captions of"), "{printed}");
    assert!(!holds(&world.path("runs/small"), &copy));
    world.good(&["verify", "runs/small"]);
}

#[test]
fn lists_for_block_keep_a_removed_pair_out_of_a_build_from_its_sources() {
    let world = World::new();
    world.good(&["build"]);
    let all = uids(&world.path("runs/small/shards/00000.parquet"));
    std::fs::write(world.path("uids.txt"), &all[3]).unwrap();
    let forget = ["forget", "--uids", "uids.txt", "runs/small"];
    std::fs::create_dir(world.path("lists")).unwrap();
    std::fs::write(world.path("lists/urls.txt"), "https://example.org/a.jpg").unwrap();
    let printed = world.good(&[&forget[..], &["--block-lists", "lists"]].concat());
    assert!(printed.contains("[block]\nurls = [\"/") && !printed.contains("hint: "), "{printed}");
    let lines = |name: &str| std::fs::read_to_string(world.path(name)).unwrap().lines().count();
    assert_eq!((lines("lists/urls.txt"), lines("lists/sha256.txt")), (2, 1));
    let build = |workdir: &str, more: &[&str]| {
        let set = format!("workdir={workdir}");
        world.good(&[&["build", "--set", &set][..], more].concat());
        uids(&world.path(workdir).join("small/shards/00000.parquet")).contains(&all[3])
    };
    assert!(build("plain", &[]), "its sources still have it");
    assert!(!build("urls", &["--set", "block.urls=[\"lists/urls.txt\"]"]));
    assert!(!build("hashes", &["--set", "block.sha256=[\"lists/sha256.txt\"]"]));
    // Without the option, what would keep it out is named; once, and only where rows went.
    std::fs::write(world.path("uids.txt"), &all[5]).unwrap();
    assert!(world.good(&forget).contains("hint: a build with other settings"));
    assert!(!world.good(&forget).contains("hint: "));
}

#[test]
fn rows_are_forgotten_in_every_format_and_what_is_left_is_whole() {
    let place = Place::new();
    let uid = |row: usize| format!("{row:032x}");
    let mut list = "uid,url\n".to_owned();
    for row in 0..6 {
        let path = if row == 4 { "/status/404".to_owned() } else { format!("/n/{row}") };
        list += &format!("{},{}\n", uid(row), place.site.url(&path));
    }
    place.write("list.csv", &list);
    place.write("gone.txt", &[uid(1), uid(4)].join("\n"));
    for format in ["files", "webdataset", "parquet"] {
        let columns = ["--save_additional_columns", "uid", "--input_format", "csv"];
        let to = ["list.csv", "--output_format", format, "--out", format];
        place.good(&[&to[..], &columns].concat());
        let output = place.command(&["forget", "--uids", "gone.txt", format]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{format}: {errors}");
        let left = table(&place.path(format).join("00000.parquet"));
        let expected: Vec<_> = [0, 2, 3, 5].map(|row| Some(uid(row))).into();
        assert_eq!(texts(&left, "uid"), expected, "{format}");
        let stats = json(&place.path(format).join("00000_stats.json"));
        assert_eq!((&stats["count"], &stats["urls"]), (&4.into(), &4.into()), "{format}: {stats}");
        assert_eq!(stats["status_dict"], serde_json::json!({"success": 4}), "{format}");
        assert_eq!(stats["error_kinds"], serde_json::json!({}), "{format}");
        let hosts: u64 = stats["hosts"]
            .as_object()
            .unwrap()
            .values()
            .map(|h| h["count"].as_u64().unwrap())
            .sum();
        assert_eq!(hosts, 4, "{format}");
        let output = place.command(&["verify", format]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    let files = names(&place.path("files/00000"));
    assert!(
        files.len() >= 8 && files.iter().all(|name| !name.starts_with("000000001.")),
        "{files:?}"
    );
    // What an interrupted fetch has of a row is in no table.
    std::fs::create_dir(place.path("files/_tmp")).unwrap();
    place.write("files/_tmp/00001.spool", "x");
    let output = place.command(&["forget", "--uids", "gone.txt", "files"]).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(place.command(&["verify", "files"]).output().unwrap().status.code(), Some(3));
}

#[test]
fn what_reshard_wrote_of_a_subset_loses_its_ids_too() {
    let world = World::new();
    world.good(&["build"]);
    let all = uids(&world.path("runs/small/shards/00000.parquet"));
    std::fs::write(world.path("uids.txt"), all[..2].join("\n")).unwrap();
    world.good(&["subset", "runs/small/shards", "--where", "true", "--out", "s.npy"]);
    world.good(&["reshard", "-i", "runs/small/shards", "-s", "s.npy", "-o", "own"]);
    let count = || clip_corpus::read_subset(&world.path("own/sample_ids.npy")).unwrap().len();
    let before = count();
    world.good(&["forget", "--uids", "uids.txt", "own"]);
    assert_eq!(count(), before - 2);
    let meta = std::fs::read(world.path("own/meta.json")).unwrap();
    let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
    assert_eq!(meta["output_count"], before - 2, "{meta}");
    world.good(&["verify", "own"]);
}
