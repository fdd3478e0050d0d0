//! Which parameters share an optimizer and its settings.

use std::collections::BTreeMap;

use clip_model::{Clip, ModelConfig};
use clip_torch::tch::Tensor;

use super::adamw::AdamWGroup;
use super::lion::LionGroup;
use super::muon::MuonGroup;
use super::optimizer::{Optimizer, ParamGroup};
use crate::lock::depth;
use crate::{Opt, Recipe};

/// What a group is for, in the groups' order: open_clip's two first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    /// Spared of decay.
    Spared,
    Decayed,
    /// The matrices of Muon.
    Matrices,
}

/// The part of a parameter.
fn part(name: &str, dimensions: usize, recipe: &Recipe) -> Part {
    if !recipe.is_decayed(name, dimensions) {
        Part::Spared
    } else if recipe.opt == Opt::Muon && dimensions == 2 && name.contains(".resblocks.") {
        // Not embeddings, convolutions and projections: its authors leave those to AdamW.
        Part::Matrices
    } else {
        Part::Decayed
    }
}

/// The groups of a model's trained parameters; with layer-wise learning rates one for each depth.
pub(super) fn groups(
    model: &Clip,
    recipe: &Recipe,
    is_trained: impl Fn(&str) -> bool,
) -> Vec<ParamGroup> {
    let mut lists: BTreeMap<(Part, usize), (Vec<String>, Vec<Tensor>)> = BTreeMap::new();
    if recipe.layer_decay.is_none() {
        // open_clip's optimizer has both, whatever is in them.
        for part in [Part::Spared, Part::Decayed] {
            lists.entry((part, 0)).or_default();
        }
    }
    for (name, tensor) in model.named_parameters().iter().filter(|(name, _)| is_trained(name)) {
        let depth = recipe.layer_decay.map_or(0, |_| depth(name, model.config()));
        let list = lists.entry((part(name, tensor.dim(), recipe), depth)).or_default();
        list.0.push(name.clone());
        list.1.push(tensor.shallow_clone());
    }
    let group = |((part, depth), (names, params)): ((Part, usize), (Vec<String>, Vec<Tensor>))| {
        let weight_decay = if part == Part::Spared { 0.0 } else { recipe.wd };
        let optimizer: Box<dyn Optimizer> = match (recipe.opt, part) {
            (Opt::Lion, _) => Box::new(LionGroup::new(recipe, &params, weight_decay)),
            (Opt::Muon, Part::Matrices) => Box::new(MuonGroup::new(recipe, &params, weight_decay)),
            (Opt::AdamW | Opt::Muon, _) => Box::new(AdamWGroup::new(recipe, &params, weight_decay)),
        };
        let lr_scale = recipe.layer_decay.map_or(1.0, |decay| decay.powi(depth as i32));
        ParamGroup { names, params, lr_scale, optimizer }
    };
    lists.into_iter().map(group).collect()
}

/// Whether Muon has a matrix of the model to train.
pub(crate) fn has_matrices(model: &ModelConfig, recipe: &Recipe) -> bool {
    let (shapes, _) = Clip::shapes(model);
    let matrix = |(name, shape): &(String, Vec<i64>)| {
        part(name, shape.len(), recipe) == Part::Matrices && crate::is_trained(name, model, recipe)
    };
    shapes.iter().any(matrix)
}
