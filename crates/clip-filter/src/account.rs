//! What a stage that chooses pairs did, as it leaves it for the report.

use clip_format::write_atomic;
use clip_pipeline::Context;
use serde::Serialize;

use crate::{Error, Result};

/// Writes an account into the stage's scratch folder, as JSON under `name`.
pub fn write_account(cx: &Context, name: &str, account: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(account);
    let text = text.map_err(|e| Error::Settings(e.to_string()))? + "\n";
    let path = cx.scratch().join(name);
    Ok(write_atomic(&path, text.as_bytes()).map_err(clip_corpus::Error::from)?)
}
