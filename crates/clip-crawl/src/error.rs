//! Why a request gave nothing.

use std::time::Duration;

use crate::dns::Missing;

/// What kind of fault it was; its name is the reason in the rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The address is none that can be asked.
    BadUrl,
    /// A private, loopback or link-local address.
    BlockedAddress,
    /// The host has no address.
    Dns,
    /// No connection.
    Connect,
    /// The proxy was not reached, wants another password, or made no connection to the host.
    Proxy,
    /// Too slow: connecting, between two bytes, or in all.
    Timeout,
    /// The connection broke, or the body was not what its header said.
    Broken,
    /// 4xx.
    Http4xx,
    /// 429.
    TooManyRequests,
    /// 5xx.
    Http5xx,
    /// Another status that is no success.
    HttpOther,
    /// More redirects than allowed.
    Redirects,
    /// The body is longer than allowed.
    TooLarge,
    /// robots.txt forbids it.
    Robots,
    /// `X-Robots-Tag` forbids it.
    XRobotsTag,
    /// A robots meta tag of the page forbids it.
    MetaRobots,
    /// `Content-Usage` says that it is not for training.
    ContentUsage,
    /// Rights of text and data mining are reserved (TDMRep).
    TdmReservation,
    /// ai.txt forbids it.
    AiTxt,
    /// A C2PA assertion within the image forbids it.
    C2pa,
    /// The host failed too often and is left alone.
    HostGivenUp,
}

impl Kind {
    /// One word for the rejects and for `clip-data retry --where`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::BlockedAddress => "blocked_address",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Proxy => "proxy",
            Self::Timeout => "timeout",
            Self::Broken => "broken",
            Self::Http4xx => "http_4xx",
            Self::TooManyRequests => "http_429",
            Self::Http5xx => "http_5xx",
            Self::HttpOther => "http_other",
            Self::Redirects => "redirects",
            Self::TooLarge => "too_large",
            Self::Robots => "robots_txt",
            Self::XRobotsTag => "x_robots_tag",
            Self::MetaRobots => "meta_robots",
            Self::ContentUsage => "content_usage",
            Self::TdmReservation => "tdm_reservation",
            Self::AiTxt => "ai_txt",
            Self::C2pa => "c2pa",
            Self::HostGivenUp => "host_given_up",
        }
    }

    /// Whether asking again may help.
    pub fn passing(self) -> bool {
        matches!(
            self,
            Self::Connect
                | Self::Proxy
                | Self::Timeout
                | Self::Broken
                | Self::TooManyRequests
                | Self::Http5xx
        )
    }
}

/// Whether a row that ended for this reason may end otherwise when it is asked again, at another
/// time.
pub(crate) fn may_pass(reason: &str) -> bool {
    const PASSING: [&str; 8] =
        ["dns", "timeout", "connect", "proxy", "broken", "http_429", "http_5xx", "host_given_up"];
    PASSING.contains(&reason)
}

/// A request that gave nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct FetchError {
    /// What kind of fault.
    pub kind: Kind,
    /// What exactly, in img2dataset's words where it has any.
    pub message: String,
    /// How long the host asked to be left alone.
    pub retry_after: Option<Duration>,
    /// The status of the answer, where that is the fault.
    pub status: Option<u16>,
}

impl FetchError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, status: None }
    }

    pub(crate) fn timeout() -> Self {
        Self::new(Kind::Timeout, "<urlopen error timed out>")
    }

    /// The kind of a reqwest error, and its deepest message in urllib's words.
    pub(crate) fn of_request(error: &reqwest::Error) -> Self {
        let mut deepest: &dyn std::error::Error = error;
        let (mut blocked, mut missing, mut code) = (false, None, None);
        while let Some(source) = deepest.source() {
            deepest = source;
            blocked |= deepest.is::<crate::dns::Blocked>();
            missing = deepest.downcast_ref::<crate::dns::Unknown>().map(|name| name.0).or(missing);
            let io = deepest.downcast_ref::<std::io::Error>();
            code = io.and_then(std::io::Error::raw_os_error).or(code);
        }
        let message = deepest.to_string();
        if blocked {
            Self::new(Kind::BlockedAddress, message)
        } else if let Some(missing) = missing {
            let words = match missing {
                Missing::NoAddress => "[Errno -2] Name or service not known",
                Missing::NoAnswer => "[Errno -3] Temporary failure in name resolution",
            };
            Self::new(Kind::Dns, format!("<urlopen error {words}>"))
        } else if error.is_timeout() || code == Some(110) {
            Self::timeout()
        } else if error.is_connect() {
            let words = message.split(" (os error").next().unwrap_or_default();
            let errno = code.map(|code| format!("[Errno {code}] ")).unwrap_or_default();
            Self::new(Kind::Connect, format!("<urlopen error {errno}{words}>"))
        } else if error.is_builder() {
            Self::new(Kind::BadUrl, message)
        } else {
            Self::new(Kind::Broken, message)
        }
    }
}

/// `Retry-After`: seconds, or an HTTP date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let most = 86_400;
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds.min(most)));
    }
    let at = http_date(value.trim())?;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).ok()?.as_secs();
    Some(Duration::from_secs(at.saturating_sub(now).min(most)))
}

/// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
fn http_date(text: &str) -> Option<u64> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = text.split_once(", ")?.1.split(' ');
    let below = |text: &str, most: u64| text.parse::<u64>().ok().filter(|number| *number < most);
    let day = below(words.next()?, 32)?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? as u64 + 1;
    let year: u64 = words.next()?.parse().ok().filter(|year| (1970..9999).contains(year))?;
    let mut clock = words.next()?.split(':').map(|part| below(part, 61));
    let seconds = clock.next()?? * 3600 + clock.next()?? * 60 + clock.next()??;
    // Days from civil, with years that begin in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day;
    Some(days.checked_sub(719_469)? * 86_400 + seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_seconds_are_read() {
        assert_eq!(http_date("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(http_date("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(http_date("Thu, 29 Feb 2024 12:00:00 GMT"), Some(1_709_208_000));
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(retry_after("soon"), None);
        assert_eq!(http_date("Sun, 99 Nov 1994 08:49:37 GMT"), None);
        assert_eq!(http_date("Sun, 06 Nov 1994 18446744073709551615:0:0 GMT"), None);
    }
}
