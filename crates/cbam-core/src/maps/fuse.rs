//! The fused map: one rule for networks with patch attention, one for those whose only attention is gates.

use ndarray::{Array2, Zip};

use super::{Resample, resample};
use crate::photo::ImageSize;

/// The fused map of a network with patch attention, on the finest grid of that: `max(0, m - mean(m))` with `m = s · √p · c`.
///
/// `s` is the spatial `gate`, 1 everywhere if there is none; `p` is the geometric mean of the attention that patches receive, one grid for each of
/// `patches`; `c` is the `class_activation`, at least 0, divided by its peak. All are resampled (bilinear) to the finest
/// grid of `patches`. The attention says where the network looks and the class activation what of that speaks for the
/// class; what lies under the mean is background. Without `patches`, or with an empty grid, the map is empty or zeros.
pub fn fuse(gate: Option<&Array2<f32>>, patches: &[Array2<f32>], class_activation: &Array2<f32>) -> Array2<f32> {
    let finest = patches.iter().max_by_key(|patch| patch.len()).map_or((0, 0), Array2::dim);
    let received = patches.iter().try_fold(Array2::<f32>::ones(finest), |product, patch| {
        Some(product * on_grid(patch, finest)?.mapv_into(|p| p.max(0.0)))
    });
    let gate = gate.map_or_else(|| Some(Array2::ones(finest)), |gate| on_grid(gate, finest));
    let (Some(gate), Some(received)) = (gate, received) else {
        return Array2::zeros(finest);
    };
    let root = 0.5 / patches.len() as f32;
    above_mean(Zip::from(&gate).and(&received).map_collect(|s, p: &f32| s * p.powf(root)), class_activation)
}

/// The fused map of a network without patch attention, from all its spatial `gates` in their order: `max(0, m - mean(m))`
/// with `m = √(a · b) · c`.
///
/// Of the grids on which there are gates the two coarsest count: the stages before them tell edges and textures apart,
/// not things. `b` is the mean of the gates on the coarsest grid, `a` of those on the next finer one; the mean, because
/// residual blocks add what their gates let through, and the product of two stages, because the one sees what the other
/// lets through. `c` is the `class_activation`, at least 0, divided by its peak. All are resampled (bilinear) to the grid
/// of `a`, which is a ResNet's `layer3`; with gates on one grid alone `m = b · c` on that. What lies under the mean is
/// background. Without `gates`, or with an empty grid, the map is empty or zeros.
pub fn fuse_gates(gates: &[&Array2<f32>], class_activation: &Array2<f32>) -> Array2<f32> {
    let mut grids: Vec<_> = gates.iter().map(|gate| gate.dim()).collect();
    grids.sort_by_key(|(rows, columns)| (rows * columns, *rows));
    grids.dedup();
    grids.truncate(2);
    let finest = grids.last().copied().unwrap_or((0, 0));
    let stage = |grid: &(usize, usize)| {
        let of_stage: Vec<_> = gates.iter().filter(|gate| gate.dim() == *grid).collect();
        let sum = of_stage.iter().fold(Array2::<f32>::zeros(*grid), |sum, gate| sum + **gate);
        on_grid(&(sum / of_stage.len() as f32), finest)
    };
    let product = grids.iter().map(stage).try_fold(Array2::<f32>::ones(finest), |product, gate| Some(product * gate?));
    let root = 1.0 / grids.len().max(1) as f32;
    match product {
        Some(product) => above_mean(product.mapv_into(|s| s.max(0.0).powf(root)), class_activation),
        None => Array2::zeros(finest),
    }
}

/// `max(0, m - mean(m))` with `m` the attention times the class activation over its peak.
fn above_mean(mut map: Array2<f32>, class_activation: &Array2<f32>) -> Array2<f32> {
    let Some(class) = on_grid(class_activation, map.dim()) else { return Array2::zeros(map.dim()) };
    let peak = class_activation.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    map.zip_mut_with(&class, |m, c| *m = *m * c.max(0.0) / peak);
    let mean = (map.iter().map(|m| f64::from(*m)).sum::<f64>() / map.len() as f64) as f32;
    map.mapv_inplace(|m| (m - mean).max(0.0));
    map
}

/// A map resampled (bilinear) to a grid of rows and columns.
fn on_grid(map: &Array2<f32>, (rows, columns): (usize, usize)) -> Option<Array2<f32>> {
    resample::resample(map, ImageSize::new(columns as u32, rows as u32), Resample::Bilinear).ok()
}
