//! What a corpus has that resembles evaluation items: rows, and their Parquet files.

use std::collections::HashMap;
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
    if verdicts {
        fields.push(Field::new("copy", DataType::Boolean, false));
        fields.push(shard_field());
    } else {
        fields.push(Field::new("thumbnail", DataType::Binary, false));
    }
    Arc::new(Schema::new(fields))
}

/// blake3 of the shards of a corpus, by their places.
pub type ShardHashes<'a> = HashMap<&'a str, &'a str>;

/// The column with the blake3 of the shard that a row is in: shards of another corpus may have the
/// same names, and the same keys in them.
pub(crate) fn shard_field() -> Field {
    Field::new(SHARD, DataType::Utf8, true)
}

const SHARD: &str = "shard_blake3";

/// That column of rows in these places.
pub(crate) fn shard_column<'a>(
    places: impl Iterator<Item = &'a String>,
    shards: &ShardHashes,
) -> ArrayRef {
    Arc::new(places.map(|place| shards.get(place.as_str()).copied()).collect::<StringArray>())
}

type Verdicts<'a> = (&'a [bool], &'a ShardHashes<'a>);

fn batch(rows: &[Match], verdicts: Option<Verdicts>, schema: SchemaRef) -> Result<RecordBatch> {
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
    if let Some((copies, shards)) = verdicts {
        columns.push(Arc::new(BooleanArray::from(copies.to_vec())));
        columns.push(shard_column(rows.iter().map(|m| &m.place), shards));
    } else {
        let thumbnails = rows.iter().map(|m| &m.thumbnail);
        columns.push(Arc::new(BinaryArray::from_iter_values(thumbnails)));
    }
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

/// Writes matches with what was decided of each and the hash of its shard, without their images:
/// `pairs.parquet`.
pub fn write_pairs(
    path: &Path,
    rows: &[Match],
    copies: &[bool],
    shards: &ShardHashes,
) -> Result<()> {
    let schema = schema(true);
    let mut writer = PartWriter::create(path, schema.clone())?;
    for (rows, copies) in rows.chunks(4096).zip(copies.chunks(4096)) {
        writer.write(&batch(rows, Some((copies, shards)), schema.clone())?)?;
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
    /// blake3 of that unit, where it is a shard and the report has it.
    pub shard: Option<String>,
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
        let shards = text(SHARD);
        let rows = (0..batch.num_rows()).filter(|&at| copies.value(at));
        found.extend(rows.map(|at| {
            let [set, key, place, id] = [sets, keys, places, ids].map(|c| c.value(at).to_owned());
            let shard = shards.filter(|shards| shards.is_valid(at));
            CopiedItem { set, key, place, id, shard: shard.map(|all| all.value(at).to_owned()) }
        }));
    }
    Ok(found)
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
        write_pairs(&path, &rows, &[false, true], &ShardHashes::new()).unwrap();
        let plain = rows.map(|row| Match { thumbnail: Vec::new(), ..row });
        assert_eq!(read(&path).unwrap(), plain);
        let texts = dir.path().join("texts.parquet");
        let lists = copy_lists(&[dir.path().to_path_buf(), texts.clone()]);
        assert_eq!(lists, [dir.path().join("pairs.parquet"), texts]);
        let copies = read_copied_items(&path).unwrap();
        let text = |text: &str| text.to_owned();
        let (set, key, place, id) = (text("toys"), text("b"), text("shards/0.tar"), text("2"));
        let mut copy = CopiedItem { set, key, place, id, shard: None };
        assert_eq!(copies, [copy.clone()]);
        let shards = ShardHashes::from([("shards/0.tar", "00ff")]);
        write_pairs(&path, &plain, &[false, true], &shards).unwrap();
        copy.shard = Some(text("00ff"));
        assert_eq!(read_copied_items(&path).unwrap(), [copy]);
    }
}
