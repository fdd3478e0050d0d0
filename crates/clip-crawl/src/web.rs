//! A crawl from seed pages: breadth first, each host on its own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::source::Web;
use clip_pipeline::{Context, Error, PartSink, Reject, Result, Source};
use futures::stream::{self, StreamExt};
use url::Url;

use crate::html::{Extracted, extract};
use crate::rows::{Pair, batch};
use crate::{Client, FetchError};

const STAGE: &str = "collect";

/// Pages of the seeds' hosts. A host is one part, so that no two workers ever ask the same host.
///
/// The order of pairs is that of discovery: level by level, within a level in the order of links, whatever
/// the order in which pages arrive.
pub struct WebSource {
    client: Arc<Client>,
    concurrency: usize,
    depth: usize,
    max_pages: usize,
    hosts: Vec<Vec<Url>>,
}

impl WebSource {
    /// Sorts the seeds by host.
    pub fn new(web: &Web, fetch: &FetchConfig) -> Result<Self> {
        let mut hosts: BTreeMap<String, Vec<Url>> = BTreeMap::new();
        for seed in &web.seeds {
            let url = Url::parse(seed).ok().filter(|url| url.has_host());
            let url = url.ok_or_else(|| {
                Error::Config(format!(
                    "source.seeds: {seed:?} is no address\nhint: http://example.org/"
                ))
            })?;
            hosts.entry(authority(&url)).or_default().push(url);
        }
        if hosts.is_empty() {
            return Err(Error::Config(
                "source.seeds is empty\nhint: name the pages to start from".into(),
            ));
        }
        let client = Client::new(fetch).map_err(|e| Error::stage(STAGE, e))?;
        Ok(Self {
            client: Arc::new(client),
            concurrency: fetch.concurrency.max(1),
            depth: web.depth,
            max_pages: web.max_pages_per_host,
            hosts: hosts.into_values().collect(),
        })
    }

    async fn crawl(&self, seeds: &[Url], cx: &Context, out: &mut PartSink) -> Result<()> {
        let host = seeds.first().map(authority).unwrap_or_default();
        let mut seen: HashSet<String> = HashSet::new();
        let mut level: Vec<String> = Vec::new();
        for seed in seeds {
            if seen.insert(seed.to_string()) {
                level.push(seed.to_string());
            }
        }
        let (mut rows, mut pages) = (0, 0);
        for depth in 0..=self.depth {
            level.truncate(self.max_pages - pages.min(self.max_pages));
            pages += level.len();
            let mut next = Vec::new();
            let mut fetched = stream::iter(&level)
                .map(|url| async move { (url, self.page(url).await) })
                .buffered(self.concurrency);
            while let Some((url, page)) = fetched.next().await {
                if cx.cancelled() {
                    return Ok(());
                }
                let page = match page {
                    Ok(page) => page,
                    // A page is no row: the note tells, the funnel stays about pairs.
                    Err(error) => {
                        cx.note(format!("{url}: {} ({error})", error.kind.name()));
                        continue;
                    }
                };
                let pairs: Vec<Pair> = page
                    .images
                    .into_iter()
                    .map(|f| Pair {
                        url: f.url,
                        caption: f.caption,
                        page: Some(url.clone()),
                        source: f.source,
                    })
                    .collect();
                out.keep(batch(out.part(), rows, &pairs)?)?;
                rows += pairs.len();
                cx.rows(pairs.len() as u64);
                let own = page
                    .links
                    .into_iter()
                    .filter(|link| Url::parse(link).is_ok_and(|link| authority(&link) == host));
                next.extend(own.filter(|link| seen.insert(link.clone())));
            }
            drop(fetched);
            if depth == self.depth || next.is_empty() {
                break;
            }
            level = next;
        }
        Ok(())
    }

    async fn page(&self, url: &str) -> std::result::Result<Extracted, FetchError> {
        let reply = self.client.page(url).await?;
        if !reply.content_type.is_empty() && !reply.content_type.contains("html") {
            return Ok(Extracted::default());
        }
        Ok(extract(&reply.body, &reply.content_type, &reply.url))
    }
}

fn authority(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or(0))
}

impl Source for WebSource {
    fn parts(&self) -> Result<usize> {
        Ok(self.hosts.len())
    }

    fn read(&self, part: usize, out: &mut PartSink, cx: &Context) -> Result<()> {
        let seeds = self.hosts.get(part).map_or(&[][..], Vec::as_slice);
        crate::fetch::runtime()?.block_on(self.crawl(seeds, cx, out))
    }
}

/// A pair that a list gave but that cannot be a row.
pub(crate) fn unusable(row: u64, url: &str, caption: &str, reason: &str, detail: String) -> Reject {
    let (url, caption) = (url.to_owned(), caption.to_owned());
    let uid = clip_corpus::uid(&url, &caption);
    Reject { row, uid, url, caption, reason: reason.to_owned(), detail }
}
