//! Captions to token ids.

use std::convert::Infallible;
use std::sync::LazyLock;

use clip_text::Tokenizer;
use pyo3::prelude::*;
use pyo3::types::PyByteArray;

use crate::parallel;

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(Tokenizer::new);

/// Token ids of texts, [texts, context], zero padded, as the bytes of 64-bit numbers.
#[pyfunction]
pub fn tokenize<'py>(
    py: Python<'py>,
    texts: Vec<String>,
    context: usize,
) -> PyResult<Bound<'py, PyByteArray>> {
    let ids = |text: &String| Ok::<_, Infallible>(TOKENIZER.tokenize(text, context));
    let rows = parallel::map(py, &texts, ids)?;
    id_bytes(py, &rows.concat())
}

/// 64-bit numbers as bytes.
pub fn id_bytes<'py>(py: Python<'py>, ids: &[i64]) -> PyResult<Bound<'py, PyByteArray>> {
    PyByteArray::new_with(py, size_of_val(ids), |bytes| {
        for (bytes, id) in bytes.chunks_exact_mut(size_of::<i64>()).zip(ids) {
            bytes.copy_from_slice(&id.to_ne_bytes());
        }
        Ok(())
    })
}
