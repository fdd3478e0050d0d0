//! The stage that turns addresses into images.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::compute::take_record_batch;
use clip_corpus::columns;
use clip_pipeline::config::fetch::{FetchConfig, ImageConfig};
use clip_pipeline::{Context, Error, Fetch, PartSink, Reject, Result};
use futures::stream::{self, StreamExt};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use crate::image::{Stored, process};
use crate::lease::Leases;
use crate::spool::{Place, Spool};
use crate::{Client, local};

/// Rows that are given on at a time.
const BATCH: usize = 512;
/// Rows that wait for their host's turn at a time. A waiting row costs little; a slow host must not keep
/// rows of others from the network.
const WAITING: usize = 4096;

/// Fetches, checks and stores images; what cannot be had is rejected with the kind of its fault.
///
/// Images wait for their turn in a file under the stage's scratch folder, so that neither a slow host nor the
/// size of a part grows the memory, and rows leave in the order in which they came.
pub struct ImageFetch {
    client: Arc<Client>,
    image: ImageConfig,
    max_bytes: u64,
}

/// What became of a row.
enum Outcome {
    /// Its image lies in the spool.
    Stored(Box<Stored>, Place),
    /// Reason and detail.
    Fell(String, String),
}

impl ImageFetch {
    /// Name of the stage.
    pub const STAGE: &'static str = "fetch";

    /// With the settings of `[fetch]` and `[image]`.
    pub fn new(fetch: &FetchConfig, image: &ImageConfig) -> Result<Self> {
        let client = Client::new(fetch).map_err(|e| Error::stage(Self::STAGE, e))?;
        Ok(Self { client: Arc::new(client), image: image.clone(), max_bytes: fetch.max_bytes })
    }

    async fn one(&self, url: String) -> Made {
        let fault = |e: crate::FetchError| (e.kind.name().to_owned(), e.message);
        if url.starts_with(local::SCHEME) {
            let (image, max_bytes) = (self.image.clone(), self.max_bytes);
            return off_network(move || {
                let bytes = local::read(&url, max_bytes).map_err(fault)?;
                process(&bytes, &image).map_err(|refusal| (refusal.kind.to_owned(), refusal.told()))
            })
            .await
            .unwrap_or_else(undecodable);
        }
        let reply = self.client.image(&url).await.map_err(fault)?;
        let image = self.image.clone();
        off_network(move || {
            process(&reply.body, &image)
                .map_err(|refusal| (refusal.kind.to_owned(), refusal.told()))
        })
        .await
        .unwrap_or_else(undecodable)
    }

    /// The outcome of every row; fewer when the run was cancelled.
    async fn all(
        &self,
        urls: Vec<String>,
        spool: &mut Spool,
        cx: &Context,
    ) -> Result<Vec<Option<Outcome>>> {
        let mut outcomes: Vec<Option<Outcome>> = urls.iter().map(|_| None).collect();
        let mut replies = stream::iter(urls.into_iter().enumerate())
            .map(|(index, url)| async move { (index, self.one(url).await) })
            .buffer_unordered(WAITING);
        let mut tick = tokio::time::interval(Duration::from_millis(200));
        while !cx.cancelled() {
            let reply = tokio::select! {
                reply = replies.next() => reply,
                _ = tick.tick() => continue,
            };
            let Some((index, reply)) = reply else { break };
            outcomes[index] = Some(match reply {
                Ok(mut stored) => {
                    let place = spool.put(&std::mem::take(&mut stored.bytes))?;
                    Outcome::Stored(Box::new(stored), place)
                }
                Err((reason, detail)) => Outcome::Fell(reason, detail),
            });
            cx.rows(1);
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
        let made = clip_image::catch_panic(work);
        let _ = send.send(made.map_err(|why| format!("the work on the image panicked: {why}")));
    });
    receive.await.unwrap_or_else(|_| Err("the work on the image was dropped".to_owned()))
}

/// Rows in the order of the input, as they came out.
pub(crate) enum Rows {
    /// Up to [`BATCH`] rows with their images.
    Kept(RecordBatch),
    /// One that fell.
    Fell(Reject),
}

impl ImageFetch {
    /// Fetches all rows of a batch and gives them to `visit` in the batch's order; nothing when cancelled.
    fn each(
        &self,
        batch: &RecordBatch,
        cx: &Context,
        visit: &mut dyn FnMut(Rows) -> Result<()>,
    ) -> Result<()> {
        let lacks = || Error::stage(Self::STAGE, "the input lacks the text column `url`");
        let urls = columns::text(batch, columns::URL).ok_or_else(lacks)?;
        let urls = urls.iter().map(|url| url.unwrap_or_default().to_owned()).collect();
        let folder = cx.scratch().join("hosts");
        let shared = match cx.store().map(|store| store.at("hosts")) {
            Some(store) => self.client.share_hosts(|| Leases::stored(store)),
            None if cx.shared() => self.client.share_hosts(|| Leases::new(folder.clone())),
            None => Ok(()),
        };
        shared.map_err(|e| Error::io(&folder, e))?;
        let mut spool = Spool::create(cx.scratch())?;
        let outcomes = runtime()?.block_on(self.all(urls, &mut spool, cx))?;
        if cx.cancelled() {
            return Ok(());
        }
        let mut kept: Vec<(usize, Stored)> = Vec::with_capacity(BATCH);
        for (index, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Some(Outcome::Stored(mut stored, place)) => {
                    stored.bytes = spool.get(place)?;
                    kept.push((index, *stored));
                }
                Some(Outcome::Fell(reason, detail)) => {
                    visit(Rows::Fell(reject(batch, index, reason, detail)))?;
                }
                None => {
                    return Err(Error::stage(Self::STAGE, format!("row {index} got no answer")));
                }
            }
            if kept.len() == BATCH {
                visit(Rows::Kept(with_images(batch, std::mem::take(&mut kept))?))?;
            }
        }
        visit(Rows::Kept(with_images(batch, kept)?))
    }

    /// The rows of [`Self::each`], all in memory: for retries, which are few.
    pub(crate) fn outcomes(&self, batch: &RecordBatch, cx: &Context) -> Result<Vec<Rows>> {
        let mut all = Vec::new();
        self.each(batch, cx, &mut |rows| {
            all.push(rows);
            Ok(())
        })?;
        Ok(all)
    }
}

impl Fetch for ImageFetch {
    fn fetch(&self, batch: RecordBatch, out: &mut PartSink, cx: &Context) -> Result<()> {
        self.each(&batch, cx, &mut |rows| match rows {
            Rows::Kept(batch) => out.keep(batch),
            Rows::Fell(reject) => out.reject(reject),
        })
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

fn with_images(batch: &RecordBatch, kept: Vec<(usize, Stored)>) -> Result<RecordBatch> {
    let arrow = |e| Error::arrow(ImageFetch::STAGE, e);
    let indices = UInt64Array::from_iter_values(kept.iter().map(|(index, _)| *index as u64));
    let mut batch = take_record_batch(batch, &indices).map_err(arrow)?;
    let ints = |get: fn(&Stored) -> u32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(kept.iter().map(|(_, s)| get(s) as i32)))
    };
    let longs = |get: fn(&Stored) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(kept.iter().map(|(_, s)| get(s))))
    };
    let texts = |get: fn(&Stored) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(kept.iter().map(|(_, s)| get(s))))
    };
    let mut images = BinaryBuilder::new();
    kept.iter().for_each(|(_, stored)| images.append_value(&stored.bytes));
    let flat: BooleanArray = kept.iter().map(|(_, s)| Some(s.flat)).collect();
    let new: [(&str, ArrayRef); 12] = [
        ("width", ints(|s| s.size.0)),
        ("height", ints(|s| s.size.1)),
        ("original_width", ints(|s| s.original.0)),
        ("original_height", ints(|s| s.original.1)),
        ("format", texts(|s| s.format)),
        ("sha256", texts(|s| &s.sha256)),
        ("blake3", texts(|s| &s.blake3)),
        (columns::PHASH, longs(|s| s.phash)),
        (columns::DHASH, longs(|s| s.dhash)),
        ("flat", Arc::new(flat)),
        ("exif", texts(|s| &s.exif)),
        (columns::IMAGE, Arc::new(images.finish())),
    ];
    for (name, column) in new {
        batch = columns::with_column(&batch, name, false, column).map_err(arrow)?;
    }
    Ok(batch)
}
