//! Where a data set goes: a folder, or object storage with a folder here for what is at work.

use std::collections::HashSet;
use std::fmt::Display;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clip_format::{AtomicFile, write_atomic};
use clip_pipeline::{Error, Result};
use clip_store::Store;

use super::DatasetConfig;
use super::folder::{self, SETTINGS};
use crate::lease::Leases;

/// Where jobs of an array keep each other from asking a host at once.
const HOSTS: &str = "_tmp/hosts";
/// Files of a folder that are copied from object storage at a time, in memory.
const COPIED: usize = 64;

/// The folder of a data set. Where that is in object storage, a folder of this machine has what
/// is not there yet; a shard moves there when it is whole, its statistics last.
pub(super) struct Output {
    folder: PathBuf,
    store: Option<Store>,
}

impl Output {
    /// At a path or a URL; jobs of an array have folders of their own for what is not in the
    /// storage yet.
    pub fn open(place: &Path, job: Option<(usize, usize)>) -> Result<Self> {
        let address = place.to_string_lossy();
        if !address.contains("://") {
            return Ok(Self { folder: place.to_path_buf(), store: None });
        }
        let bad = |why: &dyn Display| {
            let hint = "hint: s3://bucket/folder; credentials come from the environment";
            Error::Config(format!("{}: {why}\n{hint}", clip_store::redacted(&address)))
        };
        let store = Store::open(&address).map_err(|e| bad(&e))?;
        let cache = clip_corpus::cache_folder("fetch");
        let cache =
            cache.ok_or_else(|| bad(&"CLIP_DATA_CACHE names no folder for shards at work"))?;
        // The same URL may be another place at another endpoint.
        let endpoint = std::env::var("AWS_ENDPOINT_URL").unwrap_or_default();
        let identity = format!("{} {job:?} {endpoint}", store.address());
        let folder = cache.join(&blake3::hash(identity.as_bytes()).to_hex()[..32]);
        Ok(Self { folder, store: Some(store) })
    }

    /// The folder in which shards are made.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The locks on hosts that jobs of an array share.
    pub fn leases(&self) -> std::io::Result<Arc<Leases>> {
        match &self.store {
            Some(store) => Leases::stored(store.at(HOSTS)),
            None => Leases::new(self.folder.join(HOSTS)),
        }
    }

    /// Numbers of the shards that are whole, there or here.
    pub fn done(&self) -> Result<HashSet<usize>> {
        let mut done = folder::done(&self.folder)?;
        if let Some(store) = &self.store {
            let names = store.names().map_err(|e| failed(store, "", e))?;
            done.extend(names.iter().filter_map(|name| folder::shard_of_stats(name)));
        }
        Ok(done)
    }

    /// Those of these shards whose tar is there, or here.
    pub fn with_tars(
        &self,
        mut done: HashSet<usize>,
        names: clip_corpus::ShardNames,
    ) -> Result<HashSet<usize>> {
        let stored = self.store.as_ref().map(|store| (store, store.names()));
        let stored: HashSet<String> = match stored {
            Some((store, names)) => names.map_err(|e| failed(store, "", e))?.into_iter().collect(),
            None => HashSet::new(),
        };
        done.retain(|&id| {
            let tar = format!("{}.tar", names.shard(id));
            stored.contains(&tar) || self.folder.join(tar).exists()
        });
        Ok(done)
    }

    /// The settings that the data set was made with; none where img2dataset made it.
    pub fn settings(&self) -> Result<Option<DatasetConfig>> {
        if let Some(store) = &self.store
            && let Some(found) = store.get(SETTINGS).map_err(|e| failed(store, SETTINGS, e))?
        {
            let place = format!("{}/{SETTINGS}", store.address());
            return folder::parsed(Path::new(&place), &String::from_utf8_lossy(&found.bytes));
        }
        folder::settings_of(&self.folder)
    }

    /// Writes them, here as well: shards that are made but not there yet are of these.
    pub fn write_settings(&self, text: &str) -> Result<()> {
        write_atomic(&self.folder.join(SETTINGS), text.as_bytes())?;
        let Some(store) = &self.store else { return Ok(()) };
        store.put(SETTINGS, text.as_bytes().to_vec()).map_err(|e| failed(store, SETTINGS, e))
    }

    /// Removes shards, and what an interrupted run left.
    pub fn clear(&self) -> Result<()> {
        folder::clear(&self.folder)?;
        let Some(store) = &self.store else { return Ok(()) };
        let names = store.names().map_err(|e| failed(store, "", e))?;
        for name in names.iter().filter(|name| folder::is_of_shard(name)) {
            // A folder of files, or an object.
            let removed =
                if name.contains(['_', '.']) { store.remove(name) } else { store.at(name).clear() };
            removed.map_err(|e| failed(store, name, e))?;
        }
        Ok(())
    }

    /// Moves a shard that is whole here to where it belongs. Killed within, it is done again by
    /// [`Self::publish_all`]: what says here that the shard is whole goes last.
    pub fn publish(&self, shard: &str) -> Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let stats = format!("{shard}_stats.json");
        let files: Vec<String> = ["tar", "parquet"].map(|end| format!("{shard}.{end}")).into();
        let mut files: Vec<String> =
            files.into_iter().filter(|name| self.folder.join(name).exists()).collect();
        let samples = self.folder.join(shard);
        match std::fs::read_dir(&samples) {
            Ok(entries) => {
                for entry in entries {
                    let name = entry.map_err(|e| Error::io(&samples, e))?.file_name();
                    files.push(format!("{shard}/{}", name.to_string_lossy()));
                }
            }
            Err(e) if e.kind() == NotFound => {}
            Err(e) => return Err(Error::io(&samples, e)),
        }
        let sent = store.upload_all(&self.folder, &files);
        let sent = sent.and_then(|()| store.upload(&stats, &self.folder.join(&stats)));
        sent.map_err(|e| failed(store, shard, e))?;
        files.iter().try_for_each(|name| self.discard(name))?;
        // It is empty by now, where there is one.
        let _ = std::fs::remove_dir(&samples);
        self.discard(&stats)
    }

    /// Removes the copy of a file that is in the storage.
    pub fn discard(&self, name: &str) -> Result<()> {
        if self.store.is_none() {
            return Ok(());
        }
        let path = self.folder.join(name);
        std::fs::remove_file(&path).map_err(|e| Error::io(&path, e))
    }

    /// Removes the copy of a shard that was brought here and not changed.
    pub fn discard_shard(&self, shard: &str) -> Result<()> {
        if self.store.is_none() {
            return Ok(());
        }
        let gone = |path: &Path, removed: std::io::Result<()>| match removed {
            Err(e) if e.kind() != NotFound => Err(Error::io(path, e)),
            _ => Ok(()),
        };
        for name in [format!("{shard}.parquet"), format!("{shard}.tar")] {
            let path = self.folder.join(name);
            gone(&path, std::fs::remove_file(&path))?;
        }
        let samples = self.folder.join(shard);
        gone(&samples, std::fs::remove_dir_all(&samples))
    }

    /// Moves all shards that are whole here.
    pub fn publish_all(&self, names: clip_corpus::ShardNames) -> Result<()> {
        if self.store.is_none() {
            return Ok(());
        }
        folder::done(&self.folder)?.into_iter().try_for_each(|id| self.publish(&names.shard(id)))
    }

    /// Copies a file of a shard here, over what is here.
    pub fn bring(&self, name: &str) -> Result<()> {
        let Some(store) = &self.store else { return Ok(()) };
        let from = |e| failed(store, name, e);
        let mut body = store.read(name, 0).map_err(from)?;
        let mut file = AtomicFile::create(&self.folder.join(name))?;
        std::io::copy(&mut body, &mut file).map_err(from)?;
        Ok(file.commit()?)
    }

    /// Copies the samples of a shard here that are files.
    pub fn bring_samples(&self, shard: &str) -> Result<()> {
        let Some(store) = self.store.as_ref().map(|store| store.at(shard)) else { return Ok(()) };
        let from = |e| failed(&store, "", e);
        let names: Vec<String> =
            store.list().map_err(from)?.into_iter().map(|(name, _)| name).collect();
        let folder = self.folder.join(shard);
        for names in names.chunks(COPIED) {
            for (name, bytes) in names.iter().zip(store.get_all(names).map_err(from)?) {
                let path = clip_corpus::below(&folder, name);
                let path = path.map_err(|e| Error::stage("retry", format!("{name:?}: {e}")))?;
                write_atomic(&path, &bytes)?;
            }
        }
        Ok(())
    }
}

fn failed(store: &Store, name: &str, source: std::io::Error) -> Error {
    let place = format!("{}/{name}", store.address());
    Error::io(Path::new(place.trim_end_matches('/')), source)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_corpus::ShardNames;

    #[test]
    fn whole_shards_move_and_one_that_a_kill_left_here_follows() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().join("here");
        let store = Store::open(&format!("file://{}/there", dir.path().display())).unwrap();
        let output = Output { folder: here.clone(), store: Some(store.clone()) };
        std::fs::create_dir_all(here.join("00001")).unwrap();
        let write = |name: &str| std::fs::write(here.join(name), name).unwrap();
        for name in ["00000.tar", "00000.parquet", "00000_stats.json"] {
            write(name);
        }
        for name in ["00001/0.jpg", "00001/0.json", "00001.parquet", "00001_stats.json"] {
            write(name);
        }
        // At work: no statistics yet.
        write("00002.tar");
        assert_eq!(output.done().unwrap(), HashSet::from([0, 1]));
        output.publish("00000").unwrap();
        assert_eq!(store.names().unwrap(), ["00000.parquet", "00000.tar", "00000_stats.json"]);
        // Killed after the upload: the statistics here are the last to go.
        write("00000_stats.json");
        output.publish_all(ShardNames::new(5, 10)).unwrap();
        assert_eq!(output.done().unwrap(), HashSet::from([0, 1]));
        assert_eq!(store.at("00001").names().unwrap(), ["0.jpg", "0.json"]);
        let left: Vec<_> =
            std::fs::read_dir(&here).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["00002.tar"]);
        output.bring("00000.tar").unwrap();
        output.bring_samples("00001").unwrap();
        assert_eq!(std::fs::read(here.join("00001/0.jpg")).unwrap(), b"00001/0.jpg");
        output.write_settings("url_col = \"u\"").unwrap();
        store.put("notes.json", b"mine".to_vec()).unwrap();
        assert_eq!(output.settings().unwrap().unwrap().url_col, "u");
        output.clear().unwrap();
        let left: Vec<_> = store.list().unwrap().into_iter().map(|(name, _)| name).collect();
        assert_eq!(left, [SETTINGS, "notes.json"]);
        assert!(output.done().unwrap().is_empty());
    }

    #[test]
    fn what_is_no_object_storage_is_refused() {
        for address in ["https://example.org/set", "ftp://a/b", "s3://"] {
            let error = Output::open(Path::new(address), None).err().unwrap().to_string();
            assert!(error.contains(address) && error.contains("\nhint: "), "{error}");
        }
    }
}
