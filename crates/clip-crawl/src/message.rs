//! HTTP messages as archives store them: heads (RFC 9112), and bodies as they came, chunked and
//! compressed.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};

/// Longest body, unpacked.
const LONGEST: u64 = 64 << 20;

/// Header lines up to the empty line, and what follows; also of a WARC record. Bytes that are no
/// UTF-8 are Latin-1.
pub(crate) fn split_head(bytes: &[u8]) -> Option<(Cow<'_, str>, &[u8])> {
    let mut at = 0;
    loop {
        let line = memchr::memchr(b'\n', &bytes[at..])?;
        if bytes[at..at + line].iter().all(|&byte| byte == b'\r') {
            return Some((text(&bytes[..at]), &bytes[at + line + 1..]));
        }
        at += line + 1;
    }
}

/// Bytes of a header as text: UTF-8 where they are, else Latin-1, as browsers take them.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => bytes.iter().map(|&byte| char::from(byte)).collect::<String>().into(),
    }
}

/// The value of a header, by its name in any case; a folded one is unfolded.
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<Cow<'a, str>> {
    headers(head, name).next()
}

/// The values of a header that may come more than once.
pub(crate) fn headers<'a>(head: &'a str, name: &str) -> impl Iterator<Item = Cow<'a, str>> {
    let lines = head.lines().enumerate().filter_map(move |(at, line)| {
        let (key, value) = line.split_once(':')?;
        let own = !line.starts_with([' ', '\t']) && key.trim_end().eq_ignore_ascii_case(name);
        own.then_some((at, value))
    });
    lines.map(move |(at, value)| {
        let folded = |line: &&str| line.starts_with([' ', '\t']);
        let mut more = head.lines().skip(at + 1).take_while(folded).peekable();
        match more.peek() {
            None => value.trim().into(),
            Some(_) => {
                let parts = std::iter::once(value).chain(more).map(str::trim);
                parts.collect::<Vec<_>>().join(" ").trim().to_owned().into()
            }
        }
    })
}

/// Whether the message is a response that succeeded.
pub(crate) fn is_success(head: &str) -> bool {
    let status = head.lines().next().unwrap_or_default();
    let mut words = status.split_ascii_whitespace();
    let http = words.next().is_some_and(|word| word.to_ascii_uppercase().starts_with("HTTP"));
    http && words.next().is_some_and(|code| code.starts_with('2'))
}

/// Whether a body is a page: its `Content-Type`, or, where there is none, its first tag (MIME
/// Sniffing 7.1).
pub(crate) fn is_html(content_type: &str, body: &[u8]) -> bool {
    const TAGS: [&str; 17] = [
        "!doctype html",
        "html",
        "head",
        "script",
        "iframe",
        "h1",
        "div",
        "font",
        "table",
        "a",
        "style",
        "title",
        "b",
        "body",
        "br",
        "p",
        "!--",
    ];
    let kind = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !kind.is_empty() {
        return kind.contains("html");
    }
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii_start();
    let Some(tag) = body.strip_prefix(b"<") else { return false };
    TAGS.iter().any(|name| {
        let own =
            tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
        own && (*name == "!--"
            || matches!(tag.get(name.len()), Some(b' ' | b'>' | b'\n' | b'\r' | b'\t')))
    })
}

/// The body as it was meant: without chunks, unpacked. Archives whose crawler did that already, but
/// kept the head that says otherwise, are read as they are. With what ended it where its coding is
/// broken: that is read as far as it goes.
///
/// # Errors
/// In words, for a coding that is not known here and for a body that is broken from its beginning.
pub(crate) fn body<'a>(
    head: &str,
    body: &'a [u8],
) -> Result<(Cow<'a, [u8]>, Option<String>), String> {
    let (mut body, mut ended) = (Cow::Borrowed(body), None);
    if listed(head, "Transfer-Encoding").iter().any(|coding| coding == "chunked")
        && let Some((chunks, whole)) = dechunk(&body)
    {
        body = chunks.into();
        ended = (!whole).then(|| "its last chunk is cut off".to_owned());
    }
    for coding in listed(head, "Content-Encoding").iter().rev() {
        if let Some((unpacked, fault)) = unpack(coding, &body)? {
            body = unpacked.into();
            ended = fault.or(ended);
        }
    }
    Ok((body, ended))
}

/// The words of a header that is a list, in lower case.
fn listed(head: &str, name: &str) -> Vec<String> {
    let values: Vec<Cow<str>> = headers(head, name).collect();
    let words = values.iter().flat_map(|value| value.split(','));
    words.map(|word| word.trim().to_ascii_lowercase()).filter(|word| !word.is_empty()).collect()
}

/// The content of chunks, and whether the last one is whole; nothing where there are none.
fn dechunk(body: &[u8]) -> Option<(Vec<u8>, bool)> {
    let (mut out, mut rest) = (Vec::with_capacity(body.len()), body);
    loop {
        let line = memchr::memchr(b'\n', rest);
        let size = line.and_then(|end| std::str::from_utf8(&rest[..end]).ok());
        let size = size.and_then(|line| line.split(';').next());
        let Some(size) = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok()) else {
            // Cut off between two chunks.
            return (!out.is_empty()).then_some((out, false));
        };
        rest = &rest[line.unwrap_or(0) + 1..];
        if size == 0 {
            return Some((out, true));
        }
        let whole = size <= rest.len();
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        let after_end = after.strip_prefix(b"\r\n").or_else(|| after.strip_prefix(b"\n"));
        if after_end.is_none() && !after.is_empty() && out.is_empty() {
            return None;
        }
        out.extend_from_slice(chunk);
        rest = after_end.unwrap_or(after);
        if rest.is_empty() {
            return Some((out, whole));
        }
    }
}

/// Bytes of a body, and the fault that ended them.
type Unpacked = (Vec<u8>, Option<String>);

/// Unpacks one coding; nothing where the body is unpacked already.
fn unpack(coding: &str, body: &[u8]) -> Result<Option<Unpacked>, String> {
    let read = match coding {
        "identity" | "none" => return Ok(None),
        "gzip" | "x-gzip" if !body.starts_with(&[0x1f, 0x8b]) => return plain(coding, body),
        "gzip" | "x-gzip" => whole(MultiGzDecoder::new(body)),
        // RFC 9110 means zlib's format; some servers send none.
        "deflate" if is_zlib(body) => whole(ZlibDecoder::new(body)),
        "deflate" => whole(DeflateDecoder::new(body)),
        "br" => whole(brotli_decompressor::Decompressor::new(body, 1 << 14)),
        _ => return Err(format!("the content encoding {coding:?} is not known")),
    };
    match read {
        (unpacked, _) if unpacked.len() as u64 > LONGEST => {
            Err(format!("{coding}: the body has over 64 MiB"))
        }
        (_, Some(_)) if coding != "gzip" && is_text(body) => Ok(None),
        // A body that was cut off is read as far as it goes, like a page that was.
        (unpacked, Some(fault)) if !unpacked.is_empty() => {
            Ok(Some((unpacked, Some(format!("{coding}: {fault}")))))
        }
        (_, Some(fault)) => Err(format!("{coding}: {fault}")),
        (unpacked, None) => Ok(Some((unpacked, None))),
    }
}

fn plain(coding: &str, body: &[u8]) -> Result<Option<Unpacked>, String> {
    if body.is_empty() || is_text(body) { Ok(None) } else { Err(format!("{coding}: no gzip")) }
}

/// What could be read, and what ended it.
fn whole(packed: impl Read) -> (Vec<u8>, Option<std::io::Error>) {
    let mut out = Vec::new();
    let read = packed.take(LONGEST + 1).read_to_end(&mut out);
    (out, read.err())
}

/// A header of zlib's (RFC 1950).
fn is_zlib(body: &[u8]) -> bool {
    matches!(body, [method, flags, ..] if method & 15 == 8 && (u16::from(*method) << 8 | u16::from(*flags)) % 31 == 0)
}

/// Whether a body is text as it is: markup, from its first character on.
fn is_text(body: &[u8]) -> bool {
    let start = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body).trim_ascii_start();
    start.starts_with(b"<")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn heads_are_read_as_they_are_written() {
        let bytes = b"HTTP/1.1 200 OK\r\nX-Name: caf\xe9\r\nContent-Type : text/html;\r\n charset=utf-8\r\nEmpty:\r\n\r\nbody";
        let (head, body) = split_head(bytes).unwrap();
        assert_eq!(body, b"body");
        assert_eq!(header(&head, "content-type").unwrap(), "text/html; charset=utf-8");
        assert_eq!(header(&head, "x-name").unwrap(), "café");
        assert_eq!(header(&head, "empty").unwrap(), "");
        assert_eq!(header(&head, "charset=utf-8"), None);
        assert!(is_success(&head));
        for head in ["HTTP/1.1 404 Not Found", "HTTP/2 301", "GET / HTTP/1.1", ""] {
            assert!(!is_success(head), "{head}");
        }
        assert!(is_success("http/1.0 206"));
    }

    #[test]
    fn pages_are_known_by_type_or_by_their_first_tag() {
        for (kind, body, html) in [
            ("TEXT/HTML", "", true),
            ("application/xhtml+xml; charset=x", "", true),
            ("text/plain", "<html>", false),
            ("image/png", "", false),
            ("", " \n<!DOCTYPE HTML>", true),
            ("", "\u{feff}<html lang=de>", true),
            ("", "<!--x-->", true),
            ("", "<p>text", true),
            ("", "<pre>", false),
            ("", "<?xml version='1.0'?><rss>", false),
            ("", "{\"a\": \"<html>\"}", false),
            ("", "", false),
        ] {
            assert_eq!(is_html(kind, body.as_bytes()), html, "{kind} {body}");
        }
    }

    const PAGE: &[u8] = b"<html><img src=/i.jpg alt='a caption that is long enough'></html>";

    fn packed(coding: &str, body: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::fast();
        match coding {
            "gzip" | "x-gzip" => {
                let mut writer = flate2::write::GzEncoder::new(Vec::new(), level);
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            "deflate" => {
                let mut writer = flate2::write::ZlibEncoder::new(Vec::new(), level);
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            "raw" => {
                let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), level);
                writer.write_all(body).unwrap();
                writer.finish().unwrap()
            }
            // What brotli 1.1 makes of `<p>hi</p>`, stored: its own encoder is not needed here.
            _ => [b"\x0b\x04\x80".as_slice(), b"<p>hi</p>", b"\x03"].concat(),
        }
    }

    fn chunked(body: &[u8]) -> Vec<u8> {
        let chunk = |chunk: &[u8]| {
            [format!("{:x};x=y\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
        };
        body.chunks(9).map(chunk).chain([b"0\r\n\r\n".to_vec()]).flatten().collect()
    }

    #[test]
    fn bodies_come_out_as_they_were_meant() {
        for (codings, sent) in [
            ("gzip", packed("gzip", PAGE)),
            ("X-GZip", packed("gzip", PAGE)),
            ("deflate", packed("deflate", PAGE)),
            ("deflate", packed("raw", PAGE)),
            ("gzip, gzip", packed("gzip", &packed("gzip", PAGE))),
            ("deflate,gzip", packed("gzip", &packed("deflate", PAGE))),
            ("identity", PAGE.to_vec()),
            // The crawler unpacked it and kept the head.
            ("gzip", PAGE.to_vec()),
            ("deflate", PAGE.to_vec()),
            ("br", PAGE.to_vec()),
        ] {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {codings}\r\n");
            let read = |head: &str, sent: &[u8]| -> (Vec<u8>, Option<String>) {
                let (read, ended) = body(head, sent).unwrap();
                (read.into_owned(), ended)
            };
            let page = (PAGE.to_vec(), None);
            assert_eq!(read(&head, &sent), page, "{codings}");
            let both = format!("{head}Transfer-Encoding: chunked\r\n");
            assert_eq!(read(&both, &chunked(&sent)), page, "{codings} in chunks");
            assert_eq!(read(&both, &sent), page, "{codings}, said to be in chunks");
        }
        let two = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n";
        assert_eq!(body(two, &packed("gzip", &packed("gzip", PAGE))).unwrap().0, PAGE);
        assert_eq!(
            body("Content-Encoding: br\r\n", &packed("br", b"")).unwrap().0,
            &b"<p>hi</p>"[..]
        );
    }

    #[test]
    fn what_is_cut_off_is_read_as_far_as_it_goes_and_what_is_not_known_is_named() {
        let head = "Content-Encoding: gzip\r\n";
        let long: Vec<u8> =
            (0..20_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        let sent = packed("gzip", &long);
        let (read, ended) = body(head, &sent[..sent.len() / 2]).unwrap();
        assert!(ended.is_some_and(|fault| fault.starts_with("gzip: ")));
        assert!(read.len() > 20_000 && long.starts_with(&read), "{}", read.len());
        let cut = chunked(PAGE);
        let (read, ended) = body("Transfer-Encoding: chunked\r\n", &cut[..40]).unwrap();
        assert_eq!(ended.as_deref(), Some("its last chunk is cut off"));
        assert!(read.len() > 15 && PAGE.starts_with(&read));
        for (codings, sent, words) in [
            ("zstd", b"x".as_slice(), "\"zstd\" is not known"),
            ("gzip", b"\x00\x01 garbage", "no gzip"),
            ("gzip", b"\x1f\x8b\x08 broken", "gzip: "),
            ("br", b"\xff\xff\xff\xff garbage", "br: "),
        ] {
            let fault = body(&format!("Content-Encoding: {codings}\r\n"), sent).unwrap_err();
            assert!(fault.contains(words), "{codings}: {fault}");
        }
    }
}
