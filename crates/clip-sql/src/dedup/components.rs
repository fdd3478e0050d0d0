//! Connected components of more edges than memory holds: large-star and small-star by turns
//! (Kiveris et al., Connected Components in MapReduce and Beyond, 2014), each one sort.

use super::records::{List, ListWriter, Scratch, Sorter};
use crate::Result;

/// Edges between rows.
pub(super) struct Edges {
    scratch: Scratch,
    /// Each edge from both ends.
    both: Sorter<2>,
}

impl Edges {
    pub fn new(scratch: &Scratch) -> Self {
        Self { scratch: scratch.clone(), both: Sorter::new(scratch) }
    }

    pub fn push(&mut self, a: u64, b: u64) -> Result<()> {
        if a == b {
            return Ok(());
        }
        self.both.push([a, b])?;
        self.both.push([b, a])
    }

    /// For each row that has a lower one in its component: the row and the lowest, in the order of
    /// rows.
    pub fn components(self) -> Result<List<2>> {
        let Self { scratch, mut both } = self;
        loop {
            // Large star: every higher neighbour of a row is tied to the row's lowest.
            let (mut stars, mut whole) = (ListWriter::new(&scratch)?, true);
            let mut down = Sorter::new(&scratch);
            let mut group = Group::default();
            for edge in both.finish()? {
                let [row, other] = edge?;
                group.enter(row, other.min(row));
                if other > row {
                    down.push([other, group.lowest])?;
                }
                whole &= group.is_star();
                if group.members == 1 && group.lowest < row {
                    stars.push([row, group.lowest])?;
                }
            }
            if whole {
                return stars.finish();
            }
            // Small star: every lower neighbour of a row, and the row, are tied to the lowest.
            let mut next = Self::new(&scratch);
            let mut group = Group::default();
            for edge in down.finish()? {
                let [row, lower] = edge?;
                group.enter(row, lower);
                next.push(lower, group.lowest)?;
                next.push(row, group.lowest)?;
            }
            both = next.both;
        }
    }
}

/// The neighbours of one row so far.
#[derive(Default)]
struct Group {
    row: Option<u64>,
    lowest: u64,
    members: u64,
}

impl Group {
    fn enter(&mut self, row: u64, lowest: u64) {
        if self.row != Some(row) {
            (self.row, self.lowest, self.members) = (Some(row), lowest, 0);
        }
        self.members += 1;
    }

    /// Whether the row is the centre of a star, or a leaf of one, as far as it was seen.
    fn is_star(&self) -> bool {
        self.row == Some(self.lowest) || self.members == 1
    }
}

/// All rows of components with more than one, each with the lowest, in the order of rows.
pub(super) fn members(components: &List<2>, scratch: &Scratch) -> Result<List<2>> {
    let mut all = Sorter::new(scratch);
    for component in components.read()? {
        let [row, lowest] = component?;
        all.push([row, lowest])?;
        all.push([lowest, lowest])?;
    }
    all.into_list()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clip_image::UnionFind;

    fn check(count: usize, pairs: &[(u64, u64)], memory: usize) {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path(), memory).unwrap();
        let (mut edges, mut sets) = (Edges::new(&scratch), UnionFind::new(count));
        for &(a, b) in pairs {
            edges.push(a, b).unwrap();
            sets.union(a as usize, b as usize);
        }
        let found: Vec<[u64; 2]> =
            edges.components().unwrap().read().unwrap().map(Result::unwrap).collect();
        let expected: Vec<[u64; 2]> = (0..count)
            .map(|row| [row as u64, sets.find(row) as u64])
            .filter(|[row, root]| row != root)
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn components_are_those_of_union_find() {
        check(4, &[], 0);
        check(10, &[(5, 9), (1, 5), (2, 3), (9, 7), (7, 7)], 0);
        // A chain in both orders, a star, a ring, and edges at random.
        let chain: Vec<(u64, u64)> = (0..2_000).map(|at| (at, at + 1)).collect();
        check(2_001, &chain, 4_000);
        let odd: Vec<(u64, u64)> =
            chain.iter().map(|&(a, b)| (a * 7 % 2_003, b * 7 % 2_003)).collect();
        check(2_003, &odd, 4_000);
        let star: Vec<(u64, u64)> = (0..3_000).map(|at| (1_500, at)).collect();
        check(3_001, &star, 1 << 20);
        let mut state = 9u64;
        let mut draw = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888);
            (state >> 33) % below
        };
        for edges in [500, 1_000, 4_000] {
            let pairs: Vec<_> = (0..edges).map(|_| (draw(2_000), draw(2_000))).collect();
            check(2_000, &pairs, 10_000);
        }
    }
}
