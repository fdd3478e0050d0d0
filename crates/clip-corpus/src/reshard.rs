//! Cutting shards anew, with all samples or those of a subset (DataComp's resharder).

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::array::{ArrayRef, StringArray};
use arrow::compute::concat_batches;
use serde_json::Map;
use std::sync::Arc;

use crate::forget::uid_of;
use crate::{Error, IoContext, Result, Sample, ShardFiles, ShardReader, columns, uid_number};

/// How shards are cut.
#[derive(Debug, Clone)]
pub struct Reshard {
    /// Samples in a shard.
    pub shard_size: usize,
    /// Number of the first shard.
    pub first_shard: usize,
    /// Digits of a shard's number; DataComp's have 8.
    pub digits: usize,
    /// The ids to keep, in any order, one that is listed n times n times; all samples when absent.
    pub subset: Option<Vec<u128>>,
    /// Keys of the samples to leave out of a shard, by its path as it is given.
    pub without: HashMap<PathBuf, HashSet<String>>,
}

/// What a resharding did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resharded {
    /// Samples read.
    pub read: u64,
    /// Samples written.
    pub written: u64,
    /// Samples without a `uid` in their json: none can be in a subset.
    pub without_uid: u64,
    /// Ids of the subset that no sample had.
    pub not_found: u64,
    /// Samples that were left out by their keys.
    pub left_out: u64,
    /// Keys to leave out that no sample had.
    pub keys_not_found: u64,
    /// Samples of each shard, in their order.
    pub shards: Vec<(String, u64)>,
}

impl Reshard {
    /// Reads `shards` in order and writes tar, index and statistics of each new shard into
    /// `folder`, and a Parquet table where every shard read has one with a `key` column.
    ///
    /// With a subset, samples are named `{uid}-{n}`, as DataComp names them; otherwise they keep
    /// their keys. `progress` gets the number of samples read after every shard.
    pub fn run(
        &self,
        shards: &[PathBuf],
        folder: &Path,
        mut progress: impl FnMut(u64),
    ) -> Result<Resharded> {
        let mut wanted: Option<HashMap<u128, u32>> = self.subset.as_ref().map(|ids| {
            let mut counts = HashMap::new();
            ids.iter().for_each(|id| *counts.entry(*id).or_default() += 1);
            counts
        });
        let tables = shards.iter().all(|shard| shard.with_extension("parquet").is_file());
        let mut done = Resharded::default();
        let mut open: Option<Open> = None;
        for path in shards {
            let table = if tables { Some(Table::read(path)?) } else { None };
            let mut without = self.without.get(path).cloned().unwrap_or_default();
            for sample in ShardReader::open(path)? {
                let sample = sample?;
                done.read += 1;
                if without.remove(&sample.key) {
                    done.left_out += 1;
                    continue;
                }
                let copies = match &mut wanted {
                    None => vec![sample.key.clone()],
                    Some(wanted) => {
                        let Some(uid) = uid_of(&sample, path)? else {
                            done.without_uid += 1;
                            continue;
                        };
                        let copies = uid_number(&uid).and_then(|id| wanted.remove(&id));
                        (0..copies.unwrap_or(0)).map(|copy| format!("{uid}-{copy}")).collect()
                    }
                };
                for key in copies {
                    let number = self.first_shard + done.shards.len();
                    let shard = match &mut open {
                        Some(open) => open,
                        None => open.insert(Open::create(folder, number, self.digits)?),
                    };
                    let row = table.as_ref().map(|table| table.row(&sample.key)).transpose()?;
                    shard.write(&sample, key, row)?;
                    if shard.count as usize == self.shard_size {
                        done.shards.extend(open.take().map(Open::finish).transpose()?);
                    }
                }
            }
            done.keys_not_found += without.len() as u64;
            progress(done.read);
        }
        done.shards.extend(open.map(Open::finish).transpose()?);
        done.written = done.shards.iter().map(|(_, count)| count).sum();
        done.not_found = wanted.map_or(0, |left| left.values().map(|&n| u64::from(n)).sum());
        Ok(done)
    }
}

/// The table beside a shard, by key.
struct Table {
    path: PathBuf,
    rows: RecordBatch,
    places: HashMap<String, usize>,
}

impl Table {
    fn read(shard: &Path) -> Result<Self> {
        let path = shard.with_extension("parquet");
        let rows =
            concat_batches(&crate::schema_of(&path)?, &crate::read_parquet(&path)?).at(&path)?;
        let keys = columns::text(&rows, "key").ok_or_else(|| Error::Damaged {
            path: path.clone(),
            reason: "the table beside a shard has no text column `key`".into(),
        })?;
        let places = keys.iter().enumerate();
        let places = places.filter_map(|(at, key)| Some((key?.to_owned(), at))).collect();
        Ok(Self { path, rows, places })
    }

    fn row(&self, key: &str) -> Result<RecordBatch> {
        let place = self.places.get(key).ok_or_else(|| Error::Damaged {
            path: self.path.clone(),
            reason: format!("sample {key:?} of the shard has no row"),
        })?;
        Ok(self.rows.slice(*place, 1))
    }
}

/// A shard at work.
struct Open {
    table: PathBuf,
    files: ShardFiles,
    rows: Vec<RecordBatch>,
    keys: Vec<String>,
    count: u64,
}

impl Open {
    fn create(folder: &Path, number: usize, digits: usize) -> Result<Self> {
        let name = format!("{number:0digits$}");
        let table = folder.join(format!("{name}.parquet"));
        let (rows, keys) = (Vec::new(), Vec::new());
        Ok(Self { table, files: ShardFiles::create(folder, name)?, rows, keys, count: 0 })
    }

    fn write(&mut self, sample: &Sample, key: String, row: Option<RecordBatch>) -> Result<()> {
        self.files.sample(&Sample { key: key.clone(), fields: sample.fields.clone() })?;
        self.rows.extend(row);
        self.keys.push(key);
        self.count += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<(String, u64)> {
        if let Some(first) = self.rows.first() {
            let rows = concat_batches(&first.schema(), &self.rows).at(&self.table)?;
            let keys: ArrayRef = Arc::new(StringArray::from_iter_values(&self.keys));
            self.files.rows(&columns::with_column(&rows, "key", false, keys).at(&self.table)?)?;
        }
        let stats = Map::from_iter([("successes".to_owned(), self.count.into())]);
        let (samples, mut names) = self.files.finish_with(stats)?;
        Ok((names.swap_remove(0), samples))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ShardWriter, write_parquet};
    use serde_json::json;

    const A: &str = "139e4a9b22a614771f06c700a8ebe150";
    const B: &str = "6e356964a967af455c8016b75d691203";
    const C: &str = "ffffffffffffffffffffffffffffffff";

    fn shards(folder: &Path) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for (number, uids) in [vec![C, A], vec![B]].iter().enumerate() {
            let path = folder.join(format!("in-{number}.tar"));
            let mut writer = ShardWriter::create(&path).unwrap();
            let keys: Vec<String> = (0..uids.len()).map(|i| format!("{number}{i}")).collect();
            for (uid, key) in uids.iter().zip(&keys) {
                let json = json!({"uid": uid}).to_string().into_bytes();
                let fields =
                    vec![("json".to_owned(), json), ("txt".to_owned(), uid.as_bytes().to_vec())];
                writer.write(&Sample { key: key.clone(), fields }).unwrap();
            }
            writer.finish().unwrap();
            let text = |texts: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(texts)) };
            let keys = text(keys.iter().map(String::as_str).collect());
            let batch = RecordBatch::try_from_iter([("uid", text(uids.clone())), ("key", keys)]);
            let batch = batch.unwrap();
            write_parquet(&path.with_extension("parquet"), batch.schema(), &[batch]).unwrap();
            paths.push(path);
        }
        paths
    }

    #[test]
    fn a_subset_keeps_its_ids_as_often_as_they_stand() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = shards(folder.path());
        let id = |uid| uid_number(uid).unwrap();
        let subset = Some(vec![id(B), id(A), id(B), 7]);
        let out = folder.path().join("out");
        let without = HashMap::new();
        let reshard = Reshard { shard_size: 2, first_shard: 5, digits: 8, subset, without };
        let done = reshard.run(&inputs, &out, |_| ()).unwrap();
        let shards = vec![("00000005.tar".to_owned(), 2), ("00000006.tar".to_owned(), 1)];
        let expected =
            Resharded { read: 3, written: 3, not_found: 1, shards, ..Resharded::default() };
        assert_eq!(done, expected);
        let keys = |name: &str| -> Vec<String> {
            ShardReader::open(&out.join(name)).unwrap().map(|s| s.unwrap().key).collect()
        };
        assert_eq!(keys("00000005.tar"), [format!("{A}-0"), format!("{B}-0")]);
        assert_eq!(keys("00000006.tar"), [format!("{B}-1")]);
        for shard in ["00000005.tar", "00000006.tar"] {
            assert_eq!(crate::verify_shard(&out.join(shard), None).findings, []);
        }
    }

    #[test]
    fn samples_are_left_out_of_their_own_shard_only() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = shards(folder.path());
        let keys = |keys: [&str; 2]| keys.map(str::to_owned).into();
        // The second shard has no sample `00`.
        let without =
            [(inputs[0].clone(), keys(["00", "01"])), (inputs[1].clone(), keys(["00", "none"]))];
        let without = HashMap::from(without);
        let reshard = Reshard { shard_size: 10, first_shard: 0, digits: 5, subset: None, without };
        let out = folder.path().join("out");
        let done = reshard.run(&inputs, &out, |_| ()).unwrap();
        assert_eq!((done.read, done.written, done.left_out, done.keys_not_found), (3, 1, 2, 2));
        let shard = ShardReader::open(&out.join("00000.tar")).unwrap();
        let left: Vec<String> = shard.map(|sample| sample.unwrap().key).collect();
        assert_eq!(left, ["10"]);
        assert_eq!(crate::verify_shard(&out.join("00000.tar"), None).findings, []);
    }

    #[test]
    fn without_a_subset_every_sample_stays_under_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = shards(folder.path());
        let without = HashMap::new();
        let reshard = Reshard { shard_size: 10, first_shard: 0, digits: 5, subset: None, without };
        let out = folder.path().join("out");
        let done = reshard.run(&inputs, &out, |_| ()).unwrap();
        assert_eq!((done.written, done.shards.len()), (3, 1));
        let samples: Vec<Sample> =
            ShardReader::open(&out.join("00000.tar")).unwrap().map(|s| s.unwrap()).collect();
        assert_eq!(samples[2].key, "10");
        assert_eq!(samples[2].get("txt").unwrap(), B.as_bytes());
    }
}
