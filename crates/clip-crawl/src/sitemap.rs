//! Sitemaps (sitemaps.org): the pages that a host wants to be found.

use std::collections::HashSet;
use std::io::Read;

use clip_pipeline::Context;
use flate2::read::MultiGzDecoder;
use url::Url;

use crate::Client;
use crate::html::{LONGEST_URL, clean_text};
use crate::robots::SITEMAPS;

/// Longest sitemap, unpacked, and the most URLs in one: what the protocol allows.
const LONGEST: u64 = 50 << 20;
const URLS: usize = 50_000;

/// Pages that the sitemaps in the robots.txt of the seed's host name, at most this many, in their
/// order. One that cannot be had is noted and skipped.
pub(crate) async fn pages(client: &Client, seed: &Url, most: usize, cx: &Context) -> Vec<String> {
    let mut waiting = client.sitemaps(seed).await;
    waiting.reverse();
    let (mut seen, mut pages) = (HashSet::new(), Vec::new());
    while let Some(sitemap) = waiting.pop() {
        if pages.len() >= most || seen.len() == SITEMAPS || cx.cancelled() {
            break;
        }
        if !seen.insert(sitemap.clone()) {
            continue;
        }
        match client.sitemap(&sitemap).await {
            Ok(reply) => {
                let (index, found) = locations(&reply.body);
                if index {
                    waiting.extend(found.into_iter().take(SITEMAPS).rev());
                } else {
                    pages.extend(found);
                    pages.truncate(most);
                }
            }
            Err(error) => cx.note(format!("{sitemap}: {} ({error})", error.kind.name())),
        }
    }
    pages
}

/// Whether a sitemap is an index of others, and the URLs in it: of XML its `<loc>`s, of plain
/// text its lines.
pub fn locations(body: &[u8]) -> (bool, Vec<String>) {
    let mut text = Vec::new();
    if body.starts_with(&[0x1f, 0x8b]) {
        // What was read before a fault counts.
        let _ = MultiGzDecoder::new(body).take(LONGEST).read_to_end(&mut text);
    } else {
        text.extend_from_slice(&body[..body.len().min(LONGEST as usize)]);
    }
    let text = String::from_utf8_lossy(&text);
    if !text.contains("<loc>") {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with("http"));
        let lines = lines.filter(|line| line.len() <= LONGEST_URL).take(URLS);
        return (false, lines.map(str::to_owned).collect());
    }
    let ends = text.split("<loc>").skip(1).filter_map(|rest| Some(rest.split_once("</loc>")?.0));
    let plain = |inner: &str| {
        let inner = inner.trim();
        clean_text(
            inner.strip_prefix("<![CDATA[").and_then(|i| i.strip_suffix("]]>")).unwrap_or(inner),
        )
    };
    let found = ends.map(plain).filter(|url| !url.is_empty() && url.len() <= LONGEST_URL);
    (text.contains("<sitemapindex"), found.take(URLS).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_every_kind_of_sitemap_are_read() {
        let xml = "<urlset><url><loc> http://e.com/a?x=1&amp;y=2 </loc></url><url><loc><![CDATA[http://e.com/b]]></loc></url></urlset>";
        assert_eq!(
            locations(xml.as_bytes()),
            (false, vec!["http://e.com/a?x=1&y=2".into(), "http://e.com/b".into()])
        );
        let index = "<sitemapindex><sitemap><loc>http://e.com/s.xml</loc></sitemap></sitemapindex>";
        assert_eq!(locations(index.as_bytes()), (true, vec!["http://e.com/s.xml".into()]));
        assert_eq!(locations(b"http://e.com/a\r\nno\n"), (false, vec!["http://e.com/a".into()]));
        assert_eq!(locations(b""), (false, vec![]));
        let bomb = format!("<sitemapindex>{}", "<loc>a</loc>".repeat(60_000));
        assert_eq!(locations(bomb.as_bytes()).1.len(), URLS);
    }
}
