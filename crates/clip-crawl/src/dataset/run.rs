//! The run: a reader cuts shards, tasks fetch their rows, a collector gathers them, a writer
//! writes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use clip_pipeline::{Error, Result};
use tokio::sync::mpsc;

use super::asks::Job;
use super::collect::{Begun, Collector, CollectorEvent, Whole};
use super::dispatch::{ENDED, ShardAsks, dispatch};
use super::outcome::Ended;
use super::output::Output;
use super::prepare::prepare;
use super::row::Fetcher;
use super::shards::{Shard, Shards, Skip};
use super::{DatasetConfig, Stats, Watch, columns, write};
use crate::Client;
use crate::fetch::runtime;
use crate::list::{self, Column, ListFile};
use crate::window::Window;

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Summary {
    /// What happened to the rows of this run.
    pub stats: Stats,
    /// Shards written.
    pub shards: usize,
    /// Shards that were there already, or are other jobs'.
    pub skipped: usize,
    /// Whether someone asked it to stop: run it again to continue.
    pub interrupted: bool,
    /// Wall time.
    pub seconds: f64,
}

/// The first fault of any thread; it stops the others.
#[derive(Default)]
struct Fault(Mutex<Option<Error>>);

impl Fault {
    fn put(&self, error: Error) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
    }

    fn any(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    fn take(&self) -> Option<Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Makes the data set that `config` describes, or what is missing of it.
///
/// # Errors
/// For settings that cannot work, a list that cannot be read and a disk that cannot be written;
/// rows that failed are no errors but counted.
pub fn run(
    config: &DatasetConfig,
    watch: &Arc<dyn Watch>,
    cancel: &Arc<AtomicBool>,
) -> Result<Summary> {
    let started = Instant::now();
    let (files, columns) = listed(config)?;
    let output = Output::open(&config.output_folder, config.job)?;
    let client = Client::new(&config.fetch).map_err(|e| Error::Config(e.message))?;
    let (start, _lock) = prepare(config, &files, &columns, &output)?;
    let job = config.job;
    if job.is_some() {
        let shared = client.share_hosts(|| output.leases());
        shared.map_err(|e| Error::io(&config.output_folder, e))?;
    }
    let skip = Skip { done: start.done, job };
    let rows = config.number_sample_per_shard;
    let shards = Shards { files, columns, rows, first: start.first, end: start.end, skip };
    let here = output.folder().to_path_buf();
    let config = DatasetConfig { output_folder: here, ..config.clone() };
    let fetcher = Arc::new(Fetcher { client, config: Arc::new(config) });
    let done = go(&fetcher, shards, &output, watch, cancel)?;
    let scratch = output.folder().join("_tmp");
    // Another job may still be at work in there, and what an interrupted run has of a shard is for
    // the next one.
    if job.is_none() && !done.interrupted && scratch.exists() {
        std::fs::remove_dir_all(&scratch).map_err(|e| Error::io(&scratch, e))?;
    }
    Ok(Summary { seconds: started.elapsed().as_secs_f64(), ..done })
}

/// The list's files and the columns that are read.
pub(super) fn listed(config: &DatasetConfig) -> Result<(Vec<ListFile>, Vec<Column>)> {
    if config.number_sample_per_shard == 0 {
        return Err(Error::Config("number_sample_per_shard must be at least 1".into()));
    }
    let files = list::find(&config.url_list, config.input_format.as_deref())?;
    let columns = columns::wanted(config, &files)?;
    // A wrong column is reported before anything is removed or asked.
    drop(list::batches(&files[0], &columns, 0)?);
    Ok((files, columns))
}

fn go(
    fetcher: &Arc<Fetcher>,
    shards: Shards,
    output: &Output,
    watch: &Arc<dyn Watch>,
    cancel: &Arc<AtomicBool>,
) -> Result<Summary> {
    let runtime = runtime()?;
    let fault = Fault::default();
    let stopped = || cancel.load(Ordering::Relaxed) || fault.any();
    let window = Arc::new(Window::default());
    let (to_fetch, asks) = mpsc::channel::<ShardAsks>(1);
    let (ended, told) = mpsc::channel::<CollectorEvent>(ENDED);
    let (whole, finished) = std::sync::mpsc::sync_channel::<Whole>(1);
    let mut summary = Summary {
        stats: Stats::default(),
        shards: 0,
        skipped: 0,
        interrupted: false,
        seconds: 0.0,
    };
    std::thread::scope(|scope| {
        let begun = ended.clone();
        let reader = scope.spawn(|| {
            let (to_fetch, begun) = (to_fetch, begun);
            let mut rows = 0;
            if let Some(total) = shards.total() {
                watch.total(total);
            }
            let mut begin = |shard: Shard| {
                rows += shard.rows.num_rows() as u64;
                let Some(permit) = window.enter(shard.bytes(), &stopped) else { return false };
                match Job::open(&fetcher.config, shard, permit) {
                    Ok(Job { shard, asks, spool, kept, permit }) => {
                        let id = shard.id;
                        let begins = Box::new(Begun { shard, spool, kept, permit });
                        begun.blocking_send(CollectorEvent::Begins(begins)).is_ok()
                            && to_fetch.blocking_send((id, asks)).is_ok()
                    }
                    Err(error) => {
                        fault.put(error);
                        false
                    }
                }
            };
            match shards.each(&mut |shard| !stopped() && begin(shard)) {
                Ok(skipped) => {
                    if !stopped() {
                        watch.total(rows);
                    }
                    skipped
                }
                Err(error) => {
                    fault.put(error);
                    0
                }
            }
        });
        let writer = scope.spawn(|| {
            let (mut stats, mut count) = (Stats::default(), 0);
            for whole in finished {
                match finish(&fetcher.config, output, whole) {
                    Ok((id, shard)) => {
                        watch.shard(id, &shard);
                        stats.merge(&shard);
                        count += 1;
                    }
                    Err(error) => fault.put(error),
                }
            }
            (stats, count)
        });
        let collector = scope.spawn(|| {
            // Its ends of both channels close when it ends, also by a panic: no other thread waits
            // for it then.
            let (whole, mut told) = (whole, told);
            let mut collector = Collector::default();
            while let Some(told) = told.blocking_recv() {
                let ended: Vec<&Ended> = match &told {
                    CollectorEvent::Rows(_, ended, _) => vec![ended],
                    CollectorEvent::Begins(begun) => {
                        begun.kept.iter().map(|(ended, _)| ended).collect()
                    }
                };
                for ended in ended {
                    ended.rows.iter().for_each(|_| watch.row(ended.done.status));
                }
                match collector.take(told) {
                    Ok(Some(shard)) => {
                        if whole.send(shard).is_err() {
                            fault.put(Error::stage("fetch", "the writer panicked"));
                        }
                    }
                    Ok(None) => {}
                    // What comes after it is taken and dropped, so that no sender waits.
                    Err(error) => fault.put(error),
                }
            }
            if let Some((shard, rows)) = collector.unfinished().filter(|_| !stopped()) {
                let lost = format!("{rows} rows of shard {shard} got no answer");
                fault.put(Error::stage("fetch", lost));
            }
        });
        let stop = async {
            while !stopped() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let note = |message: &str| watch.note(message);
        let dispatched = runtime.block_on(async {
            tokio::select! {
                result = dispatch(fetcher.clone(), asks, ended, &note) => result,
                () = stop => Ok(()),
            }
        });
        if let Err(error) = dispatched {
            fault.put(error);
        }
        let panicked = |who| fault.put(Error::stage("fetch", format!("the {who} panicked")));
        match reader.join() {
            Ok(skipped) => summary.skipped = skipped,
            Err(_) => panicked("reader"),
        }
        if collector.join().is_err() {
            panicked("collector");
        }
        match writer.join() {
            Ok((stats, count)) => (summary.stats, summary.shards) = (stats, count),
            Err(_) => panicked("writer"),
        }
    });
    if let Some(error) = fault.take() {
        return Err(error);
    }
    summary.interrupted = cancel.load(Ordering::Relaxed);
    Ok(summary)
}

fn finish(config: &DatasetConfig, output: &Output, whole: Whole) -> Result<(usize, Stats)> {
    let Whole { shard, rows, places, mut spool, started, _permit } = whole;
    let mut image = |row: usize| {
        let lost = || Error::stage("fetch", format!("the image of row {row} was lost"));
        spool.get(places[row].ok_or_else(lost)?)
    };
    let stats = write::shard(config, &shard, &rows, &mut image, started)?;
    output.publish(&columns::names(config).shard(shard.id))?;
    spool.remove();
    Ok((shard.id, stats))
}
