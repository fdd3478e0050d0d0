//! A worker's port: what the stages of a query exchange, for members of the cluster alone.

use std::sync::{Arc, Mutex, PoisonError};

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo,
    HandshakeRequest, HandshakeResponse, PollInfo, PutResult, SchemaResult, Ticket,
};
use axum::serve::ListenerExt;
use ballista_core::error::BallistaError;
use ballista_core::serde::decode_protobuf;
use ballista_core::serde::scheduler::Action as Fetch;
use ballista_executor::ArrowFlightServerProvider;
use ballista_executor::flight_service::BallistaFlightService;
use futures::stream::BoxStream;
use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status, Streaming};

use crate::secret::guarded;
use crate::{MESSAGE, Secret};

/// Serves Ballista's files on a port that is held already.
pub(crate) fn flight(
    listener: TcpListener,
    secret: Option<Secret>,
) -> Arc<ArrowFlightServerProvider> {
    let listener = Mutex::new(Some(listener));
    Arc::new(move |folder, _, mut shutdown, _| {
        let listener = listener.lock().unwrap_or_else(PoisonError::into_inner).take();
        tokio::spawn(async move {
            let twice = || BallistaError::General("the worker's port is served twice".to_owned());
            let listener = listener.ok_or_else(twice)?.tap_io(|stream| {
                // Small answers must not wait for more; without it they only come later.
                let _ = stream.set_nodelay(true);
            });
            let service = FlightServiceServer::new(Exchange(BallistaFlightService::new(folder)))
                .max_decoding_message_size(MESSAGE as usize)
                .max_encoding_message_size(MESSAGE as usize);
            let mut services = RoutesBuilder::default();
            services.add_service(service);
            axum::serve(listener, guarded(services.routes().into_axum_router(), secret))
                .with_graceful_shutdown(async move { shutdown.recv().await })
                .await
                .map_err(BallistaError::from)
        })
    })
}

/// Ballista's service, for names that stay in its folder.
struct Exchange(BallistaFlightService);

/// Refuses a request whose job is no plain name: it becomes a folder's.
fn check(request: &[u8]) -> Result<(), Status> {
    let wrong = |reason: String| Status::invalid_argument(reason);
    let Fetch::FetchPartition { job_id, .. } =
        decode_protobuf(request).map_err(|e| wrong(e.to_string()))?;
    clip_corpus::check_name(job_id.as_str()).map_err(|e| wrong(format!("job {e}")))
}

fn absent<T>(method: &str) -> Result<T, Status> {
    Err(Status::unimplemented(method))
}

type Answer<T> = Result<Response<T>, Status>;

/// What Ballista answers goes through; the rest of the protocol it does not have either.
#[tonic::async_trait]
impl FlightService for Exchange {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = <BallistaFlightService as FlightService>::DoGetStream;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoActionStream = <BallistaFlightService as FlightService>::DoActionStream;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;

    async fn do_get(&self, request: Request<Ticket>) -> Answer<Self::DoGetStream> {
        check(&request.get_ref().ticket)?;
        self.0.do_get(request).await
    }

    async fn do_action(&self, request: Request<Action>) -> Answer<Self::DoActionStream> {
        check(&request.get_ref().body)?;
        self.0.do_action(request).await
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Answer<Self::HandshakeStream> {
        absent("handshake")
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Answer<Self::ListFlightsStream> {
        absent("list_flights")
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<FlightInfo> {
        absent("get_flight_info")
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Answer<PollInfo> {
        absent("poll_flight_info")
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Answer<SchemaResult> {
        absent("get_schema")
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Answer<Self::DoPutStream> {
        absent("do_put")
    }

    async fn do_exchange(
        &self,
        _: Request<Streaming<FlightData>>,
    ) -> Answer<Self::DoExchangeStream> {
        absent("do_exchange")
    }

    async fn list_actions(&self, _: Request<Empty>) -> Answer<Self::ListActionsStream> {
        absent("list_actions")
    }
}
