//! The barrier that makes equal and near-equal images one.

mod clusters;
mod files;
mod known;
mod near;
mod thumbs;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, UInt64Array,
};
use arrow::datatypes::{DataType, Field, Schema};
use clip_corpus::columns;
use clip_pipeline::{Barrier, Context, DecisionSink, PartInfo};

use crate::{Error, Result, Session, query, table_of};
use clusters::{Cluster, Kept};
use files::Files;
pub use known::tables;

/// Looks at candidates: whether two images show the same.
pub trait Compare: Send + Sync {
    /// What is kept of an encoded image, at most some 12 KB; nothing when it cannot be decoded.
    fn thumb(&self, image: &[u8]) -> Option<Vec<u8>>;
    /// Whether the images of two thumbs are copies.
    fn alike(&self, a: &[u8], b: &[u8]) -> bool;
}

/// Of images with the same bytes, or that are near copies of a chain of others, the largest stays,
/// then the one with the longest caption, then the first.
///
/// Near copies have perceptual hashes within `radius` bits, and are alike for `compare` where there
/// is one. The others are dropped as `exact_duplicate` or `near_duplicate`, and as `in_corpus` what
/// a `known` corpus has. An image behind more URLs or captions than `placeholder_limit` shows
/// nothing of what they say ("image not available"): all of its rows are dropped as `placeholder`.
/// Flat images (black frames, plain logos) have hashes that say nothing and are compared by their
/// bytes alone. Every row gains `cluster` (the row that stays) and `captions` (where a cluster has
/// several images: its captions, the kept one's first, each once).
///
/// SQL finds equal bytes and whom to keep, and spills; beside it some 60 bytes an image are in
/// memory.
#[derive(Clone)]
pub struct Deduplicate {
    /// Bits of 64; 0 leaves only files with the same bytes.
    pub radius: u32,
    /// Captions of those that are dropped that go to the one that stays, its own included; 0 for
    /// none.
    pub max_captions: usize,
    /// Different URLs or captions that an image may have; 0 for any number.
    pub placeholder_limit: usize,
    /// Parquet tables of corpora that exist already, with `sha256`, and `phash` where near copies
    /// count.
    pub known: Vec<PathBuf>,
    /// Looks at candidates; without it hashes decide.
    pub compare: Option<Arc<dyn Compare>>,
}

impl Default for Deduplicate {
    /// Files with the same bytes, whatever their number.
    fn default() -> Self {
        let (known, compare) = (Vec::new(), None);
        Self { radius: 0, max_captions: 0, placeholder_limit: 0, known, compare }
    }
}

impl Deduplicate {
    /// The query files that decide.
    pub const QUERIES: [&str; 3] = ["30_exact_files", "31_known_files", "32_keep_best"];

    fn run(&self, inputs: &[PartInfo], cx: &Context, out: &mut DecisionSink) -> Result<()> {
        let session = Session::for_barrier(cx)?;
        session.table("images", &table_of(inputs))?;
        let files = Files::read(&session)?;
        let known = known::find(self, &session, &files)?;
        let roots = near::clusters(self, &files, &known, inputs, cx)?;
        let kept = self.keep(&session, &files, roots, cx.scratch())?;
        Ok(out.push(&decisions(&files, &known, kept)?)?)
    }

    /// For each image the place of the one that stays, and what is known of clusters.
    fn keep(
        &self,
        session: &Session,
        files: &Files,
        mut roots: Vec<u32>,
        scratch: &Path,
    ) -> Result<Kept> {
        let clusters = scratch.join("clusters.parquet");
        write_clusters(&clusters, files, &roots)?;
        session.table("clusters", std::slice::from_ref(&clusters))?;
        let mut kept = Kept::default();
        let mut current: Option<Cluster> = None;
        session.each(&query("32_keep_best")?, &[], |batch| {
            let lost = || Error::result("32_keep_best", "a column is missing");
            let row = columns::uint64(&batch, columns::ROW).ok_or_else(lost)?;
            let cluster = columns::uint64(&batch, columns::CLUSTER).ok_or_else(lost)?;
            let caption = columns::text(&batch, columns::CAPTION).ok_or_else(lost)?;
            let url = columns::text(&batch, columns::URL).ok_or_else(lost)?;
            for at in 0..batch.num_rows() {
                let of = cluster.value(at);
                roots[files.place(row.value(at))?] = files.place(of)? as u32;
                if current.as_ref().is_none_or(|current| current.row != of) {
                    current.take().into_iter().for_each(|done| kept.add(done, self));
                }
                let current = current.get_or_insert_with(|| Cluster::new(of));
                current.add(url.value(at), caption.value(at), self);
            }
            Ok(())
        })?;
        current.into_iter().for_each(|done| kept.add(done, self));
        // The table was for the query alone.
        std::fs::remove_file(&clusters).map_err(|e| Error::io(&clusters, e))?;
        Ok(Kept { places: roots, ..kept })
    }
}

impl Barrier for Deduplicate {
    fn needs_images(&self) -> bool {
        self.compare.is_some()
    }

    fn decide(
        &self,
        inputs: &[PartInfo],
        cx: &Context,
        out: &mut DecisionSink,
    ) -> clip_pipeline::Result<()> {
        self.run(inputs, cx, out).map_err(|e| e.into_stage_error(cx.stage()))
    }
}

/// Row and root of every image that is not alone in its cluster.
fn write_clusters(path: &Path, files: &Files, roots: &[u32]) -> Result<()> {
    let mut shared = vec![false; roots.len()];
    for (at, &root) in roots.iter().enumerate() {
        if root as usize != at {
            shared[root as usize] = true;
            shared[at] = true;
        }
    }
    let places: Vec<usize> = (0..roots.len()).filter(|&at| shared[at]).collect();
    let rows = UInt64Array::from_iter_values(places.iter().map(|&at| files.rows[at]));
    let roots = UInt64Array::from_iter_values(places.iter().map(|&at| u64::from(roots[at])));
    let schema = Arc::new(Schema::new(vec![
        Field::new(columns::ROW, DataType::UInt64, false),
        Field::new("root", DataType::UInt64, false),
    ]));
    let batch = RecordBatch::try_new(schema.clone(), vec![Arc::new(rows), Arc::new(roots)]);
    let batch = batch.map_err(|e| Error::result("dedup", e))?;
    Ok(clip_corpus::write_parquet(path, schema, &[batch])?)
}

fn decisions(files: &Files, known: &[bool], kept: Kept) -> Result<RecordBatch> {
    let Kept { places: kept, placeholders, captions: clusters } = kept;
    let reason = |(at, &kept): (usize, &u32)| match (known[at], kept as usize == at) {
        (true, _) => Some("in_corpus"),
        _ if placeholders.contains(&files.rows[kept as usize]) => Some("placeholder"),
        (false, true) => None,
        (false, false) if files.file[at] == files.file[kept as usize] => Some("exact_duplicate"),
        (false, false) => Some("near_duplicate"),
    };
    let reasons: StringArray = kept.iter().enumerate().map(reason).collect();
    let item = Field::new("item", DataType::Utf8, false);
    let mut captions = ListBuilder::new(StringBuilder::new()).with_field(item);
    let mut clusters = clusters.into_iter().peekable();
    for &row in &files.rows {
        match clusters.next_if(|(of, _)| *of == row) {
            Some((_, list)) => {
                list.iter().for_each(|caption| captions.values().append_value(caption));
                captions.append(true);
            }
            None => captions.append(false),
        }
    }
    let captions: ArrayRef = Arc::new(captions.finish());
    let schema = Schema::new(vec![
        Field::new(columns::ROW, DataType::UInt64, false),
        Field::new("reason", DataType::Utf8, true),
        Field::new(columns::CLUSTER, DataType::UInt64, false),
        Field::new(columns::CAPTIONS, captions.data_type().clone(), true),
    ]);
    let rows = UInt64Array::from(files.rows.clone());
    let cluster = UInt64Array::from_iter_values(kept.iter().map(|&at| files.rows[at as usize]));
    let columns: Vec<ArrayRef> =
        vec![Arc::new(rows), Arc::new(reasons), Arc::new(cluster), captions];
    RecordBatch::try_new(Arc::new(schema), columns).map_err(|e| Error::result("dedup", e))
}
