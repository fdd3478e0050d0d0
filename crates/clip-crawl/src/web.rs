//! A crawl from seed pages: breadth first, each host on its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use clip_pipeline::config::fetch::FetchConfig;
use clip_pipeline::config::source::{Follow, Web};
use clip_pipeline::{Context, Error, PartSink, Reject, Result, Source, row_id};
use futures::stream::{self, StreamExt};
use url::Url;

use crate::html::{CUT, Extracted, Found, extract};
use crate::message::is_html;
use crate::opt_out::OptOut;
use crate::rows::{Pair, batch};
use crate::{Client, FetchError, sitemap};

/// Pages of the seeds' hosts. A host with seeds is one part; links to other hosts, where the
/// settings allow them, are followed by the part that found them.
///
/// The order of pairs is that of discovery: level by level, within a level in the order of links,
/// whatever the order in which pages arrive.
pub struct WebSource {
    client: Arc<Client>,
    web: Web,
    concurrency: usize,
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
                    "source.seeds: {seed:?} is no URL\nhint: http://example.org/"
                ))
            })?;
            hosts.entry(authority(&url)).or_default().push(url);
        }
        if hosts.is_empty() {
            return Err(Error::Config(
                "source.seeds is empty\nhint: name the pages to start from".into(),
            ));
        }
        let client = Client::new(fetch).map_err(|e| Error::Config(e.message))?;
        Ok(Self {
            client: Arc::new(client),
            web: web.clone(),
            concurrency: fetch.concurrency.max(1),
            hosts: hosts.into_values().collect(),
        })
    }

    async fn crawl(&self, seeds: &[Url], cx: &Context, out: &mut PartSink) -> Result<()> {
        let Some(seed) = seeds.first() else { return Ok(()) };
        let mut budget = Budget { most: self.web.max_pages_per_host, pages: HashMap::new() };
        let mut seen: HashSet<String> = HashSet::new();
        let mut level: Vec<String> = seeds.iter().map(Url::to_string).collect();
        if self.web.sitemaps {
            let pages = sitemap::pages(&self.client, seed, self.web.max_pages_per_host, cx).await;
            level.extend(pages.into_iter().filter(|page| self.follows(seed, page)));
        }
        level.retain(|page| seen.insert(page.clone()));
        let (mut rows, mut given) = (0, 0);
        for depth in 0..=self.web.depth {
            level.retain(|page| budget.takes(page));
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
                    Err(error) => {
                        cx.note(format!("{url}: {} ({error})", error.kind.name()));
                        out.reject(failed(url, &error, row_id(out.part(), rows)))?;
                        rows += 1;
                        continue;
                    }
                };
                if page.found.cut {
                    cx.note(format!("{url}: {CUT}"));
                }
                rows += give(page.found.images, page.opt_out.as_ref(), url, rows, out)?;
                cx.rows(rows as u64 - given);
                given = rows as u64;
                let links = if page.is_nofollow { Vec::new() } else { page.found.links };
                let own = links.into_iter().filter(|link| self.follows(seed, link));
                next.extend(own.filter(|link| seen.insert(link.clone())));
            }
            drop(fetched);
            if depth == self.web.depth || next.is_empty() {
                break;
            }
            level = next;
        }
        Ok(())
    }

    /// Whether a link may be followed by the part that began at `seed`.
    fn follows(&self, seed: &Url, link: &str) -> bool {
        let Ok(link) = Url::parse(link) else { return false };
        if authority(&link) == authority(seed) {
            return true;
        }
        let host = link.host_str().unwrap_or_default();
        let under = |host: &str, site: &str| {
            host == site || host.strip_suffix(site).is_some_and(|rest| rest.ends_with('.'))
        };
        let allowed = self.web.allow.iter().any(|name| match name.strip_prefix('.') {
            Some(site) => under(host, site),
            None => host == name,
        });
        let site = seed.host_str().unwrap_or_default();
        let site = site.strip_prefix("www.").unwrap_or(site);
        allowed || (self.web.follow == Follow::Site && under(host, site))
    }

    async fn page(&self, url: &str) -> std::result::Result<Page, FetchError> {
        let reply = self.client.page(url).await?;
        if !is_html(&reply.content_type, &reply.body) {
            return Ok(Page::default());
        }
        let found = extract(&reply.body, &reply.content_type, &reply.url);
        let opt_out = self.client.policy().page(reply.url.as_str(), &reply.body, &found);
        Ok(Page { is_nofollow: found.is_nofollow(), found, opt_out })
    }
}

/// A page, and what forbids the use of its images.
#[derive(Default)]
struct Page {
    found: Extracted,
    is_nofollow: bool,
    opt_out: Option<OptOut>,
}

/// What a page that could not be had is named in the funnel: this, and why.
pub(crate) const PAGE: &str = "page_";

/// The reject of a page that could not be had: its pairs and links are unknown.
fn failed(url: &str, error: &FetchError, row: u64) -> Reject {
    let (url, caption) = (url.to_owned(), String::new());
    let uid = clip_corpus::uid(&url, &caption);
    let reason = format!("{PAGE}{}", error.kind.name());
    Reject { row, uid, url, caption, reason, detail: error.message.clone() }
}

/// Gives the images of a page as rows from `first` on, kept or rejected; returns their number.
fn give(
    images: Vec<Found>,
    opt_out: Option<&OptOut>,
    page: &str,
    first: usize,
    out: &mut PartSink,
) -> Result<usize> {
    let count = images.len();
    let Some(opt_out) = opt_out else {
        let page = Some(page.to_owned());
        let pair = |f: Found| Pair {
            url: f.url,
            caption: f.caption,
            page: page.clone(),
            source: f.source,
        };
        let pairs: Vec<Pair> = images.into_iter().map(pair).collect();
        out.keep(batch(out.part(), first, &pairs)?)?;
        return Ok(count);
    };
    for (index, Found { url, caption, .. }) in images.into_iter().enumerate() {
        let (row, uid) = (row_id(out.part(), first + index), clip_corpus::uid(&url, &caption));
        let (reason, detail) = (opt_out.kind.name().to_owned(), opt_out.message());
        out.reject(Reject { row, uid, url, caption, reason, detail })?;
    }
    Ok(count)
}

/// Pages that may still be visited of each host.
struct Budget {
    most: usize,
    pages: HashMap<String, usize>,
}

impl Budget {
    fn takes(&mut self, page: &str) -> bool {
        let host = Url::parse(page).map(|url| authority(&url)).unwrap_or_default();
        let pages = self.pages.entry(host).or_default();
        *pages += 1;
        *pages <= self.most
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
