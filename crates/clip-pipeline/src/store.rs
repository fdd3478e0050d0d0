//! A run in object storage, where all its processes find it: the folder of each is a copy of what
//! it needs.

use std::io::ErrorKind;
use std::path::Path;

use clip_corpus::{Commit, Manifest, PartFile, hash_file};
use clip_format::AtomicFile;
use clip_format::write_atomic;
use clip_store::Store;

use crate::layout::{
    DECISION_INDEX, PartFileKind, RunLayout, StageLayout, commit_name, commit_part, is_stage_name,
};
use crate::{Error, Result};

/// Where the lines of a stage's manifest are, one object for each part.
const COMMITS: &str = "commits";

/// The objects of a run: those of a stage under the name of its folder, and
/// one with the line of each part.
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
    /// When the URL is no object storage that this executable can use.
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

    pub(crate) fn stage(&self, layout: &StageLayout) -> Store {
        self.0.at(&layout.name())
    }

    /// Writes a summary that the last writer may decide.
    pub(crate) fn publish(&self, run: &RunLayout, name: &str) -> Result<()> {
        self.0.upload(name, &run.dir().join(name)).map_err(|e| failed(&self.0, name, e))
    }

    /// Copies the lines of parts that others committed to the stage's manifest.
    pub(crate) fn sync_manifest(&self, layout: &StageLayout) -> Result<()> {
        let commits = self.stage(layout).at(COMMITS);
        let stored = commits.list().map_err(|e| failed(&commits, "", e))?;
        if stored.is_empty() {
            return Ok(());
        }
        let mut manifest = Manifest::open(layout.dir())?;
        let absent =
            |name: &String| commit_part(name).is_some_and(|part| manifest.get(part).is_none());
        let absent: Vec<String> = stored.into_iter().map(|(name, _)| name).filter(absent).collect();
        let lines = commits.get_all(&absent).map_err(|e| failed(&commits, "", e))?;
        let lines = absent.iter().zip(lines).map(|(name, line)| parsed(&commits, name, &line));
        Ok(manifest.extend(lines.collect::<Result<_>>()?)?)
    }

    /// Makes the folder say what the store says, whatever it said before: another machine may have
    /// begun the stage anew.
    pub(crate) fn refresh(&self, layout: &StageLayout) -> Result<()> {
        let (stage, old) = (self.stage(layout), Manifest::open(layout.dir())?);
        let get = |name: &str| stage.get(name).map_err(|e| failed(&stage, name, e));
        let file = get(StageLayout::FILE)?;
        remove(&layout.file())?;
        remove(&layout.manifest())?;
        self.refresh_decisions(layout)?;
        if let Some(file) = file {
            write_atomic(&layout.file(), &file.bytes)?;
            self.sync_manifest(layout)?;
        }
        let now = Manifest::open(layout.dir())?;
        let same =
            |commit: &Commit| now.get(commit.part).is_some_and(|now| now.files == commit.files);
        let stale = old.commits().filter(|commit| !same(commit));
        let mut stale = stale.flat_map(|commit| &commit.files);
        stale.try_for_each(|file| remove(&layout.dir().join(&file.name)))
    }

    /// Removes decisions that are not those of the store.
    fn refresh_decisions(&self, layout: &StageLayout) -> Result<()> {
        let (stage, name) = (self.stage(layout), DECISION_INDEX);
        let path = layout.dir().join(name);
        let mine = match std::fs::read(&path) {
            Ok(mine) => mine,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(Error::io(&path, e)),
        };
        let theirs = stage.get(name).map_err(|e| failed(&stage, name, e))?;
        if theirs.is_some_and(|theirs| theirs.bytes == mine) {
            return Ok(());
        }
        let folder = layout.decisions();
        std::fs::remove_dir_all(&folder).map_err(|e| Error::io(&folder, e))
    }

    /// Commits a part: its files, then its line. Gives the line that is there now: another
    /// process's, if it was faster; then the folder keeps nothing that is not in it.
    pub(crate) fn push(&self, layout: &StageLayout, commit: Commit) -> Result<Commit> {
        let stage = self.stage(layout);
        let (commits, name) = (stage.at(COMMITS), commit_name(commit.part));
        let line = || commits.get(&name).map_err(|e| failed(&commits, &name, e));
        let mut theirs = line()?;
        if theirs.is_none() {
            commit.files.iter().try_for_each(|file| self.upload_file(layout, file))?;
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
            commit.files.iter().try_for_each(|file| remove(&layout.dir().join(&file.name)))?;
        }
        Ok(theirs)
    }

    /// Uploads a file that others may have uploaded with other content.
    pub(crate) fn upload_file(&self, layout: &StageLayout, file: &PartFile) -> Result<()> {
        let (stage, path) = (self.stage(layout), layout.dir().join(&file.name));
        stage.upload(&object_name(file), &path).map_err(|e| failed(&stage, &file.name, e))
    }

    /// Makes sure that a file that was uploaded is in the folder, whole.
    pub(crate) fn ensure_local(&self, layout: &StageLayout, file: &PartFile) -> Result<()> {
        let path = layout.dir().join(&file.name);
        if std::fs::metadata(&path).is_ok_and(|meta| meta.len() == file.bytes) {
            return Ok(());
        }
        let stage = self.stage(layout);
        copy(&stage, &object_name(file), &path)?;
        if hash_file(&path)?.0 == file.blake3 {
            return Ok(());
        }
        remove(&path)?;
        Err(damaged(&stage, &file.name, "its content is not what its part was committed with"))
    }

    /// Copies a file that is the same for all processes, where there is one; whether the folder
    /// has it now.
    pub(crate) fn get_if_exists(&self, layout: &StageLayout, name: &str) -> Result<bool> {
        let (stage, path) = (self.stage(layout), layout.dir().join(name));
        if path.exists() {
            return Ok(true);
        }
        match copy(&stage, name, &path) {
            Ok(()) => Ok(true),
            Err(Error::Io(error)) if error.source.kind() == ErrorKind::NotFound => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Puts a file that the first process decides where there is none, else takes what is there.
    pub(crate) fn put_if_absent(&self, layout: &StageLayout, name: &str) -> Result<()> {
        let (stage, path) = (self.stage(layout), layout.dir().join(name));
        let mine = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        if stage.create(name, mine).map_err(|e| failed(&stage, name, e))? {
            return Ok(());
        }
        let theirs = stage.get(name).map_err(|e| failed(&stage, name, e))?;
        theirs.map_or(Ok(()), |theirs| Ok(write_atomic(&path, &theirs.bytes)?))
    }

    /// Copies the file that says what decides a stage, of every stage that is in the store.
    pub(crate) fn stage_files(&self, run: &RunLayout) -> Result<()> {
        let names = self.0.names().map_err(|e| failed(&self.0, "", e))?;
        let stages = names.iter().filter(|name| is_stage_name(name));
        stages
            .map(|name| StageLayout::new(&run.dir().join(name)))
            .try_for_each(|stage| self.get_if_exists(&stage, StageLayout::FILE).map(drop))
    }

    /// Removes a stage.
    pub(crate) fn invalidate(&self, layout: &StageLayout) -> Result<()> {
        let stage = self.stage(layout);
        stage.clear().map_err(|e| failed(&stage, "", e))
    }
}

/// Shards are read by others by their names, and are the same whoever makes them.
fn object_name(file: &PartFile) -> String {
    match PartFileKind::from_name(&file.name) {
        Some(PartFileKind::Shard) => file.name.clone(),
        _ => format!("{}.{}", file.name, &file.blake3[..16]),
    }
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
