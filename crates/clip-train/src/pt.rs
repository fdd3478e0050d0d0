//! open_clip's training checkpoints, `epoch_N.pt`: its `--resume` continues from ours, and we from
//! its.

use std::path::Path;

use clip_model::Clip;
use clip_model::pt::{Value, read_pt, write_pt};
use clip_torch::Scaler;
use clip_torch::tch::Tensor;

use crate::optim::{Trained, stored};
use crate::{Error, Result};

/// What is in an `epoch_N.pt` beside weights and optimizer state.
pub(crate) struct Export {
    /// Epochs done, from 1.
    pub epoch: u64,
    /// The learning rate of the last step.
    pub lr: f64,
    /// Whether several processes train: open_clip's hold their model in a wrapper, and look for
    /// its name.
    pub wrapped: bool,
}

/// Writes the state as open_clip does, in 32 bits.
pub(crate) fn export(path: &Path, model: &Clip, trained: &Trained, about: &Export) -> Result<()> {
    let prefix = if about.wrapped { "module." } else { "" };
    let state = model.state_dict().iter();
    let state: Vec<(String, Tensor)> =
        state.map(|(name, tensor)| (format!("{prefix}{name}"), stored(tensor))).collect();
    let (mut states, mut groups) = (Vec::new(), Vec::new());
    for group in &trained.groups {
        let first = states.len() as i64;
        for at in 0..group.params.len() {
            let tensors = group.optimizer.export(at).into_iter();
            let entry = tensors.map(|(name, tensor)| (name, Value::Tensor(tensor)));
            states.push((Value::Int(states.len() as i64), Value::dict(entry)));
        }
        let ids = (first..states.len() as i64).map(Value::Int).collect();
        let mut settings =
            vec![("lr", (about.lr * group.lr_scale).into()), ("params", Value::List(ids))];
        settings.extend(group.optimizer.settings());
        groups.push(Value::dict(settings));
    }
    let optimizer =
        Value::dict([("state", Value::Dict(states)), ("param_groups", Value::List(groups))]);
    let config = serde_json::to_string(model.config()).map_err(|e| Error::file(path, e))?;
    let mut all = vec![
        ("epoch".into(), Value::Int(about.epoch as i64)),
        ("name".into(), run_name(path).into()),
        // open_clip ignores it: the model, for whoever opens the file alone.
        ("model_cfg".into(), config.into()),
        ("state_dict".into(), Value::state_dict(&state)),
        ("optimizer".into(), optimizer),
    ];
    if let Some(scaler) = &trained.scaler {
        all.push(("scaler".into(), scaler_state(scaler)));
    }
    Ok(write_pt(path, &Value::Dict(all))?)
}

/// Takes over weights and optimizer state of open_clip's checkpoint, and gives its epochs, of a run
/// of `epochs`.
///
/// # Errors
/// When it is of another model, or its optimizer has other parameters.
pub(crate) fn import(
    path: &Path,
    model: &mut Clip,
    trained: &mut Trained,
    epochs: u64,
) -> Result<u64> {
    let all = read_pt(path)?;
    let fault = |reason: String| Error::file(path, reason);
    let missing = |key: &str| fault(format!("no {key:?}\nhint: an epoch_N.pt of a training run"));
    let epoch = all.get("epoch").and_then(Value::as_i64).ok_or_else(|| missing("epoch"))?;
    let epoch = u64::try_from(epoch).map_err(|_| fault(format!("epoch {epoch}")))?;
    if epoch > epochs {
        return Err(fault(format!("epoch {epoch} of a run of {epochs}\nhint: raise --epochs")));
    }
    let state = all.get("state_dict").ok_or_else(|| missing("state_dict"))?.tensors();
    let plain = |(name, tensor): (String, Tensor)| (unwrapped(name), tensor);
    model.load(&state.into_iter().map(plain).collect::<Vec<_>>())?;
    let optimizer = all.get("optimizer").ok_or_else(|| missing("optimizer"))?;
    import_optimizer(path, optimizer, trained)?;
    if let (Some(scaler), Some(stored)) = (&mut trained.scaler, all.get("scaler"))
        && let Some(scale) = stored.get("scale").and_then(Value::as_f64)
    {
        let good = stored.get("_growth_tracker").and_then(Value::as_i64).unwrap_or(0);
        *scaler = Scaler { scale, good_steps: good.max(0) as u64, ..*scaler };
    }
    Ok(epoch)
}

fn import_optimizer(path: &Path, optimizer: &Value, trained: &mut Trained) -> Result<()> {
    let fault = |reason: String| Error::file(path, reason);
    let states = optimizer.get("state").map_or(&[][..], Value::items);
    let groups = optimizer.get("param_groups").map_or(&[][..], Value::elements);
    if groups.len() != trained.groups.len() {
        let (has, wants) = (groups.len(), trained.groups.len());
        let hint = "hint: --opt and --layer-decay must be those of the first run";
        return Err(fault(format!("{has} groups of parameters instead of {wants}\n{hint}")));
    }
    for (mine, theirs) in trained.groups.iter_mut().zip(groups) {
        let ids = theirs.get("params").map_or(&[][..], Value::elements);
        if ids.len() != mine.params.len() {
            let (has, wants) = (ids.len(), mine.params.len());
            return Err(fault(format!(
                "its optimizer has {has} parameters where this run has {wants}\n\
                 hint: locked towers and --decay-rule must be those of the first run"
            )));
        }
        for (at, id) in ids.iter().enumerate() {
            let found = states.iter().find(|(key, _)| key.as_i64() == id.as_i64());
            let Some((_, state)) = found else { continue };
            let (name, wants) = (&mine.names[at], mine.params[at].size());
            same_kind(name, state, &mine.optimizer.export(at)).map_err(&fault)?;
            mine.optimizer.import(at, &|key: &str| {
                let tensor = state.get(key).and_then(Value::as_tensor);
                let tensor = tensor.ok_or_else(|| fault(format!("{key} of {name} is missing")))?;
                let has = tensor.size();
                if key != "step" && has != wants {
                    return Err(fault(format!("{key} of {name} is {has:?}, not {wants:?}")));
                }
                Ok(tensor.shallow_clone())
            })?;
        }
    }
    Ok(())
}

/// Fails unless a parameter's state has what this run's optimizer keeps, and nothing more: the
/// moment of another one has the same name and another meaning.
fn same_kind(
    name: &str,
    state: &Value,
    own: &[(&'static str, Tensor)],
) -> std::result::Result<(), String> {
    let mut wants: Vec<&str> = own.iter().map(|(key, _)| *key).collect();
    let mut has: Vec<&str> = state.items().iter().filter_map(|(key, _)| key.as_str()).collect();
    wants.sort_unstable();
    has.sort_unstable();
    if has == wants {
        return Ok(());
    }
    Err(format!(
        "its optimizer keeps {} of {name}, and this run's {}\n\
         hint: give --opt of the first run, or start from the weights alone with --pretrained",
        has.join(", "),
        wants.join(", ")
    ))
}

/// A parameter's name without those of the wrappers that PyTorch puts around a model.
fn unwrapped(mut name: String) -> String {
    for prefix in ["module.", "_orig_mod."] {
        if let Some(rest) = name.strip_prefix(prefix) {
            name = rest.to_owned();
        }
    }
    name
}

/// The run's name: its folder's.
fn run_name(path: &Path) -> String {
    let run = path.parent().and_then(Path::parent).and_then(Path::file_name);
    run.map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

/// `torch.amp.GradScaler`'s state.
fn scaler_state(scaler: &Scaler) -> Value {
    Value::dict([
        ("scale", scaler.scale.into()),
        ("growth_factor", 2.0.into()),
        ("backoff_factor", 0.5.into()),
        ("growth_interval", Value::Int(scaler.growth_interval as i64)),
        ("_growth_tracker", Value::Int(scaler.good_steps as i64)),
    ])
}
