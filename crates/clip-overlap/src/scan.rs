//! Checking a corpus against evaluation sets, as a stream: bounded memory, resumable after every
//! unit.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;

use clip_corpus::Written;
use clip_image::{DecodeOptions, Rgb, decode, encode_jpeg};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::corpus::{CorpusRow, Unit};
use crate::hit_kind::HitKind;
use crate::matches::{self, Match, ShardHashes};
use crate::pyramid::shrink;
use crate::score::{ScoreParts, Similarity, score};
use crate::search::{Detection, EvalIndex, Found, Nearest, Pair, Query, WORKING};
use crate::{Error, Result};

/// Raised whenever a comparison comes out differently: older results are then made again.
const VERSION: u32 = 13;
/// Bytes and images of a batch; at most three batches are in memory.
const BATCH: (usize, usize) = (16 << 20, 512);
/// Images for which the nearest items are sought together, where there are enough of them for all
/// threads.
const TOGETHER: std::ops::RangeInclusive<usize> = 4..=16;
/// Items of one set that one image may be matched to.
const MATCHES: usize = 16;
/// Longer side in pixels of the image that is kept of a match.
const KEPT: u32 = 160;
const HEAD: &str = "unit";

/// How a corpus is compared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScanOptions {
    /// Least score of a match that is kept: those below the threshold are for calibration.
    pub floor: f32,
    /// Greatest distance of pHashes for rows of a corpus without images.
    pub hash_radius: u32,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { floor: 0.6, hash_radius: 4 }
    }
}

/// What was read of a unit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct UnitCount {
    /// The unit.
    pub place: String,
    /// Images compared.
    pub images: u64,
    /// Rows without an image, of which only hashes were compared.
    pub hashed: u64,
    /// Rows with neither an image nor a hash.
    pub without_image: u64,
    /// Images that could not be decoded: name and reason.
    pub unreadable: Vec<(String, String)>,
    /// blake3 of a shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blake3: Option<String>,
}

impl UnitCount {
    /// The hashes of the units that are shards.
    pub fn shard_hashes(units: &[Self]) -> ShardHashes<'_> {
        units
            .iter()
            .filter_map(|unit| Some((unit.place.as_str(), unit.blake3.as_deref()?)))
            .collect()
    }
}

/// Says how far a scan has come.
pub struct Scanned {
    /// Images and rows so far.
    pub rows: AtomicU64,
    /// Set by whoever wants the scan to stop.
    pub cancel: AtomicBool,
}

/// Evaluation sets and a folder for results.
pub struct Scan<'a> {
    /// The sets, opened with the same options.
    pub sets: &'a [EvalIndex],
    /// How to compare.
    pub options: ScanOptions,
    /// Where each unit's matches are kept.
    pub folder: PathBuf,
    /// The learned detector, where there is one.
    pub detection: Option<&'a Detection<'a>>,
    /// How far it has come.
    pub progress: &'a Scanned,
}

impl Scan<'_> {
    /// The matches of one unit, without their images: read where they are there already, else made
    /// and kept.
    ///
    /// Gives nothing when it was asked to stop.
    pub fn unit(&self, unit: &Unit) -> Result<Option<(UnitCount, Vec<Match>)>> {
        let file = self.file(unit)?;
        if file.is_file()
            && let Ok(mut known) = read(&file)
        {
            drop_thumbnails(&mut known.1);
            let UnitCount { images, hashed, without_image, .. } = known.0;
            self.progress.rows.fetch_add(images + hashed + without_image, Ordering::Relaxed);
            return Ok(Some(known));
        }
        let Some((count, mut found)) = self.compare(unit)? else { return Ok(None) };
        let head = serde_json::to_string(&count).map_err(|e| Error::file(&file, e))?;
        matches::write(&file, &found, (HEAD, head))?;
        drop_thumbnails(&mut found);
        Ok(Some((count, found)))
    }

    /// The small images of some matches, by place and name.
    pub fn thumbnails(
        &self,
        units: &[Unit],
        wanted: &HashSet<(String, String)>,
    ) -> Result<HashMap<(String, String), Vec<u8>>> {
        let places: HashSet<&str> = wanted.iter().map(|(place, _)| place.as_str()).collect();
        let mut found = HashMap::new();
        for unit in units.iter().filter(|unit| places.contains(unit.place.as_str())) {
            for pair in matches::read(&self.file(unit)?)? {
                let name = (pair.place, pair.id);
                if wanted.contains(&name) {
                    found.insert(name, pair.thumbnail);
                }
            }
        }
        Ok(found)
    }

    /// Where a unit's matches are kept: a changed unit, set or option has another file.
    pub fn file(&self, unit: &Unit) -> Result<PathBuf> {
        let mut text = format!("{VERSION} {} {}\n", self.options.floor, self.options.hash_radius);
        text.push_str(&format!("{:?}\n", self.sets.first().map(|set| set.search.options())));
        text.push_str(&unit.state()?);
        text.push_str(self.detection.map_or("", |detection| detection.id()));
        for set in self.sets {
            text.push_str(&format!("\n{} {}", set.name, set.hash));
        }
        let name = &blake3::hash(text.as_bytes()).to_hex()[..32];
        Ok(self.folder.join(format!("{name}.parquet")))
    }

    fn compare(&self, unit: &Unit) -> Result<Option<(UnitCount, Vec<Match>)>> {
        let mut count = UnitCount { place: unit.place.clone(), ..UnitCount::default() };
        let mut found = Vec::new();
        let (send, receive) = sync_channel::<Vec<CorpusRow>>(1);
        let read = std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let (mut batch, mut bytes) = (Vec::new(), 0);
                unit.each(&mut |row| {
                    bytes += row.image.as_ref().map_or(64, Vec::len);
                    batch.push(row);
                    if bytes >= BATCH.0 || batch.len() >= BATCH.1 {
                        bytes = 0;
                        // No receiver is left when the scan was asked to stop.
                        return Ok(send.send(std::mem::take(&mut batch)).is_ok());
                    }
                    Ok(true)
                })?;
                let _ = send.send(batch);
                Ok(())
            });
            for batch in receive {
                if self.progress.cancel.load(Ordering::Relaxed) {
                    break;
                }
                self.batch(&unit.place, &batch, &mut count, &mut found)?;
                self.progress.rows.fetch_add(batch.len() as u64, Ordering::Relaxed);
            }
            let gone = || Err(Error::file(&unit.place, "the reader of the corpus panicked"));
            reader.join().unwrap_or_else(|_| gone())
        });
        read?;
        if self.progress.cancel.load(Ordering::Relaxed) {
            return Ok(None);
        }
        count.blake3 = unit.shard().map(Written::verified_blake3).transpose()?;
        Ok(Some((count, found)))
    }

    fn batch(
        &self,
        place: &str,
        batch: &[CorpusRow],
        count: &mut UnitCount,
        found: &mut Vec<Match>,
    ) -> Result<()> {
        let mut prepared: Vec<Prepared> = batch.par_iter().map(|row| self.prepare(row)).collect();
        let mut images: Vec<&mut Decoded> =
            prepared.iter_mut().filter_map(Prepared::image).collect();
        let share = images.len().div_ceil(rayon::current_num_threads());
        let together = share.clamp(*TOGETHER.start(), *TOGETHER.end());
        images.par_chunks_mut(together).for_each(|images| self.nearest(images));
        let vectors = self.vectors(&prepared)?;
        let matches: Vec<Vec<Match>> = batch
            .par_iter()
            .zip(&prepared)
            .zip(vectors)
            .map(|((row, prepared), pair)| match prepared {
                Prepared::Image(image) => self.by_image(place, row, image, pair.as_ref()),
                Prepared::Hashes => self.by_hashes(place, row),
                Prepared::WithoutImage | Prepared::Unreadable(_) => Vec::new(),
            })
            .collect();
        found.extend(matches.into_iter().flatten());
        for (row, prepared) in batch.iter().zip(prepared) {
            match prepared {
                Prepared::Image(_) => count.images += 1,
                Prepared::Hashes => count.hashed += 1,
                Prepared::WithoutImage => count.without_image += 1,
                Prepared::Unreadable(reason) => count.unreadable.push((row.id.clone(), reason)),
            }
        }
        Ok(())
    }

    fn prepare(&self, row: &CorpusRow) -> Prepared {
        let Some(bytes) = &row.image else {
            let nothing = row.phash.is_none() && row.files.is_empty();
            return if nothing { Prepared::WithoutImage } else { Prepared::Hashes };
        };
        let working = self.sets.first().map_or(WORKING, |set| set.search.options().working);
        let options = DecodeOptions { min_side: Some(working), ..DecodeOptions::default() };
        match decode(bytes, &options) {
            Ok(image) => {
                let query = Query::of(&image, working);
                let squares = self.detection.map(|detection| detection.squares(&query.image));
                Prepared::Image(Box::new(Decoded { query, nearest: Vec::new(), squares }))
            }
            Err(error) => Prepared::Unreadable(error.to_string()),
        }
    }

    /// Finds what looks nearest to each image in each set.
    fn nearest(&self, images: &mut [&mut Decoded]) {
        for set in self.sets {
            let queries: Vec<&Query> = images.iter().map(|image| &image.query).collect();
            let nearest = set.search.nearest(&queries);
            images.iter_mut().zip(nearest).for_each(|(image, near)| image.nearest.push(near));
        }
    }

    /// The detector's vectors of each image that has pixels, where there is a detector.
    fn vectors(&self, prepared: &[Prepared]) -> Result<Vec<Option<Pair>>> {
        let Some(detection) = self.detection else { return Ok(vec![None; prepared.len()]) };
        let squares = prepared.iter().filter_map(|prepared| match prepared {
            Prepared::Image(image) => image.squares.clone(),
            _ => None,
        });
        let squares: Vec<Rgb> = squares.flatten().collect();
        let mut pairs = detection.embed(&squares)?.into_iter();
        let own =
            |prepared: &Prepared| matches!(prepared, Prepared::Image(_)).then(|| pairs.next());
        Ok(prepared.iter().map(own).map(Option::flatten).collect())
    }

    fn by_image(
        &self,
        place: &str,
        row: &CorpusRow,
        image: &Decoded,
        pair: Option<&Pair>,
    ) -> Vec<Match> {
        let own_hash = row.image.as_ref().map(|bytes| blake3::hash(bytes).to_hex().to_string());
        let files = || row.files.iter().chain(&own_hash).map(String::as_str);
        let mut found = Vec::new();
        for (number, (set, nearest)) in self.sets.iter().zip(&image.nearest).enumerate() {
            let exact = set.exact(files());
            found.extend(exact.map(|(item, kind)| match_of(set, item, kind, place, row)));
            let other = |f: &Found| exact.is_none_or(|(item, _)| item != f.item);
            let extra = match (self.detection, pair) {
                (Some(detection), Some(pair)) => detection.neighbours(number, pair),
                _ => Vec::new(),
            };
            let found_here = set.search.search(&image.query, nearest, &extra).into_iter();
            let cosine = |item| Some(self.detection?.cosine(number, item, pair?));
            let scored = found_here.filter(other).map(|f| {
                let parts = ScoreParts { detector: cosine(f.item), ..f.parts };
                (score(&parts), parts, f)
            });
            let mut scored: Vec<_> =
                scored.filter(|(score, ..)| *score >= self.options.floor).collect();
            scored.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.2.item.cmp(&b.2.item)));
            found.extend(scored.into_iter().take(MATCHES).map(|(score, parts, f)| Match {
                score,
                detector: parts.detector,
                similarity: parts.similarity,
                ..match_of(set, f.item, f.kind, place, row)
            }));
        }
        if !found.is_empty() {
            let kept = encode_jpeg(&shrink(&image.query.image, KEPT), 85).unwrap_or_default();
            found.iter_mut().for_each(|pair| pair.thumbnail.clone_from(&kept));
        }
        found
    }

    fn by_hashes(&self, place: &str, row: &CorpusRow) -> Vec<Match> {
        let mut found = Vec::new();
        for set in self.sets {
            if let Some((item, kind)) = set.exact(row.files.iter().map(String::as_str)) {
                found.push(match_of(set, item, kind, place, row));
                continue;
            }
            let Some(phash) = row.phash else { continue };
            let mut near = set.search.by_hash(phash, self.options.hash_radius);
            near.sort_by_key(|&(item, distance)| (distance, item));
            found.extend(near.into_iter().take(MATCHES).map(|(item, distance)| Match {
                score: 1.0 - distance as f32 / 64.0,
                ..match_of(set, item, HitKind::Hash, place, row)
            }));
        }
        found
    }
}

/// A match that is as sure as equal bytes.
fn match_of(set: &EvalIndex, item: u32, kind: HitKind, place: &str, row: &CorpusRow) -> Match {
    Match {
        set: set.name.clone(),
        key: set.keys[item as usize].clone(),
        class: set.class(item).to_owned(),
        place: place.to_owned(),
        id: row.id.clone(),
        url: row.url.clone(),
        caption: row.caption.clone(),
        score: 1.0,
        kind,
        similarity: Similarity::default(),
        detector: None,
        thumbnail: Vec::new(),
    }
}

/// Images stay on disk: a corpus may have many that resemble something.
fn drop_thumbnails(found: &mut [Match]) {
    found.iter_mut().for_each(|pair| pair.thumbnail = Vec::new());
}

enum Prepared {
    Image(Box<Decoded>),
    Hashes,
    WithoutImage,
    Unreadable(String),
}

impl Prepared {
    fn image(&mut self) -> Option<&mut Decoded> {
        match self {
            Self::Image(image) => Some(image),
            _ => None,
        }
    }
}

/// A decoded image, and what is compared of it.
struct Decoded {
    query: Query,
    /// In each set.
    nearest: Vec<Nearest>,
    squares: Option<[Rgb; 2]>,
}

fn read(file: &Path) -> Result<(UnitCount, Vec<Match>)> {
    let schema = clip_corpus::schema_of(file)?;
    let head = schema.metadata().get(HEAD).ok_or_else(|| Error::file(file, "no head"))?;
    let count = serde_json::from_str(head).map_err(|e| Error::file(file, e))?;
    Ok((count, matches::read(file)?))
}
