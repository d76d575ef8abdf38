//! Which views each step takes.

use rand::distr::weighted::WeightedIndex;
use rand::prelude::Distribution;
use rand::seq::SliceRandom;
use tch::Tensor;

use crate::train::features::{Bank, Banks};
use crate::train::random::{Stream, rng};
use crate::{Error, Result};

/// How many of a batch are cluttered views, composites and clean pictures.
pub(super) const BATCH: [usize; 3] = [14, 6, 12];

/// Goes through every bank in an order of its own, shuffled anew each time round.
///
/// All of it derives from the seed: the shape of a step from the step's number, an order from the bank and the time round. So a
/// plan that skipped some steps goes on as one that took them.
pub(super) struct Plan {
    seed: u64,
    shapes: WeightedIndex<usize>,
    /// By shape and kind.
    orders: Vec<[Order; 3]>,
}

impl Plan {
    /// A plan for these banks, one of each shape.
    pub(super) fn new(banks: &[Banks], seed: u64) -> Result<Self> {
        let lengths = |banks: &Banks| [&banks.cluttered, &banks.composite, &banks.clean].map(Bank::len);
        Self::of_lengths(&banks.iter().map(lengths).collect::<Vec<_>>(), seed)
    }

    fn of_lengths(lengths: &[[usize; 3]], seed: u64) -> Result<Self> {
        let shapes = WeightedIndex::new(lengths.iter().map(|[.., clean]| *clean));
        let order =
            |(number, len): (usize, &usize)| Order { seed, number: number as u64, len: *len, taken: 0, now: None };
        let mut orders = lengths.as_flattened().iter().enumerate().map(order);
        let orders = std::iter::from_fn(|| Some([orders.next()?, orders.next()?, orders.next()?])).collect();
        Ok(Self { seed, shapes: shapes.map_err(|error| Error::argument("images", error))?, orders })
    }

    /// The shape of a step.
    fn shape(&self, step: usize) -> usize {
        self.shapes.sample(&mut rng(self.seed, Stream::DistillSteps, step as u64))
    }

    /// Passes over the steps before `step`.
    pub(super) fn skip_to(&mut self, step: usize) {
        for step in 0..step {
            let shape = self.shape(step);
            self.orders[shape].iter_mut().zip(BATCH).for_each(|(order, count)| order.taken += count);
        }
    }

    /// The shape of the next step, whose number is `step`, and the positions in its banks of each kind.
    pub(super) fn next(&mut self, step: usize) -> (usize, [Tensor; 3]) {
        let shape = self.shape(step);
        let orders = &mut self.orders[shape];
        (shape, [0, 1, 2].map(|kind| Tensor::from_slice(&orders[kind].next(BATCH[kind]))))
    }
}

/// The positions of a bank, shuffled anew each time round.
struct Order {
    seed: u64,
    number: u64,
    len: usize,
    taken: usize,
    /// The current time round, and its order.
    now: Option<(usize, Vec<i64>)>,
}

impl Order {
    fn next(&mut self, count: usize) -> Vec<i64> {
        (0..count)
            .map(|_| {
                let (round, place) = (self.taken / self.len, self.taken % self.len);
                self.taken += 1;
                match &self.now {
                    Some((now, order)) if *now == round => order[place],
                    _ => {
                        let mut order: Vec<i64> = (0..self.len as i64).collect();
                        order.shuffle(&mut rng(self.seed, Stream::DistillOrder, self.number << 32 | round as u64));
                        let first = order[place];
                        self.now = Some((round, order));
                        first
                    }
                }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picks(plan: &mut Plan, step: usize) -> (usize, Vec<i64>) {
        let (shape, picks) = plan.next(step);
        (shape, picks.iter().flat_map(|pick| Vec::<i64>::try_from(pick).unwrap()).collect())
    }

    #[test]
    fn a_plan_that_skips_goes_on_as_one_that_does_not() {
        let lengths = [[30, 5, 15], [20, 9, 10]];
        let mut whole = Plan::of_lengths(&lengths, 4).unwrap();
        let steps: Vec<_> = (0..9).map(|step| picks(&mut whole, step)).collect();
        let mut skipped = Plan::of_lengths(&lengths, 4).unwrap();
        skipped.skip_to(6);
        assert_eq!((6..9).map(|step| picks(&mut skipped, step)).collect::<Vec<_>>(), steps[6..]);
        assert!(steps.iter().any(|(shape, _)| *shape == 0) && steps.iter().any(|(shape, _)| *shape == 1));
        let mut other = Plan::of_lengths(&lengths, 5).unwrap();
        assert_ne!((0..9).map(|step| picks(&mut other, step)).collect::<Vec<_>>(), steps);
    }

    #[test]
    fn each_time_round_takes_every_view_once() {
        let mut order = Order { seed: 1, number: 2, len: 7, taken: 0, now: None };
        let rounds = [order.next(7), order.next(7)];
        for mut round in rounds.clone() {
            round.sort_unstable();
            assert_eq!(round, [0, 1, 2, 3, 4, 5, 6]);
        }
        assert_ne!(rounds[0], rounds[1]);
    }
}
