//! robots.txt (RFC 9309), fetched once per host.

mod file;
mod pattern;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use url::{Position, Url};

use self::file::File;
use crate::error::{FetchError, Kind};

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
            Self::All | Self::Nothing(_) => 0,
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

    /// Whether the URL may be fetched. A host that cannot be reached is told as that, not as one
    /// that forbids.
    pub fn check(&self, url: &Url) -> Result<(), FetchError> {
        let forbidden = || FetchError::new(Kind::Robots, "Use of image disallowed by robots.txt");
        let unreachable = [Kind::BlockedAddress, Kind::Dns, Kind::Connect];
        match self {
            Self::All => Ok(()),
            Self::Nothing(fault) if unreachable.contains(&fault.kind) => Err(fault.clone()),
            Self::Nothing(_) => Err(forbidden()),
            Self::File(file) if file.allows(&url[Position::BeforePath..Position::AfterQuery]) => {
                Ok(())
            }
            Self::File(_) => Err(forbidden()),
        }
    }
}

type Slot = Arc<OnceCell<(Instant, Arc<Rules>)>>;

/// Origins whose rules are remembered.
const ORIGINS: usize = 20_000;
/// Bytes that the rules of all of them may take.
const BYTES: usize = 256 << 20;

/// The rules of all hosts that were asked, each fetched once a day.
#[derive(Default)]
pub(crate) struct Cache {
    origins: Mutex<HashMap<String, Slot>>,
    /// What the rules in `origins` take, and some that are gone.
    bytes: AtomicUsize,
}

impl Cache {
    fn slot(&self, origin: String) -> Slot {
        let mut origins = self.origins.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |slot: &Slot| {
            slot.get().is_some_and(|(fetched, rules)| fetched.elapsed() > rules.kept())
        };
        if origins.get(&origin).is_some_and(old) {
            origins.remove(&origin);
        }
        if origins.len() >= ORIGINS || self.bytes.load(Ordering::Relaxed) >= BYTES {
            // Those in use stay; dearer once, but never larger.
            origins.retain(|_, slot| Arc::strong_count(slot) > 1);
            let bytes = origins.values().filter_map(|slot| Some(slot.get()?.1.bytes())).sum();
            self.bytes.store(bytes, Ordering::Relaxed);
        }
        origins.entry(origin).or_default().clone()
    }

    /// The rules of the URL's origin, fetched by `fetch` when they are not known.
    pub async fn rules<F>(&self, url: &Url, fetch: impl FnOnce(Url) -> F) -> Arc<Rules>
    where
        F: Future<Output = Rules>,
    {
        let slot = self.slot(url.origin().ascii_serialization());
        let get = || async {
            let mut file = url.clone();
            file.set_path("/robots.txt");
            file.set_query(None);
            file.set_fragment(None);
            let rules = fetch(file).await;
            self.bytes.fetch_add(rules.bytes(), Ordering::Relaxed);
            (Instant::now(), Arc::new(rules))
        };
        slot.get_or_init(get).await.1.clone()
    }
}

/// Whether `X-Robots-Tag` headers forbid an image, by img2dataset's rules: `[agent:] directive, …`.
pub(crate) fn forbidden_by_header<'a>(
    headers: impl Iterator<Item = &'a str>,
    agent: &str,
    forbidden: &[String],
) -> bool {
    // The agent's product token, as in robots.txt.
    let agent = agent.split(['/', ' ']).next().unwrap_or_default().to_lowercase();
    headers.into_iter().any(|header| {
        let (token, directives) = match header.split_once(':') {
            Some((token, rest)) if !token.contains(',') => {
                (Some(token.trim().to_lowercase()), rest)
            }
            _ => (None, header),
        };
        token.is_none_or(|token| token == agent)
            && directives
                .split(',')
                .any(|directive| forbidden.iter().any(|f| f.eq_ignore_ascii_case(directive.trim())))
    })
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
            let rules = cache.rules(&url, |_| async { Rules::parse("x", text.as_bytes()) }).await;
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

    #[test]
    fn headers_forbid_for_all_or_for_us() {
        let forbidden = ["noai".to_owned(), "noindex".to_owned()];
        let check =
            |header| forbidden_by_header(std::iter::once(header), "clip-data/1.0 (+x)", &forbidden);
        assert!(check("noai"));
        assert!(check("max-snippet, NoIndex"));
        assert!(check("clip-data: noindex"));
        assert!(!check("otherbot: noai"));
        assert!(!check("nofollow"));
    }
}
