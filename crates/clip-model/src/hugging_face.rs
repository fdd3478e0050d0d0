//! The names and the configuration of transformers' `CLIPModel` (vision transformers only: it has
//! no ResNets).

use clip_torch::tch::Tensor;
use serde_json::{Value, json};

use crate::config::hidden;
use crate::{Depth, Error, ModelConfig, Result, TextConfig, VisionConfig};

/// Whether weights have transformers' names.
pub(crate) fn is_hugging_face(weights: &[(String, Tensor)]) -> bool {
    weights.iter().any(|(name, _)| name.starts_with("vision_model."))
}

/// (transformers' name, open_clip's) outside the blocks.
const TOP: [(&str, &str); 12] = [
    ("logit_scale", "logit_scale"),
    ("text_model.embeddings.token_embedding.weight", "token_embedding.weight"),
    ("text_model.embeddings.position_embedding.weight", "positional_embedding"),
    ("text_model.final_layer_norm.weight", "ln_final.weight"),
    ("text_model.final_layer_norm.bias", "ln_final.bias"),
    ("vision_model.embeddings.class_embedding", "visual.class_embedding"),
    ("vision_model.embeddings.patch_embedding.weight", "visual.conv1.weight"),
    ("vision_model.embeddings.position_embedding.weight", "visual.positional_embedding"),
    // The misspelling is theirs.
    ("vision_model.pre_layrnorm.weight", "visual.ln_pre.weight"),
    ("vision_model.pre_layrnorm.bias", "visual.ln_pre.bias"),
    ("vision_model.post_layernorm.weight", "visual.ln_post.weight"),
    ("vision_model.post_layernorm.bias", "visual.ln_post.bias"),
];
/// Maps that are a layer there and a matrix, transposed, here.
const PROJECTIONS: [(&str, &str); 2] =
    [("text_projection.weight", "text_projection"), ("visual_projection.weight", "visual.proj")];
const TOWERS: [(&str, &str); 2] = [
    ("text_model.encoder.layers.", "transformer.resblocks."),
    ("vision_model.encoder.layers.", "visual.transformer.resblocks."),
];
/// The same inside a block.
const BLOCK: [(&str, &str); 5] = [
    ("layer_norm1", "ln_1"),
    ("layer_norm2", "ln_2"),
    ("mlp.fc1", "mlp.c_fc"),
    ("mlp.fc2", "mlp.c_proj"),
    ("self_attn.out_proj", "attn.out_proj"),
];
const PARTS: [&str; 3] = ["q_proj", "k_proj", "v_proj"];

/// transformers' weights under open_clip's names; what has no counterpart keeps its own, to be
/// reported as unknown.
pub(crate) fn to_open_clip(weights: Vec<(String, Tensor)>) -> Result<Vec<(String, Tensor)>> {
    let mut found: std::collections::BTreeMap<String, Tensor> = weights.into_iter().collect();
    let mut named = Vec::new();
    let queries: Vec<String> =
        found.keys().filter(|name| name.contains(".self_attn.q_proj.")).cloned().collect();
    for query in queries {
        let parts = PARTS.map(|part| found.remove(&query.replace("q_proj", part)));
        let parts: Option<Vec<Tensor>> = parts.into_iter().collect();
        let Some(parts) = parts else {
            return Err(Error::Config(format!("{query} has no keys or values beside it")));
        };
        let (name, kind) = query.rsplit_once('.').unwrap_or((&query, "weight"));
        let name = block_name(name.trim_end_matches(".self_attn.q_proj"));
        named.push((format!("{name}.attn.in_proj_{kind}"), Tensor::f_cat(&parts, 0)?));
    }
    for (name, tensor) in found {
        if name.ends_with(".position_ids") {
            continue;
        }
        let top = TOP.iter().find(|(theirs, _)| *theirs == name);
        let projection = PROJECTIONS.iter().find(|(theirs, _)| *theirs == name);
        named.push(match (top, projection) {
            (Some((_, ours)), _) => ((*ours).to_owned(), tensor),
            (_, Some((_, ours))) => ((*ours).to_owned(), tensor.f_tr()?.f_contiguous()?),
            _ => (block_name(&name), tensor),
        });
    }
    Ok(named)
}

fn block_name(name: &str) -> String {
    let tower = TOWERS.iter().find_map(|(theirs, ours)| Some((ours, name.strip_prefix(theirs)?)));
    let Some((tower, rest)) = tower else { return name.to_owned() };
    let rest =
        BLOCK.iter().fold(rest.to_owned(), |rest, (theirs, ours)| rest.replace(theirs, ours));
    format!("{tower}{rest}")
}

/// open_clip's weights under transformers' names.
pub(crate) fn from_open_clip(weights: &[(String, Tensor)]) -> Result<Vec<(String, Tensor)>> {
    let mut named = Vec::new();
    for (name, tensor) in weights {
        if let Some((theirs, _)) = TOP.iter().find(|(_, ours)| ours == name) {
            named.push(((*theirs).to_owned(), tensor.shallow_clone()));
        } else if let Some((theirs, _)) = PROJECTIONS.iter().find(|(_, ours)| ours == name) {
            named.push(((*theirs).to_owned(), tensor.f_tr()?.f_contiguous()?));
        } else {
            let tower =
                TOWERS.iter().find_map(|(theirs, ours)| Some((theirs, name.strip_prefix(ours)?)));
            let Some((tower, rest)) = tower else {
                return Err(Error::Config(format!(
                    "{name} has no place in transformers' CLIPModel"
                )));
            };
            if let Some((block, kind)) = rest.split_once(".attn.in_proj_") {
                for (part, tensor) in PARTS.iter().zip(tensor.f_chunk(3, 0)?) {
                    let name = format!("{tower}{block}.self_attn.{part}.{kind}");
                    named.push((name, tensor.f_contiguous()?));
                }
            } else {
                let rest = BLOCK
                    .iter()
                    .fold(rest.to_owned(), |rest, (theirs, ours)| rest.replace(ours, theirs));
                named.push((format!("{tower}{rest}"), tensor.shallow_clone()));
            }
        }
    }
    Ok(named)
}

/// The configuration that transformers' `config.json` describes.
pub(crate) fn read_config(config: &Value) -> Result<ModelConfig> {
    let fail = |what: &str| Error::Config(format!("config.json of transformers: {what}"));
    let (vision, text) = (&config["vision_config"], &config["text_config"]);
    let int = |tower: &Value, key: &str, default: i64| match tower.get(key) {
        None | Some(Value::Null) => Ok(default),
        Some(value) => value.as_i64().ok_or_else(|| fail(&format!("{key} is no integer"))),
    };
    let activation = |tower: &Value| match tower.get("hidden_act").and_then(Value::as_str) {
        None | Some("quick_gelu") => Ok(true),
        Some("gelu") => Ok(false),
        Some(other) => Err(fail(&format!("hidden_act {other:?} is none of CLIP's"))),
    };
    let quick_gelu = activation(vision)?;
    if quick_gelu != activation(text)? {
        return Err(fail("the towers have different activations"));
    }
    // What a file leaves out is transformers' default, ViT-B/32's.
    let (width, text_width) = (int(vision, "hidden_size", 768)?, int(text, "hidden_size", 512)?);
    let heads = int(vision, "num_attention_heads", 12)?.max(1);
    let ratio = |hidden: i64, width: i64| hidden as f64 / width.max(1) as f64;
    let vision_cfg = VisionConfig {
        head_width: width / heads,
        mlp_ratio: ratio(int(vision, "intermediate_size", 3072)?, width),
        ..VisionConfig::vit(
            int(vision, "image_size", 224)?,
            int(vision, "patch_size", 32)?,
            int(vision, "num_hidden_layers", 12)?,
            width,
        )
    };
    let text_cfg = TextConfig {
        context_length: int(text, "max_position_embeddings", 77)?,
        vocab_size: int(text, "vocab_size", 49_408)?,
        width: text_width,
        heads: int(text, "num_attention_heads", 8)?,
        layers: int(text, "num_hidden_layers", 12)?,
        mlp_ratio: ratio(int(text, "intermediate_size", 2048)?, text_width),
    };
    let embed_dim = int(config, "projection_dim", 512)?;
    ModelConfig { embed_dim, quick_gelu, vision_cfg, text_cfg }.checked()
}

/// transformers' `config.json` for a configuration.
pub(crate) fn write_config(config: &ModelConfig) -> Result<Value> {
    let (v, t) = (&config.vision_cfg, &config.text_cfg);
    let (Depth::Blocks(layers), Some(patch)) = (v.layers, v.patch_size) else {
        return Err(Error::Config(
            "transformers has no modified ResNets\nhint: convert to open_clip's or OpenAI's names"
                .into(),
        ));
    };
    let activation = if config.quick_gelu { "quick_gelu" } else { "gelu" };
    Ok(json!({
        "architectures": ["CLIPModel"],
        "model_type": "clip",
        "projection_dim": config.embed_dim,
        "logit_scale_init_value": 2.6592,
        "vision_config": {
            "model_type": "clip_vision_model",
            "hidden_size": v.width,
            "intermediate_size": hidden(v.width, v.mlp_ratio),
            "num_attention_heads": v.width / v.head_width,
            "num_hidden_layers": layers,
            "image_size": v.image_size,
            "patch_size": patch,
            "projection_dim": config.embed_dim,
            "hidden_act": activation,
        },
        "text_config": {
            "model_type": "clip_text_model",
            "hidden_size": t.width,
            "intermediate_size": hidden(t.width, t.mlp_ratio),
            "num_attention_heads": t.heads,
            "num_hidden_layers": t.layers,
            "max_position_embeddings": t.context_length,
            "vocab_size": t.vocab_size,
            "projection_dim": config.embed_dim,
            "hidden_act": activation,
            "bos_token_id": t.vocab_size - 2,
            "eos_token_id": t.vocab_size - 1,
            "pad_token_id": t.vocab_size - 1,
        },
    }))
}
