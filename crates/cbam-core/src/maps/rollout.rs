//! Attention rollout (Abnar & Zuidema 2020): several layers of self-attention as one.

use ndarray::{Array1, Array2, ArrayView3, Axis};

use crate::{Error, Result};

/// The weights of one self-attention over patches, to be rolled out.
#[derive(Debug, Clone, Copy)]
pub struct RolloutLayer<'a> {
    /// `[heads, T, T]`, queries before keys; each row sums to 1.
    pub weights: ArrayView3<'a, f32>,
    /// Rows and columns of patches; their product is T.
    pub grid: [usize; 2],
}

/// How much of each position's final features comes from each position of the first layer, `[T last, T first]`: rows are
/// final positions, and each sums to 1.
///
/// `layers` stand in the order in which the network applies them. With `A` a layer's mean over heads and a residual
/// beside the attention, the layer passes `½ A + ½ I` on; the product of all layers, the last one first, is the rollout.
/// Between two grids each position takes the mean of what lies under it, as the strides of a CNN do.
///
/// # Errors
/// [`Error::Input`] if there are no layers, or weights do not fit their grid.
pub fn rollout(layers: &[RolloutLayer<'_>]) -> Result<Array2<f32>> {
    let mut passed: Option<(Array2<f32>, [usize; 2])> = None;
    for layer in layers {
        let on = layer.passes_on()?;
        let all = match passed {
            None => on,
            Some((passed, grid)) if grid == layer.grid => on.dot(&passed),
            Some((passed, grid)) => on.dot(&pooling(grid, layer.grid).dot(&passed)),
        };
        passed = Some((all, layer.grid));
    }
    passed.map(|(passed, _)| passed).ok_or_else(|| wrong("no layer".to_owned(), 0))
}

/// How much each position of the first layer gives in the end, `[rows, columns]` of its grid: the mean over final
/// positions of [`rollout`], times the number of first positions, so that 1 is an even share.
///
/// It costs as much as the layers have weights, and [`rollout`] itself as much as multiplying them.
///
/// # Errors
/// As [`rollout`].
pub fn rollout_received(layers: &[RolloutLayer<'_>]) -> Result<Array2<f32>> {
    let mut given: Option<(Array1<f32>, [usize; 2])> = None;
    for layer in layers.iter().rev() {
        let positions = layer.grid[0] * layer.grid[1];
        let of_layer = match given {
            None => Array1::from_elem(positions, 1.0 / positions as f32),
            Some((given, grid)) if grid == layer.grid => given,
            Some((given, grid)) => spread(&given, grid, layer.grid),
        };
        given = Some((layer.pass_back(&of_layer)?, layer.grid));
    }
    let (given, [rows, columns]) = given.ok_or_else(|| wrong("no layer".to_owned(), 0))?;
    let even = given * (rows * columns) as f32;
    even.into_shape_with_order((rows, columns)).map_err(|error| wrong(error.to_string(), rows * columns))
}

impl RolloutLayer<'_> {
    fn check(&self) -> Result<usize> {
        let positions = self.grid[0] * self.grid[1];
        let (heads, queries, keys) = self.weights.dim();
        if heads > 0 && positions > 0 && [queries, keys] == [positions; 2] {
            Ok(positions)
        } else {
            Err(wrong(format!("{:?}", self.weights.shape()), positions))
        }
    }

    /// A row of `½ A + ½ I`, which sums to 1.
    fn passed_on(&self, query: usize, row: &mut Array1<f32>) {
        row.fill(0.0);
        for head in self.weights.outer_iter() {
            *row += &head.row(query);
        }
        row[query] += self.weights.len_of(Axis(0)) as f32;
        *row /= row.sum(); // twice the heads, but for rounding
    }

    /// `½ A + ½ I`, `[T, T]`.
    fn passes_on(&self) -> Result<Array2<f32>> {
        let positions = self.check()?;
        let (mut all, mut row) = (Array2::zeros((positions, positions)), Array1::zeros(positions));
        for (query, mut out) in all.rows_mut().into_iter().enumerate() {
            self.passed_on(query, &mut row);
            out.assign(&row);
        }
        Ok(all)
    }

    /// What each position gives, `[T]`, of which `received` is taken: the product with `½ A + ½ I`, which is not made whole.
    fn pass_back(&self, received: &Array1<f32>) -> Result<Array1<f32>> {
        let positions = self.check()?;
        let (mut given, mut row) = (Array1::zeros(positions), Array1::zeros(positions));
        for (query, received) in received.iter().enumerate() {
            self.passed_on(query, &mut row);
            given.scaled_add(*received, &row);
        }
        Ok(given)
    }
}

/// What each position of the grid `to` takes of each of `from`, `[T to, T from]`: its share of the area.
fn pooling(from: [usize; 2], to: [usize; 2]) -> Array2<f32> {
    let [rows, columns] = [0, 1].map(|axis| shares(from[axis], to[axis]));
    Array2::from_shape_fn((to[0] * to[1], from[0] * from[1]), |(i, j)| {
        rows[[i / to[1], j / from[1]]] * columns[[i % to[1], j % from[1]]]
    })
}

/// What each position of the grid `from` gives to those of `to` if these receive so much: the product with [`pooling`].
fn spread(received: &Array1<f32>, to: [usize; 2], from: [usize; 2]) -> Array1<f32> {
    let [rows, columns] = [0, 1].map(|axis| shares(from[axis], to[axis]));
    let received = Array2::from_shape_fn((to[0], to[1]), |(row, column)| received[row * to[1] + column]);
    rows.t().dot(&received).dot(&columns).flatten().into_owned()
}

/// What each of `to` cells along an axis takes of each of `from`, `[to, from]`: its share of the length.
fn shares(from: usize, to: usize) -> Array2<f32> {
    let (all_from, all_to) = (from as f32, to as f32);
    Array2::from_shape_fn((to, from), |(to, from)| {
        let (low, high) = (to as f32 / all_to, (to + 1) as f32 / all_to);
        let shared = high.min((from + 1) as f32 / all_from) - low.max(from as f32 / all_from);
        shared.max(0.0) * all_to
    })
}

fn wrong(got: String, positions: usize) -> Error {
    Error::Input { layer: "attention rollout", expected: format!("weights [heads, T, T] with T = {positions}"), got }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    fn on(weights: &Array3<f32>, grid: [usize; 2]) -> RolloutLayer<'_> {
        RolloutLayer { weights: weights.view(), grid }
    }

    #[test]
    fn two_layers_are_their_product_the_last_one_first() {
        // Two heads whose mean is [[0, 1], [0.5, 0.5]], then one head.
        let first = array![[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]];
        let second = array![[[1.0, 0.0], [0.5, 0.5]]];
        let expected_first: Array2<f32> = array![[0.5, 0.5], [0.25, 0.75]];
        assert_eq!(rollout(&[on(&first, [1, 2])]).unwrap(), expected_first);
        let expected = array![[1.0, 0.0], [0.25, 0.75]].dot(&expected_first);
        assert_eq!(rollout(&[on(&first, [1, 2]), on(&second, [1, 2])]).unwrap(), expected);
        assert_ne!(rollout(&[on(&second, [1, 2]), on(&first, [1, 2])]).unwrap(), expected);
    }

    #[test]
    fn rows_sum_to_one() {
        let layer = |seed: usize| {
            let mut layer =
                Array3::from_shape_fn((3, 5, 5), |(h, q, k)| ((seed + 7 * h + 3 * q + k * k) % 11) as f32 + 0.1);
            for mut row in layer.rows_mut() {
                let sum = row.sum();
                row.mapv_inplace(|weight| weight / sum);
            }
            layer
        };
        let layers = [layer(1), layer(4), layer(6)];
        let rolled = rollout(&layers.each_ref().map(|layer| on(layer, [5, 1]))).unwrap();
        assert!(rolled.sum_axis(Axis(1)).iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{rolled}");
        assert!(rolled.iter().all(|weight| *weight > 0.0));
        let received = rollout_received(&layers.each_ref().map(|layer| on(layer, [5, 1]))).unwrap();
        assert_eq!(received.dim(), (5, 1));
        assert!(
            (received.column(0).to_owned() - rolled.sum_axis(Axis(0))).iter().all(|d| d.abs() < 1e-5),
            "{received}"
        );
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        assert!(rollout(&[]).is_err() && rollout_received(&[]).is_err());
        let square = |heads: usize, side: usize| Array3::<f32>::ones((heads, side, side));
        assert!(rollout(&[on(&square(1, 3), [1, 3]), on(&square(1, 2), [1, 3])]).is_err());
        assert!(rollout(&[on(&square(1, 4), [2, 3])]).is_err());
        assert!(rollout(&[on(&Array3::ones((1, 2, 3)), [1, 2])]).is_err());
        assert!(rollout(&[on(&square(0, 2), [1, 2])]).is_err());
    }

    #[test]
    fn a_coarser_layer_looks_at_what_lies_under_it() {
        // Four fine patches in a row that keep to themselves, under two coarse ones that look at the second alone.
        let fine = Array3::from_shape_fn((1, 4, 4), |(_, q, k)| f32::from(u8::from(q == k)));
        let coarse = array![[[0.0, 1.0], [0.0, 1.0]]];
        let rolled = rollout(&[on(&fine, [1, 4]), on(&coarse, [1, 2])]).unwrap();
        assert_eq!(rolled, array![[0.25, 0.25, 0.25, 0.25], [0.0, 0.0, 0.5, 0.5]]);
        // Grids whose cells do not nest share by area: 3 columns to 2.
        let thirds = pooling([1, 3], [1, 2]);
        let received = rollout_received(&[on(&fine, [1, 4]), on(&coarse, [1, 2])]).unwrap();
        assert_eq!(received, array![[0.5, 0.5, 1.5, 1.5]]);
        let expected = array![[2.0 / 3.0, 1.0 / 3.0, 0.0], [0.0, 1.0 / 3.0, 2.0 / 3.0]];
        assert!((thirds - expected).iter().all(|difference: &f32| difference.abs() < 1e-6));
        assert_eq!(pooling([4, 6], [2, 3]).row(4).sum(), 1.0);
    }
}
