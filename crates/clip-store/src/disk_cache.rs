//! A bounded folder with copies of files behind URLs, shared by the processes of a machine.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// Locks of downloads: a file's is chosen by its name, so that they need no cleaning.
const LOCKS: u64 = 64;
/// The ending of a file that is being downloaded; it is locked for as long as it is.
const PART: &str = ".part";
/// Time between two looks whether there is room.
const WAIT: Duration = Duration::from_millis(100);

/// Copies of files, each downloaded once; the least recently used make room for others.
///
/// A copy has its name only when it is whole and checked, so a process that is killed leaves a part
/// that the next one writes anew. A process that has a copy open keeps it: it may lose its name
/// meanwhile, not its content.
#[derive(Debug, Clone)]
pub struct DiskCache {
    folder: PathBuf,
    limit: u64,
}

impl DiskCache {
    /// A cache in a folder, of at most `limit` bytes.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn new(folder: &Path, limit: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder.join(".locks"))?;
        Ok(Self { folder: folder.to_path_buf(), limit })
    }

    /// Where the copy of a URL is kept: files of one folder stay beside each other.
    ///
    /// # Errors
    /// When the URL ends in no plain name.
    pub fn path(&self, url: &str) -> io::Result<PathBuf> {
        let (parent, name) = url.rsplit_once('/').unwrap_or(("", url));
        let name = name.split(['?', '#']).next().unwrap_or(name);
        if name.is_empty() || name.starts_with('.') || name.contains(['\\', '\0']) {
            let reason = format!("{name:?} is no name for a file");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        Ok(self.folder.join(&blake3::hash(parent.as_bytes()).to_hex()[..16]).join(name))
    }

    /// Path and content of the copy of what is behind a URL, downloaded unless it is there. Of
    /// several processes that ask for one file, one downloads it.
    ///
    /// # Errors
    /// `NotFound` where there is no such file, `InvalidData` where its hash is not `blake3`, and
    /// when it is larger than the whole cache.
    pub fn get(&self, url: &str, blake3: Option<&str>) -> io::Result<(PathBuf, File)> {
        self.get_from(url, blake3, &|| {
            let reader = crate::open(url, 0)?;
            let length = reader.length().map_or_else(|| crate::length(url), Ok)?;
            Ok((Box::new(reader), length))
        })
    }

    /// The same, from what `open` gives: a stream and its length.
    fn get_from(
        &self,
        url: &str,
        blake3: Option<&str>,
        open: &dyn Fn() -> io::Result<(Box<dyn Read>, u64)>,
    ) -> io::Result<(PathBuf, File)> {
        let path = self.path(url)?;
        if let Some(file) = used(&path)? {
            return Ok((path, file));
        }
        let hash = blake3::hash(path.as_os_str().as_encoded_bytes());
        let number = u64::from(hash.as_bytes()[0]) % LOCKS;
        let _downloading = lock(&self.folder.join(format!(".locks/{number}")))?;
        if let Some(file) = used(&path)? {
            return Ok((path, file));
        }
        let (reader, length) = open()?;
        let part = PathBuf::from(format!("{}{PART}", path.display()));
        let file = self.reserve(&part, length)?;
        if let Err(error) = download(reader, length, blake3, &file) {
            let _ = std::fs::remove_file(&part);
            return Err(error);
        }
        std::fs::rename(&part, &path)?;
        let file = File::open(&path)?;
        Ok((path, file))
    }

    /// Makes room and takes it: an empty file of that length, locked.
    fn reserve(&self, part: &Path, length: u64) -> io::Result<File> {
        if length > self.limit {
            let (limit, hint) = (self.limit, "hint: a higher --cache-limit");
            let reason = format!("{length} bytes, and the cache has {limit}\n{hint}");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        if let Some(parent) = part.parent() {
            std::fs::create_dir_all(parent)?;
        }
        loop {
            let locked = lock(&self.folder.join(".locks/room"))?;
            if self.evict(self.limit - length, part)? {
                let file = OpenOptions::new().create(true).truncate(true).write(true).open(part)?;
                file.lock()?;
                file.set_len(length)?;
                return Ok(file);
            }
            // Others' downloads fill it; when they are whole, they can make room.
            drop(locked);
            std::thread::sleep(WAIT);
        }
    }

    /// Removes what was used longest ago until no more than `room` bytes are left, `part` not
    /// counted; whether that could be done.
    fn evict(&self, room: u64, part: &Path) -> io::Result<bool> {
        let (mut whole, mut total) = (Vec::new(), 0);
        for folder in folders(&self.folder)? {
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                // Another process may have renamed it just now.
                let Ok(status) = std::fs::metadata(&path) else { continue };
                if path == part {
                    continue;
                }
                total += status.len();
                let used = status.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                if !path.to_string_lossy().ends_with(PART) || is_left(&path) {
                    whole.push((used, status.len(), path));
                }
            }
        }
        whole.sort();
        for (_, length, path) in whole {
            if total <= room {
                break;
            }
            std::fs::remove_file(&path)?;
            total -= length;
        }
        Ok(total <= room)
    }
}

/// Writes a stream to a file, unless its length or hash is another than was said.
fn download(
    mut reader: Box<dyn Read>,
    length: u64,
    blake3: Option<&str>,
    mut file: &File,
) -> io::Result<()> {
    let (mut hasher, mut copied) = (blake3::Hasher::new(), 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = match reader.read(&mut buffer) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            break;
        }
        copied += read as u64;
        if copied > length {
            break;
        }
        if blake3.is_some() {
            hasher.update(&buffer[..read]);
        }
        file.write_all(&buffer[..read])?;
    }
    if copied != length {
        let reason = format!("{copied} bytes or more came of {length}");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
    }
    if blake3.is_some_and(|wanted| *wanted != *hasher.finalize().to_hex()) {
        let reason = "the content is not what it was written as (blake3 differs)";
        return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    }
    file.sync_data()
}

/// Whether a part is a killed process's: it is locked while it is written.
fn is_left(part: &Path) -> bool {
    File::open(part).is_ok_and(|file| file.try_lock().is_ok())
}

/// The folders of a cache.
fn folders(cache: &Path) -> io::Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(cache)? {
        let path = entry?.path();
        if path.is_dir() && !path.ends_with(".locks") {
            folders.push(path);
        }
    }
    Ok(folders)
}

/// Opens a copy and notes that it was used now.
fn used(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        opened => {
            let file = opened?;
            // On a file system that keeps no times, the oldest are those that came first.
            let _ = file.set_modified(SystemTime::now());
            Ok(Some(file))
        }
    }
}

/// Held by one process at a time, for as long as the file is open.
fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A store of files of 1,000 bytes each, and a cache of 2,500.
    fn set() -> (tempfile::TempDir, tempfile::TempDir, DiskCache) {
        let (store, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for name in ["a", "b", "c", "d"] {
            std::fs::write(store.path().join(name), vec![name.as_bytes()[0]; 1000]).unwrap();
        }
        let cache = DiskCache::new(folder.path(), 2500).unwrap();
        (store, folder, cache)
    }

    fn ask(
        store: &tempfile::TempDir,
        cache: &DiskCache,
        name: &str,
        asked: &AtomicUsize,
    ) -> io::Result<(PathBuf, File)> {
        cache.get_from(&format!("https://host/set/{name}"), None, &|| {
            asked.fetch_add(1, Ordering::Relaxed);
            let file = File::open(store.path().join(name))?;
            let length = file.metadata()?.len();
            Ok((Box::new(file), length))
        })
    }

    fn get(store: &tempfile::TempDir, cache: &DiskCache, name: &str) -> (PathBuf, File, bool) {
        let asked = AtomicUsize::new(0);
        let (path, file) = ask(store, cache, name, &asked).unwrap();
        (path, file, asked.into_inner() == 1)
    }

    #[test]
    fn the_least_recently_used_makes_room_and_an_open_copy_keeps_its_content() {
        let (store, _folder, cache) = set();
        let (path, mut file, fresh) = get(&store, &cache, "a");
        assert!(fresh);
        get(&store, &cache, "b");
        std::thread::sleep(Duration::from_millis(20));
        assert!(!get(&store, &cache, "a").2);
        // "b" was used longest ago.
        get(&store, &cache, "c");
        assert!(path.exists() && !path.with_file_name("b").exists());
        get(&store, &cache, "d");
        get(&store, &cache, "b");
        assert!(!path.exists());
        let mut content = Vec::new();
        file.read_to_end(&mut content).unwrap();
        assert_eq!(content, [b'a'; 1000]);
    }

    #[test]
    fn parts_of_killed_processes_are_written_anew_and_threads_share_a_download() {
        let (store, _folder, cache) = set();
        let path = cache.path("https://host/set/a").unwrap();
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        // Two more are in the way: nothing fits before they are removed.
        for left in ["a", "x", "y"] {
            let part = path.with_file_name(format!("{left}{PART}"));
            std::fs::write(part, [0; 1000]).unwrap();
        }
        let asked = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| ask(&store, &cache, "a", &asked).unwrap());
            }
        });
        assert_eq!(asked.into_inner(), 1);
        assert_eq!(std::fs::read(&path).unwrap(), [b'a'; 1000]);
        get(&store, &cache, "b");
        assert!(path.exists() && !path.with_file_name(format!("x{PART}")).exists());
    }

    #[test]
    fn what_is_being_downloaded_is_not_removed() {
        let (store, _folder, cache) = set();
        let part = cache.path("https://host/set/x").unwrap().with_file_name(format!("x{PART}"));
        let file = cache.reserve(&part, 1000).unwrap();
        for name in ["a", "b", "c"] {
            get(&store, &cache, name);
            assert!(part.exists());
        }
        drop(file);
        get(&store, &cache, "d");
        assert!(!part.exists());
    }

    #[test]
    fn what_cannot_fit_is_not_there_or_is_another_is_an_error() {
        let (store, folder, _) = set();
        let small = DiskCache::new(folder.path(), 999).unwrap();
        let ask = |name: &str| ask(&store, &small, name, &AtomicUsize::new(0));
        let error = ask("a").unwrap_err();
        assert!(error.to_string().contains("--cache-limit"), "{error}");
        assert_eq!(ask("absent").unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(ask("..").is_err() && ask("").is_err());
        let large = DiskCache::new(folder.path(), 5000).unwrap();
        let short = || -> io::Result<(Box<dyn Read>, u64)> { Ok((Box::new(&b"abc"[..]), 4)) };
        let error = large.get_from("https://host/set/short", None, &short).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let whole = || -> io::Result<(Box<dyn Read>, u64)> { Ok((Box::new(&b"abc"[..]), 3)) };
        let error = large.get_from("https://host/set/other", Some("00"), &whole).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let hash = blake3::hash(b"abc").to_hex();
        for folder in folders(folder.path()).unwrap() {
            assert!(std::fs::read_dir(folder).unwrap().next().is_none());
        }
        large.get_from("https://host/set/other", Some(hash.as_str()), &whole).unwrap();
    }
}
