//! DataComp's subset files: uids as a NumPy array of `u8,u8`, sorted.
//!
//! A uid of 32 hex digits is two numbers of 64 bits, the first half in `f0`, the second in `f1`. A uid that
//! stands n times is wanted n times.

use std::io::{Read, Write};
use std::path::Path;

use crate::atomic::AtomicFile;
use crate::{Error, IoContext, Result};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// A header has no reason to be longer.
const LONGEST: usize = 1 << 16;

/// The number of a uid of 32 hex digits.
pub fn uid_number(uid: &str) -> Option<u128> {
    let digits = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(uid, 16).ok())?
}

/// Writes ids, sorted; DataComp's resharder and ours read them.
pub fn write_subset(path: &Path, ids: &[u128]) -> Result<()> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let mut header = format!(
        "{{'descr': [('f0', '<u8'), ('f1', '<u8')], 'fortran_order': False, 'shape': ({},), }}",
        ids.len()
    );
    // The data begins at a multiple of 64, and the header ends with a line end.
    let filled = (10 + header.len() + 1).next_multiple_of(64);
    header.extend(std::iter::repeat_n(' ', filled - 10 - header.len() - 1));
    header.push('\n');
    let mut file = std::io::BufWriter::new(AtomicFile::create(path)?);
    let mut put = |bytes: &[u8]| file.write_all(bytes).at(path);
    put(MAGIC)?;
    put(&[1, 0])?;
    put(&(header.len() as u16).to_le_bytes())?;
    put(header.as_bytes())?;
    for id in ids {
        put(&((id >> 64) as u64).to_le_bytes())?;
        put(&(id as u64).to_le_bytes())?;
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error).at(path)?.commit()
}

/// Reads ids in the order of the file.
///
/// # Errors
/// When it is no NumPy array of pairs of 64-bit numbers, or is cut.
pub fn read_subset(path: &Path) -> Result<Vec<u128>> {
    let damaged =
        |reason: &str| Error::Damaged { path: path.to_path_buf(), reason: reason.to_owned() };
    let mut file = std::io::BufReader::new(std::fs::File::open(path).at(path)?);
    let mut start = [0; 8];
    let short = |_| damaged("it is no NumPy array");
    file.read_exact(&mut start).map_err(short)?;
    if !start.starts_with(MAGIC) {
        return Err(damaged("it is no NumPy array"));
    }
    let mut length = [0; 4];
    let bytes = if start[6] == 1 { 2 } else { 4 };
    file.read_exact(&mut length[..bytes]).map_err(short)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > LONGEST {
        return Err(damaged("the header of the NumPy array is too long"));
    }
    let mut header = vec![0; length];
    file.read_exact(&mut header).map_err(short)?;
    let header: String =
        String::from_utf8_lossy(&header).chars().filter(|c| !c.is_whitespace()).collect();
    let pairs = header.contains("'<u8'),('") && header.matches("'<u8'").count() == 2;
    if !pairs || !header.contains("'fortran_order':False") {
        return Err(damaged("the array is not of type u8,u8"));
    }
    let count = header.split("'shape':(").nth(1).and_then(|rest| rest.split([',', ')']).next());
    let count: usize =
        count.and_then(|n| n.parse().ok()).ok_or_else(|| damaged("the array has no shape"))?;
    let mut content = Vec::new();
    file.read_to_end(&mut content).at(path)?;
    if content.len() != count.saturating_mul(16) {
        let reason = format!("{count} ids were written, but {} bytes are there", content.len());
        return Err(damaged(&reason));
    }
    let number = |pair: &[u8]| {
        let half =
            |half: &[u8]| half.iter().rev().fold(0u128, |sum, &byte| sum << 8 | u128::from(byte));
        half(&pair[..8]) << 64 | half(&pair[8..])
    };
    Ok(content.chunks_exact(16).map(number).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// DataComp's README: two uids, as `numpy.save` 2.4 wrote them.
    const UIDS: [&str; 2] =
        ["139e4a9b22a614771f06c700a8ebe150", "6e356964a967af455c8016b75d691203"];
    const NUMPY: &[u8] = include_bytes!("../testdata/datacomp_subset.npy");

    #[test]
    fn bytes_are_numpys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subset.npy");
        let ids = UIDS.map(|uid| uid_number(uid).unwrap());
        write_subset(&path, &[ids[1], ids[0]]).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), NUMPY);
        assert_eq!(read_subset(&path).unwrap(), ids);
    }

    #[test]
    fn what_is_no_subset_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("subset.npy");
        let floats = b"\x93NUMPY\x01\x00\x10\x00{'descr':'<f8'}\n".as_slice();
        for (bytes, reason) in [
            (&NUMPY[..4], "no NumPy array"),
            (&NUMPY[..60], "no NumPy array"),
            (&NUMPY[..NUMPY.len() - 3], "29 bytes"),
            (floats, "not of type u8,u8"),
            (b"PK\x03\x04 a zip archive", "no NumPy array"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_subset(&path).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("subset.npy"), "{error}");
        }
        assert_eq!(uid_number("xyz"), None);
        assert_eq!(uid_number(&"+".repeat(32)), None);
    }
}
