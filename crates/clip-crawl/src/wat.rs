//! Common Crawl's WAT records: the links of a page as JSON.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use url::Url;

use crate::html::{LAZY, LAZY_SETS, absolute, base_url, clean_text, is_placeholder, largest_of};
use crate::opt_out::Policy;
use crate::pair_reader::Item;
use crate::rows::Pair;
use crate::warc::Record;

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
    #[serde(default, rename = "Response-Message")]
    message: Message,
    #[serde(borrow, default, rename = "HTML-Metadata")]
    html: Html<'a>,
    #[serde(default, rename = "Headers")]
    headers: Headers,
}

/// The first line of a response, taken apart. Some writers leave it out.
#[derive(Deserialize, Default)]
struct Message {
    #[serde(default, rename = "Status")]
    status: serde_json::Value,
}

impl Message {
    fn is_error(&self) -> bool {
        let status = self.status.to_string();
        let digits = status.trim_matches(|c: char| !c.is_ascii_digit());
        !digits.is_empty() && !digits.starts_with('2')
    }
}

/// The headers that opt out, by their names in lower case.
#[derive(Default)]
struct Headers(Vec<(String, String)>);

/// Headers that a policy reads.
const OPT_OUTS: [&str; 3] = ["x-robots-tag", "tdm-reservation", "content-usage"];

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(json: D) -> std::result::Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("headers")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(key) = map.next_key::<Text>()? {
                    match OPT_OUTS.iter().find(|name| name.eq_ignore_ascii_case(&key.0)) {
                        Some(name) => {
                            let value = map.next_value::<serde_json::Value>()?;
                            let value = value.as_str().unwrap_or_default().to_owned();
                            headers.push(((*name).to_owned(), value));
                        }
                        None => drop(map.next_value::<IgnoredAny>()?),
                    }
                }
                Ok(Headers(headers))
            }
        }
        json.deserialize_map(Keys)
    }
}

/// A `<meta>` tag; some have a property in place of a name.
#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow, default)]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    content: Option<Text<'a>>,
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
    #[serde(borrow, default, rename = "Metas")]
    metas: Vec<Meta<'a>>,
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

/// The images among the links: others, most of them, are skipped without being taken apart.
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
                // The path comes first in what Common Crawl writes; wherever it is, it decides.
                let (mut image, mut other, mut link) = (false, false, Link::default());
                while let Some(key) = map.next_key::<Text>()? {
                    match &*key.0 {
                        "path" => {
                            let path = map.next_value::<Text>()?.0;
                            let attribute = path.strip_prefix("IMG@/").unwrap_or_default();
                            link.srcset = attribute == "srcset" || LAZY_SETS.contains(&attribute);
                            image = link.srcset || attribute == "src" || LAZY.contains(&attribute);
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

/// Pairs of a WAT record. A record that is no JSON of links has none.
pub(crate) fn links(record: &Record, policy: &Policy) -> Vec<Item> {
    // Most records are about requests and metadata: not worth a parser.
    if !contains(record.content, b"IMG@/") {
        return Vec::new();
    }
    let repaired;
    let line = match serde_json::from_slice::<Line>(record.content) {
        Ok(line) => Ok(line),
        Err(_) => {
            repaired = clip_corpus::json::repair(record.content);
            serde_json::from_slice::<Line>(&repaired)
        }
    };
    let own = record.header("WARC-Target-URI").map(Cow::into_owned);
    let line = match line {
        Ok(line) => line,
        Err(e) => {
            let detail = format!("the links of {}: {e}", own.unwrap_or_default());
            return vec![Item::Rejected(String::new(), String::new(), "bad_json", detail)];
        }
    };
    let Response { message, html, headers } = line.envelope.payload.response;
    // As with a WARC: the images of an error page are not the page's.
    if message.is_error() {
        return Vec::new();
    }
    let uri = line.envelope.header.uri.map(|uri| uri.0.into_owned()).or(own);
    let Some(page) = uri.and_then(|uri| Url::parse(&uri).ok()) else { return Vec::new() };
    let base = base_url(&page, html.head.base.as_ref().map(|base| &*base.0));
    let values = |name: &str| {
        let of_name = headers.0.iter().filter(|(known, _)| known == name);
        of_name.map(|(_, value)| Cow::Borrowed(value.as_str())).collect()
    };
    let metas = html
        .head
        .metas
        .iter()
        .filter_map(|meta| Some((&*meta.name.as_ref()?.0, &*meta.content.as_ref()?.0)));
    let opt_out = policy.headers(page.as_str(), values);
    let opt_out = opt_out.or_else(|| policy.only_metas(page.as_str(), metas));
    let mut items = Vec::new();
    for link in html.links.0 {
        let Some(address) = link.url else { continue };
        let address = if link.srcset { largest_of(&address.0) } else { Some(address.0.into()) };
        let Some(address) = address.filter(|address| !is_placeholder(address)) else { continue };
        let captions =
            [(link.alt, "alt"), (link.title, "title"), (link.image_title, "data-image-title")];
        let mut resolved: Option<String> = None;
        for (text, source) in captions {
            let Some(caption) = text.map(|text| clean_text(&text.0)).filter(|c| !c.is_empty())
            else {
                continue;
            };
            let url = resolved.take().or_else(|| absolute(&base, &address));
            let Some(url) = url else { break };
            resolved = Some(url.clone());
            let page = Some(page.to_string());
            items.push(Item::of_page(opt_out.as_ref(), Pair { url, caption, page, source }));
        }
    }
    items
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    memchr::memmem::find(bytes, word).is_some()
}

#[cfg(test)]
mod tests {
    use crate::archive::Kind;
    use crate::archive::tests::pairs;
    use crate::warc::tests::{gz, record};

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
    fn images_of_pages_that_opt_out_are_rejected() {
        let record = |headers: &str, metas: &str| {
            let json = format!(
                r#"{{"Envelope":{{"WARC-Header-Metadata":{{"WARC-Target-URI":"http://e.com/p"}},"Payload-Metadata":{{"HTTP-Response-Metadata":{{"Headers":{headers},"HTML-Metadata":{{"Head":{{"Metas":{metas}}},"Links":[{{"path":"IMG@/src","url":"a.jpg","alt":"a"}}]}}}}}}}}}}"#
            );
            gz(&record("metadata", "http://e.com/p", json.as_bytes()))
        };
        let members = [
            record(r#"{"Server":"x","X-Robots-Tag":"noimageai"}"#, "[]"),
            record(
                "{}",
                r#"[{"property":"og:x","content":"y"},{"name":"ROBOTS","content":"noai"}]"#,
            ),
            record(r#"{"Content-Usage":"train-ai=n","Other":["a"]}"#, r#"[{"name":"robots"}]"#),
            record("{}", r#"[{"name":"robots","content":"index"}]"#),
        ];
        let kinds: Vec<_> =
            pairs(Kind::Wat, &members).into_iter().map(|(_, _, kind)| kind).collect();
        assert_eq!(kinds, ["x_robots_tag", "meta_robots", "content_usage", "alt"]);
    }

    #[test]
    fn a_page_that_was_an_error_has_no_pairs() {
        let found = |message: &str| {
            let json = format!(
                r#"{{"Envelope":{{"WARC-Header-Metadata":{{"WARC-Target-URI":"http://e.com/p"}},"Payload-Metadata":{{"HTTP-Response-Metadata":{{{message}"HTML-Metadata":{{"Links":[{{"path":"IMG@/src","url":"a.jpg","alt":"a"}}]}}}}}}}}}}"#
            );
            pairs(Kind::Wat, &[gz(&record("metadata", "http://e.com/p", json.as_bytes()))]).len()
        };
        let status = |status: &str| {
            found(&format!(
                r#""Response-Message":{{"Version":"HTTP/1.1","Status":{status},"Reason":"x"}},"#
            ))
        };
        let statuses = ["\"200\"", "206", "\"404\"", "503", "\"\"", "null"];
        assert_eq!(statuses.map(status), [1, 1, 0, 0, 1, 1]);
        assert_eq!([found(""), found(r#""Response-Message":{},"#)], [1, 1]);
    }

    #[test]
    fn links_are_read_as_python_writes_them_and_placeholders_are_none() {
        let json = r#"{"Envelope":{"WARC-Header-Metadata":{"y":NaN},"Payload-Metadata":{"HTTP-Response-Metadata":{"HTML-Metadata":{"Head":
            {"Base":"javascript:void(0)"},"Links":[{"path":"IMG@/src","url":"a.jpg","alt":"a \ud83d cat"},
            {"path":"IMG@/src","url":"/blank.gif","alt":"lazy"},{"path":"IMG@/data-lazy","url":"b.jpg","alt":"lazy"}]}}}}}"#;
        let members = [
            gz(&record("metadata", "http://e.com/a/p.html", json.as_bytes())),
            gz(&record("metadata", "http://e.com/", b"{broken IMG@/")),
        ];
        let found = pairs(Kind::Wat, &members);
        assert_eq!(found[0], ("http://e.com/a/a.jpg".into(), "a \u{fffd} cat".into(), "alt"));
        assert_eq!(found[1], ("http://e.com/a/b.jpg".into(), "lazy".into(), "alt"));
        assert!(found[2].0.contains("http://e.com/") && found[2].2 == "bad_json", "{found:?}");
        assert_eq!(found.len(), 3);
    }
}
