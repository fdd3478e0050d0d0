//! Settings of the selection by embeddings.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::score::Score;

/// `[semantic]`: which pairs are kept, by the clusters of their images' embeddings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Semantic {
    /// The name of the `[[score]]` whose embeddings are read; the only one with some when absent.
    pub score: Option<String>,
    /// Clusters that k-means makes.
    pub clusters: Option<usize>,
    /// Centroids in place of k-means, `.npy` of `[centroids, width]`.
    pub centroids: Option<PathBuf>,
    /// A pair is dropped when its image's cosine with one before it in its cluster is above 1 minus
    /// this (`SemDeDup`).
    pub semdedup: Option<f64>,
    /// Which of several such images stays; the hard one when absent.
    pub keep: Option<SemanticKeep>,
    /// Embeddings of a target set, `.npy` of `[images, width]`: pairs of the clusters that these
    /// are in are kept.
    pub targets: Vec<PathBuf>,
}

/// Which of several images that show the same stays, by the distance to the centroid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SemanticKeep {
    /// The one that is farthest from the centroid.
    Hard,
    /// The one that is nearest to it.
    Easy,
    /// One that is drawn.
    Random,
}

impl Semantic {
    /// The scorer whose embeddings are read.
    ///
    /// # Errors
    /// In words, when none or several could be.
    pub fn scorer<'a>(&self, scorers: &'a [Score]) -> Result<&'a Score, String> {
        let hint = "hint: `embeddings = true` in a [[score]] stores them";
        let embedded: Vec<&Score> = scorers.iter().filter(|score| score.embeddings).collect();
        let names = || {
            let names = embedded.iter().map(|score| score.name.as_str());
            names.collect::<Vec<_>>().join(", ")
        };
        match (&self.score, &embedded[..]) {
            (_, []) => Err(format!("[semantic] needs embeddings of the images\n{hint}")),
            (None, [only]) => Ok(only),
            (None, _) => {
                Err(format!("`semantic.score` names no [[score]]\nhint: one of {}", names()))
            }
            (Some(name), _) => {
                let found = embedded.iter().find(|score| score.name == *name);
                found.copied().ok_or_else(|| {
                    format!(
                        "`semantic.score`: no [[score]] `{name}` stores embeddings\nhint: {}",
                        names()
                    )
                })
            }
        }
    }

    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let centroids = self.centroids.iter().map(|path| ("semantic.centroids", path.as_path()));
        centroids.chain(self.targets.iter().map(|path| ("semantic.targets", path.as_path())))
    }

    /// What is wrong with it, as far as that is known without embeddings.
    pub(crate) fn fault(&self, scorers: &[Score]) -> Option<String> {
        if let Err(fault) = self.scorer(scorers) {
            return Some(fault);
        }
        let fault = |what: &str, hint: &str| Some(format!("{what}\nhint: {hint}"));
        match (self.clusters, &self.centroids) {
            (None, None) => {
                return fault(
                    "[semantic] needs `clusters` or `centroids`",
                    "clusters = 1000; one for some 500 pairs is usual",
                );
            }
            (Some(_), Some(_)) => {
                return fault("[semantic] has `clusters` and `centroids`", "leave one out");
            }
            (Some(0), _) => {
                let hint = "one for some 500 pairs is usual";
                return fault("`semantic.clusters` must be at least 1", hint);
            }
            _ => {}
        }
        match self.semdedup {
            None if self.targets.is_empty() => fault(
                "[semantic] needs `semdedup` or `targets`: clusters alone choose nothing",
                "semdedup = 0.05",
            ),
            None if self.keep.is_some() => {
                fault("`semantic.keep` has no effect without `semdedup`", "leave it out")
            }
            Some(epsilon) if !(0.0..1.0).contains(&epsilon) => fault(
                &format!("`semantic.semdedup` must be at least 0 and less than 1, not {epsilon}"),
                "0.05 drops an image whose cosine with another is above 0.95",
            ),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scorers(text: &str) -> Vec<Score> {
        #[derive(Deserialize)]
        struct File {
            score: Vec<Score>,
        }
        toml::from_str::<File>(text).unwrap().score
    }

    #[test]
    fn a_selection_has_embeddings_clusters_and_something_to_choose_by() {
        let one = scorers(
            "[[score]]\nmodel = 'a'\nembeddings = true\n[[score]]\nname = 'b'\nmodel = 'b'",
        );
        let two = scorers(
            "[[score]]\nmodel = 'a'\nembeddings = true\n[[score]]\nname = 'b'\nmodel = 'b'\nembeddings = true",
        );
        let none = scorers("[[score]]\nmodel = 'a'");
        for (scorers, text, why) in [
            (&one, "clusters = 3\nsemdedup = 0.05\nkeep = 'easy'", None),
            (&one, "centroids = 'c.npy'\ntargets = ['t.npy']", None),
            (&two, "score = 'b'\nclusters = 3\nsemdedup = 0.0", None),
            (&none, "clusters = 3\nsemdedup = 0.05", Some("needs embeddings")),
            (&two, "clusters = 3\nsemdedup = 0.05", Some("hint: one of clip, b")),
            (&one, "score = 'b'\nclusters = 3\nsemdedup = 0.05", Some("no [[score]] `b` stores")),
            (&one, "semdedup = 0.05", Some("`clusters` or `centroids`")),
            (&one, "clusters = 3\ncentroids = 'c.npy'\nsemdedup = 0.05", Some("leave one out")),
            (&one, "clusters = 0\nsemdedup = 0.05", Some("at least 1")),
            (&one, "clusters = 3", Some("choose nothing")),
            (&one, "clusters = 3\ntargets = ['t.npy']\nkeep = 'hard'", Some("no effect")),
            (&one, "clusters = 3\nsemdedup = 1.0", Some("less than 1, not 1")),
        ] {
            let found = toml::from_str::<Semantic>(text).unwrap().fault(scorers);
            let fits = match (&found, why) {
                (None, None) => true,
                (Some(found), Some(why)) => found.contains(why) && found.contains("\nhint: "),
                _ => false,
            };
            assert!(fits, "{text}: {found:?}");
        }
        assert!(toml::from_str::<Semantic>("eps = 0.1").is_err());
    }
}
