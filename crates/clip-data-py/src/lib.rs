//! `clip_data._native`: what the Python package `clip_data` calls. Each function works without the
//! interpreter's lock, hears Ctrl-C, and raises what the command line prints.

mod batches;
mod contamination;
mod dlpack;
mod error;
mod image;
mod interrupt;
mod parallel;
mod shard_rows;
mod tables;
mod tokens;

use pyo3::prelude::*;

#[pymodule]
fn _native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<batches::Stream>()?;
    module.add_class::<batches::Batches>()?;
    module.add_class::<tables::Rows>()?;
    module.add_function(wrap_pyfunction!(image::hash, module)?)?;
    module.add_function(wrap_pyfunction!(image::transform, module)?)?;
    module.add_function(wrap_pyfunction!(tokens::tokenize, module)?)?;
    module.add_function(wrap_pyfunction!(tables::read_run, module)?)?;
    module.add_function(wrap_pyfunction!(tables::read_shards, module)?)?;
    module.add_function(wrap_pyfunction!(contamination::contamination, module)?)?;
    Ok(())
}
