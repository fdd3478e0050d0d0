//! Rows that must not be in a corpus, by lists of hosts, URLs and hashes.

use std::path::PathBuf;

use clip_corpus::{columns, read_parquet};

use crate::world::{FOLDERS, IMAGES, World};

/// The folder of a stage of the world's run.
fn stage(world: &World, name: &str) -> PathBuf {
    let entries = std::fs::read_dir(world.path("runs/small")).unwrap();
    let mut paths = entries.map(|entry| entry.unwrap().path());
    let named = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().contains(name);
    paths.find(|path| named(path)).unwrap()
}

fn add(world: &World, section: &str) {
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    std::fs::write(world.path("pipeline.toml"), format!("{pipeline}\n{section}")).unwrap();
}

#[test]
fn images_of_the_lists_are_dropped_after_the_fetch_with_file_and_line() {
    let world = World::new();
    // Three images by three hashes, made by the commands that the documentation names.
    let image = |at: usize| world.path(&format!("images/01/{at:03}.jpg"));
    let hash = |kind: &str, at: usize| {
        world.good(&["hash", "--kind", kind, &image(at).display().to_string()])
    };
    world.good(&["build"]);
    let fetched = read_parquet(&stage(&world, "-fetch-").join("part-00001.parquet")).unwrap();
    let sha256 = columns::text(&fetched[0], "sha256").unwrap().value(3).to_owned();
    std::fs::write(world.path("sha256.txt"), format!("# known\n{sha256}  003.jpg\n")).unwrap();
    std::fs::write(world.path("phash.txt"), hash("phash", 4)).unwrap();
    std::fs::write(world.path("pdq.txt"), format!("\n\n{}", hash("pdq", 5))).unwrap();
    add(
        &world,
        "[block]\nsha256 = [\"sha256.txt\"]\nphash = [\"phash.txt\"]\npdq = [\"pdq.txt\"]\n",
    );
    let funnel = world.good(&["build"]);
    let line = funnel.lines().find(|line| line.starts_with("block_images")).unwrap();
    let counts: Vec<usize> = line.split_whitespace().skip(1).map(|n| n.parse().unwrap()).collect();
    assert_eq!(counts, [FOLDERS * IMAGES, FOLDERS * IMAGES - 3, 3], "{funnel}");
    let rejects = stage(&world, "-block_images-").join("rejects/part-00001.parquet");
    let rejects = read_parquet(&rejects).unwrap();
    let text = |name: &str| columns::text(&rejects[0], name).unwrap().clone();
    let reasons: Vec<_> = text("reason").iter().map(|reason| reason.unwrap().to_owned()).collect();
    assert_eq!(reasons, ["blocked_sha256", "blocked_phash", "blocked_pdq"]);
    let details = text("detail");
    assert_eq!(details.value(0), "sha256.txt line 2");
    assert!(details.value(1).starts_with("phash.txt line 1"), "{}", details.value(1));
    assert!(details.value(2).starts_with("pdq.txt line 3"), "{}", details.value(2));
    let printed = world.good(&["explain", text("uid").value(1)]);
    assert!(printed.contains("blocked_phash") && printed.contains("phash.txt line 1"), "{printed}");
}

#[test]
fn hosts_and_urls_of_the_lists_are_dropped_before_the_fetch() {
    let world = World::new();
    let list = "url,caption\nhttp://127.0.0.1:9/a.jpg,a red boat on a river\n\
                http://img.blocked.example/b.jpg,a green boat on a river\n\
                http://127.0.0.1:9/banner/c.jpg,a small boat on a river\n";
    std::fs::write(world.path("list.csv"), list).unwrap();
    std::fs::write(world.path("hosts.txt"), "blocked.example\n").unwrap();
    std::fs::write(world.path("urls.txt"), "# banners\n*/banner/*\n").unwrap();
    let pipeline = "schema = 1\nname = \"small\"\n[source]\nkind = \"list\"\npaths = [\"list.csv\"]\n\
                    [fetch]\nallow_private = true\nretries = 0\n\
                    [block]\nhosts = [\"hosts.txt\"]\nurls = [\"urls.txt\"]\n";
    std::fs::write(world.path("pipeline.toml"), pipeline).unwrap();
    let funnel = world.good(&["build", "--until", "unique"]);
    let line = funnel.lines().find(|line| line.starts_with("block_urls")).unwrap();
    assert!(line.split_whitespace().skip(1).eq(["3", "1", "2"]), "{funnel}");
    let rejects = stage(&world, "-block_urls-").join("rejects/part-00000.parquet");
    let rejects = read_parquet(&rejects).unwrap();
    let text = |name: &str| -> Vec<String> {
        let column = columns::text(&rejects[0], name).unwrap();
        column.iter().map(|cell| cell.unwrap().to_owned()).collect()
    };
    assert_eq!(text("reason"), ["blocked_host", "blocked_url"]);
    let details = ["url: blocked.example (hosts.txt line 1)", "url: */banner/* (urls.txt line 2)"];
    assert_eq!(text("detail"), details);
}

#[test]
fn lists_that_are_empty_missing_or_no_hashes_are_named() {
    let world = World::new();
    let pipeline = std::fs::read_to_string(world.path("pipeline.toml")).unwrap();
    let refuse = |section: &str| {
        std::fs::write(world.path("pipeline.toml"), format!("{pipeline}\n{section}")).unwrap();
        world.fails(&["build"], 2)
    };
    assert!(refuse("[block]\n").contains("[block] names no list"));
    let idle = refuse("[block]\nhosts = [\"queries.txt\"]\npdq_radius = 3\n");
    assert!(idle.contains("`block.pdq_radius` has no effect"), "{idle}");
    assert!(
        refuse("[block]\npdq = [\"none.txt\"]\n").contains("block.pdq: none.txt: no such file")
    );
    std::fs::write(world.path("phash.txt"), "# c\n0123456789abcdef x\n12345\n").unwrap();
    let odd = refuse("[block]\nphash = [\"phash.txt\"]\n");
    assert!(odd.contains("phash.txt: line 3: \"12345\" is not a hash of 16"), "{odd}");
}
