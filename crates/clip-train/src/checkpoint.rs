//! Checkpoints: a folder that open_clip opens, with the optimiser's state beside the weights.

use std::path::{Path, PathBuf};

use clip_model::{Clip, load_checkpoint, read_safetensors, save_checkpoint, write_safetensors};
use clip_torch::AdamW;
use clip_torch::tch::{Device, Tensor, no_grad};
use serde::{Deserialize, Serialize};

use crate::{Error, Recipe, Result};

const STATE: &str = "trainer.json";
const MOMENTS: &str = "trainer.safetensors";

/// What a run needs to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Steps taken; with the seed this is the position in the data, to the sample.
    pub step: u64,
    /// Seed of order, captions, augmentation and weights.
    pub seed: u64,
    /// Steps of the whole run: the schedule depends on it.
    pub total_steps: u64,
    /// Pairs in the corpus: another corpus cannot be gone on with.
    pub pairs: usize,
    /// The recipe.
    pub recipe: Recipe,
}

/// The folder of a step's checkpoint.
fn folder(checkpoints: &Path, step: u64) -> PathBuf {
    checkpoints.join(format!("step_{step:08}"))
}

/// The complete checkpoints of a folder, oldest first.
pub fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix("step_").is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    found.sort();
    found
}

/// The newest checkpoint of a folder.
pub fn latest(folder: &Path) -> Option<PathBuf> {
    checkpoints(folder).pop()
}

impl Checkpoint {
    /// Writes the folder under another name and renames it: it is there whole or not at all.
    pub(crate) fn save(
        &self,
        checkpoints: &Path,
        model: &Clip,
        names: &[Vec<String>],
        groups: &[AdamW],
    ) -> Result<PathBuf> {
        let target = folder(checkpoints, self.step);
        let temporary = checkpoints.join(format!("tmp_{:08}", self.step));
        for old in [&temporary, &target] {
            if old.exists() {
                std::fs::remove_dir_all(old).map_err(|e| Error::io(old, e))?;
            }
        }
        save_checkpoint(&temporary, model)?;
        let mut moments = Vec::new();
        for (names, group) in names.iter().zip(groups) {
            for (index, name) in names.iter().enumerate() {
                moments.push((format!("exp_avg.{name}"), group.exp_avg[index].shallow_clone()));
                moments
                    .push((format!("exp_avg_sq.{name}"), group.exp_avg_sq[index].shallow_clone()));
                moments.push((format!("step.{name}"), group.steps[index].shallow_clone()));
            }
        }
        write_safetensors(&temporary.join(MOMENTS), &moments)?;
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::file(&temporary, e))?;
        clip_corpus::write_atomic(&temporary.join(STATE), &text)?;
        std::fs::rename(&temporary, &target).map_err(|e| Error::io(&target, e))?;
        Ok(target)
    }

    /// Reads the state of a checkpoint's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE);
        let text = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        serde_json::from_slice(&text).map_err(|e| Error::file(&path, e))
    }

    /// Reads the weights into `model` and the moments into `groups`.
    pub(crate) fn restore(
        folder: &Path,
        model: &mut Clip,
        names: &[Vec<String>],
        groups: &mut [AdamW],
    ) -> Result<()> {
        let stored = load_checkpoint(folder, Device::Cpu)?;
        model.load(stored.state_dict())?;
        let path = folder.join(MOMENTS);
        let tensors: std::collections::HashMap<String, Tensor> =
            read_safetensors(&path)?.into_iter().collect();
        let copy = |name: String, target: &Tensor| -> Result<()> {
            let source = tensors
                .get(&name)
                .ok_or_else(|| Error::file(&path, format!("{name} is missing")))?;
            no_grad(|| target.shallow_clone().f_copy_(source))?;
            Ok(())
        };
        for (names, group) in names.iter().zip(groups) {
            for (index, name) in names.iter().enumerate() {
                copy(format!("exp_avg.{name}"), &group.exp_avg[index])?;
                copy(format!("exp_avg_sq.{name}"), &group.exp_avg_sq[index])?;
                copy(format!("step.{name}"), &group.steps[index])?;
            }
        }
        Ok(())
    }
}
