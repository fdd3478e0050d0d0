//! What is wrong between weights and a model, all of it at once, with the likely cause.

use crate::{Error, ModelConfig, Result};

/// One tensor that does not fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The model wants it and the weights lack it.
    Missing(String),
    /// The weights have it and the model does not know it.
    Extra(String),
    /// Both have it, in different shapes.
    Shape { name: String, has: Vec<i64>, wants: Vec<i64> },
}

/// All tensors that do not fit.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<Fault>);

/// Faults of a kind that are named one by one.
const SHOWN: usize = 5;

impl Faults {
    pub fn push(&mut self, fault: Fault) {
        self.0.push(fault);
    }

    /// Fails when there are any.
    pub fn check(&self, config: &ModelConfig) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        Err(Error::Weights { faults: self.describe(), cause: self.cause(config) })
    }

    fn names(&self, pick: impl Fn(&Fault) -> Option<String>) -> Vec<String> {
        self.0.iter().filter_map(pick).collect()
    }

    fn describe(&self) -> String {
        let missing = self.names(|fault| match fault {
            Fault::Missing(name) => Some(name.clone()),
            _ => None,
        });
        let extra = self.names(|fault| match fault {
            Fault::Extra(name) => Some(name.clone()),
            _ => None,
        });
        let shapes = self.names(|fault| match fault {
            Fault::Shape { name, has, wants } => {
                Some(format!("{name} is {has:?}, the model wants {wants:?}"))
            }
            _ => None,
        });
        let list = |names: Vec<String>, separator: &str| {
            let more = names.len().saturating_sub(SHOWN);
            let shown = names[..names.len().min(SHOWN)].join(separator);
            if more > 0 { format!("{shown}{separator}and {more} more") } else { shown }
        };
        let mut parts = Vec::new();
        if !shapes.is_empty() {
            parts.push(list(shapes, "; "));
        }
        if !missing.is_empty() {
            parts.push(format!("missing: {}", list(missing, ", ")));
        }
        if !extra.is_empty() {
            parts.push(format!("not in the model: {}", list(extra, ", ")));
        }
        parts.join("; ")
    }

    /// The likely cause, from the names that betray it.
    fn cause(&self, config: &ModelConfig) -> &'static str {
        let extra = |is: &dyn Fn(&str) -> bool| {
            self.0.iter().any(|fault| matches!(fault, Fault::Extra(name) if is(name)))
        };
        let extra_in = |part: &str| extra(&|name| name.contains(part));
        let missing = |wanted: &str| {
            self.0.iter().any(|fault| matches!(fault, Fault::Missing(name) if name == wanted))
        };
        let shape = |wanted: &str| {
            self.0.iter().any(|fault| matches!(fault, Fault::Shape { name, .. } if name == wanted))
        };
        let resnet = config.vision_cfg.is_resnet();
        let no_text = missing("token_embedding.weight") && missing("ln_final.weight");
        let no_image = missing("visual.conv1.weight");
        if extra_in("visual.trunk.") {
            "these are weights of a timm image tower, which is none of the paper's"
        } else if extra_in("text_decoder.") || extra_in("visual.attn_pool.") {
            "these are weights of a CoCa model"
        } else if extra(&|name| {
            ["embeddings.", "encoder.", "roberta.", "bert."]
                .iter()
                .any(|part| name.starts_with(&format!("text.transformer.{part}")))
        }) {
            "the text tower is of another kind: a language model of transformers'"
        } else if extra(&|name| name.starts_with("text.")) {
            "the text tower is of another kind: open_clip's CustomTextCLIP, whose names begin with \"text.\""
        } else if extra_in("exp_avg") || extra_in("param_groups") {
            "this is the state of an optimizer, not a model"
        } else if no_text && no_image {
            "no tensor has the name of one of CLIP's: another model, or names with a prefix that is not known"
        } else if no_text {
            "the file has no text tower of CLIP's"
        } else if no_image {
            "the file has no image tower of CLIP's"
        } else if !resnet && extra_in("visual.layer1.") {
            "these are weights of a ResNet, and the configuration is a vision transformer's"
        } else if resnet && extra_in("visual.transformer.") {
            "these are weights of a vision transformer, and the configuration is a ResNet's"
        } else if shape("visual.positional_embedding") && !shape("visual.proj") {
            "the weights are of another image size or patch size"
        } else if shape("token_embedding.weight") && !shape("text_projection") {
            "the weights are of another vocabulary"
        } else if shape("ln_final.weight") {
            "the weights are of a model with another width of the text tower"
        } else if shape("visual.ln_post.weight") || shape("visual.layer1.0.conv1.weight") {
            "the weights are of a model with another width of the image tower"
        } else if shape("text_projection") {
            "the weights are of a model with another embed_dim"
        } else if extra_in("resblocks") || extra_in("visual.layer") {
            "the weights are of a deeper model"
        } else if self.0.iter().all(|fault| matches!(fault, Fault::Missing(_))) {
            "the file is incomplete, or of a shallower model"
        } else if self.0.iter().all(|fault| matches!(fault, Fault::Extra(_))) {
            "the file has all of the model, and tensors of something else"
        } else {
            "the configuration and the weights are of different models"
        }
    }
}
