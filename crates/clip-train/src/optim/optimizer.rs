//! What an optimizer is, and the parameters that it updates.

use clip_model::pt::Value;
use clip_random::mix;
use clip_torch::tch::{Kind, Tensor, no_grad};
use clip_torch::{Stream, round_stochastically};

use crate::Result;

/// How parameters follow their gradients: PyTorch's `torch.optim.Optimizer` for one group.
///
/// Another one is a file beside this one, and a line in `groups.rs`.
pub(crate) trait Optimizer {
    /// Updates `params` in place by their gradients; one without a gradient stays as it is. `seed`
    /// is the step's, for rounding: all processes have the same one, or their copies of the
    /// weights would part.
    fn step(&mut self, params: &[Tensor], lr: f64, seed: u64) -> Result<()>;

    /// The one tensor of each parameter that it keeps between steps, under PyTorch's name; one that
    /// keeps more gives `state`, `export` and `import` itself.
    fn moments(&self) -> (&'static str, &[Tensor]) {
        ("", &[])
    }

    /// What it keeps between steps: a name, the parameter's number in the group, the tensor.
    fn state(&self) -> Vec<(&'static str, usize, Tensor)> {
        let (name, moments) = self.moments();
        moments.iter().enumerate().map(|(at, moment)| (name, at, moment.shallow_clone())).collect()
    }

    /// The same of one parameter, under PyTorch's names and in 32 bits.
    fn export(&self, at: usize) -> Vec<(&'static str, Tensor)> {
        let (name, moments) = self.moments();
        vec![(name, moments[at].copy())]
    }

    /// Takes over what [`Optimizer::export`] gives: `tensor` finds each by its name.
    fn import(&mut self, at: usize, tensor: &dyn Fn(&str) -> Result<Tensor>) -> Result<()> {
        let (name, moments) = self.moments();
        let mut moment = moments[at].shallow_clone();
        let stored = tensor(name)?;
        no_grad(|| moment.f_copy_(&stored))?;
        Ok(())
    }

    /// The group's settings under PyTorch's names, without the learning rate.
    fn settings(&self) -> Vec<(&'static str, Value)>;
}

/// Puts what was computed in 32 bits into a parameter, the number `at` of its group; one in 16 bits
/// is rounded stochastically.
pub(super) fn keep_value(param: &Tensor, value: &Tensor, seed: u64, at: usize) -> Result<()> {
    let mut param = param.detach();
    if param.kind() == Kind::Float {
        param.f_copy_(value)?;
    } else {
        let stream = Stream::new(mix(seed, at as u64, 0));
        param.f_copy_(&round_stochastically(value, stream))?;
    }
    Ok(())
}

/// Parameters that share settings.
pub(crate) struct ParamGroup {
    pub names: Vec<String>,
    pub params: Vec<Tensor>,
    /// What the learning rate is multiplied with.
    pub lr_scale: f64,
    pub optimizer: Box<dyn Optimizer>,
}

/// A moment of each parameter before its first step, in 32 bits.
pub(super) fn zeros(params: &[Tensor]) -> Vec<Tensor> {
    let zero = |param: &Tensor| Tensor::zeros(param.size(), (Kind::Float, param.device()));
    params.iter().map(zero).collect()
}
