//! Retrieval: recall at K in both directions.

use std::collections::BTreeMap;

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

/// Scores `similarity`, captions x images row by row, where caption `i` belongs to image
/// `owner[i]`.
///
/// An answer of the same score as a right one comes before it when its index is lower.
pub fn retrieval_scores(
    similarity: &[f32],
    owner: &[usize],
    images: usize,
    ks: &[usize],
) -> Result<RetrievalScores> {
    let row = |caption: usize| &similarity[caption * images..][..images];
    let image = (0..owner.len()).map(|caption| vec![super::rank_of(row(caption), owner[caption])]);
    let image = recall(image.collect(), ks)?;
    let mut captions = vec![Vec::new(); images];
    owner.iter().enumerate().for_each(|(caption, &image)| captions[image].push(caption));
    let mut column = vec![0.0; owner.len()];
    let mut ranks = Vec::with_capacity(images);
    for (image, own) in captions.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
        for (caption, score) in column.iter_mut().enumerate() {
            *score = similarity[caption * images + image];
        }
        let mut places: Vec<usize> = own.iter().map(|&c| super::rank_of(&column, c)).collect();
        places.sort_unstable();
        ranks.push(places);
    }
    Ok(RetrievalScores { image, text: recall(ranks, ks)? })
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
        let found = retrieval_scores(&similarity, &[0, 0, 1, 2, 2], 3, &[1, 2]).unwrap();
        assert_eq!((found.image.at[&1].value, found.image.at[&2].value), (0.4, 0.6));
        assert_eq!((found.text.at[&1].value, found.text.n), (1.0, 3));
        assert!((found.text.true_at[&1] - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!((found.image.median_rank, found.text.median_rank), (2.0, 1.0));
        assert_eq!(jaccard(&[true, true, false], &[true, false, true]), 1.0 / 3.0);
    }
}
