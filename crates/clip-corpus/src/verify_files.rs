//! Whether a data set without tars is whole: images in folders of their shards' names, or in the
//! tables.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;

use clip_format::{ImageFormat, PathError};
use serde_json::Value;

use crate::gone::{names_in, samples_in};
use crate::verify::{OTHER_CONTENT, Verified, stored_keys, verify_table};
use crate::{Result, hash_file};

/// Verifies the tables of a folder's shards by their statistics, and that the image of each stored
/// row is there, where images are files. None where the folder has no statistics of shards, or has
/// tars.
///
/// # Errors
/// When the folder cannot be read.
pub fn verify_files(folder: &Path) -> Result<Option<Verified>> {
    let names = names_in(folder)?;
    let shards: Vec<&str> =
        names.iter().filter_map(|name| name.strip_suffix("_stats.json")).collect();
    let tars = names.iter().any(|name| crate::is_shard(Path::new(name)));
    if shards.is_empty() || tars {
        return Ok(None);
    }
    let mut all = Verified::default();
    for shard in shards {
        one(folder, shard, &names, &mut all)?;
    }
    Ok(Some(all))
}

fn one(folder: &Path, shard: &str, names: &BTreeSet<String>, all: &mut Verified) -> Result<()> {
    let stats = folder.join(format!("{shard}_stats.json"));
    let written = std::fs::read(&stats).map_err(|e| PathError::new(&stats, e))?;
    all.files += 1;
    all.bytes += written.len() as u64;
    let written: Value = match crate::json::from_slice(&written) {
        Ok(written) => written,
        Err(error) => {
            all.bad(&stats, error.to_string());
            return Ok(());
        }
    };
    let successes = written["successes"].as_u64().unwrap_or(0);
    let table = folder.join(format!("{shard}.parquet"));
    let mut keys = None;
    if table.is_file() {
        let found = verify_table(&table);
        let whole = found.findings.is_empty();
        all.add(found);
        if let Some(wanted) = written["table_blake3"].as_str()
            && hash_file(&table)?.0 != wanted
        {
            all.bad(&table, OTHER_CONTENT);
        } else if whole {
            keys = stored_keys(&table)?;
        }
    } else if written["table_blake3"].is_string() {
        all.bad(&table, "it is gone, and its statistics are not");
    }
    if !names.contains(shard) {
        if let Some(reason) = samples_in(&written, &table, false) {
            all.bad(&folder.join(format!("{shard}.tar")), reason);
        }
        return Ok(());
    }
    let samples = folder.join(shard);
    let images: HashSet<String> = names_in(&samples)?
        .into_iter()
        .filter(|name| ImageFormat::of_path(Path::new(name)).is_some())
        .filter_map(|name| Some(name.rsplit_once('.')?.0.to_owned()))
        .collect();
    all.samples += images.len() as u64;
    match keys {
        Some(keys) => {
            for key in keys.iter().filter(|key| !images.contains(*key)) {
                all.bad(&samples.join(key), "its image is gone, and its row is not");
            }
        }
        None if images.len() as u64 != successes => {
            let count = images.len();
            all.bad(&stats, format!("{successes} successes, but {shard} has {count} images"));
        }
        None => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch, StringArray};

    use super::*;
    use crate::write_parquet;

    #[test]
    fn images_and_tables_that_are_gone_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("00000")).unwrap();
        for name in ["a.jpg", "a.json", "b.png"] {
            std::fs::write(at("00000").join(name), b"x").unwrap();
        }
        let texts = |texts: [&str; 3]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
        let columns = [
            ("key", texts(["a", "b", "c"])),
            ("status", texts(["success", "success", "failed_to_download"])),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        write_parquet(&at("00000.parquet"), batch.schema(), &[batch]).unwrap();
        let hash = hash_file(&at("00000.parquet")).unwrap().0;
        let stats = serde_json::json!({"successes": 2, "table_blake3": hash}).to_string();
        std::fs::write(at("00000_stats.json"), stats).unwrap();
        let reasons = || -> Vec<String> {
            let found = verify_files(folder.path()).unwrap().unwrap();
            found.findings.into_iter().map(|finding| finding.reason).collect()
        };
        assert_eq!(reasons(), [""; 0]);
        std::fs::remove_file(at("00000/b.png")).unwrap();
        assert_eq!(reasons(), ["its image is gone, and its row is not"]);
        std::fs::remove_file(at("00000.parquet")).unwrap();
        assert_eq!(reasons().len(), 2);
        std::fs::write(at("00001.tar"), b"").unwrap();
        assert_eq!(verify_files(folder.path()).unwrap(), None);
    }
}
