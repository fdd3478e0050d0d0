//! Ballista's scheduler with our functions.

use std::net::SocketAddr;
use std::sync::Arc;

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use datafusion::prelude::SessionConfig;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;

use crate::codec::WriteOnly;
use crate::files::confined;
use crate::pages::pages;
use crate::registry::state;
use crate::secret::{guarded, may_listen};
use crate::{Error, MESSAGE, Result, Roots, SILENCE, Secret};

/// Serves until the process ends, to those who show `secret`. It keeps nothing: what is done is in
/// the runs' folders. Boxed for the reason that a worker is.
///
/// # Errors
/// [`Error::Open`] when other machines can reach it and there is no secret.
pub fn scheduler(
    address: SocketAddr,
    secret: Option<Secret>,
    roots: Roots,
) -> BoxFuture<'static, Result<()>> {
    Box::pin(serve(address, secret, roots))
}

async fn serve(address: SocketAddr, secret: Option<Secret>, roots: Roots) -> Result<()> {
    may_listen(address.ip(), secret)?;
    crate::logging::init();
    let environment = confined(&roots, None)?;
    let sessions = move |config: SessionConfig| state(config, environment.clone());
    let config = Arc::new(SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        external_host: address.ip().to_string(),
        // Workers ask for their tasks: to be sent some, they would need a port that cannot be
        // guarded.
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        override_session_builder: Some(Arc::new(sessions)),
        override_physical_codec: Some(Arc::new(WriteOnly::default())),
        override_create_grpc_client_endpoint: secret.map(Secret::shown),
        executor_timeout_seconds: SILENCE,
        expire_dead_executor_interval_seconds: 2,
        no_executors_grace_period_seconds: 3 * SILENCE,
        // A stage that cannot read what another made ends the query. Ballista would do parts of
        // both again, and the new files have the names of old ones that a worker may still hold.
        stage_max_failures: 1,
        grpc_server_max_decoding_message_size: MESSAGE,
        grpc_server_max_encoding_message_size: MESSAGE,
        grpc_client_max_message_size: MESSAGE,
        ..SchedulerConfig::default()
    });
    let failed = |e| Error::ballista("scheduler", e);
    let listener = TcpListener::bind(address).await.map_err(|e| Error::io(address, e))?;
    let cluster = BallistaCluster::new_from_config(&config).await.map_err(failed)?;
    let pages = pages(&cluster).await.map_err(failed)?;
    let server = create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, config).await;
    let server = SchedulerGrpcServer::new(server.map_err(failed)?)
        .max_decoding_message_size(MESSAGE as usize)
        .max_encoding_message_size(MESSAGE as usize);
    let mut services = RoutesBuilder::default();
    services.add_service(server);
    let router = services.routes().into_axum_router().merge(pages);
    axum::serve(listener, guarded(router, secret)).await.map_err(|e| Error::io(address, e))
}
