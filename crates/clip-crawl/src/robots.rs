//! robots.txt (RFC 9309), fetched once per host.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;
use url::Url;

use crate::error::{FetchError, Kind};

/// RFC 9309 section 2.5: at least 500 KiB must be read.
pub(crate) const MAX_BYTES: usize = 500 * 1024;

/// What a host allows.
pub enum Rules {
    /// Everything: there is no file (4xx).
    All,
    /// Nothing: the file could not be had (5xx, no connection; RFC 9309 section 2.3.1.4), for this reason.
    Nothing(FetchError),
    /// As the file says.
    File(Box<texting_robots::Robot>),
}

impl Rules {
    /// The rules of a file for an agent, by its product token.
    pub fn parse(agent: &str, text: &[u8]) -> Self {
        let text = &text[..text.len().min(MAX_BYTES)];
        match texting_robots::Robot::new(agent, text) {
            Ok(robot) => Self::File(Box::new(robot)),
            // A file that is no robots.txt forbids nothing.
            Err(_) => Self::All,
        }
    }

    /// The sitemaps that the file names.
    pub fn sitemaps(&self) -> Vec<String> {
        match self {
            Self::File(robot) => robot.sitemaps.clone(),
            Self::All | Self::Nothing(_) => Vec::new(),
        }
    }

    /// The time between two requests that the file asks for.
    pub fn delay(&self) -> Option<Duration> {
        match self {
            Self::File(robot) => {
                robot.delay.filter(|d| *d > 0.0).map(|d| Duration::from_secs_f32(d.min(3600.0)))
            }
            Self::All | Self::Nothing(_) => None,
        }
    }

    /// How long the file is believed: RFC 9309 section 2.4 says a day; a host that could not answer is asked
    /// again sooner.
    fn kept(&self) -> Duration {
        match self {
            Self::Nothing(_) => Duration::from_mins(15),
            Self::All | Self::File(_) => Duration::from_hours(24),
        }
    }

    /// Whether the URL may be fetched. A host that cannot be reached is told as that, not as one that forbids.
    pub fn check(&self, url: &Url) -> Result<(), FetchError> {
        let forbidden = || FetchError::new(Kind::Robots, "Use of image disallowed by robots.txt");
        let unreachable = [Kind::BlockedAddress, Kind::Dns, Kind::Connect];
        match self {
            Self::All => Ok(()),
            Self::Nothing(fault) if unreachable.contains(&fault.kind) => Err(fault.clone()),
            Self::Nothing(_) => Err(forbidden()),
            Self::File(robot) if robot.allowed(url.as_str()) => Ok(()),
            Self::File(_) => Err(forbidden()),
        }
    }
}

type Slot = Arc<OnceCell<(Instant, Arc<Rules>)>>;

/// Origins whose rules are remembered.
const ORIGINS: usize = 20_000;

/// The rules of all hosts that were asked, each fetched once a day.
#[derive(Default)]
pub(crate) struct Cache {
    origins: Mutex<HashMap<String, Slot>>,
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
        if origins.len() >= ORIGINS {
            // Those in use stay; dearer once, but never larger.
            origins.retain(|_, slot| Arc::strong_count(slot) > 1);
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
            (Instant::now(), Arc::new(fetch(file).await))
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
    fn rules_follow_the_most_specific_group() {
        let text = b"User-agent: *\nDisallow: /private\nAllow: /private/ok\n\nUser-agent: other\nDisallow: /\n";
        let rules = Rules::parse("clip-data", text);
        let allow =
            |path: &str| rules.check(&Url::parse(&format!("http://e.com{path}")).unwrap()).is_ok();
        assert_eq!((allow("/a"), allow("/private/x"), allow("/private/ok")), (true, false, true));
        assert!(
            Rules::parse("clip-data", b"<html>not found</html>")
                .check(&Url::parse("http://e.com/").unwrap())
                .is_ok()
        );
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
