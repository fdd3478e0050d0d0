//! Cutting shards anew, with all samples or those of a subset (DataComp's resharder).

mod output;
mod rows;
mod settings;
mod shuffle;
mod spool;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::forget::uid_of;
use crate::{Result, Sample, ShardReader, Written, uid_number};
use output::Output;
use rows::{RowCodec, Table, common_schema};
pub use settings::Reshard;
use shuffle::{FILE_BYTES, Shuffle};

/// Where samples wait that are shuffled, in the folder that is written to.
const SHUFFLE: &str = ".shuffle";

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
    /// Samples whose key another of their new shard has: a number is after it.
    pub renamed: u64,
    /// Samples that were left out by their keys.
    pub left_out: u64,
    /// Keys to leave out that no sample had.
    pub keys_not_found: u64,
    /// Rows of the tables beside the shards that have no sample: their image did not come.
    pub without_image: u64,
    /// Samples of each shard, in their order.
    pub shards: Vec<(String, u64)>,
}

impl Reshard {
    /// Reads `shards` in order and writes tar, index and statistics of each new shard into
    /// `folder`, and a Parquet table where every shard read has one with a `key` column: with all
    /// columns of them, which are null where a table has no such one.
    ///
    /// With a subset, samples are named `{uid}-{n}`, as DataComp names them; otherwise they keep
    /// their keys. Shuffled samples are on disk once more until they are written; memory holds some
    /// of them. `progress` gets the number of samples read after every shard.
    pub fn run(
        &self,
        shards: &[PathBuf],
        folder: &Path,
        progress: impl FnMut(u64),
    ) -> Result<Resharded> {
        self.run_with(shards, folder, FILE_BYTES, progress)
    }

    fn run_with(
        &self,
        shards: &[PathBuf],
        folder: &Path,
        file_bytes: u64,
        progress: impl FnMut(u64),
    ) -> Result<Resharded> {
        let mut output = Output::new(self, folder);
        let mut done = match self.shuffle {
            None => self.read(shards, progress, |chosen| {
                let row = chosen.table.map(|table| table.row(chosen.key)).transpose()?;
                output.write(chosen.sample, row)
            })?,
            Some(seed) => {
                let mut shuffle = Shuffle::new(folder.join(SHUFFLE), seed, file_bytes)?;
                let mut codec: Option<RowCodec> = None;
                let done = self.read(shards, progress, |chosen| {
                    let row = match (chosen.table, &mut codec) {
                        (None, _) => None,
                        (Some(table), Some(codec)) => Some(codec.encode(&table.row(chosen.key)?)?),
                        (Some(table), none) => {
                            let codec = none.insert(RowCodec::new(table)?);
                            Some(codec.encode(&table.row(chosen.key)?)?)
                        }
                    };
                    shuffle.push(chosen.sample, chosen.id, chosen.copy, row.as_deref())
                })?;
                shuffle.for_each(|(sample, row)| {
                    let row = row.as_deref().zip(codec.as_ref());
                    output.write(&sample, row.map(|(row, codec)| codec.decode(row)).transpose()?)
                })?;
                done
            }
        };
        done.renamed = output.renamed;
        done.shards = output.finish()?;
        done.written = done.shards.iter().map(|(_, count)| count).sum();
        Ok(done)
    }

    /// Gives the samples that are to be written to `visit`, in their order.
    fn read(
        &self,
        shards: &[PathBuf],
        mut progress: impl FnMut(u64),
        mut visit: impl FnMut(Chosen) -> Result<()>,
    ) -> Result<Resharded> {
        let mut wanted: Option<HashMap<u128, u32>> = self.subset.as_ref().map(|ids| {
            let mut counts = HashMap::new();
            ids.iter().for_each(|id| *counts.entry(*id).or_default() += 1);
            counts
        });
        let tables = shards.iter().all(|shard| shard.with_extension("parquet").is_file());
        let schema = if tables { Some(common_schema(shards)?) } else { None };
        let mut done = Resharded::default();
        for path in shards {
            // The new shards have hashes of their own, and damage would be seen no more.
            Written::check(path)?;
            let table = schema.as_ref().map(|schema| Table::read(path, schema)).transpose()?;
            let mut without = self.without.get(path).cloned().unwrap_or_default();
            let before = done.read;
            for sample in ShardReader::open(path)? {
                let mut sample = sample?;
                done.read += 1;
                if without.remove(&sample.key) {
                    // Of a subset those that it has. Their ids were found.
                    let chosen = match &mut wanted {
                        Some(wanted) => {
                            let id = uid_of(&sample, path)?.and_then(|uid| uid_number(&uid));
                            id.and_then(|id| wanted.remove(&id)).is_some()
                        }
                        None => true,
                    };
                    done.left_out += u64::from(chosen);
                    continue;
                }
                let uid = match (&wanted, self.shuffle) {
                    (None, None) => None,
                    _ => uid_of(&sample, path)?,
                };
                let key = sample.key.clone();
                let mut chosen = |sample: &Sample, copy| {
                    let id = uid.as_deref().unwrap_or(&key);
                    visit(Chosen { sample, id, copy, key: &key, table: table.as_ref() })
                };
                let Some(wanted) = &mut wanted else {
                    chosen(&sample, 0)?;
                    continue;
                };
                let Some(uid) = &uid else {
                    done.without_uid += 1;
                    continue;
                };
                let copies = uid_number(uid).and_then(|id| wanted.remove(&id)).unwrap_or(0);
                for copy in 0..copies {
                    sample.key = format!("{uid}-{copy}");
                    chosen(&sample, copy.into())?;
                }
            }
            let rows = table.as_ref().map_or(0, Table::len);
            done.without_image += rows.saturating_sub(done.read - before);
            done.keys_not_found += without.len() as u64;
            progress(done.read);
        }
        done.not_found = wanted.map_or(0, |left| left.values().map(|&n| u64::from(n)).sum());
        Ok(done)
    }
}

/// A sample that is to be written.
struct Chosen<'a> {
    /// Under its new key.
    sample: &'a Sample,
    /// Its uid, else the key that it had: what the order of shuffled samples depends on.
    id: &'a str,
    /// Its number among those that are written of one sample.
    copy: u64,
    /// The key that it had, by which its row is found.
    key: &'a str,
    table: Option<&'a Table>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ShardWriter, write_parquet};
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use serde_json::json;
    use std::sync::Arc;

    const A: &str = "139e4a9b22a614771f06c700a8ebe150";
    const B: &str = "6e356964a967af455c8016b75d691203";
    const C: &str = "ffffffffffffffffffffffffffffffff";

    /// All samples, in their order, in shards of `shard_size` from number 0 on.
    fn shards_of(shard_size: usize) -> Reshard {
        let without = HashMap::new();
        Reshard { shard_size, first_shard: 0, digits: 5, subset: None, without, shuffle: None }
    }

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
        let reshard = Reshard { first_shard: 5, digits: 8, subset, ..shards_of(2) };
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
        let reshard = Reshard { without, ..shards_of(10) };
        let out = folder.path().join("out");
        let done = reshard.run(&inputs, &out, |_| ()).unwrap();
        assert_eq!((done.read, done.written, done.left_out, done.keys_not_found), (3, 1, 2, 2));
        let shard = ShardReader::open(&out.join("00000.tar")).unwrap();
        let left: Vec<String> = shard.map(|sample| sample.unwrap().key).collect();
        assert_eq!(left, ["10"]);
        // Of a subset, copies that it has not are none that were left out.
        let subset = Some(vec![uid_number(B).unwrap()]);
        let reshard = Reshard { subset, ..reshard };
        let done = reshard.run(&inputs, &folder.path().join("part"), |_| ()).unwrap();
        assert_eq!((done.written + done.left_out, done.not_found), (1, 0));
        assert_eq!(crate::verify_shard(&out.join("00000.tar"), None).findings, []);
    }

    #[test]
    fn of_data_sets_that_count_alike_every_sample_has_a_key_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let [one, two] = ["one", "two"].map(|name| folder.path().join(name));
        for folder in [&one, &two] {
            std::fs::create_dir(folder).unwrap();
        }
        let inputs = [shards(&one), shards(&two)].concat();
        let out = folder.path().join("out");
        let done = shards_of(10).run(&inputs, &out, |_| ()).unwrap();
        assert_eq!((done.written, done.renamed), (6, 3));
        let shard = ShardReader::open(&out.join("00000.tar")).unwrap();
        let keys: Vec<String> = shard.map(|sample| sample.unwrap().key).collect();
        assert_eq!(keys, ["00", "01", "10", "00-1", "01-1", "10-1"]);
        assert_eq!(crate::verify_shard(&out.join("00000.tar"), None).findings, []);
    }

    #[test]
    fn without_a_subset_every_sample_stays_under_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = shards(folder.path());
        let reshard = shards_of(10);
        let out = folder.path().join("out");
        let done = reshard.run(&inputs, &out, |_| ()).unwrap();
        assert_eq!((done.written, done.shards.len()), (3, 1));
        let samples: Vec<Sample> =
            ShardReader::open(&out.join("00000.tar")).unwrap().map(|s| s.unwrap()).collect();
        assert_eq!(samples[2].key, "10");
        assert_eq!(samples[2].get("txt").unwrap(), B.as_bytes());
    }

    /// Shards of samples with uids and tables; the samples are cut at these places.
    fn numbered(folder: &Path, cuts: &[std::ops::Range<u64>]) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        for (number, range) in cuts.iter().enumerate() {
            let path = folder.join(format!("{number}.tar"));
            let mut writer = ShardWriter::create(&path).unwrap();
            let uid = |n: u64| crate::uid("http://e.com", &n.to_string());
            for n in range.clone() {
                let json = json!({"uid": uid(n)}).to_string().into_bytes();
                let fields = vec![
                    ("jpg".to_owned(), vec![n as u8; (1 + n * 37 % 900) as usize]),
                    ("json".to_owned(), json),
                ];
                writer.write(&Sample { key: format!("{n:06}"), fields }).unwrap();
            }
            writer.finish().unwrap();
            let text = |of: &dyn Fn(u64) -> String| -> ArrayRef {
                Arc::new(StringArray::from_iter_values(range.clone().map(of)))
            };
            let key = text(&|n| format!("{n:06}"));
            let batch = RecordBatch::try_from_iter([("uid", text(&uid)), ("key", key)]).unwrap();
            write_parquet(&path.with_extension("parquet"), batch.schema(), &[batch]).unwrap();
            paths.push(path);
        }
        paths
    }

    fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
        let entries = std::fs::read_dir(folder).unwrap().map(std::result::Result::unwrap);
        let mut files: Vec<_> = entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, std::fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn shuffled(inputs: &[PathBuf], seed: Option<u64>, file_bytes: u64) -> Vec<(String, Vec<u8>)> {
        let out = tempfile::tempdir().unwrap();
        let reshard = Reshard { shuffle: seed, ..shards_of(70) };
        let done = reshard.run_with(inputs, out.path(), file_bytes, |_| ()).unwrap();
        assert_eq!((done.read, done.written), (500, 500));
        for (name, _) in &done.shards {
            assert_eq!(crate::verify_shard(&out.path().join(name), None).findings, []);
        }
        files(out.path())
    }

    fn keys(files: &[(String, Vec<u8>)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        let tars = files.iter().filter(|(name, _)| name.ends_with(".tar"));
        let keys = tars.flat_map(|(name, bytes)| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let keys: Vec<_> =
                ShardReader::open(&path).unwrap().map(|sample| sample.unwrap().key).collect();
            keys
        });
        keys.collect()
    }

    #[test]
    fn a_shuffled_order_depends_on_seed_and_uids_alone() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = numbered(folder.path(), &[0..123, 123..400, 400..500]);
        let one = shuffled(&inputs, Some(7), 1 << 20);
        // Files that are cut again and again: down to a sample each.
        for file_bytes in [0, 2_000, 30_000] {
            assert!(shuffled(&inputs, Some(7), file_bytes) == one, "{file_bytes} bytes");
        }
        // Another order of the same shards, and another cut.
        let turned: Vec<PathBuf> = inputs.iter().rev().cloned().collect();
        assert!(shuffled(&turned, Some(7), 1 << 20) == one);
        let other = tempfile::tempdir().unwrap();
        let cut = numbered(other.path(), &[0..499, 499..500]);
        assert!(shuffled(&cut, Some(7), 1 << 20) == one);
        let (plain, first) = (keys(&shuffled(&inputs, None, 0)), keys(&one));
        let second = keys(&shuffled(&inputs, Some(8), 1 << 20));
        assert!(plain.is_sorted() && first != plain && first != second);
        let sorted = |mut keys: Vec<String>| {
            keys.sort();
            keys
        };
        assert_eq!(sorted(first.clone()), plain);
        assert_eq!(sorted(second), plain);
        // Neighbours are from everywhere: a third of 499 steps would go up by chance in some runs
        // only.
        let ups = first.windows(2).filter(|two| two[0] < two[1]).count();
        assert!((180..320).contains(&ups), "{ups}");
    }

    #[test]
    fn copies_of_one_sample_are_shuffled_apart() {
        let folder = tempfile::tempdir().unwrap();
        let inputs = numbered(folder.path(), &[0..15, 15..40]);
        let id = |n: u64| uid_number(&crate::uid("http://e.com", &n.to_string())).unwrap();
        let subset = (0..40).flat_map(|n| [id(n); 3]).collect();
        let reshard = Reshard { subset: Some(subset), shuffle: Some(1), ..shards_of(1000) };
        let out = folder.path().join("out");
        assert_eq!(reshard.run(&inputs, &out, |_| ()).unwrap().written, 120);
        assert!(!out.join(SHUFFLE).exists());
        let keys = keys(&files(&out));
        let together =
            keys.windows(2).filter(|two| two[0].split('-').next() == two[1].split('-').next());
        assert!(together.count() < 12);
    }
}
