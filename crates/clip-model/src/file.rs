//! Files that are written whole or not at all, and the bytes of tensors.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use clip_torch::tch::{Device, Tensor};

use crate::{Error, Result};

/// Writes a file under another name, flushes it to disk, and renames it.
pub(crate) fn whole<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> Result<T>,
) -> Result<T> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    let temporary = path.with_file_name(name);
    let fail = |e| Error::io(&temporary, e);
    let mut file = BufWriter::new(File::create(&temporary).map_err(fail)?);
    let written = write(&mut file).and_then(|value| {
        file.flush().and_then(|()| file.get_ref().sync_all()).map_err(fail)?;
        std::fs::rename(&temporary, path).map_err(|e| Error::io(path, e))?;
        Ok(value)
    });
    if written.is_err() {
        // What is half written helps nobody; that it could not be removed is not the failure to tell.
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

/// A tensor's numbers, one after the other, little-endian.
pub(crate) fn bytes_of(tensor: &Tensor) -> Result<Vec<u8>> {
    let tensor = tensor.detach().f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(bytes)
}
