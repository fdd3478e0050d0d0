//! The barrier that makes equal and near-equal images one.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ListBuilder, RecordBatch, StringArray, StringBuilder, UInt64Array,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use clip_corpus::columns;
use clip_image::HammingIndex;
use clip_pipeline::{Barrier, Context};

use crate::{Error, Result, Session, UnionFind, query};

/// Of images with the same bytes, or with perceptual hashes within `radius` bits of a chain of others, the
/// largest stays, then the one with the longest caption, then the first.
///
/// The others fall as `exact_duplicate` or `near_duplicate`. Flat images (black frames, plain logos) have
/// hashes that say nothing and are compared by their bytes alone. Every row gains `cluster` (the row that
/// stays) and `captions` (of the whole cluster, the kept one's first, each once).
#[derive(Debug, Clone, Copy)]
pub struct Deduplicate {
    /// Bits of 64; 0 leaves only files with the same bytes.
    pub radius: u32,
    /// Whether the captions of those that fall go to the one that stays.
    pub keep_captions: bool,
}

/// One image as the clustering sees it.
struct Image {
    row: u64,
    /// Row of the image that stays among those with the same bytes.
    exact: u64,
    phash: Option<u64>,
    area: u64,
    caption: String,
}

impl Deduplicate {
    /// The query files that decide.
    pub const QUERIES: [&str; 2] = ["30_exact_duplicates", "31_image_keys"];

    fn images(session: &Session) -> Result<Vec<Image>> {
        let exact = joined(&session.run(&query("30_exact_duplicates")?, &[])?)?;
        let keys = joined(&session.run(&query("31_image_keys")?, &[])?)?;
        let broken =
            || Error::result("31_image_keys", "the rows differ from those of 30_exact_duplicates");
        let number = |batch, name| columns::uint64(batch, name).ok_or_else(broken);
        let (rows, clusters) = (number(&exact, columns::ROW)?, number(&exact, columns::CLUSTER)?);
        let (phash, area) = (number(&keys, columns::PHASH)?, number(&keys, "area")?);
        let caption = columns::text(&keys, columns::CAPTION).ok_or_else(broken)?;
        if number(&keys, columns::ROW)? != rows {
            return Err(broken());
        }
        let image = |at: usize| Image {
            row: rows.value(at),
            exact: clusters.value(at),
            phash: phash.is_valid(at).then(|| phash.value(at)),
            area: area.value(at),
            caption: caption.value(at).to_owned(),
        };
        Ok((0..rows.len()).map(image).collect())
    }

    /// For each image the place of the one that stays.
    fn clusters(&self, images: &[Image]) -> Vec<usize> {
        let mut sets = UnionFind::new(images.len());
        let mut first_of_file: HashMap<u64, usize> = HashMap::new();
        let mut first_of_hash: HashMap<u64, usize> = HashMap::new();
        let mut hashes = Vec::new();
        for (at, image) in images.iter().enumerate() {
            sets.union(*first_of_file.entry(image.exact).or_insert(at), at);
            if let (Some(phash), true) = (image.phash, self.radius > 0) {
                let first = *first_of_hash.entry(phash).or_insert(at);
                if first == at {
                    hashes.push(phash);
                }
                sets.union(first, at);
            }
        }
        // Only distinct hashes are searched: a thousand copies of one image are no half million pairs.
        let places: Vec<usize> = hashes.iter().map(|hash| first_of_hash[hash]).collect();
        for (a, b, _) in HammingIndex::new(hashes, self.radius).pairs() {
            sets.union(places[a as usize], places[b as usize]);
        }
        let worth = |at: usize| {
            let image: &Image = &images[at];
            (image.area, image.caption.chars().count(), Reverse(at))
        };
        let mut best: HashMap<usize, usize> = HashMap::new();
        for at in 0..images.len() {
            let kept = best.entry(sets.find(at)).or_insert(at);
            if worth(at) > worth(*kept) {
                *kept = at;
            }
        }
        (0..images.len()).map(|at| best[&sets.find(at)]).collect()
    }

    fn decisions(&self, images: &[Image]) -> Result<RecordBatch> {
        let kept = self.clusters(images);
        let mut members: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, &kept) in kept.iter().enumerate() {
            if at != kept && self.keep_captions {
                members.entry(kept).or_default().push(at);
            }
        }
        let reason = |(at, &kept): (usize, &usize)| match (
            at == kept,
            images[at].exact == images[kept].exact,
        ) {
            (true, _) => None,
            (false, true) => Some("exact_duplicate"),
            (false, false) => Some("near_duplicate"),
        };
        let mut captions = ListBuilder::new(StringBuilder::new()).with_field(Field::new(
            "item",
            DataType::Utf8,
            false,
        ));
        for at in 0..images.len() {
            if kept[at] == at {
                let mut seen = vec![images[at].caption.as_str()];
                for &member in members.get(&at).into_iter().flatten() {
                    seen.push(&images[member].caption);
                }
                let mut unique = std::collections::HashSet::new();
                seen.retain(|caption| unique.insert(*caption));
                seen.into_iter().for_each(|caption| captions.values().append_value(caption));
            }
            captions.append(true);
        }
        let captions: ArrayRef = Arc::new(captions.finish());
        let reasons: StringArray = kept.iter().enumerate().map(reason).collect();
        let schema = Schema::new(vec![
            Field::new(columns::ROW, DataType::UInt64, false),
            Field::new("reason", DataType::Utf8, true),
            Field::new(columns::CLUSTER, DataType::UInt64, false),
            Field::new(columns::CAPTIONS, captions.data_type().clone(), false),
        ]);
        let rows = UInt64Array::from_iter_values(images.iter().map(|image| image.row));
        let cluster = UInt64Array::from_iter_values(kept.iter().map(|&kept| images[kept].row));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(rows), Arc::new(reasons), Arc::new(cluster), captions];
        RecordBatch::try_new(Arc::new(schema), columns).map_err(|e| Error::result("dedup", e))
    }

    fn run(&self, inputs: &[PathBuf], cx: &Context) -> Result<Vec<RecordBatch>> {
        let session = Session::new(cx.scratch())?;
        session.table("images", inputs)?;
        Ok(vec![self.decisions(&Self::images(&session)?)?])
    }
}

impl Barrier for Deduplicate {
    fn decide(&self, inputs: &[PathBuf], cx: &Context) -> clip_pipeline::Result<Vec<RecordBatch>> {
        self.run(inputs, cx).map_err(|e| clip_pipeline::Error::stage(cx.stage(), e))
    }
}

fn joined(batches: &[RecordBatch]) -> Result<RecordBatch> {
    let first = batches.first().ok_or_else(|| Error::result("dedup", "no rows came back"))?;
    concat_batches(&first.schema(), batches).map_err(|e| Error::result("dedup", e))
}
