//! robots.txt (RFC 9309), fetched once per host.

mod file;
mod pattern;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use url::{Position, Url};

use self::file::{File, Line};
use crate::error::{FetchError, Kind};
use crate::opt_out::{OptOut, TdmFile};

pub(crate) use self::file::SITEMAPS;
pub(crate) use self::pattern::{matches, normalized};

/// What is read of a file, and all that is: RFC 9309 section 2.5 asks for at least 500 KiB.
pub(crate) const MAX_BYTES: usize = 500 * 1024;

/// What a host allows.
pub enum Rules {
    /// Everything: there is no file (4xx).
    All,
    /// Nothing: the file could not be had (5xx, no connection; RFC 9309 section 2.3.1.4), for this
    /// reason.
    Nothing(FetchError),
    /// As the file says.
    File(File),
}

impl Rules {
    /// The rules of a file for an agent, by its product token.
    ///
    /// Of what is longer than 500 KiB, the whole lines within it.
    pub fn parse(agent: &str, text: &[u8]) -> Self {
        let text = match text.get(..MAX_BYTES) {
            Some(start) if text.len() > MAX_BYTES => {
                let end = start.iter().rposition(|byte| b"\n\r".contains(byte));
                &start[..end.unwrap_or(0)]
            }
            _ => text,
        };
        Self::File(File::parse(agent, text))
    }

    /// The sitemaps that the file names.
    pub fn sitemaps(&self) -> Vec<String> {
        match self {
            Self::File(file) => file.sitemaps.clone(),
            Self::All | Self::Nothing(_) => Vec::new(),
        }
    }

    /// The time between two requests that the file asks for.
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Self::File(file) => file.delay(),
            Self::All | Self::Nothing(_) => None,
        }
    }

    /// The memory that they take.
    fn bytes(&self) -> usize {
        match self {
            Self::File(file) => file.bytes(),
            Self::Nothing(fault) => fault.message.len(),
            Self::All => 0,
        }
    }

    /// How long the file is believed: RFC 9309 section 2.4 says a day; a host that could not answer
    /// is asked again sooner.
    fn kept(&self) -> Duration {
        match self {
            Self::Nothing(_) => Duration::from_mins(15),
            Self::All | Self::File(_) => Duration::from_hours(24),
        }
    }

    /// Whether the URL may be fetched. A host that cannot be reached is reported as that, not as
    /// one that forbids.
    pub fn check(&self, url: &Url) -> Result<(), FetchError> {
        let unreachable = [Kind::BlockedAddress, Kind::Dns, Kind::Connect, Kind::Tls];
        match self {
            Self::All => Ok(()),
            Self::Nothing(fault) if unreachable.contains(&fault.kind) => Err(fault.clone()),
            Self::Nothing(fault) => {
                let message = "Use of image disallowed by robots.txt: it could not be read";
                Err(FetchError::new(Kind::Robots, format!("{message} ({fault})")))
            }
            Self::File(file) => forbidden(Kind::Robots, "robots.txt", url, file.forbids(path(url))),
        }
    }

    /// What its `Content-Usage` rules say against training on the URL.
    pub(crate) fn check_usage(&self, url: &Url) -> Result<(), FetchError> {
        let Self::File(file) = self else { return Ok(()) };
        let line = file.forbids_training(path(url));
        forbidden(Kind::ContentUsage, "robots.txt", url, line)
    }

    /// What it says as an ai.txt.
    fn check_ai_txt(&self, url: &Url) -> Result<(), FetchError> {
        let Self::File(file) = self else { return Ok(()) };
        forbidden(Kind::AiTxt, "ai.txt", url, file.forbids(path(url)))
    }
}

fn path(url: &Url) -> &str {
    &url[Position::BeforePath..Position::AfterQuery]
}

fn forbidden(kind: Kind, file: &str, url: &Url, line: Option<Line>) -> Result<(), FetchError> {
    let Some(line) = line else { return Ok(()) };
    let place = format!("{}/{file}", url.origin().ascii_serialization());
    Err(OptOut::new(kind, line.text, Some(line.number), place).into())
}

/// What the files of an origin say.
pub(crate) struct Site {
    pub robots: Rules,
    /// `/ai.txt`, which has the same form, where it is followed.
    pub ai_txt: Option<Rules>,
    /// `/.well-known/tdmrep.json`, where it is followed and there is one.
    pub tdm: Option<TdmFile>,
}

impl Site {
    /// Of robots.txt alone.
    pub fn new(robots: Rules) -> Self {
        Self { robots, ai_txt: None, tdm: None }
    }

    /// Whether its origin has none of the files.
    fn says_nothing(&self) -> bool {
        matches!(self.robots, Rules::All) && self.ai_txt.is_none() && self.tdm.is_none()
    }

    /// What the files beside robots.txt forbid.
    pub fn check_files(&self, url: &Url) -> Result<(), FetchError> {
        if let Some(rules) = &self.ai_txt {
            rules.check_ai_txt(url)?;
        }
        let place = || format!("{}{TDM_FILE}", url.origin().ascii_serialization());
        let opt_out = self.tdm.as_ref().and_then(|file| file.check(path(url), &place()));
        opt_out.map_or(Ok(()), |opt_out| Err(opt_out.into()))
    }

    fn bytes(&self) -> usize {
        let ai_txt = self.ai_txt.as_ref().map_or(0, Rules::bytes);
        self.robots.bytes() + ai_txt + self.tdm.as_ref().map_or(0, TdmFile::bytes)
    }
}

/// Where an origin's reservations are.
pub(crate) const TDM_FILE: &str = "/.well-known/tdmrep.json";

type Slot = Arc<OnceCell<(Instant, Arc<Site>)>>;

/// Bytes that the rules of all origins together may take: those of half a million usual ones.
const BYTES: usize = 256 << 20;
/// What an origin takes beside its name and its rules, in a table of which half may be free, with
/// what the allocator adds to three pieces.
const ORIGIN: usize = 2 * size_of::<(String, Slot)>()
    + size_of::<OnceCell<(Instant, Arc<Site>)>>()
    + size_of::<Site>()
    + 3 * 32;

/// What the files of all origins that were asked say, each fetched once a day.
pub(crate) struct Cache {
    origins: Mutex<HashMap<String, Slot>>,
    /// What `origins` takes, and what it may take.
    bytes: AtomicUsize,
    most: usize,
    /// What most origins say, once for all of them.
    nothing: Arc<Site>,
}

impl Default for Cache {
    fn default() -> Self {
        let nothing = Arc::new(Site::new(Rules::All));
        Self { origins: Mutex::default(), bytes: AtomicUsize::default(), most: BYTES, nothing }
    }
}

fn cost(origin: &str, slot: &Slot) -> usize {
    ORIGIN + origin.len() + slot.get().map_or(0, |(_, site)| site.bytes())
}

impl Cache {
    fn slot(&self, origin: String) -> Slot {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = origins.get(&origin) {
            let old = slot.get().is_some_and(|(at, site)| at.elapsed() > site.robots.kept());
            if !old {
                return slot.clone();
            }
            self.bytes.fetch_sub(cost(&origin, slot), Ordering::Relaxed);
            origins.remove(&origin);
        }
        if self.bytes.load(Ordering::Relaxed) >= self.most {
            // A quarter, whichever: those in use stay.
            let mut left = 0;
            origins.retain(|origin, slot| {
                let cost = cost(origin, slot);
                let stays = Arc::strong_count(slot) > 1 || left + cost <= self.most / 4 * 3;
                left += if stays { cost } else { 0 };
                stays
            });
            self.bytes.store(left, Ordering::Relaxed);
        }
        let slot = Slot::default();
        self.bytes.fetch_add(cost(&origin, &slot), Ordering::Relaxed);
        origins.insert(origin, slot.clone());
        slot
    }

    /// What the files of the URL's origin say, asked for by `fetch` when that is not known; it is
    /// given the URL of robots.txt.
    pub async fn site<F>(&self, url: &Url, fetch: impl FnOnce(Url) -> F) -> Arc<Site>
    where
        F: Future<Output = Site>,
    {
        let slot = self.slot(url.origin().ascii_serialization());
        let get = || async {
            let site = fetch(at_root(url, "/robots.txt")).await;
            self.bytes.fetch_add(site.bytes(), Ordering::Relaxed);
            let site = if site.says_nothing() { self.nothing.clone() } else { Arc::new(site) };
            (Instant::now(), site)
        };
        slot.get_or_init(get).await.1.clone()
    }
}

/// A file of the URL's origin.
pub(crate) fn at_root(url: &Url, path: &str) -> Url {
    let mut file = url.clone();
    file.set_path(path);
    file.set_query(None);
    file.set_fragment(None);
    file
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_checked_by_its_path_and_query() {
        let text = b"User-agent: *\nDisallow: /private\nAllow: /private/ok\nDisallow: /*?q=\n";
        let rules = Rules::parse("clip-data", text);
        let allow =
            |path: &str| rules.check(&Url::parse(&format!("http://e.com{path}")).unwrap()).is_ok();
        assert_eq!((allow("/a"), allow("/private/x"), allow("/private/ok")), (true, false, true));
        assert_eq!((allow("/a?q=1"), allow("/a?p=1#?q=1")), (false, true));
    }

    #[tokio::test]
    async fn the_rules_of_all_hosts_together_are_bounded() {
        let cache = Cache::default();
        let text = format!(
            "user-agent: *\n{}",
            (0..40_000).map(|n| format!("allow:/{n}\n")).collect::<String>()
        );
        for host in 0..300 {
            let url = Url::parse(&format!("http://h{host}.com/")).unwrap();
            let parse = |_| async { Site::new(Rules::parse("x", text.as_bytes())) };
            let rules = &cache.site(&url, parse).await.robots;
            assert!(rules.check(&url).is_ok());
            let kept: usize = cache
                .origins
                .lock()
                .unwrap()
                .values()
                .filter_map(|slot| Some(slot.get()?.1.bytes()))
                .sum();
            assert!(kept <= BYTES + rules.bytes(), "{kept}");
        }
    }

    #[tokio::test]
    async fn many_hosts_that_say_nothing_or_cannot_be_reached_are_bounded_too() {
        let cache = Cache { most: 1 << 20, ..Cache::default() };
        let fault = FetchError::new(Kind::Dns, "x".repeat(1000));
        for host in 0..20_000 {
            let url = Url::parse(&format!("http://h{host}.com/")).unwrap();
            let fault = fault.clone();
            let rules = if host % 2 == 0 { Rules::All } else { Rules::Nothing(fault) };
            cache.site(&url, |_| async { Site::new(rules) }).await;
            if host % 100 != 0 {
                continue;
            }
            let origins = cache.origins.lock().unwrap();
            let bytes: usize = origins.iter().map(|(origin, slot)| cost(origin, slot)).sum();
            assert_eq!(bytes, cache.bytes.load(Ordering::Relaxed));
            assert!(bytes <= cache.most + ORIGIN + 2000, "{bytes}");
        }
        assert!(cache.origins.lock().unwrap().len() <= (1 << 20) / (ORIGIN + 500));
    }

    #[tokio::test]
    async fn each_of_many_hosts_is_asked_once() {
        let (cache, asked) = (Cache::default(), AtomicUsize::new(0));
        for _ in 0..2 {
            for host in 0..70_000 {
                let url = Url::parse(&format!("http://h{host}.com/a")).unwrap();
                let fetch = |file: Url| {
                    assert_eq!(file.path(), "/robots.txt");
                    asked.fetch_add(1, Ordering::Relaxed);
                    async { Site::new(Rules::All) }
                };
                assert!(cache.site(&url, fetch).await.robots.check(&url).is_ok());
            }
        }
        assert_eq!(asked.load(Ordering::Relaxed), 70_000);
    }

    #[test]
    fn of_a_long_file_the_whole_lines_of_its_first_500_kib_count() {
        let url = |path: &str| Url::parse(&format!("http://e.com{path}")).unwrap();
        let head = "user-agent: *\ndisallow: /no\n";
        // The last line is cut after `/yes`, which would forbid more than it says.
        let filler = "#".repeat(MAX_BYTES - head.len() - "\ndisallow: /yes".len());
        let text = format!("{head}{filler}\ndisallow: /yes/but/not/this\n");
        assert!(text.len() > MAX_BYTES);
        let rules = Rules::parse("x", text.as_bytes());
        assert!(rules.check(&url("/no")).is_err() && rules.check(&url("/yes")).is_ok());
    }
}
