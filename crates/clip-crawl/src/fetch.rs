//! The stage that turns URLs into images.

use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arrow::array::RecordBatch;
use clip_pipeline::config::fetch::{FetchConfig, ImageConfig};
use clip_pipeline::config::source::SourceConfig;
use clip_pipeline::{Context, Error, Fetch, PartSink, Reject, Result};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;

use crate::Client;
use crate::asks::{Ask, Asks};
use crate::dispatch::{Bounds, dispatch};
use crate::error::{FETCH, may_pass};
use crate::host_queue::{HostTurn, host_of};
use crate::image::{Stored, process};
use crate::image_columns::{StoredRow, reject, with_images};
use crate::lease::Leases;
use crate::local::Located;
use crate::spool::{Kept, Spool};
use crate::window::{Window, WindowPermit, memory_of};

/// Rows that are given on at a time.
const BATCH: usize = 512;
/// Answers between the network and the disk, for each part.
const ANSWERS: usize = 64;
/// Parts at work at a time, if their bytes allow that.
const PARTS: usize = 64;

/// Fetches, checks and stores images; what cannot be had is rejected with the kind of its fault.
///
/// The rows of a window of parts wait in one queue by host, so that a part with a slow host keeps
/// no part after it waiting; each part ends when its own rows are there. Rows of a part with the
/// same URL share one request. Images wait for their turn in a spool under the stage's scratch
/// folder, so that neither a slow host nor the size of a part grows the memory, and rows leave in
/// the order in which they came. What the spool has of a part that was not committed is not asked
/// for again.
pub struct ImageFetch {
    fetcher: Arc<Fetcher>,
    bounds: Bounds,
    window: Arc<Window>,
    /// Held by the one part that is read and waits for room in the window.
    entrance: Mutex<()>,
    /// Parts that may be written at a time: each has a batch of images in memory.
    writers: Semaphore,
    /// To the process's queue, begun by the first part.
    queue: Mutex<Option<mpsc::Sender<PartAsks>>>,
}

/// What an ask needs.
struct Fetcher {
    client: Client,
    image: ImageConfig,
    max_bytes: u64,
    located: Arc<Located>,
}

/// An ask's number in its part, and what became of it.
type Answer = (usize, Made);

/// The asks of a part with their numbers, and where the answers go.
type PartAsks = (mpsc::Sender<Answer>, Vec<(usize, Ask)>);

/// What became of an image.
#[derive(Serialize, Deserialize)]
enum Outcome {
    /// It is in the spool.
    Stored(Box<Stored>),
    /// Reason and detail.
    Rejected(String, String),
}

impl Outcome {
    fn failed(&self) -> bool {
        matches!(self, Self::Rejected(..))
    }
}

/// An image and what became of it, in the spool.
#[derive(Serialize, Deserialize)]
struct Record {
    ask: usize,
    outcome: Outcome,
}

impl Fetcher {
    async fn one(&self, ask: Ask, turn: HostTurn) -> Made {
        let fault = |e: crate::FetchError| (e.kind.name().to_owned(), e.message);
        let image = self.image.clone();
        let made = move |bytes: &[u8]| {
            process(bytes, &image).map_err(|refusal| (refusal.kind.to_owned(), refusal.message()))
        };
        match ask {
            Ask::Local(location) => {
                let (located, max_bytes) = (self.located.clone(), self.max_bytes);
                let read = move || made(&located.read(&location, max_bytes).map_err(fault)?);
                off_network(read).await.unwrap_or_else(undecodable)
            }
            Ask::Url(url) => {
                let reply = self.client.image(&url).await.map_err(fault);
                // The host need not wait for the pixels.
                drop(turn);
                let reply = reply?;
                off_network(move || made(&reply.body)).await.unwrap_or_else(undecodable)
            }
        }
    }
}

/// The queue of a process: ends when no part can give it more.
async fn serve(
    fetcher: Arc<Fetcher>,
    bounds: Bounds,
    parts: mpsc::Receiver<PartAsks>,
    cx: Context,
) {
    let host = |(_, ask): &(usize, Ask)| match ask {
        Ask::Url(url) => host_of(url),
        Ask::Local(_) => String::new(),
    };
    let ask = |answers: mpsc::Sender<Answer>, (at, ask), turn| {
        let fetcher = fetcher.clone();
        async move {
            let made = tokio::select! {
                biased;
                // The part was given up.
                () = answers.closed() => return,
                made = fetcher.one(ask, turn) => made,
            };
            let _ = answers.send((at, made)).await;
        }
    };
    // Parts whose asks are dropped miss their answers and are tried again.
    if let Err(error) = dispatch(bounds, parts, host, ask, &|line: &str| cx.note(line)).await {
        cx.note(format!("warning: {error}"));
    }
}

impl ImageFetch {
    /// Name of the stage.
    pub const STAGE: &'static str = FETCH;

    /// With the settings of `[fetch]` and `[image]`; images of a local `[source]` are read below
    /// `base`.
    pub fn new(
        fetch: &FetchConfig,
        image: &ImageConfig,
        source: &SourceConfig,
        base: &Path,
    ) -> Result<Self> {
        let client = Client::new(fetch).map_err(|e| Error::Config(e.message))?;
        let (image, max_bytes) = (image.clone(), fetch.max_bytes);
        let located = Arc::new(Located::of(source, base)?);
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Ok(Self {
            fetcher: Arc::new(Fetcher { client, image, max_bytes, located }),
            bounds: Bounds { per_host: fetch.per_host, concurrency: fetch.concurrency },
            window: Arc::default(),
            entrance: Mutex::default(),
            writers: Semaphore::new(cores),
            queue: Mutex::default(),
        })
    }

    /// Gives asks of a part to the process's queue; their answers come out of the channel, which
    /// ends after the last.
    fn ask(&self, asks: Vec<(usize, Ask)>, cx: &Context) -> Result<mpsc::Receiver<Answer>> {
        let (answer, answers) = mpsc::channel(ANSWERS);
        let queue = {
            let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            match queue.as_ref().filter(|queue| !queue.is_closed()) {
                Some(queue) => queue.clone(),
                None => {
                    let (send, parts) = mpsc::channel(1);
                    runtime()?.spawn(serve(self.fetcher.clone(), self.bounds, parts, cx.clone()));
                    queue.insert(send).clone()
                }
            }
        };
        let ended = |_| Error::stage(FETCH, "the queue of hosts ended");
        queue.blocking_send((answer, asks)).map_err(ended)?;
        Ok(answers)
    }

    /// The outcome of every ask, begun with those that are `kept`; fewer when the run was
    /// cancelled.
    fn all(
        &self,
        asks: &Asks,
        kept: Vec<Kept<Record>>,
        spool: &mut Spool,
        permit: &mut Option<WindowPermit>,
        cx: &Context,
    ) -> Result<Vec<Option<Kept<Outcome>>>> {
        let mut outcomes: Vec<Option<Kept<Outcome>>> = asks.all.iter().map(|_| None).collect();
        for (Record { ask, outcome }, place) in kept {
            if let Some(slot) = outcomes.get_mut(ask) {
                cx.rows_ended(asks.shared[ask], outcome.failed());
                *slot = Some((outcome, place));
            }
        }
        let left = (0..outcomes.len()).filter(|&at| outcomes[at].is_none());
        let mut answers = self.ask(left.map(|at| (at, asks.all[at].clone())).collect(), cx)?;
        let runtime = runtime()?;
        while !cx.cancelled() {
            let tick = Duration::from_millis(200);
            let next = runtime.block_on(async { timeout(tick, answers.recv()).await });
            let (ask, made) = match next {
                Ok(Some(answer)) => answer,
                Ok(None) => break,
                Err(_) => continue,
            };
            let (outcome, bytes) = match made {
                Ok(mut stored) => {
                    let bytes = std::mem::take(&mut stored.bytes);
                    (Outcome::Stored(Box::new(stored)), bytes)
                }
                Err((reason, detail)) => (Outcome::Rejected(reason, detail), Vec::new()),
            };
            let record = Record { ask, outcome };
            // What may pass is asked again by the run that resumes this one.
            let place = match &record.outcome {
                Outcome::Rejected(reason, _) if may_pass(reason) => spool.put(&bytes)?,
                _ => spool.record(&record, &bytes)?,
            };
            if let Some(permit) = permit {
                permit.on_disk(spool.bytes());
            }
            cx.rows_ended(asks.shared[ask], record.outcome.failed());
            outcomes[ask] = Some((record.outcome, place));
        }
        Ok(outcomes)
    }
}

type Made = std::result::Result<Stored, (String, String)>;

fn undecodable(why: String) -> Made {
    Err(("undecodable".to_owned(), why))
}

/// Pixels are rayon's: a decoder must not hold up the network. An error where the work panicked.
pub(crate) async fn off_network<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> std::result::Result<T, String> {
    let (send, receive) = oneshot::channel();
    rayon::spawn(move || {
        let made = clip_guard::catch_panic(work);
        let _ = send.send(made.map_err(|why| format!("the work on the image panicked: {why}")));
    });
    receive.await.unwrap_or_else(|_| Err("the work on the image was dropped".to_owned()))
}

/// Rows in the order of the input, as they came out.
pub(crate) enum Rows {
    /// Up to [`BATCH`] rows with their images.
    Kept(RecordBatch),
    /// One that was dropped.
    Rejected(Reject),
}

impl ImageFetch {
    /// Fetches all rows of a batch and gives them to `visit` in the batch's order; nothing when
    /// cancelled. Returns the number of URLs that were asked. `kept` is the file that keeps
    /// results for a later run, `permit` the part's place in the window, if it has one.
    fn each(
        &self,
        batch: &RecordBatch,
        kept: Option<&Path>,
        mut permit: Option<WindowPermit>,
        cx: &Context,
        visit: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<u64> {
        let asks = Asks::new(batch)?;
        let folder = cx.scratch().join("hosts");
        let client = &self.fetcher.client;
        let shared = match cx.store().map(|store| store.at("hosts")) {
            Some(store) => client.share_hosts(|| Leases::stored(store)),
            None if cx.shared() => client.share_hosts(|| Leases::new(folder.clone())),
            None => Ok(()),
        };
        shared.map_err(|e| Error::io(&folder, e))?;
        let (mut spool, kept) = match kept {
            Some(path) => Spool::open(path, &asks.identity(&self.fetcher.image))?,
            None => (Spool::create(cx.scratch())?, Vec::new()),
        };
        let outcomes = self.all(&asks, kept, &mut spool, &mut permit, cx)?;
        if cx.cancelled() {
            return Ok(0);
        }
        let _writer = runtime()?.block_on(self.writers.acquire());
        let mut rows: Vec<StoredRow> = Vec::with_capacity(BATCH);
        for (index, ask) in asks.rows.iter().enumerate() {
            match &outcomes[*ask] {
                Some((Outcome::Stored(stored), place)) => {
                    rows.push((index, stored, spool.get(*place)?));
                }
                Some((Outcome::Rejected(reason, detail), _)) => {
                    visit(Rows::Rejected(reject(batch, index, reason.clone(), detail.clone())))?;
                }
                None => {
                    return Err(Error::stage(Self::STAGE, format!("row {index} got no answer")));
                }
            }
            if rows.len() == BATCH {
                visit(Rows::Kept(with_images(batch, &rows)?))?;
                rows.clear();
            }
        }
        visit(Rows::Kept(with_images(batch, &rows)?))?;
        let rejected = |at: usize| match &outcomes[at] {
            Some((Outcome::Rejected(reason, _), _)) => Some(reason.as_str()),
            _ => None,
        };
        Ok(asks.urls(rejected))
    }

    /// The rows of [`Self::each`], all in memory: for retries, which are few.
    pub(crate) fn outcomes(&self, batch: &RecordBatch, cx: &Context) -> Result<Vec<Rows>> {
        let mut all = Vec::new();
        self.each(batch, None, None, cx, &mut |rows| {
            all.push(rows);
            Ok(())
        })?;
        Ok(all)
    }

    /// Reads a part and waits until the window has room for it; none when cancelled.
    fn enter(
        &self,
        read: &dyn Fn() -> Result<RecordBatch>,
        cx: &Context,
    ) -> Result<Option<(RecordBatch, WindowPermit)>> {
        let _turn = self.entrance.lock().unwrap_or_else(PoisonError::into_inner);
        let batch = read()?;
        let permit = self.window.enter(memory_of(&batch), &|| cx.cancelled());
        Ok(permit.map(|permit| (batch, permit)))
    }
}

impl Fetch for ImageFetch {
    fn parts_at_a_time(&self) -> Option<usize> {
        Some(PARTS)
    }

    fn fetch(
        &self,
        read: &dyn Fn() -> Result<RecordBatch>,
        out: &mut PartSink,
        cx: &Context,
    ) -> Result<()> {
        let Some((batch, permit)) = self.enter(read, cx)? else { return Ok(()) };
        let kept = cx.part_file(out.part());
        let asked = self.each(&batch, Some(&kept), Some(permit), cx, &mut |rows| match rows {
            Rows::Kept(batch) => out.keep(batch),
            Rows::Rejected(reject) => out.reject(reject),
        })?;
        out.asked(asked);
        Ok(())
    }
}

/// The process's runtime for network work: parts share its threads, connections and timers.
pub(crate) fn runtime() -> Result<&'static Runtime> {
    static RUNTIME: OnceLock<std::io::Result<Runtime>> = OnceLock::new();
    let make = || {
        // Pixels take the cores; a few threads keep thousands of connections busy.
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads((cores / 4).clamp(2, 8))
            .thread_name("network")
            .enable_all()
            .build()
    };
    RUNTIME.get_or_init(make).as_ref().map_err(|e| Error::stage("network", e))
}
