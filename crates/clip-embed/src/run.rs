//! Parts to files, one after the other, and what is done already of the same input is left.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use clip_corpus::EmbeddingNames;
use clip_format::PathError;

use crate::batch::{each_batch, write_rejects};
use crate::done::DoneFile;
use crate::{Encoder, Error, Input, Item, Npy, NumberType, Part, Result, Summary};

/// What decides the files.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where they go.
    pub output: PathBuf,
    /// How numbers are stored.
    pub numbers: NumberType,
    /// Items that are encoded at a time.
    pub batch: usize,
    /// What the embeddings are of (model, arithmetic, input): a folder of others is refused.
    pub identity: String,
}

/// Embeds all parts; `progress` hears of rows as they are done, and of parts. Stops between two
/// batches when it says so, leaving whole parts.
///
/// # Errors
/// When the folder holds other embeddings, a shard is damaged, or a file cannot be written.
pub fn run(
    input: &Input,
    encoder: &Encoder,
    options: &Options,
    progress: &dyn Fn(usize) -> bool,
) -> Result<Option<Summary>> {
    if input.texts {
        let wrong = |reason| Error::file(&options.output, format!("{reason}\nhint: --only image"));
        encoder.check_vocabulary().map_err(wrong)?;
    }
    let of = ("embed.json", "embeddings");
    let _lock = claim(&options.output, of, &options.identity, input.parts.len())?;
    let mut summary = Summary::default();
    let width = input.parts.len().saturating_sub(1).to_string().len().max(4);
    for (number, part) in input.parts.iter().enumerate() {
        let number = format!("{number:0width$}");
        let done = DoneFile::new(&options.output, &number, part)?;
        if done.reuse(&mut summary)? {
            continue;
        }
        let files = Files::new(&options.output, &number);
        let counts = embed(input, part, encoder, options, &files, progress)?;
        let Some((rows, rejects)) = counts else { return Ok(None) };
        done.write(rows, rejects, &mut summary)?;
    }
    Ok(Some(summary))
}

/// Names what a folder holds in a file of it, or checks that it is the same, and takes the folder
/// for as long as the lock lives; what a killed process left there is removed.
///
/// # Errors
/// When the folder holds something else, or another process writes there.
pub(crate) fn claim(
    folder: &Path,
    (file, what): (&str, &str),
    identity: &str,
    parts: usize,
) -> Result<File> {
    let path = folder.join(file);
    let known = std::fs::read_to_string(&path).ok();
    if known.as_ref().is_some_and(|found| found.trim() != identity.trim()) {
        let hint = "hint: give another --out, or remove the folder";
        return Err(Error::file(folder, format!("it holds other {what}\n{hint}")));
    }
    std::fs::create_dir_all(folder).map_err(|e| PathError::new(folder, e))?;
    let path_of_lock = folder.join(".lock");
    let lock = clip_corpus::lock_file(&path_of_lock, false);
    let lock = lock.map_err(|e| PathError::new(&path_of_lock, e))?.ok_or_else(|| {
        Error::file(folder, "another process writes here\nhint: wait for its end, or another --out")
    })?;
    match known {
        Some(_) => clip_format::remove_temporary_files(folder)?,
        None => clip_format::write_atomic(&path, identity.as_bytes())?,
    }
    clip_corpus::write_part_count(folder, parts)?;
    Ok(lock)
}

/// The files of one part.
struct Files {
    image: PathBuf,
    text: PathBuf,
    metadata: PathBuf,
    rejects: PathBuf,
}

impl Files {
    fn new(output: &Path, number: &str) -> Self {
        let names = EmbeddingNames::new(number);
        Self {
            image: output.join(names.images),
            text: output.join(names.texts),
            metadata: output.join(names.metadata),
            rejects: output.join(format!("rejects/rejects_{number}.jsonl")),
        }
    }
}

/// Writes the files of a part; returns its rows and rejects.
fn embed(
    input: &Input,
    part: &Part,
    encoder: &Encoder,
    options: &Options,
    files: &Files,
    progress: &dyn Fn(usize) -> bool,
) -> Result<Option<(usize, usize)>> {
    let dim = encoder.model().config().embed_dim as usize;
    let (mut images, mut texts) = (Npy::new(options.numbers, dim), Npy::new(options.numbers, dim));
    let (mut items, mut rejects) = (Vec::new(), Vec::new());
    let whole = each_batch(part, input, &encoder.transform(), options.batch, |batch| {
        rejects.extend(batch.rejects);
        if !batch.items.is_empty() {
            let item = |row: usize| format!("item {:?}", batch.items[row].key);
            if input.images {
                images.push(&encoder.images(&batch.images), item)?;
            }
            if input.texts {
                let captions: Vec<String> = batch
                    .items
                    .iter()
                    .map(|item| item.caption.clone().unwrap_or_default())
                    .collect();
                texts.push(&encoder.texts(&captions), item)?;
            }
        }
        let count = batch.items.len();
        items.extend(batch.items);
        Ok(progress(count))
    })?;
    if !whole {
        return Ok(None);
    }
    if input.images {
        images.write(&files.image)?;
    }
    if input.texts {
        texts.write(&files.text)?;
    }
    write_metadata(&files.metadata, input, &items)?;
    write_rejects(&files.rejects, &rejects)?;
    Ok(Some((items.len(), rejects.len())))
}

/// `image_path`, `caption`, and img2dataset's `url`, `uid`, `sha256`.
fn write_metadata(path: &Path, input: &Input, items: &[Item]) -> Result<()> {
    let mut fields = Vec::new();
    let mut columns: Vec<Arc<dyn arrow::array::Array>> = Vec::new();
    let mut add = |name: &str, get: &dyn Fn(&Item) -> Option<String>| {
        fields.push(Field::new(name, DataType::Utf8, true));
        columns.push(Arc::new(items.iter().map(get).collect::<StringArray>()));
    };
    if input.images {
        add("image_path", &|item| Some(item.key.clone()));
    }
    if input.texts {
        add("caption", &|item| item.caption.clone());
    }
    add("url", &|item| item.facts.url.clone());
    add("uid", &|item| item.facts.uid.clone());
    add("sha256", &|item| item.facts.sha256.clone());
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns)?;
    Ok(clip_corpus::write_parquet(path, schema, &[batch])?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_for_one_process_which_removes_what_a_killed_one_left() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let of = ("embed.json", "embeddings");
        let first = claim(&out, of, "a model", 1).unwrap();
        let error = claim(&out, of, "a model", 1).unwrap_err().to_string();
        assert!(error.contains("another process"), "{error}");
        drop(first);
        let error = claim(&out, of, "another", 1).unwrap_err().to_string();
        assert!(error.contains("other embeddings"), "{error}");
        let left = out.join("text_emb/.text_emb_0002.npy.tmp-1-00ff");
        std::fs::create_dir(out.join("text_emb")).unwrap();
        std::fs::write(&left, "half").unwrap();
        let _again = claim(&out, of, "a model", 1).unwrap();
        assert!(!left.exists());
    }
}
