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
