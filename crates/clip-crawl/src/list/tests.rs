//! Lists of every format, and what is wrong with them.

use super::*;
use std::io::Write;
use std::sync::Arc;

use clip_pipeline::config::source::CaptionList;

use arrow::array::{ArrayRef, ListBuilder, StringArray, StringBuilder};

fn lists(name: &str, content: &[u8], dir: &Path) -> Result<Lists> {
    std::fs::write(dir.join(name), content).unwrap();
    let (url_col, caption_col) = ("url".into(), "caption".into());
    let (paths, caption_list) = (vec![name.into()], CaptionList::Refuse);
    let columns = Vec::new();
    let list =
        List { paths, format: None, url_col, caption_col, caption_list, columns, part_rows: 2 };
    Lists::new(&list, dir)
}

fn gz(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn rows(lists: &Lists, unit: usize) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    lists
        .each(unit, &mut |item| {
            rows.push(match item {
                Item::Pair(pair) | Item::With(pair, _) => (pair.url, pair.caption),
                Item::Rejected(_, caption, reason, _) => (reason.to_owned(), caption),
                Item::Lost(detail) => ("damaged".to_owned(), detail),
            });
            Ok(true)
        })
        .unwrap();
    rows
}

fn parquet_bytes() -> Vec<u8> {
    let urls: ArrayRef =
        Arc::new(StringArray::from(vec![Some("http://e.com/1"), Some("http://e.com/2"), None]));
    let captions: ArrayRef =
        Arc::new(StringArray::from(vec![Some("one, \"two\""), Some("drei ü"), Some("four")]));
    let batch = RecordBatch::try_from_iter([("URL", urls), ("caption", captions)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer =
        ::parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn every_format_gives_the_same_rows_from_any_part_on() {
    let dir = tempfile::tempdir().unwrap();
    let csv = "caption,url\n\"one, \"\"two\"\"\",http://e.com/1\ndrei ü,http://e.com/2\nfour,\n"
        .as_bytes();
    let tsv =
        "caption\turl\n\"one, \"\"two\"\"\"\thttp://e.com/1\ndrei ü\thttp://e.com/2\nfour\t\n"
            .as_bytes();
    let jsonl = "{\"url\":\"http://e.com/1\",\"caption\":\"one, \\\"two\\\"\",\"n\":1}\n\n{\"caption\":\"drei ü\",\"url\":\"http://e.com/2\"}\n{\"caption\":\"four\",\"url\":null}\n".as_bytes();
    let json = r#"{"n":{"0":1,"1":2,"2":3},"url":{"0":"http://e.com/1","1":"http://e.com/2","2":null},"caption":{"0":"one, \"two\"","1":"drei ü","2":"four"}}"#.as_bytes();
    let array = r#"[{"url":"http://e.com/1","caption":"one, \"two\""},{"url":"http://e.com/2","caption":"drei ü"},{"url":null,"caption":"four"}]"#.as_bytes();
    for (name, content) in [
        ("a.csv", csv.to_vec()),
        ("a.csv.gz", gz(csv)),
        ("a.tsv", tsv.to_vec()),
        ("a.tsv.gz", gz(tsv)),
        ("a.json", json.to_vec()),
        ("a.json.gz", gz(json)),
        ("b.json", array.to_vec()),
        ("a.jsonl", jsonl.to_vec()),
        ("a.jsonl.gz", gz(jsonl)),
        ("a.parquet", parquet_bytes()),
    ] {
        let lists = lists(name, &content, dir.path()).unwrap();
        assert_eq!(lists.units().unwrap(), 2, "{name}");
        let last = rows(&lists, 1);
        assert_eq!(last.len(), 1, "{name}");
        assert_eq!(last[0].1, "four", "{name}");
        for _ in 0..2 {
            let first = rows(&lists, 0);
            assert_eq!(first[0], ("http://e.com/1".into(), "one, \"two\"".into()), "{name}");
            assert_eq!(first[1], ("http://e.com/2".into(), "drei ü".into()), "{name}");
        }
    }
    for (name, content) in [
        ("a.txt", b"http://e.com/1,x\n\nhttp://e.com/2\r\n".to_vec()),
        ("a.txt.gz", gz(b"http://e.com/1,x\nhttp://e.com/2")),
    ] {
        let lists = lists(name, &content, dir.path()).unwrap();
        let expected = [("http://e.com/1,x".into(), String::new())];
        assert_eq!(rows(&lists, 0)[..1], expected, "{name}");
        assert_eq!(lists.units().unwrap(), 1, "{name}");
    }
}

#[test]
fn a_missing_column_names_those_that_are_there() {
    let dir = tempfile::tempdir().unwrap();
    for (name, content) in [
        ("a.csv", "link,TEXT\nx,y\n"),
        ("a.jsonl", "{\"link\":\"x\",\"TEXT\":\"y\"}\n"),
        ("a.json", "{\"link\":{\"0\":\"x\"},\"TEXT\":{\"0\":\"y\"}}"),
        ("b.json", "[{\"link\":\"x\",\"TEXT\":\"y\"}]"),
    ] {
        let lists = lists(name, content.as_bytes(), dir.path()).unwrap();
        let message = lists.units().unwrap_err().to_string();
        let named = message.contains("no column \"url\"") && message.contains("link, TEXT");
        assert!(named, "{name}: {message}");
    }
}

fn all(name: &str, content: &[u8], caption_list: CaptionList) -> Result<Vec<(String, String)>> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join(name), content).unwrap();
    let (url_col, caption_col, paths) = ("url".into(), "caption".into(), vec![name.into()]);
    let columns = Vec::new();
    let list =
        List { paths, format: None, url_col, caption_col, caption_list, columns, part_rows: 2 };
    let lists = Lists::new(&list, dir.path())?;
    Ok((0..lists.units()?).flat_map(|unit| rows(&lists, unit)).collect())
}

fn pair(url: &str, caption: &str) -> (String, String) {
    (url.to_owned(), caption.to_owned())
}

#[test]
fn a_broken_row_falls_alone() {
    let jsonl =
        "{\"url\":\"u1\",\"caption\":\"one\"}\n{broken\n5\n{\"url\":\"u2\",\"caption\":\"two\"}\n";
    let tsv = "url\tcaption\nu1\tone\n\"u9\tnever closed\nu2\tthree\tcells\nu2\ttwo\n";
    let json = r#"[{"url":"u1","caption":"one"},5,"x",{"url":"u2","caption":"two"}]"#;
    let object = r#"[{"url":"u1","caption":"one"},{"url":"u9","caption":{"en":"x"}},{"url":["u9"]},{"url":"u2","caption":"two"}]"#;
    let bad = || pair("bad_row", "");
    for (name, content) in
        [("a.jsonl", jsonl), ("a.tsv", tsv), ("a.csv", &tsv.replace('\t', ",")), ("a.json", json)]
    {
        let found = all(name, content.as_bytes(), CaptionList::Refuse).unwrap();
        assert_eq!(found, [pair("u1", "one"), bad(), bad(), pair("u2", "two")], "{name}");
    }
    // A list in the URL's column is refused before anything is read.
    assert!(all("b.json", object.as_bytes(), CaptionList::Refuse).is_err());
    let object = object.replace("[\"u9\"]", "{}");
    let found = all("b.json", object.as_bytes(), CaptionList::Refuse).unwrap();
    assert_eq!(found, [pair("u1", "one"), bad(), bad(), pair("u2", "two")]);
}

#[test]
fn a_line_that_is_too_long_falls_alone() {
    let long = vec![b'a'; clip_guard::LONGEST_LINE + 1];
    let good = pair("http://e.com/1", "one");
    for (name, head, last) in [
        ("a.csv.gz", "url,caption\n", "\nhttp://e.com/1,one\n"),
        ("a.tsv", "url\tcaption\n", "\nhttp://e.com/1\tone\n"),
        (
            "a.jsonl.gz",
            "{\"url\":null,\"caption\":\"none\"}\n",
            "\n{\"url\":\"http://e.com/1\",\"caption\":\"one\"}\n",
        ),
    ] {
        let content = [head.as_bytes(), &long, last.as_bytes()].concat();
        let content = if name.ends_with(".gz") { gz(&content) } else { content };
        let rows = all(name, &content, CaptionList::Refuse).unwrap();
        assert_eq!(rows[rows.len() - 2].0, "bad_row", "{name}");
        assert_eq!(rows[rows.len() - 1], good, "{name}");
    }
    let text = [&b"http://e.com/1\n"[..], &long, b"\nhttp://e.com/2\n"].concat();
    let rows = all("a.txt.gz", &gz(&text), CaptionList::Refuse).unwrap();
    let kinds: Vec<&str> = rows.iter().map(|(url, _)| url.as_str()).collect();
    assert_eq!(kinds, ["http://e.com/1", "bad_row", "http://e.com/2"]);
    let whole = [b"[{\"url\":\"", &long[..], b"\",\"caption\":\"\"}]"].concat();
    let refused = all("a.json.gz", &gz(&whole), CaptionList::Refuse).err().unwrap().to_string();
    assert!(refused.contains("16 MiB"), "{refused}");
}

#[test]
fn columns_of_unequal_length_are_named() {
    let short = "{\"url\":{\"0\":\"a\",\"1\":\"b\"},\"caption\":{\"0\":\"a\"}}";
    let fault = all("a.json", short.as_bytes(), CaptionList::Refuse).unwrap_err().to_string();
    assert!(fault.contains("1 of 2 rows"), "{fault}");
}

#[test]
fn quoted_tabs_and_ends_of_lines_are_text() {
    let text = "caption\turl\n\"left\tright\"\tu1\n\"line one\nline two\"\tu2\n\"say \"\"hi\"\"\"\tu3\nplain\tu4\n";
    let expected = [
        pair("u1", "left\tright"),
        pair("u2", "line one\nline two"),
        pair("u3", "say \"hi\""),
        pair("u4", "plain"),
    ];
    assert_eq!(all("a.tsv", text.as_bytes(), CaptionList::Refuse).unwrap(), expected);
}

#[test]
fn a_byte_order_mark_is_no_text() {
    for (name, content) in [
        ("a.txt", "u1\n"),
        ("a.csv", "url,caption\nu1,one\n"),
        ("a.tsv", "url\tcaption\nu1\tone\n"),
        ("a.jsonl", "{\"url\":\"u1\",\"caption\":\"one\"}\n"),
        ("a.json", "[{\"url\":\"u1\",\"caption\":\"one\"}]"),
        ("b.json", "{\"url\":[\"u1\"],\"caption\":[\"one\"]}"),
    ] {
        let content = format!("\u{feff}{content}");
        for content in [content.as_bytes().to_vec(), gz(content.as_bytes())] {
            let name = if content[0] == 0x1f { format!("{name}.gz") } else { name.to_owned() };
            let found = all(&name, &content, CaptionList::Refuse).unwrap();
            let caption = if name.starts_with("a.txt") { "" } else { "one" };
            assert_eq!(found, [pair("u1", caption)], "{name}");
        }
    }
}

#[test]
fn json_is_read_as_python_writes_it() {
    let rows = [
        r#"{"url":"u1","caption":"one","similarity":NaN}"#,
        r#"{"url":"u2","caption":"a cat \ud83d","user":"x\udc80"}"#,
        r#"{"url":"u3","caption":NaN,"similarity":-Infinity}"#,
    ];
    let expected = [pair("u1", "one"), pair("u2", "a cat \u{fffd}"), pair("u3", "")];
    let found = all("a.jsonl", rows.join("\n").as_bytes(), CaptionList::Refuse).unwrap();
    assert_eq!(found, expected);
    let array = format!("[{}]", rows.join(","));
    assert_eq!(all("a.json", array.as_bytes(), CaptionList::Refuse).unwrap(), expected);
}

#[test]
fn no_single_row_decides_the_columns() {
    let rows = [r#"{"url":"u1"}"#, r#"{"url":"u2","caption":"two"}"#];
    let expected = [pair("u1", ""), pair("u2", "two")];
    let lines = rows.join("\n");
    assert_eq!(all("a.jsonl", lines.as_bytes(), CaptionList::Refuse).unwrap(), expected);
    let array = format!("[{}]", rows.join(","));
    assert_eq!(all("a.json", array.as_bytes(), CaptionList::Refuse).unwrap(), expected);
}

#[test]
fn lists_of_captions_are_refused_or_taken_as_asked() {
    let mut captions = ListBuilder::new(StringBuilder::new());
    for list in [vec![Some("a cat"), None, Some("the cat")], vec![], vec![Some("a dog")]] {
        list.iter().for_each(|caption| captions.values().append_option(*caption));
        captions.append(true);
    }
    let urls: ArrayRef = Arc::new(StringArray::from(vec!["u1", "u2", "u3"]));
    let captions: ArrayRef = Arc::new(captions.finish());
    let batch = RecordBatch::try_from_iter([("url", urls), ("caption", captions)]).unwrap();
    let mut table = Vec::new();
    let mut writer =
        ::parquet::arrow::ArrowWriter::try_new(&mut table, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let rows = [
        r#"{"url":"u1","caption":["a cat",null,"the cat"]}"#,
        r#"{"url":"u2","caption":[]}"#,
        r#"{"url":"u3","caption":["a dog"]}"#,
    ];
    let columns = r#"{"url":["u1","u2","u3"],"caption":[["a cat","the cat"],[],["a dog"]]}"#;
    for (name, content) in [
        ("a.parquet", table),
        ("a.jsonl", rows.join("\n").into_bytes()),
        ("a.json", format!("[{}]", rows.join(",")).into_bytes()),
        ("b.json", columns.as_bytes().to_vec()),
    ] {
        let refused = all(name, &content, CaptionList::Refuse).unwrap_err().to_string();
        let named = refused.contains("\"caption\" holds lists") && refused.contains("caption_list");
        assert!(named && refused.contains("\nhint: "), "{name}: {refused}");
        let first = all(name, &content, CaptionList::First).unwrap();
        assert_eq!(first, [pair("u1", "a cat"), pair("u2", ""), pair("u3", "a dog")], "{name}");
        let every = all(name, &content, CaptionList::All).unwrap();
        let expected =
            [pair("u1", "a cat"), pair("u1", "the cat"), pair("u2", ""), pair("u3", "a dog")];
        assert_eq!(every, expected, "{name}");
    }
}

/// The kept columns of every pair of the lists in a folder, and the uid of each.
fn kept(dir: &Path, names: &[&str]) -> Result<(Vec<RecordBatch>, Vec<Option<String>>)> {
    let columns = names.iter().map(|name| (*name).to_owned()).collect();
    let (url_col, caption_col, paths) = ("url".into(), "caption".into(), vec![".".into()]);
    let caption_list = CaptionList::All;
    let list =
        List { paths, format: None, url_col, caption_col, caption_list, columns, part_rows: 100 };
    let lists = Lists::new(&list, dir)?;
    let (mut rows, mut uids) = (Vec::new(), Vec::new());
    for unit in 0..lists.units()? {
        lists.each(unit, &mut |item| {
            if let Item::With(_, more) = item {
                assert_eq!(more.columns.schema(), lists.columns()?);
                rows.push(more.columns.slice(more.row, more.columns.num_rows().min(1)));
                uids.push(more.uid);
            }
            Ok(true)
        })?;
    }
    Ok((rows, uids))
}

fn parquet(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ::parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn texts(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn further_columns_are_kept_with_their_types() {
    let dir = tempfile::tempdir().unwrap();
    let mut tags = ListBuilder::new(StringBuilder::new());
    tags.append_value([Some("a"), Some("b")]);
    tags.append_null();
    let uid = "0123456789abcdef0123456789ABCDEF";
    parquet(
        &dir.path().join("a.parquet"),
        vec![
            ("url", texts(&["http://e.com/1", "http://e.com/2"])),
            ("caption", texts(&["one", "two"])),
            ("uid", texts(&[uid, "17"])),
            ("score", Arc::new(arrow::array::Float64Array::from(vec![Some(0.5), None]))),
            ("count", Arc::new(arrow::array::Int16Array::from(vec![3, 4]))),
            ("safe", Arc::new(arrow::array::BooleanArray::from(vec![true, false]))),
            ("licence", texts(&["CC0", "CC BY"])),
            ("tags", Arc::new(tags.finish())),
        ],
    );
    let (rows, uids) = kept(dir.path(), &["score", "count", "safe", "licence", "tags"]).unwrap();
    assert_eq!(uids, [None, None]);
    let cells = |row: &RecordBatch| -> Vec<String> {
        row.columns()
            .iter()
            .map(|c| format!("{} {}", c.data_type(), clip_corpus::python_cell(c, 0)))
            .collect()
    };
    assert_eq!(
        cells(&rows[0]),
        ["Float64 0.5", "Int16 3", "Boolean true", "Utf8 \"CC0\"", r#"Utf8 "[\"a\",\"b\"]""#]
    );
    assert_eq!(
        cells(&rows[1]),
        ["Float64 null", "Int16 4", "Boolean false", "Utf8 \"CC BY\"", "Utf8 null"]
    );
    // An identity of 32 hex digits is the pair's; a row with another one is rejected.
    let (rows, uids) = kept(dir.path(), &["uid"]).unwrap();
    assert_eq!((rows.len(), uids), (1, vec![Some(uid.to_lowercase())]));
    // Of two kinds in two files.
    parquet(
        &dir.path().join("b.parquet"),
        vec![
            ("url", texts(&["http://e.com/3"])),
            ("caption", texts(&["three"])),
            ("score", Arc::new(arrow::array::Int64Array::from(vec![1]))),
        ],
    );
    let message = kept(dir.path(), &["score"]).err().unwrap().to_string();
    let named = message.contains("Float64 in") && message.contains("Int64 in");
    assert!(named && message.contains("b.parquet"), "{message}");
}

#[test]
fn further_columns_of_other_formats_are_text_and_names_of_the_build_are_refused() {
    for (name, content) in [
        ("a.csv", "url,caption,score,licence\nhttp://e.com/1,one,0.5,\"CC0, or none\"\n"),
        (
            "a.jsonl",
            r#"{"url":"http://e.com/1","caption":"one","score":0.5,"licence":"CC0, or none"}"#,
        ),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(name), content).unwrap();
        let (rows, _) = kept(dir.path(), &["score", "licence"]).unwrap();
        let cells: Vec<_> =
            rows[0].columns().iter().map(|c| c.as_string::<i32>().value(0)).collect();
        assert_eq!(cells, ["0.5", "CC0, or none"], "{name}");
        for (names, reason) in [
            (&["width"][..], "\"width\" is a column that a build has of its own"),
            (&["score", "score"], "named twice"),
            (&["nothing"], "no column \"nothing\""),
        ] {
            let message = kept(dir.path(), names).err().unwrap().to_string();
            assert!(message.contains(reason), "{message}");
        }
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.txt"), "http://e.com/1\n").unwrap();
    let message = kept(dir.path(), &["score"]).err().unwrap().to_string();
    assert!(message.contains("no other columns"), "{message}");
}

#[test]
fn a_list_without_captions_is_read_where_no_column_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("list.csv");
    // pandas writes its index as a column without a name.
    std::fs::write(path, ",url\n0,http://e.com/1\n1,http://e.com/2\n").unwrap();
    let list = |caption_col: &str| List {
        paths: vec!["list.csv".into()],
        format: None,
        url_col: "url".into(),
        caption_col: caption_col.into(),
        caption_list: CaptionList::Refuse,
        columns: Vec::new(),
        part_rows: 2,
    };
    let none = Lists::new(&list(""), dir.path()).unwrap();
    none.check().unwrap();
    let row = |url: &str| (url.to_owned(), String::new());
    assert_eq!(rows(&none, 0), [row("http://e.com/1"), row("http://e.com/2")]);
    let error = Lists::new(&list("caption"), dir.path()).unwrap().check().unwrap_err().to_string();
    assert!(error.contains("no column \"caption\""), "{error}");
}
