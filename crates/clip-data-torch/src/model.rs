//! Arguments that name a model.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clip_cli::torch::{ModelOptions, ModelPath, PreprocessArgs};
use clip_format::FileError;
use clip_model::{Error, LoadOptions, ModelConfig, PreprocessCfg, Weights, find_in_hub};
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

/// blake3 of a model's configuration, which its weights do not tell.
pub fn config_hash(config: &ModelConfig) -> String {
    let text = serde_json::to_string(config).unwrap_or_default();
    blake3::hash(text.as_bytes()).to_hex().to_string()
}

/// What decides a model's embeddings: its weights, its configuration (perhaps the caller's), and
/// what happens to images.
pub fn model_identity(weights: &Weights, opening: &LoadOptions) -> anyhow::Result<Value> {
    Ok(json!({
        "weights": weights_hash(&weights.path)?,
        "config": weights.opened_config(opening)?,
        "preprocess": weights.preprocess(&opening.preprocess)?.to_json(),
    }))
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
        return Err(Error::from(FileError::new(&args.model, absent(&args.model))).into());
    }
    newest(&args.model)
}

/// Why a path that is not there is no model, with what was likely meant.
fn absent(path: &Path) -> String {
    let run = Path::new("logs").join(path);
    let hint = if run.is_dir() {
        format!("the run's folder is {}", run.display())
    } else {
        "a run of `clip-data train` (logs/NAME), weights (a file or a folder), or hf-hub:ORG/NAME in the cache of Hugging Face; nothing is downloaded by the name of a model".to_owned()
    };
    format!("no checkpoint and no weights there\nhint: {hint}")
}

/// The newest checkpoint of a run's folder, of open_clip's too; any other path is given back as it
/// is.
///
/// # Errors
/// When the run has no checkpoint yet, or runs are in folders of the path.
pub fn newest(path: &Path) -> anyhow::Result<PathBuf> {
    let run = path.join("checkpoints");
    if !run.is_dir() {
        let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
        let runs = entries.map(|entry| entry.path());
        let below = runs.filter(|run| run.join("checkpoints").is_dir()).min();
        return match below {
            Some(run) if clip_model::weights_files(path).is_err() => {
                bail!(
                    "{}: no run and no weights\nhint: a run is in {}",
                    path.display(),
                    run.display()
                )
            }
            _ => Ok(path.to_path_buf()),
        };
    }
    let hint = "hint: it has not got to its first one yet";
    let newest = clip_train::latest(&run).or_else(|| newest_epoch(&run));
    newest.with_context(|| format!("{}: no checkpoint\n{hint}", path.display()))
}

/// The last of open_clip's `epoch_N.pt` in a folder, or `epoch_latest.pt` where it is alone.
fn newest_epoch(folder: &Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let epoch = |path: PathBuf| {
        let name = path.file_name()?.to_str()?.strip_prefix("epoch_")?.strip_suffix(".pt")?;
        let epoch = if name == "latest" { Some(0) } else { name.parse::<u64>().ok() };
        Some((epoch?, path))
    };
    entries.filter_map(|entry| epoch(entry.path())).max().map(|(_, path)| path)
}

/// How to open it. Flags count more than what `--model-name` brings, and that more than the
/// weights' own.
pub fn load_options(args: &ModelOptions) -> anyhow::Result<LoadOptions> {
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
        Ok(load_options(&Cli::try_parse_from(words)?.model.options)?.preprocess)
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
    fn a_run_means_its_newest_checkpoint_and_what_was_meant_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("logs/theirs");
        std::fs::create_dir_all(run.join("checkpoints")).unwrap();
        let reason = |path: &Path| newest(path).unwrap_err().to_string();
        assert!(reason(&run).contains("no checkpoint"));
        for name in ["epoch_latest.pt", "epoch_9.pt", "epoch_10.pt", "results.jsonl"] {
            std::fs::write(run.join("checkpoints").join(name), b"").unwrap();
        }
        assert_eq!(newest(&run).unwrap(), run.join("checkpoints/epoch_10.pt"));
        let above = reason(&dir.path().join("logs"));
        assert!(above.ends_with(&format!("hint: a run is in {}", run.display())), "{above}");
        assert_eq!(newest(&run.join("checkpoints")).unwrap(), run.join("checkpoints"));
        assert!(absent(Path::new("ViT-B-32")).contains("\nhint: a run of `clip-data train`"));
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
