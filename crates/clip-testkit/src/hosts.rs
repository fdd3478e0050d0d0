//! Thousands of hosts on loopback, each with the same small image: for benchmarks of how a
//! downloader shares its time among hosts.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use clip_image::{Rgb, encode_jpeg};

use crate::dns::{NameServer, Record, Reply};

/// Side of the image.
const SIDE: u32 = 64;

struct Hosts {
    image: Bytes,
    images: AtomicU64,
    robots: AtomicU64,
}

/// The address that a host's name has here: `a-b-c-d.example.net` is a.b.c.d of loopback, and no
/// other name is known.
fn address_of(name: &str) -> Option<IpAddr> {
    let address = name.split('.').next()?.replace('-', ".").parse().ok()?;
    IpAddr::is_loopback(&address).then_some(address)
}

fn lookup(name: &str, _kind: u16, _times: usize) -> Reply {
    match address_of(name) {
        Some(address) => Reply::Records(vec![Record::Address(address)], 3600),
        None => Reply::NoName,
    }
}

/// Serves until the process ends, and names of the hosts with `dns_delay`; calls `ready` with the
/// name server's address when both answer.
///
/// # Errors
/// When a port cannot be had.
pub async fn serve(
    port: u16,
    dns_delay: Duration,
    ready: impl FnOnce(SocketAddr),
) -> anyhow::Result<()> {
    let names = NameServer::start(lookup)?.delayed(dns_delay);
    // One socket for all addresses; only this machine gets an answer.
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", port)).await;
    let listener = listener.with_context(|| format!("port {port} cannot be listened on"))?;
    ready(names.address());
    let (images, robots) = (AtomicU64::new(0), AtomicU64::new(0));
    let hosts = Arc::new(Hosts { image: encode_jpeg(&noise(), 80)?.into(), images, robots });
    let app = Router::new().fallback(answer).with_state(hosts);
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).await?)
}

/// Pixels that JPEG cannot make small, the same in each run.
fn noise() -> Rgb {
    let mut image = Rgb::filled(SIDE, SIDE, [0; 3]);
    blake3::Hasher::new().finalize_xof().fill(&mut image.data);
    image
}

async fn answer(
    State(hosts): State<Arc<Hosts>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    uri: Uri,
) -> Response {
    if !peer.ip().is_loopback() {
        return StatusCode::FORBIDDEN.into_response();
    }
    let count = |count: &AtomicU64| count.fetch_add(1, Ordering::Relaxed);
    match uri.path() {
        "/robots.txt" => {
            count(&hosts.robots);
            StatusCode::NOT_FOUND.into_response()
        }
        "/__count" => {
            let asked = |count: &AtomicU64| count.load(Ordering::Relaxed);
            let (images, robots) = (asked(&hosts.images), asked(&hosts.robots));
            format!("{{\"images\": {images}, \"robots\": {robots}}}").into_response()
        }
        _ => {
            count(&hosts.images);
            ([(header::CONTENT_TYPE, "image/jpeg")], hosts.image.clone()).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_loopback() {
        assert_eq!(address_of("127-10-1-255.example.net"), Some("127.10.1.255".parse().unwrap()));
        for name in ["dead-7.example.net", "10-1-2-3.example.net", "127-1.example.net"] {
            assert_eq!(address_of(name), None, "{name}");
        }
    }
}
