//! Ballista's scheduler with our functions.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;

use crate::registry::{PATH, state};
use crate::{Error, MESSAGE, Registry, Result};

/// Seconds without a sign of life after which a worker counts as gone: it gives one every four.
const SILENCE: u64 = 20;

/// Serves until the process ends. It keeps nothing: what is done lies in the runs' folders.
pub async fn scheduler(address: SocketAddr) -> Result<()> {
    crate::told::tell();
    let config = Arc::new(SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        external_host: address.ip().to_string(),
        override_session_builder: Some(Arc::new(state)),
        executor_timeout_seconds: SILENCE,
        expire_dead_executor_interval_seconds: 2,
        no_executors_grace_period_seconds: 3 * SILENCE,
        grpc_server_max_decoding_message_size: MESSAGE,
        grpc_server_max_encoding_message_size: MESSAGE,
        grpc_client_max_message_size: MESSAGE,
        ..SchedulerConfig::default()
    });
    let failed = |e| Error::ballista("scheduler", e);
    let listener = TcpListener::bind(address).await.map_err(|e| Error::io(address, e))?;
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(failed)?;
    let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, config).await;
    let server = SchedulerGrpcServer::new(server.map_err(failed)?)
        .max_decoding_message_size(MESSAGE as usize)
        .max_encoding_message_size(MESSAGE as usize);
    let mut services = RoutesBuilder::default();
    services.add_service(server);
    let registry = serde_json::json!(Registry::mine()).to_string();
    let shown = Router::new().route(PATH, get(|| async move { registry }));
    let router = services.routes().into_axum_router().merge(shown);
    axum::serve(listener, router).await.map_err(|e| Error::io(address, e))
}
