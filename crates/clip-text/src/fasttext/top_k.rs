//! The best labels of a text.

/// Up to `k` labels with the best scores.
///
/// A heap whose steps are those of libstdc++'s `push_heap`, `pop_heap` and `sort_heap`, which the
/// C++ program uses: labels with equal scores come out in the same order.
#[derive(Default)]
pub(super) struct TopK {
    k: usize,
    /// Score and label; the worst is first.
    heap: Vec<(f32, u32)>,
}

impl TopK {
    /// Removes all labels.
    pub(super) fn reset(&mut self, k: usize) {
        self.k = k;
        self.heap.clear();
    }

    /// Whether a label of this score would not stay.
    pub(super) fn refuses(&self, score: f32) -> bool {
        self.heap.len() == self.k && self.heap.first().is_none_or(|worst| score < worst.0)
    }

    /// Adds a label that is not refused.
    pub(super) fn push(&mut self, score: f32, label: u32) {
        self.heap.push((score, label));
        sift_up(&mut self.heap, (score, label));
        if self.heap.len() > self.k {
            pop(&mut self.heap);
            self.heap.pop();
        }
    }

    /// The labels, best first.
    pub(super) fn sorted(&mut self) -> &[(f32, u32)] {
        for end in (2..=self.heap.len()).rev() {
            pop(&mut self.heap[..end]);
        }
        &self.heap
    }
}

/// Moves `value`, whose place is the last, up to where no parent is better.
fn sift_up(heap: &mut [(f32, u32)], value: (f32, u32)) {
    let last = heap.len() - 1;
    place(heap, last, value);
}

fn place(heap: &mut [(f32, u32)], mut hole: usize, value: (f32, u32)) {
    while hole > 0 && heap[(hole - 1) / 2].0 > value.0 {
        heap[hole] = heap[(hole - 1) / 2];
        hole = (hole - 1) / 2;
    }
    heap[hole] = value;
}

/// Moves the first, the worst, to the end, and makes a heap of the others.
fn pop(heap: &mut [(f32, u32)]) {
    let Some((last, rest)) = heap.split_last_mut() else { return };
    let Some(worst) = rest.first().copied() else { return };
    let value = std::mem::replace(last, worst);
    // Down to a leaf, always to the worse child, then up again.
    let (mut hole, mut child) = (0, 0);
    while child < (rest.len() - 1) / 2 {
        child = 2 * (child + 1);
        if rest[child].0 > rest[child - 1].0 {
            child -= 1;
        }
        rest[hole] = rest[child];
        hole = child;
    }
    if rest.len() % 2 == 0 && child == (rest.len() - 2) / 2 {
        rest[hole] = rest[2 * child + 1];
        hole = 2 * child + 1;
    }
    place(rest, hole, value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_of_equals_the_ones_that_libstdcxx_keeps() {
        let mut top = TopK::default();
        top.reset(3);
        for (label, score) in [0.1, 0.7, 0.3, 0.9, 0.2].into_iter().enumerate() {
            if !top.refuses(score) {
                top.push(score, label as u32);
            }
        }
        assert_eq!(top.sorted(), [(0.9, 3), (0.7, 1), (0.3, 2)]);
        // std::push_heap, pop_heap and sort_heap of g++ 12 with eight equal scores.
        for (k, labels) in [(1, vec![7]), (3, vec![7, 1, 6]), (8, vec![3, 1, 4, 7, 5, 6, 2, 0])] {
            top.reset(k);
            (0..8).for_each(|label| top.push(0.5, label));
            assert_eq!(top.sorted().iter().map(|l| l.1).collect::<Vec<_>>(), labels, "{k}");
        }
        top.reset(0);
        assert!(top.refuses(f32::INFINITY) && top.sorted().is_empty());
    }
}
