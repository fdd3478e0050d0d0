//! Weights: safetensors, and PyTorch's archives.

use std::io::{Cursor, Write};

use clip_model::pt::read_pt;
use clip_model::{Weights, read_safetensors, write_safetensors};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::must;
use crate::scratch::with_files;

/// Tensors of a safetensors file: what is read is written and read again as the same.
pub fn safetensors(data: &[u8]) {
    with_files(&[("model.safetensors", data)], |folder| {
        let path = folder.join("model.safetensors");
        let Ok(mut tensors) = read_safetensors(&path) else { return };
        let again = folder.join("again.safetensors");
        must(write_safetensors(&again, &tensors));
        let mut read = must(read_safetensors(&again));
        for tensors in [&mut tensors, &mut read] {
            tensors.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        assert_eq!(tensors.len(), read.len());
        for ((name, one), (other, two)) in tensors.iter().zip(&read) {
            assert_eq!((name, one.size(), one.kind()), (other, two.size(), two.kind()));
        }
        if let Ok(weights) = Weights::read(&path) {
            let _ = weights.config(None);
        }
    });
}

/// An archive of `torch.save` or of TorchScript.
pub fn pt(data: &[u8]) {
    with_files(&[("model.pt", data)], |folder| {
        let path = folder.join("model.pt");
        if let Ok(value) = read_pt(&path) {
            let _ = value.tensors();
        }
        if let Ok(weights) = Weights::read(&path) {
            let _ = weights.config(None);
        }
    });
}

/// The pickle of such an archive, beside records of 64 bytes.
pub fn pt_pickle(data: &[u8]) {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in
        [("data.pkl", data), ("byteorder", b"little"), ("data/0", &[1; 64]), ("data/1", &[2; 64])]
    {
        must(archive.start_file(format!("archive/{name}"), stored));
        must(archive.write_all(content));
    }
    pt(&must(archive.finish()).into_inner());
}
