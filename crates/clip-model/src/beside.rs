//! What the files in the folder of weights say of their model and of its images.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json};

use crate::hugging_face::read_config;
use crate::processor::{PROCESSOR_FILE, read_processor};
use crate::weights::CONFIG_FILE;
use crate::{Error, Format, ModelConfig, PreprocessCfg, Result, Weights};

pub(crate) const CONFIGS: [&str; 2] = [CONFIG_FILE, "config.json"];

/// Names of open_clip's training parameters, and of the fields of `preprocess_cfg` that they set.
const PARAMS: [(&str, &str); 5] = [
    ("image_mean", "mean"),
    ("image_std", "std"),
    ("image_interpolation", "interpolation"),
    ("image_resize_mode", "resize_mode"),
    ("image_fill_color", "fill_color"),
];

/// The value of a line `key: value` of `params.txt`.
fn param<'a>(params: &'a str, key: &str) -> Option<&'a str> {
    params.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::trim)
}

impl Weights {
    /// The model by the files beside the weights: a configuration, or the parameters of open_clip's
    /// training run.
    pub(crate) fn config_beside(&self) -> Result<Option<ModelConfig>> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        for file in CONFIGS.map(|name| folder.join(name)).into_iter().filter(|file| file.is_file())
        {
            let text = std::fs::read_to_string(&file).map_err(|e| Error::io(&file, e))?;
            let json: Json = serde_json::from_str(&text).map_err(|e| Error::file(&file, e))?;
            let config = if json.get("model_cfg").is_some() || json.get("embed_dim").is_some() {
                ModelConfig::parse(&text)
            } else if json.get("vision_config").is_some() {
                read_config(&json)
            } else {
                continue;
            };
            return config.map(Some).map_err(|e| Error::file(&file, e));
        }
        let Some((_, params)) = self.params()? else { return Ok(None) };
        let of = |key: &str| param(&params, key);
        // One that is not known here must be described by the caller.
        let Some(mut config) = of("model").and_then(|name| ModelConfig::find(name).ok()) else {
            return Ok(None);
        };
        config.quick_gelu |= of("force_quick_gelu") == Some("True");
        if let Some(size) = of("force_image_size").and_then(|size| size.parse().ok()) {
            config.vision_cfg.image_size = size;
        }
        Ok(Some(config))
    }

    /// What happens to images by the files beside the weights: open_clip's configuration,
    /// transformers' processor, or the parameters of open_clip's training run.
    pub(crate) fn preprocess_beside(&self) -> Result<Option<PreprocessCfg>> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        let read = |name: &str| -> Result<Option<(PathBuf, Json)>> {
            let file = folder.join(name);
            if !file.is_file() {
                return Ok(None);
            }
            let text = std::fs::read_to_string(&file).map_err(|e| Error::io(&file, e))?;
            let json = serde_json::from_str(&text).map_err(|e| Error::file(&file, e))?;
            Ok(Some((file, json)))
        };
        if self.format == Format::HuggingFace
            && let Some((file, json)) = read(PROCESSOR_FILE)?
        {
            let side = self.config.as_ref().map(|config| config.vision_cfg.image_size);
            return read_processor(&json, side).map(Some).map_err(|e| Error::file(&file, e));
        }
        if let Some((file, json)) = read(CONFIG_FILE)? {
            return PreprocessCfg::of_config(&json).map_err(|e| Error::file(&file, e));
        }
        let Some((file, params)) = self.params()? else { return Ok(None) };
        let fields = PARAMS.iter().filter_map(|(theirs, ours)| {
            let text = param(&params, theirs).filter(|text| *text != "None")?;
            Some(((*ours).to_owned(), serde_json::from_str(text).unwrap_or_else(|_| text.into())))
        });
        let fields: Map<String, Json> = fields.collect();
        if fields.is_empty() {
            return Ok(None);
        }
        let found = PreprocessCfg::default().merged(&fields);
        found.map(Some).map_err(|reason| Error::file(&file, format!("image_{reason}")))
    }

    /// The name of the model in the parameters of open_clip's training run.
    pub(crate) fn model_beside(&self) -> Option<String> {
        let (_, params) = self.params().ok()??;
        param(&params, "model").map(str::to_owned)
    }

    /// The parameters of open_clip's training run that wrote the weights, with their file.
    fn params(&self) -> Result<Option<(PathBuf, String)>> {
        let file = self.path.parent().and_then(Path::parent).map(|run| run.join("params.txt"));
        let Some(file) = file.filter(|file| file.is_file()) else { return Ok(None) };
        let text = std::fs::read_to_string(&file).map_err(|e| Error::io(&file, e))?;
        Ok(Some((file, text)))
    }
}
