//! Reading the samples of a stream: shards on this disk, or their copies.

use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clip_image::Rgb;
use clip_random::{below, mix};

use super::counts::{beside, read_beside};
use super::order::{Window, used_samples};
use super::shard::{ShardView, Span, Use, WindowSamples};
use super::{Place, ShardStream, StreamSample};
use crate::captions::{Caption, captions_of, drawn, unpadded};
use crate::contents::{Stamp, damaged};
use crate::shard::weights;
use crate::stored_image::{decode_member, read_member};
use crate::{Error, Result};

/// Samples after one without a caption that are asked for theirs.
const AHEAD: u32 = 1000;
/// Images after a broken one that are tried.
const IMAGES_AHEAD: usize = 100;
/// How often a copy is made again that other processes remove before it is read.
const AGAIN: usize = 20;

impl ShardStream {
    /// A shard on this disk: itself, or its copy, which has the hash of its `_stats.json`.
    fn copy(&self, number: u32) -> Result<(PathBuf, File)> {
        let shard = &self.shards[number as usize];
        let shown = shard.place.shown();
        match (&shard.place, &self.cache) {
            (Place::Remote(url), Some(cache)) => {
                let copied = cache.get(url, shard.blake3.as_deref());
                copied.map_err(|e| match e.kind() {
                    ErrorKind::InvalidData => damaged(&shown, e.to_string()),
                    _ => Error::io(&shown, e),
                })
            }
            _ => {
                let file = File::open(&shown).map_err(|e| Error::io(&shown, e))?;
                if shard.stamp != Some(Stamp::of(&shown, &file)?) {
                    return Err(damaged(&shown, "the shard was changed while this run reads it"));
                }
                Ok((shown, file))
            }
        }
    }

    /// Gives a shard on this disk to `read`. A copy that another process has removed meanwhile, to
    /// make room, is made again.
    pub(super) fn on_disk<T>(
        &self,
        number: u32,
        read: impl Fn(&Path, &File) -> Result<T>,
    ) -> Result<T> {
        for _ in 0..AGAIN {
            let (path, file) = self.copy(number)?;
            match read(&path, &file) {
                Err(_) if !path.exists() => {}
                read => return read,
            }
        }
        let hint = "hint: a higher --cache-limit";
        let reason = format!("its copy is removed before it is read, again and again\n{hint}");
        Err(Error::file(&self.shards[number as usize].place.shown(), reason))
    }

    fn file(&self, number: u32) -> Result<Arc<File>> {
        self.files.get(number, || Ok(self.copy(number)?.1))
    }

    /// Puts a file of the store beside a shard's copy, where it has one.
    fn bring(&self, number: u32, copy: &Path, ending: &str) -> Result<PathBuf> {
        let (place, path) = (&self.shards[number as usize].place, beside(copy, ending));
        if matches!(place, Place::Remote(_))
            && !path.exists()
            && let Some(bytes) = read_beside(place, ending)?
        {
            clip_format::write_atomic(&path, &bytes)?;
        }
        Ok(path)
    }

    /// The samples of a shard.
    fn view(&self, number: u32) -> Result<ShardView> {
        let view = self.on_disk(number, |path, _| {
            self.bring(number, path, ".idx")?;
            ShardView::read(number, path)
        })?;
        let (has, wanted) = (view.len(), self.sizes[number as usize].samples);
        if has != wanted {
            // Of what is behind a URL it is not known when it changed.
            let hint = self.options.counts.as_ref().map_or_else(String::new, |path| {
                format!("\nhint: remove {} to count again", path.display())
            });
            let reason = format!("{has} samples, and {wanted} were counted{hint}");
            return Err(damaged(&self.shards[number as usize].place.shown(), reason));
        }
        Ok(view)
    }

    /// The weights of a shard's samples, in its order.
    pub(super) fn weights(&self, number: u32) -> Result<Vec<f64>> {
        let column = self.options.weight_column.as_deref().unwrap_or_default();
        self.on_disk(number, |path, _| {
            let table = self.bring(number, path, ".parquet")?;
            let by_key = weights(&table, column)?;
            let weight = |key: String| {
                let found = by_key.get(&key).copied().map(f64::from);
                found.ok_or_else(|| Error::file(&table, format!("no row for the sample {key:?}")))
            };
            ShardView::read_keys(path)?.into_iter().map(weight).collect()
        })
    }

    /// The samples of a window.
    pub(super) fn load(&self, window: &Window) -> Result<WindowSamples> {
        let mut views = Vec::with_capacity(window.pieces.len());
        let mut uses = Vec::with_capacity(window.len() as usize);
        for (piece, number) in window.pieces.iter().zip(0u32..) {
            let shard = piece.visit.shard;
            let view = self.view(shard)?;
            let weight = self.shards[shard as usize].weight;
            let own = self.options.weight_column.is_some().then(|| self.weights(shard));
            let own =
                own.transpose()?.map(|own| own.iter().map(|w| w * weight).collect::<Vec<_>>());
            let used = used_samples(piece.visit, self.sizes[shard as usize], own.as_deref());
            let part = &used[piece.from as usize..piece.to as usize];
            uses.extend(part.iter().map(|&sample| Use { piece: number, sample }));
            views.push(view);
        }
        Ok(WindowSamples { views, uses })
    }

    fn read(&self, view: &ShardView, span: Span) -> Result<Option<Vec<u8>>> {
        if span.size == 0 {
            return Ok(None);
        }
        let path = self.shards[view.shard as usize].place.shown();
        read_member(&*self.file(view.shard)?, &path, span.offset, span.size).map(Some)
    }

    /// The captions of a use; none where the sample has no caption or no image.
    fn captions(&self, window: &WindowSamples, at: u32) -> Result<Vec<Caption>> {
        let (view, fields) = window.fields(at);
        if fields.image.size == 0 {
            return Ok(Vec::new());
        }
        let (json, txt) = (self.read(view, fields.json)?, self.read(view, fields.txt)?);
        Ok(captions_of(json.as_deref(), txt.as_deref(), &self.options.caption_keys).0)
    }

    /// The sample of a use, with the caption that `bits` draw. Where it has no image or no caption,
    /// the next one of the window that has.
    pub(super) fn planned(
        &self,
        window: &Arc<WindowSamples>,
        at: u32,
        bits: u64,
    ) -> Result<StreamSample> {
        let count = window.uses.len() as u32;
        let place = || {
            let (view, fields) = window.fields(at);
            let byte = [fields.image, fields.txt, fields.json].map(|span| span.offset);
            let byte = byte.into_iter().max().unwrap_or_default();
            (self.shards[view.shard as usize].place.shown(), byte)
        };
        for ahead in 0..count.min(AHEAD) {
            let next = (at + ahead) % count;
            let captions = self.captions(window, next)?;
            let shares = captions.iter().map(|caption| caption.share);
            let chosen = if self.options.caption_keys.is_empty() {
                below(bits, captions.len())
            } else {
                drawn(shares, bits)
            };
            if let Some(Caption { text, .. }) = captions.get(chosen) {
                let fault = (ahead > 0).then(|| {
                    let (path, byte) = place();
                    format!("{}: the sample at byte {byte}: no caption or no image", path.display())
                });
                let (window, text) = (Arc::clone(window), text.clone());
                return Ok(StreamSample { window, at: next, text, fault });
            }
        }
        let reason = format!("{} samples in a row have no caption or no image", count.min(AHEAD));
        Err(Error::file(&place().0, reason))
    }

    /// Image and tokens of a sample; of one whose image cannot be read, those of the next in its
    /// window.
    pub(crate) fn sample(
        &self,
        sample: &StreamSample,
        faults: &mut Vec<String>,
    ) -> Result<(Rgb, Vec<u16>)> {
        let mut sample = sample.clone();
        let mut last = None;
        for _ in 0..IMAGES_AHEAD {
            faults.extend(sample.fault.take());
            let (view, fields) = sample.window.fields(sample.at);
            let path = self.shards[view.shard as usize].place.shown();
            let bytes = self.read(view, fields.image)?.unwrap_or_default();
            match decode_member(&bytes, Some(self.options.side), &path, fields.image.offset) {
                Ok(image) => {
                    let tokens = unpadded(&self.tokenizer, &sample.text, self.options.context);
                    return Ok((image, tokens));
                }
                Err(error @ Error::File(_)) => {
                    faults.push(error.to_string());
                    last = Some(error);
                }
                Err(error) => return Err(error),
            }
            let next = (sample.at + 1) % sample.window.uses.len() as u32;
            sample = self.planned(&sample.window, next, mix(0, u64::from(sample.at), 0))?;
        }
        Err(last.unwrap_or_else(|| Error::Options("the corpus is empty".into())))
    }
}
