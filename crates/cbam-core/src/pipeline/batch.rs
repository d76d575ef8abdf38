//! Gathering pictures of one network size into batches.

use std::collections::VecDeque;

/// Items gathered by key: a full bin is taken first, then the bin whose first item waits longest.
///
/// Nothing waits for a batch to fill: the network takes what there is whenever it is free.
#[derive(Debug)]
pub(super) struct Bins<K, T> {
    capacity: usize,
    /// In the order of their oldest items.
    bins: VecDeque<(K, Vec<T>)>,
}

impl<K: PartialEq, T> Bins<K, T> {
    /// Bins of at most `capacity` items (at least 1).
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), bins: VecDeque::new() }
    }

    /// Adds an item.
    pub(super) fn push(&mut self, key: K, item: T) {
        let open = self.bins.iter_mut().find(|(k, items)| *k == key && items.len() < self.capacity);
        match open {
            Some((_, items)) => items.push(item),
            None => self.bins.push_back((key, vec![item])),
        }
    }

    /// Takes the next batch.
    pub(super) fn take(&mut self) -> Option<(K, Vec<T>)> {
        let full = self.bins.iter().position(|(_, items)| items.len() == self.capacity);
        self.bins.remove(full.unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_bins_go_first_then_the_oldest() {
        let mut bins = Bins::new(2);
        for (key, item) in [('a', 1), ('b', 2), ('c', 3), ('b', 4), ('b', 5)] {
            bins.push(key, item);
        }
        let order: Vec<_> = std::iter::from_fn(|| bins.take()).collect();
        assert_eq!(order, [('b', vec![2, 4]), ('a', vec![1]), ('c', vec![3]), ('b', vec![5])]);
    }

    #[test]
    fn a_capacity_of_nothing_is_one() {
        let mut bins = Bins::new(0);
        bins.push((), 1);
        bins.push((), 2);
        assert_eq!(bins.take(), Some(((), vec![1])));
        assert_eq!(bins.take(), Some(((), vec![2])));
        assert_eq!(bins.take(), None);
    }
}
