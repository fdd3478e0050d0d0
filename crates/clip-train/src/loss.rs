//! The losses over features, sharded: each process has its rows against all columns (CLIP paper,
//! section 2.5).

use clip_torch::backward;
use clip_torch::tch::{Kind, Tensor};

use crate::{ProcessGroup, Result};

/// Elements of the similarity matrix that are in memory at a time.
const AT_ONCE: usize = 1 << 24;

/// Rows of unit length, in 32 bits.
pub(crate) fn unit(features: &Tensor) -> Tensor {
    let features = features.to_kind(Kind::Float);
    let norm = features.square().sum_dim_intlist([-1i64].as_slice(), true, Kind::Float).sqrt();
    features / norm.clamp_min(1e-12)
}

/// A loss with its gradients by the features that it was given.
pub struct Gradients {
    /// Mean over this process's rows.
    pub loss: f64,
    /// Gradients of the mean over all processes' rows, times their number: processes average them
    /// again.
    pub images: Tensor,
    /// See `images`.
    pub texts: Tensor,
}

/// The temperature, and the sigmoid loss's bias.
#[derive(Clone, Copy)]
pub struct Temperature<'a> {
    /// Logarithm of the inverse temperature, a parameter.
    pub log_scale: &'a Tensor,
    /// Added to the logits of the sigmoid loss, a parameter.
    pub bias: Option<&'a Tensor>,
}

/// The mean of both directions' cross entropies: each image among all texts, each text among all
/// images. With a bias it is the pairwise sigmoid loss (Zhai et al. 2023).
///
/// Features are this process's [rows, width], of any length; their own graph is left alone. The
/// parameters of `temperature` get their gradients added, for this process's rows. The similarity
/// matrix is never whole in memory: a batch of 32,768 needs some 300 MB here.
pub fn contrastive(
    images: &Tensor,
    texts: &Tensor,
    temperature: Temperature,
    world: &ProcessGroup,
) -> Result<Gradients> {
    let leaf = |features: &Tensor| features.detach().to_kind(Kind::Float).set_requires_grad(true);
    let (images, texts) = (leaf(images), leaf(texts));
    let (u, v) = (unit(&images), unit(&texts));
    let rows = u.size()[0];
    let total = rows * world.size() as i64;
    let block = (AT_ONCE as i64 / total).clamp(1, rows);
    let loss = if world.size() == 1 && block == rows {
        let loss = whole(&u, &v, temperature);
        loss.f_backward()?;
        loss.double_value(&[])
    } else {
        let first = rows * world.rank() as i64;
        let gathered = |mine: &Tensor| -> Result<Tensor> {
            Ok(world.all_gather(&mine.detach())?.set_requires_grad(true))
        };
        let (all_u, all_v) = (gathered(&u)?, gathered(&v)?);
        let mut losses = Vec::new();
        for start in (0..rows).step_by(block as usize) {
            let count = block.min(rows - start);
            let loss = part(&all_u, &all_v, temperature, first + start, count);
            let loss = loss * (count as f64 / rows as f64);
            loss.f_backward()?;
            losses.push(loss.detach());
        }
        let (du, dv) = (world.reduce_scatter(&all_u.grad())?, world.reduce_scatter(&all_v.grad())?);
        backward(&[u, v], &[du, dv])?;
        sum(&losses)
    };
    Ok(Gradients { loss, images: images.grad(), texts: texts.grad() })
}

/// The sum of 0-dim losses, read once: each look at a value waits for the GPU.
pub(crate) fn sum(losses: &[Tensor]) -> f64 {
    Tensor::stack(losses, 0).sum(Kind::Double).double_value(&[])
}

/// The loss of all pairs at once, with one product for both directions.
fn whole(u: &Tensor, v: &Tensor, temperature: Temperature) -> Tensor {
    let logits = u.matmul(&v.transpose(0, 1)) * temperature.log_scale.exp();
    match temperature.bias {
        Some(bias) => sigmoid_rows(&(logits + bias), 0),
        None => {
            let labels = Tensor::arange(logits.size()[0], (Kind::Int64, logits.device()));
            let by_image = logits.cross_entropy_for_logits(&labels);
            (by_image + logits.transpose(0, 1).cross_entropy_for_logits(&labels)) / 2.0
        }
    }
}

/// The mean loss of `count` rows from `first` on, of unit features [all, width].
fn part(u: &Tensor, v: &Tensor, temperature: Temperature, first: i64, count: i64) -> Tensor {
    let scale = temperature.log_scale.exp();
    let rows =
        |a: &Tensor, b: &Tensor| a.narrow(0, first, count).matmul(&b.transpose(0, 1)) * &scale;
    match temperature.bias {
        Some(bias) => sigmoid_rows(&(rows(u, v) + bias), first),
        None => {
            let labels = Tensor::arange(count, (Kind::Int64, u.device())) + first;
            let by_image = rows(u, v).cross_entropy_for_logits(&labels);
            (by_image + rows(v, u).cross_entropy_for_logits(&labels)) / 2.0
        }
    }
}

/// Each pair a yes-or-no question; the right one of row `i` is in column `first + i`.
fn sigmoid_rows(logits: &Tensor, first: i64) -> Tensor {
    let rows = logits.size()[0];
    // -log sigmoid(-z) for all, and z less for the right ones.
    let right = logits.diagonal(first, 0, 1).narrow(0, 0, rows);
    (logits.softplus().sum(Kind::Float) - right.sum(Kind::Float)) / rows as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_torch::tch::Device;

    const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

    fn loss(images: &Tensor, texts: &Tensor, scale: f64) -> f64 {
        let log_scale = Tensor::from(scale.ln() as f32).set_requires_grad(true);
        let temperature = Temperature { log_scale: &log_scale, bias: None };
        contrastive(images, texts, temperature, &ProcessGroup::alone()).unwrap().loss
    }

    #[test]
    fn blind_features_cost_ln_batch_and_perfect_ones_nothing() {
        let same = Tensor::ones([8, 4], F32);
        assert!((loss(&same, &same, 100.0) - 8f64.ln()).abs() < 1e-6);
        let eye = Tensor::eye(8, F32);
        assert!(loss(&(&eye * 3.0), &eye, 100.0) < 1e-6);
    }

    #[test]
    fn rows_by_rows_is_the_whole() {
        let (u, v) = (unit(&Tensor::randn([24, 6], F32)), unit(&Tensor::randn([24, 6], F32)));
        for bias in [None, Some(Tensor::from(-3f32))] {
            let log_scale = Tensor::from(2f32);
            let temperature = Temperature { log_scale: &log_scale, bias: bias.as_ref() };
            let all = whole(&u, &v, temperature).double_value(&[]);
            let parts = [(0, 10), (10, 10), (20, 4)];
            let sum = parts.map(|(first, count)| {
                part(&u, &v, temperature, first, count).double_value(&[]) * count as f64 / 24.0
            });
            assert!((all - sum.iter().sum::<f64>()).abs() < 1e-5, "{all} {sum:?}");
        }
    }

    #[test]
    fn the_sigmoid_loss_is_its_definition() {
        let logits = Tensor::from_slice(&[2f32, -1.0, 0.5, 3.0]).view([2, 2]);
        let log_sigmoid = |z: f64| -((-z).exp().ln_1p());
        let wanted = -(log_sigmoid(2.0) + log_sigmoid(1.0) + log_sigmoid(-0.5) + log_sigmoid(3.0));
        assert!((sigmoid_rows(&logits, 0).double_value(&[]) - wanted / 2.0).abs() < 1e-6);
    }
}
