//! The rows of each cluster.

/// Rows by cluster, ascending in each.
pub(super) struct Members {
    rows: Vec<u32>,
    starts: Vec<usize>,
}

impl Members {
    /// Those of a cluster.
    pub(super) fn rows_of(&self, cluster: usize) -> &[u32] {
        &self.rows[self.starts[cluster]..self.starts[cluster + 1]]
    }

    /// The same, to be put in another order.
    pub(super) fn rows_of_mut(&mut self, cluster: usize) -> &mut [u32] {
        &mut self.rows[self.starts[cluster]..self.starts[cluster + 1]]
    }

    /// All rows, cluster after cluster.
    pub(super) fn all(&self) -> &[u32] {
        &self.rows
    }

    /// Number of clusters.
    pub(super) fn clusters(&self) -> usize {
        self.starts.len() - 1
    }

    /// The place of a cluster's first row among all.
    pub(super) fn start(&self, cluster: usize) -> usize {
        self.starts[cluster]
    }
}

/// Rows by cluster; those with a label beyond are in none.
pub(super) fn members(labels: &[u32], clusters: usize) -> Members {
    let mut starts = vec![0usize; clusters + 1];
    let known = |label: u32| (label as usize) < clusters;
    labels.iter().filter(|&&l| known(l)).for_each(|&label| starts[label as usize + 1] += 1);
    for at in 0..clusters {
        starts[at + 1] += starts[at];
    }
    let mut next = starts.clone();
    let mut rows = vec![0u32; starts[clusters]];
    for (row, &label) in labels.iter().enumerate().filter(|(_, label)| known(**label)) {
        rows[next[label as usize]] = row as u32;
        next[label as usize] += 1;
    }
    Members { rows, starts }
}
