//! Ballista's executor with our functions.

use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};

use crate::registry::worker_functions;
use crate::run_part::Doer;
use crate::{Error, MESSAGE, Registry, Result};

/// Seconds between two signs of life.
const HEARTBEAT: u64 = 4;

/// Where a worker stands.
#[derive(Debug, Clone)]
pub struct WorkerOptions {
    /// The scheduler's host and port.
    pub scheduler: String,
    /// Address that it listens on.
    pub bind: IpAddr,
    /// Name under which the others reach it; its address when absent.
    pub host: Option<String>,
    /// Parts and tasks at a time.
    pub tasks: usize,
    /// Where what queries exchange lies; a temporary folder when absent.
    pub folder: Option<PathBuf>,
}

/// Works until the process ends.
pub async fn worker(options: WorkerOptions, doer: Doer) -> Result<()> {
    crate::told::tell();
    Registry::mine().fits(&Registry::of(&options.scheduler).await?, "the scheduler")?;
    let odd = |reason: &str| Error::Scheduler {
        scheduler: options.scheduler.clone(),
        reason: reason.to_owned(),
    };
    let (host, port) = options.scheduler.rsplit_once(':').ok_or_else(|| odd("not HOST:PORT"))?;
    let config = ExecutorProcessConfig {
        bind_host: options.bind.to_string(),
        external_host: Some(options.host.clone().unwrap_or_else(|| options.bind.to_string())),
        port: free_port(options.bind)?,
        grpc_port: free_port(options.bind)?,
        scheduler_host: host.to_owned(),
        scheduler_port: port.parse().map_err(|_| odd("not HOST:PORT"))?,
        scheduler_connect_timeout_seconds: 10,
        vcores: options.tasks.max(1),
        work_dir: options.folder.as_ref().map(|folder| folder.display().to_string()),
        grpc_max_decoding_message_size: MESSAGE,
        grpc_max_encoding_message_size: MESSAGE,
        executor_heartbeat_interval_seconds: HEARTBEAT,
        override_function_registry: Some(Arc::new(worker_functions(doer))),
        ..ExecutorProcessConfig::default()
    };
    start_executor_process(Arc::new(config)).await.map_err(|e| Error::ballista("worker", e))
}

/// A port that nobody listens on now.
fn free_port(address: IpAddr) -> Result<u16> {
    let listener = TcpListener::bind((address, 0)).and_then(|listener| listener.local_addr());
    Ok(listener.map_err(|e| Error::io(address, e))?.port())
}
