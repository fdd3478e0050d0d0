//! Sets that grow together: clusters out of pairs.

/// Union-find over the numbers below `len`.
#[derive(Debug, Clone)]
pub struct UnionFind {
    parent: Vec<u32>,
}

impl UnionFind {
    /// `len` sets of one.
    pub fn new(len: usize) -> Self {
        Self { parent: (0..len as u32).collect() }
    }

    /// Joins the sets of two numbers.
    pub fn union(&mut self, a: usize, b: usize) {
        let (a, b) = (self.find(a), self.find(b));
        // The lower number becomes the root, so that roots do not depend on the order of unions.
        let (low, high) = (a.min(b), a.max(b));
        self.parent[high] = low as u32;
    }

    /// The lowest number of the set that `a` is in.
    pub fn find(&mut self, mut a: usize) -> usize {
        while self.parent[a] as usize != a {
            // Halving: each step moves the node up by two.
            let above = self.parent[self.parent[a] as usize];
            self.parent[a] = above;
            a = above as usize;
        }
        a
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roots_are_the_lowest_members_in_any_order_of_unions() {
        let pairs = [(5, 9), (1, 5), (2, 3), (9, 7)];
        let roots = |pairs: &[(usize, usize)]| {
            let mut sets = UnionFind::new(10);
            pairs.iter().for_each(|&(a, b)| sets.union(a, b));
            (0..10).map(|a| sets.find(a)).collect::<Vec<_>>()
        };
        let mut reversed = pairs;
        reversed.reverse();
        assert_eq!(roots(&pairs), [0, 1, 2, 2, 4, 1, 6, 1, 8, 1]);
        assert_eq!(roots(&reversed), roots(&pairs));
    }
}
