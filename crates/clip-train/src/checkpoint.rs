//! Checkpoints: a folder that open_clip opens, with the optimizer's state beside the weights.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use clip_loader::TrainData;
use clip_model::{Clip, load_checkpoint, read_safetensors, save_checkpoint, write_safetensors};
use clip_torch::Scaler;
use clip_torch::tch::{Device, Tensor, no_grad};
use serde::{Deserialize, Serialize};

use crate::optim::{Trained, stored};
use crate::sealed::{Files, check, seal};
use crate::{Error, Recipe, Result, TrainOptions};

const STATE: &str = "trainer.json";
const OPTIMIZER: &str = "trainer.safetensors";
/// What the name of a checkpoint's folder begins with.
const STEP: &str = "step_";
/// What the name of a checkpoint that is being written begins with.
const TEMPORARY: &str = "tmp_";
/// The folder with the averaged weights in a checkpoint's folder.
pub const EMA: &str = "ema";

/// What a run needs to continue as if it had never stopped.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Steps taken; with the seed this is the position in the data, to the sample.
    pub step: u64,
    /// Seed of order, captions, augmentation and weights.
    pub seed: u64,
    /// Steps of the whole run: the schedule depends on it.
    pub total_steps: u64,
    /// Pairs in the corpus: another corpus cannot be resumed.
    pub pairs: u64,
    /// Its shards' contents and its pairs' weights, as a digest.
    pub corpus: String,
    /// float16's loss scale, and the steps since it changed.
    pub scaler: Option<(f64, u64)>,
    /// Whether the epoch that ended with the last step is still to be evaluated and exported.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub epoch_open: bool,
    /// The blake3 of the other files of its folder.
    #[serde(default)]
    pub(crate) files: Files,
    /// The recipe.
    pub recipe: Recipe,
}

/// The folder of a step's checkpoint.
fn folder(checkpoints: &Path, step: u64) -> PathBuf {
    checkpoints.join(format!("{STEP}{step:08}"))
}

/// The complete checkpoints of a folder, oldest first.
pub fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries =
        std::fs::read_dir(folder).into_iter().flatten().filter_map(std::result::Result::ok);
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.strip_prefix(STEP).is_some_and(|n| n.bytes().all(|b| b.is_ascii_digit()))
        })
        .collect();
    found.sort();
    found
}

/// Removes what a killed process has left of checkpoints that it was writing.
pub(crate) fn clean(checkpoints: &Path) -> Result<()> {
    clip_format::remove_temporary_files(checkpoints)?;
    for entry in std::fs::read_dir(checkpoints).map_err(|e| Error::io(checkpoints, e))? {
        let entry = entry.map_err(|e| Error::io(checkpoints, e))?;
        if entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a folder, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::io(folder, error)),
        _ => Ok(()),
    }
}

/// The newest checkpoint of a folder.
pub fn latest(folder: &Path) -> Option<PathBuf> {
    checkpoints(folder).pop()
}

impl Checkpoint {
    /// Reads the state of a checkpoint's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(STATE);
        let text = std::fs::read(&path).map_err(|e| Error::io(&path, e))?;
        serde_json::from_slice(&text).map_err(|e| Error::damaged(folder, &path, &e.to_string()))
    }

    /// Fails unless the folder holds what was written with this state.
    pub(crate) fn check_files(&self, folder: &Path) -> Result<()> {
        let named =
            folder.file_name().and_then(|name| name.to_str()?.strip_prefix(STEP)?.parse().ok());
        if named.is_some_and(|step: u64| step != self.step) {
            let reason = format!("it is of step {}, and its folder of another", self.step);
            return Err(Error::damaged(folder, &folder.join(STATE), &reason));
        }
        check(folder, &self.files)
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_vec_pretty(self).map_err(|e| Error::file(folder, e))?;
        Ok(clip_format::write_atomic(&folder.join(STATE), &text)?)
    }

    /// The first setting in which two states differ, for people.
    pub(crate) fn first_difference(&self, mine: &Self) -> String {
        let flat = |state: &Self| {
            let mut all = state.recipe.settings();
            all.push(("seed".into(), state.seed.to_string()));
            all.push(("corpus".into(), format!("{} of {} pairs", state.corpus, state.pairs)));
            all.push(("total_steps".into(), state.total_steps.to_string()));
            all
        };
        let pairs = flat(self).into_iter().zip(flat(mine));
        let differs = pairs.into_iter().find(|(a, b)| a.1 != b.1);
        differs.map_or("nothing".into(), |((key, theirs), (_, mine))| {
            format!("{key} was {theirs}, is {mine}")
        })
    }
}

/// The state of a run that has not begun.
pub(crate) fn state_of(
    recipe: &Recipe,
    options: &TrainOptions,
    data: &TrainData,
    total_steps: u64,
) -> Checkpoint {
    Checkpoint {
        step: 0,
        seed: options.seed,
        total_steps,
        pairs: data.pairs(),
        corpus: data.digest().to_owned(),
        scaler: None,
        epoch_open: false,
        files: Files::new(),
        recipe: recipe.clone(),
    }
}

impl Checkpoint {
    /// Writes the folder of a checkpoint under another name and renames it: it is there whole or
    /// not at all.
    pub(crate) fn save(
        self,
        checkpoints: &Path,
        model: &Clip,
        trained: &Trained,
    ) -> Result<PathBuf> {
        let target = folder(checkpoints, self.step);
        let temporary = checkpoints.join(format!("{TEMPORARY}{:08}", self.step));
        remove(&temporary)?;
        save_checkpoint(&temporary, model)?;
        if let Some(average) = &trained.average {
            let folder = temporary.join(EMA);
            save_checkpoint(&folder, model)?;
            write_safetensors(&folder.join(clip_model::MODEL_FILE), &averaged(model, average))?;
        }
        write_safetensors(&temporary.join(OPTIMIZER), &trained.state())?;
        Self { files: seal(&temporary)?, ..self }.write(&temporary)?;
        remove(&target)?;
        std::fs::rename(&temporary, &target).map_err(|e| Error::io(&target, e))?;
        Ok(target)
    }

    /// Writes the state anew where this step's checkpoint is: the weights are the same.
    pub(crate) fn save_again(self, checkpoints: &Path) -> Result<()> {
        let folder = folder(checkpoints, self.step);
        if !folder.is_dir() {
            return Ok(());
        }
        let files = Self::read(&folder)?.files;
        Self { files, ..self }.write(&folder)
    }

    /// Reads weights, averages and the optimizer's state of this checkpoint's folder.
    pub(crate) fn restore(&self, folder: &Path, model: &Clip, trained: &mut Trained) -> Result<()> {
        let stored = load_checkpoint(folder, Device::Cpu)?;
        let (was, is) = (stored.preprocess(), model.preprocess());
        if was != is {
            let (was, is) = (was.to_json(), is.to_json());
            let hint = "hint: give the flags of the first start, or another --name";
            let reason = format!("its preprocess_cfg was {was}, is {is}\n{hint}");
            return Err(Error::file(folder, reason));
        }
        copy_weights(&stored, model)?;
        let path = folder.join(OPTIMIZER);
        let tensors: HashMap<String, Tensor> = read_safetensors(&path)?.into_iter().collect();
        for (name, target) in trained.state() {
            let source = tensors.get(&name);
            let source = source.ok_or_else(|| Error::file(&path, format!("{name} is missing")))?;
            no_grad(|| target.detach().f_copy_(source))?;
        }
        if let Some(average) = &trained.average {
            let stored = load_checkpoint(&folder.join(EMA), Device::Cpu)?;
            for (target, (_, source)) in average.iter().zip(stored.named_parameters()) {
                no_grad(|| target.detach().f_copy_(source))?;
            }
        }
        if let (Some(scaler), Some((scale, good_steps))) = (&mut trained.scaler, self.scaler) {
            *scaler = Scaler { scale, good_steps, ..*scaler };
        }
        Ok(())
    }
}

/// The model's state with the averages in the parameters' places.
fn averaged(model: &Clip, average: &[Tensor]) -> Vec<(String, Tensor)> {
    let names = model.named_parameters().iter().map(|(name, _)| name);
    let by_name: HashMap<&String, &Tensor> = names.zip(average).collect();
    let of = |(name, tensor): &(String, Tensor)| {
        (name.clone(), by_name.get(name).map_or_else(|| stored(tensor), |mean| mean.copy()))
    };
    model.state_dict().iter().map(of).collect()
}

/// Copies one model's state into another's of the same configuration, keeping the types of the
/// other.
pub(crate) fn copy_weights(from: &Clip, to: &Clip) -> Result<()> {
    let names =
        |model: &Clip| model.state_dict().iter().map(|(n, _)| n.clone()).collect::<Vec<_>>();
    if from.config() != to.config() || names(from) != names(to) {
        return Err(Error::Recipe("the weights are of another model".into()));
    }
    for ((_, target), (_, source)) in to.state_dict().iter().zip(from.state_dict()) {
        no_grad(|| target.detach().f_copy_(source))?;
    }
    Ok(())
}
