//! `clip-data serve`: local web pages over runs, shards and training runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use clip_pipeline::hash_resource;
use clip_query::QueryList;
use clip_serve::{Encoder, Options, Queries, Server};

use crate::text_encoder::ScoredText;

/// How often it is asked whether the server is to stop.
const POLL: Duration = Duration::from_millis(100);

/// Arguments of `clip-data serve`.
#[derive(clap::Args)]
pub struct Args {
    /// Runs, folders of shards or Parquet tables, training runs (logs/NAME), reports, or folders of
    /// those; nothing else is shown
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// The port on 127.0.0.1; any free one when absent
    #[arg(long)]
    port: Option<u16>,
    /// The query list, to name and find queries
    #[arg(long, value_name = "FILE")]
    queries: Option<PathBuf>,
    /// Where an evaluation set is, to show its items beside the corpus; may be given again
    #[arg(long, value_name = "NAME=PATH", value_parser = super::contamination::named)]
    eval: Vec<(String, PathBuf)>,
    /// The file for thresholds and marks; decisions.json in the folder of each report when absent
    #[arg(long, value_name = "FILE")]
    decisions: Option<PathBuf>,
    /// The model of stored embeddings, to search images by a sentence (needs libtorch)
    #[arg(long, value_name = "PATH")]
    model: Option<PathBuf>,
    /// Its name or model_cfg (.json), where the weights do not say it
    #[arg(long, value_name = "NAME", requires = "model")]
    model_name: Option<String>,
}

fn queries(path: &Path) -> anyhow::Result<Queries> {
    Ok(Queries { list: QueryList::load(path)?, hash: hash_resource(path)? })
}

fn encoder(model: PathBuf, name: Option<String>) -> anyhow::Result<Encoder> {
    super::require("--model: ", &model)?;
    let run = model.join("checkpoints");
    if run.is_dir() {
        bail!(
            "--model: {}: a run of training, and embeddings are of one checkpoint\nhint: name one of those in {}",
            model.display(),
            run.display()
        );
    }
    let hash = hash_resource(&model)?;
    Ok(Encoder { encoder: Box::new(ScoredText::new(model, name)?), hash })
}

/// Prints the URL, and answers until it is stopped.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    let queries = args.queries.as_deref().map(queries).transpose()?;
    for (name, path) in &args.eval {
        super::require(&format!("--eval {name}: "), path)?;
    }
    let (sets, decisions) = (args.eval.into_iter().collect(), args.decisions);
    let encoder = args.model.map(|model| encoder(model, args.model_name)).transpose()?;
    let (paths, port) = (args.paths, args.port.unwrap_or(0));
    let options = Options { paths, port, queries, sets, decisions, encoder };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    // A second signal ends it at once.
    let stop = clip_cli::stop_flag("")?;
    runtime.block_on(async {
        let server = Server::bind(options).await?;
        for path in server.empty() {
            note!("{}: nothing in it has a page yet", path.display());
        }
        println!("{}", server.url());
        note!("open this URL in a browser on this machine; Ctrl-C ends the server");
        let stopped = async {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(POLL).await;
            }
        };
        server.run(stopped).await
    })?;
    // What was still being read is not waited for.
    runtime.shutdown_background();
    Ok(ExitCode::SUCCESS)
}
