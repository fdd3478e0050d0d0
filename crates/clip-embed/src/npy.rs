//! numpy's `.npy` files of one matrix (NumPy, `lib/format.py`, version 1.0).

use std::path::Path;

use clip_format::npy;
use clip_torch::require_finite;
use clip_torch::tch::{Kind, Tensor};

use crate::Result;

/// How numbers are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NumberType {
    /// 16 bits, as clip-retrieval stores them.
    Float16,
    /// 32 bits.
    Float32,
}

/// A matrix in memory that becomes a file.
pub struct Npy {
    kind: NumberType,
    columns: usize,
    bytes: Vec<u8>,
}

impl Npy {
    /// An empty matrix of this many columns.
    pub fn new(kind: NumberType, columns: usize) -> Self {
        Self { kind, columns, bytes: Vec::new() }
    }

    /// Appends the rows of an f32 tensor on the CPU; `item` names what a row is of.
    ///
    /// # Errors
    /// A row that is not finite, or not within the range of the stored type (65,504 in 16 bits).
    pub fn push(&mut self, rows: &Tensor, item: impl Fn(usize) -> String) -> Result<()> {
        let kind = match self.kind {
            NumberType::Float16 => Kind::Half,
            NumberType::Float32 => Kind::Float,
        };
        let rows = rows.f_to_kind(kind)?.f_contiguous()?;
        require_finite(&rows, item)?;
        self.bytes.extend(stored(&rows));
        Ok(())
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        let width = if self.kind == NumberType::Float16 { 2 } else { 4 };
        self.bytes.len() / (width * self.columns.max(1))
    }

    /// Writes the file whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        let descr = if self.kind == NumberType::Float16 { "'<f2'" } else { "'<f4'" };
        Ok(npy::write(path, descr, &[self.rows(), self.columns], &self.bytes)?)
    }
}

/// The rows of a tensor on the CPU as they are stored, one after the other.
pub(crate) fn stored(rows: &Tensor) -> Vec<u8> {
    let rows = rows.contiguous();
    let mut bytes = vec![0; rows.numel() * rows.kind().elt_size_in_bytes()];
    rows.copy_data_u8(&mut bytes, rows.numel());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_numpys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        let mut npy = Npy::new(NumberType::Float16, 3);
        let item = |row: usize| format!("item {row}");
        npy.push(&Tensor::from_slice(&[1f32, 0.5, -2.0]).view([1, 3]), item).unwrap();
        npy.push(&Tensor::from_slice(&[0f32, 0.0, 1.0]).view([1, 3]), item).unwrap();
        npy.write(&path).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len(), 128 + 12);
        let header = String::from_utf8_lossy(&bytes[10..128]);
        assert!(header.starts_with("{'descr': '<f2', 'fortran_order': False, 'shape': (2, 3), }"));
        // 1.0 and 0.5 in half precision.
        assert_eq!(bytes[128..132], [0x00, 0x3c, 0x00, 0x38]);
    }

    #[test]
    fn what_is_not_finite_as_it_is_stored_is_refused() {
        let item = |row: usize| format!("item {row}");
        for (kind, value, refused) in [
            (NumberType::Float32, f32::NAN, true),
            (NumberType::Float32, f32::INFINITY, true),
            (NumberType::Float32, 70_000.0, false),
            (NumberType::Float16, 70_000.0, true),
        ] {
            let mut npy = Npy::new(kind, 2);
            let rows = Tensor::from_slice(&[0f32, 1.0, value, 0.0]).view([2, 2]);
            let pushed = npy.push(&rows, item);
            assert_eq!(pushed.is_err(), refused, "{kind:?} {value}");
            if let Err(error) = pushed {
                assert!(error.to_string().contains("item 1"), "{error}");
                assert_eq!(npy.rows(), 0);
            }
        }
    }
}
