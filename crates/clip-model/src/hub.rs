//! Weights by open_clip's names and `hf-hub:`, in the cache that Hugging Face's programs keep,
//! which is only read: nothing is downloaded.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::{Error, ModelConfig, Result};

/// What begins the name of a repository.
const HUB: &str = "hf-hub:";

/// Rows of model, name, repository, activation, mean and standard deviation.
const TABLE: &str = include_str!("../data/pretrained.tsv");

/// Weights by a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Pretrained {
    /// A file, or a folder that [`crate::open`] reads.
    pub path: PathBuf,
    /// Fields of `preprocess_cfg` that come with the name.
    pub preprocess: Map<String, Value>,
}

/// Weights of a model by what `--pretrained` of open_clip takes: a path, `hf-hub:ORG/NAME` (with
/// `@REVISION`), or a name as `laion2b_s34b_b79k` of the model called `model`, whose configuration
/// is `config`.
///
/// # Errors
/// [`Error::Config`] for what is none of these, and for weights of another activation than the
/// model's; [`Error::File`] when the cache has no such repository.
pub fn find_pretrained(spec: &str, model: &str, config: &ModelConfig) -> Result<Pretrained> {
    find_in(&cache(&|name| std::env::var(name).ok()), spec, model, config)
}

/// The folder of `hf-hub:ORG/NAME` in the cache; none where `spec` is no such name.
///
/// # Errors
/// When the cache has no such repository.
pub fn find_in_hub(spec: &str) -> Result<Option<PathBuf>> {
    let cache = || cache(&|name| std::env::var(name).ok());
    spec.strip_prefix(HUB).map(|name| snapshot(&cache(), name)).transpose()
}

fn find_in(cache: &Path, spec: &str, model: &str, config: &ModelConfig) -> Result<Pretrained> {
    let plain = |path| Pretrained { path, preprocess: Map::new() };
    if Path::new(spec).exists() {
        return Ok(plain(spec.into()));
    }
    if let Some(name) = spec.strip_prefix(HUB) {
        return snapshot(cache, name).map(plain);
    }
    let model = model.rsplit('/').next().unwrap_or(model).trim_end_matches("-quickgelu");
    let rows = TABLE.lines().map(|line| line.split('\t').collect::<Vec<_>>());
    let rows: Vec<_> = rows.filter(|row| row[0] == model).collect();
    let Some([_, _, repository, activation, pixels]) =
        rows.iter().find(|row| row[1] == spec).map(Vec::as_slice)
    else {
        let names: Vec<&str> = rows.iter().map(|row| row[1]).collect();
        let known = match names.join(", ") {
            names if names.is_empty() => String::new(),
            names => format!(", or one of {names}"),
        };
        return Err(Error::Config(format!(
            "no weights {spec:?}\nhint: a path, hf-hub:ORG/NAME{known}"
        )));
    };
    if config.quick_gelu != (*activation == "quickgelu") {
        let (is, flag) = match *activation {
            "quickgelu" => ("QuickGELU", format!("--model {model}-quickgelu")),
            _ => ("exact GELU", format!("--model {model}")),
        };
        return Err(Error::Config(format!("{spec} was trained with {is}\nhint: {flag}")));
    }
    let mut preprocess = Map::new();
    for (field, number) in ["mean", "std"].into_iter().zip(pixels.split_whitespace()) {
        let number = number.parse::<f64>().map_err(|e| Error::Config(e.to_string()))?;
        preprocess.insert(field.into(), json!([number, number, number]));
    }
    Ok(Pretrained { path: snapshot(cache, repository)?, preprocess })
}

/// Where Hugging Face's programs keep what they download.
fn cache(variable: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let caches = || {
        let home = folder("HOME").unwrap_or_default();
        folder("XDG_CACHE_HOME").unwrap_or_else(|| home.join(".cache"))
    };
    let home = || folder("HF_HOME").unwrap_or_else(|| caches().join("huggingface"));
    folder("HF_HUB_CACHE").unwrap_or_else(|| home().join("hub"))
}

/// The folder of a repository's revision (`main`) in a cache.
fn snapshot(cache: &Path, name: &str) -> Result<PathBuf> {
    let (repository, revision) = name.split_once('@').unwrap_or((name, "main"));
    let repository = repository.trim_end_matches('/');
    let plain = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && !part.starts_with('.') && part.chars().all(known)
    };
    let parts: Vec<&str> = repository.split('/').collect();
    if parts.len() != 2 || !parts.iter().all(|part| plain(part)) || !plain(revision) {
        return Err(Error::Config(format!(
            "{HUB}{name}: {HUB}ORG/NAME or {HUB}ORG/NAME@REVISION is wanted"
        )));
    }
    let folder = cache.join(format!("models--{}", parts.join("--")));
    let reference = std::fs::read_to_string(folder.join("refs").join(revision));
    let commit = reference.as_deref().map_or(revision, str::trim);
    let found = folder.join("snapshots").join(commit);
    if plain(commit) && found.is_dir() {
        return Ok(found);
    }
    let hint = format!(
        "hint: nothing is downloaded here: `hf download {repository}` on a machine with a network, \
         or HF_HUB_CACHE, or a path"
    );
    Err(Error::file(&folder, format!("{repository} is not in the cache of Hugging Face\n{hint}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cache with that repository at one commit.
    fn cached(repository: &str) -> (tempfile::TempDir, PathBuf) {
        let cache = tempfile::tempdir().unwrap();
        let folder = cache.path().join(format!("models--{}", repository.replace('/', "--")));
        let snapshot = folder.join("snapshots/0123abcd");
        std::fs::create_dir_all(&snapshot).unwrap();
        std::fs::create_dir_all(folder.join("refs")).unwrap();
        std::fs::write(folder.join("refs/main"), "0123abcd\n").unwrap();
        (cache, snapshot)
    }

    fn find(cache: &Path, spec: &str, model: &str) -> Result<Pretrained> {
        let config = ModelConfig::find(model.rsplit('/').next().unwrap()).unwrap();
        find_in(cache, spec, model, &config)
    }

    #[test]
    fn names_lead_to_the_snapshot_of_their_repository() {
        let (cache, folder) = cached("laion/CLIP-ViT-L-14-laion2B-s32B-b82K");
        let found = find(cache.path(), "laion2b_s32b_b82k", "openclip/ViT-L-14").unwrap();
        assert_eq!(found.path, folder);
        assert_eq!(found.preprocess["mean"], json!([0.5, 0.5, 0.5]));
        for name in ["", "@main", "@0123abcd"] {
            let spec = format!("hf-hub:laion/CLIP-ViT-L-14-laion2B-s32B-b82K{name}");
            assert_eq!(find(cache.path(), &spec, "ViT-L-14").unwrap().path, folder);
        }
        let path = folder.display().to_string();
        assert_eq!(find(cache.path(), &path, "RN50").unwrap().path, folder);
        let (cache, folder) = cached("timm/vit_base_patch32_clip_224.openai");
        let found = find(cache.path(), "openai", "ViT-B-32-quickgelu").unwrap();
        assert_eq!((found.path, found.preprocess.len()), (folder, 0));
    }

    #[test]
    fn what_is_not_there_is_named_with_a_way_out() {
        let (cache, _) = cached("timm/vit_base_patch32_clip_224.openai");
        for (spec, model, words) in [
            ("laion400m", "ViT-B-32", "hint: a path, hf-hub:ORG/NAME, or one of openai, "),
            ("openai", "ViT-B-32", "QuickGELU\nhint: --model ViT-B-32-quickgelu"),
            (
                "laion2b_s34b_b79k",
                "ViT-B-32",
                "hint: nothing is downloaded here: `hf download laion/",
            ),
            ("hf-hub:timm/vit_base_patch32_clip_224.openai@v2", "RN50", "is not in the cache"),
            ("hf-hub:../x", "RN50", "is wanted"),
            ("hf-hub:a/b@../../c", "RN50", "is wanted"),
            ("hf-hub:alone", "RN50", "is wanted"),
        ] {
            let message = find(cache.path(), spec, model).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn the_cache_is_where_hugging_faces_variables_say() {
        let of = |set: &[(&str, &str)]| {
            let found = |name: &str| Some(set.iter().find(|(key, _)| *key == name)?.1.to_owned());
            cache(&found).display().to_string()
        };
        assert_eq!(of(&[("HOME", "/h")]), "/h/.cache/huggingface/hub");
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), "/x/huggingface/hub");
        assert_eq!(of(&[("HOME", "/h"), ("HF_HOME", "/f")]), "/f/hub");
        assert_eq!(of(&[("HF_HUB_CACHE", "/c"), ("HF_HOME", "/f")]), "/c");
    }

    #[test]
    fn every_row_is_of_a_model_with_a_repository() {
        for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
            let row: Vec<&str> = line.split('\t').collect();
            assert!(row.len() == 5 && ModelConfig::find(row[0]).is_ok(), "{line}");
            assert!(
                snapshot(Path::new("/nowhere"), row[2]).unwrap_err().to_string().contains("hint")
            );
        }
    }
}
