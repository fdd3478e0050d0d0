//! The account of a set's captions that a corpus has.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Float32Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use clip_corpus::PartWriter;
use clip_stats::{Interval, clopper_pearson};
use serde::{Deserialize, Serialize};

use super::CONFIDENCE;
use crate::Result;
use crate::matches::{Match, ShardHashes, shard_column, shard_field};
use crate::text::{CaptionIndex, TextKind, TextMatch};

/// Copies that are listed.
const LISTED: usize = 200;

/// An item's caption beside the text of the corpus that has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextCopy {
    /// Key of the item.
    pub key: String,
    /// Its caption.
    pub caption: String,
    /// The text.
    pub text: String,
    /// How it has the caption.
    pub kind: TextKind,
    /// How alike.
    pub score: f32,
    /// The unit of the corpus.
    pub place: String,
    /// The row's name there.
    pub id: String,
}

/// The captions of a set that a corpus has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextOverlap {
    /// Texts of the corpus that were compared.
    pub texts: u64,
    /// Captions of the set.
    pub captions: u64,
    /// Items of which a text of the corpus has a caption.
    pub overlap: u64,
    /// Their share.
    pub rate: f64,
    /// 99.5% Clopper-Pearson interval of the share.
    pub interval: Interval,
    /// Items by the best that was found of each.
    pub kinds: BTreeMap<TextKind, u64>,
    /// Items of which the corpus holds a copy of the image as well.
    pub both: u64,
    /// Items of which one row of the corpus has image and caption.
    pub same_row: u64,
    /// The best of each item, up to 200 of them, the most alike first.
    pub copies: Vec<TextCopy>,
}

impl TextOverlap {
    /// Of one set; `matches` may be of others too, and so may `images`, the copies of images.
    ///
    /// # Errors
    /// None that counts of items can give.
    pub fn new(
        set: &CaptionIndex,
        texts: u64,
        matches: &[TextMatch],
        images: &[&Match],
    ) -> Result<Self> {
        let own = || matches.iter().filter(|found| found.set == set.name);
        let mut best: HashMap<&str, &TextMatch> = HashMap::new();
        let rank = |found: &TextMatch| (std::cmp::Reverse(found.kind), found.score);
        for found in own() {
            let known = best.entry(&found.key).or_insert(found);
            if rank(found) > rank(known) {
                *known = found;
            }
        }
        let images = || images.iter().filter(|image| image.set == set.name);
        let copied: HashSet<&str> = images().map(|image| image.key.as_str()).collect();
        let rows: HashSet<(&str, &str, &str)> = images()
            .map(|image| (image.key.as_str(), image.place.as_str(), image.id.as_str()))
            .collect();
        let together: HashSet<&str> = own()
            .filter(|found| {
                rows.contains(&(found.key.as_str(), found.place.as_str(), found.id.as_str()))
            })
            .map(|found| found.key.as_str())
            .collect();
        let mut kinds = BTreeMap::new();
        best.values().for_each(|found| *kinds.entry(found.kind).or_default() += 1);
        let (overlap, items) = (best.len() as u64, set.keys.len().max(1) as u64);
        let both = best.keys().filter(|key| copied.contains(*key)).count() as u64;
        let mut copies: Vec<&TextMatch> = best.into_values().collect();
        copies.sort_by(|a, b| {
            (a.kind, &a.key).cmp(&(b.kind, &b.key)).then(b.score.total_cmp(&a.score))
        });
        Ok(Self {
            texts,
            captions: set.len() as u64,
            overlap,
            rate: overlap as f64 / items as f64,
            interval: clopper_pearson(overlap, items, CONFIDENCE)?,
            kinds,
            both,
            same_row: together.len() as u64,
            copies: copies.into_iter().take(LISTED).map(copy).collect(),
        })
    }
}

fn copy(found: &TextMatch) -> TextCopy {
    TextCopy {
        key: found.key.clone(),
        caption: found.caption.clone(),
        text: found.text.clone(),
        kind: found.kind,
        score: found.score,
        place: found.place.clone(),
        id: found.id.clone(),
    }
}

/// Writes all matches: `texts.parquet`, a list of rows to remove as `pairs.parquet` is.
pub fn write_text_copies(path: &Path, matches: &[TextMatch], shards: &ShardHashes) -> Result<()> {
    let names = ["set", "key", "place", "id", "url", "caption", "text", "kind"];
    let mut fields = names.map(|name| Field::new(name, DataType::Utf8, false)).to_vec();
    fields.push(Field::new("score", DataType::Float32, false));
    fields.push(Field::new("copy", DataType::Boolean, false));
    fields.push(shard_field());
    let schema = Arc::new(Schema::new(fields));
    let mut writer = PartWriter::create(path, schema.clone())?;
    for rows in matches.chunks(4096) {
        let text = |get: fn(&TextMatch) -> &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
        };
        let columns: Vec<ArrayRef> = vec![
            text(|found| &found.set),
            text(|found| &found.key),
            text(|found| &found.place),
            text(|found| &found.id),
            text(|found| &found.url),
            text(|found| &found.caption),
            text(|found| &found.text),
            text(|found| found.kind.name()),
            Arc::new(Float32Array::from_iter_values(rows.iter().map(|found| found.score))),
            Arc::new(BooleanArray::from(vec![true; rows.len()])),
            shard_column(rows.iter().map(|found| &found.place), shards),
        ];
        writer.write(&RecordBatch::try_new(schema.clone(), columns)?)?;
    }
    writer.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit_kind::HitKind;
    use crate::matches::read_copied_items;
    use crate::matches::tests::pair;

    #[test]
    fn an_item_counts_once_and_beside_its_image() {
        let items = ["a", "b", "c"].map(|key| (key.to_owned(), vec![format!("caption of {key}")]));
        let set = CaptionIndex::new("toys", items);
        let found = |key: &str, id: &str, kind, score| TextMatch {
            set: "toys".into(),
            key: key.into(),
            caption: format!("caption of {key}"),
            place: "0.tar".into(),
            id: id.into(),
            url: String::new(),
            text: "t".into(),
            kind,
            score,
        };
        let matches = [
            found("a", "1", TextKind::Near, 0.9),
            found("a", "2", TextKind::Exact, 1.0),
            found("b", "3", TextKind::Within, 0.9),
        ];
        let image = |key: &str, id: &str| Match {
            place: "0.tar".into(),
            ..pair(key, id, 1.0, HitKind::Exact)
        };
        let images = [image("a", "2"), image("b", "7"), image("c", "8")];
        let images: Vec<&Match> = images.iter().collect();
        let account = TextOverlap::new(&set, 10, &matches, &images).unwrap();
        assert_eq!((account.overlap, account.both, account.same_row), (2, 2, 1));
        assert_eq!(account.kinds, [(TextKind::Exact, 1), (TextKind::Within, 1)].into());
        assert_eq!((account.copies[0].id.as_str(), account.copies[1].key.as_str()), ("2", "b"));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("texts.parquet");
        write_text_copies(&path, &matches, &ShardHashes::new()).unwrap();
        let copies = read_copied_items(&path).unwrap();
        let copies: Vec<_> = copies.iter().map(|copy| (&*copy.place, &*copy.id)).collect();
        assert_eq!(copies, ["1", "2", "3"].map(|id| ("0.tar", id)));
    }
}
