//! `clip-data scheduler` and `clip-data worker`: the members of a cluster.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clip_cluster::{Registry, Roots, Secret, WorkerOptions};
use clip_pipeline::config::corpus::EngineConfig;

use crate::cluster;

/// Where the secret of a cluster is.
#[derive(clap::Args)]
pub struct SecretArgs {
    /// File with the secret that the members of a cluster share; $CLIP_DATA_CLUSTER_SECRET when
    /// absent
    #[arg(long, value_name = "FILE")]
    pub secret_file: Option<PathBuf>,
}

impl SecretArgs {
    /// The secret, if there is one.
    pub fn find(&self) -> clip_cluster::Result<Option<Secret>> {
        Secret::find(self.secret_file.as_deref())
    }
}

/// What the others may name.
#[derive(clap::Args)]
struct RootArgs {
    /// Folder that pipelines, runs and their inputs are in; what is outside is refused. May be
    /// given several times
    #[arg(long = "root", value_name = "DIR", default_value = ".")]
    roots: Vec<PathBuf>,
}

/// Arguments of `clip-data scheduler`.
#[derive(clap::Args)]
pub struct SchedulerArgs {
    /// Address and port to listen on; one that other machines reach needs a secret
    #[arg(long, value_name = "ADDRESS:PORT", default_value = EngineConfig::SCHEDULER)]
    bind: SocketAddr,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    root: RootArgs,
}

/// Arguments of `clip-data worker`.
#[derive(clap::Args)]
pub struct WorkerArgs {
    /// The scheduler
    #[arg(long, value_name = "HOST:PORT", default_value = EngineConfig::SCHEDULER)]
    scheduler: String,
    /// Address to listen on, on a port that is free; one that other machines reach needs a secret
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    bind: IpAddr,
    /// The name under which the others reach this worker; its address when absent
    #[arg(long)]
    host: Option<String>,
    /// Parts at a time; all cores when absent
    #[arg(long)]
    tasks: Option<usize>,
    /// Where what queries exchange is stored; a temporary folder when absent
    #[arg(long, value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Where this worker's copies of runs that are in a store go; the pipeline's `workdir` when
    /// absent
    #[arg(long, value_name = "DIR")]
    workdir: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretArgs,
    #[command(flatten)]
    root: RootArgs,
}

/// Serves until it is stopped.
pub fn scheduler(args: SchedulerArgs) -> anyhow::Result<ExitCode> {
    let (secret, roots) = (args.secret.find()?, Roots::new(&args.root.roots)?);
    clip_cluster::may_listen(args.bind.ip(), secret)?;
    // Ballista's own handlers end it; a second signal ends it at once.
    clip_cli::stop_flag("")?;
    note!("scheduler at {}, registry {}", args.bind, Registry::mine().fingerprint());
    runtime()?.block_on(clip_cluster::scheduler(args.bind, secret, roots))?;
    Ok(ExitCode::SUCCESS)
}

/// Works until it is stopped.
pub fn worker(args: WorkerArgs) -> anyhow::Result<ExitCode> {
    let secret = args.secret.find()?;
    clip_cluster::may_listen(args.bind, secret)?;
    let mut folders = args.root.roots;
    if let Some(workdir) = &args.workdir {
        std::fs::create_dir_all(workdir).with_context(|| workdir.display().to_string())?;
        folders.push(workdir.clone());
    }
    let roots = Roots::new(&folders)?;
    crate::open_files::open_many_files();
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let tasks = args.tasks.unwrap_or(cores);
    note!(
        "worker of {}, {tasks} tasks, registry {}",
        args.scheduler,
        Registry::mine().fingerprint()
    );
    let (scheduler, bind, host, folder) = (args.scheduler, args.bind, args.host, args.folder);
    // It leaves the cluster first; a second signal ends it at once.
    clip_cli::stop_flag("")?;
    let runner = cluster::part_runner(args.workdir, roots.clone());
    let options = WorkerOptions { scheduler, bind, host, tasks, folder, secret, roots };
    runtime()?.block_on(clip_cluster::worker(options, runner))?;
    Ok(ExitCode::SUCCESS)
}

fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}
