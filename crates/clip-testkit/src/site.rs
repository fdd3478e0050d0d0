//! Serving the small web on loopback: one address for each host.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::pages::Web;

/// The first host's last byte: 127.0.0.11.
const FIRST: u8 = 11;

/// The address of a host.
pub fn address(host: usize, port: u16) -> SocketAddr {
    (Ipv4Addr::new(127, 0, 0, FIRST + host as u8), port).into()
}

/// Serves all hosts until the process ends. Calls `ready` when every address answers.
pub async fn serve(web: Web, port: u16, ready: impl FnOnce()) -> anyhow::Result<()> {
    let web = Arc::new(web);
    let mut servers = tokio::task::JoinSet::new();
    for host in 0..web.hosts() {
        let address = address(host, port);
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener = listener.with_context(|| format!("{address} cannot be listened on"))?;
        let app = Router::new().fallback(answer).with_state((web.clone(), host));
        servers.spawn(async move { axum::serve(listener, app).await });
    }
    ready();
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    Ok(())
}

async fn answer(State((web, host)): State<(Arc<Web>, usize)>, uri: Uri) -> Response {
    // Drawing is work for a thread, not for the loop.
    let drawn = tokio::task::spawn_blocking(move || web.get(host, uri.path())).await;
    match drawn {
        Ok(Some((kind, body))) => ([(header::CONTENT_TYPE, kind)], body).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
