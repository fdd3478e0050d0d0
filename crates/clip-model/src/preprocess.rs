//! The `preprocess_cfg` that comes with a model's name.

use std::path::Path;

use clip_image::preprocess_cfg::PreprocessCfg;
use serde_json::{Map, Value};

use crate::{Error, Result};

/// The fields that a model's name brings: those of an `open_clip_config.json`, none for all other
/// names.
///
/// # Errors
/// The file with the field, its value and what is known, for what is not one of `preprocess_cfg`.
pub fn preprocess_fields(name: &str) -> Result<Map<String, Value>> {
    let path = Path::new(name);
    if path.extension().is_none_or(|extension| extension != "json") {
        return Ok(Map::new());
    }
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| Error::file(path, e))?;
    PreprocessCfg::of_config(&json).map_err(|reason| Error::file(path, reason))?;
    Ok(json["preprocess_cfg"].as_object().cloned().unwrap_or_default())
}
