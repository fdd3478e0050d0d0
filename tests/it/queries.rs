//! `clip-data queries`: lists from what the paper's is made of, and what they find.

use crate::world::World;

const DUMP: &str = "<mediawiki><siteinfo><namespaces><namespace key=\"6\">File</namespace></namespaces></siteinfo>";

/// A small wiki: "golden apple" occurs together only, words of the articles occur often.
fn wiki(world: &World) {
    let article = "<page><title>A</title><ns>0</ns><revision><text>A '''golden apple''' of the [[garden|old \
                   garden]].{{hidden}} The golden apple is old, of the garden.</text></revision></page>\n";
    let dump = format!("{DUMP}{}</mediawiki>\n", article.repeat(60));
    std::fs::write(world.path("dump.xml"), dump).unwrap();
    std::fs::write(
        world.path("views"),
        "en Golden_Apple 60 0\nen Red_Delicious 60 0\nen Rare 9 0\n",
    )
    .unwrap();
}

#[test]
fn a_dump_becomes_a_list_that_says_where_it_came_from() {
    let world = World::new();
    wiki(&world);
    let printed = world.good(&[
        "queries",
        "build",
        "--dump",
        "dump.xml",
        "--pageviews",
        "views",
        "views",
        "--min-bigram-count",
        "60",
        "--min-pmi",
        "2.5",
        "--out",
        "q.parquet",
        "q.txt",
    ]);
    assert!(printed.contains("dump: dump.xml: 60 articles"), "{printed}");
    let text = std::fs::read_to_string(world.path("q.txt")).unwrap();
    let list: Vec<&str> = text.lines().collect();
    assert_eq!(list[..3], ["the", "apple", "garden"], "words by count, then by spelling: {list:?}");
    assert!(!list.contains(&"hidden"), "{list:?}");
    assert_eq!(list.iter().filter(|query| query.eq_ignore_ascii_case("golden apple")).count(), 1);
    assert_eq!(list.last(), Some(&"Red Delicious"));
    let stats = world.good(&["queries", "stats", "q.parquet"]);
    assert!(
        printed.starts_with(&stats),
        "what a build says is stored with the list: {printed} {stats}"
    );
    assert!(stats.contains("pageviews: views: 3 lines, 2 counted"), "{stats}");

    std::fs::write(world.path("captions.txt"), "a golden  Apple\nRED DELICIOUS!\nnothing else\n")
        .unwrap();
    let found = world.good(&[
        "queries",
        "stats",
        "q.parquet",
        "--captions",
        "captions.txt",
        "--chart",
        "tail.svg",
    ]);
    assert!(found.contains("with a query: 2 (66.7%)"), "{found}");
    // A list's column of captions, not its lines.
    let csv = "url,caption\nhttp://a/red delicious,\"a golden\nApple\"\nhttp://a/2,nothing\n";
    std::fs::write(world.path("pairs.csv"), csv).unwrap();
    let rows = "{\"TEXT\": \"a golden apple\"}\n{\"TEXT\": \"no\"}\n";
    std::fs::write(world.path("pairs.jsonl"), rows).unwrap();
    let stats = ["queries", "stats", "q.parquet", "--captions"];
    for args in [&["pairs.csv", "--column", "Caption"][..], &["pairs.jsonl"]] {
        let found = world.good(&[&stats[..], args].concat());
        assert!(found.contains("captions: 2\nwith a query: 1 (50.0%)"), "{found}");
    }
    for (args, named) in [
        (&["pairs.csv"][..], "pairs.csv: no column \"TEXT\"\nhint: "),
        (&["pairs.csv", "--column", "NOPE"], "no column \"NOPE\"\nhint: "),
        (&["captions.txt", "--column", "TEXT"], "--column TEXT: no effect on captions.txt"),
    ] {
        let error = world.fails(&[&stats[..], args].concat(), 2);
        assert!(error.contains(named), "{args:?}: {error}");
    }
    assert!(std::fs::read_to_string(world.path("tail.svg")).unwrap().contains("<polyline"));
}

#[test]
fn what_a_balance_did_is_reported_query_by_query() {
    let world = World::new();
    world.good(&["build", "--until", "balance"]);
    let printed =
        world.good(&["queries", "stats", "queries.txt", "--run", "runs/small", "--head", "3"]);
    let value = |label: &str| {
        let line = printed.lines().find(|line| line.starts_with(label));
        line.and_then(|line| line.rsplit("  ").next())
            .unwrap_or_else(|| panic!("{label}: {printed}"))
    };
    assert_eq!(value("mode"), "assign");
    let charged: u64 = value("most pairs charged to one query").parse().unwrap();
    let limit: u64 = value("limit, pairs a query").parse().unwrap();
    assert!(charged > 0 && charged <= limit, "the limit holds for what is charged: {printed}");
    assert!(printed.contains("before     after   charged  query"), "{printed}");
    assert!(printed.contains("share of matches that queries below the limit have"), "{printed}");
}

#[test]
fn bad_inputs_of_a_list_are_named_or_counted() {
    let world = World::new();
    wiki(&world);
    let dump = std::fs::read(world.path("dump.xml")).unwrap();
    std::fs::write(world.path("half.xml"), &dump[..dump.len() / 2]).unwrap();
    std::fs::write(world.path("latin1.txt"), b"caf\xe9 cr\xe8me\n").unwrap();
    std::fs::write(world.path("bad.tsv"), "word\t5\nno count\n").unwrap();
    std::fs::write(world.path("pairs.csv"), "url,caption\nhttp://a/1,an apple\n").unwrap();
    std::fs::write(world.path("empty.txt"), "\n\n").unwrap();
    for (args, named) in [
        (&["--dump", "half.xml"][..], "half.xml: the dump is cut off after 2"),
        (&["--dump", "latin1.txt"], "latin1.txt: it does not begin with <mediawiki"),
        (&["--text", "latin1.txt"], "latin1.txt: 1 of 1 lines are not UTF-8"),
        (&["--text", "pairs.csv"], "pairs.csv: it is a table, not text\nhint: "),
        (&["--list", "pairs.csv"], "pairs.csv: it is a table, not text\nhint: one query a line"),
        (&["--counts", "bad.tsv"], "bad.tsv line 2: not `word<TAB>count`"),
        (&["--list", "empty.txt"], "empty.txt: it holds no query"),
        (&["--pageviews", "bad.tsv"], "bad.tsv line 1: not `project title views bytes`"),
        (&["--bigram-counts", "bad.tsv"], "needs --counts"),
        (&[], "nothing to build a list from"),
    ] {
        let args = [&["queries", "build", "--out", "q.parquet"], args].concat();
        let printed = world.fails(&args, 2);
        assert!(printed.contains(named), "{args:?}: {printed}");
        assert!(!world.path("q.parquet").exists());
    }
    // What would not be read as a list is not written.
    let args = ["queries", "build", "--dump", "dump.xml", "--out", "q.csv"];
    assert!(world.fails(&args, 2).contains("hint: a list is .parquet, .json or text"));
    let long = "x".repeat(10 << 20);
    std::fs::write(world.path("odd.txt"), format!("boat\n\n{long}\nboat\nhouse\n")).unwrap();
    let printed = world.good(&["queries", "stats", "odd.txt"]);
    for passed in ["1 rows empty", "1 rows longer than 256 bytes", "1 rows of an earlier text"] {
        assert!(printed.contains(passed), "{printed}");
    }
    // Rows that are no queries keep the ids of those after them.
    world.good(&["build", "--until", "match", "--set", "queries.list=odd.txt"]);
}
