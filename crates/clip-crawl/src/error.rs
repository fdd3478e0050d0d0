//! Why a request gave nothing.

use std::time::Duration;

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
            Self::HostGivenUp => "host_given_up",
        }
    }

    /// Whether asking again may help.
    pub fn passing(self) -> bool {
        matches!(
            self,
            Self::Connect | Self::Timeout | Self::Broken | Self::TooManyRequests | Self::Http5xx
        )
    }
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
}

impl FetchError {
    pub(crate) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None }
    }

    /// The deepest message of a reqwest error, and its kind.
    pub(crate) fn of_request(error: &reqwest::Error) -> Self {
        let mut deepest: &dyn std::error::Error = error;
        let mut blocked = false;
        while let Some(source) = deepest.source() {
            deepest = source;
            blocked |= deepest.is::<crate::address::Blocked>();
        }
        let message = deepest.to_string();
        let kind = if blocked {
            Kind::BlockedAddress
        } else if error.is_timeout() {
            return Self::new(Kind::Timeout, "<urlopen error timed out>");
        } else if message.contains("lookup") || message.contains("resolve") {
            Kind::Dns
        } else if error.is_connect() {
            Kind::Connect
        } else if error.is_builder() {
            Kind::BadUrl
        } else {
            Kind::Broken
        };
        Self::new(kind, message)
    }
}
