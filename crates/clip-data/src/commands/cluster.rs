//! `clip-data scheduler` and `clip-data worker`: the members of a cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use clip_cluster::{Registry, WorkerOptions};
use clip_pipeline::config::corpus::EngineConfig;

use crate::cluster;

/// Arguments of `clip-data scheduler`.
#[derive(clap::Args)]
pub struct SchedulerArgs {
    /// Address and port to listen on: whoever reaches it can run queries, so only in a network that is trusted
    #[arg(long, value_name = "ADDRESS:PORT", default_value = EngineConfig::SCHEDULER)]
    bind: SocketAddr,
}

/// Arguments of `clip-data worker`.
#[derive(clap::Args)]
pub struct WorkerArgs {
    /// The scheduler
    #[arg(long, value_name = "HOST:PORT", default_value = EngineConfig::SCHEDULER)]
    scheduler: String,
    /// Address to listen on, on ports that are free
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// The name under which the others reach this worker; its address when absent
    #[arg(long)]
    host: Option<String>,
    /// Parts at a time; all cores when absent
    #[arg(long)]
    tasks: Option<usize>,
    /// Where what queries exchange lies; a temporary folder when absent
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Where this worker's copies of runs that lie in a store go; the pipeline's `workdir` when absent
    #[arg(long, value_name = "DIR")]
    workdir: Option<PathBuf>,
}

/// Serves until it is stopped.
pub fn scheduler(args: SchedulerArgs) -> anyhow::Result<ExitCode> {
    eprintln!("scheduler at {}, registry {}", args.bind, Registry::mine().fingerprint());
    runtime()?.block_on(clip_cluster::scheduler(args.bind))?;
    Ok(ExitCode::SUCCESS)
}

/// Works until it is stopped.
pub fn worker(args: WorkerArgs) -> anyhow::Result<ExitCode> {
    super::build::open_many_files();
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let tasks = args.tasks.unwrap_or(cores);
    eprintln!(
        "worker of {}, {tasks} tasks, registry {}",
        args.scheduler,
        Registry::mine().fingerprint()
    );
    let (scheduler, bind, host, folder) = (args.scheduler, args.bind, args.host, args.folder);
    let options = WorkerOptions { scheduler, bind, host, tasks, folder };
    runtime()?.block_on(clip_cluster::worker(options, cluster::doer(args.workdir)))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
