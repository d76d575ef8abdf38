//! What the methods that run the network many times have in common: variants of one picture, in batches.

use std::ops::Range;

use ndarray::{Array2, Array3, Array4, ArrayView2, ArrayView3, ArrayView4};
use rayon::prelude::*;

use super::base::wrong;
use super::{ExplainOptions, Features};
use crate::{Error, Result};

/// The most pixels in a batch of more than one variant.
const MAX_PIXELS: usize = 1 << 21;

/// Told how many steps are done, of how many; says whether to go on.
pub(super) type GoOn<'a> = dyn FnMut(usize, usize) -> bool + 'a;

/// One picture, a class, and the network that scores the picture's variants.
pub(super) struct Subject<'a> {
    pub(super) network: &'a dyn Features,
    pub(super) class: usize,
    pub(super) options: &'a ExplainOptions,
    /// `[H, W, channels]` in memory.
    pixels: Array3<f32>,
}

impl<'a> Subject<'a> {
    /// Of a picture `[channels, H, W]`.
    pub(super) fn new(
        network: &'a dyn Features,
        pixels: ArrayView3<'_, f32>,
        class: usize,
        options: &'a ExplainOptions,
    ) -> Self {
        let pixels = pixels.permuted_axes([1, 2, 0]).as_standard_layout().into_owned();
        Self { network, class, options, pixels }
    }

    /// The sides of the picture, `[H, W]`.
    pub(super) fn sides(&self) -> [usize; 2] {
        [self.pixels.shape()[0], self.pixels.shape()[1]]
    }

    /// How many channels it has: three of a colour picture.
    pub(super) fn channels(&self) -> usize {
        self.pixels.shape()[2]
    }

    /// Calls `step` for each batch out of `total` variants, in their order.
    pub(super) fn in_batches(
        &self,
        total: usize,
        go_on: &mut GoOn<'_>,
        mut step: impl FnMut(Range<usize>) -> Result<()>,
    ) -> Result<()> {
        let [height, width] = self.sides();
        let fitting = (MAX_PIXELS / (height * width).max(1)).max(1);
        for start in (0..total).step_by(self.options.batch.min(fitting)) {
            if !go_on(start, total) {
                return Err(Error::Interrupted);
            }
            step(start..(start + self.options.batch.min(fitting)).min(total))?;
        }
        if go_on(total, total) { Ok(()) } else { Err(Error::Interrupted) }
    }

    /// So many copies of the picture, `[count, channels, H, W]`, each changed by `change`, which is given its number and its pixels
    /// `[H, W, channels]`.
    pub(super) fn copies(&self, count: usize, change: impl Fn(usize, &mut [f32]) + Sync) -> Array4<f32> {
        let [height, width] = self.sides();
        let pixels = self.pixels.as_slice().unwrap_or_default(); // in standard layout since it was made
        let mut copies = Array4::zeros((count, height, width, self.channels()));
        if let Some(all) = copies.as_slice_mut() {
            all.par_chunks_mut(pixels.len().max(1)).enumerate().for_each(|(copy, values)| {
                values.copy_from_slice(pixels);
                change(copy, values);
            });
        }
        copies.permuted_axes([0, 3, 1, 2])
    }

    /// The picture seen through masks, each `[H, W]` with values from 0 to 1: `[masks, channels, H, W]`.
    pub(super) fn through(&self, masks: &[Array2<f32>]) -> Array4<f32> {
        let channels = self.channels();
        self.copies(masks.len(), |copy, pixels| {
            for (pixel, mask) in pixels.chunks_exact_mut(channels).zip(&masks[copy]) {
                for value in pixel {
                    *value *= mask;
                }
            }
        })
    }

    /// The scores of the class from the network's numbers `[N, numbers]`.
    pub(super) fn scores(&self, numbers: ArrayView2<'_, f32>) -> Result<Vec<f32>> {
        self.of_class(&self.network.outputs().scores(numbers))
    }

    /// The probabilities of the class for pictures `[N, channels, H, W]`.
    pub(super) fn probabilities(&self, pixels: ArrayView4<'_, f32>) -> Result<Vec<f32>> {
        let numbers = self.network.logits(pixels)?;
        self.of_class(&self.network.outputs().probabilities(numbers.view())?)
    }

    fn of_class(&self, values: &Array2<f32>) -> Result<Vec<f32>> {
        if self.class >= values.ncols() {
            return Err(wrong(&format!("answers with class {}", self.class), values.shape()));
        }
        Ok(values.column(self.class).to_vec())
    }
}

/// Where a line of cells is looked up for one place of a longer line: a cell, the next one, and how far to it.
pub(super) type Tap = (usize, usize, f32);

/// For each of `new` places the cells of `old` ones that it lies between. With `corners` the first and the last places lie on the
/// first and the last cells (PyTorch's `align_corners=True`); without, the edges of the cells meet the edges of the places.
pub(super) fn taps(old: usize, new: usize, corners: bool) -> Vec<Tap> {
    let place = |place: usize| {
        let at = match (corners, new) {
            (true, 0 | 1) => 0.0,
            (true, _) => place as f64 * old.saturating_sub(1) as f64 / (new - 1) as f64,
            (false, _) => ((place as f64 + 0.5) * old as f64 / new as f64 - 0.5).max(0.0),
        };
        let last = old.saturating_sub(1);
        let low = (at as usize).min(last);
        (low, (low + 1).min(last), (at - low as f64) as f32)
    };
    (0..new).map(place).collect()
}

/// A grid looked up in between its cells, row by row.
pub(super) fn enlarged(grid: ArrayView2<'_, f32>, rows: &[Tap], columns: &[Tap]) -> Array2<f32> {
    let mut wide = Array2::zeros((grid.nrows(), columns.len()));
    for (from, mut to) in grid.rows().into_iter().zip(wide.rows_mut()) {
        for (value, &(left, right, share)) in to.iter_mut().zip(columns) {
            *value = from[left] + share * (from[right] - from[left]);
        }
    }
    let mut large = Array2::zeros((rows.len(), columns.len()));
    for (mut to, &(above, below, share)) in large.rows_mut().into_iter().zip(rows) {
        ndarray::Zip::from(&mut to)
            .and(wide.row(above))
            .and(wide.row(below))
            .for_each(|value, &above, &below| *value = above + share * (below - above));
    }
    large
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn grids_are_enlarged_as_pytorch_does() {
        let grid = array![[0.0, 1.0, 4.0], [2.0, 3.0, 8.0]];
        // torch.nn.functional.interpolate(grid[None, None], (3, 5), mode="bilinear", align_corners=True)
        let corners = enlarged(grid.view(), &taps(2, 3, true), &taps(3, 5, true));
        let expected = array![[0.0, 0.5, 1.0, 2.5, 4.0], [1.0, 1.5, 2.0, 4.0, 6.0], [2.0, 2.5, 3.0, 5.5, 8.0]];
        assert!((corners - expected).iter().all(|difference: &f32| difference.abs() < 1e-6));
        // The same with (4, 3) and align_corners=False.
        let edges = enlarged(grid.view(), &taps(2, 4, false), &taps(3, 3, false));
        let expected = array![[0.0, 1.0, 4.0], [0.5, 1.5, 5.0], [1.5, 2.5, 7.0], [2.0, 3.0, 8.0]];
        assert!((edges - expected).iter().all(|difference: &f32| difference.abs() < 1e-6));
        assert_eq!(enlarged(array![[3.0]].view(), &taps(1, 2, true), &taps(1, 1, true)), array![[3.0], [3.0]]);
    }
}
