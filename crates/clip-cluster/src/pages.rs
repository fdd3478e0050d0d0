//! What a scheduler says of itself, to members of the cluster: its registry, and the number of
//! workers that it lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use ballista_scheduler::cluster::{BallistaCluster, ClusterStateEvent};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::{Error, Registry, Result, Secret};

/// Where a scheduler shows its registry.
pub(crate) const PATH: &str = "/clip-data/registry";
/// Where a scheduler shows how many workers left it or were given up.
const LOST: &str = "/clip-data/lost";
/// Time for a scheduler to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pages of a scheduler of this cluster.
pub(crate) async fn pages(cluster: &BallistaCluster) -> ballista_core::error::Result<Router> {
    let registry = serde_json::json!(Registry::mine()).to_string();
    let mut events = cluster.cluster_state().cluster_state_events().await?;
    let lost = Arc::new(AtomicU64::new(0));
    let count = lost.clone();
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            if matches!(event, ClusterStateEvent::RemovedExecutor { .. }) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let lost = move || async move { lost.load(Ordering::Relaxed).to_string() };
    Ok(Router::new().route(PATH, get(|| async move { registry })).route(LOST, get(lost)))
}

/// Number of workers that the scheduler at `HOST:PORT` has lost since it was started.
pub(crate) async fn lost(scheduler: &str, secret: Option<Secret>) -> Result<u64> {
    let body = ask(scheduler, secret, LOST).await?;
    body.parse().map_err(|_| Error::no_scheduler(scheduler))
}

/// A page of the scheduler at `HOST:PORT`.
///
/// # Errors
/// [`Error::Refused`] when it wants another secret, [`Error::Scheduler`] when it does not answer.
pub(crate) async fn ask(scheduler: &str, secret: Option<Secret>, path: &str) -> Result<String> {
    let failed = |reason: String| Error::Scheduler { scheduler: scheduler.to_owned(), reason };
    let ask = async {
        let mut stream = TcpStream::connect(scheduler).await?;
        // HTTP 1.0 answers in one piece and hangs up.
        let agent = secret.map(|secret| format!("User-Agent: {}\r\n", secret.agent()));
        let agent = agent.unwrap_or_default();
        let request = format!("GET {path} HTTP/1.0\r\nHost: {scheduler}\r\n{agent}\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut reply = String::new();
        stream.take(1 << 20).read_to_string(&mut reply).await?;
        Ok::<_, std::io::Error>(reply)
    };
    let reply = tokio::time::timeout(PATIENCE, ask).await;
    let reply = reply.map_err(|_| failed("no answer".into()))?;
    let reply = reply.map_err(|e| failed(e.to_string()))?;
    if reply.split(' ').nth(1) == Some("401") {
        return Err(Error::Refused { scheduler: scheduler.to_owned() });
    }
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok(body.to_owned())
}

/// The registry of the scheduler at `HOST:PORT`.
///
/// # Errors
/// [`Error::Refused`] when it wants another secret, [`Error::Scheduler`] when it is none or
/// does not answer.
pub(crate) async fn registry_of(scheduler: &str, secret: Option<Secret>) -> Result<Registry> {
    let body = ask(scheduler, secret, PATH).await?;
    serde_json::from_str(&body).map_err(|_| Error::no_scheduler(scheduler))
}
