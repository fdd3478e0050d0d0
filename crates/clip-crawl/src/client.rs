//! One request, with every limit that keeps it short, small and allowed.

mod site;

use std::sync::Arc;
use std::time::{Duration, Instant};

use clip_pipeline::config::fetch::FetchConfig;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::{Host, Url};

use crate::address::is_private;
use crate::dns::Resolver;
use crate::error::{FetchError, Kind, retry_after};
use crate::hosts::{Hosts, Limits, Outcome};
use crate::identity::Identity;
use crate::lease::Leases;
use crate::message::text;
use crate::opt_out::Policy;
use crate::proxy::{ProxyClient, request_error};
use crate::robots::{self, Cache};

type Result<T> = std::result::Result<T, FetchError>;

/// A body that came whole.
pub struct Reply {
    /// Where it came from, after redirects.
    pub url: Url,
    /// `Content-Type`, as sent.
    pub content_type: String,
    /// The body.
    pub body: Vec<u8>,
    /// Its share of the bytes in flight: given back when the reply is dropped.
    _memory: Memory,
}

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// A body that its headers may forbid.
    Content,
    /// A body that it does not speak of.
    Sitemap,
    /// The beginning of a robots.txt or the like, however long that is.
    SiteFile,
}

impl Wanted {
    /// Bytes after which no more are read.
    fn enough(self) -> u64 {
        if self == Self::SiteFile { robots::MAX_BYTES as u64 + 1 } else { u64::MAX }
    }
}

/// Taken for a body before its length is known, in KiB.
const ESTIMATE: u32 = 128;
/// How long a connection waits for its host's next request.
const IDLE: Duration = Duration::from_secs(1);
/// Open files, beside those of requests in flight, that connections that wait may need.
const FILES: u64 = 8192;
/// Open files that are none of connections: shards, tables, locks, libraries.
const OWN_FILES: u64 = 64;
/// Time that a body has before its rate counts.
const GRACE: Duration = Duration::from_secs(3);

/// The downloader: shared by all requests of a process, so that politeness counts them all.
pub struct Client {
    http: reqwest::Client,
    /// What asks through proxies, where there are any.
    proxied: Option<ProxyClient>,
    identity: Option<Identity>,
    config: FetchConfig,
    timeout: Duration,
    max_pause: Duration,
    hosts: Hosts,
    sites: Cache,
    policy: Policy,
    /// Requests in flight.
    open: Semaphore,
    /// A permit is a KiB of a body in memory, up to the estimate.
    memory: Arc<Semaphore>,
    /// What larger bodies take beyond the estimate, each once and at a time: so they never wait
    /// for each other.
    large: Arc<Semaphore>,
    /// KiB that the longest body takes.
    longest: u32,
}

/// The share of one body.
struct Memory {
    small: OwnedSemaphorePermit,
    large: Option<OwnedSemaphorePermit>,
}

/// Requests in flight where the process may have `files` open: a connection is still open for a
/// moment after its answer, so each has room for two.
fn most_open(concurrency: usize, files: u64) -> usize {
    let room = usize::try_from(files.saturating_sub(OWN_FILES) / 2).unwrap_or(usize::MAX);
    concurrency.min(room).clamp(1, 65_536)
}

impl Client {
    /// With the limits of `[fetch]`.
    pub fn new(config: &FetchConfig) -> Result<Self> {
        // Another part of the process may have installed it: either is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let servers = config.name_servers().map_err(|why| FetchError::new(Kind::BadUrl, why))?;
        let seconds = |value: f64| Duration::from_secs_f64(value.clamp(0.001, 86_400.0));
        // The pool has no bound over hosts: thousands that were just asked may have a connection.
        let files = rlimit::Resource::NOFILE.get_soft().unwrap_or(0);
        let keeps = files >= FILES + config.concurrency as u64;
        let builder = || {
            reqwest::Client::builder()
                .user_agent(config.user_agent.clone())
                .connect_timeout(seconds(config.connect_timeout))
                .read_timeout(seconds(config.idle_timeout))
                // Hops are followed by hand: each is checked like a first request.
                .redirect(reqwest::redirect::Policy::none())
                .pool_max_idle_per_host(if keeps { config.per_host.clamp(1, 64) } else { 0 })
                .pool_idle_timeout(IDLE)
                // Those of the environment are read by our own rules.
                .no_proxy()
        };
        let bad = |e: reqwest::Error| FetchError::new(Kind::BadUrl, e.to_string());
        let resolver = Arc::new(Resolver::new(&servers, config.allow_private));
        let http = builder().dns_resolver(resolver.clone()).build().map_err(bad)?;
        let unusable = |why: String| FetchError::new(Kind::BadUrl, why);
        let identity = config.identity().map_err(unusable)?;
        let identity = identity.map(|(key, site)| Identity::open(key, site)).transpose();
        let identity = identity.map_err(unusable)?;
        let proxies = config.proxies().map_err(|why| FetchError::new(Kind::BadUrl, why))?;
        let proxied = if proxies.is_empty() {
            None
        } else {
            let (own, private) = (Resolver::new(&servers, true), config.allow_private);
            Some(ProxyClient::new(builder(), proxies, own, resolver, private).map_err(bad)?)
        };
        let max_pause = seconds(config.max_pause);
        let limits = Limits {
            per_host: config.per_host,
            delays: config.host_delays(),
            faults: config.host_faults,
            max_pause,
        };
        let longest = (config.max_bytes / 1024 + 1).clamp(1, 1 << 27);
        let half = (config.bytes_in_flight / 2048).clamp(8 * u64::from(ESTIMATE), 1 << 28);
        Ok(Self {
            http,
            proxied,
            identity,
            timeout: seconds(config.timeout),
            max_pause,
            hosts: Hosts::new(limits),
            sites: Cache::default(),
            policy: Policy::new(config),
            open: Semaphore::new(most_open(config.concurrency, files)),
            memory: Arc::new(Semaphore::new(half as usize)),
            large: Arc::new(Semaphore::new(half.max(longest) as usize)),
            longest: longest as u32,
            config: config.clone(),
        })
    }

    /// From now on, a host belongs to one of the processes that share leases at a time.
    pub(crate) fn share_hosts(
        &self,
        open: impl FnOnce() -> std::io::Result<Arc<Leases>>,
    ) -> std::io::Result<()> {
        self.hosts.share(open)
    }

    /// Which opt-outs are followed.
    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Gets an image, unless its host, its headers or the image itself opts out.
    pub async fn image(&self, url: &str) -> Result<Reply> {
        let reply = self.get(url, Wanted::Content).await?;
        match self.policy.image(reply.url.as_str(), &reply.body) {
            Some(opt_out) => Err(opt_out.into()),
            None => Ok(reply),
        }
    }

    /// Gets a page, unless its host or its headers opt out.
    pub async fn page(&self, url: &str) -> Result<Reply> {
        self.get(url, Wanted::Content).await
    }

    /// Gets a sitemap: robots.txt is followed.
    pub async fn sitemap(&self, url: &str) -> Result<Reply> {
        self.get(url, Wanted::Sitemap).await
    }

    /// The sitemaps that the robots.txt of the URL's host names, whether it is followed or not.
    pub async fn sitemaps(&self, url: &Url) -> Vec<String> {
        self.site(url).await.robots.sitemaps()
    }

    async fn get(&self, url: &str, wanted: Wanted) -> Result<Reply> {
        let mut tries = 0;
        loop {
            match self.hops(url, wanted).await {
                Err(error) if error.kind.passing() && tries < self.config.retries => {
                    let backoff = Duration::from_millis(250 << tries.min(6)) + jitter(url, tries);
                    let pause = error.retry_after.unwrap_or(backoff);
                    if pause > self.max_pause {
                        return Err(error);
                    }
                    tokio::time::sleep(pause).await;
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    async fn hops(&self, url: &str, wanted: Wanted) -> Result<Reply> {
        let mut url =
            Url::parse(url).map_err(|e| FetchError::new(Kind::BadUrl, format!("{url:?}: {e}")))?;
        let mut left = self.timeout;
        for _ in 0..=self.config.max_redirects {
            check_url(&url, self.config.allow_private)?;
            self.check_site(&url, wanted).await?;
            match self.one(&url, wanted, &mut left).await? {
                Hop::Reply(reply) => return Ok(reply),
                Hop::To(next) => url = next,
            }
        }
        Err(FetchError::new(Kind::Redirects, "too many redirects"))
    }

    /// One request, in the host's turn. Only time in flight counts against what is `left`, not the
    /// wait for the turn.
    async fn one(&self, url: &Url, wanted: Wanted, left: &mut Duration) -> Result<Hop> {
        let host = self.hosts.get(url.host_str().unwrap_or_default());
        let given_up = |why: String| FetchError::new(Kind::HostGivenUp, why);
        let permit = self.hosts.enter(&host).await.map_err(given_up)?;
        let closed = |e: tokio::sync::AcquireError| FetchError::new(Kind::Broken, e.to_string());
        let _open = self.open.acquire().await.map_err(closed)?;
        let small = self.memory.clone().acquire_many_owned(ESTIMATE).await.map_err(closed)?;
        let memory = Memory { small, large: None };
        let (started, mut took) = (Instant::now(), None);
        let send = Box::pin(self.send(url, wanted, memory, &mut took));
        let result = tokio::time::timeout(*left, send).await;
        let result = result.unwrap_or_else(|_| Err(FetchError::timeout()));
        *left = left.saturating_sub(started.elapsed());
        let error = result.as_ref().err();
        let busy = error.is_some_and(|e| e.kind == Kind::TooManyRequests);
        let outcome = Outcome {
            took,
            failed: error.is_some_and(|e| e.kind.passing()),
            busy,
            overloaded: busy
                || error.is_some_and(|e| e.kind == Kind::Timeout || e.status == Some(503)),
            pause: error.and_then(|e| e.retry_after),
        };
        self.hosts.outcome(&permit, outcome);
        result
    }

    /// Takes what a body of this many KiB needs beyond the estimate.
    async fn grow(&self, memory: &mut Memory, kib: u32) {
        let more = kib.min(self.longest).saturating_sub(ESTIMATE);
        memory.large = self.large.clone().acquire_many_owned(more).await.ok();
    }

    /// Sends a request and reads its answer; `took` becomes the time to the answer's head.
    async fn send(
        &self,
        url: &Url,
        wanted: Wanted,
        mut memory: Memory,
        took: &mut Option<Duration>,
    ) -> Result<Hop> {
        let proxied = self.proxied.as_ref().filter(|proxied| proxied.takes(url));
        let http = proxied.map_or(&self.http, |proxied| &proxied.http);
        if let Some(proxied) = proxied {
            proxied.check(url).await?;
        }
        let started = Instant::now();
        let mut request = http.get(url.clone());
        if let Some(identity) = &self.identity {
            for (name, value) in identity.headers(url) {
                request = request.header(name, value);
            }
        }
        let sent = request.send().await;
        let mut response = sent.map_err(|e| match proxied {
            Some(_) => request_error(&e),
            None => FetchError::of_request(&e),
        })?;
        *took = Some(started.elapsed());
        let status = response.status();
        // Some servers send bytes beyond ASCII, as browsers take them.
        let header = |name| response.headers().get(name).map(|value| text(value.as_bytes()));
        if status.is_redirection()
            && let Some(location) = header(LOCATION)
        {
            let next = url.join(&location);
            return next.map(Hop::To).map_err(|e| FetchError::new(Kind::BadUrl, e.to_string()));
        }
        if !status.is_success() {
            let kind = match status.as_u16() {
                407 if proxied.is_some() => Kind::Proxy,
                429 => Kind::TooManyRequests,
                400..=499 => Kind::Http4xx,
                500..=599 => Kind::Http5xx,
                _ => Kind::HttpOther,
            };
            let reason = status.canonical_reason().unwrap_or("Unknown");
            let mut error =
                FetchError::new(kind, format!("HTTP Error {}: {reason}", status.as_u16()));
            let seconds = header(RETRY_AFTER).and_then(|value| retry_after(&value));
            error.retry_after = seconds;
            error.status = Some(status.as_u16());
            return Err(error);
        }
        if wanted == Wanted::Content {
            let values = |name: &str| {
                let all = response.headers().get_all(name);
                all.iter().map(|value| text(value.as_bytes())).collect()
            };
            if let Some(opt_out) = self.policy.headers(url.as_str(), values) {
                return Err(opt_out.into());
            }
        }
        let content_type = header(CONTENT_TYPE).unwrap_or_default().into_owned();
        let length: Option<u64> = header(CONTENT_LENGTH).and_then(|value| value.parse().ok());
        let length = length.map(|length| length.min(wanted.enough()));
        let too_large = || FetchError::new(Kind::TooLarge, "body too large");
        let most = if wanted == Wanted::SiteFile { u64::MAX } else { self.config.max_bytes };
        if length.is_some_and(|length| length > most) {
            return Err(too_large());
        }
        let kib = length.map(|length| (length / 1024 + 1) as u32);
        match kib {
            Some(kib) if kib < ESTIMATE => drop(memory.small.split((ESTIMATE - kib) as usize)),
            Some(kib) => self.grow(&mut memory, kib).await,
            None => {}
        }
        let started = Instant::now();
        let mut body = Vec::with_capacity(length.unwrap_or(1 << 16).min(1 << 24) as usize);
        while let Some(chunk) = response.chunk().await.map_err(|e| FetchError::of_request(&e))? {
            if (body.len() + chunk.len()) as u64 > most {
                return Err(too_large());
            }
            if memory.large.is_none() && body.len() + chunk.len() > ESTIMATE as usize * 1024 {
                self.grow(&mut memory, self.longest).await;
            }
            body.extend_from_slice(&chunk);
            if body.len() as u64 >= wanted.enough() {
                break;
            }
            let spent = started.elapsed();
            if spent > GRACE && (body.len() as f64) < self.config.min_rate * spent.as_secs_f64() {
                return Err(FetchError::new(Kind::Timeout, "body slower than the minimum rate"));
            }
        }
        Ok(Hop::Reply(Reply { url: url.clone(), content_type, body, _memory: memory }))
    }
}

enum Hop {
    Reply(Reply),
    To(Url),
}

/// Whether a URL can be asked, as far as it says itself.
pub(crate) fn check_url(url: &Url, allow_private: bool) -> Result<()> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(FetchError::new(Kind::BadUrl, format!("unknown url type: {}", url.scheme())));
    }
    // A literal address never reaches the resolver.
    let ip = match url.host() {
        Some(Host::Ipv4(ip)) => Some(ip.into()),
        Some(Host::Ipv6(ip)) => Some(ip.into()),
        Some(Host::Domain(_)) => None,
        None => return Err(FetchError::new(Kind::BadUrl, "no host given")),
    };
    if ip.is_some_and(is_private) && !allow_private {
        return Err(FetchError::new(Kind::BlockedAddress, "private address"));
    }
    Ok(())
}

/// Up to a quarter of a second that depends on the URL, so that repeats do not come in step.
fn jitter(url: &str, tries: u32) -> Duration {
    let hash = blake3::hash(format!("{url} {tries}").as_bytes());
    Duration::from_millis(u64::from(hash.as_bytes()[0]))
}

#[cfg(test)]
mod tests {
    use super::most_open;

    #[test]
    fn requests_in_flight_leave_open_files_for_all_else() {
        assert_eq!(most_open(256, 1 << 20), 256);
        assert_eq!(most_open(256, 450), 193);
        assert_eq!(most_open(256, 10), 1);
        assert_eq!(most_open(0, 1024), 1);
        assert_eq!(most_open(usize::MAX, u64::MAX), 65_536);
    }
}
