//! Files that are written whole or not at all, and the bytes of tensors.

use std::io::BufWriter;
use std::path::Path;

use clip_format::AtomicFile;
use clip_torch::tch::{Device, Tensor};

use crate::{Error, Result};

/// Writes a file that has its name only when it is whole and on disk.
pub(crate) fn write_atomic<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<AtomicFile>) -> Result<T>,
) -> Result<T> {
    let mut file = BufWriter::new(AtomicFile::create(path)?);
    let value = write(&mut file)?;
    file.into_inner().map_err(|e| Error::io(path, e.into_error()))?.commit()?;
    Ok(value)
}

/// A tensor's numbers, one after the other, little-endian.
pub(crate) fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}
