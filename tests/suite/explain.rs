//! Explanation methods.

mod golden;
mod grad_cam;
mod laws;

use cbam::ErrorKind;
use cbam::explain::{ExplainOptions, Features, explain};
use cbam::maps::Method;
use ndarray::{Array2, Array3};
use tch::Tensor;

/// One picture `[1, 3, H, W]` as explanations take it.
pub(crate) fn picture(pixels: &Tensor) -> Array3<f32> {
    let sides: Vec<usize> = pixels.size().iter().map(|&side| side as usize).collect();
    let values = Vec::<f32>::try_from(pixels.contiguous().flatten(0, -1)).unwrap();
    Array3::from_shape_vec((sides[1], sides[2], sides[3]), values).unwrap()
}

/// A map of one picture `[1, 3, H, W]`.
pub(crate) fn explained(
    network: &dyn Features,
    pixels: &Tensor,
    method: Method,
    stage: Option<&str>,
    class: usize,
    options: &ExplainOptions,
) -> cbam::Result<Array2<f32>, ErrorKind> {
    explain(network, picture(pixels).view(), method, stage, class, options, &mut |_, _| true)
}
