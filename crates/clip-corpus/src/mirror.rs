//! Shards behind URLs, copied to disk once: they are read at more than one place.

use std::io::ErrorKind::{NotFound, PermissionDenied};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{BadName, Error, IoContext, Result, below, cache_folder};

/// What is beside a shard; none of it must be there.
const BESIDE: [&str; 3] = [".parquet", ".idx", "_stats.json"];

/// A file as it is stored on disk: itself, or the copy of what is behind a URL.
pub fn local(path: &Path) -> Result<PathBuf> {
    let text = path.to_string_lossy();
    if clip_store::is_remote(&text) { copied(&text) } else { Ok(path.to_path_buf()) }
}

/// The files that a URL names, copied into the cache unless a copy of the same length is
/// there.
pub(crate) fn shards(address: &str) -> Result<Vec<PathBuf>> {
    let names = clip_store::names(address, ".tar").at(Path::new(address))?;
    names.iter().map(|name| copied(name)).collect()
}

fn copied(address: &str) -> Result<PathBuf> {
    let none = || "there is no folder for copies of shards\nhint: set CLIP_DATA_CACHE".to_owned();
    let cache = cache_folder("shards");
    copy(address, &cache.ok_or_else(|| Error::Spec { spec: address.to_owned(), reason: none() })?)
}

/// The copy of a file, and of what is beside it. The file itself comes last: where it is, all is.
fn copy(address: &str, cache: &Path) -> Result<PathBuf> {
    let (parent, name) = address.rsplit_once('/').unwrap_or(("", address));
    let folder = cache.join(&blake3::hash(parent.as_bytes()).to_hex()[..16]);
    let bad = |e: BadName| Error::Spec { spec: address.to_owned(), reason: e.to_string() };
    let path = below(&folder, name.split(['?', '#']).next().unwrap_or(name)).map_err(bad)?;
    let mut file = match clip_store::open(address, 0) {
        Err(e) if e.kind() == NotFound => {
            return Err(Error::Spec { spec: address.to_owned(), reason: e.to_string() });
        }
        opened => opened.at(Path::new(address))?,
    };
    let on_disk = std::fs::metadata(&path).ok().map(|meta| meta.len());
    if on_disk.is_some() && on_disk == file.length() {
        return Ok(path);
    }
    // Large corpora take a while: it is printed what is copied.
    eprintln!("copying {}", clip_store::redacted(address));
    if let Some(stem) = name.strip_suffix(".tar") {
        for ending in BESIDE {
            let beside = format!("{parent}/{stem}{ending}");
            match clip_store::open(&beside, 0) {
                Ok(mut file) => keep(&mut file, &folder.join(format!("{stem}{ending}")), &beside)?,
                // Without the right to list a bucket the error says so, instead of that there is
                // nothing.
                Err(e) if [NotFound, PermissionDenied].contains(&e.kind()) => {}
                Err(e) => return Err(e).at(Path::new(&beside)),
            }
        }
    }
    keep(&mut file, &path, address)?;
    Ok(path)
}

/// Writes a file whole or not at all.
fn keep(from: &mut impl io::Read, path: &Path, address: &str) -> Result<()> {
    let mut file = clip_format::AtomicFile::create(path)?;
    io::copy(from, &mut file).at(Path::new(address))?;
    file.flush().at(path)?;
    Ok(file.commit()?)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let shard = format!("{address}/set/00000.tar");
        let mut first = None;
        for _ in 0..2 {
            let path = copy(&shard, cache.path()).unwrap();
            let written = std::fs::metadata(&path).unwrap().modified().unwrap();
            assert_eq!(*first.get_or_insert(written), written, "it was copied again");
            assert_eq!(std::fs::read(&path).unwrap(), b"a tar");
            assert_eq!(std::fs::read(path.with_extension("parquet")).unwrap(), b"a table");
            assert!(!path.with_extension("idx").exists());
        }
        let absent = copy(&format!("{address}/set/00001.tar"), cache.path());
        let message = absent.unwrap_err().to_string();
        assert!(message.contains("00001.tar") && message.contains("404"), "{message}");
    }
}
