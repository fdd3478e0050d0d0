//! Compositional choices: SugarCrepe, Winoground, WinoGAViL.

use std::collections::BTreeMap;

use clip_datasets::choice::Instance;
use clip_model::Clip;
use clip_text::Tokenizer;
use clip_torch::tch::Tensor;
use rayon::prelude::*;
use serde::Serialize;

use crate::metrics::{Accuracy, jaccard};
use crate::{Error, Result, Space, embed, embed_texts, picture};

/// Instances that are embedded at a time.
const BATCH: usize = 64;

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

/// Scores all instances together (under the name "all") and by group. As in CLIP_benchmark a tie between captions
/// goes to the first; one instance is one case.
pub fn choices(
    model: &Clip,
    tokenizer: &Tokenizer,
    instances: &[Instance],
    progress: &dyn Fn(usize),
) -> Result<BTreeMap<String, ChoiceScores>> {
    let transform = model.transform();
    let mut outcomes = Vec::new();
    for batch in instances.chunks(BATCH) {
        let mut bytes = Vec::new();
        for instance in batch {
            bytes.extend(instance.read()?.into_iter().map(|image| (&instance.key, image)));
        }
        let pictures: Result<Vec<_>> = bytes
            .par_iter()
            .map(|(key, image)| {
                picture(image, &transform).map_err(|reason| Error::Image {
                    set: "choices".into(),
                    key: (*key).clone(),
                    reason,
                })
            })
            .collect();
        let images = embed(model, &pictures?, Space::Joint);
        let texts: Vec<String> = batch.iter().flat_map(|i| i.captions.clone()).collect();
        let texts = embed_texts(model, tokenizer, &texts)?;
        let (mut image, mut text) = (0, 0);
        for instance in batch {
            let (i, t) = (instance.images.len() as i64, instance.captions.len() as i64);
            let scores = images.narrow(0, image, i).matmul(&texts.narrow(0, text, t).tr());
            outcomes.push((instance, outcome(instance, &scores)?));
            (image, text) = (image + i, text + t);
        }
        progress(outcomes.len());
    }
    let mut by_group: BTreeMap<String, Vec<Outcome>> = BTreeMap::new();
    for (instance, outcome) in outcomes {
        by_group.entry("all".into()).or_default().push(outcome);
        if instance.group != "all" {
            by_group.entry(instance.group.clone()).or_default().push(outcome);
        }
    }
    by_group.into_iter().map(|(group, outcomes)| Ok((group, scores(&outcomes)?))).collect()
}

#[derive(Clone, Copy)]
enum Outcome {
    Pairs { image: bool, text: bool },
    Chosen(f64),
}

/// `scores` are images x captions.
fn outcome(instance: &Instance, scores: &Tensor) -> Result<Outcome> {
    let captions = instance.captions.len();
    let flat: Vec<f32> = Vec::try_from(scores.contiguous().view([-1]))?;
    let score = |image: usize, caption: usize| flat[image * captions + caption];
    let images = instance.images.len();
    if let Some(truth) = &instance.chosen {
        let count = truth.iter().filter(|chosen| **chosen).count();
        let mut order: Vec<usize> = (0..images).collect();
        order.sort_by(|&a, &b| score(b, 0).total_cmp(&score(a, 0)));
        let chosen: Vec<bool> = (0..images).map(|at| order[..count].contains(&at)).collect();
        return Ok(Outcome::Chosen(jaccard(truth, &chosen)));
    }
    let text = (0..images).all(|image| {
        let row: Vec<f32> = (0..captions).map(|caption| score(image, caption)).collect();
        crate::rank_of(&row, image) == 0
    });
    let image = (0..images.min(captions)).all(|caption| {
        let column: Vec<f32> = (0..images).map(|image| score(image, caption)).collect();
        crate::rank_of(&column, caption) == 0
    });
    Ok(Outcome::Pairs { image, text })
}

fn scores(outcomes: &[Outcome]) -> Result<ChoiceScores> {
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
    fn both_ways_must_hold_and_cues_are_sets() {
        let pairs = |values: &[f32]| {
            let scores = Tensor::from_slice(values).view([2, 2]);
            match outcome(&instance(2, 2, None), &scores).unwrap() {
                Outcome::Pairs { image, text } => (image, text),
                Outcome::Chosen(_) => panic!(),
            }
        };
        assert_eq!(pairs(&[0.9, 0.1, 0.2, 0.8]), (true, true));
        // Both images prefer the first caption; each caption still finds its image.
        assert_eq!(pairs(&[0.9, 0.1, 0.8, 0.7]), (true, false));
        let scores = Tensor::from_slice(&[0.1f32, 0.9, 0.5]).view([3, 1]);
        let truth = Some(vec![true, true, false]);
        let Outcome::Chosen(value) = outcome(&instance(3, 1, truth), &scores).unwrap() else {
            panic!()
        };
        assert_eq!(value, 1.0 / 3.0);
    }
}
