//! The fused map.

use ndarray::{Array2, Zip};

use super::{Resample, resample};
use crate::photo::ImageSize;

/// The fused map, on the grid of `patch`: `max(0, m - mean(m))` with `m = s · √p`.
///
/// `s` is the spatial `gate` resampled (bilinear) to the grid of `patch`, and `p` is the attention that each `patch`
/// receives. The gate says where a late stage found something, the patches say it more finely; what lies under the
/// mean is background. An empty `gate` or `patch` gives zeros.
pub fn fuse(gate: &Array2<f32>, patch: &Array2<f32>) -> Array2<f32> {
    let grid = ImageSize::new(patch.ncols() as u32, patch.nrows() as u32);
    let Ok(gate) = resample::resample(gate, grid, Resample::Bilinear) else {
        return Array2::zeros(patch.raw_dim()); // one of the two grids is empty
    };
    let mut fused = Zip::from(&gate).and(patch).map_collect(|s, p| s * p.max(0.0).sqrt());
    let mean = (fused.iter().map(|m| f64::from(*m)).sum::<f64>() / fused.len() as f64) as f32;
    fused.mapv_inplace(|m| (m - mean).max(0.0));
    fused
}
