//! What a corpus has that resembles evaluation items: rows, and their Parquet files.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float32Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef};
use clip_corpus::PartWriter;

use crate::decision::CopyRule;
use crate::hit_kind::HitKind;
use crate::score::Similarity;
use crate::{Error, Result};

/// The file of a report's pairs of images, in its folder.
pub const PAIRS: &str = "pairs.parquet";
/// The file of its texts with captions.
pub const TEXTS: &str = "texts.parquet";

/// An image of the corpus beside an evaluation item that it resembles.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// Name of the evaluation set.
    pub set: String,
    /// Key of its item.
    pub key: String,
    /// Name of the item's class.
    pub class: String,
    /// The unit of the corpus: a shard, a table, a folder.
    pub place: String,
    /// The image's name there.
    pub id: String,
    /// Where it came from.
    pub url: String,
    /// Its caption.
    pub caption: String,
    /// How alike, in [0, 1].
    pub score: f32,
    /// How it was recognised.
    pub kind: HitKind,
    /// The correlations of the score; zeros where nothing was compared.
    pub similarity: Similarity,
    /// Cosine of the learned detector's vectors, where it was asked.
    pub detector: Option<f32>,
    /// The image, small, as JPEG; empty where the corpus has none.
    pub thumbnail: Vec<u8>,
}

impl Match {
    /// Whether the rule of its set calls it a copy.
    pub fn is_copy(&self, rule: &CopyRule) -> bool {
        rule.is_copy(&self.key, &self.id, self.kind, self.score)
    }
}

fn schema(verdicts: bool) -> Arc<Schema> {
    let text = |name: &str| Field::new(name, DataType::Utf8, false);
    let real = |name: &str| Field::new(name, DataType::Float32, false);
    let mut fields: Vec<Field> =
        ["set", "key", "class", "place", "id", "url", "caption", "kind"].map(text).to_vec();
    fields.extend(["score", "luma", "fine", "colour", "covered", "contrast"].map(real));
    fields.push(Field::new("detector", DataType::Float32, true));
    fields.push(if verdicts {
        Field::new("copy", DataType::Boolean, false)
    } else {
        Field::new("thumbnail", DataType::Binary, false)
    });
    Arc::new(Schema::new(fields))
}

fn batch(rows: &[Match], verdicts: Option<&[bool]>, schema: SchemaRef) -> Result<RecordBatch> {
    let text = |get: fn(&Match) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(get)))
    };
    let real = |get: fn(&Match) -> f32| -> ArrayRef {
        Arc::new(Float32Array::from_iter_values(rows.iter().map(get)))
    };
    let mut columns: Vec<ArrayRef> = vec![
        text(|m| &m.set),
        text(|m| &m.key),
        text(|m| &m.class),
        text(|m| &m.place),
        text(|m| &m.id),
        text(|m| &m.url),
        text(|m| &m.caption),
        text(|m| m.kind.name()),
        real(|m| m.score),
        real(|m| m.similarity.luma),
        real(|m| m.similarity.fine),
        real(|m| m.similarity.colour),
        real(|m| m.similarity.covered),
        real(|m| m.similarity.contrast),
        Arc::new(rows.iter().map(|m| m.detector).collect::<Float32Array>()),
    ];
    columns.push(match verdicts {
        Some(verdicts) => Arc::new(BooleanArray::from(verdicts.to_vec())),
        None => Arc::new(BinaryArray::from_iter_values(rows.iter().map(|m| &m.thumbnail))),
    });
    Ok(RecordBatch::try_new(schema, columns)?)
}

/// Writes matches, with `head` as the file's own note.
pub(crate) fn write(path: &Path, rows: &[Match], head: (&str, String)) -> Result<()> {
    let plain = schema(false);
    let noted = plain.as_ref().clone().with_metadata([(head.0.to_owned(), head.1)].into());
    let mut writer = PartWriter::create(path, Arc::new(noted))?;
    for rows in rows.chunks(4096) {
        writer.write(&batch(rows, None, plain.clone())?)?;
    }
    writer.finish()?;
    Ok(())
}

/// Writes matches with what was decided of each, without their images: `pairs.parquet`.
pub fn write_pairs(path: &Path, rows: &[Match], copies: &[bool]) -> Result<()> {
    let schema = schema(true);
    let mut writer = PartWriter::create(path, schema.clone())?;
    for (rows, copies) in rows.chunks(4096).zip(copies.chunks(4096)) {
        writer.write(&batch(rows, Some(copies), schema.clone())?)?;
    }
    writer.finish()?;
    Ok(())
}

/// An image of the corpus that a `pairs.parquet` calls a copy, and what it copies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopiedItem {
    /// Name of the evaluation set.
    pub set: String,
    /// Key of its item.
    pub key: String,
    /// The unit of the corpus.
    pub place: String,
    /// The image's name there.
    pub id: String,
}

/// The pairs that a `pairs.parquet` calls copies.
pub fn read_copied_items(path: &Path) -> Result<Vec<CopiedItem>> {
    let mut found = Vec::new();
    for batch in clip_corpus::read_parquet(path)? {
        let copies = batch.column_by_name("copy").and_then(|c| c.as_boolean_opt());
        let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
        let columns = (text("set"), text("key"), text("place"), text("id"), copies);
        let (Some(sets), Some(keys), Some(places), Some(ids), Some(copies)) = columns else {
            let names = "`set`, `key`, `place`, `id` and `copy`";
            return Err(Error::file(path, format!("no columns {names}: not a pairs.parquet")));
        };
        let rows = (0..batch.num_rows()).filter(|&at| copies.value(at));
        found.extend(rows.map(|at| {
            let [set, key, place, id] = [sets, keys, places, ids].map(|c| c.value(at).to_owned());
            CopiedItem { set, key, place, id }
        }));
    }
    Ok(found)
}

/// Place and name of the images that a `pairs.parquet` calls copies: what is to be removed.
pub fn read_copies(path: &Path) -> Result<HashSet<(String, String)>> {
    Ok(read_copied_items(path)?.into_iter().map(|copy| (copy.place, copy.id)).collect())
}

/// The lists of copies that `--without` names: a report's folder is its `pairs.parquet`.
pub fn copy_lists(given: &[PathBuf]) -> Vec<PathBuf> {
    let list = |path: &PathBuf| if path.is_dir() { path.join(PAIRS) } else { path.clone() };
    given.iter().map(list).collect()
}

/// Reads `pairs.parquet`, or a part of a comparison, whose matches have their thumbnails.
///
/// # Errors
/// When it is something else, or damaged.
pub fn read(path: &Path) -> Result<Vec<Match>> {
    let mut found = Vec::new();
    for batch in clip_corpus::read_parquet(path)? {
        rows(&batch, &mut found).ok_or_else(|| Error::file(path, "not a table of matches"))?;
    }
    Ok(found)
}

fn rows(batch: &RecordBatch, found: &mut Vec<Match>) -> Option<()> {
    let text = |name: &str| batch.column_by_name(name)?.as_string_opt::<i32>();
    let real = |name: &str| batch.column_by_name(name)?.as_primitive_opt::<Float32Type>();
    let (set, key, class) = (text("set")?, text("key")?, text("class")?);
    let (place, id, url) = (text("place")?, text("id")?, text("url")?);
    let (caption, kind, score) = (text("caption")?, text("kind")?, real("score")?);
    let (luma, fine, colour) = (real("luma")?, real("fine")?, real("colour")?);
    let (covered, contrast, detector) = (real("covered")?, real("contrast")?, real("detector")?);
    let thumbnail = batch.column_by_name("thumbnail").and_then(|c| c.as_binary_opt::<i32>());
    for at in 0..batch.num_rows() {
        found.push(Match {
            set: set.value(at).to_owned(),
            key: key.value(at).to_owned(),
            class: class.value(at).to_owned(),
            place: place.value(at).to_owned(),
            id: id.value(at).to_owned(),
            url: url.value(at).to_owned(),
            caption: caption.value(at).to_owned(),
            score: score.value(at),
            kind: HitKind::of_name(kind.value(at))?,
            similarity: Similarity {
                luma: luma.value(at),
                fine: fine.value(at),
                colour: colour.value(at),
                covered: covered.value(at),
                contrast: contrast.value(at),
            },
            detector: detector.is_valid(at).then(|| detector.value(at)),
            thumbnail: thumbnail.map_or(Vec::new(), |c| c.value(at).to_vec()),
        });
    }
    Some(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn pair(key: &str, id: &str, score: f32, kind: HitKind) -> Match {
        Match {
            set: "toys".into(),
            key: key.into(),
            class: "toy car".into(),
            place: "shards/0.tar".into(),
            id: id.into(),
            url: format!("http://x.org/{id}"),
            caption: "My red toy car!".into(),
            score,
            kind,
            similarity: Similarity { luma: score, ..Similarity::default() },
            detector: None,
            thumbnail: vec![1, 2, 3],
        }
    }

    #[test]
    fn matches_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("m.parquet");
        let rows = [pair("a", "1", 0.5, HitKind::Near), pair("b", "2", 1.0, HitKind::Exact)];
        write(&path, &rows, ("unit", "x".into())).unwrap();
        assert_eq!(read(&path).unwrap(), rows);
        write_pairs(&path, &rows, &[false, true]).unwrap();
        let plain = rows.map(|row| Match { thumbnail: Vec::new(), ..row });
        assert_eq!(read(&path).unwrap(), plain);
        let copy = ("shards/0.tar".to_owned(), "2".to_owned());
        assert_eq!(read_copies(&path).unwrap(), [copy].into());
        let texts = dir.path().join("texts.parquet");
        let lists = copy_lists(&[dir.path().to_path_buf(), texts.clone()]);
        assert_eq!(lists, [dir.path().join("pairs.parquet"), texts]);
        let item = &read_copied_items(&path).unwrap()[0];
        assert_eq!((item.set.as_str(), item.key.as_str()), ("toys", "b"));
    }
}
