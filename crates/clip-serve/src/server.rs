//! The server: from the network to the pages and back.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, LOCATION, REFERRER_POLICY,
    SET_COOKIE, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::decisions::DecisionFile;
use crate::guard::Guard;
use crate::http::{Fields, Reply, Request};
use crate::page::{fault, page};
use crate::pages;
use crate::roots::Roots;
use crate::state::{Encoder, Queries, State};
use crate::{Error, Result};

/// Requests that are worked on at a time; others wait.
const AT_A_TIME: usize = 6;
/// Bytes of the longest form.
const LONGEST_FORM: usize = 1 << 20;
/// What a page of ours may do. Widths of bars are attributes; no text is markup.
const POLICY: &str = "default-src 'none'; style-src 'self'; style-src-attr 'unsafe-inline'; \
                      script-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const CROSS_ORIGIN: [(HeaderName, &str); 2] = [
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
];

/// What is served, and where.
#[derive(Default)]
pub struct Options {
    /// Runs, shards, tables, training runs, or folders of those.
    pub paths: Vec<PathBuf>,
    /// The port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// The list that names queries.
    pub queries: Option<Queries>,
    /// Where evaluation sets are, by name, so that their items can be shown.
    pub sets: BTreeMap<String, PathBuf>,
    /// The file for decisions on contamination; `decisions.json` in each report's folder when
    /// absent.
    pub decisions: Option<PathBuf>,
    /// Makes embeddings of texts, so that images can be found by a sentence.
    pub encoder: Option<Encoder>,
}

/// A server that listens on 127.0.0.1.
pub struct Server {
    listener: TcpListener,
    pages: Arc<Pages>,
}

struct Pages {
    guard: Guard,
    state: State,
    at_a_time: Semaphore,
}

impl Server {
    /// Listens; nothing is answered yet.
    ///
    /// # Errors
    /// When a path is not there or a file of no kind that has a page, or the port is taken.
    pub async fn bind(options: Options) -> Result<Self> {
        let roots = Roots::new(&options.paths)?;
        let wanted = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), options.port);
        let failed = |source| Error::Listen { what: wanted.to_string(), source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let guard = Guard::new(listener.local_addr().map_err(failed)?)?;
        let decisions = DecisionFile::new(options.decisions);
        let state = State::new(roots, options.queries, options.sets, decisions, options.encoder);
        let at_a_time = Semaphore::new(AT_A_TIME);
        Ok(Self { listener, pages: Arc::new(Pages { guard, state, at_a_time }) })
    }

    /// The paths in which nothing has a page yet.
    pub fn empty(&self) -> Vec<PathBuf> {
        self.pages.state.roots.empty()
    }

    /// The URL that lets a browser in.
    pub fn url(&self) -> String {
        self.pages.guard.url()
    }

    /// Answers until `stop` is ready.
    ///
    /// # Errors
    /// When the system takes the port away.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<()> {
        let Self { listener, pages } = self;
        let what = "the server".to_owned();
        let handler = move |request| answer(pages.clone(), request);
        let serving = async { axum::serve(listener, Router::new().fallback(handler)).await };
        tokio::select! {
            served = serving => served.map_err(|source| Error::Listen { what, source }),
            () = stop => Ok(()),
        }
    }
}

async fn answer(pages: Arc<Pages>, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let query = Fields::parse(head.uri.query().unwrap_or_default().as_bytes());
    let mut request = Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query,
        headers: head.headers,
        body: Vec::new(),
    };
    if let Some(refusal) = pages.guard.refusal(&request) {
        return respond(refusal);
    }
    if request.method == Method::POST {
        let Ok(bytes) = to_bytes(body, LONGEST_FORM).await else {
            return respond(plain(StatusCode::PAYLOAD_TOO_LARGE, "a form that is too long"));
        };
        request.body = bytes.into();
    }
    let Ok(_permit) = pages.at_a_time.acquire().await else {
        return respond(plain(StatusCode::SERVICE_UNAVAILABLE, "the server ends"));
    };
    let state = pages.clone();
    // Pages read files and search.
    let reply = tokio::task::spawn_blocking(move || reply(&state.state, &request)).await;
    respond(reply.unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the page failed")))
}

/// The page that a request is for, or what went wrong with it.
fn reply(state: &State, request: &Request) -> Reply {
    route(state, request).unwrap_or_else(|error| {
        let status = match &error {
            Error::NotFound(_) => StatusCode::NOT_FOUND,
            Error::BadRequest(_) | Error::Pipeline(clip_pipeline::Error::Config(_)) => {
                StatusCode::BAD_REQUEST
            }
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let text = clip_corpus::error_report(&error);
        page("This page cannot be shown", &fault(&text)).with_status(status)
    })
}

fn route(state: &State, request: &Request) -> Result<Reply> {
    let get = matches!(request.method, Method::GET | Method::HEAD);
    match (get, request.path.as_str()) {
        (true, "/") => pages::index(state),
        (true, "/serve.css") => Ok(pages::style()),
        (true, "/serve.js") => Ok(pages::script()),
        (true, "/rows") => pages::rows(state, request),
        (true, "/image") => pages::image(state, request),
        (true, "/pair") => pages::pair(state, request),
        (true, "/build") => pages::build(state, request),
        (true, "/search") => pages::search(state, request),
        (true, "/duplicates") => pages::duplicates(state, request),
        (true, "/hosts") => pages::hosts(state, request),
        (true, "/training") => pages::training(state, request),
        (true, "/contamination") => pages::contamination(state, request),
        (true, "/contamination/image") => pages::pair_image(state, request),
        (false, "/decide") if request.method == Method::POST => pages::decide(state, request),
        (true, "/page") => pages::static_page(state, request),
        _ => Err(Error::absent(format!("{} {}", request.method, request.path))),
    }
}

fn plain(status: StatusCode, text: &str) -> Reply {
    Reply::new("text/plain; charset=utf-8", text).with_status(status)
}

fn respond(reply: Reply) -> Response {
    let cache = match reply.max_age {
        0 => "no-store".to_owned(),
        seconds => format!("private, max-age={seconds}"),
    };
    let mut response = Response::builder()
        .status(reply.status)
        .header(CONTENT_TYPE, reply.media_type)
        .header(CACHE_CONTROL, cache)
        .header(CONTENT_SECURITY_POLICY, reply.policy.unwrap_or(POLICY))
        .header(X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(X_FRAME_OPTIONS, "DENY")
        // Forms of ours say where they come from, and no other site learns it.
        .header(REFERRER_POLICY, "same-origin");
    for (name, value) in CROSS_ORIGIN {
        response = response.header(name, value);
    }
    for (name, value) in [(LOCATION, reply.location), (SET_COOKIE, reply.cookie)] {
        if let Some(value) = value {
            response = response.header(name, value);
        }
    }
    response.body(Body::from(reply.body)).unwrap_or_else(|_| {
        let mut failed = Response::new(Body::empty());
        *failed.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        failed
    })
}
