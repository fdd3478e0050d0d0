//! Ballista's executor with our functions.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::ExecutorStoppedParams;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_executor::executor_process::{ExecutorProcessConfig, start_executor_process};
use ballista_executor::health::ExecutorHealth;
use ballista_executor::terminate::sig_term;
use datafusion::prelude::SessionConfig;
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

use crate::files::confined;
use crate::flight::flight;
use crate::pages::registry_of;
use crate::registry::worker_functions;
use crate::run_part::PartRunner;
use crate::secret::{may_listen, showing};
use crate::{Error, MESSAGE, Registry, Result, Roots, SILENCE, Secret};

/// Where a worker is in its life.
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
    /// Where what queries exchange is stored; a temporary folder when absent.
    pub folder: Option<PathBuf>,
    /// What members show to each other.
    pub secret: Option<Secret>,
    /// Where the files are that queries may open.
    pub roots: Roots,
}

/// Works until the process ends. Boxed here: Ballista's futures would be compiled anew, for speed,
/// where they are awaited.
///
/// # Errors
/// [`Error::Open`] when other machines can reach it and there is no secret.
pub fn worker(options: WorkerOptions, runner: PartRunner) -> BoxFuture<'static, Result<()>> {
    Box::pin(work(options, runner))
}

async fn work(options: WorkerOptions, runner: PartRunner) -> Result<()> {
    let WorkerOptions { scheduler, bind, host, tasks, folder, secret, roots } = options;
    may_listen(bind, secret)?;
    crate::logging::init();
    Registry::mine().fits(&registry_of(&scheduler, secret).await?, "the scheduler")?;
    let odd =
        || Error::Scheduler { scheduler: scheduler.clone(), reason: "not HOST:PORT".to_owned() };
    let (scheduler_host, scheduler_port) = scheduler.rsplit_once(':').ok_or_else(odd)?;
    let failed = |e| Error::io(bind, e);
    let listener = TcpListener::bind((bind, 0)).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    // Its own, which other users cannot open, and which goes with it.
    let temporary = tempfile::tempdir().map_err(|e| Error::io("a temporary folder", e))?;
    let folder = folder.unwrap_or_else(|| temporary.path().to_path_buf());
    let environment = confined(&roots, Some(folder.clone()))?;
    let config = ExecutorProcessConfig {
        bind_host: bind.to_string(),
        external_host: Some(host.unwrap_or_else(|| bind.to_string())),
        port,
        // As the scheduler has it. Nothing listens for tasks; who asks for that port meets the
        // guard.
        task_scheduling_policy: TaskSchedulingPolicy::PullStaged,
        grpc_port: port,
        scheduler_host: scheduler_host.to_owned(),
        scheduler_port: scheduler_port.parse().map_err(|_| odd())?,
        scheduler_connect_timeout_seconds: 10,
        vcores: tasks.max(1),
        work_dir: Some(folder.display().to_string()),
        grpc_max_decoding_message_size: MESSAGE,
        grpc_max_encoding_message_size: MESSAGE,
        override_function_registry: Some(Arc::new(worker_functions(runner))),
        override_runtime_producer: Some(Arc::new(move |_| Ok(environment.clone()))),
        override_config_producer: Some(Arc::new(move || {
            showing(SessionConfig::new_with_ballista(), secret)
        })),
        override_arrow_flight_service: Some(flight(listener, secret)),
        override_create_grpc_client_endpoint: secret.map(Secret::shown),
        ..ExecutorProcessConfig::default()
    };
    let (name, health) = (config.executor_id.clone(), config.health.clone());
    tokio::select! {
        biased;
        // Before Ballista's own handler, which would continue asking for tasks while it waits for
        // the last of them.
        () = stopped() => {
            leave(&scheduler, secret, name).await;
            Ok(())
        }
        ended = start_executor_process(Arc::new(config)) => {
            ended.map_err(|e| Error::ballista("worker", e))
        }
        () = silence(&health) => {
            let reason = format!("no answer for {SILENCE} s");
            Err(Error::Scheduler { scheduler: scheduler.clone(), reason })
        }
    }
}

/// Waits for Ctrl-C or SIGTERM.
async fn stopped() {
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = sig_term() => {}
    }
}

/// Has the scheduler give this worker's tasks to others at once; without an answer it does so when
/// it misses us.
async fn leave(scheduler: &str, secret: Option<Secret>, executor_id: String) {
    let reason = "it was stopped".to_owned();
    let leave = async {
        let endpoint = Endpoint::from_shared(format!("http://{scheduler}"))?;
        let endpoint = match secret {
            Some(secret) => secret.shown()(endpoint)?,
            None => endpoint,
        };
        let mut client = SchedulerGrpcClient::new(endpoint.connect().await?);
        client.executor_stopped(ExecutorStoppedParams { executor_id, reason }).await?;
        Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
    };
    let _ = tokio::time::timeout(Duration::from_secs(2), leave).await;
}

/// Waits until the scheduler has answered nothing for too long.
async fn silence(health: &ExecutorHealth) {
    let mut seconds = 0;
    while seconds < SILENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        seconds = if health.is_ready() { 0 } else { seconds + 1 };
    }
}
