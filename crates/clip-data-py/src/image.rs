//! One image after another: perceptual hashes, and the pixels that a model sees.

use std::path::PathBuf;

use clip_image::hash::{Algorithm, FAST_SIDE, hex};
use clip_image::preprocess_cfg::PreprocessCfg;
use clip_image::{DecodeOptions, decode};
use clip_loader::PixelFormat;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::PyByteArray;

use crate::error::message;
use crate::parallel;

/// An encoded image, or its file.
#[derive(FromPyObject)]
pub enum Image {
    /// What a file holds.
    #[pyo3(transparent)]
    Bytes(PyBackedBytes),
    /// Its path.
    #[pyo3(transparent)]
    Path(PathBuf),
}

impl Image {
    /// Gives the encoded bytes to `work`; its failure names the file, or the number of the image.
    fn with_bytes<T>(
        &self,
        number: usize,
        work: impl FnOnce(&[u8]) -> clip_image::Result<T>,
    ) -> Result<T, String> {
        match self {
            Self::Bytes(bytes) => work(bytes).map_err(|e| format!("image {number}: {e}")),
            Self::Path(path) => {
                let named = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
                let bytes = std::fs::read(path).map_err(|e| named(&e))?;
                work(&bytes).map_err(|e| named(&e))
            }
        }
    }
}

fn numbered(images: Vec<Image>) -> Vec<(usize, Image)> {
    images.into_iter().enumerate().collect()
}

/// Perceptual hashes in hex.
#[pyfunction]
pub fn hash(
    py: Python<'_>,
    images: Vec<Image>,
    kind: &str,
    compat: &str,
    fast: bool,
) -> PyResult<Vec<String>> {
    let algorithm = Algorithm::named(kind, compat).map_err(message)?;
    let min_side = fast.then_some(FAST_SIDE);
    let options = DecodeOptions { min_side, ..DecodeOptions::stored() };
    let images = numbered(images);
    let hashed = |(number, image): &(usize, Image)| {
        image.with_bytes(*number, |bytes| {
            let words = algorithm.hash(&decode(bytes, &options)?);
            Ok(words.iter().map(|&word| hex(word)).collect())
        })
    };
    parallel::map(py, &images, hashed)
}

/// Pixels of the evaluation transform: bytes [images, size, size, 3], or normalised 32-bit numbers
/// [images, 3, size, size].
#[pyfunction]
pub fn transform<'py>(
    py: Python<'py>,
    images: Vec<Image>,
    size: u32,
    preprocess: &str,
    normalize: bool,
) -> PyResult<Bound<'py, PyByteArray>> {
    let cfg = preprocess_cfg(preprocess)?;
    check_size(size)?;
    let transform = cfg.transform(i64::from(size));
    let format = if normalize { PixelFormat::normalized(&cfg) } else { PixelFormat::Bytes };
    let images = numbered(images);
    let pixels = |(number, image): &(usize, Image)| {
        image.with_bytes(*number, |bytes| Ok(format.encode(&transform.pixels(bytes)?.data)))
    };
    let rows = parallel::map(py, &images, pixels)?;
    PyByteArray::new_with(py, rows.iter().map(Vec::len).sum(), |mut bytes| {
        for row in &rows {
            let (own, rest) = bytes.split_at_mut(row.len());
            own.copy_from_slice(row);
            bytes = rest;
        }
        Ok(())
    })
}

/// Refuses a side that no image can have.
pub fn check_size(size: u32) -> PyResult<()> {
    let fits = (1..=8192).contains(&size);
    if fits { Ok(()) } else { Err(message(format!("image_size {size}: 1 to 8192 are wanted"))) }
}

/// open_clip's `preprocess_cfg` from JSON.
pub fn preprocess_cfg(json: &str) -> PyResult<PreprocessCfg> {
    let fields = serde_json::from_str(json).map_err(|e| message(format!("preprocess: {e}")))?;
    let cfg = PreprocessCfg::default().merged(&fields);
    cfg.map_err(|reason| message(format!("preprocess: {reason}")))
}
