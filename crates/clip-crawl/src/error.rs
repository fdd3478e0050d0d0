//! Why a request gave nothing.

use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

use crate::dns::Missing;

/// The stage that its errors name.
pub(crate) const FETCH: &str = "fetch";

/// What kind of fault it was; its name is the reason in the rejects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The URL is none that can be asked.
    BadUrl,
    /// A private, loopback or link-local address.
    BlockedAddress,
    /// The host has no address.
    Dns,
    /// No connection.
    Connect,
    /// No TLS with the server: its certificate does not hold, or it speaks none.
    Tls,
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
    /// That a page, a host or an image forbids it.
    pub const OPT_OUTS: [Self; 7] = [
        Self::Robots,
        Self::XRobotsTag,
        Self::MetaRobots,
        Self::ContentUsage,
        Self::TdmReservation,
        Self::AiTxt,
        Self::C2pa,
    ];

    /// Asking again may help.
    const PASSING: [Self; 7] = [
        Self::Connect,
        Self::Tls,
        Self::Proxy,
        Self::Timeout,
        Self::Broken,
        Self::TooManyRequests,
        Self::Http5xx,
    ];

    /// One word for the rejects and for `clip-data retry --where`.
    pub fn name(self) -> &'static str {
        match self {
            Self::BadUrl => "bad_url",
            Self::BlockedAddress => "blocked_address",
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
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
        Self::PASSING.contains(&self)
    }
}

/// Whether a row that ended for this reason may end otherwise when it is asked again, at another
/// time.
pub(crate) fn may_pass(reason: &str) -> bool {
    // A name, and a host, may be there another day; not a moment later.
    let later = [Kind::Dns, Kind::HostGivenUp];
    Kind::PASSING.iter().chain(&later).any(|kind| kind.name() == reason)
}

/// Whether a row that ended for this reason was not asked at all: what was known of it holds.
pub(crate) fn not_asked(reason: &str) -> bool {
    [Kind::BlockedAddress, Kind::HostGivenUp].iter().any(|kind| kind.name() == reason)
}

/// Whether a row that ended for this reason had a URL that was asked: not where there is none that
/// can be, where its host has no address, where the address or the host was left alone, and where a
/// file of the host forbids it.
pub(crate) fn was_asked(reason: &str) -> bool {
    !clip_corpus::NOT_ASKED.contains(&reason)
}

/// The reason of a row that its list spoils.
pub(crate) const BAD_ROW: &str = "bad_row";

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
        let (mut blocked, mut missing, mut io, mut tls) = (false, None, None, None);
        while let Some(source) = deepest.source() {
            deepest = source;
            blocked |= deepest.is::<crate::dns::Blocked>();
            missing = deepest.downcast_ref::<crate::dns::Unknown>().map(|name| name.0).or(missing);
            io = deepest.downcast_ref::<io::Error>().or(io);
            tls = io.and_then(tls_error).or(tls);
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
        } else if error.is_timeout() || io.is_some_and(|io| io.kind() == ErrorKind::TimedOut) {
            Self::timeout()
        } else if let Some(tls) = tls {
            let words = match tls {
                rustls::Error::InvalidMessage(_) => "the server does not speak TLS".to_owned(),
                other => other.to_string(),
            };
            Self::new(Kind::Tls, format!("<urlopen error [SSL] {words}>"))
        } else if error.is_connect() {
            // As urllib prints it: the number first.
            let words = match io.and_then(io::Error::raw_os_error) {
                Some(code) => {
                    let words = message.trim_end_matches(&format!(" (os error {code})"));
                    format!("[Errno {code}] {words}")
                }
                None => message,
            };
            Self::new(Kind::Connect, format!("<urlopen error {words}>"))
        } else if error.is_builder() {
            Self::new(Kind::BadUrl, message)
        } else {
            Self::new(Kind::Broken, message)
        }
    }
}

/// What an I/O error, or one that it wraps, says of TLS: what it wraps is not among its sources.
fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| tls_error(inner.downcast_ref()?))
}

/// `Retry-After`: seconds, or an HTTP date (RFC 9110 section 10.2.3).
pub(crate) fn retry_after(value: &str) -> Option<Duration> {
    let most = Duration::from_secs(86_400);
    let pause = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = httpdate::parse_http_date(value.trim()).ok()?;
            at.duration_since(SystemTime::now()).unwrap_or_default()
        }
    };
    Some(pause.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_asked_has_names_of_reasons() {
        let kinds = [
            Kind::BadUrl,
            Kind::Dns,
            Kind::Robots,
            Kind::AiTxt,
            Kind::BlockedAddress,
            Kind::HostGivenUp,
        ];
        let mut names: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        names.push(BAD_ROW);
        names.sort_unstable();
        let mut known = clip_corpus::NOT_ASKED;
        known.sort_unstable();
        assert_eq!(names, known);
    }

    #[test]
    fn dates_of_each_form_and_seconds_are_read() {
        let day = Duration::from_secs(86_400);
        assert_eq!(retry_after(" 7 "), Some(Duration::from_secs(7)));
        assert_eq!(retry_after("99999999"), Some(day));
        // The three forms of RFC 9110, section 5.6.7; servers send all of them.
        for past in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(retry_after(past), Some(Duration::ZERO), "{past}");
        }
        assert_eq!(retry_after("Fri, 01 Jan 2100 00:00:00 GMT"), Some(day));
        let soon = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(90));
        assert!((85..=90).contains(&retry_after(&soon).unwrap().as_secs()));
        for none in [
            "soon",
            "-1",
            "Sun, 99 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 18446744073709551615:0:0 GMT",
        ] {
            assert_eq!(retry_after(none), None, "{none}");
        }
    }

    #[tokio::test]
    async fn a_server_without_tls_is_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}/", plain.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = plain.accept().unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
        });
        let error = FetchError::of_request(&reqwest::get(url).await.unwrap_err());
        assert_eq!(error.kind, Kind::Tls);
        assert_eq!(error.message, "<urlopen error [SSL] the server does not speak TLS>");
    }

    #[tokio::test]
    async fn a_refused_connection_has_urllibs_words() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let _ = rustls::crypto::ring::default_provider().install_default();
        let refused = reqwest::get(format!("http://127.0.0.1:{port}/")).await.unwrap_err();
        let error = FetchError::of_request(&refused);
        assert_eq!(error.kind, Kind::Connect);
        assert_eq!(error.message, "<urlopen error [Errno 111] Connection refused>");
    }
}
