//! An evaluation set's fingerprints on disk: computed once, read ever after.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, BooleanArray, RecordBatch, StringArray, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use clip_corpus::PartWriter;
use clip_datasets::{EvalItem, ItemHashes};
use clip_image::{DecodeOptions, Rgb, decode};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::candidates::CandidateOptions;
use super::fingerprint::Fingerprint;
use super::keypoints::Keypoint;
use super::set::SetIndex;
use crate::hit_kind::HitKind;
use crate::{Error, Result};

/// Raised whenever fingerprints come out differently: an older index is then made again.
const VERSION: u32 = 6;
/// Items that are decoded at a time.
const CHUNK: usize = 256;

/// An item of an evaluation set that could not be decoded, and so not be looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The item's key.
    pub key: String,
    /// Why.
    pub reason: String,
}

/// The fingerprints of an evaluation set, with what is known of its items.
pub struct EvalIndex {
    /// Its name in reports.
    pub name: String,
    /// Hash of its content and of how it was fingerprinted.
    pub hash: String,
    /// Class names by label.
    pub classes: Vec<String>,
    /// Keys of the items.
    pub keys: Vec<String>,
    /// Classes of the items; one beyond the names where an item has no single class.
    pub labels: Vec<u32>,
    /// blake3 and SHA-256 of the items' files, in hex, to the items.
    pub files: HashMap<String, u32>,
    /// What is compared.
    pub search: SetIndex,
    /// Items that could not be decoded.
    pub unreadable: Vec<Unreadable>,
    /// What of the set's folder is in no item, in words.
    pub left_out: Vec<String>,
    /// The others, each by its key and content.
    pub item_hashes: ItemHashes,
}

#[derive(Serialize, Deserialize)]
struct Head {
    classes: Vec<String>,
    unreadable: Vec<Unreadable>,
    left_out: Vec<String>,
}

impl EvalIndex {
    /// The index of the set at `path`, read from the folder `cache` where it is there, else made
    /// and put there, to be searched with `options`. The set is opened as `clip-data eval` opens
    /// it, or as a plain folder of images.
    ///
    /// # Errors
    /// When the set cannot be opened, has no items, or the cache cannot be written.
    pub fn open(
        name: &str,
        path: &Path,
        cache: Option<&Path>,
        options: &CandidateOptions,
    ) -> Result<Self> {
        let failed = |reason: String| Error::EvalSet { name: name.to_owned(), reason };
        let content = clip_pipeline::hash_resource(path).map_err(|e| failed(e.to_string()))?;
        // A dataset of the registry has layouts and class names of its own.
        let dataset = clip_datasets::find(name).map_or("", |dataset| &dataset.id);
        let text = format!("{VERSION}\n{dataset}\n{content}");
        let hash = blake3::hash(text.as_bytes()).to_hex()[..32].to_owned();
        let file = cache.map(|folder| folder.join(format!("{hash}.parquet")));
        if let Some(file) = file.as_ref().filter(|file| file.is_file())
            && let Ok(index) = Self::read(name, &hash, file, options)
        {
            return Ok(index);
        }
        let (batches, head) = build(name, path)?;
        let text = serde_json::to_string(&head).map_err(|e| failed(e.to_string()))?;
        let schema = Arc::new(schema().as_ref().clone().with_metadata([(KEY.into(), text)].into()));
        if let Some(file) = file {
            let mut writer = PartWriter::create(&file, schema)?;
            batches.iter().try_for_each(|batch| writer.write(batch))?;
            writer.finish()?;
        }
        Self::of((name, &hash), head, &batches, path, options)
    }

    fn read(name: &str, hash: &str, file: &Path, options: &CandidateOptions) -> Result<Self> {
        let schema = clip_corpus::schema_of(file)?;
        let head = schema.metadata().get(KEY).ok_or_else(|| Error::file(file, "no head"))?;
        let head = serde_json::from_str(head).map_err(|e| Error::file(file, e))?;
        Self::of((name, hash), head, &clip_corpus::read_parquet(file)?, file, options)
    }

    fn of(
        (name, hash): (&str, &str),
        head: Head,
        batches: &[RecordBatch],
        file: &Path,
        options: &CandidateOptions,
    ) -> Result<Self> {
        let mut rows = Rows::default();
        for batch in batches {
            rows.append(batch).ok_or_else(|| Error::file(file, "not an index of this version"))?;
        }
        let items = rows.keys.iter().map(String::as_str).zip(rows.images.iter().copied());
        Ok(Self {
            item_hashes: ItemHashes::new(items),
            name: name.to_owned(),
            hash: hash.to_owned(),
            classes: head.classes,
            keys: rows.keys,
            labels: rows.labels,
            files: rows.files,
            search: SetIndex::new(rows.prints, options),
            unreadable: head.unreadable,
            left_out: head.left_out,
        })
    }

    /// Number of items, those included that could not be decoded.
    pub fn len(&self) -> usize {
        self.keys.len() + self.unreadable.len()
    }

    /// Whether the set has no items.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What to warn of: images that are not looked for.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        self.left_out.iter().map(|what| format!("warning: {}: not looked for: {what}", self.name))
    }

    /// The item with one of these hashes of its file. An image that shows next to nothing proves
    /// nothing even so.
    pub fn exact<'a>(&self, mut files: impl Iterator<Item = &'a str>) -> Option<(u32, HitKind)> {
        let item = files.find_map(|hash| self.files.get(hash)).copied()?;
        let flat = self.search.items()[item as usize].flat;
        Some((item, if flat { HitKind::Flat } else { HitKind::Exact }))
    }

    /// Name of an item's class.
    pub fn class(&self, item: u32) -> &str {
        let label = self.labels[item as usize] as usize;
        self.classes.get(label).map_or("", String::as_str)
    }
}

#[derive(Default)]
struct Rows {
    keys: Vec<String>,
    labels: Vec<u32>,
    files: HashMap<String, u32>,
    images: Vec<blake3::Hash>,
    prints: Vec<Fingerprint>,
}

impl Rows {
    fn append(&mut self, batch: &RecordBatch) -> Option<()> {
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let long = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt64Type>();
        let int = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<UInt32Type>();
        let bytes = |name: &str| batch.column_by_name(name)?.as_binary_opt::<i32>();
        let (keys, labels) = (text("key")?, int("label")?);
        let (blake3, sha256) = (text("blake3")?, text("sha256")?);
        let (phash, dhash) = (long("phash")?, long("dhash")?);
        let flat = batch.column_by_name("flat")?.as_boolean_opt()?;
        let (vector, keypoints) = (bytes("vector")?, bytes("keypoints")?);
        let (width, thumb, coarse) = (int("width")?, bytes("thumb")?, bytes("coarse")?);
        for at in 0..batch.num_rows() {
            let item = self.keys.len() as u32;
            self.keys.push(keys.value(at).to_owned());
            self.labels.push(labels.value(at));
            self.images.push(blake3::Hash::from_hex(blake3.value(at)).ok()?);
            // The first of items with the same bytes answers for them all.
            self.files.entry(blake3.value(at).to_owned()).or_insert(item);
            self.files.entry(sha256.value(at).to_owned()).or_insert(item);
            let (width, data) = (width.value(at), thumb.value(at).to_vec());
            let height = (data.len() as u32).checked_div(3 * width)?;
            let shorts = vector.value(at).as_chunks::<2>().0;
            self.prints.push(Fingerprint {
                phash: phash.value(at),
                dhash: dhash.value(at),
                flat: flat.value(at),
                vector: shorts.iter().map(|&pair| i16::from_le_bytes(pair)).collect(),
                keypoints: keypoints.value(at).as_chunks::<24>().0.iter().map(keypoint).collect(),
                thumb: Rgb { width, height, data },
                coarse: coarse.value(at).try_into().ok()?,
            });
        }
        Some(())
    }
}

/// Where indexes are kept unless said otherwise: below `CLIP_DATA_CACHE`, or the user's cache
/// folder.
pub fn default_cache() -> Option<PathBuf> {
    clip_corpus::cache_folder("evaluation-sets")
}

const KEY: &str = "evaluation-set";

fn schema() -> SchemaRef {
    let field = |(name, kind): (&str, DataType)| Field::new(name, kind, false);
    let fields = [
        ("key", DataType::Utf8),
        ("label", DataType::UInt32),
        ("blake3", DataType::Utf8),
        ("sha256", DataType::Utf8),
        ("phash", DataType::UInt64),
        ("dhash", DataType::UInt64),
        ("flat", DataType::Boolean),
        ("vector", DataType::Binary),
        ("keypoints", DataType::Binary),
        ("width", DataType::UInt32),
        ("thumb", DataType::Binary),
        ("coarse", DataType::Binary),
    ];
    Arc::new(Schema::new(fields.map(field).to_vec()))
}

fn build(name: &str, path: &Path) -> Result<(Vec<RecordBatch>, Head)> {
    let failed = |reason: String| Error::EvalSet { name: name.to_owned(), reason };
    let set = clip_datasets::open_unlabelled(name, path).map_err(|e| failed(e.to_string()))?;
    let mut head = Head {
        classes: set.classes.clone(),
        unreadable: Vec::new(),
        left_out: set.left_out.clone(),
    };
    let mut batches = Vec::new();
    let mut items = set.items();
    loop {
        let chunk: clip_datasets::Result<Vec<EvalItem>> = items.by_ref().take(CHUNK).collect();
        let chunk = chunk.map_err(|e| failed(e.to_string()))?;
        if chunk.is_empty() {
            break;
        }
        let prints: Vec<_> = chunk
            .par_iter()
            .map(|item| {
                let image = decode(&item.image, &DecodeOptions::default());
                image.map(|image| Fingerprint::of(&image)).map_err(|e| e.to_string())
            })
            .collect();
        let mut rows = Vec::new();
        for (item, print) in chunk.into_iter().zip(prints) {
            match print {
                Ok(print) => rows.push((item, print)),
                Err(reason) => head.unreadable.push(Unreadable { key: item.key, reason }),
            }
        }
        batches.push(batch(&rows)?);
    }
    if batches.is_empty() {
        return Err(failed("it has no items".into()));
    }
    Ok((batches, head))
}

fn batch(rows: &[(EvalItem, Fingerprint)]) -> Result<RecordBatch> {
    fn text(values: impl Iterator<Item = String>) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(values))
    }
    fn bytes(values: impl Iterator<Item = Vec<u8>>) -> ArrayRef {
        Arc::new(BinaryArray::from_iter_values(values))
    }
    let ints = |get: fn(&(EvalItem, Fingerprint)) -> u32| -> ArrayRef {
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(get)))
    };
    let longs = |get: fn(&Fingerprint) -> u64| -> ArrayRef {
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(_, print)| get(print))))
    };
    let prints = || rows.iter().map(|(_, print)| print);
    let flat: BooleanArray = prints().map(|print| Some(print.flat)).collect();
    let vector = |p: &Fingerprint| p.vector.iter().flat_map(|v| v.to_le_bytes()).collect();
    let columns: Vec<ArrayRef> = vec![
        text(rows.iter().map(|(item, _)| item.key.clone())),
        ints(|(item, _)| label(item)),
        text(rows.iter().map(|(item, _)| blake3::hash(&item.image).to_hex().to_string())),
        text(rows.iter().map(|(item, _)| hex::encode(Sha256::digest(&item.image)))),
        longs(|p| p.phash),
        longs(|p| p.dhash),
        Arc::new(flat),
        bytes(prints().map(vector)),
        bytes(prints().map(|p| p.keypoints.iter().flat_map(keypoint_bytes).collect())),
        ints(|(_, p)| p.thumb.width),
        bytes(prints().map(|p| p.thumb.data.clone())),
        bytes(prints().map(|p| p.coarse.to_vec())),
    ];
    Ok(RecordBatch::try_new(schema(), columns)?)
}

/// The item's class; one beyond all names where it has no single class.
fn label(item: &EvalItem) -> u32 {
    item.truth.class().map_or(u32::MAX, |class| class as u32)
}

fn keypoint_bytes(k: &Keypoint) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(24);
    [k.x, k.y, k.size, k.angle].iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    bytes.extend(k.bits.to_le_bytes());
    bytes
}

fn keypoint(bytes: &[u8; 24]) -> Keypoint {
    let float =
        |at: usize| f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let bits = bytes[16..].iter().rev().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    Keypoint { x: float(0), y: float(4), size: float(8), angle: float(12), bits }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::encode_png;

    #[test]
    fn an_index_is_read_as_it_was_made_and_a_changed_set_makes_another() {
        let dir = tempfile::tempdir().unwrap();
        let set = dir.path().join("toys");
        std::fs::create_dir_all(set.join("car")).unwrap();
        let data = (0..80 * 60 * 3).map(|i| (i * i % 251) as u8).collect();
        let image = Rgb { width: 80, height: 60, data };
        std::fs::write(set.join("car/1.png"), encode_png(&image).unwrap()).unwrap();
        std::fs::write(set.join("car/2.png"), b"no image").unwrap();
        let cache = dir.path().join("cache");
        let made =
            EvalIndex::open("toys", &set, Some(&cache), &CandidateOptions::default()).unwrap();
        let read =
            EvalIndex::open("toys", &set, Some(&cache), &CandidateOptions::default()).unwrap();
        assert_eq!((made.len(), made.keys.len(), made.class(0)), (2, 1, "car"));
        assert_eq!(made.search.items(), read.search.items());
        assert_eq!((&made.files, &made.unreadable), (&read.files, &read.unreadable));
        assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 1);
        std::fs::remove_file(set.join("car/2.png")).unwrap();
        assert_ne!(
            EvalIndex::open("toys", &set, Some(&cache), &CandidateOptions::default()).unwrap().hash,
            made.hash
        );
    }
}
