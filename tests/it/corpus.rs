//! Looking inside a corpus: inspect, explain, verify, hash, subset, reshard.

use crate::world::World;

/// A world with a build, and the uid of a pair that was dropped as a copy and of one that was kept.
fn built() -> (World, String, String) {
    let world = World::new();
    world.good(&["build"]);
    // The last image of a folder is a copy of its first; the longer caption stays.
    let uid = |name: &str| {
        let printed = world.good(&["explain", "--json", "--run", "runs/small", name]);
        let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
        printed[0]["steps"][0]["values"]["uid"].as_str().unwrap().to_owned()
    };
    let (first, last) = (uid("file:00/000.jpg"), uid("file:00/019.jpg"));
    (world, first, last)
}

#[test]
fn a_pair_is_followed_to_the_shards_or_to_where_it_fell() {
    let (world, first, last) = built();
    let ways = [&first, &last].map(|uid| world.good(&["explain", uid]));
    let (stayed, fell): (Vec<&String>, Vec<&String>) =
        ways.iter().partition(|way| way.contains("in the corpus"));
    assert_eq!((stayed.len(), fell.len()), (1, 1), "{ways:?}");
    assert!(
        fell[0].contains("exact_duplicate") && fell[0].contains("dropped in stage dedup"),
        "{fell:?}"
    );
    let uid = if ways[0].contains("in the corpus") { &first } else { &last };
    assert!(fell[0].contains(&format!("copy_of.uid      {uid}")), "{fell:?}");
    assert!(stayed[0].contains("shards/00000.tar"), "{stayed:?}");
    // A number with zeros before it is a key, not the row of that number.
    let key = stayed[0].lines().find_map(|line| line.trim().strip_prefix("key ")).unwrap().trim();
    assert!(key.starts_with('0'), "{key}");
    assert!(world.good(&["explain", key]).contains(uid), "{key}");
    world.fails(&["explain", "00000000000000003"], 2);
    let printed = world.fails(&["explain", "no-such-pair"], 2);
    assert!(
        printed.contains("no pair \"no-such-pair\"") && printed.contains("hint: "),
        "{printed}"
    );
}

#[test]
fn damage_is_found_and_named() {
    let (world, ..) = built();
    let printed = world.good(&["verify", "runs/small", "runs/small/shards"]);
    assert!(printed.contains("0 findings"), "{printed}");
    world.good(&["verify", "--decode", "runs/small/shards/{00000..00001}.tar"]);
    let shard = world.path("runs/small/shards/00001.tar");
    let mut bytes = std::fs::read(&shard).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&shard, &bytes).unwrap();
    let output = world.run(&["verify", "runs/small"]);
    let printed = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{printed}");
    assert!(printed.contains("00001.tar"), "{printed}");
    std::fs::remove_file(&shard).unwrap();
    let output = world.run(&["verify", "runs/small/shards"]);
    let message = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(4), "{message}");
    assert!(message.contains("00001.tar: it is gone"), "{message}");
    world.fails(&["verify", "nothing-here"], 2);
}

#[test]
fn a_corpus_is_counted_and_shown_on_a_page() {
    let (world, ..) = built();
    let printed =
        world.good(&["inspect", "runs/small", "--html", "page.html", "--queries", "queries.txt"]);
    for line in ["pairs ", "caption ", "short side ", "queries ", "same bytes "] {
        assert!(printed.contains(line), "{printed}");
    }
    let page = std::fs::read_to_string(world.path("page.html")).unwrap();
    assert!(page.contains("data:image/jpeg;base64,") && page.contains("image 3 of folder 2"));
    // Nothing is asked of any other place.
    assert!(!page.contains("<link") && !page.contains("src=\"http") && !page.contains("@import"));
    let json = world.good(&["inspect", "runs/small/shards", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let shards = world.good(&["inspect", "runs/small/shards/{00000..00003}.tar", "--json"]);
    let shards: serde_json::Value = serde_json::from_str(&shards).unwrap();
    assert_eq!(json["pairs"], shards["pairs"]);
    let known = world.good(&["inspect", "runs/small", "--has", "images/03/005.jpg"]);
    assert!(known.contains("0 bits"), "{known}");
    let unknown = world.good(&["inspect", "runs/small", "--has", "toys/class_1/other.png"]);
    assert!(unknown.contains("not in the corpus"), "{unknown}");
    let printed = world.fails(&["inspect", "pipeline.toml"], 2);
    assert!(printed.contains("pipeline.toml: a text file, not a shard\nhint: "), "{printed}");
    world.fails(&["inspect", "none"], 2);
}

#[test]
fn a_subset_is_chosen_and_cut() {
    let (world, ..) = built();
    let printed = world.good(&[
        "subset",
        "runs/small/shards",
        "--where",
        "caption like '%boat%'",
        "-o",
        "s.npy",
    ]);
    let count: usize = printed.split_whitespace().next().unwrap().parse().unwrap();
    assert!(count > 5, "{printed}");
    let reshard =
        ["reshard", "-i", "runs/small/shards", "-o", "out", "-s", "s.npy", "--shard-size", "4"];
    let printed = world.good(&reshard);
    assert!(printed.contains(&format!("{count} of ")), "{printed}");
    world.good(&["verify", "out", "out/sample_ids.npy"]);
    let json = world.good(&["inspect", "out", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["pairs"], count);
    let printed = world.fails(&reshard, 2);
    assert!(printed.contains("--overwrite"), "{printed}");
    let printed =
        world.fails(&["subset", "runs/small/shards", "--where", "colour = 3", "-o", "x.npy"], 2);
    assert!(printed.contains("colour"), "{printed}");
    let printed =
        world.fails(&["reshard", "-i", "runs/small/shards", "-o", "o2", "-s", "queries.txt"], 2);
    assert!(printed.contains("queries.txt: not a .npy file"), "{printed}");
}

#[test]
fn hashes_are_printed_and_near_ones_paired() {
    let world = World::new();
    let printed = world.good(&["hash", "images/00"]);
    assert_eq!(printed.lines().count(), 20);
    let line = printed.lines().next().unwrap();
    assert!(line.len() > 17 && line.ends_with("000.jpg"), "{line}");
    let near = world.good(&["hash", "--near", "0", "images/00"]);
    assert_eq!(near.trim_end(), "0\timages/00/000.jpg\timages/00/019.jpg");
    let pdq = world.good(&["hash", "--kind", "pdq", "images/00/000.jpg"]);
    assert_eq!(pdq.split('\t').next().unwrap().len(), 64);
}

#[test]
fn black_frames_are_no_giant_cluster_and_known_images_fall() {
    use clip_image::{Rgb, encode_jpeg};
    let world = World::new();
    for (at, level) in [1u8, 2, 3, 4].into_iter().enumerate() {
        let frame = encode_jpeg(&Rgb::filled(96, 96, [level; 3]), 92).unwrap();
        std::fs::write(world.path(&format!("images/00/9{at}.jpg")), frame).unwrap();
        let caption = format!("a bright boat in a dark frame number {at}");
        std::fs::write(world.path(&format!("images/00/9{at}.txt")), caption).unwrap();
    }
    let funnel = world.good(&["build", "--set", "balance.limit=100000"]);
    assert!(!funnel.contains("near_duplicate"), "{funnel}");
    let known = ["--set", "name=again", "--set", "dedup.against=[\"runs/small/shards\"]"];
    let again: Vec<&str> =
        ["build", "--set", "balance.limit=100000"].into_iter().chain(known).collect();
    let output = world.run(&again);
    let funnel = String::from_utf8_lossy(&output.stdout);
    let fell = funnel.lines().find(|line| line.contains("in_corpus"));
    assert!(fell.is_some(), "{funnel}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn every_list_that_a_source_reads_is_inspected() {
    let world = World::new();
    let csv = "TEXT,url,width,height\n\"a boat, red\",https://a.example/1.jpg,640,480\na dog,https://b.example/2.jpg,64,48\n";
    let gz = |text: &str| {
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut gz, text.as_bytes()).unwrap();
        gz.finish().unwrap()
    };
    let lines = "{\"url\": \"https://a.example/1.jpg\", \"caption\": \"a boat\"}\n{\"url\": \"https://b.example/2.jpg\"}\n";
    let rows = "[{\"url\": \"https://a.example/1.jpg\", \"text\": \"a boat\"}, {\"url\": \"https://b.example/2.jpg\", \"text\": \"a dog\"}]";
    std::fs::create_dir(world.path("lists")).unwrap();
    for (name, bytes) in [
        ("a.csv", csv.as_bytes().to_vec()),
        ("a.csv.gz", gz(csv)),
        ("a.tsv", csv.replace("a boat, red", "a boat").replace(',', "\t").into_bytes()),
        ("a.jsonl", lines.as_bytes().to_vec()),
        ("a.jsonl.gz", gz(lines)),
        ("a.json", rows.as_bytes().to_vec()),
        ("a.txt", b"https://a.example/1.jpg\nhttps://b.example/2.jpg\n".to_vec()),
    ] {
        std::fs::write(world.path("lists").join(name), bytes).unwrap();
        let printed = world.good(&["inspect", "--json", &format!("lists/{name}")]);
        let printed: serde_json::Value = serde_json::from_str(&printed).unwrap();
        assert_eq!(printed["pairs"], 2, "{name}: {printed}");
        assert!(printed.to_string().contains("b.example"), "{name}: {printed}");
    }
    let printed = world.good(&["inspect", "--json", "lists"]);
    assert!(printed.contains("\"pairs\": 14"), "{printed}");
    std::fs::write(world.path("other.csv"), "a,b\n1,2\n").unwrap();
    let printed = world.fails(&["inspect", "other.csv"], 2);
    assert!(printed.contains("none of its columns is known"), "{printed}");
}

#[test]
fn shards_that_are_all_gone_are_not_taken_for_tables() {
    let (world, ..) = built();
    world.good(&["reshard", "--input", "runs/small/shards", "--out", "copy"]);
    for name in std::fs::read_dir(world.path("copy")).unwrap().flatten() {
        if name.path().extension().is_some_and(|ending| ending == "tar") {
            std::fs::remove_file(name.path()).unwrap();
        }
    }
    let contamination =
        ["contamination", "--corpus", "copy", "--eval", "toys=toys", "--out", "out"];
    for command in [&["verify", "copy"][..], &["inspect", "copy"], &contamination] {
        let printed = world.run(command);
        let shown =
            String::from_utf8_lossy(&[printed.stdout, printed.stderr].concat()).into_owned();
        assert_eq!(printed.status.code(), Some(4), "{command:?}: {shown}");
        assert!(shown.contains("it is gone"), "{shown}");
    }
}

#[test]
fn a_file_of_the_corpus_is_found_whatever_was_stored_of_it() {
    let (world, ..) = built();
    let has = |image: &str| world.good(&["inspect", "runs/small", "--has", image]);
    assert!(has("images/00/000.jpg").contains("the same file"), "{}", has("images/00/000.jpg"));
}
