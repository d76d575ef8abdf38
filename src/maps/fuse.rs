//! The fused map.

use ndarray::{Array2, Zip};

use super::{Resample, resample};
use crate::photo::ImageSize;

/// The fused map, on the finest grid of the attention: `max(0, m - mean(m))` with `m = s · √p · c`.
///
/// `s` is the spatial `gate`; `p` is the geometric mean of the attention that patches receive, one grid for each of
/// `patches`; `c` is the `class_activation`, at least 0, divided by its peak. All are resampled (bilinear) to the finest
/// grid of `patches`. The attention says where the network looks and the class activation what of that speaks for the
/// class; what lies under the mean is background. Without `patches`, or with an empty grid, the map is empty or zeros.
pub fn fuse(gate: &Array2<f32>, patches: &[Array2<f32>], class_activation: &Array2<f32>) -> Array2<f32> {
    let finest = patches.iter().max_by_key(|patch| patch.len()).map_or((0, 0), Array2::dim);
    let grid = ImageSize::new(finest.1 as u32, finest.0 as u32);
    let on_grid = |map: &Array2<f32>| resample::resample(map, grid, Resample::Bilinear).ok();
    let received = patches.iter().try_fold(Array2::<f32>::ones(finest), |product, patch| {
        Some(product * on_grid(patch)?.mapv_into(|p| p.max(0.0)))
    });
    let (Some(gate), Some(received), Some(class)) = (on_grid(gate), received, on_grid(class_activation)) else {
        return Array2::zeros(finest);
    };
    let peak = class_activation.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    let root = 0.5 / patches.len() as f32;
    let mut fused =
        Zip::from(&gate).and(&received).and(&class).map_collect(|s, p: &f32, c| s * p.powf(root) * c.max(0.0) / peak);
    let mean = (fused.iter().map(|m| f64::from(*m)).sum::<f64>() / fused.len() as f64) as f32;
    fused.mapv_inplace(|m| (m - mean).max(0.0));
    fused
}
