//! Hosts that bear only so many requests, and a log of what they were asked: for tests of how a
//! downloader backs off.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::server::Server;

/// Time to the answer of a host that is not asked too much.
const USUAL: Duration = Duration::from_millis(10);
/// What each request beyond those that it bears adds, where it slows down.
const EACH: Duration = Duration::from_millis(10);
/// An answer after so long is a late one.
const LATE: Duration = Duration::from_millis(80);

/// What a host does when it is asked more than `bears` times in a second.
#[derive(Debug, Clone, Copy)]
pub enum Behaviour {
    /// It answers all.
    Steady,
    /// Its answers take longer, the more the longer.
    Slows {
        /// Requests in a second.
        bears: usize,
    },
    /// It answers 429.
    TooMany {
        /// Requests in a second.
        bears: usize,
        /// `Retry-After`, in seconds.
        retry_after: Option<u32>,
    },
    /// It never answers, however little it is asked, but for its robots.txt.
    Silent,
}

/// A request for an image.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// When it came, by the server's clock: seconds since 1970.
    pub at: f64,
    /// Whether it got a bad answer: 429, late or none.
    pub bad: bool,
}

/// A running host; it stops when dropped.
pub struct LimitedHost {
    server: Server,
    log: Arc<Mutex<Vec<Asked>>>,
}

#[derive(Clone)]
struct Shared {
    behaviour: Behaviour,
    image: Bytes,
    log: Arc<Mutex<Vec<Asked>>>,
}

impl LimitedHost {
    /// Serves `image` (a JPEG) at every path on a free port of `ip`; there is no robots.txt.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(ip: IpAddr, behaviour: Behaviour, image: Vec<u8>) -> std::io::Result<Self> {
        let log: Arc<Mutex<Vec<Asked>>> = Arc::default();
        let shared = Shared { behaviour, image: image.into(), log: log.clone() };
        let server = Server::start(ip, |_| Router::new().fallback(answer).with_state(shared))?;
        Ok(Self { server, log })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// All requests for images, in the order in which they came.
    pub fn log(&self) -> Vec<Asked> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Shared {
    /// Notes a request; gives the time to its answer, none where there is no image, and no time
    /// where there is no answer.
    fn note(&self) -> (Option<Duration>, bool) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |at| at.as_secs_f64());
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        let second = log.iter().rev().take_while(|asked| at - asked.at < 1.0);
        let asked = 1 + second.count();
        let (takes, refused) = match self.behaviour {
            Behaviour::Steady => (Some(USUAL), false),
            Behaviour::Slows { bears } => {
                (Some(USUAL + EACH * asked.saturating_sub(bears) as u32), false)
            }
            Behaviour::TooMany { bears, .. } => (Some(USUAL), asked > bears),
            Behaviour::Silent => (None, false),
        };
        log.push(Asked { at, bad: refused || takes.is_none_or(|takes| takes >= LATE) });
        (takes, refused)
    }
}

async fn answer(State(host): State<Shared>, uri: Uri) -> Response {
    if uri.path() == "/robots.txt" {
        return StatusCode::NOT_FOUND.into_response();
    }
    let (takes, refused) = host.note();
    match takes {
        Some(takes) => tokio::time::sleep(takes).await,
        None => std::future::pending().await,
    }
    if !refused {
        return ([(header::CONTENT_TYPE, "image/jpeg")], host.image).into_response();
    }
    match host.behaviour {
        Behaviour::TooMany { retry_after: Some(seconds), .. } => {
            let headers = [(header::RETRY_AFTER, seconds.to_string())];
            (StatusCode::TOO_MANY_REQUESTS, headers).into_response()
        }
        _ => StatusCode::TOO_MANY_REQUESTS.into_response(),
    }
}
