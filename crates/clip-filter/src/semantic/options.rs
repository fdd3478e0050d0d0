//! What a selection by embeddings is asked for, and what it says of its clusters.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Which of several images that show the same stays, as in SemDeDup's code: the order is that of
/// the distance to the centroid.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keep {
    /// The one that is farthest from the centroid.
    #[default]
    Hard,
    /// The one that is nearest to it.
    Easy,
    /// One that is drawn.
    Random,
}

/// Where centroids come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clusters {
    /// k-means of the pool makes this many.
    Train(usize),
    /// A `.npy` file, `[centroids, width]`.
    File(PathBuf),
}

/// A selection by embeddings, which are normalised first.
#[derive(Debug, Clone, PartialEq)]
pub struct Semantic {
    /// The clusters; a row is in that of the centroid with the least squared distance.
    pub clusters: Clusters,
    /// The array of the `.npz` files that has the embeddings.
    pub embedding: String,
    /// Embeddings of a target set, `.npy` of `[images, width]`: pairs of the clusters that these
    /// are in are kept. All are where there is none.
    pub targets: Vec<PathBuf>,
    /// An image is dropped when its cosine with one before it in its cluster is above 1 minus this.
    pub epsilon: Option<f64>,
    /// The order in a cluster.
    pub keep: Keep,
    /// Of the first centroids and of draws.
    pub seed: u64,
    /// Where the centroids are written, `.npy`.
    pub save: Option<PathBuf>,
}

/// The clusters of a selection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Clustering {
    /// Centroids.
    pub clusters: usize,
    /// Those that the target set is in, where there is one.
    pub wanted: Option<usize>,
    /// Rows that k-means was trained on, where it was.
    pub trained_on: Option<usize>,
    /// Its iterations.
    pub iterations: Option<usize>,
    /// The sum of the squared distances of these rows to their centroids.
    pub inertia: Option<f64>,
    /// Pairs of the largest cluster.
    pub largest: usize,
}

impl Semantic {
    /// Refuses what is out of range.
    pub(super) fn check(&self) -> Result<()> {
        let refused = |why: &str, hint: &str| Err(Error::Settings(format!("{why}\nhint: {hint}")));
        match (self.epsilon, &self.clusters) {
            (Some(epsilon), _) if !(0.0..1.0).contains(&epsilon) => {
                let hint = "0.05 drops an image whose cosine with another is above 0.95";
                refused(&format!("--semdedup {epsilon}: from 0, below 1"), hint)
            }
            (_, Clusters::Train(0)) => refused("--clusters 0", "one for some 500 pairs is usual"),
            (None, _) if self.targets.is_empty() => {
                refused("clusters alone choose nothing", "--semdedup, --targets, or both")
            }
            _ => Ok(()),
        }
    }
}
