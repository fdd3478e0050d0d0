//! Copies of one run: what all processes must have in common, checked instead of believed.

use clip_model::Clip;
use clip_torch::tch::{Kind, Tensor, no_grad};

use crate::{Checkpoint, Error, ProcessGroup, Result};

/// Steps between two comparisons within an epoch.
pub(crate) const COMPARE_STEPS: u64 = 1000;

/// Fails unless every process begins the same run: recipe, seed, corpus and model.
///
/// `chunk` is among it: the processes agree on whether to stop before the last chunk of each pass.
pub(crate) fn same_start(
    world: &ProcessGroup,
    state: &Checkpoint,
    model: &str,
    chunk: usize,
) -> Result<()> {
    if world.size() == 1 {
        return Ok(());
    }
    let text =
        serde_json::to_string(&(state, model, chunk)).map_err(|e| Error::Recipe(e.to_string()))?;
    // JSON on one line has no line break inside.
    let bytes = Tensor::from_slice(format!("{text}\n").as_bytes()).view([-1, 1]);
    let all = world.all_gather_v(&bytes.to_device(world.device()))?;
    let all = Vec::<u8>::try_from(all.view([-1]))?;
    let all = String::from_utf8_lossy(&all).into_owned();
    let first = all.lines().next().unwrap_or_default();
    let Some((rank, other)) = all.lines().enumerate().find(|(_, line)| *line != first) else {
        return Ok(());
    };
    let state = |text: &str| serde_json::from_str::<(Checkpoint, String, usize)>(text).ok();
    let what = match (state(first), state(other)) {
        (Some((a, ..)), Some((b, ..))) if a != b => a.first_difference(&b),
        (Some((.., a)), Some((.., b))) if a != b => format!("--batch-size was {a}, is {b}"),
        _ => "another model".into(),
    };
    Err(Error::Recipe(format!(
        "rank {rank} begins another run than rank 0: {what} there\n\
         hint: give all processes the same flags, shards and weights"
    )))
}

/// Fails when a process has other weights than rank 0 after `step` steps: each would train a model
/// of its own from here on.
pub(crate) fn same_weights(world: &ProcessGroup, model: &Clip, step: u64) -> Result<()> {
    if world.size() == 1 {
        return Ok(());
    }
    let parameters = model.named_parameters();
    let sum = |(_, tensor): &(String, Tensor)| {
        let small = tensor.kind().elt_size_in_bytes() == 2;
        let bits = tensor.detach().view_dtype(if small { Kind::Int16 } else { Kind::Int });
        bits.sum(Kind::Int64)
    };
    let sums = no_grad(|| Tensor::stack(&parameters.iter().map(sum).collect::<Vec<_>>(), 0));
    let all = Vec::<i64>::try_from(world.all_gather(&sums)?)?;
    let mut ranks = all.chunks(parameters.len());
    let first = ranks.next().unwrap_or_default();
    for (rank, sums) in (1..).zip(ranks) {
        if let Some(at) = first.iter().zip(sums).position(|(a, b)| a != b) {
            let parameter = parameters[at].0.clone();
            return Err(Error::Replicas { step, rank, parameter });
        }
    }
    Ok(())
}

/// What the model has beside its parameters: the running statistics of batch normalisation. Each
/// process moves them by its own images; rank 0's are given to all after an epoch (PyTorch's DDP
/// does the same).
pub(crate) fn buffers(model: &Clip) -> Vec<Tensor> {
    let parameters = model.named_parameters();
    let names: std::collections::HashSet<&String> = parameters.iter().map(|(n, _)| n).collect();
    let buffers = model.state_dict().iter().filter(|(name, _)| !names.contains(name));
    buffers.map(|(_, tensor)| tensor.shallow_clone()).collect()
}
