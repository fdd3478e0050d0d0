//! Tensors over a memory-mapped file.
#![allow(unsafe_code, reason = "maps a file and hands its memory to libtorch")]

use std::ffi::c_void;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use memmap2::{MmapMut, MmapOptions};
use tch::{Kind, Tensor};

use crate::{Error, Result, ffi};

/// A file in memory, page by page as it is used. Writes to its tensors stay in the process.
///
/// The file may be renamed or removed while it is mapped, but not cut short: a page beyond its new
/// end would end the process.
#[derive(Clone)]
pub struct Mapping(Arc<MmapMut>);

impl Mapping {
    /// Maps a whole file.
    pub fn open(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        if file.metadata()?.len() == 0 {
            return Ok(Self(Arc::new(MmapMut::map_anon(1)?)));
        }
        // SAFETY: the mapping is private, so that no write of ours reaches the file; a file that
        // another process cuts short is the one hazard, and it is named above.
        let map = unsafe { MmapOptions::new().map_copy(&file)? };
        Ok(Self(Arc::new(map)))
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// A contiguous tensor over the bytes from `offset`. Nothing is copied where they are aligned
    /// for `kind`.
    ///
    /// # Errors
    /// When the bytes end before the tensor does, or a side is negative.
    pub fn tensor(&self, offset: usize, shape: &[i64], kind: Kind) -> Result<Tensor> {
        let size = kind.elt_size_in_bytes();
        let numel = shape.iter().try_fold(1usize, |product, &side| {
            usize::try_from(side).ok().and_then(|side| product.checked_mul(side))
        });
        let bytes = numel
            .and_then(|numel| numel.checked_mul(size))
            .and_then(|length| self.0.get(offset..offset.checked_add(length)?))
            .ok_or_else(|| {
                Error::Libtorch(format!(
                    "a tensor of {shape:?} {kind:?} at byte {offset} ends beyond the {} bytes there are",
                    self.0.len()
                ))
            })?;
        let code =
            code(kind).filter(|_| bytes.as_ptr().align_offset(size) == 0 && !bytes.is_empty());
        let Some(code) = code else {
            return Tensor::f_from_data_size(bytes, shape, kind)
                .map_err(|e| Error::Libtorch(e.to_string()));
        };
        let owner = Arc::into_raw(self.0.clone()).cast_mut().cast();
        let data = bytes.as_ptr().cast_mut().cast();
        // SAFETY: the bytes are a private mapping, writable, in bounds and aligned as checked
        // above, and `owner` keeps them mapped until libtorch releases it. Rust never reads
        // them while libtorch writes: `bytes` of a mapping is used to find tensors, before
        // any of them is used.
        unsafe {
            let tensor =
                ffi::ct_over(data, shape.as_ptr(), shape.len() as i32, code, release, owner);
            if tensor.is_null() {
                release(owner);
                return Err(ffi::last_error());
            }
            Ok(Tensor::from_ptr(tensor))
        }
    }
}

extern "C" fn release(owner: *mut c_void) {
    // SAFETY: `owner` is the reference that `tensor` gave away, and libtorch calls this once.
    drop(unsafe { Arc::from_raw(owner.cast_const().cast::<MmapMut>()) });
}

/// The number of c10::ScalarType.
fn code(kind: Kind) -> Option<i32> {
    Some(match kind {
        Kind::Uint8 => 0,
        Kind::Int8 => 1,
        Kind::Int16 => 2,
        Kind::Int => 3,
        Kind::Int64 => 4,
        Kind::Half => 5,
        Kind::Float => 6,
        Kind::Double => 7,
        Kind::BFloat16 => 15,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_outlive_the_mapping_and_leave_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers");
        let values: Vec<u8> = (0..8).flat_map(|i| (i as f32).to_le_bytes()).collect();
        std::fs::write(&path, &values).unwrap();
        let mapping = Mapping::open(&path).unwrap();
        let mut aligned = mapping.tensor(4, &[3, 2], Kind::Float).unwrap();
        let odd = mapping.tensor(1, &[2], Kind::Float).unwrap();
        assert!(mapping.tensor(8, &[7], Kind::Float).is_err());
        assert!(mapping.tensor(0, &[-1], Kind::Float).is_err());
        assert!(mapping.tensor(usize::MAX, &[1], Kind::Float).is_err());
        drop(mapping);
        let _ = aligned.g_add_scalar_(1.0);
        assert_eq!(
            Vec::<f32>::try_from(aligned.view([-1])).unwrap(),
            [2.0, 3.0, 4.0, 5.0, 6.0, 7.0]
        );
        assert_eq!(odd.size(), [2]);
        assert_eq!(std::fs::read(&path).unwrap(), values);
    }

    #[test]
    fn an_empty_file_has_no_tensors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("empty");
        std::fs::write(&path, b"").unwrap();
        assert!(Mapping::open(&path).unwrap().tensor(0, &[1], Kind::Float).is_err());
    }
}
