//! The tree of a hierarchical softmax.

use super::arithmetic::{dot, log};
use super::top_k::TopK;

/// The Huffman tree over the labels: node `n` below `leaves` is label `n`, the last node is the
/// root.
pub(super) struct Tree {
    children: Vec<Option<(u32, u32)>>,
    leaves: usize,
}

/// What a node weighs that is not made yet: more than any that is.
const UNMADE: i64 = 1_000_000_000_000_000;

impl Tree {
    /// Whether counts give a tree: without a node that is its own child, or one that is not there.
    pub(super) fn fits(counts: &[i64]) -> bool {
        let sum = counts.iter().try_fold(0i64, |sum, &count| {
            (0..UNMADE).contains(&count).then(|| sum.checked_add(count))?
        });
        !counts.is_empty() && sum.is_some_and(|sum| sum < UNMADE)
    }

    /// Of counts that fit, built as C++ fastText does: counts descend, so two queues suffice.
    pub(super) fn new(counts: &[i64]) -> Self {
        let leaves = counts.len();
        let mut weights = vec![UNMADE; 2 * leaves - 1];
        weights[..leaves].copy_from_slice(counts);
        let mut children = vec![None; 2 * leaves - 1];
        let (mut leaf, mut node) = (leaves, leaves);
        for parent in leaves..2 * leaves - 1 {
            let mut lightest = || {
                if leaf > 0 && weights[leaf - 1] < weights[node] {
                    leaf -= 1;
                    leaf
                } else {
                    node += 1;
                    node - 1
                }
            };
            let (left, right) = (lightest(), lightest());
            weights[parent] = weights[left] + weights[right];
            children[parent] = Some((left as u32, right as u32));
        }
        Self { children, leaves }
    }

    /// Puts the likeliest labels, with a probability of at least `threshold`, into `top`.
    pub(super) fn best(
        &self,
        output: &[f32],
        hidden: &[f32],
        threshold: f32,
        open: &mut Vec<(u32, f32)>,
        top: &mut TopK,
    ) {
        let least = log(f64::from(threshold));
        open.clear();
        open.push((2 * self.leaves as u32 - 2, 0.0));
        while let Some((node, score)) = open.pop() {
            if score.is_nan() || score < least || top.refuses(score) {
                continue;
            }
            let Some((left, right)) = self.children[node as usize] else {
                top.push(score, node);
                continue;
            };
            let dot = dot(output, node as usize - self.leaves, hidden);
            let share = (1.0 / f64::from(1.0 + (-dot).exp())) as f32;
            open.push((right, score + log(f64::from(share))));
            open.push((left, score + log(f64::from((1.0 - f64::from(share)) as f32))));
        }
    }
}
