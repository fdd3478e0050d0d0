//! Arguments that name a model.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clip_model::{Error, LoadOptions, ModelConfig, PreprocessCfg};
use serde_json::{Map, Value, json};

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
    /// Weights: a folder (open_clip's or transformers'), a .safetensors or .pt file, OpenAI's
    /// archive, or a run of `clip-data train`, for its newest checkpoint
    #[arg(long, value_name = "PATH")]
    model: PathBuf,
    /// The model's name (ViT-B-32-quickgelu) or model_cfg (.json), where the weights do not tell
    /// it
    #[arg(long, value_name = "NAME")]
    model_name: Option<String>,
    /// Another image size: positional embeddings are interpolated
    #[arg(long, value_name = "PIXELS")]
    image_size: Option<i64>,
    #[command(flatten)]
    preprocess: PreprocessArgs,
}

/// open_clip's flags over a model's `preprocess_cfg`.
#[derive(Clone, Default, clap::Args)]
#[allow(clippy::struct_field_names, reason = "names of options")]
pub struct PreprocessArgs {
    /// Mean of the pixels, three numbers or one [default: the model's]
    #[arg(long, value_name = "MEAN", num_args = 1..=3, allow_negative_numbers = true)]
    image_mean: Option<Vec<f64>>,
    /// Standard deviation of the pixels, three numbers or one [default: the model's]
    #[arg(long, value_name = "STD", num_args = 1..=3, allow_negative_numbers = true)]
    image_std: Option<Vec<f64>>,
    /// bicubic, bilinear, or random (either in training, else bicubic) [default: the model's]
    #[arg(long, value_name = "NAME")]
    image_interpolation: Option<String>,
    /// Resizing for evaluation: shortest (side, then the centre is cut out), longest (and padded)
    /// or squash [default: the model's]
    #[arg(long, value_name = "NAME")]
    image_resize_mode: Option<String>,
}

impl PreprocessArgs {
    /// The fields of `preprocess_cfg` that the flags set.
    pub fn fields(&self) -> anyhow::Result<Map<String, Value>> {
        let all = [
            ("mean", self.image_mean.as_ref().map(|mean| json!(mean))),
            ("std", self.image_std.as_ref().map(|std| json!(std))),
            ("interpolation", self.image_interpolation.as_ref().map(|name| json!(name))),
            ("resize_mode", self.image_resize_mode.as_ref().map(|name| json!(name))),
        ];
        let given = all.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?)));
        let fields = given.collect();
        PreprocessCfg::default().merged(&fields).map_err(|reason| {
            let (field, rest) = reason.split_once(' ').unwrap_or((&reason, ""));
            anyhow::anyhow!("--image-{} {rest}", field.replace('_', "-"))
        })?;
        Ok(fields)
    }
}

impl ModelPath {
    /// What the weights at `path` say of themselves.
    pub fn at(path: PathBuf) -> Self {
        let preprocess = PreprocessArgs::default();
        Self { model: path, model_name: None, image_size: None, preprocess }
    }

    /// The same with another preprocessing.
    pub fn with(self, preprocess: PreprocessArgs) -> Self {
        Self { preprocess, ..self }
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

    /// How to open it. Flags count more than what `--model-name` brings, and that more than the
    /// weights' own.
    pub fn opening(&self) -> anyhow::Result<LoadOptions> {
        // What the caller wrote is wrong, not the model's file.
        let wrong = |error: Error| anyhow::anyhow!("--model-name: {error}");
        let name = self.model_name.as_deref();
        let model = name.map(ModelConfig::find).transpose().map_err(wrong)?;
        let mut preprocess =
            name.map(PreprocessCfg::fields_of).transpose().map_err(wrong)?.unwrap_or_default();
        preprocess.extend(self.preprocess.fields()?);
        Ok(LoadOptions { model, image_size: self.image_size, preprocess, ..LoadOptions::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        model: ModelPath,
    }

    fn fields(flags: &str) -> anyhow::Result<Map<String, Value>> {
        let words = ["eval", "--model", "x"].into_iter().chain(flags.split_whitespace());
        Ok(Cli::try_parse_from(words)?.model.opening()?.preprocess)
    }

    #[test]
    fn flags_are_open_clips() {
        let flags = "--image-mean 0.5 0.25 -0.5 --image-std 0.5 --image-interpolation bilinear \
                     --image-resize-mode squash";
        let cfg = PreprocessCfg::default().merged(&fields(flags).unwrap()).unwrap();
        assert_eq!((cfg.mean, cfg.std), ([0.5, 0.25, -0.5], [0.5; 3]));
        let json = cfg.to_json();
        assert_eq!(
            (&json["interpolation"], &json["resize_mode"]),
            (&json!("bilinear"), &json!("squash"))
        );
        assert!(fields("").unwrap().is_empty());
    }

    #[test]
    fn mistakes_name_the_flag() {
        for (flags, words) in [
            ("--image-mean 1 2", "--image-mean [1.0,2.0]: three numbers"),
            ("--image-mean nan", "--image-mean [null]: three numbers"),
            ("--image-std 1 0 1", "--image-std [1.0,0.0,1.0]: three numbers above 0"),
            ("--image-interpolation lanczos", "--image-interpolation \"lanczos\": one of bicubic"),
            ("--image-resize-mode crop", "--image-resize-mode \"crop\": one of shortest"),
        ] {
            let message = fields(flags).unwrap_err().to_string();
            assert!(message.starts_with(words), "{message}");
        }
        assert!(fields("--image-mean 1 2 3 4").is_err());
    }
}
