//! Telling outcomes in the order of the pictures, whatever order they were done in.

use std::collections::BTreeMap;

/// Holds outcomes back until all earlier ones are reported. The gate's window bounds how many are held.
#[derive(Debug)]
pub(super) struct InOrder<T> {
    told: usize,
    held: BTreeMap<usize, T>,
}

impl<T> InOrder<T> {
    pub(super) fn new() -> Self {
        Self { told: 0, held: BTreeMap::new() }
    }

    /// Takes the outcome of picture `index`, reports all whose turn it is, and returns how many are reported by now.
    pub(super) fn put(&mut self, index: usize, outcome: T, mut tell: impl FnMut(usize, T)) -> usize {
        self.held.insert(index, outcome);
        while let Some(outcome) = self.held.remove(&self.told) {
            tell(self.told, outcome);
            self.told += 1;
        }
        self.told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_come_in_order() {
        let mut order = InOrder::new();
        let mut told = Vec::new();
        let counts: Vec<_> =
            [2, 0, 1, 4, 3].map(|index| order.put(index, index * 10, |at, value| told.push((at, value)))).into();
        assert_eq!(told, [(0, 0), (1, 10), (2, 20), (3, 30), (4, 40)]);
        assert_eq!(counts, [0, 1, 3, 3, 5]);
    }
}
