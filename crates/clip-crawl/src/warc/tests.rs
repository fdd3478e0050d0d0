//! Records from any byte on, and what damage costs.

use super::*;
use std::io::Write;

pub fn record(kind: &str, uri: &str, content: &[u8]) -> Vec<u8> {
    off_by(0, kind, uri, content)
}

/// A record whose length is wrong by some bytes.
pub fn off_by(bytes: isize, kind: &str, uri: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: {uri}\r\nContent-Length: {}\r\n\r\n",
        content.len().saturating_add_signed(bytes)
    );
    [head.as_bytes(), content, b"\r\n\r\n"].concat()
}

pub fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// URIs and contents of the records in a range, and the losses.
fn read(bytes: &[u8], from: u64, end: u64) -> (Vec<(String, String)>, Vec<String>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.warc.gz");
    std::fs::write(&path, bytes).unwrap();
    let (mut found, mut lost) = (Vec::new(), Vec::new());
    let mut records = Records::open(&path, from, end).unwrap();
    records
        .each(&mut |event| {
            match event {
                Event::Record(record) => {
                    let uri = record.header("warc-target-uri").unwrap().into_owned();
                    found.push((uri, String::from_utf8_lossy(record.content).into_owned()));
                }
                Event::Lost(detail) => lost.push(detail),
            }
            Ok(true)
        })
        .unwrap();
    (found, lost)
}

fn uris(bytes: &[u8], from: u64, end: u64) -> Vec<String> {
    read(bytes, from, end).0.into_iter().map(|(uri, _)| uri).collect()
}

#[test]
fn ranges_of_any_size_give_each_record_once() {
    let members: Vec<Vec<u8>> = (0..40)
        .map(|i| gz(&record("response", &format!("u{i}"), &[0x1f, 0x8b, 8].repeat(i * 7))))
        .collect();
    let bytes = members.concat();
    let all = uris(&bytes, 0, u64::MAX);
    assert_eq!(all.len(), 40);
    for size in [1usize, 97, 500, 1500, bytes.len()] {
        let ranges = (0..bytes.len()).step_by(size);
        let split = ranges.flat_map(|from| uris(&bytes, from as u64, (from + size) as u64));
        assert_eq!(split.collect::<Vec<_>>(), all, "ranges of {size}");
    }
}

#[test]
fn damage_costs_what_it_covers_and_each_of_it_once() {
    let member = |i: usize| {
        gz(&record("response", &format!("u{i}"), format!("content {i}").repeat(9).as_bytes()))
    };
    let good: Vec<Vec<u8>> = (0..5).map(member).collect();
    let mut broken = good.clone();
    let middle = broken[2].len() / 2;
    broken[2][middle] ^= 0x55;
    broken[2][middle + 1] ^= 0x55;
    let mut no_magic = good.clone();
    no_magic[2][0] = 0;
    let mut odd = good.clone();
    odd[2] = b"<html>a page that a proxy put here</html>".to_vec();
    let mut other = good.clone();
    other[2] = gz(b"gzip, but no record");
    for (members, name) in
        [(&broken, "data"), (&no_magic, "magic"), (&odd, "text"), (&other, "gzip")]
    {
        let bytes = members.concat();
        let (found, lost) = read(&bytes, 0, u64::MAX);
        let found: Vec<_> = found.into_iter().map(|(uri, _)| uri).collect();
        assert_eq!(found, ["u0", "u1", "u3", "u4"], "{name}");
        assert_eq!(lost.len(), 1, "{name}: {lost:?}");
        for size in [64, 100, 150, 1000] {
            let (mut found, mut lost) = (0, 0);
            for from in (0..bytes.len()).step_by(size) {
                let part = read(&bytes, from as u64, (from + size) as u64);
                (found, lost) = (found + part.0.len(), lost + part.1.len());
            }
            assert_eq!((found, lost), (4, 1), "{name} in ranges of {size}");
        }
    }
    let (start, end) = (good[..2].concat().len(), good[..3].concat().len());
    let lost = read(&broken.concat(), 0, u64::MAX).1;
    assert!(
        lost[0].contains("a.warc.gz") && lost[0].contains(&format!("bytes {start} to {end}")),
        "{lost:?}"
    );
}

#[test]
fn a_cut_archive_loses_its_last_record_and_padding_is_none() {
    let members: Vec<Vec<u8>> =
        (0..3).map(|i| gz(&record("response", &format!("u{i}"), b"content"))).collect();
    let bytes = members.concat();
    let (found, lost) = read(&bytes[..bytes.len() - 9], 0, u64::MAX);
    assert_eq!((found.len(), lost.len()), (2, 1), "{lost:?}");
    for padding in [&b"\n"[..], b"\r\n\r\n", &[0; 10_000], b""] {
        for bytes in [[&bytes, padding].concat(), members.join(padding)] {
            assert_eq!(uris(&bytes, 0, u64::MAX), ["u0", "u1", "u2"]);
            assert_eq!(read(&bytes, 0, u64::MAX).1, Vec::<String>::new());
        }
    }
    assert_eq!(read(b"", 0, u64::MAX), (vec![], vec![]));
    let leading = gz(&[b"\r\n\r\n".as_slice(), &record("response", "u", b"x")].concat());
    assert_eq!(uris(&[leading.clone(), leading].concat(), 1, u64::MAX), ["u"]);
}

#[test]
fn lengths_that_are_off_by_some_bytes_lose_nothing() {
    let page = b"<img src=/i.jpg alt='a caption'>";
    for bytes in [-1, 1, 2, 4, 5, 9, 20, -20] {
        let records = [
            record("response", "a", page),
            off_by(bytes, "response", "b", page),
            record("response", "c", page),
        ];
        for file in [gz(&records.concat()), records.map(|record| gz(&record)).concat()] {
            let (found, lost) = read(&file, 0, u64::MAX);
            let uris: Vec<_> = found.iter().map(|(uri, _)| uri.as_str()).collect();
            assert_eq!(uris, ["a", "b", "c"], "off by {bytes}");
            assert!(
                found
                    .iter()
                    .all(|(_, content)| content.trim_end() == String::from_utf8_lossy(page)),
                "off by {bytes}: {found:?}"
            );
            assert_eq!(lost, Vec::<String>::new(), "off by {bytes}");
        }
    }
    for length in ["", "Content-Length: \r\n", "Content-Length: some\r\n"] {
        let none = format!("WARC/1.0\r\nWARC-Target-URI: b\r\n{length}\r\nno length\r\n\r\n");
        let file = gz(&[none.into_bytes(), record("response", "c", page)].concat());
        let (found, lost) = read(&file, 0, u64::MAX);
        assert_eq!(
            (found[0].1.as_str(), found.len(), lost.len()),
            ("no length", 2, 0),
            "{length:?}"
        );
    }
}

#[test]
fn a_record_that_is_cut_off_and_bytes_between_records_are_counted() {
    let cut = b"WARC/1.0\r\nContent-Length: 99\r\n\r\nshort".to_vec();
    let lost = read(&gz(&cut), 0, u64::MAX).1;
    assert!(lost.len() == 1 && lost[0].contains("99 bytes is cut off"), "{lost:?}");
    let junk = [
        record("response", "a", b"x"),
        vec![b'j'; 200],
        b"\r\n".to_vec(),
        record("response", "b", b"y"),
    ];
    let (found, lost) = read(&gz(&junk.concat()), 0, u64::MAX);
    assert_eq!((found.len(), lost.len()), (2, 1), "{lost:?}");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.warc");
    std::fs::write(&path, record("response", "a", b"x")).unwrap();
    let refused = Records::open(&path, 0, 9).err().unwrap().to_string();
    assert!(refused.contains("not gzip\nhint: "), "{refused}");
}
