//! Thousands of hosts on loopback, each with the same small image: for benchmarks of how a
//! downloader shares its time among hosts.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use clip_image::{Rgb, encode_jpeg};

/// Side of the image.
const SIDE: u32 = 64;

struct Hosts {
    image: Bytes,
    images: AtomicU64,
    robots: AtomicU64,
}

/// Serves until the process ends; calls `ready` when the port answers.
///
/// # Errors
/// When the port cannot be had.
pub async fn serve(port: u16, ready: impl FnOnce()) -> anyhow::Result<()> {
    // One socket for all addresses; only this machine gets an answer.
    let listener = tokio::net::TcpListener::bind(("0.0.0.0", port)).await;
    let listener = listener.with_context(|| format!("port {port} cannot be listened on"))?;
    ready();
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
