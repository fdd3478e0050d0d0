//! Lists from real text, checked against what NLTK says of it and against each other.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::Write;
use std::path::{Path, PathBuf};

use clip_query::{BigramRule, Build, Order, QueryList, QuerySource};

/// WordNet's definitions, a line each; nothing where the package is not installed.
fn definitions(folder: &Path) -> Option<PathBuf> {
    let wordnet = Path::new("/usr/share/wordnet");
    if !wordnet.exists() {
        assert!(
            std::env::var_os("CLIP_DATA_REQUIRE_ALL").is_none(),
            "wordnet-base is not installed"
        );
        eprintln!("skipped: wordnet-base is not installed");
        return None;
    }
    let path = folder.join("definitions.txt");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).unwrap());
    for part in ["noun", "verb", "adj", "adv"] {
        let text = std::fs::read_to_string(wordnet.join(format!("data.{part}"))).unwrap();
        for line in text.lines().filter(|line| !line.starts_with(' ')) {
            writeln!(out, "{}", line.split_once("| ").unwrap().1).unwrap();
        }
    }
    out.flush().unwrap();
    Some(path)
}

fn build(folder: &Path) -> Build {
    Build {
        dumps: vec![],
        texts: vec![],
        word_counts: vec![],
        pair_counts: vec![],
        pageviews: vec![],
        project: "en".into(),
        wordnet: None,
        dictionary: None,
        lists: vec![],
        min_count: 100,
        bigrams: None,
        min_views: 70,
        min_hour_views: 50,
        keep_case: false,
        order: Order::Clip,
        limit: 500_000,
        threads: 2,
        memory: 1 << 30,
        scratch: folder.to_path_buf(),
    }
}

fn texts(list: &QueryList, source: QuerySource) -> Vec<&str> {
    let of = list.queries().iter().filter(|query| query.source == source);
    of.map(|query| query.text.as_str()).collect()
}

#[test]
fn pairs_have_the_counts_and_scores_of_nltk() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = definitions(folder.path()) else { return };
    let golden = include_str!("../data/golden/bigrams.tsv");
    let (total, rows) = golden.split_once('\n').unwrap();
    let rule = BigramRule { min_count: 8, min_pmi: Some(0.0), min_npmi: None, most: 400 };
    // Much memory, and so little that counts go to disk again and again.
    for memory in [1 << 30, 1 << 20] {
        let build = Build {
            texts: vec![text.clone()],
            bigrams: Some(rule),
            memory,
            ..build(folder.path())
        };
        let list = build.run(&|_| ()).unwrap();
        assert_eq!(list.origin().words.to_string(), total);
        let pairs = list.queries().iter().filter(|query| query.source == QuerySource::Bigram);
        let pairs: Vec<_> = pairs.collect();
        assert_eq!(pairs.len(), 400);
        for (pair, row) in pairs.iter().zip(rows.lines()) {
            let fields: Vec<&str> = row.split('\t').collect();
            assert_eq!(
                (pair.text.as_str(), pair.count.to_string().as_str()),
                (fields[0], fields[1])
            );
            assert!(
                (pair.score - fields[2].parse::<f64>().unwrap()).abs() < 1e-6,
                "{pair:?} {row}"
            );
        }
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "counts on disk are gone");
}

#[test]
fn the_orders_are_the_papers_and_metaclips() {
    let folder = tempfile::tempdir().unwrap();
    let Some(text) = definitions(folder.path()) else { return };
    let own = folder.path().join("own.txt");
    std::fs::write(&own, "my query\n\nMY QUERY\n").unwrap();
    let views = folder.path().join("pageviews");
    std::fs::write(&views, "en St._Louis 90 0\nen Tree 100 0\nen Rare 60 0\n").unwrap();
    let clip = Build {
        texts: vec![text],
        wordnet: Some("/usr/share/wordnet".into()),
        lists: vec![own],
        pageviews: vec![views],
        bigrams: Some(BigramRule { min_count: 100, min_pmi: Some(8.0), min_npmi: None, most: 50 }),
        ..build(folder.path())
    };
    let list = clip.run(&|_| ()).unwrap();
    let order: Vec<_> = list.origin().sources.iter().map(|given| given.source.name()).collect();
    assert_eq!(order, ["list", "unigram", "bigram", "title", "numeral", "wordnet"]);
    assert_eq!(list.queries()[0].text, "my query");
    assert_eq!(texts(&list, QuerySource::Title), ["St. Louis"], "tree is a word already");
    let given = |list: &QueryList, source| {
        list.origin().sources.iter().find(|given| given.source == source).unwrap().clone()
    };
    let words = given(&list, QuerySource::Unigram).kept;
    let names = given(&list, QuerySource::Wordnet);
    assert_eq!(names.offered, 86_554);
    assert!(words > 1_000 && names.repeated > words / 2, "{words} {names:?}");
    assert_eq!(
        list.len() as u64,
        list.origin().sources.iter().map(|given| given.kept).sum::<u64>()
    );

    let metaclip = Build { order: Order::Metaclip, limit: 86_660, ..clip.clone() };
    let metaclip_list = metaclip.run(&|_| ()).unwrap();
    let order: Vec<_> = metaclip_list.origin().sources.iter().map(|g| g.source.name()).collect();
    assert_eq!(order, ["list", "numeral", "wordnet", "unigram", "bigram", "title"]);
    assert_eq!(texts(&metaclip_list, QuerySource::Wordnet).len() + 100, 86_654);
    assert_eq!(metaclip_list.len(), 86_660);
    assert!(given(&metaclip_list, QuerySource::Unigram).beyond > 0);

    let one = Build { threads: 1, ..clip };
    assert_eq!(one.run(&|_| ()).unwrap(), list, "threads do not change a list");
}

#[test]
fn counts_in_files_are_worth_those_of_the_text() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let text = write("t.txt", &"new york is new; the york of new york\n".repeat(60));
    let words = write("w.tsv", "new\t180\nYork\t180\nis\t60\nthe\t60\nof\t60\n");
    let pairs = write(
        "p.tsv",
        "new york\t120\nyork\tis\t60\nis new\t60\nthe york\t60\nyork of\t60\nof new\t60\n",
    );
    let rule = BigramRule { min_count: 50, min_pmi: None, min_npmi: Some(0.1), most: 100 };
    let base = Build { bigrams: Some(rule), min_count: 60, ..build(folder.path()) };
    let from_text = Build { texts: vec![text], ..base.clone() };
    let from_counts = Build { word_counts: vec![words], pair_counts: vec![pairs], ..base };
    let (a, b) = (from_text.run(&|_| ()).unwrap(), from_counts.run(&|_| ()).unwrap());
    assert_eq!(a.queries(), b.queries());
    assert_eq!(texts(&a, QuerySource::Unigram), ["new", "york", "is", "of", "the"]);
    assert!(texts(&a, QuerySource::Bigram).contains(&"new york"));
    let bad = write("bad.tsv", "new 180\n");
    let build = Build { word_counts: vec![bad], ..build(folder.path()) };
    let message = build.run(&|_| ()).unwrap_err().to_string();
    assert!(message.contains("bad.tsv line 1: not `word<TAB>count`"), "{message}");
}

#[test]
fn texts_in_another_encoding_are_reported_and_stray_bytes_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.txt");
    let build = Build { texts: vec![path.clone()], min_count: 1, ..build(folder.path()) };
    let mut text = "a line of words\n".repeat(99).into_bytes();
    text.extend(b"caf\xe9\n");
    std::fs::write(&path, &text).unwrap();
    let list = build.run(&|_| ()).unwrap();
    let found = &list.origin().inputs[0].found;
    assert_eq!(found[0], ("lines".to_owned(), 100));
    assert_eq!(found[1], ("lines that are not UTF-8".to_owned(), 1));
    let utf16: Vec<u8> = "a line\n".repeat(9).encode_utf16().flat_map(u16::to_le_bytes).collect();
    std::fs::write(&path, utf16).unwrap();
    let message = build.run(&|_| ()).unwrap_err().to_string();
    assert!(message.contains("lines are not UTF-8\nhint: "), "{message}");
    // One line of 40 MB is read in pieces.
    std::fs::write(&path, "word ".repeat(8 << 20)).unwrap();
    let list = build.run(&|_| ()).unwrap();
    assert_eq!((list.len(), list.queries()[0].count), (1, 8 << 20));
}
