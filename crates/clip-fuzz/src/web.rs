//! Pages, what a host says of itself, and archives of pages.

use clip_crawl::{RobotsRules, extract, sitemap_locations};
use serde_json::json as document;
use url::Url;

use crate::lists::{check_url, collect};
use crate::scratch::{gzipped, with_files};
use crate::{choice, must};

/// Bounds of what a page gives (`clip-crawl/src/html/mod.rs`).
const LONGEST_URL: usize = 8 << 10;
const GIVEN: usize = 64 << 10;
const GIVEN_FOR_EACH: usize = 32;
/// Longest sitemap, unpacked.
const LONGEST_SITEMAP: usize = 50 << 20;

const TYPES: [&str; 6] = [
    "text/html",
    "text/html; charset=utf-8",
    "text/html; charset=shift_jis",
    "text/html; charset=utf-16le",
    "application/xhtml+xml",
    "text/html; charset=\"",
];

/// A page in one of several encodings, which the first byte chooses.
pub fn html(data: &[u8]) {
    let (first, page) = choice(data);
    let found = extract(page, TYPES[first % TYPES.len()], &page_url());
    let mut given = 0;
    for image in &found.images {
        check(&image.url);
        given += image.url.len() + image.caption.len();
        let words: Vec<&str> = image.caption.split_whitespace().collect();
        assert_eq!(image.caption, words.join(" "));
        assert!(!image.caption.is_empty());
    }
    found.links.iter().for_each(|link| check(link));
    given += found.links.iter().map(String::len).sum::<usize>();
    assert!(given <= GIVEN + GIVEN_FOR_EACH * page.len(), "{given} of {}", page.len());
}

fn page_url() -> Url {
    must(Url::parse("https://example.org/a/page.html?q#f"))
}

fn check(url: &str) {
    assert!(url.len() <= LONGEST_URL, "{}", url.len());
    let parsed = must(Url::parse(url));
    assert!(matches!(parsed.scheme(), "http" | "https") && parsed.fragment().is_none(), "{url}");
    assert_eq!(parsed.as_str(), url);
}

/// A robots.txt, and a path that is asked of it: what comes after a zero.
pub fn robots(data: &[u8]) {
    let zero = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (text, path) = data.split_at(zero);
    let rules = RobotsRules::parse("clip-data", text);
    let mut url = page_url();
    url.set_path(&String::from_utf8_lossy(path));
    for url in [page_url(), url] {
        let _ = rules.check(&url);
    }
    let _ = rules.delay();
    assert!(rules.sitemaps().iter().map(String::len).sum::<usize>() <= 3 * text.len());
}

/// A sitemap or an index of some.
pub fn sitemap(data: &[u8]) {
    let (_, found) = sitemap_locations(data);
    let bytes: usize = found.iter().map(String::len).sum();
    let room = if data.starts_with(&[0x1f, 0x8b]) { LONGEST_SITEMAP } else { data.len() };
    assert!(bytes <= 3 * room && found.len() <= 50_000, "{bytes} of {room}");
    assert!(found.iter().all(|url| !url.is_empty() && url.trim() == url));
}

/// A WARC record in a member of its own.
pub(crate) fn record(kind: &str, content: &[u8]) -> Vec<u8> {
    let head = format!(
        "WARC/1.0\r\nWARC-Type: {kind}\r\nWARC-Target-URI: http://e.com/p\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    gzipped(&[head.as_bytes(), content, b"\r\n\r\n"].concat())
}

fn archive(kind: &str, bytes: &[u8], part_bytes: u64) {
    let name = format!("a.{kind}.gz");
    with_files(&[(&name, bytes)], |folder| {
        let config = document!({"kind": kind, "paths": [name], "part_bytes": part_bytes});
        collect(config, folder).iter().for_each(check_url);
    });
}

/// An archive of pages as it comes; and, where it is no gzip, as a member and a record of one,
/// twice, in ranges.
pub fn warc(data: &[u8]) {
    archive("warc", data, 1 << 20);
    if !data.starts_with(&[0x1f, 0x8b]) {
        let member = gzipped(data);
        archive("warc", &[&member[..], &member].concat(), 1 << 16);
    }
}

/// An HTTP message as an archive stores it.
pub fn http(data: &[u8]) {
    archive("warc", &record("response", data), 1 << 20);
}

/// The JSON of a WAT record.
pub fn wat(data: &[u8]) {
    archive("wat", &record("metadata", data), 1 << 20);
}
