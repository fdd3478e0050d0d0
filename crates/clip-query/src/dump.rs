//! A wiki's dump of articles (MediaWiki's XML export), through several workers.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use memchr::memmem;

use crate::open::{failure, open};
use crate::parallel_records::{Records, pump};
use crate::wikitext::{Hidden, strip};
use crate::{Error, Result};

const PAGES: Records = Records { end: b"</page>", longest: 512 << 20, cut: false };
const HINT: &str =
    "a dump of articles is wanted, such as enwiki-…-pages-articles-multistream.xml.bz2";

/// What a dump held.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pages {
    pub(crate) articles: u64,
    pub(crate) redirects: u64,
    /// Talk, files, templates and other pages that are no articles.
    pub(crate) others: u64,
    pub(crate) not_utf8: u64,
}

impl Pages {
    fn add(&mut self, other: Self) {
        self.articles += other.articles;
        self.redirects += other.redirects;
        self.others += other.others;
        self.not_utf8 += other.not_utf8;
    }
}

struct Worker<'a, W> {
    inner: &'a mut W,
    pages: Pages,
    text: String,
}

/// Calls `each` with the plain text of every article.
pub(crate) fn articles<W: Send>(
    path: &Path,
    workers: &mut [W],
    advance: &(dyn Fn(u64) + Sync),
    each: impl Fn(&mut W, &str) -> Result<()> + Sync,
) -> Result<Pages> {
    let hidden = namespaces(path)?;
    let worker = |inner| Worker { inner, pages: Pages::default(), text: String::new() };
    let mut workers: Vec<_> = workers.iter_mut().map(worker).collect();
    let rest = pump(path, PAGES, &mut workers, advance, |worker, bytes| {
        for page in between(bytes, b"<page>", b"</page>") {
            worker.text.clear();
            if let Some(wikitext) = article(page, &mut worker.pages) {
                strip(&wikitext, &hidden, &mut worker.text);
                if worker.text.contains('&') {
                    worker.text = html_escape::decode_html_entities(&worker.text).into_owned();
                }
                each(worker.inner, &worker.text)?;
            }
        }
        Ok(())
    })?;
    let mut pages = Pages::default();
    workers.iter().for_each(|worker| pages.add(worker.pages));
    let seen = pages.articles + pages.redirects + pages.others + pages.not_utf8;
    if seen == 0 {
        return Err(Error::file(path, "it holds no <page>", HINT));
    }
    if memmem::find(&rest, b"</mediawiki>").is_none() {
        let reason = format!("the dump is cut off after {seen} pages: it has no </mediawiki>");
        return Err(Error::file(path, reason, "get the file again, and compare its size"));
    }
    Ok(pages)
}

/// Names of the wiki's namespaces for files and categories, from the head of its dump.
fn namespaces(path: &Path) -> Result<Hidden> {
    let (file, packing) = open(path)?;
    let mut head = Vec::new();
    let read = packing.unpack(file).take(1 << 16).read_to_end(&mut head);
    read.map_err(|e| failure(path, e, "get the file again, and compare its size"))?;
    if memmem::find(&head, b"<mediawiki").is_none() {
        return Err(Error::file(path, "it does not begin with <mediawiki", HINT));
    }
    let mut hidden = Hidden::default();
    for start in memmem::find_iter(&head, b"<namespace ") {
        let tag = &head[start + 1..];
        let tag = &tag[..memchr::memchr(b'<', tag).unwrap_or(tag.len())];
        let key = between(tag, b"key=\"", b"\"").next();
        let name = tag.iter().position(|&b| b == b'>').map(|at| &tag[at + 1..]);
        if let (Some(b"6" | b"14"), Some(name)) = (key, name) {
            hidden.add(&String::from_utf8_lossy(name));
        }
    }
    Ok(hidden)
}

/// The wikitext of a page, if it is an article.
fn article<'a>(page: &'a [u8], pages: &mut Pages) -> Option<Cow<'a, str>> {
    if between(page, b"<ns>", b"</ns>").next().is_some_and(|ns| ns != b"0") {
        pages.others += 1;
        return None;
    }
    let text = between(page, b"<text", b"</text>").last().unwrap_or_default();
    let start = text.iter().position(|&b| b == b'>').map_or(text.len(), |at| at + 1);
    let head = &page[..page.len().min(4096)];
    if memmem::find(head, b"<redirect").is_some() {
        pages.redirects += 1;
        return None;
    }
    let Ok(text) = std::str::from_utf8(&text[start..]) else {
        pages.not_utf8 += 1;
        return None;
    };
    pages.articles += 1;
    Some(unescape(text))
}

/// XML's own escapes; what else begins with `&` is wikitext's.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let known =
            [("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"'), ("&amp;", '&'), ("&apos;", '\'')];
        match known.iter().find(|(escape, _)| rest.starts_with(escape)) {
            Some((escape, c)) => {
                plain.push(*c);
                rest = &rest[escape.len()..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Everything that is between an opening and the next closing.
fn between<'a>(bytes: &'a [u8], open: &'a [u8], close: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let start = memmem::find(rest, open)? + open.len();
        let length = memmem::find(&rest[start..], close)?;
        let found = &rest[start..start + length];
        rest = &rest[start + length + close.len()..];
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUMP: &str = "<mediawiki xml:lang=\"de\"><siteinfo><namespaces>\
        <namespace key=\"0\" case=\"first-letter\" /><namespace key=\"6\" case=\"first-letter\">Datei</namespace>\
        <namespace key=\"14\" case=\"first-letter\">Kategorie</namespace></namespaces></siteinfo>\
        <page><title>Apfel</title><ns>0</ns><revision><text bytes=\"9\" xml:space=\"preserve\">Ein &lt;b&gt;Apfel\
        &lt;/b&gt; &amp;amp; [[Datei:a.jpg|mini|weg]]mehr&amp;nbsp;[[Kategorie:Obst]]</text></revision></page>\n\
        <page><title>Äpfel</title><ns>0</ns><redirect title=\"Apfel\" /><revision><text>#WEITERLEITUNG</text>\
        </revision></page><page><title>Diskussion:Apfel</title><ns>1</ns><revision><text>weg</text></revision>\
        </page><page><title>Leer</title><ns>0</ns><revision><text /></revision></page></mediawiki>";

    fn read(dump: &[u8]) -> Result<(Vec<String>, Pages)> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dump.xml");
        std::fs::write(&path, dump).unwrap();
        let mut found = vec![Vec::new()];
        let pages = articles(&path, &mut found, &|_| (), |found: &mut Vec<String>, text| {
            found.push(text.to_owned());
            Ok(())
        })?;
        Ok((found.remove(0), pages))
    }

    #[test]
    fn articles_come_as_plain_text_and_other_pages_are_counted() {
        let (mut found, pages) = read(DUMP.as_bytes()).unwrap();
        found.sort();
        assert_eq!(found, ["", "Ein Apfel & mehr\u{a0}"]);
        assert_eq!(pages, Pages { articles: 2, redirects: 1, others: 1, not_utf8: 0 });
    }

    #[test]
    fn what_is_no_dump_or_half_of_one_is_reported() {
        let half = read(&DUMP.as_bytes()[..DUMP.len() - 40]).unwrap_err().to_string();
        assert!(half.contains("cut off after 3 pages"), "{half}");
        for (bytes, reason) in [
            (&b"plain text\n"[..], "does not begin with <mediawiki"),
            (b"", "does not begin with <mediawiki"),
            (b"<mediawiki></mediawiki>", "holds no <page>"),
        ] {
            let message = read(bytes).unwrap_err().to_string();
            assert!(message.contains(reason) && message.contains("hint: "), "{message}");
        }
        let (before, after) = DUMP.split_once("Ein").unwrap();
        let foreign = [before.as_bytes(), b"\xff", after.as_bytes()].concat();
        assert_eq!(
            read(&foreign).unwrap().1,
            Pages { articles: 1, redirects: 1, others: 1, not_utf8: 1 }
        );
    }
}
