//! The tree of a hierarchical softmax.

/// The Huffman tree over the labels: node `n` below `leaves` is label `n`, the last node is the
/// root.
pub(super) struct Tree {
    children: Vec<Option<(usize, usize)>>,
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
            children[parent] = Some((left, right));
        }
        Self { children, leaves }
    }

    /// The likeliest label and the logarithm of its probability.
    pub(super) fn best(&self, output: &[f32], hidden: &[f32]) -> Option<(usize, f32)> {
        // fastText adds 1e-5 before the logarithm, in double precision.
        let log = |share: f32| (f64::from(share) + 1e-5).ln() as f32;
        let mut best: Option<(usize, f32)> = None;
        let mut open = vec![(2 * self.leaves - 2, 0f32)];
        while let Some((node, score)) = open.pop() {
            if score < log(0.0) || best.is_some_and(|(_, best)| score < best) {
                continue;
            }
            let Some((left, right)) = self.children[node] else {
                best = Some((node, score));
                continue;
            };
            let row = &output[(node - self.leaves) * hidden.len()..][..hidden.len()];
            let dot: f32 = row.iter().zip(hidden).map(|(a, b)| a * b).sum();
            let share = (1.0 / f64::from(1.0 + (-dot).exp())) as f32;
            open.push((right, score + log(share)));
            open.push((left, score + log((1.0 - f64::from(share)) as f32)));
        }
        best
    }
}
