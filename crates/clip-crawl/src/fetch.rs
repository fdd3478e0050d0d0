//! The stage that turns URLs into images.

use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int32Array, RecordBatch, StringArray,
    UInt64Array,
};
use arrow::compute::take_record_batch;
use arrow::datatypes::Int32Type;
use clip_corpus::columns;
use clip_pipeline::config::fetch::{FetchConfig, ImageConfig};
use clip_pipeline::config::source::SourceConfig;
use clip_pipeline::{Context, Error, Fetch, PartSink, Reject, Result};
use futures::stream::{FuturesUnordered, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::Client;
use crate::asks::{Ask, Asks};
use crate::error::may_pass;
use crate::host_queue::{HostQueue, HostTurn, IN_FLIGHT, Limiting, host_of};
use crate::image::{Stored, process};
use crate::lease::Leases;
use crate::local::Located;
use crate::spool::{Kept, Spool};

pub(crate) const STAGE: &str = "fetch";
/// Rows that are given on at a time.
const BATCH: usize = 512;

/// Fetches, checks and stores images; what cannot be had is rejected with the kind of its fault.
///
/// Rows of a part with the same URL share one request. Images wait for their turn in a spool under
/// the stage's scratch folder, so that neither a slow host nor the size of a part grows the memory,
/// and rows leave in the order in which they came. What the spool has of a part that was not
/// committed is not asked for again.
pub struct ImageFetch {
    client: Arc<Client>,
    image: ImageConfig,
    max_bytes: u64,
    per_host: usize,
    located: Arc<Located>,
}

/// What became of an image.
#[derive(Serialize, Deserialize)]
enum Outcome {
    /// It is in the spool.
    Stored(Box<Stored>),
    /// Reason and detail.
    Rejected(String, String),
}

/// An image and what became of it, in the spool.
#[derive(Serialize, Deserialize)]
struct Record {
    ask: usize,
    outcome: Outcome,
}

impl ImageFetch {
    /// Name of the stage.
    pub const STAGE: &'static str = STAGE;

    /// With the settings of `[fetch]` and `[image]`; images of a local `[source]` are read below
    /// `base`.
    pub fn new(
        fetch: &FetchConfig,
        image: &ImageConfig,
        source: &SourceConfig,
        base: &Path,
    ) -> Result<Self> {
        let client = Client::new(fetch).map_err(|e| Error::stage(Self::STAGE, e))?;
        let (image, max_bytes, per_host) = (image.clone(), fetch.max_bytes, fetch.per_host);
        let located = Arc::new(Located::of(source, base)?);
        Ok(Self { client: Arc::new(client), image, max_bytes, per_host, located })
    }

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

    /// The outcome of every ask, begun with those that are `kept`; fewer when the run was
    /// cancelled.
    async fn all(
        &self,
        asks: &Asks,
        kept: Vec<Kept<Record>>,
        spool: &mut Spool,
        cx: &Context,
    ) -> Result<Vec<Option<Kept<Outcome>>>> {
        let mut outcomes: Vec<Option<Kept<Outcome>>> = asks.all.iter().map(|_| None).collect();
        for (Record { ask, outcome }, place) in kept {
            if let Some(slot) = outcomes.get_mut(ask) {
                *slot = Some((outcome, place));
                cx.rows(asks.shared[ask]);
            }
        }
        let mut queue = HostQueue::new(self.per_host);
        for at in (0..outcomes.len()).filter(|&at| outcomes[at].is_none()) {
            let host = match &asks.all[at] {
                Ask::Url(url) => host_of(url),
                Ask::Local(_) => String::new(),
            };
            queue.push(host, at);
        }
        let mut replies = FuturesUnordered::new();
        let mut limiting = Limiting::default();
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        let mut look = Limiting::looks();
        while !cx.cancelled() {
            if queue.waiting() == 0 && replies.is_empty() {
                break;
            }
            while replies.len() < IN_FLIGHT
                && let Some((turn, at)) = queue.pop()
            {
                let ask = asks.all[at].clone();
                replies.push(async move { (at, self.one(ask, turn).await) });
            }
            let reply = tokio::select! {
                Some(reply) = replies.next() => reply,
                () = queue.request_ended() => continue,
                _ = tick.tick() => continue,
                _ = look.tick() => {
                    if let Some(line) = limiting.line(&queue, replies.len()) {
                        cx.note(line);
                    }
                    continue;
                }
            };
            let (ask, reply) = reply;
            let (outcome, bytes) = match reply {
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
            outcomes[ask] = Some((record.outcome, place));
            cx.rows(asks.shared[ask]);
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
    /// One that fell.
    Rejected(Reject),
}

impl ImageFetch {
    /// Fetches all rows of a batch and gives them to `visit` in the batch's order; nothing when
    /// cancelled. Returns the number of URLs that were asked. `kept` is the file that keeps
    /// results for a later run.
    fn each(
        &self,
        batch: &RecordBatch,
        kept: Option<&Path>,
        cx: &Context,
        visit: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<u64> {
        let asks = Asks::new(batch)?;
        let folder = cx.scratch().join("hosts");
        let shared = match cx.store().map(|store| store.at("hosts")) {
            Some(store) => self.client.share_hosts(|| Leases::stored(store)),
            None if cx.shared() => self.client.share_hosts(|| Leases::new(folder.clone())),
            None => Ok(()),
        };
        shared.map_err(|e| Error::io(&folder, e))?;
        let (mut spool, kept) = match kept {
            Some(path) => Spool::open(path, &asks.identity(&self.image))?,
            None => (Spool::create(cx.scratch())?, Vec::new()),
        };
        let outcomes = runtime()?.block_on(self.all(&asks, kept, &mut spool, cx))?;
        if cx.cancelled() {
            return Ok(0);
        }
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
        Ok(asks.urls())
    }

    /// The rows of [`Self::each`], all in memory: for retries, which are few.
    pub(crate) fn outcomes(&self, batch: &RecordBatch, cx: &Context) -> Result<Vec<Rows>> {
        let mut all = Vec::new();
        self.each(batch, None, cx, &mut |rows| {
            all.push(rows);
            Ok(())
        })?;
        Ok(all)
    }
}

impl Fetch for ImageFetch {
    fn fetch(&self, batch: RecordBatch, out: &mut PartSink, cx: &Context) -> Result<()> {
        let kept = cx.part_file(out.part());
        let asked = self.each(&batch, Some(&kept), cx, &mut |rows| match rows {
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

pub(crate) fn reject(batch: &RecordBatch, index: usize, reason: String, detail: String) -> Reject {
    let cell = |name: &str| {
        columns::text(batch, name).map(|column| column.value(index).to_owned()).unwrap_or_default()
    };
    Reject {
        row: columns::uint64(batch, columns::ROW).map_or(0, |rows| rows.value(index)),
        uid: cell(columns::UID),
        url: cell(columns::URL),
        caption: cell(columns::CAPTION),
        reason,
        detail,
    }
}

/// A row, what is known of its image, and the image.
type StoredRow<'a> = (usize, &'a Stored, Vec<u8>);

/// Those rows of a batch, with the columns of their images. What the source knew of an image before
/// it was stored there (its size, hash and EXIF) stays.
fn with_images(batch: &RecordBatch, rows: &[StoredRow]) -> Result<RecordBatch> {
    let arrow = |e| Error::arrow(ImageFetch::STAGE, e);
    let indices = UInt64Array::from_iter_values(rows.iter().map(|(index, ..)| *index as u64));
    let batch = take_record_batch(batch, &indices).map_err(arrow)?;
    let mut batch = columns::without_column(&batch, columns::LOCATION);
    let ints = |get: fn(&Stored) -> u32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|(_, s, _)| get(s) as i32)))
    };
    let longs = |get: fn(&Stored) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(_, s, _)| get(s))))
    };
    let texts = |get: fn(&Stored) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(_, s, _)| get(s))))
    };
    let mut images = BinaryBuilder::new();
    rows.iter().for_each(|(.., bytes)| images.append_value(bytes));
    let flat: BooleanArray = rows.iter().map(|(_, s, _)| Some(s.flat)).collect();
    let new: [(&str, ArrayRef); 12] = [
        ("width", ints(|s| s.size.0)),
        ("height", ints(|s| s.size.1)),
        ("original_width", ints(|s| s.original.0)),
        ("original_height", ints(|s| s.original.1)),
        ("format", texts(|s| &s.format)),
        ("sha256", texts(|s| &s.sha256)),
        ("blake3", texts(|s| &s.blake3)),
        (columns::PHASH, longs(|s| s.phash)),
        (columns::DHASH, longs(|s| s.dhash)),
        ("flat", Arc::new(flat)),
        ("exif", texts(|s| &s.exif)),
        (columns::IMAGE, Arc::new(images.finish())),
    ];
    for (name, column) in new {
        let column = match batch.column_by_name(name) {
            Some(known) => known_or(known, column),
            None => column,
        };
        batch = columns::with_column(&batch, name, false, column).map_err(arrow)?;
    }
    Ok(batch)
}

/// The cells that are known, else those that were found.
fn known_or(known: &ArrayRef, found: ArrayRef) -> ArrayRef {
    if let (Some(a), Some(b)) = (known.as_string_opt::<i32>(), found.as_string_opt::<i32>()) {
        return Arc::new(a.iter().zip(b).map(|(a, b)| a.or(b)).collect::<StringArray>());
    }
    let int = |column: &ArrayRef| column.as_primitive_opt::<Int32Type>().cloned();
    match (int(known), int(&found)) {
        (Some(a), Some(b)) => {
            Arc::new(a.iter().zip(&b).map(|(a, b)| a.or(b)).collect::<Int32Array>())
        }
        _ => found,
    }
}
