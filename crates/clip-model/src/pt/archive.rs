//! The zip archive around the pickle.

use std::io::{Cursor, Write};
use std::path::Path;

use clip_torch::Mapping;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use super::tensor::View;
use super::value::Value;
use super::{reader, writer};
use crate::file::{bytes_of, write_atomic};
use crate::{Error, Result};

/// Reads a `.pt` file: what `torch.save` wrote, or a TorchScript archive. Its tensors are views of
/// the file's pages, which are mapped and not copied; writing to them changes nothing on disk.
///
/// # Errors
/// When the file is no such archive, is cut off, or its pickle holds more than dictionaries, lists,
/// numbers, texts and tensors.
pub fn read_pt(path: &Path) -> Result<Value> {
    let mapping = Mapping::open(path).map_err(|e| Error::io(path, e))?;
    let fault = |reason: String| Error::file(path, reason);
    let not_zip = |e: zip::result::ZipError| {
        let hint = if mapping.bytes().starts_with(b"PK") {
            "hint: the end of the archive is missing; the file was not copied or written to its end"
        } else if mapping.bytes().starts_with(b"\x80\x02") {
            "hint: this is the format before PyTorch 1.6; torch.load and torch.save turn it into the present one"
        } else {
            "hint: a file of torch.save, or a TorchScript archive, is wanted"
        };
        fault(format!("not a .pt archive: {e}\n{hint}"))
    };
    let mut archive = ZipArchive::new(Cursor::new(mapping.bytes())).map_err(not_zip)?;
    let pickle = archive
        .file_names()
        .find(|name| name.ends_with("/data.pkl") && name.matches('/').count() == 1)
        .map(str::to_owned)
        .ok_or_else(|| fault("the archive has no data.pkl".into()))?;
    let root = pickle.trim_end_matches("data.pkl").to_owned();
    let mut records = std::collections::HashMap::new();
    for index in 0..archive.len() {
        let record = archive.by_index_raw(index).map_err(|e| fault(e.to_string()))?;
        let Some(name) = record.name().strip_prefix(&root) else { continue };
        if record.compression() != CompressionMethod::Stored {
            continue;
        }
        let place = (record.data_start() as usize, record.size() as usize);
        records.insert(name.to_owned(), place);
    }
    let place = |name: &str| {
        let &(start, length) =
            records.get(name).ok_or_else(|| format!("record {name} is missing"))?;
        let end = start.checked_add(length).filter(|&end| end <= mapping.bytes().len());
        Ok::<_, String>((start, end.ok_or_else(|| format!("record {name} is cut off"))?))
    };
    if let Ok((start, end)) = place("byteorder")
        && &mapping.bytes()[start..end] != b"little"
    {
        return Err(fault("the numbers are in big-endian order".into()));
    }
    // What is not contiguous is copied, once for each view: all together no more than
    // the file has.
    let copied = std::cell::Cell::new(0u64);
    let tensor = |view: &View| {
        if !view.is_contiguous() {
            copied.set(copied.get().saturating_add(view.bytes()));
            if copied.get() > mapping.bytes().len() as u64 {
                return Err("its views of storages have more bytes than the file".into());
            }
        }
        let storage = &view.storage;
        let (start, end) = place(&format!("data/{}", storage.key))?;
        let size = storage.kind.elt_size_in_bytes();
        let fits = usize::try_from(storage.numel).ok().and_then(|n| n.checked_mul(size));
        if fits.is_none_or(|bytes| bytes > end - start) {
            return Err(format!("record data/{} is cut off", storage.key));
        }
        view.over(|offset, shape| {
            let at = start + offset as usize * size;
            mapping.tensor(at, shape, storage.kind).map_err(|e| e.to_string())
        })
    };
    let (start, end) = place("data.pkl").map_err(fault)?;
    reader::read(&mapping.bytes()[start..end], &tensor).map_err(fault)
}

/// Writes a `.pt` file that `torch.load(weights_only=True, mmap=True)` opens, whole or not at all.
pub fn write_pt(path: &Path, value: &Value) -> Result<()> {
    let (pickle, tensors) = writer::pickle(value).map_err(|reason| Error::file(path, reason))?;
    write_atomic(path, |file| {
        let mut archive = ZipWriter::new(file);
        // torch maps records in place: it wants them stored, and aligned as its own are.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .with_alignment(64);
        let mut record = |name: &str, bytes: &[u8]| -> Result<()> {
            let options = options.large_file(bytes.len() as u64 >= u64::from(u32::MAX));
            let zipped = |e: zip::result::ZipError| Error::file(path, e);
            archive.start_file(format!("archive/{name}"), options).map_err(zipped)?;
            archive.write_all(bytes).map_err(|e| Error::io(path, e))
        };
        record("data.pkl", &pickle)?;
        record("byteorder", b"little")?;
        for (index, tensor) in tensors.iter().enumerate() {
            record(&format!("data/{index}"), &bytes_of(tensor)?)?;
        }
        record("version", b"3\n")?;
        archive.finish().map_err(|e| Error::file(path, e))?;
        Ok(())
    })
}

/// Whether the file is a zip archive, by its first bytes.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_torch::tch::{Device, Kind, Tensor};

    fn sample() -> Value {
        let weights = Tensor::arange(6, (Kind::Float, Device::Cpu)).view([2, 3]);
        let state = vec![
            ("a.weight".to_owned(), weights),
            ("a.count".to_owned(), Tensor::from(7i64)),
            ("a.half".to_owned(), Tensor::ones([3], (Kind::BFloat16, Device::Cpu))),
            ("a.none".to_owned(), Tensor::zeros([0, 4], (Kind::Float, Device::Cpu))),
        ];
        let groups = Value::List(vec![Value::dict([
            ("lr", 1e-3.into()),
            ("betas", Value::Tuple(vec![0.9.into(), 0.98.into()])),
            ("params", Value::List(vec![0.into(), 300.into(), 70_000.into(), (1 << 40).into()])),
            ("fused", Value::None),
        ])]);
        Value::dict([
            ("epoch", 3.into()),
            ("name", "größe".into()),
            ("state_dict", Value::state_dict(&state)),
            ("optimizer", Value::dict([("param_groups", groups), ("amsgrad", false.into())])),
        ])
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("epoch_1.pt");
        write_pt(&path, &sample()).unwrap();
        let read = read_pt(&path).unwrap();
        assert_eq!(read.get("epoch").unwrap().as_i64(), Some(3));
        assert_eq!(read.get("name").unwrap().as_str(), Some("größe"));
        let state = read.get("state_dict").unwrap();
        assert!(matches!(state, Value::Ordered(_)));
        let (written, tensors) = (sample(), state.tensors());
        let expected = written.get("state_dict").unwrap().tensors();
        for ((name, a), (other, b)) in expected.iter().zip(&tensors) {
            assert!(name == other && a.kind() == b.kind() && a.size() == b.size() && a.equal(b));
        }
        let group = &read.get("optimizer").unwrap().get("param_groups").unwrap().elements()[0];
        assert_eq!(group.get("params").unwrap().elements()[3].as_i64(), Some(1 << 40));
        assert_eq!(group.get("betas").unwrap().elements()[1].as_f64(), Some(0.98));
        assert!(matches!(group.get("fused"), Some(Value::None)));
    }

    #[test]
    fn a_cut_or_foreign_file_is_reported_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pt");
        write_pt(&path, &sample()).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        for length in [0, 3, 40, bytes.len() / 2, bytes.len() - 1] {
            std::fs::write(&path, &bytes[..length]).unwrap();
            let message = read_pt(&path).unwrap_err().to_string();
            assert!(message.contains("x.pt: not a .pt archive"), "{length}: {message}");
        }
        std::fs::write(&path, b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.").unwrap();
        assert!(read_pt(&path).unwrap_err().to_string().contains("before PyTorch 1.6"));
    }
}
