//! Gaussian blur of a picture.

use ndarray::{Array3, ArrayView3, Axis};

/// Blurs each channel of a picture `[C, H, W]` with a Gaussian of standard deviation `sigma` pixels, cut at 3 σ; beyond
/// the border the picture goes on as its border pixels. A `sigma` of 0 or less leaves it as it is.
pub fn gaussian_blur(pixels: ArrayView3<'_, f32>, sigma: f64) -> Array3<f32> {
    let radius = (3.0 * sigma + 0.5).max(0.0) as i64; // as scipy rounds it
    let weights: Vec<f64> = (-radius..=radius).map(|x| (-0.5 * (x as f64 / sigma).powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    let mut out = pixels.to_owned();
    if radius == 0 {
        return out;
    }
    for axis in [Axis(1), Axis(2)] {
        for mut lane in out.lanes_mut(axis) {
            let line: Vec<f64> = lane.iter().map(|value| f64::from(*value)).collect();
            let last = line.len() as i64 - 1;
            for (x, value) in (0..).zip(lane.iter_mut()) {
                let near = (x - radius..=x + radius).map(|near| line[near.clamp(0, last) as usize]);
                *value = (near.zip(&weights).map(|(v, w)| v * w).sum::<f64>() / sum) as f32;
            }
        }
    }
    out
}
