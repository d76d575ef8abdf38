//! Attention rollout (Abnar & Zuidema 2020): several layers of self-attention as one.

use ndarray::{Array2, ArrayView3, Axis};

use crate::{Error, Result};

/// How much of each position's final features comes from each position of the first layer, `[T, T]`: rows are final
/// positions, and each sums to 1.
///
/// Each of `layers` are the weights of one self-attention, `[heads, T, T]`, queries before keys, in the order in which the
/// network applies them. With `A` a layer's mean over heads and a residual beside the attention, the layer passes
/// `½ A + ½ I` on; the product of all layers, the last one first, is the rollout.
///
/// # Errors
/// [`Error::Input`] if there are no layers, or they are not over the same positions.
pub fn rollout(layers: &[ArrayView3<'_, f32>]) -> Result<Array2<f32>> {
    let positions = layers.first().map_or(0, |layer| layer.len_of(Axis(2)));
    let mut passed = Array2::eye(positions);
    for layer in layers {
        let mean = layer.mean_axis(Axis(0)).filter(|mean| mean.dim() == (positions, positions) && positions > 0);
        let mut mean = mean.ok_or_else(|| wrong(format!("{:?}", layer.shape()), positions))?;
        mean.diag_mut().mapv_inplace(|weight| weight + 1.0);
        for mut row in mean.rows_mut() {
            let sum = row.sum(); // 2, but for rounding
            row.mapv_inplace(|weight| weight / sum);
        }
        passed = mean.dot(&passed);
    }
    if layers.is_empty() { Err(wrong("no layer".to_owned(), positions)) } else { Ok(passed) }
}

fn wrong(got: String, positions: usize) -> Error {
    Error::Input { layer: "attention rollout", expected: format!("weights [heads, T, T] with T = {positions}"), got }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, array};

    use super::*;

    #[test]
    fn two_layers_are_their_product_the_last_one_first() {
        // Two heads whose mean is [[0, 1], [0.5, 0.5]], then one head.
        let first = array![[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [0.0, 1.0]]];
        let second = array![[[1.0, 0.0], [0.5, 0.5]]];
        let expected_first: Array2<f32> = array![[0.5, 0.5], [0.25, 0.75]];
        assert_eq!(rollout(&[first.view()]).unwrap(), expected_first);
        let expected = array![[1.0, 0.0], [0.25, 0.75]].dot(&expected_first);
        assert_eq!(rollout(&[first.view(), second.view()]).unwrap(), expected);
        assert_ne!(rollout(&[second.view(), first.view()]).unwrap(), expected);
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
        let rolled = rollout(&layers.each_ref().map(Array3::view)).unwrap();
        assert!(rolled.sum_axis(Axis(1)).iter().all(|sum| (sum - 1.0).abs() < 1e-5), "{rolled}");
        assert!(rolled.iter().all(|weight| *weight > 0.0));
    }

    #[test]
    fn layers_that_do_not_fit_are_refused() {
        assert!(rollout(&[]).is_err());
        let (three, two) = (Array3::<f32>::ones((1, 3, 3)), Array3::<f32>::ones((1, 2, 2)));
        assert!(rollout(&[three.view(), two.view()]).is_err());
        assert!(rollout(&[Array3::<f32>::ones((1, 2, 3)).view()]).is_err());
        assert!(rollout(&[Array3::<f32>::ones((0, 2, 2)).view()]).is_err());
    }
}
