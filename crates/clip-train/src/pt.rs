//! open_clip's training checkpoints, `epoch_N.pt`: its `--resume` continues from ours, and we from
//! its.

use std::path::Path;

use clip_model::pt::{Value, read_pt, write_pt};
use clip_torch::Scaler;
use clip_torch::tch::Tensor;

use crate::trainer::stored;
use crate::{Error, Result, Trainer};

impl Trainer {
    /// Writes the state after `epoch` epochs (from 1) as open_clip does; moments are stored in 32
    /// bits.
    pub fn export(&self, path: &Path, epoch: u64) -> Result<()> {
        // open_clip's processes hold their model in a wrapper, and look for its name when there are
        // several.
        let prefix = if self.world.size() > 1 { "module." } else { "" };
        let state = self.model.state_dict().iter();
        let state: Vec<(String, Tensor)> =
            state.map(|(name, tensor)| (format!("{prefix}{name}"), stored(tensor))).collect();
        let mut moments = Vec::new();
        let mut groups = Vec::new();
        for group in &self.learner.groups {
            let first = moments.len() as i64;
            for at in 0..group.params.len() {
                let (m, v, step) = group.adam.full(at);
                let entry = [
                    ("step", Value::Tensor(step)),
                    ("exp_avg", Value::Tensor(m)),
                    ("exp_avg_sq", Value::Tensor(v)),
                ];
                moments.push((Value::Int(moments.len() as i64), Value::dict(entry)));
            }
            let ids = (first..moments.len() as i64).map(Value::Int).collect();
            groups.push(self.group(group.adam.weight_decay, ids));
        }
        let optimizer =
            Value::dict([("state", Value::Dict(moments)), ("param_groups", Value::List(groups))]);
        let mut all = vec![
            ("epoch".into(), Value::Int(epoch as i64)),
            ("name".into(), run_name(path).into()),
            // open_clip ignores it: the model, for whoever opens the file alone.
            ("model_cfg".into(), self.model_config()?.into()),
            ("state_dict".into(), Value::state_dict(&state)),
            ("optimizer".into(), optimizer),
        ];
        if let Some(scaler) = &self.learner.scaler {
            all.push(("scaler".into(), scaler_state(scaler)));
        }
        Ok(write_pt(path, &Value::Dict(all))?)
    }

    /// The model's configuration, as JSON.
    pub(crate) fn model_config(&self) -> Result<String> {
        serde_json::to_string(self.model.config()).map_err(|e| Error::Recipe(e.to_string()))
    }

    /// `torch.optim.AdamW`'s settings.
    fn group(&self, weight_decay: f64, ids: Vec<Value>) -> Value {
        let recipe = &self.recipe;
        let lr = recipe.lr_at(self.step.saturating_sub(1), self.plan.steps(), self.cooldown());
        let betas = vec![recipe.beta1.into(), recipe.beta2.into()];
        Value::dict([
            ("weight_decay", weight_decay.into()),
            ("lr", lr.into()),
            ("betas", Value::Tuple(betas)),
            ("eps", recipe.eps.into()),
            ("amsgrad", false.into()),
            ("maximize", false.into()),
            ("foreach", Value::None),
            ("capturable", false.into()),
            ("differentiable", false.into()),
            ("fused", Value::None),
            ("decoupled_weight_decay", true.into()),
            ("params", Value::List(ids)),
        ])
    }

    /// Goes on from open_clip's checkpoint: weights, optimiser, and the epoch that is due.
    ///
    /// # Errors
    /// When it is of another model, or its optimiser has other parameters.
    pub fn import(&mut self, path: &Path) -> Result<()> {
        let all = read_pt(path)?;
        let fault = |reason: String| Error::file(path, reason);
        let missing =
            |key: &str| fault(format!("no {key:?}\nhint: an epoch_N.pt of a training run"));
        let epoch = all.get("epoch").and_then(Value::as_i64).ok_or_else(|| missing("epoch"))?;
        let epoch = u64::try_from(epoch).map_err(|_| fault(format!("epoch {epoch}")))?;
        if epoch > self.plan.epochs() {
            let epochs = self.plan.epochs();
            return Err(fault(format!("epoch {epoch} of a run of {epochs}\nhint: raise --epochs")));
        }
        let state = all.get("state_dict").ok_or_else(|| missing("state_dict"))?.tensors();
        let plain = |(name, tensor): (String, Tensor)| (unwrapped(name), tensor);
        self.model.load(&state.into_iter().map(plain).collect::<Vec<_>>())?;
        let optimizer = all.get("optimizer").ok_or_else(|| missing("optimizer"))?;
        self.import_moments(path, optimizer)?;
        if let (Some(scaler), Some(stored)) = (&mut self.learner.scaler, all.get("scaler"))
            && let Some(scale) = stored.get("scale").and_then(Value::as_f64)
        {
            let good = stored.get("_growth_tracker").and_then(Value::as_i64).unwrap_or(0);
            *scaler = Scaler { scale, good_steps: good.max(0) as u64, ..*scaler };
        }
        self.step = self.plan.first_step(epoch);
        Ok(())
    }

    fn import_moments(&mut self, path: &Path, optimizer: &Value) -> Result<()> {
        let fault = |reason: String| Error::file(path, reason);
        let states = optimizer.get("state").map_or(&[][..], Value::items);
        let groups = optimizer.get("param_groups").map_or(&[][..], Value::elements);
        if groups.len() != self.learner.groups.len() {
            return Err(fault(format!("{} groups of parameters instead of 2", groups.len())));
        }
        for (mine, theirs) in self.learner.groups.iter_mut().zip(groups) {
            let ids = theirs.get("params").map_or(&[][..], Value::elements);
            if ids.len() != mine.params.len() {
                let (has, wants) = (ids.len(), mine.params.len());
                return Err(fault(format!(
                    "its optimiser has {has} parameters where this run has {wants}\n\
                     hint: locked towers and --decay-rule must be those of the first run"
                )));
            }
            for (at, id) in ids.iter().enumerate() {
                let found = states.iter().find(|(key, _)| key.as_i64() == id.as_i64());
                let Some((_, state)) = found else { continue };
                let tensor = |key: &str| {
                    let tensor = state.get(key).and_then(Value::as_tensor);
                    let name = &mine.names[at];
                    tensor.ok_or_else(|| fault(format!("{key} of {name} is missing")))
                };
                let (m, v, step) = (tensor("exp_avg")?, tensor("exp_avg_sq")?, tensor("step")?);
                if m.size() != mine.params[at].size() || v.size() != m.size() {
                    let (has, wants) = (m.size(), mine.params[at].size());
                    let name = &mine.names[at];
                    return Err(fault(format!("the moments of {name} are {has:?}, not {wants:?}")));
                }
                mine.adam.set_full(at, m, v, step)?;
            }
        }
        Ok(())
    }
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
