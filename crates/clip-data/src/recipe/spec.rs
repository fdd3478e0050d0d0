//! A stage as the plan has it, and the files that decide its output.

use std::borrow::Cow;
use std::path::Path;

use clip_pipeline::{Error, Result, StageSpec, Work, hash_resource};
use serde_json::Value;

/// Name and hash of a file that decides a stage's output.
type Resource = (String, String);

/// A stage of the build. Its version goes up with every change of what it makes of the same rows,
/// so that what an older executable left is made anew.
pub(super) fn stage(
    name: impl Into<Cow<'static, str>>,
    version: u32,
    config: Value,
    resources: Vec<Resource>,
    build: impl Fn() -> Result<Work> + Send + Sync + 'static,
) -> StageSpec {
    StageSpec { name: name.into(), version, config, resources, build: Box::new(build) }
}

/// What a stage's output depends on and `path` holds.
pub(super) fn resource(name: &str, path: &Path) -> Result<Resource> {
    let hash = hash_resource(path).map_err(|e| Error::Config(format!("{name}: {e}")))?;
    Ok((name.to_owned(), hash))
}
