//! Items of a part, read and decoded while the batch before them is computed.

use std::io::ErrorKind;
use std::path::Path;
use std::sync::mpsc::sync_channel;

use clip_image::{Preprocess, Rgb};
use rayon::prelude::*;

use crate::{Error, Input, Item, Part, Result};

/// Decoded items of one batch.
pub(crate) struct Batch {
    /// Those that can be encoded, in their order.
    pub items: Vec<Item>,
    /// Their images, where images are encoded.
    pub images: Vec<Rgb>,
    /// Keys of the others, with reasons.
    pub rejects: Vec<(String, String)>,
}

/// Gives the batches of a part to `visit`, until it says `false`; whether all were visited.
pub(crate) fn each_batch(
    part: &Part,
    input: &Input,
    transform: &Preprocess,
    size: usize,
    mut visit: impl FnMut(Batch) -> Result<bool>,
) -> Result<bool> {
    std::thread::scope(|scope| {
        let (sender, receiver) = sync_channel::<Result<Batch>>(1);
        scope.spawn(move || {
            let mut source = match part.items() {
                Ok(source) => source,
                Err(error) => return drop(sender.send(Err(error))),
            };
            loop {
                let read: Result<Vec<Item>> = source.by_ref().take(size).collect();
                let batch = match read {
                    Ok(read) if read.is_empty() => return,
                    Ok(read) => Ok(decode(read, input, transform)),
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
            if !visit(batch?)? {
                return Ok(false);
            }
        }
        Ok::<_, Error>(true)
    })
}

/// Decodes the images of a batch; what has no image, a damaged one or no caption is rejected, with
/// its reason.
fn decode(read: Vec<Item>, input: &Input, transform: &Preprocess) -> Batch {
    let decoded: Vec<std::result::Result<Option<Rgb>, String>> = read
        .par_iter()
        .map(|item| {
            // Lines of text are rows also where they are empty.
            let caption = item.caption.as_deref().filter(|c| !input.images || !c.trim().is_empty());
            if input.texts && caption.is_none() {
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

/// Keys and reasons of what was rejected, a line of JSON each; no file where nothing was.
pub(crate) fn write_rejects(path: &Path, rejects: &[(String, String)]) -> Result<()> {
    if rejects.is_empty() {
        // Of a part that is made again.
        return match std::fs::remove_file(path) {
            Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(path, e)),
            _ => Ok(()),
        };
    }
    let line = |(key, reason): &(String, String)| {
        format!("{}\n", serde_json::json!({"image_path": key, "reason": reason}))
    };
    let lines: String = rejects.iter().map(line).collect();
    Ok(clip_format::write_atomic(path, lines.as_bytes())?)
}
