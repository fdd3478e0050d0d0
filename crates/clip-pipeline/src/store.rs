//! A run in object storage, where all its processes find it: the folder of each is a copy of what it needs.

use std::collections::HashSet;
use std::path::Path;

use clip_corpus::{Commit, Manifest, hash_file, write_atomic};
use clip_store::Store;

use crate::plan::StageFile;
use crate::{Error, Result};

/// Where the lines of a stage's manifest lie, one object for each part.
const COMMITS: &str = "commits";

/// The objects of a run: those of a stage under the name of its folder, and `commits/part-00007.json` for each part.
///
/// A part is committed by creating that object where there is none, after the files that it names. Whoever does the
/// same part again finds it there, and has made the same bytes.
#[derive(Debug, Clone)]
pub struct RunStore(Store);

impl RunStore {
    /// The run of a name in a store.
    ///
    /// # Errors
    /// When the address is no object storage that this executable can use.
    pub fn open(store: &str, name: &str) -> Result<Self> {
        let hint = "hint: s3://bucket/folder; credentials come from the environment";
        let opened =
            Store::open(store).map_err(|e| Error::Config(format!("store {store}: {e}\n{hint}")))?;
        Ok(Self(opened.at(name)))
    }

    /// Where it is.
    pub fn address(&self) -> &str {
        self.0.address()
    }

    pub(crate) fn stage(&self, folder: &Path) -> Store {
        self.0.at(&folder.file_name().unwrap_or_default().to_string_lossy())
    }

    /// Writes a summary that the last writer may decide.
    pub fn publish(&self, name: &str, text: &str) -> Result<()> {
        self.0.put(name, text.as_bytes().to_vec()).map_err(|e| failed(&self.0, name, e))
    }

    /// Brings the lines of parts that others committed to the manifest in `folder`.
    pub(crate) fn pull(&self, folder: &Path) -> Result<()> {
        let commits = self.stage(folder).at(COMMITS);
        let there = commits.list().map_err(|e| failed(&commits, "", e))?;
        if there.is_empty() {
            return Ok(());
        }
        let mut manifest = Manifest::open(folder)?;
        let absent = |name: &String| part_of(name).is_some_and(|part| manifest.get(part).is_none());
        let absent: Vec<String> = there.into_iter().map(|(name, _)| name).filter(absent).collect();
        let lines = commits.get_all(&absent).map_err(|e| failed(&commits, "", e))?;
        let lines = absent.iter().zip(lines).map(|(name, line)| parsed(&commits, name, &line));
        Ok(manifest.extend(lines.collect::<Result<_>>()?)?)
    }

    /// Puts there what `folder` had before the run had a store.
    pub(crate) fn share(&self, folder: &Path) -> Result<()> {
        let manifest = Manifest::open(folder)?;
        if manifest.commits().next().is_none() {
            return Ok(());
        }
        self.settle(folder, StageFile::NAME)?;
        let commits = self.stage(folder).at(COMMITS);
        let there = commits.list().map_err(|e| failed(&commits, "", e))?;
        let there: HashSet<usize> = there.iter().filter_map(|(name, _)| part_of(name)).collect();
        let mine = manifest.commits().filter(|commit| !there.contains(&commit.part));
        mine.cloned().try_for_each(|commit| self.push(folder, commit).map(drop))
    }

    /// Commits a part: its files, then its line. Gives the line that is there now: another process's, if it was faster.
    ///
    /// # Errors
    /// When that one made other bytes of the same part.
    pub(crate) fn push(&self, folder: &Path, commit: Commit) -> Result<Commit> {
        let stage = self.stage(folder);
        for (name, _, _) in &commit.files {
            stage.upload(name, &folder.join(name)).map_err(|e| failed(&stage, name, e))?;
        }
        let (commits, name) = (stage.at(COMMITS), line_name(commit.part));
        let line = serde_json::json!(commit).to_string().into_bytes();
        if commits.create(&name, line).map_err(|e| failed(&commits, &name, e))? {
            return Ok(commit);
        }
        let theirs = commits.get(&name).map_err(|e| failed(&commits, &name, e))?;
        let theirs =
            theirs.ok_or_else(|| damaged(&commits, &name, "it was there and is not now"))?;
        let theirs = parsed(&commits, &name, &theirs.bytes)?;
        if theirs.files == commit.files {
            return Ok(theirs);
        }
        Err(damaged(&commits, &name, "another process made other bytes of the same part"))
    }

    /// Makes sure that a committed file is in `folder`, whole.
    pub(crate) fn bring(
        &self,
        folder: &Path,
        (name, hash, bytes): &(String, String, u64),
    ) -> Result<()> {
        let path = folder.join(name);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == *bytes) {
            return Ok(());
        }
        let stage = self.stage(folder);
        stage.download(name, &path).map_err(|e| failed(&stage, name, e))?;
        if hash_file(&path)?.0 == *hash {
            return Ok(());
        }
        let _ = std::fs::remove_file(&path);
        Err(damaged(&stage, name, "its content is not what its part was committed with"))
    }

    /// Brings a file that is the same for all processes, where it is there; whether `folder` has it now.
    pub(crate) fn find(&self, folder: &Path, name: &str) -> Result<bool> {
        let (stage, path) = (self.stage(folder), folder.join(name));
        if path.exists() {
            return Ok(true);
        }
        match stage.download(name, &path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(failed(&stage, name, e)),
        }
    }

    /// Gives the others a file that is the same whoever makes it.
    pub(crate) fn give(&self, folder: &Path, name: &str) -> Result<()> {
        let stage = self.stage(folder);
        stage.upload(name, &folder.join(name)).map_err(|e| failed(&stage, name, e))
    }

    /// Settles a file that the first process decides: puts mine where there is none, else takes what is there.
    pub(crate) fn settle(&self, folder: &Path, name: &str) -> Result<()> {
        let (stage, path) = (self.stage(folder), folder.join(name));
        let mine = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        if stage.create(name, mine).map_err(|e| failed(&stage, name, e))? {
            return Ok(());
        }
        let theirs = stage.get(name).map_err(|e| failed(&stage, name, e))?;
        theirs.map_or(Ok(()), |theirs| Ok(write_atomic(&path, &theirs.bytes)?))
    }

    /// Removes a stage.
    pub(crate) fn forget(&self, folder: &Path) -> Result<()> {
        let stage = self.stage(folder);
        stage.clear().map_err(|e| failed(&stage, "", e))
    }
}

fn line_name(part: usize) -> String {
    format!("part-{part:05}.json")
}

fn part_of(name: &str) -> Option<usize> {
    name.strip_prefix("part-")?.strip_suffix(".json")?.parse().ok()
}

fn parsed(commits: &Store, name: &str, line: &[u8]) -> Result<Commit> {
    serde_json::from_slice(line).map_err(|e| damaged(commits, name, &e.to_string()))
}

fn failed(store: &Store, name: &str, source: std::io::Error) -> Error {
    Error::io(Path::new(&format!("{}/{name}", store.address())), source)
}

fn damaged(store: &Store, name: &str, reason: &str) -> Error {
    let path = format!("{}/{name}", store.address()).into();
    Error::Corpus(clip_corpus::Error::Damaged { path, reason: reason.to_owned() })
}
