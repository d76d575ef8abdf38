//! Relevance through all attentions (Chefer, Gur & Wolf 2021, "Generic Attention-model Explainability", equations 5 and 6).
//!
//! With `A` the weights of an attention and `y` the class's score, `Ā = mean over heads of ReLU(∂y/∂A ⊙ A)`; from the first attention to
//! the last, `R ← R + Ā R`, where `R` is the identity before. The map is the row of `R` that the answer is made of: that of the class
//! token, or the mean of the patches' where there is none, whose own 1 is left out.

use ndarray::{Array1, Array2, s};

use super::base::wrong;
use crate::Result;

/// What the attentions of a network, all over the same line of tokens, say of the score of a class in one picture.
#[derive(Debug, Clone, PartialEq)]
pub struct AttentionSlopes {
    /// For each attention, from the first to the last, the mean over its heads of `ReLU(∂y/∂A ⊙ A)`, `[T, T]`: queries, keys.
    pub layers: Vec<Array2<f32>>,
    /// Rows and columns of patches.
    pub grid: [usize; 2],
    /// How many tokens stand before the patches.
    pub before: usize,
    /// Whether the first of those is a class token, which the answer is made of.
    pub class_token: bool,
}

/// The map on the patches' grid.
pub(super) fn map(of: &AttentionSlopes) -> Result<Array2<f32>> {
    let ([rows, columns], first) = (of.grid, of.before);
    let tokens = of.layers.first().map_or(0, Array2::nrows);
    if let Some(other) = of.layers.iter().find(|layer| layer.dim() != (tokens, tokens)) {
        return Err(wrong("attentions [T, T] of the same tokens", other.shape()));
    }
    let missing = || wrong("attentions of all patches", &[first, rows, columns, tokens]);
    let count = rows.checked_mul(columns).filter(|count| *count > 0).ok_or_else(missing)?;
    let end = first.checked_add(count).filter(|end| *end <= tokens).ok_or_else(missing)?;
    let patches = s![first..end];
    // Only the wanted row of the product: it goes from the last attention to the first.
    let mut row = Array1::<f32>::zeros(tokens);
    if of.class_token {
        row[0] = 1.0;
    } else {
        row.slice_mut(patches).fill(1.0 / count as f32);
    }
    let own = row.clone();
    for layer in of.layers.iter().rev() {
        row += &row.dot(layer);
    }
    let map = (row - own).slice(patches).to_owned();
    map.into_shape_with_order((rows, columns)).map_err(|_| missing())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn rows_are_those_of_the_whole_product() {
        let layers = vec![
            array![[0.1, 0.2, 0.3], [0.4, 0.0, 0.6], [0.7, 0.8, 0.9]],
            array![[0.3, 0.1, 0.0], [0.2, 0.2, 0.5], [0.6, 0.4, 0.2]],
        ];
        // R ← R + Ā R, as the paper has it.
        let mut whole = Array2::<f32>::eye(3);
        for layer in &layers {
            whole = &whole + &layer.dot(&whole);
        }
        let of = AttentionSlopes { layers, grid: [1, 2], before: 1, class_token: true };
        let close = |map: Array2<f32>, expected: [f32; 2]| {
            assert!(map.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{map} {expected:?}");
        };
        close(map(&of).unwrap(), [whole[[0, 1]], whole[[0, 2]]]);
        let of = AttentionSlopes { class_token: false, ..of };
        let mean = |column: usize| (whole[[1, column]] + whole[[2, column]] - 1.0) / 2.0;
        close(map(&of).unwrap(), [mean(1), mean(2)]);
        assert!(map(&AttentionSlopes { grid: [2, 2], ..of.clone() }).is_err());
        let mut uneven = of;
        uneven.layers.push(Array2::zeros((2, 2)));
        assert!(map(&uneven).is_err());
    }
}
