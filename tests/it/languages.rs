//! Query lists by language: from that language's dump to its own limit.

use std::path::Path;

use clip_corpus::Manifest;
use serde_json::Value;

use crate::world::{World, content, language_model};

const PIPELINE: &str = "schema = 1\nname = \"two\"\n\n[source]\nkind = \"list\"\npaths = [\"pairs.csv\"]\n\n\
    [language]\nmodel = \"MODEL\"\nkeep = [\"en\", \"ja\"]\n\n[queries]\nlist = \"en.parquet\"\n\
    languages = { ja = \"ja.parquet\" }\n\n[balance]\nlimit = 10\n";

/// English and Japanese pairs: queries of each language's tail have a tenth of its matches below
/// ten, and below two.
fn pairs(japanese: bool) -> String {
    let mut list = "url,caption\n".to_owned();
    let mut add = |count: usize, caption: &dyn Fn(usize) -> String| {
        for n in 0..count {
            let row = list.lines().count();
            list += &format!("https://images.example/{row}.jpg,{}\n", caption(n));
        }
    };
    add(40, &|n| format!("a fine photograph of an apple on the table in the sun number {n}"));
    add(4, &|n| format!("the quiet garden behind our old house in the summer number {n}"));
    if japanese {
        add(20, &|n| format!("テーブルの上にある赤いりんごのとても美しい写真です{n}"));
        add(2, &|n| format!("庭でゆっくり眠っている黒猫のかわいい写真です{n}"));
        add(1, &|n| format!("これは何も見つからない文章です apple{n}"));
    }
    list
}

/// Dumps of two wikis, words of Japanese, and lists made of them.
fn lists(world: &World) {
    let dump = |text: &str| {
        let page = format!(
            "<page><title>A</title><ns>0</ns><revision><text>{text}</text></revision></page>\n"
        );
        format!("<mediawiki><siteinfo></siteinfo>{}</mediawiki>\n", page.repeat(60))
    };
    std::fs::write(world.path("en.xml"), dump("'''Apple''' [[garden]]")).unwrap();
    std::fs::write(world.path("ja.xml"), dump("'''りんご'''は[[猫]]と庭")).unwrap();
    std::fs::write(world.path("words.txt"), "りんご 40 名詞\n猫 30\nTシャツ 4\nんご 2\n").unwrap();
    let build = |dump: &str, out: &str, more: &[&str]| {
        let args = ["queries", "build", "--min-count", "60", "--max-bigrams", "0", "--dump", dump];
        [&args[..], more, &["--out", out]].concat().iter().map(|arg| (*arg).to_owned()).collect()
    };
    let run = |args: Vec<String>| world.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(run(build("en.xml", "en.parquet", &[])).status.success());
    // Without words of its language, a text without spaces has none.
    let output = run(build("ja.xml", "ja.parquet", &[]));
    assert_eq!(output.status.code(), Some(2));
    let output = run(build("ja.xml", "ja.parquet", &["--dictionary", "words.txt"]));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed.contains("dictionary: words.txt: 3 words, 1 lines that are"), "{printed}");
    let printed = world.fails(
        &[
            "queries",
            "build",
            "--list",
            "en.parquet",
            "--dictionary",
            "words.txt",
            "--out",
            "x.txt",
        ],
        2,
    );
    assert!(printed.contains("--dictionary has no effect\nhint: "), "{printed}");
    let texts = |list: &str| world.good(&["queries", "stats", list, "--captions", "all.txt"]);
    std::fs::write(world.path("all.txt"), "apple garden りんご 猫 んご 庭 は\n").unwrap();
    assert!(texts("en.parquet").contains("queries in a caption: 2.00"));
    let japanese = texts("ja.parquet");
    assert!(japanese.contains("queries in a caption: 2.00"), "{japanese}");
}

/// The folder of a stage of a run.
fn stage(run: &Path, name: &str) -> std::path::PathBuf {
    let run_file: Value =
        serde_json::from_slice(&std::fs::read(run.join("run.json")).unwrap()).unwrap();
    let stages = run_file["stages"].as_array().unwrap();
    run.join(stages.iter().find(|s| s["stage"] == name).unwrap()["dir"].as_str().unwrap())
}

fn account(run: &Path) -> Value {
    let path = stage(run, "balance").join("scratch/balance.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// What the parts of a stage were committed with.
fn hashes(stage: &Path) -> Vec<(String, String)> {
    let manifest = Manifest::open(stage).unwrap();
    let files = manifest.commits().flat_map(|commit| &commit.files);
    files.map(|file| (file.name.clone(), file.blake3.clone())).collect()
}

#[test]
fn captions_meet_the_queries_of_their_language_and_its_limit() {
    let Some(model) = language_model() else { return };
    let world = World::new();
    lists(&world);
    std::fs::write(world.path("pairs.csv"), pairs(true)).unwrap();
    let pipeline = PIPELINE.replace("MODEL", &model.display().to_string());
    std::fs::write(world.path("two.toml"), &pipeline).unwrap();
    world.good(&["build", "-c", "two.toml", "--until", "balance"]);
    let run = world.path("runs/two");
    let account = account(&run);
    let languages = account["languages"].as_array().unwrap();
    let numbers = |own: &Value| {
        let keys = ["limit", "pairs", "kept", "queries_matched", "most_charged"];
        (own["language"].as_str().unwrap().to_owned(), keys.map(|key| own[key].as_u64().unwrap()))
    };
    // 4 of 44 English matches are below 10, and 2 of 22 Japanese ones at 2.
    let expected = [("en".to_owned(), [10, 44, 14, 2, 10]), ("ja".to_owned(), [2, 22, 4, 2, 2])];
    assert_eq!(languages.iter().map(numbers).collect::<Vec<_>>(), expected);
    assert_eq!((account["pairs"].as_u64(), account["kept"].as_u64()), (Some(67), Some(18)));

    let lines = world.good(&["explain", "https://images.example/45.jpg", "-c", "two.toml"]);
    assert!(lines.contains("りんご") && !lines.contains("no_query"), "{lines}");
    // An English word in a Japanese caption is no query of its language.
    let last = world.good(&[
        "explain",
        "HTTPS://Images.Example:443/67.jpg?utm_source=a",
        "-c",
        "two.toml",
    ]);
    assert!(last.contains("no_query"), "{last}");
    for (list, first) in [("en.parquet", "apple"), ("ja.parquet", "りんご")] {
        let printed = world.good(&["queries", "stats", list, "--run", "runs/two", "--head", "1"]);
        let head = printed.lines().skip_while(|line| !line.contains("charged  query")).nth(1);
        assert!(head.is_some_and(|head| head.ends_with(first)), "{printed}");
    }
    std::fs::write(world.path("other.txt"), "apple\n").unwrap();
    let printed = world.fails(&["queries", "stats", "other.txt", "--run", "runs/two"], 2);
    assert!(printed.contains("other.txt: not a list that runs/two was matched with"), "{printed}");
}

#[test]
fn english_alone_is_as_without_other_lists() {
    let Some(model) = language_model() else { return };
    let world = World::new();
    lists(&world);
    std::fs::write(world.path("pairs.csv"), pairs(false)).unwrap();
    let both = PIPELINE.replace("MODEL", &model.display().to_string());
    let alone = both.replace("languages = { ja = \"ja.parquet\" }\n", "");
    for (name, text) in [("both", both), ("alone", alone)] {
        let text = text.replace("\"two\"", &format!("\"{name}\""));
        std::fs::write(world.path(&format!("{name}.toml")), text).unwrap();
        world.good(&["build", "-c", &format!("{name}.toml"), "--until", "balance"]);
    }
    let runs = ["both", "alone"].map(|name| world.path(&format!("runs/{name}")));
    for name in ["match", "balance"] {
        let [both, alone] = runs.each_ref().map(|run| hashes(&stage(run, name)));
        assert!(!alone.is_empty() && both == alone, "{name}");
    }
    let decisions = |run: &Path| content(&stage(run, "balance").join("decisions"));
    assert!(decisions(&runs[0]) == decisions(&runs[1]));
    assert!(account(&runs[1])["languages"].is_null(), "one list has one account");
    for (more, part) in [
        ("keep = [\"en\"]", "`queries.languages.ja` has no effect"),
        ("keep = [\"ja\"]", "`queries.list` has no effect"),
    ] {
        let text = std::fs::read_to_string(world.path("both.toml")).unwrap();
        let text = text.replace("keep = [\"en\", \"ja\"]", more);
        std::fs::write(world.path("bad.toml"), text).unwrap();
        let printed = world.fails(&["build", "-c", "bad.toml"], 2);
        assert!(printed.contains(part) && printed.contains("hint: "), "{printed}");
    }
    let text = std::fs::read_to_string(world.path("both.toml")).unwrap();
    std::fs::write(world.path("bad.toml"), text.replace("ja.parquet", "gone.parquet")).unwrap();
    let printed = world.fails(&["build", "-c", "bad.toml"], 2);
    assert!(printed.contains("queries.languages.ja: gone.parquet: no such file"), "{printed}");
}
