//! Reading corpora of any kind into a survey.

use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use clip_corpus::{ShardIndex, ShardReader};
use clip_format::ImageFormat;
use clip_image::{DecodeOptions, decode, hash};

use super::record::{Columns, of_sample};
use super::{Place, Record, Survey};
use crate::{Error, Result};

/// How a corpus is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reading {
    /// Whether images without a perceptual hash are decoded to get one.
    pub hash: bool,
}

/// Adds the rows of a list of text, with columns of [`super::list_columns`], to a survey.
///
/// # Errors
/// What a batch has, and when no row has anything in those columns.
pub fn add_list<E: From<Error>>(
    path: &Path,
    batches: impl Iterator<Item = std::result::Result<RecordBatch, E>>,
    survey: &mut Survey,
) -> std::result::Result<(), E> {
    let (mut rows, mut known) = (0, false);
    for batch in batches {
        let batch = batch?;
        rows += batch.num_rows();
        for record in Columns::of(&batch.schema()).records(&batch) {
            known |= record != Record::default();
            survey.add(record);
        }
    }
    if known || rows == 0 { Ok(()) } else { Err(unknown(path).into()) }
}

fn unknown(path: &Path) -> Error {
    let hint = "hint: a list or corpus has a text column such as url, caption, key or uid";
    Error::file(path, format!("none of its columns is known\n{hint}"))
}

impl Reading {
    /// Adds the pairs of a file: a shard (with the table beside it, where there is one) or a
    /// Parquet table.
    ///
    /// A shard that is cut gives its whole samples and is named in the survey's `damaged`.
    pub fn add(self, path: &Path, survey: &mut Survey) -> Result<()> {
        if path.extension().is_some_and(|extension| extension == "parquet") {
            return table(path, |record| {
                survey.add(record);
                Ok(())
            });
        }
        let shard = survey.shards.len() as u32;
        survey.shards.push(path.to_path_buf());
        let beside = path.with_extension("parquet");
        let keyed =
            beside.is_file() && clip_corpus::schema_of(&beside)?.column_with_name("key").is_some();
        let read = if keyed {
            self.with_table(path, &beside, shard, survey)
        } else {
            self.samples(path, shard, survey)
        };
        match read {
            Err(Error::Corpus(error)) if error.is_damage() => {
                let text = error.to_string();
                survey.damaged.push(text.split("\nhint:").next().unwrap_or_default().to_owned());
                Ok(())
            }
            read => read,
        }
    }

    /// Rows of the table, each with the place of its image in the shard.
    fn with_table(self, path: &Path, beside: &Path, shard: u32, survey: &mut Survey) -> Result<()> {
        let index = ShardIndex::of(path)?;
        let images =
            index.members.into_iter().filter(|m| ImageFormat::of_extension(&m.field).is_some());
        let places: HashMap<String, (Place, String)> = images
            .map(|m| {
                let place = Place { shard, offset: m.offset, size: m.size as u32 };
                (m.key, (place, m.field))
            })
            .collect();
        let file = File::open(path).map_err(|e| Error::file(path, e))?;
        table(beside, |mut record| {
            if let Some((place, format)) = places.get(&record.key) {
                record.place = Some(*place);
                if record.format.is_empty() {
                    record.format.clone_from(format);
                }
                if self.hash && record.phash.is_none() {
                    let mut bytes = vec![0; place.size as usize];
                    let read = file.read_exact_at(&mut bytes, place.offset);
                    read.map_err(|e| Error::file(path, e))?;
                    hashed(&mut record, &bytes);
                }
            }
            survey.add(record);
            Ok(())
        })
    }

    fn samples(self, path: &Path, shard: u32, survey: &mut Survey) -> Result<()> {
        let index = ShardIndex::scan(path);
        let mut places: HashMap<(String, String), Place> = HashMap::new();
        for m in index.into_iter().flat_map(|index| index.members) {
            let place = Place { shard, offset: m.offset, size: m.size as u32 };
            places.insert((m.key, m.field), place);
        }
        for sample in ShardReader::open(path)? {
            let sample = sample?;
            let mut record = of_sample(&sample);
            if let Some((format, bytes)) = sample.image() {
                record.place = places.get(&(sample.key.clone(), format.to_owned())).copied();
                if self.hash && record.phash.is_none() {
                    hashed(&mut record, bytes);
                }
            }
            survey.add(record);
        }
        Ok(())
    }
}

/// Decodes an image to give its record the hashes that it lacks.
fn hashed(record: &mut Record, bytes: &[u8]) {
    let file = blake3::hash(bytes);
    let (half, _) = file.as_bytes().split_at(16);
    record.file =
        record.file.or(Some(half.iter().fold(0, |sum, &byte| sum << 8 | u128::from(byte))));
    // Decoded whole, as a build does: a hash of the image at a fraction is a bit or two off.
    match decode(bytes, &DecodeOptions::default()) {
        Ok(image) if !hash::is_flat(&image) => record.phash = Some(hash::phash(&image)),
        Ok(_) => {}
        Err(error) => record.status = format!("undecodable: {error}"),
    }
}

fn table(path: &Path, mut visit: impl FnMut(Record) -> Result<()>) -> Result<()> {
    let columns = Columns::of(&*clip_corpus::schema_of(path)?);
    if columns.is_empty() {
        return Err(unknown(path));
    }
    for batch in clip_corpus::scan(path, &[], 4096)? {
        columns.records(&batch?).into_iter().try_for_each(&mut visit)?;
    }
    Ok(())
}

/// The bytes of an image that a survey saw.
pub(super) fn image(shards: &[PathBuf], place: Place) -> Option<Vec<u8>> {
    let file = File::open(shards.get(place.shard as usize)?).ok()?;
    let mut bytes = vec![0; place.size as usize];
    file.read_exact_at(&mut bytes, place.offset).ok()?;
    Some(bytes)
}
