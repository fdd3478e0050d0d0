//! The learned detector as the scan sees it: something that turns images into vectors, elsewhere.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, AsArray, BinaryArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};
use clip_image::{Filter, Rgb, flip_horizontal, resize};

use super::index::EvalIndex;
use crate::pyramid::dot;
use crate::{Error, Result};

/// Items of the nearest vectors that are compared as well.
const NEIGHBOURS: usize = 6;
/// Least cosine of such a vector.
const LEAST: f32 = 0.4;
/// Images of an evaluation set that are asked for at a time.
const CHUNK: usize = 512;

/// Turns square images into vectors of length one.
pub trait Embedder: Sync {
    /// Identity of the weights.
    fn id(&self) -> &str;
    /// Side of the images in pixels.
    fn size(&self) -> u32;
    /// A vector for each image.
    fn embed(&self, images: &[Rgb]) -> Result<Vec<Vec<f32>>>;
}

/// An embedder, and the vectors of every item of the sets.
pub struct Detection<'a> {
    embedder: &'a dyn Embedder,
    sets: Vec<Vec<Vec<f32>>>,
}

/// Vectors of one image: as it is, and mirrored.
pub(crate) type Pair = [Vec<f32>; 2];

impl<'a> Detection<'a> {
    /// The vectors of the sets' items, from the folder `cache` where they are there already.
    pub fn new(
        embedder: &'a dyn Embedder,
        sets: &[EvalIndex],
        cache: Option<&Path>,
    ) -> Result<Self> {
        let vectors = sets.iter().map(|set| vectors_of(embedder, set, cache));
        Ok(Self { embedder, sets: vectors.collect::<Result<_>>()? })
    }

    /// Identity of the weights.
    pub fn id(&self) -> &str {
        self.embedder.id()
    }

    /// The image as the embedder wants it, and mirrored.
    pub(crate) fn squares(&self, image: &Rgb) -> [Rgb; 2] {
        let square = square(image, self.embedder.size());
        let mirrored = flip_horizontal(&square);
        [square, mirrored]
    }

    pub(crate) fn embed(&self, squares: &[Rgb]) -> Result<Vec<Pair>> {
        let mut vectors = self.embedder.embed(squares)?.into_iter();
        let mut pairs = Vec::with_capacity(squares.len() / 2);
        while let (Some(plain), Some(mirrored)) = (vectors.next(), vectors.next()) {
            pairs.push([plain, mirrored]);
        }
        Ok(pairs)
    }

    /// Items of set number `set` whose vectors are nearest to either of an image's.
    pub(crate) fn neighbours(&self, set: usize, pair: &Pair) -> Vec<u32> {
        let cosines = self.sets[set]
            .iter()
            .enumerate()
            .map(|(item, _)| (self.cosine(set, item as u32, pair), item as u32));
        let mut near: Vec<(f32, u32)> = cosines.filter(|(cosine, _)| *cosine >= LEAST).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        near.truncate(NEIGHBOURS);
        near.into_iter().map(|(_, item)| item).collect()
    }

    /// The higher cosine of an item and an image, as it is or mirrored.
    pub(crate) fn cosine(&self, set: usize, item: u32, pair: &Pair) -> f32 {
        let own = &self.sets[set][item as usize];
        pair.iter().map(|vector| dot(own, vector)).fold(-1.0, f32::max)
    }
}

fn square(image: &Rgb, size: u32) -> Rgb {
    resize(image, size, size, Filter::Area)
}

fn vectors_of(
    embedder: &dyn Embedder,
    set: &EvalIndex,
    cache: Option<&Path>,
) -> Result<Vec<Vec<f32>>> {
    let file = cache.map(|folder| folder.join(format!("{}-{}.parquet", set.hash, embedder.id())));
    if let Some(file) = file.as_ref().filter(|file| file.is_file())
        && let Ok(vectors) = read(file)
        && vectors.len() == set.search.items().len()
    {
        return Ok(vectors);
    }
    let mut vectors = Vec::new();
    for items in set.search.items().chunks(CHUNK) {
        let squares: Vec<Rgb> =
            items.iter().map(|item| square(&item.thumb, embedder.size())).collect();
        vectors.extend(embedder.embed(&squares)?);
    }
    if let Some(file) = file {
        let bytes =
            vectors.iter().map(|v| v.iter().flat_map(|x| x.to_le_bytes()).collect::<Vec<u8>>());
        let schema = Arc::new(Schema::new(vec![Field::new("vector", DataType::Binary, false)]));
        let column = Arc::new(BinaryArray::from_iter_values(bytes));
        let batch = RecordBatch::try_new(schema.clone(), vec![column])?;
        clip_corpus::write_parquet(&file, schema, &[batch])?;
    }
    Ok(vectors)
}

fn read(file: &Path) -> Result<Vec<Vec<f32>>> {
    let mut vectors = Vec::new();
    for batch in clip_corpus::read_parquet(file)? {
        let column = batch.column_by_name("vector").and_then(|c| c.as_binary_opt::<i32>());
        let column = column.ok_or_else(|| Error::file(file, "no column `vector`"))?;
        let floats = |bytes: &[u8]| {
            bytes.as_chunks::<4>().0.iter().map(|&word| f32::from_le_bytes(word)).collect()
        };
        vectors.extend((0..column.len()).map(|at| floats(column.value(at))));
    }
    Ok(vectors)
}
