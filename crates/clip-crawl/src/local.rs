//! Images that lie on this machine: a file, or a stretch of a shard.
//!
//! Their addresses are `file:///path` and `file:///path#offset,size`. Only feeds that say so ([`crate::feed::Feed::local`])
//! may give them: a list, a page or a redirect that names one is refused.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use url::Url;

use crate::error::{FetchError, Kind};

pub(crate) const SCHEME: &str = "file://";

/// The address of a file, or of `(offset, size)` in it.
pub(crate) fn address(path: &Path, stretch: Option<(u64, u64)>) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let mut url = Url::from_file_path(path).ok()?;
    if let Some((offset, size)) = stretch {
        url.set_fragment(Some(&format!("{offset},{size}")));
    }
    Some(url.into())
}

/// The bytes at such an address, at most `max_bytes`.
pub(crate) fn read(url: &str, max_bytes: u64) -> Result<Vec<u8>, FetchError> {
    let bad = || FetchError::new(Kind::BadUrl, format!("{url}: no local address"));
    let parsed = Url::parse(url).map_err(|_| bad())?;
    let path = parsed.to_file_path().map_err(|()| bad())?;
    let broken =
        |e: std::io::Error| FetchError::new(Kind::Broken, format!("{}: {e}", path.display()));
    // Opening a pipe would wait for its writer.
    if !std::fs::metadata(&path).map_err(broken)?.is_file() {
        return Err(FetchError::new(Kind::Broken, format!("{}: not a file", path.display())));
    }
    let mut file = File::open(&path).map_err(broken)?;
    let size = match parsed.fragment() {
        None => file.metadata().map_err(broken)?.len(),
        Some(stretch) => {
            let (offset, size) = stretch.split_once(',').ok_or_else(bad)?;
            let offset = offset.parse().map_err(|_| bad())?;
            file.seek(SeekFrom::Start(offset)).map_err(broken)?;
            size.parse().map_err(|_| bad())?
        }
    };
    if size > max_bytes {
        return Err(FetchError::new(Kind::TooLarge, "file too large"));
    }
    let mut bytes = Vec::with_capacity(size as usize);
    file.take(size).read_to_end(&mut bytes).map_err(broken)?;
    if bytes.len() as u64 == size {
        Ok(bytes)
    } else {
        Err(FetchError::new(Kind::Broken, "file cut off"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_and_stretches_of_them_are_read_within_bounds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a b#c.bin");
        std::fs::write(&path, b"0123456789").unwrap();
        let whole = address(&path, None).unwrap();
        assert_eq!(read(&whole, 100).unwrap(), b"0123456789");
        let part = address(&path, Some((3, 4))).unwrap();
        assert_eq!(read(&part, 100).unwrap(), b"3456");
        assert_eq!(read(&whole, 9).unwrap_err().kind, Kind::TooLarge);
        let beyond = address(&path, Some((8, 4))).unwrap();
        assert_eq!(read(&beyond, 100).unwrap_err().kind, Kind::Broken);
        assert_eq!(read("file:///no/such/file", 9).unwrap_err().kind, Kind::Broken);
    }
}
