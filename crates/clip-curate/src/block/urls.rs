//! Hosts and URLs that a row must not have.

use std::collections::HashMap;

use arrow::array::RecordBatch;
use clip_corpus::columns;
use clip_pipeline::config::corpus::Block;
use clip_pipeline::{Error, Map, PartSink, Result};
use url::Url;

use super::list::{Lists, Place};

/// Drops rows whose image or page has a host or a URL of the lists of `[block]`, before anything is
/// fetched: `blocked_host` and `blocked_url`, with the entry.
pub struct BlockUrls {
    lists: Lists,
    hosts: HashMap<String, Place>,
    urls: HashMap<String, Place>,
    /// With `*`.
    patterns: Vec<(String, Place)>,
}

impl BlockUrls {
    /// Name of the stage.
    pub const STAGE: &'static str = "block_urls";

    /// Reads the lists, whose paths must be the files' own.
    ///
    /// # Errors
    /// Naming file and line of what is no host or URL.
    pub fn open(block: &Block) -> Result<Self> {
        let mut lists = Lists::default();
        let (mut hosts, mut urls, mut patterns) = (HashMap::new(), HashMap::new(), Vec::new());
        lists.read(&block.hosts, |text, place| {
            let host = host(text).ok_or_else(|| format!("{text:?} is not a host"))?;
            hosts.entry(host).or_insert(place);
            Ok(())
        })?;
        lists.read(&block.urls, |text, place| {
            if text.contains('*') {
                patterns.push((text.to_owned(), place));
                return Ok(());
            }
            let hint = "hint: a whole URL, or a pattern with `*` for any characters";
            let url =
                Url::parse(text).map_err(|e| format!("{text:?} is not a URL: {e}\n{hint}"))?;
            urls.entry(String::from(url)).or_insert(place);
            Ok(())
        })?;
        Ok(Self { lists, hosts, urls, patterns })
    }

    /// Reason and detail of the first entry that a URL matches.
    fn check(&self, column: &str, text: &str) -> Option<(String, String)> {
        let parsed = Url::parse(text).ok();
        let host = parsed.as_ref().and_then(Url::host_str).unwrap_or_default();
        let text = parsed.as_ref().map_or(text, Url::as_str);
        let mut parents = std::iter::successors(Some(host), |host| Some(host.split_once('.')?.1));
        let by_host = parents.find_map(|host| self.hosts.get_key_value(host));
        let detail =
            |place: Place, entry: &str| format!("{column}: {entry} ({})", self.lists.name(place));
        if let Some((entry, place)) = by_host {
            return Some(("blocked_host".into(), detail(*place, entry)));
        }
        let exact = self.urls.get_key_value(text).map(|(entry, place)| (entry, *place));
        let matched = || self.patterns.iter().find(|(pattern, _)| matches(pattern, text));
        let found = exact.or_else(|| matched().map(|(entry, place)| (entry, *place)));
        found.map(|(entry, place)| ("blocked_url".into(), detail(place, entry)))
    }
}

impl Map for BlockUrls {
    fn apply(&self, batch: RecordBatch, out: &mut PartSink) -> Result<()> {
        let names = [columns::URL, columns::PAGE_URL];
        let texts = names.map(|name| columns::text(&batch, name));
        if texts[0].is_none() {
            return Err(Error::stage(Self::STAGE, "the input lacks the text column `url`"));
        }
        let reasons: Vec<_> = (0..batch.num_rows())
            .map(|row| {
                let mut cells = names
                    .iter()
                    .zip(&texts)
                    .filter_map(|(name, texts)| Some((*name, texts.as_ref()?.iter().nth(row)??)));
                cells.find_map(|(name, text)| self.check(name, text))
            })
            .collect();
        out.split(&batch, &reasons)
    }
}

/// A host as URLs have it, of `example.org` or `*.example.org`.
fn host(text: &str) -> Option<String> {
    let text = text.strip_prefix("*.").unwrap_or(text);
    // The only colons of a host are an IPv6 address's.
    let plain = !text.contains(['/', '@', '*', '?', '#']);
    let plain = plain && (text.starts_with('[') && text.ends_with(']') || !text.contains(':'));
    let url = plain.then(|| Url::parse(&format!("http://{text}/")).ok())?;
    url?.host_str().map(str::to_owned)
}

/// Whether a whole text is of a pattern, in which `*` is any run of characters. Linear in both.
fn matches(pattern: &str, text: &str) -> bool {
    let mut runs = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(runs.next().unwrap_or_default()) else { return false };
    let Some(last) = runs.next_back() else { return rest.is_empty() };
    // The first place of each run leaves the most to the runs after it.
    for run in runs {
        let Some(at) = rest.find(run) else { return false };
        rest = &rest[at + run.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(hosts: &str, urls: &str) -> Result<BlockUrls> {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            vec![path]
        };
        let (hosts, urls) = (write("hosts.txt", hosts), write("urls.txt", urls));
        BlockUrls::open(&Block { hosts, urls, ..Block::default() })
    }

    #[test]
    fn hosts_with_those_below_them_and_urls_are_found_with_their_line() {
        let hosts = "# ours\nexample.org\n\n*.ads.net\nb\u{fc}cher.de\n";
        let block = block(hosts, "https://ok.com/a.jpg\n*/banner/*.gif\nhttp://x.com/*\n").unwrap();
        let found = |url: &str| block.check("url", url).map(|(_, detail)| detail);
        for (url, entry) in [
            ("https://example.org/a.jpg", "example.org (hosts.txt line 2)"),
            ("http://img.EXAMPLE.org:80/a.jpg", "example.org (hosts.txt line 2)"),
            ("http://ads.net/1", "ads.net (hosts.txt line 4)"),
            ("http://b\u{fc}cher.de/1", "xn--bcher-kva.de (hosts.txt line 5)"),
            ("https://OK.com/a.jpg", "https://ok.com/a.jpg (urls.txt line 1)"),
            ("https://z.com/x/banner/1/2.gif", "*/banner/*.gif (urls.txt line 2)"),
            ("http://x.com/", "http://x.com/* (urls.txt line 3)"),
        ] {
            assert_eq!(found(url), Some(format!("url: {entry}")), "{url}");
        }
        for url in [
            "https://notexample.org/",
            "https://ok.com/a.jpg?b",
            "https://z.com/banner/1.png",
            "org",
        ] {
            assert_eq!(found(url), None, "{url}");
        }
    }

    #[test]
    fn what_is_no_host_or_url_is_named_by_file_and_line() {
        let fault = |hosts: &str, urls: &str| block(hosts, urls).err().unwrap().to_string();
        assert!(fault("a.org\nhttp://b.org/\n", "").contains("hosts.txt: line 2: "));
        assert!(fault("a.org:80", "").contains("hosts.txt: line 1: "));
        assert!(fault("", "# c\nnot a url\n").contains("urls.txt: line 2: "));
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (pattern, text, expected) in [
            ("a*c", "abc", true),
            ("a*c", "ac", true),
            ("a*c", "abcd", false),
            ("ab*ba", "aba", false),
            ("*", "", true),
            ("**x*", "yx", true),
            ("*aab", "aaaab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
