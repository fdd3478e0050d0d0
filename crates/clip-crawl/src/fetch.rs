//! The stage that turns addresses into images.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Int32Array, RecordBatch, StringArray, UInt64Array,
};
use arrow::compute::take_record_batch;
use clip_corpus::columns;
use clip_pipeline::config::fetch::{FetchConfig, ImageConfig};
use clip_pipeline::{Context, Error, Fetch, PartSink, Reject, Result};
use futures::stream::{self, StreamExt};
use tokio::sync::oneshot;

use crate::Client;
use crate::image::{Stored, process};

/// Rows that are given on at a time: bounds the images in memory.
const BATCH: usize = 512;

/// Fetches, checks and stores images; what cannot be had is rejected with the kind of its fault.
pub struct ImageFetch {
    client: Arc<Client>,
    image: ImageConfig,
    concurrency: usize,
}

impl ImageFetch {
    /// Name of the stage.
    pub const STAGE: &'static str = "fetch";

    /// With the settings of `[fetch]` and `[image]`.
    pub fn new(fetch: &FetchConfig, image: &ImageConfig) -> Result<Self> {
        let client = Client::new(fetch).map_err(|e| Error::stage(Self::STAGE, e))?;
        let concurrency = fetch.concurrency.max(1);
        Ok(Self { client: Arc::new(client), image: image.clone(), concurrency })
    }

    async fn one(&self, url: String) -> std::result::Result<Stored, (String, String)> {
        let reply =
            self.client.image(&url).await.map_err(|e| (e.kind.name().to_owned(), e.message))?;
        let (send, receive) = oneshot::channel();
        let config = self.image.clone();
        // Pixels are rayon's: a decoder must not hold up the network.
        rayon::spawn(move || {
            let caught = std::panic::catch_unwind(|| process(reply.body, &config));
            let result =
                caught.unwrap_or_else(|_| Err(("undecodable", "the decoder panicked".into())));
            let _ = send.send(result);
        });
        match receive.await {
            Ok(Ok(stored)) => Ok(stored),
            Ok(Err((reason, message))) => Err((reason.to_owned(), message)),
            Err(_) => Err(("undecodable".into(), "the decoder went away".into())),
        }
    }

    async fn all(&self, batch: &RecordBatch, out: &mut PartSink, cx: &Context) -> Result<()> {
        let lacks = || Error::stage(Self::STAGE, "the input lacks the text column `url`");
        let urls = columns::text(batch, columns::URL).ok_or_else(lacks)?;
        let urls: Vec<String> = urls.iter().map(|url| url.unwrap_or_default().to_owned()).collect();
        let mut replies =
            stream::iter(urls).map(|url| self.one(url)).buffered(self.concurrency).enumerate();
        let mut kept: Vec<(usize, Stored)> = Vec::with_capacity(BATCH);
        while let Some((index, reply)) = replies.next().await {
            if cx.cancelled() {
                return Ok(());
            }
            match reply {
                Ok(stored) => kept.push((index, stored)),
                Err((reason, detail)) => out.reject(reject(batch, index, reason, detail))?,
            }
            cx.rows(1);
            if kept.len() == BATCH {
                out.keep(with_images(batch, std::mem::take(&mut kept))?)?;
            }
        }
        out.keep(with_images(batch, kept)?)
    }
}

impl Fetch for ImageFetch {
    fn fetch(&self, batch: RecordBatch, out: &mut PartSink, cx: &Context) -> Result<()> {
        runtime(Self::STAGE)?.block_on(self.all(&batch, out, cx))
    }
}

/// A runtime for one part's network work, on the part's own thread.
pub(crate) fn runtime(stage: &str) -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Error::stage(stage, e))
}

fn reject(batch: &RecordBatch, index: usize, reason: String, detail: String) -> Reject {
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
    let new: [(&str, ArrayRef); 11] = [
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
        (columns::IMAGE, Arc::new(images.finish())),
    ];
    for (name, column) in new {
        batch = columns::with_column(&batch, name, false, column).map_err(arrow)?;
    }
    Ok(batch)
}
