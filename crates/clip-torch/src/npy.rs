//! Tensors as NumPy's files.

use std::path::Path;

use clip_format::{PathError, npy};
use tch::{Device, Kind, Tensor};

/// Writes a tensor as `.npy`, whole or not at all: one of 64-bit integers as such, any other as
/// 32-bit floats.
///
/// # Errors
/// When the file cannot be written.
pub fn write_npy(path: &Path, tensor: &Tensor) -> std::result::Result<(), PathError> {
    let (kind, descr) = match tensor.kind() {
        Kind::Int64 => (Kind::Int64, "'<i8'"),
        _ => (Kind::Float, "'<f4'"),
    };
    let tensor = tensor.to_device(Device::Cpu).to_kind(kind).contiguous();
    let mut bytes = vec![0; tensor.numel() * kind.elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
    npy::write(path, descr, &shape, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorch_reads_what_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/x.npy");
        let floats = Tensor::from_slice(&[1f64, -0.5, 3.0, 4.0, 5.0, 6.0]).view([2, 3]);
        for (tensor, kind) in [
            (floats.to_kind(Kind::Float).tr(), Kind::Float),
            (floats, Kind::Float),
            (Tensor::from_slice(&[7i64, -8]), Kind::Int64),
        ] {
            write_npy(&path, &tensor).unwrap();
            let read = Tensor::read_npy(&path).unwrap();
            assert_eq!((read.kind(), read.size()), (kind, tensor.size()));
            assert_eq!(read, tensor.to_kind(kind));
        }
    }
}
