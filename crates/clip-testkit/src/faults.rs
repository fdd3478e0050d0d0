//! A web site on loopback that misbehaves in every way a downloader must survive.
//!
//! Paths: `/ok.jpg`, `/n/<any>`, `/slow/<ms>/<any>`, `/drip`, `/endless`, `/big`, `/truncated`,
//! `/reset`, `/status/<code>`, `/busy/<times>/<name>` (429 so often, then the image), `/later`
//! (429, an hour), `/loop`, `/hops/<n>`, `/to-metadata`, `/to-file`, `/html`, `/gzip`,
//! `/tag?<X-Robots-Tag>`, `/huge.png`, `/empty`, `/page/<n>` (a chain of pages with images),
//! `/sitemap.xml`, `/robots.txt`, `/ranged/<bytes>` (the content from where `Range` says, each
//! answer cut off after so many bytes).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, Response, StatusCode, Uri, header};
use futures::stream::{self, StreamExt};

use crate::server::Server;

/// How `/robots.txt` answers.
#[derive(Debug, Clone)]
pub enum Robots {
    /// 404: everything is allowed.
    Missing,
    /// 500: nothing is allowed.
    Broken,
    /// This text.
    Text(String),
    /// A redirect to itself.
    Loop,
}

/// A running site; it stops when dropped.
pub struct FaultSite {
    server: Server,
    hits: Arc<Mutex<HashMap<String, usize>>>,
    load: Arc<Load>,
}

#[derive(Clone)]
struct Shared {
    address: SocketAddr,
    image: Bytes,
    robots: Robots,
    hits: Arc<Mutex<HashMap<String, usize>>>,
    load: Arc<Load>,
}

/// Requests under way: now, and at most.
#[derive(Default)]
struct Load {
    now: AtomicUsize,
    most: AtomicUsize,
}

/// One of them, until it is dropped.
struct UnderWay(Arc<Load>);

impl UnderWay {
    fn new(load: &Arc<Load>) -> Self {
        let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(now, Ordering::SeqCst);
        Self(load.clone())
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

impl FaultSite {
    /// Serves `image` (a JPEG) and the faults on a free port of `ip`, from a thread of its own.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(ip: IpAddr, image: Vec<u8>, robots: Robots) -> std::io::Result<Self> {
        let hits: Arc<Mutex<HashMap<String, usize>>> = Arc::default();
        let load: Arc<Load> = Arc::default();
        let server = Server::start(ip, |address| {
            let (hits, load) = (hits.clone(), load.clone());
            let shared = Shared { address, image: image.into(), robots, hits, load };
            Router::new().fallback(answer).with_state(shared)
        })?;
        Ok(Self { server, hits, load })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// The most requests that were answered at the same time.
    pub fn most_at_once(&self) -> usize {
        self.load.most.load(Ordering::SeqCst)
    }

    /// How often a path was asked.
    pub fn hits(&self, path: &str) -> usize {
        let hits = self.hits.lock().unwrap_or_else(PoisonError::into_inner);
        hits.get(path).copied().unwrap_or_default()
    }
}

type Reply = Response<Body>;

async fn answer(State(site): State<Shared>, headers: HeaderMap, uri: Uri) -> Reply {
    let path = uri.path().to_owned();
    let _under_way = UnderWay::new(&site.load);
    let hit = {
        let mut hits = site.hits.lock().unwrap_or_else(PoisonError::into_inner);
        let hit = hits.entry(path.clone()).or_default();
        *hit += 1;
        *hit
    };
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let number = |at: usize| steps.get(at).and_then(|s| s.parse::<u64>().ok()).unwrap_or(0);
    let image = || with(StatusCode::OK, "image/jpeg", Body::from(site.image.clone()));
    match steps.first().copied().unwrap_or_default() {
        "ok.jpg" | "n" => image(),
        "robots.txt" => robots(&site),
        "slow" => {
            tokio::time::sleep(Duration::from_millis(number(1))).await;
            image()
        }
        "drip" => with(StatusCode::OK, "image/jpeg", drip()),
        "endless" => with(StatusCode::OK, "image/jpeg", endless()),
        "big" => lengthy(with(StatusCode::OK, "image/jpeg", drip()), 4_000_000_000),
        "truncated" => {
            lengthy(with(StatusCode::OK, "image/jpeg", cut(&site.image)), site.image.len() as u64)
        }
        "reset" => lengthy(with(StatusCode::OK, "image/jpeg", cut(&Bytes::new())), 1000),
        "status" => {
            let code = u16::try_from(number(1)).ok().and_then(|c| StatusCode::from_u16(c).ok());
            with(code.unwrap_or(StatusCode::NOT_FOUND), "text/plain", Body::from("no"))
        }
        "busy" if hit as u64 <= number(1) => busy("1"),
        "busy" => image(),
        "later" => busy("3600"),
        "loop" => to("/loop"),
        "hops" if number(1) > 0 => to(&format!("/hops/{}", number(1) - 1)),
        "hops" => image(),
        "to-metadata" => to("http://169.254.169.254/latest/meta-data/"),
        "to-file" => to("file:///etc/passwd"),
        "html" => with(StatusCode::OK, "text/html", Body::from("<html>no image</html>")),
        "gzip" => encoded(with(StatusCode::OK, "image/jpeg", Body::from(gzip(&site.image)))),
        "tag" => tagged(image(), uri.query().unwrap_or_default()),
        "huge.png" => with(StatusCode::OK, "image/png", Body::from(bomb(60_000, 60_000))),
        "empty" => with(StatusCode::OK, "image/jpeg", Body::empty()),
        "ranged" => ranged(&site.image, &headers, number(1) as usize),
        "page" => with(StatusCode::OK, "text/html", Body::from(page(number(1)))),
        "sitemap.xml" => with(StatusCode::OK, "text/xml", Body::from(sitemap(site.address))),
        _ => with(StatusCode::NOT_FOUND, "text/plain", Body::from("not found")),
    }
}

fn with(status: StatusCode, kind: &'static str, body: Body) -> Reply {
    let mut reply = Response::new(body);
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    reply
}

fn lengthy(mut reply: Reply, length: u64) -> Reply {
    // A stream, so that the server cannot correct the length.
    let body = std::mem::take(reply.body_mut()).into_data_stream();
    *reply.body_mut() = Body::from_stream(body);
    reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    reply
}

fn to(place: &str) -> Reply {
    let mut reply = with(StatusCode::FOUND, "text/plain", Body::empty());
    if let Ok(value) = HeaderValue::from_str(place) {
        reply.headers_mut().insert(header::LOCATION, value);
    }
    reply
}

fn busy(seconds: &'static str) -> Reply {
    let mut reply = with(StatusCode::TOO_MANY_REQUESTS, "text/plain", Body::from("later"));
    reply.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
    reply
}

fn encoded(mut reply: Reply) -> Reply {
    reply.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    reply
}

fn tagged(mut reply: Reply, value: &str) -> Reply {
    if let Ok(value) = HeaderValue::from_str(&value.replace("%20", " ")) {
        reply.headers_mut().insert("x-robots-tag", value);
    }
    reply
}

fn robots(site: &Shared) -> Reply {
    match &site.robots {
        Robots::Missing => with(StatusCode::NOT_FOUND, "text/plain", Body::empty()),
        Robots::Broken => with(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Body::empty()),
        Robots::Loop => to("/robots.txt"),
        Robots::Text(text) => with(StatusCode::OK, "text/plain", Body::from(text.clone())),
    }
}

/// One byte a second.
fn drip() -> Body {
    Body::from_stream(stream::unfold((), |()| async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Some((Ok::<_, std::io::Error>(Bytes::from_static(b"x")), ()))
    }))
}

fn endless() -> Body {
    let block = Bytes::from(vec![0xff; 64 * 1024]);
    Body::from_stream(stream::unfold(block, |block| async {
        Some((Ok::<_, std::io::Error>(block.clone()), block))
    }))
}

/// Half of the bytes, then the connection breaks.
fn cut(bytes: &Bytes) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(stream::iter([Ok(half), Err(broken)]))
}

/// The content from where `Range` says, cut off after so many bytes: a long file over a bad line.
fn ranged(content: &Bytes, headers: &HeaderMap, most: usize) -> Reply {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let from =
        range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let start = from.unwrap_or(0);
    if start >= content.len() {
        return with(StatusCode::RANGE_NOT_SATISFIABLE, "text/plain", Body::empty());
    }
    let rest = content.slice(start..);
    let end = most.min(rest.len());
    let part = stream::iter([Ok(rest.slice(..end))]);
    // What was sent must leave before the connection breaks.
    let broken = stream::iter((end < rest.len()).then_some(())).then(|()| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    let body = part.chain(broken);
    let status = if from.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut reply = with(status, "application/octet-stream", Body::from_stream(body));
    reply.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(rest.len()));
    let whole = format!("bytes {start}-{}/{}", content.len() - 1, content.len());
    if let Ok(value) = HeaderValue::from_str(&whole)
        && from.is_some()
    {
        reply.headers_mut().insert(header::CONTENT_RANGE, value);
    }
    reply
}

fn page(number: u64) -> String {
    format!(
        "<html><body><a href=\"/page/{next}\">next</a><a href=\"/page/{number}#top\">top</a>\
         <a href=\"http://elsewhere.invalid/\">away</a>\
         <img src=\"/n/{number}.jpg\" alt=\"image number {number}\"></body></html>",
        next = number + 1
    )
}

fn sitemap(address: SocketAddr) -> String {
    format!(
        "<?xml version=\"1.0\"?><urlset><url><loc>http://{address}/page/100</loc></url>\
         <url><loc> http://{address}/page/200?a=1&amp;b=2 </loc></url></urlset>"
    )
}

/// gzip of one stored block (RFC 1951 section 3.2.4) or more.
fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    for block in bytes.chunks(0xffff) {
        let length = block.len() as u16;
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend(block);
    }
    out.extend([1, 0, 0, 0xff, 0xff]);
    out.extend(crc32(bytes).to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out
}

/// The head of a PNG that announces this many pixels.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let mut chunk = b"IHDR".to_vec();
    chunk.extend(width.to_be_bytes());
    chunk.extend(height.to_be_bytes());
    chunk.extend([8, 2, 0, 0, 0]);
    let mut out = b"\x89PNG\r\n\x1a\n\0\0\0\x0d".to_vec();
    out.extend(&chunk);
    out.extend(crc32(&chunk).to_be_bytes());
    out.extend(b"\0\0\0\0IDAT");
    out.extend(crc32(b"IDAT").to_be_bytes());
    out
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_sum_is_the_one_of_gzip_and_png() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(gzip(b"ab").len(), 10 + 5 + 2 + 5 + 8);
    }
}
