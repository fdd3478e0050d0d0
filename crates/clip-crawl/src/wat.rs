//! Common Crawl: pairs from WAT files (links as JSON) and from WARC files (the pages themselves).

use std::borrow::Cow;
use std::fmt;
use std::path::{Path, PathBuf};

use clip_pipeline::{Error, Result};
use clip_store::is_remote;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use url::Url;

use crate::feed::{Feed, Item, Visit};
use crate::html::{clean_text, extract, largest_of};
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

/// Files behind addresses that are asked for their length; of more, each is one part.
const FEW: usize = 256;

/// Ranges of archives, one a part: a part that failed costs its range, not its file.
pub(crate) struct Archives {
    kind: Kind,
    ranges: Vec<(PathBuf, u64, u64)>,
}

impl Archives {
    pub fn new(kind: Kind, files: &[PathBuf], part_bytes: u64) -> Result<Self> {
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
    uri: Option<Text<'a>>,
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
    links: Links<'a>,
}

#[derive(Deserialize, Default)]
struct Head<'a> {
    #[serde(borrow, default, rename = "Base")]
    base: Option<Text<'a>>,
}

/// A string that is borrowed where it has no escapes, also inside an option.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct Str;
        impl<'de> Visitor<'de> for Str {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(text.into()))
            }

            fn visit_str<E>(self, text: &str) -> std::result::Result<Text<'de>, E> {
                Ok(Text(text.to_owned().into()))
            }
        }
        json.deserialize_str(Str)
    }
}

/// An image among the links of a page.
#[derive(Default)]
struct Link<'a> {
    srcset: bool,
    url: Option<Text<'a>>,
    alt: Option<Text<'a>>,
    title: Option<Text<'a>>,
    image_title: Option<Text<'a>>,
}

/// The images among the links: others, most of them, are passed over without being taken apart.
#[derive(Default)]
struct Links<'a>(Vec<Link<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Links<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Links<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("links")
            }

            fn visit_seq<A: SeqAccess<'de>>(
                self,
                mut links: A,
            ) -> std::result::Result<Links<'de>, A::Error> {
                let mut images = Vec::new();
                while let Some(link) = links.next_element::<MaybeImage>()? {
                    images.extend(link.0);
                }
                Ok(Links(images))
            }
        }
        json.deserialize_seq(Each)
    }
}

struct MaybeImage<'a>(Option<Link<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for MaybeImage<'a> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = MaybeImage<'de>;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a link")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<MaybeImage<'de>, A::Error> {
                // The path comes first in what Common Crawl writes; wherever it stands, it decides.
                let (mut image, mut other, mut link) = (false, false, Link::default());
                while let Some(key) = map.next_key::<Text>()? {
                    match &*key.0 {
                        "path" => {
                            let path = map.next_value::<Text>()?.0;
                            let attribute = path.strip_prefix("IMG@/").unwrap_or_default();
                            link.srcset = matches!(attribute, "srcset" | "data-srcset");
                            image = link.srcset || SOURCES.contains(&attribute);
                            other = !image;
                        }
                        _ if other => drop(map.next_value::<IgnoredAny>()?),
                        "url" => link.url = map.next_value()?,
                        "alt" => link.alt = map.next_value()?,
                        "title" => link.title = map.next_value()?,
                        "data-image-title" => link.image_title = map.next_value()?,
                        _ => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(MaybeImage(image.then_some(link)))
            }
        }
        json.deserialize_map(Keys)
    }
}

/// Attributes of an image that hold its address.
const SOURCES: [&str; 4] = ["src", "data-src", "data-original", "data-lazy-src"];

/// Pairs of a WAT record. A record that is no JSON of links, or broken, has none.
fn links(record: &Record) -> Vec<Pair> {
    // Most records are about requests and metadata: not worth a parser.
    if !contains(record.content, b"IMG@/") {
        return Vec::new();
    }
    let Ok(line) = serde_json::from_slice::<Line>(record.content) else { return Vec::new() };
    let html = line.envelope.payload.response.html;
    let uri = line.envelope.header.uri.as_ref().map(|uri| &*uri.0);
    let uri = uri.or_else(|| record.header("WARC-Target-URI"));
    let Some(page) = uri.and_then(|uri| Url::parse(uri).ok()) else { return Vec::new() };
    let base = html.head.base.and_then(|base| page.join(base.0.trim()).ok());
    let base = base.as_ref().unwrap_or(&page);
    let mut pairs = Vec::new();
    for link in html.links.0 {
        let Some(address) = link.url else { continue };
        let address = if link.srcset { largest_of(&address.0) } else { Some(address.0.into()) };
        let Some(address) = address else { continue };
        let captions =
            [(link.alt, "alt"), (link.title, "title"), (link.image_title, "data-image-title")];
        let mut resolved: Option<String> = None;
        for (text, source) in captions {
            let Some(caption) = text.map(|text| clean_text(&text.0)).filter(|c| !c.is_empty())
            else {
                continue;
            };
            let url = match &resolved {
                Some(url) => url.clone(),
                None => match base.join(address.trim()) {
                    Ok(url) if matches!(url.scheme(), "http" | "https") => url.into(),
                    _ => break,
                },
            };
            resolved = Some(url.clone());
            let page = Some(page.to_string());
            pairs.push(Pair { url, caption, page, source });
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
            {"url":"late.jpg","alt":"path last","path":"IMG@/src"},
            {"path":"IMG@/srcset","url":"s.jpg 1x, l.jpg 2x","alt":"dense"},
            {"path":"IMG@/longdesc","url":"text.html","alt":"no image either"},
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
            ("http://e.com/b/late.jpg".into(), "path last".into(), "alt"),
            ("http://e.com/b/l.jpg".into(), "dense".into(), "alt"),
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
