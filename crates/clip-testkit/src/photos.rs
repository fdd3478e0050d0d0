//! Photographs on loopback, as fast as they can be had: for benchmarks of downloaders.

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use clip_corpus::ShardReader;

/// Images in memory.
pub struct Photos {
    images: Vec<Bytes>,
    small: Bytes,
}

impl Photos {
    /// Reads the images of a WebDataset tar file.
    ///
    /// # Errors
    /// When it cannot be read or has none.
    pub fn open(tar: &Path) -> anyhow::Result<Self> {
        let mut images = Vec::new();
        for sample in ShardReader::open(tar)? {
            let sample = sample?;
            images.extend(sample.image().map(|(_, bytes)| Bytes::copy_from_slice(bytes)));
        }
        anyhow::ensure!(!images.is_empty(), "{}: no images", tar.display());
        Ok(Self { images, small: Bytes::from(vec![b'x'; 1024]) })
    }

    /// Serves them until the process ends; calls `ready` with their number when the port answers.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn serve(self, port: u16, ready: impl FnOnce(usize)) -> anyhow::Result<()> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port)).await;
        let listener = listener.with_context(|| format!("port {port} cannot be listened on"))?;
        ready(self.images.len());
        let app = Router::new().fallback(answer).with_state(Arc::new(self));
        Ok(axum::serve(listener, app).await?)
    }
}

async fn answer(State(photos): State<Arc<Photos>>, uri: Uri) -> Response {
    let path = uri.path();
    let body = if path.starts_with("/small/") {
        Some(photos.small.clone())
    } else {
        let number =
            path.trim_start_matches('/').split('.').next().and_then(|n| n.parse::<usize>().ok());
        number.map(|number| photos.images[number % photos.images.len()].clone())
    };
    match body {
        Some(body) => ([(header::CONTENT_TYPE, "image/jpeg")], body).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
