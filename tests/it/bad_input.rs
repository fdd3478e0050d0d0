//! What goes wrong is named, with a hint, and has its exit code.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int32Array, RecordBatch};

use crate::world::World;

#[test]
fn a_misspelt_setting_is_found_by_line_and_column() {
    let world = World::new();
    let text = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let wrong = text.replace("limit = 40", "limitt = 40");
    std::fs::write(world.path("wrong.toml"), wrong).unwrap();
    let printed = world.fails(&["build", "-c", "wrong.toml"], 2);
    assert!(printed.contains("wrong.toml: line 16 column 1: unknown field `limitt`"), "{printed}");
    assert!(printed.contains("hint: "), "{printed}");
}

#[test]
fn what_is_missing_is_named() {
    let world = World::new();
    for (args, named) in [
        (&["build", "-c", "none.toml"][..], "none.toml: no such file"),
        (&["build", "--set", "queries.list=none.txt"], "none.txt"),
        (&["build", "--set", "check.against.toys=nowhere"], "nowhere"),
        (&["build", "--set", "source.paths=['nowhere']"], "nowhere"),
        (&["build", "--set", "balance"], "not key=value"),
        (&["build", "--part", "3/3"], "I/N"),
        (&["build", "--until", "fetching"], "there is no stage"),
        (&["contamination"], "run `clip-data build"),
        (&["report"], "run `clip-data build"),
        (&["queries", "stats", "none.parquet"], "none.parquet"),
        (&["queries", "build", "--wordnet", "nowhere", "--out", "q.parquet"], "nowhere"),
        (&["bild"], "unrecognized subcommand"),
    ] {
        let printed = world.fails(args, 2);
        assert!(printed.contains(named), "{args:?}: {printed}");
    }
}

#[test]
fn a_file_that_is_missing_is_a_usage_error_with_a_hint() {
    let world = World::new();
    std::fs::write(world.path("uids.txt"), format!("{:032x}\n", 7)).unwrap();
    for args in [
        &["forget", "--uids", "none", "images"][..],
        &["forget", "--uids", "none.npy", "images"],
        &["forget", "--uids", "uids.txt", "none"],
        &["classifier", "predict", "none", "uids.txt"],
        &["inspect", "none"],
        &["verify", "none"],
        &["hash", "none"],
        &["reshard", "--input", "none", "--out", "out"],
        &["reshard", "--input", "images/00/000.jpg", "--out", "out", "-s", "none.npy"],
        &["filter", "none", "--where", "true", "--out", "x.npy"],
        &["subset", "none", "--where", "true", "--out", "x.npy"],
        &["fetch", "--url_list", "none", "--output_folder", "out"],
        &["queries", "build", "--text", "none", "--out", "q.parquet"],
        &["queries", "stats", "none"],
        &["init", "fresh", "--from", "folder", "none"],
    ] {
        let printed = world.fails(args, 2);
        assert!(printed.contains("none") && printed.contains("\nhint: "), "{args:?}: {printed}");
    }
}

#[test]
fn an_empty_list_of_queries_and_a_card_of_half_a_build_are_refused_at_once() {
    let world = World::new();
    std::fs::write(world.path("none.txt"), "\n \n").unwrap();
    for command in ["plan", "build"] {
        let printed = world.fails(&[command, "--set", "queries.list=none.txt"], 2);
        assert!(printed.contains("none.txt: it holds no query\nhint: "), "{printed}");
    }
    assert!(!world.path("runs/small").exists(), "nothing was collected");
    world.good(&["build", "--until", "captions"]);
    let printed = world.fails(&["card"], 2);
    assert!(
        printed.contains("the build is not finished") && printed.contains("\nhint: "),
        "{printed}"
    );
}

#[test]
fn a_file_that_is_given_twice_is_refused() {
    let world = World::new();
    world.good(&["build"]);
    let shards = "runs/small/shards";
    for args in [
        &["inspect", shards, "runs/small"][..],
        &[
            "contamination",
            "--corpus",
            shards,
            "--corpus",
            shards,
            "--eval",
            "mine=images",
            "--out",
            "out",
        ],
        &["filter", shards, shards, "--where", "true", "--out", "x.npy"],
    ] {
        let printed = world.fails(args, 2);
        assert!(
            printed.contains("given twice") && printed.contains("\nhint: "),
            "{args:?}: {printed}"
        );
    }
}

#[test]
fn a_table_that_lacks_a_column_is_a_usage_error_with_a_hint() {
    let world = World::new();
    let column = Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
    let batch = RecordBatch::try_from_iter([("other", column)]).unwrap();
    clip_corpus::write_parquet(&world.path("t.parquet"), batch.schema(), &[batch]).unwrap();
    std::fs::write(world.path("uids.txt"), format!("{:032x}\n", 7)).unwrap();
    for args in [
        &["subset", "t.parquet", "--where", "other > 1", "--out", "x.npy"][..],
        &["filter", "t.parquet", "--where", "other > 1", "--out", "x.npy"],
        &["filter", "t.parquet", "--top", "other=0.5", "--out", "x.npy"],
        &["queries", "stats", "t.parquet"],
        &["inspect", "t.parquet"],
        &["forget", "--uids", "uids.txt", "t.parquet"],
    ] {
        let printed = world.fails(args, 2);
        let named = printed.contains("t.parquet: ") && printed.contains("\nhint: ");
        assert!(named, "{args:?}: {printed}");
    }
    assert!(!world.path("x.npy").exists());
}

#[test]
fn images_that_are_none_are_dropped_and_counted() {
    let world = World::new();
    std::fs::write(world.path("images/00/003.jpg"), b"no image at all").unwrap();
    std::fs::write(world.path("images/01/004.jpg"), b"").unwrap();
    let funnel = world.good(&["build"]);
    assert!(funnel.contains("2  not_an_image"), "{funnel}");
}

#[test]
fn an_image_at_which_a_decoder_panics_costs_itself_only() {
    let world = World::new();
    let tiff =
        include_bytes!("../../crates/clip-image/tests/golden/oracle/images/planar_tiles.tif");
    std::fs::create_dir(world.path("mixed")).unwrap();
    std::fs::write(world.path("mixed/planar.tif"), tiff).unwrap();
    std::fs::copy(world.path("images/00/003.jpg"), world.path("mixed/good.jpg")).unwrap();
    let hashed = world.run(&["hash", "mixed"]);
    let (found, errors) = [&hashed.stdout, &hashed.stderr]
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .into();
    assert!(hashed.status.success() && found.ends_with("\tmixed/good.jpg\n"), "{found}{errors}");
    assert!(errors.contains("planar.tif: image decoding error: the decoder panicked"), "{errors}");
    assert!(!errors.contains("backtrace"), "{errors}");
    // It ends, and counts the image.
    world.good(&["contamination", "--corpus", "mixed", "--eval", "toys=toys"]);
    let account = std::fs::read_to_string(world.path("contamination/contamination.json")).unwrap();
    let account: serde_json::Value = serde_json::from_str(&account).unwrap();
    assert_eq!(account["corpus"]["unreadable"], 1, "{account}");
}

#[test]
fn a_damaged_part_is_named_with_exit_code_4() {
    let world = World::new();
    world.good(&["build", "--until", "captions"]);
    let mut runs = std::fs::read_dir(world.path("runs/small")).unwrap().map(|e| e.unwrap().path());
    let stage = runs.find(|p| p.to_string_lossy().contains("-captions-")).unwrap();
    let part = stage.join("part-00002.parquet");
    let length = std::fs::metadata(&part).unwrap().len();
    std::fs::write(&part, vec![0; length as usize]).unwrap();
    // A build that fails can be looked at.
    let run = world.path("runs/small");
    std::fs::remove_file(run.join("run.json")).unwrap();
    assert!(world.fails(&["explain", "0"], 2).contains("no build is here"));
    let printed = world.fails(&["build"], 4);
    assert!(printed.contains("part-00002.parquet"), "{printed}");
    assert!(world.good(&["explain", "0"]).contains("  2 captions   kept"));
}

/// A record of a WARC file in a gzip member.
fn member(number: usize) -> Vec<u8> {
    let page = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<img src=/{number}.jpg alt='caption {number}'>"
    );
    let head = format!(
        "WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: http://e.com/\r\nContent-Length: {}\r\n\r\n",
        page.len()
    );
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(format!("{head}{page}\r\n\r\n").as_bytes()).unwrap();
    gz.finish().unwrap()
}

#[test]
fn a_damaged_archive_costs_what_the_damage_covers() {
    let world = World::new();
    let mut members: Vec<Vec<u8>> = (0..4).map(member).collect();
    std::fs::write(world.path("good.warc.gz"), [members.concat(), b"\n\0\0".to_vec()].concat())
        .unwrap();
    let middle = members[1].len() / 2;
    members[1][middle] ^= 0x55;
    members[1][middle + 1] ^= 0x55;
    let (start, cut) = (members[0].len(), members[3].len() - 12);
    members[3].truncate(cut);
    std::fs::write(world.path("damaged.warc.gz"), members.concat()).unwrap();
    let pipeline = "schema = 1\nname = \"warc\"\n[source]\nkind = \"warc\"\npaths = [\"good.warc.gz\", \"damaged.warc.gz\"]\n";
    std::fs::write(world.path("warc.toml"), pipeline).unwrap();
    let output = world.run(&["build", "-c", "warc.toml", "--until", "collect"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    let funnel = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{errors}");
    assert!(
        errors.contains("warning: ") && errors.contains(&format!("bytes {start} to")),
        "{errors}"
    );
    assert!(funnel.contains("2  damaged"), "{funnel}\n{errors}");
    let mut runs = std::fs::read_dir(world.path("runs/warc")).unwrap().map(|e| e.unwrap().path());
    let stage = runs.find(|path| path.to_string_lossy().contains("-collect-")).unwrap();
    let rows = |part: &str| clip_corpus::parquet_rows(&stage.join(part)).unwrap();
    assert_eq!((rows("part-00000.parquet"), rows("part-00001.parquet")), (4, 2));
    world.good(&["init", "mine", "--from", "warc", "good.warc.gz"]);
    let funnel = world.good(&["build", "-c", "mine/pipeline.toml", "--until", "collect"]);
    let collect = funnel.lines().find(|line| line.starts_with("collect")).unwrap();
    assert!(collect.split_whitespace().eq(["collect", "4", "4", "0"]), "{funnel}");
}

#[test]
fn what_is_given_as_a_shard_and_is_none_is_named_with_what_to_do() {
    let world = World::new();
    std::fs::write(world.path("x.csv"), "url,caption\nhttps://a.example/1.jpg,a dog\n".repeat(40))
        .unwrap();
    std::fs::write(world.path("x.tar.gz"), [0x1f, 0x8b, 8, 0, 0, 0, 0, 0]).unwrap();
    std::fs::write(world.path("x.zip"), b"PK\x03\x04 and so on").unwrap();
    for (file, what, hint) in [
        ("x.csv", "a csv list, not a shard", "kind = \"list\""),
        ("x.tar.gz", "a tar file in gzip, not a shard", "unpack it"),
        ("x.zip", "a zip archive, not a shard", "unpack it"),
    ] {
        let train =
            &["train", "--preset", "paper/ViT-B-32", "--train-data", file, "--device", "cpu"][..];
        // A csv is a table of image files there, as in open_clip.
        let (of_train, train_hint) = match file {
            "x.csv" => ("no column \"filepath\"", "`clip-data fetch` makes shards"),
            _ => (what, hint),
        };
        let reshard = &["reshard", "-i", file, "-o", "out"][..];
        for (args, what, hint) in [(train, of_train, train_hint), (reshard, what, hint)] {
            let printed = world.fails(args, 2);
            assert!(printed.contains(&format!("{file}: {what}")), "{args:?}: {printed}");
            assert!(printed.contains("hint: ") && printed.contains(hint), "{args:?}: {printed}");
        }
    }
}

#[test]
fn a_file_of_another_kind_is_named_for_what_it_is() {
    let world = World::new();
    std::fs::write(world.path("pairs.csv"), "url,caption\nhttps://a.example/1.jpg,a dog\n")
        .unwrap();
    let scores = r#"{"dataset": "toys", "metrics": {"acc1": 0.5}, "hashes": {"model": "0"}}"#;
    std::fs::write(world.path("scores.json"), scores).unwrap();
    std::fs::write(world.path("list.json"), "[1]").unwrap();
    std::fs::write(world.path("called.parquet"), "a text").unwrap();
    let check = ["contamination", "--corpus", "images", "--eval", "toys=toys", "--predictions"];
    let fetch = ["fetch", "--output_folder", "out", "--input_format", "parquet", "--url_list"];
    let score = ["eval", "zero-shot", "--model", "none", "--dataset", "toys", "--contamination"];
    let convert = ["convert", "--to", "pt", "--out", "x.pt", "--model"];
    for (args, code, what) in [
        ([&convert[..], &["pairs.csv"]].concat(), 2, "pairs.csv: a csv list, not weights"),
        ([&convert[..], &["scores.json"]].concat(), 2, "scores.json: a JSON file, not weights"),
        (
            [&check[..], &["toys=scores.json"]].concat(),
            2,
            "scores.json: a JSON file, not a Parquet",
        ),
        ([&fetch[..], &["pairs.csv"]].concat(), 2, "pairs.csv: a csv list, not a Parquet file"),
        ([&fetch[..], &["called.parquet"]].concat(), 4, "called.parquet: "),
        (
            [&score[..], &["scores.json"]].concat(),
            2,
            "scores.json: a file of scores, not a contamination report",
        ),
        ([&score[..], &["list.json"]].concat(), 2, "list.json: it is not a contamination report"),
    ] {
        let printed = world.fails(&args, code);
        assert!(printed.contains(what), "{args:?}: {printed}");
        assert!(code == 4 || printed.contains("\nhint: "), "{args:?}: {printed}");
    }
}

#[test]
fn a_key_that_is_in_a_shard_twice_is_the_same_error_everywhere() {
    let world = World::new();
    let mut shard = Vec::new();
    for key in ["a", "b", "a"] {
        let image = clip_image::encode_jpeg(&crate::world::smooth_image(1), 90).unwrap();
        for (field, bytes) in [("jpg", image), ("txt", b"a caption".to_vec())] {
            let mut header = tar::Header::new_ustar();
            header.set_path(format!("{key}.{field}")).unwrap();
            header.set_size(bytes.len() as u64);
            header.set_cksum();
            shard.extend_from_slice(header.as_bytes());
            shard.extend_from_slice(&bytes);
            shard.resize(shard.len().next_multiple_of(512), 0);
        }
    }
    let again = shard.len() / 3 * 2 + 512;
    shard.resize(shard.len() + 1024, 0);
    std::fs::write(world.path("0.tar"), shard).unwrap();
    let error = format!(
        "0.tar sample \"a\": the key is in the shard twice, at byte 512 and again at byte {again}"
    );
    for args in [
        &["train", "--preset", "paper/ViT-B-32", "--train-data", "0.tar", "--device", "cpu"][..],
        &["reshard", "-i", "0.tar", "-o", "out"],
    ] {
        let printed = world.fails(args, 4);
        assert!(printed.contains(&error), "{args:?}: {printed}");
    }
    for args in [&["verify", "0.tar"][..], &["inspect", "0.tar"]] {
        let output = world.run(args);
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert_eq!(output.status.code(), Some(4), "{printed}");
        assert!(
            printed.contains("the key is in the shard twice, at byte 512"),
            "{args:?}: {printed}"
        );
    }
    // A build keeps the first of the two and names the other.
    let pipeline =
        "schema = 1\nname = \"d\"\n[source]\nkind = \"webdataset\"\npaths = [\"0.tar\"]\n";
    std::fs::write(world.path("d.toml"), pipeline).unwrap();
    let output = world.run(&["build", "-c", "d.toml", "--until", "collect"]);
    let funnel = String::from_utf8_lossy(&output.stdout);
    assert!(funnel.contains("1  damaged"), "{funnel}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(&error));
}

/// Cut between two members a tar reads well to its last sample: what is gone must not be silent.
#[test]
fn a_shard_cut_between_two_samples_is_damaged_for_every_command() {
    let world = World::new();
    world.good(&["build"]);
    let whole = std::fs::read(world.path("runs/small/shards/00000.tar")).unwrap();
    let index = std::fs::read_to_string(world.path("runs/small/shards/00000.idx")).unwrap();
    // Before the first field of the third sample.
    let mut keys: Vec<(&str, usize)> = Vec::new();
    for line in index.lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        if keys.last().is_none_or(|last| last.0 != fields[0]) {
            keys.push((fields[0], fields[2].parse().unwrap()));
        }
    }
    std::fs::create_dir(world.path("cut")).unwrap();
    std::fs::write(world.path("cut/0.tar"), &whole[..keys[2].1 - 512]).unwrap();
    let error = "the shard was cut";
    for args in [
        &["verify", "cut"][..],
        &["inspect", "cut"],
        &["hash", "cut"],
        &["reshard", "-i", "cut", "-o", "again"],
        &["contamination", "--corpus", "cut", "--eval", "toys=toys"],
        &["train", "--preset", "paper/ViT-B-32", "--train-data", "cut", "--device", "cpu"],
    ] {
        let output = world.run(args);
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8_lossy(&printed);
        assert_eq!(output.status.code(), Some(4), "{args:?}: {printed}");
        assert!(printed.contains(error), "{args:?}: {printed}");
    }
    let pipeline = "schema = 1\nname = \"c\"\n[source]\nkind = \"webdataset\"\npaths = [\"cut\"]\n";
    std::fs::write(world.path("c.toml"), pipeline).unwrap();
    let output = world.run(&["build", "-c", "c.toml", "--until", "collect"]);
    let funnel = String::from_utf8_lossy(&output.stdout);
    assert!(funnel.contains("1  damaged"), "{funnel}");
    assert!(String::from_utf8_lossy(&output.stderr).contains(error));
    // A lock, or what else is hidden, changes no input.
    std::fs::write(world.path("cut/.lock"), "").unwrap();
    let plan = world.good(&["plan", "-c", "c.toml"]);
    assert!(!plan.contains("other content"), "{plan}");
}

#[test]
fn an_archive_of_another_kind_is_refused_once() {
    let world = World::new();
    let members: Vec<Vec<u8>> = (0..4).map(member).collect();
    std::fs::write(world.path("a.wat.gz"), members.concat()).unwrap();
    std::fs::write(world.path("b.wat.gz"), members.concat()).unwrap();
    std::fs::write(world.path("c.wat.gz"), b"PAR1 and no member of gzip").unwrap();
    for (paths, what) in [
        (r#"["a.wat.gz", "b.wat.gz"]"#, "a WARC file, and not the WAT file of one"),
        (r#"["c.wat.gz"]"#, "no archive of a crawl"),
    ] {
        let pipeline =
            format!("schema = 1\nname = \"w\"\n[source]\nkind = \"wat\"\npaths = {paths}\n");
        std::fs::write(world.path("wat.toml"), pipeline).unwrap();
        let printed = world.fails(&["build", "-c", "wat.toml"], 2);
        assert_eq!(printed.matches(what).count(), 1, "{printed}");
        assert!(printed.contains("\nhint: "), "{printed}");
    }
}

#[test]
fn a_plan_refuses_what_a_build_refuses_of_its_list() {
    let world = World::new();
    std::fs::write(world.path("plain.csv"), "url,text\nhttp://e.org/1.jpg,a boat\n").unwrap();
    let lists = "{\"url\": \"http://e.org/1.jpg\", \"caption\": [\"a boat\", \"it\"]}\n";
    std::fs::write(world.path("lists.jsonl"), lists).unwrap();
    for (list, settings, what) in [
        ("plain.csv", "", "no column \"caption\""),
        ("plain.csv", "caption_col = \"text\"\nurl_col = \"link\"", "no column \"link\""),
        ("plain.csv", "caption_col = \"text\"\ncolumns = [\"licence\"]", "no column \"licence\""),
        ("lists.jsonl", "", "column \"caption\" holds lists"),
        ("plain.csv", "caption_col = \"text\"", ""),
        ("lists.jsonl", "caption_list = \"all\"", ""),
    ] {
        let source = format!("[source]\nkind = \"list\"\npaths = [\"{list}\"]\n{settings}\n");
        let pipeline = format!("schema = 1\nname = \"p\"\n{source}");
        std::fs::write(world.path("p.toml"), pipeline).unwrap();
        if what.is_empty() {
            world.good(&["plan", "-c", "p.toml"]);
        } else {
            let printed = world.fails(&["plan", "-c", "p.toml"], 2);
            assert!(printed.contains(what) && printed.contains("\nhint: "), "{printed}");
        }
    }
    // What `init` writes runs as it is.
    world.good(&["init", "mine", "--from", "list", "lists.jsonl"]);
    world.good(&["plan", "-c", "mine/pipeline.toml"]);
}
