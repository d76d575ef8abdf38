//! One map of all that a pass shows: `fused`, the telling part of what is looked at, and `object`, the whole of it.
//!
//! Both are of one map *m*, what is looked at as far as it speaks for a class, and of *L*, how alike the features of a place are to
//! those that are looked at:
//!
//! | | |
//! |---|---|
//! | *m* with patch attention | [`attended`]: p^¾ · c |
//! | *m* with gates alone | [`gated`]: √(a · b) · c |
//! | *m* without attention | c |
//! | *L* | [`likeness`], from the features of the grid that *m* has, or of a finer one |
//! | *w* | *m* · *L*⁴ |
//! | `fused` | [`fuse`]: *w* |
//! | `object` | [`object`]: *w* / (*w* + mean(*w*) / 2) |
//!
//! c is the class activation (Grad-CAM at the last features), at least 0 and over its peak. All maps are resampled bilinearly. Where the
//! features are not to be had, *L* is 1, and `fused` is what of *m* is over its mean. How the rule was found, and how good it is:
//! docs/EVALUATION.md.

use std::iter::zip;

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Zip};
use serde::{Deserialize, Serialize};

use super::{Resample, resample};
use crate::photo::ImageSize;

/// The features of a place, from which [`likeness`] tells things apart.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ground {
    /// Rows and columns.
    pub grid: [usize; 2],
    /// `[rows · columns, C]`: the features of each cell.
    pub features: Array2<f32>,
}

impl Ground {
    /// Of features `[C, h, w]`.
    pub fn of_maps(features: ArrayView3<'_, f32>) -> Self {
        let (channels, rows, columns) = features.dim();
        let cell = |(cell, channel): (usize, usize)| features[[channel, cell / columns, cell % columns]];
        Self { grid: [rows, columns], features: Array2::from_shape_fn((rows * columns, channels), cell) }
    }
}

/// *m* of a network with patch attention, on the finest grid of that: `p^¾ · c`.
///
/// p is the geometric mean of the attention that patches receive, one grid for each of `patches`, 1 where attention is uniform. The
/// attention says where the network looks and the class activation what of that speaks for the class. Without `patches`, or with an
/// empty grid, the map is empty or zeros.
pub fn attended(patches: &[Array2<f32>], class_activation: &Array2<f32>) -> Array2<f32> {
    let finest = patches.iter().max_by_key(|patch| patch.len()).map_or((0, 0), Array2::dim);
    let received = patches.iter().try_fold(Array2::<f32>::ones(finest), |product, patch| {
        Some(product * on_grid(patch, finest)?.mapv_into(|p| p.max(0.0)))
    });
    let power = 0.75 / patches.len().max(1) as f32;
    match (received, on_grid(&over_peak(class_activation), finest)) {
        (Some(received), Some(class)) => Zip::from(&received).and(&class).map_collect(|p, c| p.powf(power) * c),
        _ => Array2::zeros(finest),
    }
}

/// *m* of a network whose only attention is gates, from all its spatial `gates` in their order: `√(a · b) · c`.
///
/// Of the grids on which there are gates the two coarsest count: the stages before them tell edges and textures apart,
/// not things. b is the mean of the gates on the coarsest grid, a of those on the next finer one; the mean, because
/// residual blocks add what their gates let through, and the product of two stages, because the one sees what the other
/// lets through. The grid is that of a, which is a ResNet's `layer3`; with gates on one grid alone it is `b · c` on that. Without
/// `gates`, or with an empty grid, the map is empty or zeros.
pub fn gated(gates: &[&Array2<f32>], class_activation: &Array2<f32>) -> Array2<f32> {
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
    match (product, on_grid(&over_peak(class_activation), finest)) {
        (Some(product), Some(class)) => Zip::from(&product).and(&class).map_collect(|s, c| s.max(0.0).powf(root) * c),
        _ => Array2::zeros(finest),
    }
}

/// *L*, on the grid of the `ground`: how alike the features of each cell are to those of the cells that `map` is high on, and unlike those
/// of the others; `(1 + f · d) / 2`, in `[0, 1]`.
///
/// f are a cell's features over their length; u is their mean over the cells, weighted with the map over its peak, v that weighted with
/// what is left of 1; and d is u − v over its length. What a network takes for one thing has features of one kind, so this finds the
/// thing's other parts, and tells them from what surrounds them. Of a map that is 0 everywhere it is 1.
pub fn likeness(map: &Array2<f32>, ground: &Ground) -> Array2<f32> {
    let [rows, columns] = ground.grid;
    let Some(map) = on_grid(map, (rows, columns)).filter(|_| ground.features.nrows() == rows * columns) else {
        return Array2::ones((rows, columns));
    };
    let weights = over_peak(&map);
    if weights.iter().all(|weight| *weight == 0.0) {
        return Array2::ones((rows, columns));
    }
    let features = &ground.features;
    // Over their lengths: of each cell, and so of all sums of them.
    let over_length: Array1<f32> = features.rows().into_iter().map(|f| f.dot(&f).sqrt().max(1e-6).recip()).collect();
    let (mut inside, mut all) = (Array1::<f32>::zeros(features.ncols()), Array1::<f32>::zeros(features.ncols()));
    for ((f, over_length), weight) in zip(zip(features.rows(), &over_length), &weights) {
        inside.scaled_add(weight * over_length, &f);
        all.scaled_add(*over_length, &f);
    }
    let (sum, cells) = (weights.sum(), weights.len() as f32);
    let away = &inside / sum - (&all - &inside) / (cells - sum).max(1e-6);
    let away = &away / away.dot(&away).sqrt().max(1e-12);
    let alike = (features.dot(&away) * over_length).mapv(|cosine| f32::midpoint(1.0, cosine).clamp(0.0, 1.0));
    alike.into_shape_with_order((rows, columns)).unwrap_or_else(|_| Array2::ones((rows, columns)))
}

/// `fused`, of *m* and *L*: `m · L⁴`; without *L* what of *m* is over its mean.
pub fn fuse(map: &Array2<f32>, likeness: Option<&Array2<f32>>) -> Array2<f32> {
    if likeness.is_some() {
        return weighted(map, likeness);
    }
    let mean = mean(map.view());
    map.mapv(|m| (m - mean).max(0.0))
}

/// `object`, of *m* and *L*: `w / (w + mean(w) / 2)` with `w = m · L⁴`, in `[0, 1)`. Half of the mean is ½, so that peaks become plateaus.
pub fn object(map: &Array2<f32>, likeness: Option<&Array2<f32>>) -> Array2<f32> {
    let whole = weighted(map, likeness);
    let half = mean(whole.view()) / 2.0;
    whole.mapv_into(|w| if w > 0.0 { w / (w + half) } else { 0.0 })
}

/// *w*, on the grid of *L*.
fn weighted(map: &Array2<f32>, likeness: Option<&Array2<f32>>) -> Array2<f32> {
    let Some(likeness) = likeness else { return map.clone() };
    let map = on_grid(map, likeness.dim()).unwrap_or_else(|| Array2::zeros(likeness.dim()));
    Zip::from(&map).and(likeness).map_collect(|m, l| m * l.powi(4))
}

fn mean(map: ArrayView2<'_, f32>) -> f32 {
    (map.iter().map(|m| f64::from(*m)).sum::<f64>() / map.len().max(1) as f64) as f32
}

/// What is over 0, over its greatest value.
fn over_peak(map: &Array2<f32>) -> Array2<f32> {
    let peak = map.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
    map.mapv(|value| value.max(0.0) / peak)
}

/// A map resampled (bilinear) to a grid of rows and columns.
fn on_grid(map: &Array2<f32>, (rows, columns): (usize, usize)) -> Option<Array2<f32>> {
    resample::resample(map, ImageSize::new(columns as u32, rows as u32), Resample::Bilinear).ok()
}
