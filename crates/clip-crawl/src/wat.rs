//! Common Crawl: pairs from WAT files (links as JSON) and from WARC files (the pages themselves).

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use clip_pipeline::{Error, Result};
use serde::Deserialize;
use url::Url;

use crate::feed::{Feed, Item, Visit};
use crate::html::{clean_text, extract};
use crate::rows::Pair;
use crate::warc::{Record, Records, header, split_head};

/// Which of the two an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// JSON of links.
    Wat,
    /// HTTP responses.
    Warc,
}

/// Ranges of archives, one a part: a part that failed costs its range, not its file.
pub(crate) struct Archives {
    kind: Kind,
    ranges: Vec<(PathBuf, u64, u64)>,
}

impl Archives {
    pub fn new(kind: Kind, files: &[PathBuf], part_bytes: u64) -> Result<Self> {
        let step = part_bytes.max(1 << 16);
        let mut ranges = Vec::new();
        for file in files {
            let length = std::fs::metadata(file).map_err(|e| Error::io(file, e))?.len();
            let starts = (0..length.max(1)).step_by(step as usize);
            ranges.extend(starts.map(|from| (file.clone(), from, from + step)));
        }
        Ok(Self { kind, ranges })
    }
}

impl Feed for Archives {
    fn units(&self) -> Result<usize> {
        Ok(self.ranges.len())
    }

    fn each(&self, unit: usize, visit: &mut Visit) -> Result<()> {
        let (path, from, end) = &self.ranges[unit];
        read(self.kind, path, *from, *end, &mut |pair| visit(Item::Pair(pair)))
    }
}

/// The pairs of an archive's range, in the order of the file.
pub(crate) fn read(
    kind: Kind,
    path: &Path,
    from: u64,
    end: u64,
    visit: &mut dyn FnMut(Pair) -> Result<bool>,
) -> Result<()> {
    Records::open(path, from, end)?.each(&mut |record| {
        let pairs = match kind {
            Kind::Wat => links(&record),
            Kind::Warc => page(&record),
        };
        for pair in pairs {
            if !visit(pair)? {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, rename = "Envelope")]
    envelope: Envelope<'a>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, rename = "WARC-Header-Metadata")]
    header: Header<'a>,
    #[serde(borrow, default, rename = "Payload-Metadata")]
    payload: Payload<'a>,
}

#[derive(Deserialize)]
struct Header<'a> {
    #[serde(borrow, default, rename = "WARC-Target-URI")]
    uri: Option<Cow<'a, str>>,
}

#[derive(Deserialize, Default)]
struct Payload<'a> {
    #[serde(borrow, default, rename = "HTTP-Response-Metadata")]
    response: Response<'a>,
}

#[derive(Deserialize, Default)]
struct Response<'a> {
    #[serde(borrow, default, rename = "HTML-Metadata")]
    html: Html<'a>,
}

#[derive(Deserialize, Default)]
struct Html<'a> {
    #[serde(borrow, default, rename = "Head")]
    head: Head<'a>,
    #[serde(borrow, default, rename = "Links")]
    links: Vec<Link<'a>>,
}

#[derive(Deserialize, Default)]
struct Head<'a> {
    #[serde(borrow, default, rename = "Base")]
    base: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Link<'a> {
    #[serde(borrow, default)]
    path: Cow<'a, str>,
    #[serde(borrow, default)]
    url: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    alt: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    title: Option<Cow<'a, str>>,
    #[serde(borrow, default, rename = "data-image-title")]
    image_title: Option<Cow<'a, str>>,
}

/// Pairs of a WAT record. A record that is no JSON of links, or broken, has none.
fn links(record: &Record) -> Vec<Pair> {
    // Most records are about requests and metadata: not worth a parser.
    if !contains(record.content, b"IMG@/") {
        return Vec::new();
    }
    let Ok(line) = serde_json::from_slice::<Line>(record.content) else { return Vec::new() };
    let html = line.envelope.payload.response.html;
    let uri = line.envelope.header.uri.as_deref().or_else(|| record.header("WARC-Target-URI"));
    let Some(page) = uri.and_then(|uri| Url::parse(uri).ok()) else { return Vec::new() };
    let base = html.head.base.and_then(|base| page.join(base.trim()).ok());
    let base = base.as_ref().unwrap_or(&page);
    let mut pairs = Vec::new();
    for link in html.links {
        let Some(address) = link.url.filter(|_| link.path.starts_with("IMG@/")) else { continue };
        let captions =
            [(link.alt, "alt"), (link.title, "title"), (link.image_title, "data-image-title")];
        for (text, source) in captions {
            let Some(caption) = text.map(|text| clean_text(&text)).filter(|c| !c.is_empty()) else {
                continue;
            };
            let Ok(url) = base.join(address.trim()) else { continue };
            if matches!(url.scheme(), "http" | "https") {
                let page = Some(page.to_string());
                pairs.push(Pair { url: url.into(), caption, page, source });
            }
        }
    }
    pairs
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(bytes, word).is_some()
}

/// Pairs of a WARC response that is an HTML page.
fn page(record: &Record) -> Vec<Pair> {
    let uri = record.header("WARC-Target-URI").map(|uri| uri.trim_matches(['<', '>']));
    let Some(url) = uri.and_then(|uri| Url::parse(uri).ok()) else { return Vec::new() };
    if record.header("WARC-Type") != Some("response") {
        return Vec::new();
    }
    let Some((head, body)) = split_head(record.content) else { return Vec::new() };
    let kind = header(head, "Content-Type").unwrap_or_default();
    if !kind.contains("html") {
        return Vec::new();
    }
    let found = extract(body, kind, &url).images.into_iter();
    let pair = |f: crate::Found| Pair {
        url: f.url,
        caption: f.caption,
        page: Some(url.to_string()),
        source: f.source,
    };
    found.map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warc::tests::{gz, record};

    fn pairs(kind: Kind, members: &[Vec<u8>]) -> Vec<(String, String, &'static str)> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.gz");
        std::fs::write(&path, members.concat()).unwrap();
        let mut pairs = Vec::new();
        read(kind, &path, 0, u64::MAX, &mut |pair| {
            pairs.push((pair.url, pair.caption, pair.source));
            Ok(true)
        })
        .unwrap();
        pairs
    }

    #[test]
    fn links_of_a_wat_record_are_resolved_against_the_base() {
        let json = br#"{"Envelope":{"WARC-Header-Metadata":{"WARC-Target-URI":"http://e.com/a/p.html"},
            "Payload-Metadata":{"HTTP-Response-Metadata":{"HTML-Metadata":{"Head":{"Base":"/b/"},"Links":[
            {"path":"IMG@/src","url":"x.jpg","alt":" a \"quoted\"  cat ","title":"T"},
            {"path":"A@/href","url":"y.html","text":"no image"},
            {"path":"IMG@/src","url":"data:image/gif;base64,R0","alt":"inline"},
            {"path":"IMG@/src","url":"z.jpg","alt":""},{"path":"IMG@/src","alt":"no url"}]}}}}}"#;
        let members = [
            gz(&record("warcinfo", "i", b"software: x")),
            gz(&record("metadata", "http://e.com/a/p.html", json)),
            gz(&record("metadata", "http://e.com/", b"{broken IMG@/")),
        ];
        let found = pairs(Kind::Wat, &members);
        let expected = [
            ("http://e.com/b/x.jpg".into(), "a \"quoted\" cat".into(), "alt"),
            ("http://e.com/b/x.jpg".into(), "T".into(), "title"),
        ];
        assert_eq!(found, expected);
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
}
