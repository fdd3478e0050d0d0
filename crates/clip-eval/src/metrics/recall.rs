//! Retrieval: recall at K in both directions.

use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;
use serde::Serialize;

use super::Accuracy;
use crate::Result;

/// Recall in one direction.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recall {
    /// Queries.
    pub n: u64,
    /// By K, the share of queries with at least one right answer among the first K.
    pub at: BTreeMap<usize, Accuracy>,
    /// By K, the mean share of all right answers that are among the first K.
    pub true_at: BTreeMap<usize, f64>,
    /// Median place of the first right answer, from 1.
    pub median_rank: f64,
    /// Mean of one over that place.
    pub mean_reciprocal_rank: f64,
}

/// Both directions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RetrievalScores {
    /// From a caption to its image.
    pub image: Recall,
    /// From an image to its captions.
    pub text: Recall,
}

impl RetrievalScores {
    /// Names and values as CLIP_benchmark has them, with the mean of both recalls at 1 as DataComp
    /// has it.
    pub fn metrics(&self) -> BTreeMap<String, Option<f64>> {
        let mut metrics = BTreeMap::new();
        for (name, recall) in [("image", &self.image), ("text", &self.text)] {
            metrics.extend(recall.at.iter().map(|(k, accuracy)| {
                (format!("{name}_retrieval_recall@{k}"), Some(accuracy.value))
            }));
        }
        if let (Some(image), Some(text)) = (self.image.at.get(&1), self.text.at.get(&1)) {
            let mean = f64::midpoint(image.value, text.value);
            metrics.insert("mean_recall@1".into(), Some(mean));
        }
        metrics
    }
}

/// Similarities that are in memory at a time.
const AT_ONCE: usize = 1 << 24;

/// Scores retrieval where caption `i` belongs to image `owner[i]`. `of_captions` gives the
/// similarities of some captions to all images, caption by caption; `of_images` those of some
/// images to all captions, image by image.
///
/// An answer of the same score as a right one comes before it when its index is lower.
///
/// # Errors
/// Those of the similarities; nothing to score.
pub fn retrieval_scores(
    of_captions: impl Fn(Range<usize>) -> Result<Vec<f32>>,
    of_images: impl Fn(Range<usize>) -> Result<Vec<f32>>,
    owner: &[usize],
    images: usize,
    ks: &[usize],
) -> Result<RetrievalScores> {
    let mut captions = vec![Vec::new(); images];
    owner.iter().enumerate().for_each(|(caption, &image)| captions[image].push(caption));
    let owners: Vec<Vec<usize>> = owner.iter().map(|&image| vec![image]).collect();
    let image = places(&owners, images, of_captions)?;
    let text = places(&captions, owner.len(), of_images)?;
    Ok(RetrievalScores { image: recall(image, ks)?, text: recall(text, ks)? })
}

/// The places of the right answers of each query that has some, ascending.
fn places(
    right: &[Vec<usize>],
    answers: usize,
    similarities: impl Fn(Range<usize>) -> Result<Vec<f32>>,
) -> Result<Vec<Vec<usize>>> {
    let block = (AT_ONCE / answers.max(1)).max(1);
    let mut all = Vec::with_capacity(right.len());
    for first in (0..right.len()).step_by(block) {
        let queries = first..right.len().min(first + block);
        let scores = similarities(queries.clone())?;
        let of_query = |(at, scores): (usize, &[f32])| {
            let own = &right[first + at];
            let mut places: Vec<_> = own.iter().map(|&a| super::rank_of(scores, a)).collect();
            places.sort_unstable();
            places
        };
        let rows = scores.par_chunks_exact(answers.max(1)).enumerate();
        all.par_extend(rows.map(of_query).filter(|places| !places.is_empty()));
    }
    Ok(all)
}

/// From the places of all right answers of each query, ascending.
fn recall(ranks: Vec<Vec<usize>>, ks: &[usize]) -> Result<Recall> {
    let n = ranks.len() as f64;
    let mut at = BTreeMap::new();
    let mut true_at = BTreeMap::new();
    for &k in ks {
        at.insert(k, Accuracy::of(ranks.iter().map(|places| places[0] < k))?);
        let share = |places: &Vec<usize>| {
            places.iter().filter(|&&p| p < k).count() as f64 / places.len() as f64
        };
        true_at.insert(k, ranks.iter().map(share).sum::<f64>() / n);
    }
    let mut first: Vec<usize> = ranks.iter().map(|places| places[0] + 1).collect();
    first.sort_unstable();
    let middle = (first[(first.len() - 1) / 2] + first[first.len() / 2]) as f64 / 2.0;
    let reciprocal = first.iter().map(|&place| 1.0 / place as f64).sum::<f64>() / n;
    let n = ranks.len() as u64;
    Ok(Recall { n, at, true_at, median_rank: middle, mean_reciprocal_rank: reciprocal })
}

/// Common members over all members; 0 of nothing.
pub fn jaccard(truth: &[bool], chosen: &[bool]) -> f64 {
    let pairs = || truth.iter().zip(chosen);
    let both = pairs().filter(|(a, b)| **a && **b).count() as f64;
    let either = pairs().filter(|(a, b)| **a || **b).count() as f64;
    if either > 0.0 { both / either } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_captions_of_three_images() {
        let similarity =
            [0.9, 0.1, 0.2, 0.3, 0.5, 0.4, 0.2, 0.6, 0.7, 0.1, 0.2, 0.8, 0.4, 0.3, 0.1];
        let of_captions =
            |rows: Range<usize>| Ok(similarity[3 * rows.start..3 * rows.end].to_vec());
        let column = |image: usize| (0..5).map(move |caption| similarity[3 * caption + image]);
        let of_images = |images: Range<usize>| Ok(images.flat_map(column).collect());
        let owner = [0, 0, 1, 2, 2];
        let found = retrieval_scores(of_captions, of_images, &owner, 3, &[1, 2]).unwrap();
        assert_eq!((found.image.at[&1].value, found.image.at[&2].value), (0.4, 0.6));
        assert_eq!((found.text.at[&1].value, found.text.n), (1.0, 3));
        assert!((found.text.true_at[&1] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((found.image.median_rank, found.text.median_rank), (2.0, 1.0));
        assert_eq!(jaccard(&[true, true, false], &[true, false, true]), 1.0 / 3.0);
    }
}
