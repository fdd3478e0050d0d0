//! Bytes that wait for their turn, in a file without a name: memory stays flat whatever comes late.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use clip_pipeline::{Error, Result};

/// A temporary file that vanishes with the process.
pub(crate) struct Spool {
    file: File,
    end: u64,
    dir: std::path::PathBuf,
}

/// Where bytes lie in the spool.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place(u64, usize);

impl Spool {
    pub fn create(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, e))?;
        let file = tempfile::tempfile_in(dir).map_err(|e| Error::io(dir, e))?;
        Ok(Self { file, end: 0, dir: dir.to_path_buf() })
    }

    pub fn put(&mut self, bytes: &[u8]) -> Result<Place> {
        self.file.seek(SeekFrom::Start(self.end)).map_err(|e| Error::io(&self.dir, e))?;
        self.file.write_all(bytes).map_err(|e| Error::io(&self.dir, e))?;
        let place = Place(self.end, bytes.len());
        self.end += bytes.len() as u64;
        Ok(place)
    }

    pub fn get(&mut self, place: Place) -> Result<Vec<u8>> {
        let mut bytes = vec![0; place.1];
        self.file.seek(SeekFrom::Start(place.0)).map_err(|e| Error::io(&self.dir, e))?;
        self.file.read_exact(&mut bytes).map_err(|e| Error::io(&self.dir, e))?;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = Spool::create(&dir.path().join("new")).unwrap();
        let (a, b, c) =
            (spool.put(b"one").unwrap(), spool.put(b"").unwrap(), spool.put(b"three").unwrap());
        assert_eq!(spool.get(c).unwrap(), b"three");
        assert_eq!(spool.get(a).unwrap(), b"one");
        assert_eq!(spool.get(b).unwrap(), b"");
    }
}
