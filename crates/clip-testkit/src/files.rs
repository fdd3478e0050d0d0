//! A web site of some files: whatever a test puts there.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use crate::server::Server;

/// Files by path: media type and content.
type Files = HashMap<String, (&'static str, Bytes)>;

/// A running site; it stops when dropped.
pub struct FileSite {
    server: Server,
}

impl FileSite {
    /// Serves files on a free port of `ip`: path, media type, content. All else is 404.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(
        ip: IpAddr,
        files: impl IntoIterator<Item = (String, &'static str, Vec<u8>)>,
    ) -> std::io::Result<Self> {
        let files: Files =
            files.into_iter().map(|(path, kind, content)| (path, (kind, content.into()))).collect();
        let files = Arc::new(files);
        let server = Server::start(ip, |_| Router::new().fallback(answer).with_state(files))?;
        Ok(Self { server })
    }

    /// The URL of a path.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }
}

async fn answer(State(files): State<Arc<Files>>, uri: Uri) -> Response {
    match files.get(uri.path()) {
        Some((kind, content)) => ([(header::CONTENT_TYPE, *kind)], content.clone()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
