//! Retrieval and loss on held-out pairs, under open_clip's names, spread over the processes.

use std::sync::Arc;

use clip_loader::Corpus;
use clip_model::{Clip, image_bytes};
use clip_torch::tch::{Kind, Tensor, no_grad};
use clip_torch::{Precision, autocast, first_not_finite};
use rayon::prelude::*;

use crate::loader::padded;
use crate::loss::unit;
use crate::{Error, ProcessGroup, Result};

/// Pairs that are embedded at a time.
const BATCH: usize = 64;
/// Elements of the similarity matrix that are in memory at a time.
const AT_ONCE: i64 = 1 << 24;

/// Scores of a model on pairs: each image with its first caption; the loss is over batches of
/// `batch` pairs, ranks are among all. Of a model whose output is not
/// finite every score is NaN: comparisons with NaN are false, and would give each pair the first
/// rank.
///
/// # Errors
/// [`Error::Interrupted`], on every process, when `interrupted` says so on one.
pub fn evaluate(
    model: &Clip,
    precision: Precision,
    corpus: &Arc<Corpus>,
    world: &ProcessGroup,
    batch: usize,
    interrupted: &dyn Fn() -> bool,
) -> Result<Vec<(String, f64)>> {
    let mine: Vec<usize> = (world.rank()..corpus.len()).step_by(world.size()).collect();
    let (mut images, mut texts) = (Vec::new(), Vec::new());
    for pairs in mine.chunks(BATCH) {
        if world.asked(interrupted()) {
            break;
        }
        let (u, v) = no_grad(|| embed(model, precision, corpus, pairs))?;
        images.push(u);
        texts.push(v);
    }
    if world.any(images.len() < mine.len().div_ceil(BATCH))? {
        return Err(Error::Interrupted);
    }
    let width = model.config().embed_dim;
    // Batches are of neighbours in the corpus, however many processes there are.
    let places = Tensor::from_slice(&places(corpus.len(), world.size())).to_device(model.device());
    let all = |parts: Vec<Tensor>| {
        let empty = Tensor::zeros([0, width], (Kind::Float, model.device()));
        let own = if parts.is_empty() { empty } else { Tensor::cat(&parts, 0) };
        Ok::<_, Error>(world.all_gather_v(&own)?.index_select(0, &places))
    };
    let (images, texts) = (all(images)?, all(texts)?);
    let scale = model.logit_scale().exp().double_value(&[]);
    Ok(no_grad(|| scores(&images, &texts, scale, batch)))
}

fn embed(
    model: &Clip,
    precision: Precision,
    corpus: &Corpus,
    pairs: &[usize],
) -> Result<(Tensor, Tensor)> {
    let transform = model.transform();
    let plain =
        |&pair: &usize| -> Result<Vec<u8>> { Ok(transform.apply(&corpus.image(pair)?).data) };
    let rows = pairs.par_iter().map(plain).collect::<Result<Vec<_>>>()?;
    let rows: Vec<&[u8]> = rows.iter().map(Vec::as_slice).collect();
    let bytes = image_bytes(&rows, i64::from(transform.size));
    let texts: Vec<Vec<u16>> = pairs.iter().map(|&pair| corpus.text(pair, 0).to_vec()).collect();
    let device = model.device();
    let (images, tokens) = (model.pixels(&bytes), padded(&texts).to_device(device));
    let (u, v) =
        autocast(precision, device, || (model.encode_image(&images), model.encode_text(&tokens)));
    Ok((unit(&u), unit(&v)))
}

/// Places in rank order of the pairs of a corpus, which ranks took in turn.
fn places(pairs: usize, ranks: usize) -> Vec<i64> {
    let mut places = vec![0; pairs];
    let gathered = (0..ranks).flat_map(|rank| (rank..pairs).step_by(ranks));
    for (place, pair) in gathered.enumerate() {
        places[pair] = place as i64;
    }
    places
}

/// Logits of `from` and all of `to`, some rows at a time, with the number of the first.
fn blocks<'a>(
    from: &'a Tensor,
    to: &'a Tensor,
    scale: f64,
) -> impl Iterator<Item = (i64, Tensor)> + 'a {
    let n = from.size()[0];
    let block = (AT_ONCE / n.max(1)).clamp(1, n.max(1));
    (0..n).step_by(block as usize).map(move |first| {
        let rows = from.narrow(0, first, block.min(n - first));
        (first, rows.matmul(&to.transpose(0, 1)) * scale)
    })
}

/// The numbers of the right columns of a block.
fn labels(first: i64, logits: &Tensor) -> Tensor {
    Tensor::arange(logits.size()[0], (Kind::Int64, logits.device())) + first
}

/// open_clip's loss of held-out pairs: the mean over batches of `batch` pairs, weighted by their
/// sizes.
fn mean_loss(images: &Tensor, texts: &Tensor, scale: f64, batch: usize) -> f64 {
    let (n, batch) = (images.size()[0], batch.max(1) as i64);
    let mut sum = 0.0;
    for first in (0..n).step_by(batch as usize) {
        let [u, v] = [images, texts].map(|all| all.narrow(0, first, batch.min(n - first)));
        for (from, to) in [(&u, &v), (&v, &u)] {
            for (at, logits) in blocks(from, to, scale) {
                let cost = logits.cross_entropy_for_logits(&labels(at, &logits));
                sum += cost.double_value(&[]) * logits.size()[0] as f64 / 2.0;
            }
        }
    }
    sum / n as f64
}

/// open_clip's `get_clip_metrics` and its loss, of unit features in the order of the corpus; NaN
/// where those are not finite.
fn scores(images: &Tensor, texts: &Tensor, scale: f64, batch: usize) -> Vec<(String, f64)> {
    let n = images.size()[0];
    let mut scores = Vec::new();
    for (name, from, to) in [("image_to_text", images, texts), ("text_to_image", texts, images)] {
        let mut ranks: Vec<f64> = Vec::new();
        for (first, logits) in blocks(from, to, scale) {
            let labels = labels(first, &logits);
            let right = logits.gather(1, &labels.unsqueeze(1), false);
            // Of equal scores the earlier comes first, as in a stable descending sort.
            let earlier = Tensor::arange(n, (Kind::Int64, logits.device())).unsqueeze(0);
            let ties =
                logits.eq_tensor(&right).logical_and(&earlier.lt_tensor(&labels.unsqueeze(1)));
            let rank = logits.gt_tensor(&right).logical_or(&ties);
            let rank = rank.sum_dim_intlist([1i64].as_slice(), false, Kind::Double);
            ranks.extend(Vec::<f64>::try_from(rank).unwrap_or_default());
        }
        ranks.sort_unstable_by(f64::total_cmp);
        let count = ranks.len().max(1) as f64;
        let median = f64::midpoint(ranks[(ranks.len() - 1) / 2], ranks[ranks.len() / 2]);
        scores.push((format!("{name}_mean_rank"), ranks.iter().sum::<f64>() / count + 1.0));
        scores.push((format!("{name}_median_rank"), median.floor() + 1.0));
        for k in [1, 5, 10] {
            let found = ranks.iter().filter(|&&rank| rank < f64::from(k)).count();
            scores.push((format!("{name}_R@{k}"), found as f64 / count));
        }
    }
    scores.push(("clip_val_loss".into(), mean_loss(images, texts, scale, batch)));
    if !scale.is_finite() || [images, texts].iter().any(|rows| first_not_finite(rows).is_some()) {
        scores.iter_mut().for_each(|(_, value)| *value = f64::NAN);
    }
    scores.push(("num_samples".into(), n as f64));
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_torch::tch::Device;

    #[test]
    fn ranks_are_counted_from_one() {
        // Image 0 finds its text first, image 1 second, image 2 third.
        let images = Tensor::eye(3, (Kind::Float, Device::Cpu));
        let logits =
            Tensor::from_slice(&[9f32, 1.0, 2.0, 7.0, 5.0, 3.0, 6.0, 4.0, 1.0]).view([3, 3]);
        let found = scores(&images, &logits.transpose(0, 1), 1.0, 3);
        let value = |name: &str| found.iter().find(|(n, _)| n == name).unwrap().1;
        assert_eq!(value("image_to_text_mean_rank"), 2.0);
        assert_eq!(value("image_to_text_median_rank"), 2.0);
        assert!((value("image_to_text_R@1") - 1.0 / 3.0).abs() < 1e-12);
        assert_eq!((value("image_to_text_R@5"), value("num_samples")), (1.0, 3.0));
        let same = Tensor::ones([4, 2], (Kind::Float, Device::Cpu));
        // A batch of n alike has the loss ln n; the last batch is what is left.
        for (batch, loss) in
            [(4, 4f64.ln()), (2, 2f64.ln()), (3, 0.75 * 3f64.ln()), (99, 4f64.ln())]
        {
            let blind = scores(&same, &same, 1.0, batch);
            assert!((blind[10].1 - loss).abs() < 1e-6, "{batch}: {blind:?}");
        }
    }

    #[test]
    fn gathered_rows_have_the_order_of_the_corpus() {
        assert_eq!(places(5, 1), [0, 1, 2, 3, 4]);
        // Rank 0 has 0, 2 and 4, rank 1 has 1 and 3.
        assert_eq!(places(5, 2), [0, 3, 1, 4, 2]);
    }

    #[test]
    fn features_that_are_not_finite_have_no_score() {
        let good = Tensor::eye(3, (Kind::Float, Device::Cpu));
        let bad = Tensor::full([3, 3], f64::NAN, (Kind::Float, Device::Cpu));
        for (images, texts, scale) in
            [(&good, &bad, 1.0), (&bad, &good, 1.0), (&good, &good, f64::NAN)]
        {
            for (name, value) in scores(images, texts, scale, 2) {
                assert_eq!(value.is_nan(), name != "num_samples", "{name}: {value}");
            }
        }
    }
}
