//! Opening weights of any format that CLIP's come in, and knowing their model.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clip_format::FileKind;
use clip_torch::tch::{Device, Kind, Tensor};
use serde_json::{Map, Value as Json};

use crate::hugging_face::{is_hugging_face, to_open_clip};
use crate::pt::{Value, read_pt};
use crate::weights::read_safetensors_with;
use crate::{Clip, Error, ModelConfig, PreprocessCfg, Result, infer_config, interpolate_positions};

/// What the weights were written by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// open_clip's names, or OpenAI's, which are the same.
    OpenClip,
    /// OpenAI's TorchScript archive.
    OpenAi,
    /// transformers' names.
    HuggingFace,
}

/// Weights, and what their file records of their model.
#[derive(Debug)]
pub struct Weights {
    /// The file of the tensors, or the index of several.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The tensors under open_clip's names, mapped and not copied where that can be.
    pub tensors: Vec<(String, Tensor)>,
    /// The model, where the file or its folder says.
    pub config: Option<ModelConfig>,
    /// What happens to images, where the file or its folder says.
    pub preprocess: Option<PreprocessCfg>,
}

/// What the caller knows of a model, and how it wants it.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The model; a file that says another activation is refused.
    pub model: Option<ModelConfig>,
    /// Another image size: positional embeddings are interpolated.
    pub image_size: Option<i64>,
    /// Fields of `preprocess_cfg` that replace the file's.
    pub preprocess: Map<String, Json>,
    /// Where the weights go.
    pub device: Device,
    /// Their type, cast once.
    pub kind: Kind,
}

impl Default for LoadOptions {
    /// What the file says, on the CPU, in f32.
    fn default() -> Self {
        Self {
            model: None,
            image_size: None,
            preprocess: Map::new(),
            device: Device::Cpu,
            kind: Kind::Float,
        }
    }
}

/// Opens a model from a folder (open_clip's `local-dir:` layout or transformers') or a file
/// (`.safetensors`, a training checkpoint `epoch_N.pt`, OpenAI's TorchScript archive, a bare state
/// dict).
///
/// # Errors
/// When the path holds no such weights, when they do not fit, when nothing records their
/// activation, or when they record another one than the caller's.
pub fn open(path: &Path, opening: &LoadOptions) -> Result<Clip> {
    Weights::read(path)?.into_model(opening)
}

/// Opens a folder written by [`crate::save_checkpoint`] or by open_clip.
pub fn load_checkpoint(folder: &Path, device: Device) -> Result<Clip> {
    open(folder, &LoadOptions { device, ..LoadOptions::default() })
}

/// Names of weights in a folder, in the order in which they are looked for.
pub(crate) const FILES: [&str; 7] = [
    "open_clip_model.safetensors",
    "model.safetensors",
    "open_clip_pytorch_model.bin",
    "pytorch_model.bin",
    "open_clip_model.safetensors.index.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
];

/// The file that holds the weights: the path itself, or the first of the known names in a folder.
///
/// # Errors
/// When the folder holds none.
fn weights_file(path: &Path) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    FILES.iter().map(|name| path.join(name)).find(|file| file.is_file()).ok_or_else(|| {
        let names = FILES.join(", ");
        Error::file(path, format!("the folder holds no weights\nhint: one of {names} is wanted"))
    })
}

/// All files that weights are read from: one, or an index and what it names.
pub fn weights_files(path: &Path) -> Result<Vec<PathBuf>> {
    let file = weights_file(path)?;
    let parts = if is_index(&file) { index_parts(&file)? } else { BTreeMap::new() };
    Ok([file].into_iter().chain(parts.into_keys()).collect())
}

fn is_index(path: &Path) -> bool {
    path.to_string_lossy().ends_with(".index.json")
}

/// The files that an index names, which are there, with the tensors that are in each.
fn index_parts(path: &Path) -> Result<BTreeMap<PathBuf, Vec<String>>> {
    let fault = |reason: String| Error::file(path, reason);
    let text = std::fs::read_to_string(path).map_err(|e| Error::io(path, e))?;
    let json: Json = serde_json::from_str(&text).map_err(|e| Error::file(path, e))?;
    let map = json.get("weight_map").and_then(Json::as_object);
    let map = map.ok_or_else(|| fault("no \"weight_map\" from tensors to files".into()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut parts: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for (tensor, file) in map {
        let name = file.as_str().filter(|file| !file.contains('/') && !file.starts_with('.'));
        let name = name.ok_or_else(|| fault(format!("{tensor}: {file} is no file's name")))?;
        let file = folder.join(name);
        if !file.is_file() {
            let hint = "hint: download all parts of the model";
            return Err(fault(format!("{name}, which the index names, is missing\n{hint}")));
        }
        parts.entry(file).or_default().push(tensor.clone());
    }
    Ok(parts)
}

impl Weights {
    /// Reads weights in any known format. What a file records of its model counts, of a folder the
    /// configuration files in it.
    pub fn read(path: &Path) -> Result<Self> {
        let file = weights_file(path)?;
        let mut weights =
            if is_index(&file) { Self::read_index(&file)? } else { Self::read_file(&file)? };
        strip_prefixes(&mut weights.tensors);
        if is_hugging_face(&weights.tensors) {
            weights.format = Format::HuggingFace;
            weights.tensors = to_open_clip(std::mem::take(&mut weights.tensors))?;
        }
        // Of a folder, its configuration files count, as for open_clip: they may have been edited
        // since the weights' file was written.
        let folder = path.is_dir();
        if folder || weights.config.is_none() {
            weights.config = weights.config_beside()?.or(weights.config);
        }
        // All of OpenAI's models have one transform, which is the default.
        if (folder || weights.preprocess.is_none()) && weights.format != Format::OpenAi {
            weights.preprocess = weights.preprocess_beside()?.or(weights.preprocess);
        }
        Ok(weights)
    }

    /// The files that an index names, as one.
    fn read_index(path: &Path) -> Result<Self> {
        let (mut tensors, mut config, mut preprocess) = (Vec::new(), None, None);
        for (file, wanted) in index_parts(path)? {
            let part = Self::read_file(&file)?;
            let has = |wanted: &String| part.tensors.iter().any(|(tensor, _)| tensor == wanted);
            if let Some(missing) = wanted.iter().find(|wanted| !has(wanted)) {
                return Err(Error::file(
                    &file,
                    format!("{missing} is not there, as the index says"),
                ));
            }
            tensors.extend(part.tensors);
            config = config.or(part.config);
            preprocess = preprocess.or(part.preprocess);
        }
        Ok(Self { path: path.to_path_buf(), format: Format::OpenClip, tensors, config, preprocess })
    }

    fn read_file(path: &Path) -> Result<Self> {
        let start = first_bytes(path)?;
        if crate::pt::is_archive(&start) || start.starts_with(b"\x80\x02") {
            return Self::from_pt(path, read_pt(path)?);
        }
        // What is called weights and is none is damaged.
        let ending = path.extension().unwrap_or_default().to_ascii_lowercase();
        if !ENDINGS.iter().any(|known| ending == *known)
            && let Some(kind) = FileKind::of(path, &start)
        {
            return Err(Error::WrongKind { path: path.to_path_buf(), kind });
        }
        let (tensors, mark) = read_safetensors_with(path)?;
        let config = mark.get("model_cfg").map(|text| ModelConfig::parse(text));
        let config = config.transpose().map_err(|e| Error::file(path, e))?;
        let preprocess = match mark.get("preprocess_cfg") {
            None => None,
            Some(text) => {
                let fields = serde_json::from_str(text).map_err(|e| Error::file(path, e))?;
                let found = PreprocessCfg::default().merged(&fields);
                Some(found.map_err(|reason| {
                    Error::file(path, format!("preprocess_cfg of its remarks: {reason}"))
                })?)
            }
        };
        let path = path.to_path_buf();
        Ok(Self { path, format: Format::OpenClip, tensors, config, preprocess })
    }

    fn from_pt(path: &Path, value: Value) -> Result<Self> {
        let path = path.to_path_buf();
        if let Value::Object(..) = value {
            let mut tensors = Vec::new();
            flatten("", &value, &mut tensors);
            let whole = tensors.len();
            tensors.retain(|(name, _)| !OPENAI_MARKS.contains(&name.as_str()));
            // Only OpenAI's archives have the marks, and all of its models use QuickGELU.
            let openai = tensors.len() < whole;
            let config = if openai { infer_config(&tensors, true) } else { None };
            let format = if openai { Format::OpenAi } else { Format::OpenClip };
            return Ok(Self { path, format, tensors, config, preprocess: None });
        }
        let config = value.get("model_cfg").and_then(Value::as_str).map(ModelConfig::parse);
        let config = config.transpose().map_err(|e| Error::file(&path, e))?;
        let tensors = value.get("state_dict").unwrap_or(&value).tensors();
        if tensors.is_empty() {
            let hint =
                "hint: a state dict, or a dictionary with one under \"state_dict\", is wanted";
            return Err(Error::file(&path, format!("the file holds no weights\n{hint}")));
        }
        Ok(Self { path, format: Format::OpenClip, tensors, config, preprocess: None })
    }

    /// What happens to images: the fields of the caller over what the file says, over open_clip's
    /// default.
    ///
    /// # Errors
    /// When a field is not one of `preprocess_cfg`, or has no value of one.
    pub fn preprocess(&self, asked: &Map<String, Json>) -> Result<PreprocessCfg> {
        let merged = self.preprocess.unwrap_or_default().merged(asked);
        merged.map_err(|reason| Error::Config(format!("preprocess_cfg: {reason}")))
    }

    /// The model that the weights are of: what their file says, else what the caller says.
    ///
    /// # Errors
    /// When both say something and it differs (but for the image size and the context length, to
    /// which positions are interpolated), or neither says anything.
    pub fn config(&self, asked: Option<&ModelConfig>) -> Result<ModelConfig> {
        match (&self.config, asked) {
            (Some(own), Some(asked)) => {
                // Positions are interpolated to another size or length; the activation is said by
                // itself, of weights that fit otherwise.
                let mut wanted = asked.clone();
                wanted.vision_cfg.image_size = own.vision_cfg.image_size;
                wanted.text_cfg.context_length = own.text_cfg.context_length;
                wanted.quick_gelu = own.quick_gelu;
                self.refuse_other(own, &wanted)?;
                if own.quick_gelu == asked.quick_gelu {
                    return Ok(asked.clone());
                }
                let name = |quick| if quick { "QuickGELU" } else { "exact GELU" };
                Err(Error::file(
                    &self.path,
                    format!(
                        "the weights are of a model with {}, and the model asked for has {}\n\
                         hint: open_clip's names tell it: RN50-quickgelu has QuickGELU, RN50 has not",
                        name(own.quick_gelu),
                        name(asked.quick_gelu)
                    ),
                ))
            }
            (None, Some(asked)) => Ok(asked.clone()),
            (Some(own), None) => Ok(own.clone()),
            (None, None) => {
                let guess = infer_config(&self.tensors, false);
                let shape =
                    guess.map_or("not one of CLIP's".to_owned(), |config| describe(&config));
                let name =
                    if ModelConfig::find(&shape).is_ok() { &*shape } else { "model_cfg.json" };
                let fault = match self.model_beside() {
                    Some(model) => format!(
                        "params.txt names the model {model}, which is not known here (by the shapes of the weights: {shape})\n\
                         hint: `--model-name FILE.json` (`--model FILE.json` of `clip-data train`) takes open_clip's model_cfg of it"
                    ),
                    None => format!(
                        "nothing records the model of these weights (by their shapes: {shape}), and its activation \
                         leaves no trace in them\nhint: `--model-name {name}` (`--model {name}` of `clip-data train`) names it, with -quickgelu (in a file, \"quick_gelu\": true) where it was trained so"
                    ),
                };
                Err(Error::file(&self.path, fault))
            }
        }
    }

    /// Refuses a model that differs from the one that the weights record: heads and the like leave
    /// no trace in shapes, and the scores would be another model's.
    fn refuse_other(&self, own: &ModelConfig, asked: &ModelConfig) -> Result<()> {
        let json = |config| serde_json::to_value(config).unwrap_or_default();
        let mut differ = Vec::new();
        differences("", &json(own), &json(asked), &mut differ);
        if differ.is_empty() {
            return Ok(());
        }
        Err(Error::file(
            &self.path,
            format!(
                "the weights record another model than the one asked for: {}\n\
                 hint: without --model-name (--model of `clip-data train`) it is the recorded one",
                differ.join(", ")
            ),
        ))
    }

    /// As [`Weights::config`], at the image size that the caller says.
    ///
    /// # Errors
    /// As there, and when the size fits no patches.
    pub fn opened_config(&self, opening: &LoadOptions) -> Result<ModelConfig> {
        let mut config = self.config(opening.model.as_ref())?;
        let Some(size) = opening.image_size else { return Ok(config) };
        config.vision_cfg.image_size = size;
        config.checked()
    }

    /// Makes the model.
    pub fn into_model(mut self, opening: &LoadOptions) -> Result<Clip> {
        let config = self.opened_config(opening)?;
        let preprocess = self.preprocess(&opening.preprocess)?;
        interpolate_positions(&mut self.tensors, &config)?;
        let model = Clip::from_weights_in(&config, self.tensors, opening.device, opening.kind);
        let mut model = model.map_err(|error| match error {
            Error::Weights { faults, cause } => Error::file(
                &self.path,
                format!("weights do not fit the model: {faults}\nhint: {cause}"),
            ),
            other => other,
        })?;
        model.set_preprocess(preprocess);
        Ok(model)
    }
}

/// Appends where two configurations differ, and what they have there.
fn differences(at: &str, own: &Json, asked: &Json, found: &mut Vec<String>) {
    match (own, asked) {
        (Json::Object(own), Json::Object(asked)) => {
            let keys: std::collections::BTreeSet<&String> =
                own.keys().chain(asked.keys()).collect();
            for key in keys {
                let of = |all: &Map<String, Json>| all.get(key).cloned().unwrap_or(Json::Null);
                let dot = if at.is_empty() { "" } else { "." };
                differences(&format!("{at}{dot}{key}"), &of(own), &of(asked), found);
            }
        }
        (own, asked) if own != asked => found.push(format!("{at} {own} (asked for: {asked})")),
        _ => {}
    }
}

/// What OpenAI's archives have beside the weights.
const OPENAI_MARKS: [&str; 3] = ["input_resolution", "context_length", "vocab_size"];

/// The tensors of a TorchScript module under the names that `state_dict()` gives them.
fn flatten(prefix: &str, value: &Value, tensors: &mut Vec<(String, Tensor)>) {
    let Value::Object(_, state) = value else { return };
    for (key, value) in state.items() {
        let Some(key) = key.as_str() else { continue };
        let name = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
        match value {
            // The causal mask is no part of the state.
            Value::Tensor(tensor) if key != "attn_mask" => {
                tensors.push((name, tensor.shallow_clone()));
            }
            // Some archives keep the marks as plain numbers.
            Value::Int(number) if OPENAI_MARKS.contains(&key) => {
                tensors.push((name, Tensor::from(*number)));
            }
            _ => flatten(&name, value, tensors),
        }
    }
}

/// What is before the names of a model that is held by DistributedDataParallel, torch.compile, or a
/// module of the user's.
const WRAPPERS: [&str; 4] = ["module.", "_orig_mod.", "model.", "clip."];

/// Takes off what is before the temperature's name, which every CLIP has; what begins otherwise is
/// left, to be named as unknown.
fn strip_prefixes(tensors: &mut [(String, Tensor)]) {
    let temperature = tensors.iter().find_map(|(name, _)| name.strip_suffix("logit_scale"));
    let Some(prefix) = temperature.map(str::to_owned) else { return };
    let mut rest = prefix.as_str();
    while let Some(inner) = WRAPPERS.iter().find_map(|wrapper| rest.strip_prefix(wrapper)) {
        rest = inner;
    }
    if !rest.is_empty() {
        return;
    }
    for (name, _) in tensors {
        if name.starts_with(&prefix) {
            name.drain(..prefix.len());
        }
    }
}

/// Bytes from its start on by which a file's kind is known.
const START: u64 = 512;
/// How files of weights end.
const ENDINGS: [&str; 5] = ["safetensors", "pt", "pth", "bin", "ckpt"];

fn first_bytes(path: &Path) -> Result<Vec<u8>> {
    use std::io::Read;
    let mut start = Vec::new();
    let file = std::fs::File::open(path).map_err(|e| Error::io(path, e))?;
    file.take(START).read_to_end(&mut start).map_err(|e| Error::io(path, e))?;
    if start.is_empty() {
        return Err(Error::file(path, "the file is empty"));
    }
    Ok(start)
}

/// A model in a few words.
pub(crate) fn describe(config: &ModelConfig) -> String {
    let mut known =
        crate::NAMES.iter().filter_map(|name| Some((name, ModelConfig::find(name).ok()?)));
    let same = |known: &ModelConfig| {
        ModelConfig { quick_gelu: known.quick_gelu, ..config.clone() } == *known
    };
    if let Some((name, _)) = known.find(|(_, known)| same(known)) {
        return (*name).to_owned();
    }
    let v = &config.vision_cfg;
    let tower = if v.is_resnet() { "ResNet" } else { "vision transformer" };
    format!("a {tower} of width {} at {} pixels", v.width, v.image_size)
}
