//! Parts to files, one after the other, and what is done already is left.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use clip_image::{Preprocess, Rgb};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::{Encoder, Error, Input, Item, Npy, NumberType, Part, Result};

/// What decides the files.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where they go.
    pub output: PathBuf,
    /// How numbers are stored.
    pub numbers: NumberType,
    /// Items that are encoded at a time.
    pub batch: usize,
    /// What the embeddings are of (model, arithmetic, input): a folder of others is refused.
    pub identity: String,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Rows written.
    pub rows: usize,
    /// Items that could not be embedded; `rejects/` has their keys and reasons.
    pub rejects: usize,
    /// Parts that lay there from an earlier run.
    pub reused: usize,
}

/// Embeds all parts; `progress` hears of rows as they are done, and of parts. Stops between two
/// batches when it says so, leaving whole parts.
///
/// # Errors
/// When the folder holds other embeddings, a shard is damaged, or a file cannot be written.
pub fn run(
    input: &Input,
    encoder: &Encoder,
    options: &Options,
    progress: &dyn Fn(usize) -> bool,
) -> Result<Option<Summary>> {
    let (known, wanted) = (encoder.vocabulary(), encoder.model().config().text_cfg.vocab_size);
    if input.texts && known != wanted {
        let reason =
            format!("the model has {wanted} tokens, and the tokenizer {known}\nhint: --only image");
        return Err(Error::input(&options.output, reason));
    }
    claim(options)?;
    let mut summary = Summary::default();
    let width = input.parts.len().saturating_sub(1).to_string().len().max(4);
    for (number, part) in input.parts.iter().enumerate() {
        let files = Files::new(&options.output, &format!("{number:0width$}"));
        if let Some(done) = files.done() {
            summary.rows += done.rows;
            summary.rejects += done.rejects;
            summary.reused += 1;
            continue;
        }
        let Some(done) = embed(input, part, encoder, options, &files, progress)? else {
            return Ok(None);
        };
        summary.rows += done.rows;
        summary.rejects += done.rejects;
    }
    Ok(Some(summary))
}

/// Names the folder's embeddings, or checks that it is these.
fn claim(options: &Options) -> Result<()> {
    let path = options.output.join("embed.json");
    if let Ok(found) = std::fs::read_to_string(&path) {
        if found.trim() == options.identity.trim() {
            return Ok(());
        }
        let hint = "hint: give another --out, or remove the folder";
        return Err(Error::input(&options.output, format!("it holds other embeddings\n{hint}")));
    }
    Ok(clip_format::write_atomic(&path, options.identity.as_bytes())?)
}

/// The files of one part; the last one that is written says that all are there.
struct Files {
    image: PathBuf,
    text: PathBuf,
    metadata: PathBuf,
    rejects: PathBuf,
    done: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Done {
    rows: usize,
    rejects: usize,
}

impl Files {
    fn new(output: &Path, number: &str) -> Self {
        Self {
            image: output.join(format!("img_emb/img_emb_{number}.npy")),
            text: output.join(format!("text_emb/text_emb_{number}.npy")),
            metadata: output.join(format!("metadata/metadata_{number}.parquet")),
            rejects: output.join(format!("rejects/rejects_{number}.jsonl")),
            done: output.join(format!("stats/{number}.json")),
        }
    }

    fn done(&self) -> Option<Done> {
        serde_json::from_slice(&std::fs::read(&self.done).ok()?).ok()
    }
}

/// Decoded items of one batch.
struct Batch {
    items: Vec<Item>,
    images: Vec<Rgb>,
    rejects: Vec<(String, String)>,
}

fn embed(
    input: &Input,
    part: &Part,
    encoder: &Encoder,
    options: &Options,
    files: &Files,
    progress: &dyn Fn(usize) -> bool,
) -> Result<Option<Summary>> {
    let dim = encoder.model().config().embed_dim as usize;
    let (mut images, mut texts) = (Npy::new(options.numbers, dim), Npy::new(options.numbers, dim));
    let (mut items, mut rejects) = (Vec::new(), Vec::new());
    let transform = encoder.transform();
    let stopped = std::thread::scope(|scope| {
        // While one batch is encoded, the next is read and decoded.
        let (sender, receiver) = sync_channel::<Result<Batch>>(1);
        scope.spawn(move || {
            let mut source = match part.items() {
                Ok(source) => source,
                Err(error) => return drop(sender.send(Err(error))),
            };
            loop {
                let read: Result<Vec<Item>> = source.by_ref().take(options.batch).collect();
                let batch = match read {
                    Ok(read) if read.is_empty() => return,
                    Ok(read) => Ok(decode(read, input, &transform)),
                    Err(error) => Err(error),
                };
                let failed = batch.is_err();
                // A receiver that is gone wants no more.
                if sender.send(batch).is_err() || failed {
                    return;
                }
            }
        });
        for batch in receiver {
            let batch = batch?;
            rejects.extend(batch.rejects);
            if !batch.items.is_empty() {
                let item = |row: usize| format!("item {:?}", batch.items[row].key);
                if input.images {
                    images.push(&encoder.images(&batch.images), item)?;
                }
                if input.texts {
                    let captions: Vec<String> = batch
                        .items
                        .iter()
                        .map(|item| item.caption.clone().unwrap_or_default())
                        .collect();
                    texts.push(&encoder.texts(&captions), item)?;
                }
            }
            let count = batch.items.len();
            items.extend(batch.items);
            if !progress(count) {
                return Ok(true);
            }
        }
        Ok::<_, Error>(false)
    })?;
    if stopped {
        return Ok(None);
    }
    if input.images {
        images.write(&files.image)?;
    }
    if input.texts {
        texts.write(&files.text)?;
    }
    write_metadata(&files.metadata, input, &items)?;
    if !rejects.is_empty() {
        let line = |(key, reason): &(String, String)| {
            format!("{}\n", serde_json::json!({"image_path": key, "reason": reason}))
        };
        let lines: String = rejects.iter().map(line).collect();
        clip_format::write_atomic(&files.rejects, lines.as_bytes())?;
    }
    let done = Done { rows: items.len(), rejects: rejects.len() };
    let text = serde_json::json!({"rows": done.rows, "rejects": done.rejects}).to_string();
    clip_format::write_atomic(&files.done, text.as_bytes())?;
    Ok(Some(Summary { rows: done.rows, rejects: done.rejects, reused: 0 }))
}

/// Decodes the images of a batch; what has no image, a damaged one or no caption falls, with its
/// reason.
fn decode(read: Vec<Item>, input: &Input, transform: &Preprocess) -> Batch {
    let decoded: Vec<std::result::Result<Option<Rgb>, String>> = read
        .par_iter()
        .map(|item| {
            if input.texts && item.caption.is_none() {
                return Err("no caption".into());
            }
            match (&item.image, input.images) {
                (_, false) => Ok(None),
                (None, true) => Err("no image".into()),
                (Some(bytes), true) => transform.pixels(bytes).map(Some).map_err(|e| e.to_string()),
            }
        })
        .collect();
    let mut batch = Batch { items: Vec::new(), images: Vec::new(), rejects: Vec::new() };
    for (mut item, decoded) in read.into_iter().zip(decoded) {
        match decoded {
            Ok(image) => {
                batch.images.extend(image);
                item.image = None;
                batch.items.push(item);
            }
            Err(reason) => batch.rejects.push((item.key, reason)),
        }
    }
    batch
}

/// `image_path`, `caption`, and img2dataset's `url`, `uid`, `sha256`.
fn write_metadata(path: &Path, input: &Input, items: &[Item]) -> Result<()> {
    let mut fields = Vec::new();
    let mut columns: Vec<Arc<dyn arrow::array::Array>> = Vec::new();
    let mut add = |name: &str, get: &dyn Fn(&Item) -> Option<String>| {
        fields.push(Field::new(name, DataType::Utf8, true));
        columns.push(Arc::new(items.iter().map(get).collect::<StringArray>()));
    };
    if input.images {
        add("image_path", &|item| Some(item.key.clone()));
    }
    if input.texts {
        add("caption", &|item| item.caption.clone());
    }
    add("url", &|item| item.facts.url.clone());
    add("uid", &|item| item.facts.uid.clone());
    add("sha256", &|item| item.facts.sha256.clone());
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    Ok(clip_corpus::write_parquet(path, schema, &[batch])?)
}
