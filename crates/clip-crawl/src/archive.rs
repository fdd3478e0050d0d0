//! Archives of crawls: WARC files (the pages themselves) and WAT files (their links), in ranges of
//! bytes.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clip_pipeline::{Error, Result};
use clip_store::is_remote;
use url::Url;

use crate::html::{CUT, extract};
use crate::message::{body, header, headers, is_html, is_success, split_head};
use crate::opt_out::Policy;
use crate::pair_reader::{Item, PairReader, Visit, other_kind};
use crate::rows::Pair;
use crate::warc::{Event, Record, Records};
use crate::wat::links;

/// Which of the two an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// JSON of links.
    Wat,
    /// HTTP responses.
    Warc,
}

/// Files behind URLs that are asked for their length; of more, each is one part.
const FEW: usize = 256;

/// Ranges of archives, one a part: a part that failed costs its range, not its file.
pub(crate) struct Archives {
    kind: Kind,
    ranges: Vec<(PathBuf, u64, u64)>,
    policy: Policy,
}

impl Archives {
    /// Pages that opt out by `policy` give rejects.
    pub fn new(kind: Kind, files: &[PathBuf], part_bytes: u64, policy: Policy) -> Result<Self> {
        let step = part_bytes.max(1 << 16);
        let remote = files.iter().filter(|file| is_remote(&file.to_string_lossy())).count();
        let mut ranges = Vec::new();
        for file in files {
            let text = file.to_string_lossy();
            let length = if !is_remote(&text) {
                std::fs::metadata(file).map_err(|e| Error::io(file, e))?.len()
            } else if remote <= FEW {
                clip_store::length(&text).map_err(|e| Error::io(file, e))?
            } else {
                ranges.push((file.clone(), 0, u64::MAX));
                continue;
            };
            let starts = (0..length.max(1)).step_by(step as usize);
            ranges.extend(starts.map(|from| (file.clone(), from, from + step)));
        }
        Ok(Self { kind, ranges, policy })
    }
}

impl PairReader for Archives {
    fn units(&self) -> Result<usize> {
        Ok(self.ranges.len())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let (path, from, end) = &self.ranges[unit];
        read(self.kind, path, *from..*end, &self.policy, visit)
    }
}

/// The pairs of an archive's range, and what was lost of it, in the order of the file.
fn read(
    kind: Kind,
    path: &Path,
    range: Range<u64>,
    policy: &Policy,
    visit: &mut Visit,
) -> Result<()> {
    Records::open(path, range.start, range.end)?.each(&mut |event| {
        let items = match event {
            Event::Lost(detail) => vec![Item::Lost(detail)],
            Event::Record(record) => {
                if let Some(other) = shown_kind(kind, &record) {
                    return Err(other_kind(path, other));
                }
                match kind {
                    Kind::Wat => links(&record, policy),
                    Kind::Warc => page(&record, policy),
                }
            }
        };
        for item in items {
            if !visit(item)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// What an archive is, where a record shows that it is not of this kind: it would give no pair.
fn shown_kind(kind: Kind, record: &Record) -> Option<&'static str> {
    let of_type = record.header("WARC-Type").unwrap_or_default().to_ascii_lowercase();
    let starts = |json: &str| record.content.starts_with(json.as_bytes());
    match (kind, &*of_type) {
        (_, "conversion") => Some(
            "a WET file, which has the text of pages and no images\nhint: its WAT file (kind = \"wat\") or WARC file (kind = \"warc\") has them",
        ),
        (Kind::Wat, "response") => {
            Some("a WARC file, and not the WAT file of one\nhint: kind = \"warc\"")
        }
        (Kind::Warc, "metadata") if starts("{\"Container\":") || starts("{\"Envelope\":") => {
            Some("a WAT file, and not the WARC file that it is of\nhint: kind = \"wat\"")
        }
        _ => None,
    }
}

/// Pairs of a WARC response that is an HTML page: a message of success, unchunked and unpacked.
fn page(record: &Record, policy: &Policy) -> Vec<Item> {
    let response = record.header("WARC-Type").is_some_and(|t| t.eq_ignore_ascii_case("response"));
    let uri = record.header("WARC-Target-URI");
    let uri = uri.as_ref().map(|uri| uri.trim_matches(['<', '>']));
    let Some(url) = uri.and_then(|uri| Url::parse(uri).ok()).filter(|_| response) else {
        return Vec::new();
    };
    let Some((head, sent)) = split_head(record.content) else { return Vec::new() };
    let kind = header(&head, "Content-Type").unwrap_or_default();
    if !is_success(&head) || (!kind.trim().is_empty() && !is_html(&kind, b"")) {
        return Vec::new();
    }
    let (body, ended) = match body(&head, sent) {
        Ok(read) => read,
        Err(fault) => {
            let detail = format!("{url}: {fault}");
            return vec![Item::Rejected(String::new(), String::new(), "bad_page", detail)];
        }
    };
    if !is_html(&kind, &body) {
        return Vec::new();
    }
    let found = extract(&body, &kind, &url);
    let place = url.as_str();
    let values = |name: &str| headers(&head, name).collect();
    let opt_out = policy.headers(place, values).or_else(|| policy.page(place, &body, &found));
    let pair = |f: crate::Found| {
        let (url, caption, page) = (f.url, f.caption, Some(url.to_string()));
        Item::of_page(opt_out.as_ref(), Pair { url, caption, page, source: f.source })
    };
    let mut items: Vec<Item> = found.images.into_iter().map(pair).collect();
    let cut = found.cut.then(|| CUT.to_owned());
    for why in cut.into_iter().chain(ended) {
        let detail = format!("{url}: {why}");
        items.push(Item::Rejected(String::new(), String::new(), "page_cut", detail));
    }
    items
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::warc::tests::{gz, record};

    /// URL, caption and source of each pair; reason and detail of what was dropped.
    pub fn items(kind: Kind, bytes: &[u8]) -> Vec<(String, String, &'static str)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        std::fs::write(&path, bytes).unwrap();
        let mut items = Vec::new();
        let policy = Policy::new(&clip_pipeline::config::fetch::FetchConfig::default());
        read(kind, &path, 0..u64::MAX, &policy, &mut |item| {
            items.push(match item {
                Item::Pair(pair) | Item::With(pair, _) => (pair.url, pair.caption, pair.source),
                Item::Rejected(_, _, reason, detail) => (detail, String::new(), reason),
                Item::Lost(detail) => (detail, String::new(), "damaged"),
            });
            Ok(true)
        })
        .unwrap();
        items
    }

    pub fn pairs(kind: Kind, members: &[Vec<u8>]) -> Vec<(String, String, &'static str)> {
        items(kind, &members.concat())
    }

    #[test]
    fn pages_of_a_warc_are_read_like_pages_of_the_web() {
        let page = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<img src=/i.png alt='an image'>";
        let css =
            b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\n\r\n<img src=/i.png alt='no page'>";
        let members = [
            gz(&record("request", "http://e.com/p", page)),
            gz(&record("response", "<http://e.com/p>", page)),
            gz(&record("response", "http://e.com/c", css)),
        ];
        let found = pairs(Kind::Warc, &members);
        assert_eq!(found, [("http://e.com/i.png".into(), "an image".into(), "alt")]);
    }

    #[test]
    fn images_of_pages_that_opt_out_are_rejected_with_what_decided() {
        let page = |head: &str, meta: &str| {
            let text = format!(
                "HTTP/1.1 200 OK\r\n{head}Content-Type: text/html\r\n\r\n<html>\n{meta}<img src=/i.png alt=an>"
            );
            gz(&record("response", "http://e.com/p", text.as_bytes()))
        };
        let members = [
            page("X-Robots-Tag: noai\r\n", ""),
            page("", "<meta name=robots content=noimageai>"),
            page("tdm-reservation: 1\r\n", ""),
            page("X-Robots-Tag: otherbot: noai\r\n", ""),
        ];
        let found = items(Kind::Warc, &members.concat());
        let kinds: Vec<_> = found.iter().map(|(_, _, source)| *source).collect();
        assert_eq!(kinds, ["x_robots_tag", "meta_robots", "tdm_reservation", "alt"]);
        assert!(found[1].0.contains("(line 2 of http://e.com/p)"), "{}", found[1].0);
    }

    #[test]
    fn an_archive_of_another_kind_is_refused_with_its_kind() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        let policy = Policy::new(&clip_pipeline::config::fetch::FetchConfig::default());
        let error = |kind, of_type: &str, content: &[u8]| {
            let info = gz(&record("warcinfo", "http://e.com/", b"isPartOf: CC-MAIN\r\n"));
            let other = gz(&record(of_type, "http://e.com/", content));
            std::fs::write(&path, [info, other].concat()).unwrap();
            let found = read(kind, &path, 0..u64::MAX, &policy, &mut |_| Ok(true));
            found.err().map(|error| error.to_string())
        };
        let links = b"{\"Container\":{\"Filename\":\"a\"},\"Envelope\":{}}";
        assert!(error(Kind::Warc, "metadata", links).unwrap().contains("kind = \"wat\""));
        assert!(
            error(Kind::Wat, "response", b"HTTP/1.1 200 OK\r\n\r\n").unwrap().contains("\"warc\"")
        );
        assert!(error(Kind::Wat, "conversion", b"a text").unwrap().contains("a WET file"));
        assert_eq!(error(Kind::Wat, "metadata", links), None);
        assert_eq!(error(Kind::Warc, "metadata", b"fetchTimeMs: 12\r\n"), None);
    }

    /// A response of another crawler.
    fn response(uri: &str, head: &str, body: &[u8]) -> Vec<u8> {
        gz(&record("response", uri, &[head.as_bytes(), b"\r\n", body].concat()))
    }

    fn image(alt: &str) -> Vec<u8> {
        format!("<html><body><img src=/i.jpg alt='{alt}'></body></html>").into_bytes()
    }

    #[test]
    fn responses_are_read_as_other_crawlers_store_them() {
        let ok = "HTTP/1.1 200 OK\r\n";
        let html = format!("{ok}Content-Type: text/html; charset=utf-8\r\n");
        let chunked = b"1c\r\n<img src=/i.jpg alt='in chun\r\n4\r\nks'>\r\n0\r\n\r\n";
        let members = [
            response("http://e.com/0", &format!("{html}Transfer-Encoding: chunked\r\n"), chunked),
            response(
                "http://e.com/1",
                &format!("{html}Content-Encoding: gzip\r\n"),
                &gz(&image("packed")),
            ),
            response(
                "http://e.com/2",
                &format!("{html}Content-Encoding: x-unknown\r\n"),
                b"\x01\x02",
            ),
            response(
                "http://e.com/3",
                &format!("{ok}Content-Type: TEXT/HTML\r\n"),
                &image("upper type"),
            ),
            response("http://e.com/4", ok, &image("no type")),
            response("http://e.com/5", ok, b"GIF89a <img src=/i.jpg alt='no page'>"),
            response(
                "http://e.com/6",
                "HTTP/1.1 404 Not Found\r\nContent-Type: text/html\r\n",
                &image("error"),
            ),
            response(
                "http://e.com/7",
                "HTTP/1.1 302 Found\r\nContent-Type: text/html\r\n",
                &image("moved"),
            ),
            response(
                "http://e.com/8",
                &format!("{ok}X-Name: caf\u{e9}\r\nContent-Type:\r\n text/html\r\n"),
                &image("folded"),
            ),
        ];
        let mut bytes = members.concat();
        // Latin-1 in a head, before the type.
        let latin1 = [
            b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Type: text/html\r\n\r\n".as_slice(),
            &image("latin-1"),
        ]
        .concat();
        bytes.extend(gz(&record("response", "http://e.com/9", &latin1)));
        let found = items(Kind::Warc, &bytes);
        let captions: Vec<_> =
            found.iter().map(|(_, caption, source)| (caption.as_str(), *source)).collect();
        let expected = [
            ("in chunks", "alt"),
            ("packed", "alt"),
            ("", "bad_page"),
            ("upper type", "alt"),
            ("no type", "alt"),
            ("folded", "alt"),
            ("latin-1", "alt"),
        ];
        assert_eq!(captions, expected);
        assert!(found[2].0.contains("http://e.com/2") && found[2].0.contains("x-unknown"));
    }
}
