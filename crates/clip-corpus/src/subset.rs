//! DataComp's subset files: uids as a NumPy array of `u8,u8`, sorted.
//!
//! A uid of 32 hex digits is two numbers of 64 bits, the first half in `f0`, the second in `f1`. A
//! uid that stands n times is wanted n times.

use std::io::Write;
use std::path::Path;

use clip_format::{AtomicFile, npy};

use crate::{Error, IoContext, Result};

/// The number of a uid of 32 hex digits.
pub fn uid_number(uid: &str) -> Option<u128> {
    let digits = uid.len() == 32 && uid.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits.then(|| u128::from_str_radix(uid, 16).ok())?
}

/// Writes ids, sorted; DataComp's resharder and ours read them.
pub fn write_subset(path: &Path, ids: &[u128]) -> Result<()> {
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    let header = npy::header("[('f0', '<u8'), ('f1', '<u8')]", &[ids.len()]);
    let mut file = std::io::BufWriter::new(AtomicFile::create(path)?);
    let mut put = |bytes: &[u8]| file.write_all(bytes).at(path);
    put(&header)?;
    for id in ids {
        put(&((id >> 64) as u64).to_le_bytes())?;
        put(&(id as u64).to_le_bytes())?;
    }
    file.into_inner().map_err(std::io::IntoInnerError::into_error).at(path)?.commit()?;
    Ok(())
}

/// Reads ids in the order of the file.
///
/// # Errors
/// When it is no NumPy array of pairs of 64-bit numbers, or is cut.
pub fn read_subset(path: &Path) -> Result<Vec<u128>> {
    let damaged =
        |reason: &str| Error::Damaged { path: path.to_path_buf(), reason: reason.to_owned() };
    let bytes = std::fs::read(path).at(path)?;
    let array = npy::parse(&bytes).map_err(|reason| damaged(&reason))?;
    if array.descr != "[('f0','<u8'),('f1','<u8')]" || array.fortran_order {
        return Err(damaged("the array is not of type u8,u8"));
    }
    let (count, content) = (array.shape.iter().product::<usize>(), array.data);
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
        let floats = npy::header("'<f8'", &[2]);
        for (bytes, reason) in [
            (&NUMPY[..4], "not a .npy file"),
            (&NUMPY[..60], "cut .npy header"),
            (&NUMPY[..NUMPY.len() - 3], "29 bytes"),
            (&*floats, "not of type u8,u8"),
            (b"PK\x03\x04 a zip archive", "not a .npy file"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = read_subset(&path).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("subset.npy"), "{error}");
        }
        assert_eq!(uid_number("xyz"), None);
        assert_eq!(uid_number(&"+".repeat(32)), None);
    }
}
