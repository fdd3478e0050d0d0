//! What is kept of a cluster while its members pass, one after the other: bounded, however many
//! they are.

use std::collections::HashSet;

use super::Deduplicate;

/// What the clusters leave.
#[derive(Default)]
pub(super) struct Kept {
    /// For each image the place of the one that stays.
    pub places: Vec<u32>,
    /// Rows that stay of clusters that are placeholders.
    pub placeholders: HashSet<u64>,
    /// Captions of the other clusters, in the order of the rows that stay.
    pub captions: Vec<(u64, Vec<String>)>,
}

impl Kept {
    /// Takes a cluster whose members have all passed.
    pub fn add(&mut self, cluster: Cluster, dedup: &Deduplicate) {
        if cluster.is_placeholder(dedup) {
            self.placeholders.insert(cluster.row);
        } else if dedup.max_captions > 0 {
            self.captions.push((cluster.row, cluster.captions));
        }
    }
}

/// A cluster so far.
pub(super) struct Cluster {
    /// The row that stays.
    pub row: u64,
    /// Hashes of the URLs and of the captions, up to one more than a cluster may have.
    urls: HashSet<u64>,
    texts: HashSet<u64>,
    /// The first captions, each once.
    captions: Vec<String>,
}

impl Cluster {
    /// The cluster under a row, which passes first.
    pub fn new(row: u64) -> Self {
        Self { row, urls: HashSet::new(), texts: HashSet::new(), captions: Vec::new() }
    }

    /// Takes the next member.
    pub fn add(&mut self, url: &str, caption: &str, dedup: &Deduplicate) {
        let counted = dedup.placeholder_limit.saturating_add(1);
        if dedup.placeholder_limit > 0 && self.urls.len() < counted {
            self.urls.insert(hash(url));
        }
        let most = dedup.max_captions.max(counted);
        if self.texts.len() < most
            && self.texts.insert(hash(caption))
            && self.captions.len() < dedup.max_captions
        {
            self.captions.push(caption.to_owned());
        }
    }

    fn is_placeholder(&self, dedup: &Deduplicate) -> bool {
        let limit = dedup.placeholder_limit;
        limit > 0 && (self.urls.len() > limit || self.texts.len() > limit)
    }
}

/// Two texts of a cluster have the same hash in one of some 10^13 clusters of a thousand.
fn hash(text: &str) -> u64 {
    let bytes = blake3::hash(text.as_bytes());
    let first = bytes.as_bytes().first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster(members: usize, urls: usize, captions: usize, dedup: &Deduplicate) -> Cluster {
        let mut cluster = Cluster::new(7);
        for at in 0..members {
            cluster.add(&format!("u{}", at % urls), &format!("c{}", at % captions), dedup);
        }
        cluster
    }

    #[test]
    fn captions_and_counts_of_a_cluster_are_bounded() {
        let dedup = Deduplicate { max_captions: 3, placeholder_limit: 10, ..Default::default() };
        let small = cluster(200, 10, 10, &dedup);
        assert!(!small.is_placeholder(&dedup));
        assert_eq!(small.captions, ["c0", "c1", "c2"]);
        assert!(cluster(200, 11, 10, &dedup).is_placeholder(&dedup));
        assert!(cluster(200, 10, 11, &dedup).is_placeholder(&dedup));
        let large = cluster(100_000, 50_000, 50_000, &dedup);
        assert!(large.urls.len() == 11 && large.texts.len() == 11 && large.captions.len() == 3);
        let any = Deduplicate { placeholder_limit: 0, ..dedup };
        assert!(!cluster(1_000, 1_000, 1_000, &any).is_placeholder(&any));
    }
}
