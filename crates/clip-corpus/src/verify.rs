//! Whether stored files are whole and agree with each other.

use std::path::{Path, PathBuf};

use arrow::array::Array;
use serde_json::Value;

use crate::{
    Error, PartFile, Result, ShardIndex, ShardReader, columns, hash_file, read_index, subset,
};

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The file concerned.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// What was looked at, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Samples of shards.
    pub samples: u64,
    /// Rows of tables and parts, and ids of subset files: failed rows among them.
    pub rows: u64,
    /// Parts that a stage announced and that are not there yet: incomplete, not damaged.
    pub missing: u64,
    /// Damage, in the order of the files.
    pub findings: Vec<Finding>,
}

/// What is said of a file of other bytes than were written.
pub const OTHER_CONTENT: &str = "the content is not what it was written as (blake3 differs)";

/// Looks at the bytes of an image; an error says what is wrong.
pub type ImageCheck<'a> = &'a (dyn Fn(&[u8]) -> std::result::Result<(), String> + Sync);

impl Verified {
    /// Adds what was found elsewhere.
    pub fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes += other.bytes;
        self.samples += other.samples;
        self.rows += other.rows;
        self.missing += other.missing;
        self.findings.extend(other.findings);
    }

    /// Notes damage of a file.
    pub fn bad(&mut self, path: &Path, reason: impl Into<String>) {
        self.findings.push(Finding { path: path.to_path_buf(), reason: reason.into() });
    }

    /// Counts a file that was read whole.
    fn read(&mut self, path: &Path) {
        self.files += 1;
        self.bytes += std::fs::metadata(path).map_or(0, |meta| meta.len());
    }

    /// Notes an error of a file, without the file's name and the hint about builds.
    pub fn failed(&mut self, path: &Path, error: &crate::Error) {
        let text = error.to_string();
        let text = text.split("\nhint:").next().unwrap_or_default();
        let name = path.display().to_string();
        let text = text.strip_prefix(&name).unwrap_or(text);
        self.bad(path, text.trim_start_matches([':', ' ']));
    }
}

/// Verifies a shard and the Parquet table, index and statistics beside it, where they are.
pub fn verify_shard(path: &Path, look: Option<ImageCheck>) -> Verified {
    let mut found = Verified::default();
    found.read(path);
    let (keys, whole) = samples(path, look, &mut found);
    found.samples += keys.len() as u64;
    if whole {
        beside(path, &keys, &mut found);
    }
    found
}

/// The keys of a shard, and whether it could be read to its end.
fn samples(path: &Path, look: Option<ImageCheck>, found: &mut Verified) -> (Vec<String>, bool) {
    let mut keys = Vec::new();
    let mut reader = match ShardReader::open(path) {
        Ok(reader) => reader,
        Err(error) => {
            found.failed(path, &error);
            return (keys, false);
        }
    };
    while let Some(sample) = reader.next() {
        let sample = match sample {
            Ok(sample) => sample,
            Err(error @ Error::DuplicateKey { .. }) => {
                found.failed(path, &error);
                if !matches!(reader.resume(), Ok(true)) {
                    break;
                }
                continue;
            }
            Err(error) => {
                found.failed(path, &error);
                return (keys, false);
            }
        };
        let key = sample.key.clone();
        if let Some(Err(error)) = sample.get("json").map(crate::json::from_slice::<Value>) {
            found.bad(path, format!("sample {key:?}: json: {error}"));
        }
        if sample.get("txt").is_some_and(|text| std::str::from_utf8(text).is_err()) {
            found.bad(path, format!("sample {key:?}: txt is not UTF-8"));
        }
        match (sample.image(), look) {
            (Some((_, [])), _) => found.bad(path, format!("sample {key:?}: the image is empty")),
            (Some((_, image)), Some(look)) => {
                if let Err(error) = look(image) {
                    found.bad(path, format!("sample {key:?}: {error}"));
                }
            }
            _ => {}
        }
        keys.push(key);
    }
    if let Some(place) = reader.rest() {
        let reason = format!(
            "data after the end-of-archive mark, at byte {place}: an archive was appended, and no reader sees it"
        );
        found.bad(path, reason);
    }
    (keys, true)
}

fn beside(path: &Path, keys: &[String], found: &mut Verified) {
    let index = path.with_extension("idx");
    if index.is_file() {
        found.read(&index);
        match (read_index(&index), ShardIndex::scan(path)) {
            // Another tool's.
            (Ok(None), _) => {}
            (Ok(Some(read)), Ok(scanned)) if read == scanned => {}
            (Ok(_), _) => found.bad(&index, "members are elsewhere than the index says"),
            (Err(error), _) => found.failed(&index, &error),
        }
    }
    let table = path.with_extension("parquet");
    if table.is_file() {
        found.read(&table);
        found.rows += crate::parquet_rows(&table).unwrap_or(0);
        match stored_keys(&table) {
            Ok(Some(stored)) if stored != keys => {
                let (rows, samples) = (stored.len(), keys.len());
                let reason = if rows == samples {
                    "its keys are not those of the shard".to_owned()
                } else {
                    format!("{rows} stored rows, but the shard has {samples} samples")
                };
                found.bad(&table, reason);
            }
            Ok(_) => {}
            Err(error) => found.failed(&table, &error),
        }
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let stats = path.with_file_name(format!("{name}_stats.json"));
    if let Ok(text) = std::fs::read(&stats) {
        found.read(&stats);
        match crate::json::from_slice::<Value>(&text) {
            Ok(value) => statistics(path, &stats, &value, keys.len(), found),
            Err(error) => found.bad(&stats, error.to_string()),
        }
    }
}

/// The keys of a table's rows whose image was stored, in order; nothing for a table of another
/// kind.
pub(crate) fn stored_keys(table: &Path) -> Result<Option<Vec<String>>> {
    let mut keys = Vec::new();
    for batch in crate::scan(table, &["key", "status"], 8192)? {
        let batch = batch?;
        let Some(column) = columns::text(&batch, "key") else { return Ok(None) };
        let status = columns::text(&batch, "status");
        let stored = |at: &usize| status.is_none_or(|status| status.value(*at) == "success");
        keys.extend((0..column.len()).filter(stored).map(|at| column.value(at).to_owned()));
    }
    Ok(Some(keys))
}

fn statistics(path: &Path, stats: &Path, value: &Value, samples: usize, found: &mut Verified) {
    if let Some(count) = value["successes"].as_u64().filter(|count| *count != samples as u64) {
        found.bad(stats, format!("{count} successes, but the shard has {samples} samples"));
    }
    for (key, path) in [("blake3", path), ("table_blake3", &path.with_extension("parquet"))] {
        let Some(wanted) = value[key].as_str() else { continue };
        match hash_file(path) {
            Ok((hash, _)) if hash == wanted => {}
            Ok(_) => found.bad(path, OTHER_CONTENT),
            Err(error) => found.failed(path, &error),
        }
    }
}

/// Verifies a Parquet file by reading all of it.
pub fn verify_table(path: &Path) -> Verified {
    let mut found = Verified::default();
    found.read(path);
    let rows = crate::scan(path, &[], 8192).and_then(|batches| {
        batches.map(|batch| batch.map(|batch| batch.num_rows() as u64)).sum::<Result<u64>>()
    });
    match rows {
        Ok(rows) => found.rows += rows,
        Err(error) => found.failed(path, &error),
    }
    found
}

/// Verifies an array: of a subset file that its 128-bit ids ascend, of numbers that all are there.
pub fn verify_subset(path: &Path) -> Verified {
    let mut found = Verified::default();
    found.read(path);
    if let Ok(rows) = crate::npy_rows(path) {
        found.rows += rows;
        return found;
    }
    match subset::read_subset(path) {
        Ok(ids) => {
            found.rows += ids.len() as u64;
            if !ids.is_sorted() {
                found.bad(path, "the ids are not sorted: DataComp's tools would miss some");
            }
        }
        Err(error) => found.failed(path, &error),
    }
    found
}

/// Verifies a file against the hash and the length that it was committed with.
pub fn verify_file(folder: &Path, file: &PartFile, found: &mut Verified) {
    let path = folder.join(&file.name);
    found.read(&path);
    match hash_file(&path) {
        Ok((_, length)) if length != file.bytes => {
            found.bad(&path, format!("{length} bytes, but {} were written", file.bytes));
        }
        Ok((now, _)) if now != file.blake3 => {
            found.bad(&path, OTHER_CONTENT);
        }
        Ok(_) => {}
        Err(error) => found.failed(&path, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gone::gone;
    use crate::{Sample, ShardWriter, write_parquet};
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use std::sync::Arc;

    fn shard(folder: &Path) -> PathBuf {
        let path = folder.join("00000.tar");
        let mut writer = ShardWriter::create(&path).unwrap();
        for key in ["a", "b"] {
            let fields = vec![("jpg".into(), vec![1; 600]), ("json".into(), b"{}".to_vec())];
            writer.write(&Sample { key: key.into(), fields }).unwrap();
        }
        let info = writer.finish().unwrap();
        std::fs::write(path.with_extension("idx"), info.index.to_text()).unwrap();
        let keys: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let batch = RecordBatch::try_from_iter([("key", keys)]).unwrap();
        write_parquet(&path.with_extension("parquet"), batch.schema(), &[batch]).unwrap();
        let stats = serde_json::json!({"successes": 2, "blake3": info.blake3});
        std::fs::write(folder.join("00000_stats.json"), stats.to_string()).unwrap();
        path
    }

    #[test]
    fn a_whole_shard_has_no_findings() {
        let folder = tempfile::tempdir().unwrap();
        let found = verify_shard(&shard(folder.path()), None);
        let counts = (found.files, found.samples, found.rows);
        assert_eq!((counts, found.findings), ((4, 2, 2), vec![]));
    }

    #[test]
    fn an_archive_after_another_is_found_and_the_index_of_another_tool_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = shard(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for name in ["00000.idx", "00000.parquet", "00000_stats.json"] {
            std::fs::remove_file(folder.path().join(name)).unwrap();
        }
        std::fs::write(
            path.with_extension("idx"),
            "v1.2 2\njpg 512 600 a.jpg\tjson 2048 2 a.json\n",
        )
        .unwrap();
        assert_eq!(verify_shard(&path, None).findings, []);
        assert_eq!(ShardIndex::of(&path).unwrap(), ShardIndex::scan(&path).unwrap());
        std::fs::write(&path, [&whole[..], &vec![0; 20_480], &whole[..]].concat()).unwrap();
        let findings = verify_shard(&path, None).findings;
        assert!(
            findings.len() == 1 && findings[0].reason.contains("end-of-archive"),
            "{findings:?}"
        );
    }

    #[test]
    fn a_shard_cut_or_changed_at_any_byte_is_found_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = shard(folder.path());
        let whole = std::fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(97) {
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(!verify_shard(&path, None).findings.is_empty(), "cut at {at}");
            let mut changed = whole.clone();
            changed[at] ^= 0x55;
            std::fs::write(&path, &changed).unwrap();
            assert!(!verify_shard(&path, None).findings.is_empty(), "changed at {at}");
        }
    }

    #[test]
    fn files_of_a_shard_that_are_gone_are_found_by_what_is_there() {
        let found = |remove: &[&str]| {
            let folder = tempfile::tempdir().unwrap();
            let table = |name: &str, statuses: [&str; 2]| {
                let column =
                    |texts: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(texts.to_vec())) };
                let columns = [("key", column(["a", "b"])), ("status", column(statuses))];
                let batch = RecordBatch::try_from_iter(columns).unwrap();
                write_parquet(&folder.path().join(name), batch.schema(), &[batch]).unwrap();
            };
            shard(folder.path());
            for name in ["00001.tar", "00002.tar"] {
                std::fs::copy(folder.path().join("00000.tar"), folder.path().join(name)).unwrap();
            }
            table("00001.parquet", ["success", "success"]);
            table("00002.parquet", ["success", "failed_to_download"]);
            // As img2dataset writes them.
            let stats = serde_json::json!({"count": 2, "successes": 2}).to_string();
            std::fs::write(folder.path().join("00001_stats.json"), stats).unwrap();
            // Not of one shard, or of one without images.
            table("all.parquet", ["success", "success"]);
            table("00003.parquet", ["failed_to_download", "failed_to_resize"]);
            for name in remove {
                std::fs::remove_file(folder.path().join(name)).unwrap();
            }
            let name = |f: Finding| f.path.file_name().unwrap().to_string_lossy().into_owned();
            gone(folder.path()).unwrap().into_iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(found(&[]), [""; 0]);
        for name in ["00000.tar", "00001.tar", "00002.tar", "00001.parquet"] {
            assert_eq!(found(&[name]), [name]);
        }
        assert_eq!(found(&["00001.tar", "00001.parquet"]), ["00001.tar"]);
        assert_eq!(found(&["00001.tar", "00001_stats.json"]), ["00001.tar"]);
    }

    #[test]
    fn what_images_look_like_is_asked() {
        let folder = tempfile::tempdir().unwrap();
        let path = shard(folder.path());
        let look = |_: &[u8]| Err("no image".to_owned());
        let found = verify_shard(&path, Some(&look));
        assert_eq!(found.findings.len(), 2);
        assert_eq!(found.findings[0].reason, "sample \"a\": no image");
    }
}
