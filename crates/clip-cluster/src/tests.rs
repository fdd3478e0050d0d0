//! A whole cluster in this process, its members, and strangers at its ports.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{Action, Criteria, Empty, FlightDescriptor, Ticket};
use ballista::prelude::{SessionConfigExt, SessionContextExt};
use ballista_core::client::BallistaClient;
use ballista_core::execution_plans::ShuffleWriterExec;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::serde::BallistaPhysicalExtensionCodec;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecuteQueryParams, ExecutorOperatingSystemSpecification, ExecutorRegistration,
    ExecutorSpecification, ExecutorStoppedParams, GetJobStatusParams, PollWorkParams,
    execute_query_params,
};
use ballista_core::serde::scheduler::{PartitionId, ShuffleLayout};
use ballista_core::utils::GrpcServerConfig;
use ballista_core::{BALLISTA_PROTOCOL_VERSION, BALLISTA_VERSION};
use ballista_executor::shutdown::ShutdownNotifier;
use clip_corpus::row_id;
use clip_pipeline::{
    Barrier, Context, DecisionSink, Engine, LocalEngine, PartInfo, PartSink, Plan, QueryEngine,
    Run, Source, StageSpec, Work,
};
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::pages::PATH;
use crate::secret::showing;
use crate::{ClusterEngine, Error, Roots, Secret, WorkerOptions};

fn secret(folder: &Path, text: &str) -> Option<Secret> {
    use std::os::unix::fs::PermissionsExt;
    let file = folder.join("a secret");
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    Secret::find(Some(&file)).unwrap()
}

fn numbers(path: &Path) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    clip_corpus::write_parquet(path, batch.schema(), &[batch]).unwrap();
}

/// A scheduler and a worker with roots `inside`; they end with the process.
fn start(inside: &Path, secret: Option<Secret>) -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let roots = Roots::new(&[inside.to_path_buf()]).unwrap();
    let options = WorkerOptions {
        scheduler: address.to_string(),
        bind: Ipv4Addr::LOCALHOST.into(),
        host: None,
        tasks: 2,
        folder: None,
        secret,
        roots: roots.clone(),
    };
    std::thread::spawn(move || {
        Runtime::new().unwrap().block_on(crate::scheduler(address, secret, roots))
    });
    while TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let runner = Arc::new(|_: &str, _, _| Err(clip_pipeline::Error::Config("no parts".into())));
    std::thread::spawn(move || Runtime::new().unwrap().block_on(crate::worker(options, runner)));
    address.to_string()
}

/// The status line of an answer to a request for `path`.
fn http(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.lines().next().unwrap().to_owned()
}

async fn channel(address: &str, secret: Option<Secret>) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let endpoint = match secret {
        Some(secret) => secret.shown()(endpoint).unwrap(),
        None => endpoint,
    };
    endpoint.connect().await.unwrap()
}

/// What a context that knows of Ballista alone makes of a sum over a file.
async fn sum(address: &str, secret: Option<Secret>, file: &Path) -> Result<i64, String> {
    let config = showing(SessionConfig::new_with_ballista(), secret)
        .with_ballista_adaptive_query_planner(false);
    let state = datafusion::execution::SessionStateBuilder::new()
        .with_config(config)
        .with_default_features()
        .build();
    let sum = async {
        let url = format!("df://{address}");
        let context = SessionContext::remote_with_state(&url, state).await?;
        let file = file.to_string_lossy();
        context.register_parquet("numbers", file, ParquetReadOptions::default()).await?;
        context.sql("SELECT sum(x) FROM numbers").await?.collect().await
    };
    let rows = sum.await.map_err(|e| e.to_string())?;
    Ok(rows[0].column(0).as_primitive::<Int64Type>().value(0))
}

fn refused<T>(answer: Result<T, Status>) {
    assert_eq!(answer.err().map(|status| status.code()), Some(Code::Unauthenticated));
}

#[test]
fn members_are_served_and_strangers_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("run"), folder.path().join("other"));
    let (mine, other) = (inside.join("numbers.parquet"), outside.join("numbers.parquet"));
    numbers(&mine);
    numbers(&other);
    let right = secret(folder.path(), "a secret of the members");
    let wrong = secret(folder.path(), "a secret of somebody else");
    let address = start(&inside, right);
    let runtime = Runtime::new().unwrap();

    // Ballista's own client.
    assert_eq!(runtime.block_on(sum(&address, right, &mine)).unwrap(), 4950);
    for stranger in [None, wrong] {
        let message = runtime.block_on(sum(&address, stranger, &mine)).unwrap_err();
        assert!(message.contains("wants its secret"), "{message}");
        let connected = ClusterEngine::connect(&address, stranger, "{}".into(), 1);
        assert!(matches!(connected, Err(Error::Refused { .. })));
    }
    // Bare calls, a worker's among them.
    runtime.block_on(async {
        for stranger in [None, wrong] {
            let mut client = SchedulerGrpcClient::new(channel(&address, stranger).await);
            refused(client.get_job_status(GetJobStatusParams { job_id: "x".into() }).await);
            refused(client.poll_work(PollWorkParams::default()).await);
            refused(client.execute_query(ExecuteQueryParams::default()).await);
        }
    });
    for path in ["/", PATH, "/api/state", "/healthz", "/nothing"] {
        assert_eq!(http(&address, path), "HTTP/1.1 401 Unauthorized", "{path}");
    }
    // A member names no file outside of the run, to read or to write.
    let message = runtime.block_on(sum(&address, right, &other)).unwrap_err();
    assert!(message.contains("is outside of"), "{message}");
    let engine = ClusterEngine::connect(&address, right, "{}".into(), 1).unwrap();
    let written = inside.join("written.parquet");
    let copy = format!("COPY (SELECT 1 AS x) TO '{}' STORED AS PARQUET", written.display());
    let copied = engine.query(&BTreeMap::new(), &copy, &mut |_| Ok(()));
    let message = copied.unwrap_err().to_string();
    assert!(message.contains("write no files"), "{message}");
    assert!(!written.exists());
}

#[test]
fn clients_send_no_stages() {
    let folder = tempfile::tempdir().unwrap();
    let right = secret(folder.path(), "a secret of the members");
    let address = start(folder.path(), right);
    let schema = Arc::new(arrow::datatypes::Schema::empty());
    let (job, empty) = (folder.path().display().to_string(), Arc::new(EmptyExec::new(schema)));
    let stage = ShuffleWriterExec::try_new(job.into(), 1, empty, String::new()).unwrap();
    let codec = BallistaPhysicalExtensionCodec::default();
    let mut plan = Vec::new();
    PhysicalPlanNode::try_from_physical_plan(Arc::new(stage), &codec)
        .and_then(|node| node.try_encode(&mut plan))
        .unwrap();
    let mut request = tonic::Request::new(ExecuteQueryParams {
        session_id: "a session".into(),
        query: Some(execute_query_params::Query::PhysicalPlan(plan)),
        ..ExecuteQueryParams::default()
    });
    request.metadata_mut().insert("ballista-version", BALLISTA_VERSION.parse().unwrap());
    let answer = Runtime::new().unwrap().block_on(async {
        let mut client = SchedulerGrpcClient::new(channel(&address, right).await);
        client.execute_query(request).await
    });
    let answer = format!("{:?}", answer.unwrap().into_inner());
    assert!(answer.contains("clients send queries, and no stages"), "{answer}");
}

/// A worker's port over a folder, until the notifier is dropped.
async fn serve(folder: &Path, secret: Option<Secret>) -> (String, ShutdownNotifier) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, notifier) = (listener.local_addr().unwrap(), ShutdownNotifier::new());
    let shutdown = notifier.subscribe_for_shutdown();
    let folder = folder.display().to_string();
    let limits = GrpcServerConfig::default();
    crate::flight::flight(listener, secret)(folder, address, shutdown, limits);
    (address.to_string(), notifier)
}

async fn fetch(address: &str, secret: Option<Secret>, job: &str) -> Result<(), String> {
    let (host, port) = address.rsplit_once(':').unwrap();
    let customize = secret.map(|secret| Arc::new(BallistaConfigGrpcEndpoint::new(secret.shown())));
    let port = port.parse().unwrap();
    let client = BallistaClient::try_new(host, port, 1 << 20, false, customize, 1, 1, 0, 0).await;
    let mut client = client.map_err(|e| e.to_string())?;
    let part = PartitionId { job_id: job.into(), stage_id: 1, partition_id: 2 };
    for flight in [true, false] {
        let layout = ShuffleLayout::Passthrough;
        let rows = client.fetch_partition("worker", &part, None, layout, flight).await;
        let rows = rows.map_err(|e| e.to_string())?;
        let rows = datafusion::physical_plan::common::collect(rows).await;
        let rows = rows.map_err(|e| e.to_string())?;
        assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 100);
    }
    Ok(())
}

/// What a stage of `job` leaves under `folder`.
fn exchanged(folder: &Path, job: &str) -> PathBuf {
    let path = folder.join(job).join("1/2/data.arrow");
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(0..100));
    let batch = RecordBatch::try_from_iter([("x", column)]).unwrap();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    folder.join(job)
}

#[test]
fn a_worker_gives_its_own_files_to_members() {
    let folder = tempfile::tempdir().unwrap();
    let right = secret(folder.path(), "a secret of the members");
    let wrong = secret(folder.path(), "a secret of somebody else");
    let work = folder.path().join("work");
    exchanged(&work, "job");
    let other = exchanged(folder.path(), "other").display().to_string();
    Runtime::new().unwrap().block_on(async {
        let (address, _running) = serve(&work, right).await;
        fetch(&address, right, "job").await.unwrap();
        for stranger in [None, wrong] {
            let message = fetch(&address, stranger, "job").await.unwrap_err();
            assert!(message.contains("wants its secret"), "{message}");
            // Arrow's own client, every call that takes no stream.
            let mut client = FlightServiceClient::new(channel(&address, stranger).await);
            refused(client.do_get(Ticket::default()).await);
            refused(client.do_action(Action::default()).await);
            refused(client.list_flights(Criteria::default()).await);
            refused(client.get_flight_info(FlightDescriptor::default()).await);
            refused(client.poll_flight_info(FlightDescriptor::default()).await);
            refused(client.get_schema(FlightDescriptor::default()).await);
            refused(client.list_actions(Empty {}).await);
        }
        for job in [other.as_str(), "../other", "job/../../other", ""] {
            let message = fetch(&address, right, job).await.unwrap_err();
            assert!(message.contains("not a plain relative name"), "{job}: {message}");
        }
        let line = tokio::task::spawn_blocking(move || http(&address, "/")).await.unwrap();
        assert_eq!(line, "HTTP/1.1 401 Unauthorized");
    });
}

/// The decisions of `rows` rows of part 0: all stay.
fn all_stay(rows: usize) -> RecordBatch {
    let ids: ArrayRef = Arc::new(UInt64Array::from_iter_values((0..rows).map(|at| row_id(0, at))));
    let reason: ArrayRef = arrow::array::new_null_array(&DataType::Utf8, rows);
    RecordBatch::try_from_iter_with_nullable([("row", ids, false), ("reason", reason, true)])
        .unwrap()
}

struct Rows;

impl Source for Rows {
    fn parts(&self) -> clip_pipeline::Result<usize> {
        Ok(1)
    }

    fn read(&self, _: usize, out: &mut PartSink, _: &Context) -> clip_pipeline::Result<()> {
        out.keep(all_stay(3).project(&[0]).unwrap())
    }
}

/// Loses a worker in its first decision, which then lacks a row or, with `whole`, looks right.
struct Loses {
    scheduler: String,
    whole: bool,
    calls: Arc<AtomicU64>,
}

impl Barrier for Loses {
    fn decide(
        &self,
        _: &[PartInfo],
        _: &Context,
        out: &mut DecisionSink,
    ) -> clip_pipeline::Result<()> {
        if self.calls.fetch_add(1, Ordering::Relaxed) > 0 {
            return out.push(&all_stay(3));
        }
        let lose = async {
            let mut client = SchedulerGrpcClient::new(channel(&self.scheduler, None).await);
            let metadata = ExecutorRegistration {
                id: "short-lived".into(),
                host: Some("127.0.0.1".into()),
                port: 1,
                grpc_port: 1,
                specification: Some(ExecutorSpecification::default()),
                os_info: Some(ExecutorOperatingSystemSpecification::default()),
                ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
            };
            let poll = PollWorkParams { metadata: Some(metadata), ..PollWorkParams::default() };
            client.poll_work(poll).await.unwrap();
            let reason = "it was killed".to_owned();
            let stopped = ExecutorStoppedParams { executor_id: "short-lived".into(), reason };
            client.executor_stopped(stopped).await.unwrap();
            while crate::pages::lost(&self.scheduler, None).await.unwrap() == 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // On a thread of its own: the engine's runtime waits for this one.
        std::thread::scope(|scope| {
            scope.spawn(|| Runtime::new().unwrap().block_on(lose)).join().unwrap();
        });
        out.push(&all_stay(if self.whole { 3 } else { 2 }))
    }
}

#[test]
fn what_was_decided_while_a_worker_was_lost_is_decided_again() {
    for whole in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let scheduler = start(folder.path(), None);
        let calls = Arc::new(AtomicU64::new(0));
        let spec = |name: &'static str, build| StageSpec {
            name: name.into(),
            version: 1,
            config: serde_json::json!({}),
            resources: vec![],
            build,
        };
        let barrier = (scheduler.clone(), calls.clone());
        let stages = vec![
            spec("rows", Box::new(|| Ok(Work::Source(Box::new(Rows))))),
            spec(
                "loses",
                Box::new(move || {
                    let (scheduler, calls) = barrier.clone();
                    Ok(Work::Barrier(Box::new(Loses { scheduler, whole, calls })))
                }),
            ),
        ];
        let plan = Plan::new(folder.path(), 1, stages).unwrap();
        let run = Run::open(plan, false, Arc::default(), Arc::new(())).unwrap();
        let engine = ClusterEngine::connect(&scheduler, None, "{}".into(), 1).unwrap();
        LocalEngine { workers: 1, tries: 1 }.run_parts(&run, 0, &[0]).unwrap();
        engine.decide(&run, 1).unwrap();
        assert_eq!(calls.load(Ordering::Relaxed), 2);
        run.run_part(1, 0).unwrap();
        assert_eq!(run.funnel()[1].1.rows_out, 3);
    }
}

#[test]
fn windows_below_joins_and_groups_see_all_rows() {
    let folder = tempfile::tempdir().unwrap();
    let file = |number: u64| {
        let column = |of: fn(u64) -> u64| -> ArrayRef {
            let rows = (0..40).map(|row| of(40 * number + row));
            Arc::new(arrow::array::UInt64Array::from_iter_values(rows))
        };
        let columns = [("x", column(|n| n * 7 % 200)), ("g", column(|n| n % 3))];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let path = folder.path().join(format!("{number}.parquet"));
        clip_corpus::write_parquet(&path, batch.schema(), &[batch]).unwrap();
        path
    };
    let files: Vec<PathBuf> = (0..5).map(file).collect();
    let address = start(folder.path(), None);
    let engine = ClusterEngine::connect(&address, None, "{}".into(), 1).unwrap();
    let tables = BTreeMap::from([("numbers".to_owned(), files.clone())]);
    let scratch = tempfile::tempdir().unwrap();
    let session = clip_sql::Session::new(scratch.path()).unwrap();
    session.table("numbers", &files).unwrap();
    let ranked = "WITH totals AS (SELECT g, count(*) AS total FROM numbers GROUP BY g), ranked AS \
                  (SELECT x, g, row_number() OVER (PARTITION BY g ORDER BY x) AS place FROM numbers)";
    for select in [
        "SELECT r.x, r.place, t.total FROM totals t JOIN ranked r ON t.g = r.g",
        "SELECT x, max(place) AS place FROM ranked GROUP BY x",
        "SELECT x, place FROM ranked",
    ] {
        let text = format!("{ranked} {select} ORDER BY x");
        let mut there = Vec::new();
        let mut visit = |batch| {
            there.push(batch);
            Ok(())
        };
        engine.query(&tables, &text, &mut visit).unwrap();
        let here = session.sql(&text).unwrap();
        let [there, here] = [there, here]
            .map(|batches| arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap());
        assert_eq!(there.num_rows(), 200, "{select}");
        assert_eq!(there, here, "{select}");
    }
}
