//! Failures as exceptions of Python.

use std::error::Error;

use pyo3::prelude::*;

/// `clip_data.Error` with the text that the command line prints behind `error: `.
pub fn raised(error: &(dyn Error + 'static)) -> PyErr {
    message(clip_corpus::error_report(error))
}

/// The same of a text.
pub fn message(text: String) -> PyErr {
    Python::attach(|py| {
        let class = py.import("clip_data._error").and_then(|module| module.getattr("Error"));
        match class.and_then(|class| class.call1((text,))) {
            Ok(exception) => PyErr::from_value(exception),
            Err(error) => error,
        }
    })
}

/// Failures whose causes are to be named.
pub trait Raised<T> {
    /// The result as Python sees it.
    fn raised(self) -> PyResult<T>;
}

impl<T, E: Error + 'static> Raised<T> for Result<T, E> {
    fn raised(self) -> PyResult<T> {
        self.map_err(|error| raised(&error))
    }
}
