//! Images of rows: out of the shard next to a table, or of the stage that stored them.

use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::AsArray;
use clip_corpus::{ParquetFile, ShardIndex, columns, row_part, scan};
use clip_crawl::ImageFetch;
use clip_format::{ImageFormat, PathError};
use clip_pipeline::{StageReader, tables_in};
use clip_report::stored;

use crate::{Error, Result};

/// Bytes of the largest image that is shown.
const LARGEST: u64 = 64 << 20;
/// Shards whose index is kept.
const SHARDS: usize = 8;

/// Where images are in shards that were asked for lately.
#[derive(Default)]
pub(crate) struct ShardIndexes(Mutex<Vec<(PathBuf, u64, Arc<ShardIndex>)>>);

impl ShardIndexes {
    /// The index of a shard, newest first; read again when its length changed.
    fn of(&self, shard: &Path) -> Result<Arc<ShardIndex>> {
        let length = std::fs::metadata(shard).map_err(|e| PathError::new(shard, e))?.len();
        let lock = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = |(path, of, _): &&(PathBuf, u64, _)| path == shard && *of == length;
        if let Some((.., index)) = lock().iter().find(known) {
            return Ok(index.clone());
        }
        let index = Arc::new(ShardIndex::of(shard)?);
        let mut all = lock();
        all.retain(|(path, ..)| path != shard);
        all.insert(0, (shard.to_path_buf(), length, index.clone()));
        all.truncate(SHARDS);
        Ok(index)
    }

    /// The image of a sample of a shard.
    ///
    /// # Errors
    /// When the shard cannot be read.
    pub fn image(&self, shard: &Path, key: &str) -> Result<Option<Vec<u8>>> {
        let index = self.of(shard)?;
        let is_image = |field: &str| {
            let ending = field.rsplit('.').next().unwrap_or(field);
            ImageFormat::of_extension(ending).is_some()
        };
        let member = index.members.iter().find(|m| m.key == key && is_image(&m.field));
        let Some(member) = member.filter(|member| member.size <= LARGEST) else { return Ok(None) };
        let mut bytes = Vec::new();
        File::open(shard)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(member.offset))?;
                file.take(member.size).read_to_end(&mut bytes)
            })
            .map_err(|e| PathError::new(shard, e))?;
        Ok(Some(bytes))
    }
}

/// The image of a row of a run: that of the stage that stored it, or of the shards where a lean
/// build moved it.
///
/// # Errors
/// When what is stored is damaged.
pub(crate) fn image_of_row(stages: &[StageReader], row: u64) -> Result<Option<Vec<u8>>> {
    let Some(fetch) = stages.iter().find(|stage| stage.name == ImageFetch::STAGE) else {
        return Ok(None);
    };
    let path = fetch.layout.images(row_part(row));
    if path.is_file() {
        return image_in(&path, row);
    }
    let Some(last) = stages.last() else { return Ok(None) };
    if tables_in(&last.layout.shards()).is_empty() {
        return Ok(None);
    }
    let name = (String::new(), row.to_string());
    let wanted = HashSet::from([name.clone()]);
    Ok(stored(&wanted, &fetch.layout, &last.layout.shards())?.remove(&name))
}

/// The image of a row in a file of images.
fn image_in(path: &Path, row: u64) -> Result<Option<Vec<u8>>> {
    let mut before = 0;
    for batch in scan(path, &[columns::ROW], 65_536)? {
        let batch = batch?;
        let rows = columns::uint64(&batch, columns::ROW);
        let place = rows.and_then(|rows| rows.values().iter().position(|&other| other == row));
        let Some(place) = place else {
            before += batch.num_rows();
            continue;
        };
        let file = ParquetFile::open(path)?;
        let column = file.schema().index_of(columns::IMAGE);
        let column = column.map_err(|_| Error::absent(format!("{}: images", path.display())))?;
        let batch = file.rows_at(Some(&[column]), &[before + place])?.next().transpose()?;
        let image =
            batch.and_then(|batch| Some(batch.column(0).as_binary_opt::<i32>()?.value(0).to_vec()));
        return Ok(image);
    }
    Ok(None)
}
