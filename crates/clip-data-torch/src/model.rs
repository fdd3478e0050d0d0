//! Arguments that name a model.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clip_cli::torch::{ModelPath, PreprocessArgs};
use clip_format::FileError;
use clip_model::{Error, LoadOptions, ModelConfig, PreprocessCfg, find_in_hub};
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

/// The fields of `preprocess_cfg` that the flags set.
pub fn preprocess_fields(args: &PreprocessArgs) -> anyhow::Result<Map<String, Value>> {
    let all = [
        ("mean", args.image_mean.as_ref().map(|mean| json!(mean))),
        ("std", args.image_std.as_ref().map(|std| json!(std))),
        ("interpolation", args.image_interpolation.as_ref().map(|name| json!(name))),
        ("resize_mode", args.image_resize_mode.as_ref().map(|name| json!(name))),
    ];
    let given = all.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?)));
    let fields = given.collect();
    PreprocessCfg::default().merged(&fields).map_err(|reason| {
        let (field, rest) = reason.split_once(' ').unwrap_or((&reason, ""));
        anyhow::anyhow!("--image-{} {rest}", field.replace('_', "-"))
    })?;
    Ok(fields)
}

/// The weights' path; a run's folder means its newest checkpoint, `hf-hub:` the folder in the cache
/// of Hugging Face.
pub fn weights_path(args: &ModelPath) -> anyhow::Result<PathBuf> {
    if let Some(folder) = args.model.to_str().map(find_in_hub).transpose()?.flatten() {
        return Ok(folder);
    }
    if !args.model.exists() {
        let reason = "no checkpoint and no weights there\n\
                      hint: a run of `clip-data train`, or weights: a folder or a file";
        return Err(Error::from(FileError::new(&args.model, reason)).into());
    }
    newest(&args.model)
}

/// The newest checkpoint of a run's folder; any other path is given back as it is.
///
/// # Errors
/// When the run has no checkpoint yet.
pub fn newest(path: &Path) -> anyhow::Result<PathBuf> {
    let run = path.join("checkpoints");
    if !run.is_dir() {
        return Ok(path.to_path_buf());
    }
    let hint = "hint: it has not got to its first one yet";
    clip_train::latest(&run).with_context(|| format!("{}: no checkpoint\n{hint}", path.display()))
}

/// How to open it. Flags count more than what `--model-name` brings, and that more than the
/// weights' own.
pub fn load_options(args: &ModelPath) -> anyhow::Result<LoadOptions> {
    // What the caller wrote is wrong, not the model's file.
    let wrong = |error: Error| anyhow::anyhow!("--model-name: {error}");
    let name = args.model_name.as_deref();
    let model = name.map(ModelConfig::find).transpose().map_err(wrong)?;
    let mut preprocess =
        name.map(clip_model::preprocess_fields).transpose().map_err(wrong)?.unwrap_or_default();
    preprocess.extend(preprocess_fields(&args.preprocess)?);
    Ok(LoadOptions { model, image_size: args.image_size, preprocess, ..LoadOptions::default() })
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
        Ok(load_options(&Cli::try_parse_from(words)?.model)?.preprocess)
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
