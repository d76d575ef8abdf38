//! The fused map.

use ndarray::{Array2, Zip};

use super::{Resample, resample};
use crate::photo::ImageSize;

/// The fused map, on the finest grid: `max(0, m - mean(m))` with `m = s · √(Π p)`.
///
/// `s` is the spatial `gate` and the `p` are the attention that patches receive, one grid for each of `patches`, all
/// resampled (bilinear) to the finest of those. The gate and the coarse patches say where a late stage found
/// something, the fine patches say it more finely; what lies under the mean is background. Without `patches`, or with an
/// empty grid, the map is empty or zeros.
pub fn fuse(gate: &Array2<f32>, patches: &[Array2<f32>]) -> Array2<f32> {
    let finest = patches.iter().max_by_key(|patch| patch.len()).map_or((0, 0), Array2::dim);
    let grid = ImageSize::new(finest.1 as u32, finest.0 as u32);
    let on_grid = |map: &Array2<f32>| resample::resample(map, grid, Resample::Bilinear).ok();
    let received = patches.iter().try_fold(Array2::<f32>::ones(finest), |product, patch| {
        Some(product * on_grid(patch)?.mapv_into(|p| p.max(0.0)))
    });
    let (Some(gate), Some(received)) = (on_grid(gate), received) else { return Array2::zeros(finest) };
    let mut fused = Zip::from(&gate).and(&received).map_collect(|s, p| s * p.sqrt());
    let mean = (fused.iter().map(|m| f64::from(*m)).sum::<f64>() / fused.len() as f64) as f32;
    fused.mapv_inplace(|m| (m - mean).max(0.0));
    fused
}
