//! Shards behind addresses, copied to disk once: they are read at more than one place.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clip_pipeline::{Error, Result};

use crate::remote::{self, is_remote};

/// What lies beside a shard; none of it must be there.
const BESIDE: [&str; 3] = ["parquet", "idx", "json"];

/// The files that a specification names ([`clip_corpus::expand`]), with `s3:`, `gs:`, `http:` and `https:` allowed:
/// what is an address is copied into the cache first, unless a copy of the same length is there. `copied` is told of
/// every file that was.
///
/// # Errors
/// When the specification is wrong, or a file cannot be had.
pub fn local_shards(spec: &str, copied: &dyn Fn(&str)) -> Result<Vec<PathBuf>> {
    if !spec.split("::").any(is_remote) {
        return Ok(clip_corpus::expand(spec)?);
    }
    let mut files = Vec::new();
    for name in clip_corpus::names(spec)? {
        if is_remote(&name) {
            files.push(copy(&name, &cache()?, copied)?);
        } else {
            files.extend(clip_corpus::expand(&name)?);
        }
    }
    Ok(files)
}

/// A shard as a file: itself, or its copy.
pub(crate) fn local(path: &Path) -> Result<PathBuf> {
    let text = path.to_string_lossy();
    if is_remote(&text) { copy(&text, &cache()?, &|_| ()) } else { Ok(path.to_path_buf()) }
}

fn cache() -> Result<PathBuf> {
    let none = "there is no folder for copies of shards\nhint: set CLIP_DATA_CACHE";
    clip_corpus::cache_folder("shards").ok_or_else(|| Error::Config(none.into()))
}

/// The copy of a file, and of what lies beside it. The file itself comes last: where it is, all is.
fn copy(address: &str, cache: &Path, copied: &dyn Fn(&str)) -> Result<PathBuf> {
    let (parent, name) = address.rsplit_once('/').unwrap_or(("", address));
    let folder = cache.join(&blake3::hash(parent.as_bytes()).to_hex()[..16]);
    let path = folder.join(name.split(['?', '#']).next().unwrap_or(name));
    if name.is_empty() {
        let hint =
            "hint: folders cannot be listed there: name the shards, as in {00000..00041}.tar";
        return Err(Error::Config(format!("{address}: names no file\n{hint}")));
    }
    let mut file = remote::open(address, 0)?;
    if file.length().is_some_and(|length| on_disk(&path) == Some(length)) {
        return Ok(path);
    }
    std::fs::create_dir_all(&folder).map_err(|e| Error::io(&folder, e))?;
    if let Some(stem) = name.strip_suffix(".tar") {
        for ending in BESIDE {
            let beside = if ending == "json" { "_stats.json".into() } else { format!(".{ending}") };
            match remote::open(&format!("{parent}/{stem}{beside}"), 0) {
                Ok(mut file) => keep(&mut file, &folder.join(format!("{stem}{beside}")))?,
                Err(Error::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
    }
    keep(&mut file, &path)?;
    copied(address);
    Ok(path)
}

fn on_disk(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|meta| meta.len())
}

/// Writes a file whole or not at all.
fn keep(from: &mut impl io::Read, path: &Path) -> Result<()> {
    let io = |e| Error::io(path, e);
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
    io::copy(from, &mut file).map_err(io)?;
    file.flush().map_err(io)?;
    file.persist(path).map_err(|e| Error::io(path, e.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    /// A server of two files; everything else is not found.
    fn served(tar: &'static [u8], table: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let asked = lines.next().unwrap().unwrap();
                while lines.next().is_some_and(|line| !line.unwrap().is_empty()) {}
                let (status, body) = match asked.split(' ').nth(1).unwrap() {
                    "/set/00000.tar" => ("200 OK", tar),
                    "/set/00000.parquet" => ("200 OK", table),
                    _ => ("404 Not Found", &b""[..]),
                };
                let length = body.len();
                let head = format!(
                    "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
                );
                stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
            }
        });
        address
    }

    #[test]
    fn a_shard_is_copied_once_with_what_lies_beside_it() {
        let cache = tempfile::tempdir().unwrap();
        let address = served(b"a tar", b"a table");
        let count = Cell::new(0);
        let copied = |_: &str| count.set(count.get() + 1);
        let shard = format!("{address}/set/00000.tar");
        for _ in 0..2 {
            let path = copy(&shard, cache.path(), &copied).unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"a tar");
            assert_eq!(std::fs::read(path.with_extension("parquet")).unwrap(), b"a table");
            assert!(!path.with_extension("idx").exists());
        }
        assert_eq!(count.get(), 1);
        let absent = copy(&format!("{address}/set/00001.tar"), cache.path(), &copied);
        let message = absent.unwrap_err().to_string();
        assert!(message.contains("00001.tar") && message.contains("404"), "{message}");
        let folder = copy(&format!("{address}/set/"), cache.path(), &copied);
        assert!(folder.unwrap_err().to_string().contains("hint: "));
    }
}
