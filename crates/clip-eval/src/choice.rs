//! Compositional choices: SugarCrepe, Winoground, WinoGAViL.

use std::collections::BTreeMap;

use clip_datasets::choice::Instance;
use clip_model::Clip;
use clip_text::Tokenizer;
use rayon::prelude::*;
use serde::Serialize;

use crate::metrics::{Accuracy, jaccard};
use crate::{Error, Result, Space, embed, embed_texts, prepare_image};

/// Scores over instances.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChoiceScores {
    /// Instances.
    pub n: u64,
    /// For every caption with an image, its image scored highest among the instance's images.
    pub image_acc: Option<Accuracy>,
    /// For every image, its caption scored highest among the instance's captions.
    pub text_acc: Option<Accuracy>,
    /// Both.
    pub acc: Option<Accuracy>,
    /// Mean Jaccard index of the images chosen for a cue.
    pub jaccard: Option<f64>,
}

/// The result of an evaluation of choices.
#[derive(Debug)]
pub struct ChoiceResult {
    /// Scores of all instances (under the name "all") and by kind.
    pub groups: BTreeMap<String, ChoiceScores>,
    /// Every metric by its name in CLIP_benchmark's and DataComp's result files.
    pub metrics: BTreeMap<String, Option<f64>>,
    /// The metric that counts.
    pub main_metric: &'static str,
    /// Images that were read.
    pub images: usize,
    /// blake3 over keys, images and truths in order.
    pub data_hash: String,
}

/// Scores all instances, embedding at most `batch_size` images together, or one instance that has
/// more. As in CLIP_benchmark a tie between captions goes to the first; one
/// instance is one case.
///
/// # Errors
/// An image that cannot be decoded; output of the model that is not finite, with the image or
/// caption.
pub fn choices(
    model: &Clip,
    tokenizer: &Tokenizer,
    instances: &[Instance],
    batch_size: usize,
    progress: &dyn Fn(usize),
) -> Result<ChoiceResult> {
    let transform = model.transform();
    let mut scores = Vec::with_capacity(instances.len());
    let mut hasher = blake3::Hasher::new();
    let mut count = 0;
    for batch in batches(instances, batch_size) {
        let mut bytes = Vec::new();
        for instance in batch {
            bytes.extend(instance.images.iter().zip(instance.read()?));
            hasher.update(instance.key.as_bytes()).update(b"\0");
            let chosen = instance.chosen.iter().flatten().map(|&chosen| u8::from(chosen));
            hasher.update(&chosen.collect::<Vec<_>>());
        }
        bytes.iter().for_each(|(_, image)| {
            hasher.update(blake3::hash(image).as_bytes());
        });
        count += bytes.len();
        let decoded: Result<Vec<_>> = bytes
            .par_iter()
            .map(|(path, image)| {
                prepare_image(image, &transform).map_err(|reason| Error::Image {
                    set: "choices".into(),
                    key: path.display().to_string(),
                    reason,
                })
            })
            .collect();
        let item = |row: usize| bytes[row].0.display().to_string();
        let images = embed(model, &decoded?, Space::Joint, item)?;
        let texts: Vec<String> = batch.iter().flat_map(|i| i.captions.clone()).collect();
        let texts = embed_texts(model, tokenizer, &texts)?;
        let (mut image, mut text) = (0, 0);
        for instance in batch {
            let (i, t) = (instance.images.len() as i64, instance.captions.len() as i64);
            let own = images.narrow(0, image, i).matmul(&texts.narrow(0, text, t).tr());
            scores.push(Vec::<f32>::try_from(own.contiguous().view([-1]))?);
            (image, text) = (image + i, text + t);
        }
        progress(scores.len());
    }
    let mut result = score_choices(instances, &scores)?;
    result.images = count;
    result.data_hash = hasher.finalize().to_hex().to_string();
    Ok(result)
}

/// Cuts instances into runs of at most `size` images, or of one instance that has more.
fn batches(instances: &[Instance], size: usize) -> impl Iterator<Item = &[Instance]> {
    let mut rest = instances;
    std::iter::from_fn(move || {
        let mut images = 0;
        let fits = |instance: &&Instance| {
            images += instance.images.len();
            images <= size
        };
        let count = rest.iter().take_while(fits).count().max(1).min(rest.len());
        let (batch, after) = rest.split_at(count);
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Scores similarities: for each instance those of its images and captions, image by image.
///
/// # Errors
/// Similarities that are not finite, or too few.
pub fn score_choices(instances: &[Instance], scores: &[Vec<f32>]) -> Result<ChoiceResult> {
    let mut by_group: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
    let mut by_size: Vec<(usize, f64)> = Vec::new();
    for (instance, scores) in instances.iter().zip(scores) {
        let outcome = outcome(instance, scores)?;
        if let Outcome::Chosen(value) = outcome {
            by_size.push((instance.images.len(), value));
        }
        by_group.entry("all".into()).or_default().push(outcome);
        if instance.group != "all" {
            by_group.entry(instance.group.clone()).or_default().push(outcome);
        }
    }
    let groups = by_group.into_iter().map(|(group, outcomes)| Ok((group, summary(&outcomes)?)));
    let groups = groups.collect::<Result<BTreeMap<_, _>>>()?;
    let all = groups.get("all").ok_or_else(|| Error::Empty("the choices".into()))?;
    let metrics = if by_size.is_empty() { pair_metrics(all) } else { cue_metrics(&by_size) };
    let main_metric = if by_size.is_empty() { "acc" } else { "jaccard_score_10-12" };
    let (images, data_hash) = (0, String::new());
    Ok(ChoiceResult { groups, metrics, main_metric, images, data_hash })
}

/// CLIP_benchmark's of pairs.
fn pair_metrics(all: &ChoiceScores) -> BTreeMap<String, Option<f64>> {
    let values = [("image_acc", all.image_acc), ("text_acc", all.text_acc), ("acc", all.acc)];
    values.map(|(name, value)| (name.to_owned(), value.map(|a| a.value))).into()
}

/// DataComp's of cues: the mean Jaccard index over all instances and by their number of candidates.
fn cue_metrics(by_size: &[(usize, f64)]) -> BTreeMap<String, Option<f64>> {
    let mean = |keep: &dyn Fn(usize) -> bool| {
        let kept = || by_size.iter().filter(|(size, _)| keep(*size));
        let count = kept().count();
        (count > 0).then(|| kept().map(|(_, value)| value).sum::<f64>() / count as f64)
    };
    let mut metrics = BTreeMap::from([
        ("avg_jaccard_score".to_owned(), mean(&|_| true)),
        ("jaccard_score_5-6".to_owned(), mean(&|size| size <= 6)),
        ("jaccard_score_10-12".to_owned(), mean(&|size| size >= 10)),
    ]);
    for size in [5, 6, 10, 12] {
        metrics.insert(format!("jaccard_score_{size}"), mean(&|own| own == size));
    }
    metrics
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Pairs { image: bool, text: bool },
    Chosen(f64),
}

/// `scores` are images x captions.
fn outcome(instance: &Instance, scores: &[f32]) -> Result<Outcome> {
    let (images, captions) = (instance.images.len(), instance.captions.len());
    if scores.len() != images * captions {
        let reason = format!("{} similarities of {images} x {captions}", scores.len());
        return Err(Error::Task { set: instance.key.clone(), reason });
    }
    if scores.iter().any(|score| !score.is_finite()) {
        return Err(clip_torch::Error::NotFinite { item: instance.key.clone() }.into());
    }
    let score = |image: usize, caption: usize| scores[image * captions + caption];
    if let Some(truth) = &instance.chosen {
        let count = truth.iter().filter(|chosen| **chosen).count();
        // Of equal scores the earlier image is chosen; DataComp's argsort has no rule.
        let mut order: Vec<usize> = (0..images).collect();
        order.sort_by(|&a, &b| score(b, 0).total_cmp(&score(a, 0)));
        let chosen: Vec<bool> = (0..images).map(|at| order[..count].contains(&at)).collect();
        return Ok(Outcome::Chosen(jaccard(truth, &chosen)));
    }
    // The i-th image belongs to the i-th caption; images or captions beyond the fewer are only
    // there to be mistaken.
    let pairs = images.min(captions);
    let text = (0..pairs).all(|image| {
        let row: Vec<f32> = (0..captions).map(|caption| score(image, caption)).collect();
        crate::rank_of(&row, image) == 0
    });
    let image = (0..pairs).all(|caption| {
        let column: Vec<f32> = (0..images).map(|image| score(image, caption)).collect();
        crate::rank_of(&column, caption) == 0
    });
    Ok(Outcome::Pairs { image, text })
}

fn summary(outcomes: &[Outcome]) -> Result<ChoiceScores> {
    let pairs: Vec<(bool, bool)> = outcomes
        .iter()
        .filter_map(|o| {
            if let Outcome::Pairs { image, text } = o { Some((*image, *text)) } else { None }
        })
        .collect();
    let chosen: Vec<f64> = outcomes
        .iter()
        .filter_map(|o| if let Outcome::Chosen(value) = o { Some(*value) } else { None })
        .collect();
    let accuracy = |hit: fn(&(bool, bool)) -> bool| {
        if pairs.is_empty() { Ok(None) } else { Accuracy::of(pairs.iter().map(hit)).map(Some) }
    };
    Ok(ChoiceScores {
        n: outcomes.len() as u64,
        image_acc: accuracy(|pair| pair.0)?,
        text_acc: accuracy(|pair| pair.1)?,
        acc: accuracy(|pair| pair.0 && pair.1)?,
        jaccard: (!chosen.is_empty()).then(|| chosen.iter().sum::<f64>() / chosen.len() as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(images: usize, captions: usize, chosen: Option<Vec<bool>>) -> Instance {
        Instance {
            key: "k".into(),
            group: "g".into(),
            images: vec!["x".into(); images],
            captions: vec![String::new(); captions],
            chosen,
        }
    }

    #[test]
    fn a_batch_has_at_most_n_images_or_one_instance() {
        let instances: Vec<Instance> =
            [2, 2, 3, 9, 1].iter().map(|&images| instance(images, 1, None)).collect();
        let cut = |size| batches(&instances, size).map(<[_]>::len).collect::<Vec<_>>();
        assert_eq!((cut(4), cut(1), cut(100)), (vec![2, 1, 1, 1], vec![1; 5], vec![5]));
        assert_eq!(batches(&[], 4).count(), 0);
    }

    #[test]
    fn both_ways_must_hold_and_cues_are_sets() {
        let pairs = |values: &[f32]| match outcome(&instance(2, 2, None), values).unwrap() {
            Outcome::Pairs { image, text } => (image, text),
            Outcome::Chosen(_) => panic!(),
        };
        assert_eq!(pairs(&[0.9, 0.1, 0.2, 0.8]), (true, true));
        // Both images prefer the first caption; each caption still finds its image.
        assert_eq!(pairs(&[0.9, 0.1, 0.8, 0.7]), (true, false));
        let truth = Some(vec![true, true, false]);
        let Outcome::Chosen(value) =
            outcome(&instance(3, 1, truth.clone()), &[0.1, 0.9, 0.5]).unwrap()
        else {
            panic!()
        };
        assert_eq!(value, 1.0 / 3.0);
        assert!(outcome(&instance(3, 1, truth), &[0.1, f32::NAN, 0.5]).is_err());
        assert!(outcome(&instance(2, 2, None), &[f32::NAN; 4]).is_err());
    }
}
