//! Arguments that name a model.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clip_model::{Error, ModelConfig, Opening};

/// blake3 of all files of the weights.
pub fn weights_hash(path: &Path) -> anyhow::Result<String> {
    let files = clip_model::weights_files(path)?;
    let hashes = files.iter().map(|file| Ok(clip_corpus::hash_file(file)?.0));
    let hashes = hashes.collect::<anyhow::Result<Vec<String>>>()?;
    Ok(match hashes.as_slice() {
        [one] => one.clone(),
        several => blake3::hash(several.concat().as_bytes()).to_hex().to_string(),
    })
}

/// Which model, from where.
#[derive(Clone, clap::Args)]
#[allow(clippy::struct_field_names, reason = "names of options")]
pub struct ModelPath {
    /// Weights: a folder (open_clip's or transformers'), a .safetensors or .pt file, OpenAI's archive, or a
    /// run of `clip-data train`, for its newest checkpoint
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// The model's name (ViT-B-32-quickgelu) or model_cfg (.json), where the weights do not tell it
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,
    /// Another image size: positional embeddings are interpolated
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<i64>,
}

impl ModelPath {
    /// What the weights at `path` say of themselves.
    pub fn at(path: PathBuf) -> Self {
        Self { model: path, model_name: None, image_size: None }
    }

    /// The weights' path; a run's folder means its newest checkpoint.
    pub fn path(&self) -> anyhow::Result<PathBuf> {
        let run = self.model.join("checkpoints");
        if run.is_dir() {
            let newest = clip_train::latest(&run);
            let hint = "hint: it has not got to its first one yet";
            return newest
                .with_context(|| format!("{}: no checkpoint\n{hint}", self.model.display()));
        }
        if !self.model.exists() {
            let reason = "no checkpoint and no weights there\n\
                          hint: a run of `clip-data train`, or weights: a folder or a file";
            return Err(Error::File { path: self.model.clone(), reason: reason.into() }.into());
        }
        Ok(self.model.clone())
    }

    /// How to open it.
    pub fn opening(&self) -> anyhow::Result<Opening> {
        let model = self.model_name.as_deref().map(ModelConfig::find).transpose();
        // What the caller wrote is wrong, not the model's file.
        let model = model.map_err(|error| anyhow::anyhow!("--model-name: {error}"))?;
        Ok(Opening { model, image_size: self.image_size, ..Opening::default() })
    }
}
