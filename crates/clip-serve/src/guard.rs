//! Who may ask: the token, the host, and the origin of a request.
//!
//! A page of another site can make a browser send requests to a port of this machine, and a name
//! that resolves to 127.0.0.1 makes it read the answers, too. So a request must name this server as
//! its host, must not come from another origin, and must show a token that is printed where the
//! server was started.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;

use axum::http::header::{COOKIE, HOST, ORIGIN};
use axum::http::{HeaderMap, Method, StatusCode};

use crate::http::{Reply, Request};
use crate::{Error, Result};

/// Name of the field of the URL that has the token.
const FIELD: &str = "token";
/// Bytes of a token.
const BYTES: usize = 16;

/// What is asked of each request.
pub(crate) struct Guard {
    token: String,
    /// Values that `Host` may have.
    hosts: Vec<String>,
    /// Cookies are shared by all ports of a host.
    cookie: String,
}

impl Guard {
    /// With a new token, for a server that listens there.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(local: SocketAddr) -> Result<Self> {
        let mut bytes = [0; BYTES];
        let source = "/dev/urandom";
        File::open(source)
            .and_then(|mut file| file.read_exact(&mut bytes))
            .map_err(|e| Error::Listen { what: source.to_owned(), source: e })?;
        Ok(Self::with_token(local, hex::encode(bytes)))
    }

    fn with_token(local: SocketAddr, token: String) -> Self {
        let port = local.port();
        let hosts = vec![local.to_string(), format!("localhost:{port}")];
        Self { token, hosts, cookie: format!("clip-data-{port}") }
    }

    /// The URL that lets a browser in.
    pub fn url(&self) -> String {
        format!("http://{}/?{FIELD}={}", self.hosts[0], self.token)
    }

    /// Nothing where a request may be answered; else what it gets.
    pub fn refusal(&self, request: &Request) -> Option<Reply> {
        let refused = |status, why: &str| Some(Reply::html(refusal_page(why)).with_status(status));
        let header = |name| text(&request.headers, name);
        let Some(host) = header(HOST.as_str()).filter(|host| self.hosts.iter().any(|h| h == host))
        else {
            return refused(StatusCode::MISDIRECTED_REQUEST, "This server has another name.");
        };
        let foreign_origin =
            header(ORIGIN.as_str()).is_some_and(|origin| origin != format!("http://{host}"));
        let foreign_site =
            header("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
        if foreign_origin || foreign_site {
            return refused(
                StatusCode::FORBIDDEN,
                "Requests of other sites are refused: open the URL by itself.",
            );
        }
        if let Some(token) = request.query.get(FIELD)
            && request.method == Method::GET
        {
            if !self.is_token(token) {
                return refused(StatusCode::FORBIDDEN, WANTED);
            }
            let rest = request.query.with(&[(FIELD, "")]);
            let mark = if rest.is_empty() { "" } else { "?" };
            // Two slashes would begin the name of another host.
            let path = request.path.trim_start_matches('/');
            let to = Reply::see_other(format!("/{path}{mark}{rest}"));
            let cookie =
                format!("{}={}; Path=/; HttpOnly; SameSite=Strict", self.cookie, self.token);
            return Some(Reply { cookie: Some(cookie), ..to });
        }
        let shown = self.shown(&request.headers).is_some_and(|token| self.is_token(token));
        if shown { None } else { refused(StatusCode::FORBIDDEN, WANTED) }
    }

    /// The token in a request's cookies.
    fn shown<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = cookies.flat_map(|line| line.split(';')).filter_map(|c| c.split_once('='));
        pairs.find(|(name, _)| name.trim() == self.cookie).map(|(_, value)| value.trim())
    }

    /// Hashes are compared in constant time.
    fn is_token(&self, token: &str) -> bool {
        blake3::hash(token.as_bytes()) == blake3::hash(self.token.as_bytes())
    }
}

const WANTED: &str = "Open the URL that `clip-data serve` printed: it has a token.";

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Shows nothing of what is served, not even its style.
fn refusal_page(why: &str) -> String {
    format!("<!doctype html>\n<html lang=\"en\"><title>clip-data</title><p>{why}</p></html>\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Fields;

    fn guard() -> Guard {
        Guard::with_token(([127, 0, 0, 1], 4080).into(), "abc".into())
    }

    fn request(method: Method, query: &str, headers: &[(&'static str, &str)]) -> Request {
        let mut all = HeaderMap::new();
        for (name, value) in headers {
            all.insert(*name, value.parse().unwrap());
        }
        let query = Fields::parse(query.as_bytes());
        Request { method, path: "/corpus".into(), query, headers: all, body: Vec::new() }
    }

    const HERE: (&str, &str) = ("host", "127.0.0.1:4080");
    const KNOWN: (&str, &str) = ("cookie", "other=1; clip-data-4080=abc");

    fn status(method: Method, query: &str, headers: &[(&'static str, &str)]) -> u16 {
        let refusal = guard().refusal(&request(method, query, headers));
        refusal.map_or(200, |reply| reply.status.as_u16())
    }

    #[test]
    fn the_token_becomes_a_cookie_and_leaves_the_url() {
        let reply = guard().refusal(&request(Method::GET, "of=0&token=abc", &[HERE])).unwrap();
        assert_eq!(reply.status, StatusCode::SEE_OTHER);
        assert_eq!(reply.location.as_deref(), Some("/corpus?of=0"));
        let cookie = reply.cookie.unwrap();
        assert!(cookie.starts_with("clip-data-4080=abc;") && cookie.contains("SameSite=Strict"));
        assert!(cookie.contains("HttpOnly"));
        assert_eq!(status(Method::GET, "", &[HERE, KNOWN]), 200);
        assert_eq!(status(Method::GET, "", &[("host", "localhost:4080"), KNOWN]), 200);
    }

    #[test]
    fn without_token_and_from_elsewhere_nothing_is_answered() {
        for (query, headers, code) in [
            ("", vec![HERE], 403),
            ("token=abd", vec![HERE], 403),
            ("", vec![HERE, ("cookie", "clip-data-4081=abc")], 403),
            ("", vec![HERE, ("cookie", "clip-data-4080=ab")], 403),
            ("", vec![KNOWN], 421),
            ("", vec![("host", "evil.example:4080"), KNOWN], 421),
            ("token=abc", vec![("host", "evil.example:4080")], 421),
            ("", vec![HERE, KNOWN, ("origin", "http://evil.example")], 403),
            ("", vec![HERE, KNOWN, ("origin", "http://127.0.0.1:4081")], 403),
            ("", vec![HERE, KNOWN, ("origin", "null")], 403),
            ("", vec![HERE, KNOWN, ("sec-fetch-site", "cross-site")], 403),
            ("", vec![HERE, KNOWN, ("sec-fetch-site", "same-site")], 403),
            ("", vec![HERE, KNOWN, ("origin", "http://127.0.0.1:4080")], 200),
            ("", vec![HERE, KNOWN, ("sec-fetch-site", "same-origin")], 200),
        ] {
            for method in [Method::GET, Method::POST] {
                assert_eq!(status(method, query, &headers), code, "{query} {headers:?}");
            }
        }
        // A token in the URL of a form is no token.
        assert_eq!(status(Method::POST, "token=abc", &[HERE]), 403);
    }

    #[test]
    fn two_tokens_differ() {
        let at = ([127, 0, 0, 1], 1).into();
        let (a, b) = (Guard::new(at).unwrap(), Guard::new(at).unwrap());
        assert!(a.token.len() == 32 && a.token != b.token);
        assert!(a.url().starts_with("http://127.0.0.1:1/?token="));
    }
}
