//! A run in object storage, where all its processes find it: the folder of each is a copy of what
//! it needs.

use std::io::ErrorKind;
use std::path::Path;

use clip_corpus::{Commit, Manifest, hash_file};
use clip_format::AtomicFile;
use clip_format::write_atomic;
use clip_store::Store;

use crate::plan::StageFile;
use crate::run::DECISIONS;
use crate::{Error, Result};

/// Where the lines of a stage's manifest lie, one object for each part.
const COMMITS: &str = "commits";

/// The objects of a run: those of a stage under the name of its folder, and
/// `commits/part-00007.json` for each part.
///
/// A part is committed by creating that object where there is none, after the files that it names.
/// A file's object is named by its content, too, so that whoever does the same part again writes
/// over nothing; what it made counts only if it was first. Shards, which come out the same, keep
/// their plain names for those who read them there.
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
    pub(crate) fn publish(&self, folder: &Path, name: &str) -> Result<()> {
        self.0.upload(name, &folder.join(name)).map_err(|e| failed(&self.0, name, e))
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

    /// Makes `folder` say what the store says, whatever it said before: another machine may have
    /// begun the stage anew.
    pub(crate) fn refresh(&self, folder: &Path) -> Result<()> {
        let (stage, old) = (self.stage(folder), Manifest::open(folder)?);
        let file = stage.get(StageFile::NAME).map_err(|e| failed(&stage, StageFile::NAME, e))?;
        for name in [StageFile::NAME, Manifest::FILE, DECISIONS] {
            remove(&folder.join(name))?;
        }
        if let Some(file) = file {
            write_atomic(&folder.join(StageFile::NAME), &file.bytes)?;
            self.pull(folder)?;
        }
        let now = Manifest::open(folder)?;
        let same =
            |commit: &Commit| now.get(commit.part).is_some_and(|now| now.files == commit.files);
        let stale = old.commits().filter(|commit| !same(commit));
        let mut stale = stale.flat_map(|commit| &commit.files);
        stale.try_for_each(|(name, _, _)| remove(&folder.join(name)))
    }

    /// Commits a part: its files, then its line. Gives the line that is there now: another
    /// process's, if it was faster; then `folder` keeps nothing that is not in it.
    pub(crate) fn push(&self, folder: &Path, commit: Commit) -> Result<Commit> {
        let stage = self.stage(folder);
        let (commits, name) = (stage.at(COMMITS), line_name(commit.part));
        let line = || commits.get(&name).map_err(|e| failed(&commits, &name, e));
        let mut theirs = line()?;
        if theirs.is_none() {
            for (name, hash, _) in &commit.files {
                let object = object_name(name, hash);
                stage.upload(&object, &folder.join(name)).map_err(|e| failed(&stage, name, e))?;
            }
            let mine = serde_json::json!(commit).to_string().into_bytes();
            if commits.create(&name, mine).map_err(|e| failed(&commits, &name, e))? {
                return Ok(commit);
            }
            theirs = line()?;
        }
        let theirs =
            theirs.ok_or_else(|| damaged(&commits, &name, "it was there and is not now"))?;
        let theirs = parsed(&commits, &name, &theirs.bytes)?;
        if theirs.files != commit.files {
            commit.files.iter().try_for_each(|(name, _, _)| remove(&folder.join(name)))?;
        }
        Ok(theirs)
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
        copy(&stage, &object_name(name, hash), &path)?;
        if hash_file(&path)?.0 == *hash {
            return Ok(());
        }
        remove(&path)?;
        Err(damaged(&stage, name, "its content is not what its part was committed with"))
    }

    /// Brings a file that is the same for all processes, where it is there; whether `folder` has it
    /// now.
    pub(crate) fn find(&self, folder: &Path, name: &str) -> Result<bool> {
        let (stage, path) = (self.stage(folder), folder.join(name));
        if path.exists() {
            return Ok(true);
        }
        match copy(&stage, name, &path) {
            Ok(()) => Ok(true),
            Err(Error::Io(error)) if error.source.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Gives the others a file that is the same whoever makes it.
    pub(crate) fn give(&self, folder: &Path, name: &str) -> Result<()> {
        let stage = self.stage(folder);
        stage.upload(name, &folder.join(name)).map_err(|e| failed(&stage, name, e))
    }

    /// Settles a file that the first process decides: puts mine where there is none, else takes
    /// what is there.
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

/// Shards are read by others by their names, and are the same whoever makes them.
fn object_name(name: &str, hash: &str) -> String {
    if name.starts_with("shards/") { name.to_owned() } else { format!("{name}.{}", &hash[..16]) }
}

/// An object as a file, whole or not at all.
fn copy(stage: &Store, name: &str, path: &Path) -> Result<()> {
    let io = |e| failed(stage, name, e);
    let mut object = stage.read(name, 0).map_err(io)?;
    let mut file = AtomicFile::create(path)?;
    std::io::copy(&mut object, &mut file).map_err(io)?;
    Ok(file.commit()?)
}

fn remove(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(Error::io(path, e)),
        _ => Ok(()),
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
