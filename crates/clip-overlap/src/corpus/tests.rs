//! The same images, however they are stored.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use clip_corpus::{ShardWriter, write_parquet};

use super::*;

fn rows_of(spec: &Path) -> Vec<CorpusRow> {
    let mut found = Vec::new();
    for unit in units(&spec.display().to_string()).unwrap() {
        unit.each(&mut |row| {
            found.push(row);
            Ok(true)
        })
        .unwrap();
    }
    found
}

fn row_of(id: &str, image: &[u8]) -> CorpusRow {
    let (url, caption) = ("http://x.org/1".to_owned(), "a dog".to_owned());
    CorpusRow { id: id.into(), image: Some(image.to_vec()), url, caption, ..CorpusRow::default() }
}

#[test]
fn shards_tables_and_folders_give_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let json = br#"{"url":"http://x.org/1","caption":"other"}"#.to_vec();
    let shards = dir.path().join("shards");
    let mut writer = ShardWriter::create(&shards.join("0.tar")).unwrap();
    let fields = [("jpg", b"bytes".to_vec()), ("json", json.clone()), ("txt", b"a dog\n".to_vec())];
    let fields = fields.map(|(name, bytes)| (name.to_owned(), bytes)).to_vec();
    writer.write(&Sample { key: "000".into(), fields }).unwrap();
    writer.finish().unwrap();
    assert_eq!(rows_of(&shards), [row_of("000", b"bytes")]);

    let table = dir.path().join("t.parquet");
    let text = |cell: &str| -> ArrayRef { Arc::new(StringArray::from(vec![cell])) };
    let image: ArrayRef = Arc::new(BinaryArray::from(vec![b"bytes".as_slice()]));
    let columns = [("url", text("http://x.org/1")), ("caption", text("a dog")), ("jpg", image)];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    write_parquet(&table, batch.schema(), &[batch]).unwrap();
    assert_eq!(rows_of(&table), [row_of("0", b"bytes")]);

    let folder = dir.path().join("images/00000");
    std::fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in [("7.jpg", b"bytes".as_slice()), ("7.txt", b"a dog"), ("7.json", &json)] {
        std::fs::write(folder.join(name), bytes).unwrap();
    }
    assert_eq!(rows_of(&dir.path().join("images")), [row_of("00000/7.jpg", b"bytes")]);
}

#[test]
fn lists_bring_hashes_and_those_without_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let csv = dir.path().join("l.csv");
    std::fs::write(&csv, "url,phash,sha256\nhttp://x.org/1,9fee256239984d71,AB\n").unwrap();
    let jsonl = dir.path().join("l.jsonl");
    let line = r#"{"url":"http://x.org/1","phash":"9fee256239984d71","sha256":"ab"}"#;
    std::fs::write(&jsonl, line).unwrap();
    let table = dir.path().join("t.parquet");
    let phash: ArrayRef = Arc::new(Int64Array::from(vec![0x9fee_2562_3998_4d71_u64 as i64]));
    let batch = RecordBatch::try_from_iter([("phash", phash)]).unwrap();
    write_parquet(&table, batch.schema(), &[batch]).unwrap();
    for list in [&csv, &jsonl, &table] {
        let found = rows_of(list);
        assert_eq!(found[0].phash, Some(0x9fee_2562_3998_4d71), "{}", list.display());
        assert!(found[0].image.is_none());
    }
    assert_eq!(rows_of(&csv)[0].files, ["ab"]);
    std::fs::write(&csv, "url,caption\nhttp://x.org/1,a\n").unwrap();
    let unit = units(&csv.display().to_string()).unwrap().remove(0);
    let error = unit.each(&mut |_| Ok(true)).unwrap_err().to_string();
    assert!(error.contains("only url, caption") && error.contains("hint: "), "{error}");
    assert!(units(&dir.path().join("none.tar").display().to_string()).is_err());
}

#[test]
fn rows_that_were_not_fetched_are_not_in_the_corpus() {
    let dir = tempfile::tempdir().unwrap();
    let texts = |cells: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from(cells.to_vec())) };
    let columns = [
        ("key", texts(["0", "1", "2"])),
        ("sha256", texts(["aa", "bb", "cc"])),
        ("status", texts(["success", "failed_to_download", "success"])),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let table = dir.path().join("00000.parquet");
    write_parquet(&table, batch.schema(), &[batch]).unwrap();
    let csv = dir.path().join("l.csv");
    std::fs::write(&csv, "sha256,status\naa,success\nbb,failed_to_resize\ncc,\n").unwrap();
    let jsonl = dir.path().join("l.jsonl");
    let line = |hash: &str, status: &str| format!(r#"{{"sha256":"{hash}","status":"{status}"}}"#);
    let lines = [line("aa", "success"), line("bb", "failed_to_download"), line("cc", "success")];
    std::fs::write(&jsonl, lines.join("\n")).unwrap();
    for list in [&table, &csv, &jsonl] {
        let found: Vec<_> = rows_of(list).into_iter().map(|row| (row.id, row.files)).collect();
        let expected = [("0", "aa"), ("2", "cc")];
        let expected = expected.map(|(id, hash)| (id.to_owned(), vec![hash.to_owned()]));
        assert_eq!(found, expected, "{}", list.display());
    }
}

#[test]
fn a_changed_file_changes_its_units_state() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.csv");
    std::fs::write(&file, "phash\n").unwrap();
    let state = || units(&file.display().to_string()).unwrap()[0].state().unwrap();
    let before = state();
    assert_eq!(before, state());
    std::fs::write(&file, "phash\n9fee256239984d71\n").unwrap();
    assert_ne!(before, state());
}

#[test]
fn json_is_read_as_python_writes_it_and_a_broken_row_falls_alone() {
    let dir = tempfile::tempdir().unwrap();
    let jsonl = dir.path().join("l.jsonl");
    let lines = [
        r#"{"url":"u0","similarity":NaN}"#,
        r#"{"url":"u1","phash":"9fee256239984d71","caption":"\ud83d cat"}"#,
        "{broken",
        r#"{"url":"u3","phash":"9fee256239984d70","similarity":Infinity}"#,
    ];
    std::fs::write(&jsonl, format!("\u{feff}{}", lines.join("\n"))).unwrap();
    let found = rows_of(&jsonl);
    let urls: Vec<_> = found.iter().map(|p| (p.url.as_str(), p.phash.is_some())).collect();
    assert_eq!(urls, [("u0", false), ("u1", true), ("", false), ("u3", true)]);
    assert_eq!(found[1].caption, "\u{fffd} cat");

    let mut writer = ShardWriter::create(&dir.path().join("0.tar")).unwrap();
    let json = br#"{"url":"u","caption":"a cat","similarity":NaN}"#.to_vec();
    let fields = vec![("jpg".to_owned(), b"bytes".to_vec()), ("json".to_owned(), json)];
    writer.write(&Sample { key: "000".into(), fields }).unwrap();
    writer.finish().unwrap();
    let found = rows_of(&dir.path().join("0.tar"));
    assert_eq!((found[0].url.as_str(), found[0].caption.as_str()), ("u", "a cat"));
}

#[test]
fn a_quoted_tab_or_end_of_line_belongs_to_its_cell() {
    let dir = tempfile::tempdir().unwrap();
    let tsv = dir.path().join("l.tsv");
    let text = "caption\turl\tphash\n\"left\tright\"\tu1\t9fee256239984d71\n\"never closed\tu2\t0\n\"one\ntwo\"\tu3\t9fee256239984d71\n";
    std::fs::write(&tsv, text).unwrap();
    let found = rows_of(&tsv);
    let rows: Vec<_> = found.iter().map(|p| (p.caption.as_str(), p.url.as_str())).collect();
    assert_eq!(rows, [("left\tright", "u1"), ("", ""), ("one\ntwo", "u3")]);
}
