//! What the tests share: small corpora.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, RecordBatch, StringArray};
use clip_image::{Rgb, encode_png};
use clip_testkit::pairs::{write_coloured_pairs, write_pairs};

use crate::{CaptionKeys, Corpus, CorpusOptions, Identity, Source};

pub fn open(folder: &Path, column: Option<&str>) -> Arc<Corpus> {
    let source = Source { spec: folder.display().to_string(), weight: 1.0 };
    let options = CorpusOptions {
        context: 12,
        side: Some(16),
        cache_bytes: 1 << 20,
        weight_column: column.map(str::to_owned),
        caption_keys: CaptionKeys::default(),
        identity: Identity::Content,
    };
    Arc::new(Corpus::open(&[source], &options).unwrap())
}

/// Pairs of single-coloured images; every fourth has a text that others have too.
pub fn corpus(folder: &Path, count: usize) -> Arc<Corpus> {
    write_coloured_pairs(folder, count).unwrap();
    open(folder, None)
}

/// The same with images of the caller's.
pub fn corpus_of(folder: &Path, count: usize, image: &dyn Fn(usize) -> Vec<u8>) -> Arc<Corpus> {
    write_pairs(folder, count, image).unwrap();
    open(folder, None)
}

/// A corpus with a weight for each pair in the table beside its shard.
pub fn weighted(folder: &Path, count: usize, weight: impl Fn(usize) -> f32) -> Arc<Corpus> {
    write_pairs(folder, count, &|_| encode_png(&Rgb::filled(4, 4, [1, 2, 3])).unwrap()).unwrap();
    let keys: ArrayRef =
        Arc::new(StringArray::from_iter_values((0..count).map(|i| format!("{i:05}"))));
    let weights: ArrayRef = Arc::new(Float32Array::from_iter_values((0..count).map(weight)));
    let table = RecordBatch::try_from_iter([("key", keys), ("balance", weights)]).unwrap();
    clip_corpus::write_parquet(&folder.join("00000.parquet"), table.schema(), &[table]).unwrap();
    open(folder, Some("balance"))
}
