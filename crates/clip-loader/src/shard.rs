//! One shard's pairs: members with an image and a caption, and the weights in the table beside it.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type};
use clip_corpus::{Member, ShardIndex, read_parquet};
use clip_format::ImageFormat;
use clip_text::Tokenizer;

use crate::captions::{Caption, captions_of, unpadded};
use crate::contents::{Content, Contents};
use crate::{CaptionKeys, Error, Result};

/// A pair as it is stored in its shard.
pub(crate) struct FoundPair {
    pub offset: u64,
    pub size: u32,
    /// Tokens, and the share of the draws.
    pub captions: Vec<(Vec<u16>, f32)>,
    pub weight: f32,
}

/// What a shard holds.
pub(crate) struct Found {
    pub content: Content,
    pub pairs: Vec<FoundPair>,
    pub skipped: usize,
    /// Samples whose JSON field is none: it counts as absent, for open_clip never reads it.
    pub broken_json: usize,
}

/// Reads a shard's index and captions; `column` names weights in the Parquet table beside it.
pub(crate) fn index_shard(
    path: &Path,
    tokenizer: &Tokenizer,
    context: usize,
    column: Option<&str>,
    keys: &CaptionKeys,
    contents: Option<&Contents>,
) -> Result<Found> {
    let file = File::open(path).map_err(|e| Error::io(path, e))?;
    let content = match contents {
        Some(contents) => contents.of(path, &file)?,
        None => Content::unknown(path, &file)?,
    };
    let index = ShardIndex::of(path)?;
    let weights = column.map(|column| weights(&path.with_extension("parquet"), column));
    let weights = weights.transpose()?;
    let mut found = Found { content, pairs: Vec::new(), skipped: 0, broken_json: 0 };
    for members in index.members.chunk_by(|a, b| a.key == b.key) {
        let (captions, whole) = captions(&file, path, members, keys)?;
        found.broken_json += usize::from(!whole);
        let field = ImageFormat::first_of(members.iter().map(|m| m.field.as_str()));
        let image = members.iter().find(|m| Some(m.field.as_str()) == field);
        let fits = |m: &&Member| !captions.is_empty() && u32::try_from(m.size).is_ok();
        let Some(image) = image.filter(fits) else {
            found.skipped += 1;
            continue;
        };
        let weight = match &weights {
            None => 1.0,
            Some(weights) => *weights.get(&image.key).ok_or_else(|| {
                let table = path.with_extension("parquet");
                Error::file(&table, format!("no row for the sample {:?}", image.key))
            })?,
        };
        found.pairs.push(FoundPair {
            offset: image.offset,
            size: image.size as u32,
            captions: captions
                .iter()
                .map(|caption| (unpadded(tokenizer, &caption.text, context), caption.share))
                .collect(),
            weight,
        });
    }
    Ok(found)
}

/// The table's column by the samples' keys.
pub(crate) fn weights(path: &Path, column: &str) -> Result<HashMap<String, f32>> {
    let mut all = HashMap::new();
    for batch in read_parquet(path)? {
        let missing = |name: &str| {
            let schema = batch.schema();
            let names: Vec<_> = schema.fields().iter().map(|f| f.name().as_str()).collect();
            let has = names.join(", ");
            Error::file(path, format!("no column {name:?}\nhint: the table has {has}"))
        };
        let keys = batch.column_by_name("key").ok_or_else(|| missing("key"))?;
        let keys = keys.as_string_opt::<i32>().ok_or_else(|| missing("key"))?;
        let values = numbers(&batch, column).ok_or_else(|| missing(column))?;
        for (at, key) in keys.iter().enumerate() {
            let value = values[at];
            if !(0.0..=1000.0).contains(&value) {
                let key = key.unwrap_or_default();
                return Err(Error::file(path, format!("{column} of {key:?} is {value}")));
            }
            all.insert(key.unwrap_or_default().to_owned(), value);
        }
    }
    Ok(all)
}

/// A numeric column as f32; null counts as 1.
fn numbers(batch: &RecordBatch, column: &str) -> Option<Vec<f32>> {
    let column = batch.column_by_name(column)?;
    let floats = arrow::compute::cast(column, &DataType::Float32).ok()?;
    let floats = floats.as_primitive_opt::<Float32Type>()?;
    Some(
        (0..floats.len())
            .map(|at| if floats.is_null(at) { 1.0 } else { floats.value(at) })
            .collect(),
    )
}

/// A sample's captions, and whether its JSON could be read.
fn captions(
    file: &File,
    path: &Path,
    members: &[Member],
    keys: &CaptionKeys,
) -> Result<(Vec<Caption>, bool)> {
    let read = |field: &str| -> Result<Option<Vec<u8>>> {
        let Some(member) = members.iter().find(|m| m.field == field) else { return Ok(None) };
        let mut bytes = vec![0; member.size as usize];
        file.read_exact_at(&mut bytes, member.offset).map_err(|e| Error::io(path, e))?;
        Ok(Some(bytes))
    };
    Ok(captions_of(read("json")?.as_deref(), read("txt")?.as_deref(), keys))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_corpus::{Sample, ShardWriter};

    #[test]
    fn json_that_open_clip_never_reads_stops_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.tar");
        let mut writer = ShardWriter::create(&path).unwrap();
        for (key, json) in [
            ("0", r#"{"similarity": NaN, "captions": ["one", "two"]}"#),
            ("1", r#"{"similarity": -Infinity, "user": "\ud83d"}"#),
            ("2", "{broken"),
            ("3", ""),
        ] {
            let fields = [("jpg", "image"), ("json", json), ("txt", "a caption")];
            let fields = fields.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
            writer.write(&Sample { key: key.into(), fields: fields.to_vec() }).unwrap();
        }
        writer.finish().unwrap();
        let found =
            index_shard(&path, &Tokenizer::new(), 8, None, &CaptionKeys::default(), None).unwrap();
        let captions: Vec<usize> = found.pairs.iter().map(|pair| pair.captions.len()).collect();
        assert_eq!(captions, [2, 1, 1, 1]);
        assert_eq!((found.skipped, found.broken_json), (0, 2));
    }

    #[test]
    fn every_format_that_is_decoded_is_a_pair() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("0.tar");
        let mut writer = ShardWriter::create(&path).unwrap();
        let formats = ImageFormat::ALL.into_iter().flat_map(ImageFormat::extensions);
        let count = formats.clone().count();
        for extension in formats {
            let fields = [("txt", "a caption"), (extension, "image")];
            let fields = fields.map(|(name, text)| (name.to_owned(), text.as_bytes().to_vec()));
            writer.write(&Sample { key: (*extension).into(), fields: fields.to_vec() }).unwrap();
        }
        writer.finish().unwrap();
        let found =
            index_shard(&path, &Tokenizer::new(), 8, None, &CaptionKeys::default(), None).unwrap();
        assert_eq!((found.pairs.len(), found.skipped), (count, 0));
    }
}
