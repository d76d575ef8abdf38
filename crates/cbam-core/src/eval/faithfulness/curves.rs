//! Insertion and deletion (Petsiuk, Das and Saenko 2018, "RISE").
//!
//! Deletion takes the picture and makes its pixels grey (0), the highest of the map first: confidence should fall fast.
//! Insertion takes a blurred picture and makes its pixels sharp in the same order: confidence should rise fast. The score
//! is the area under the curve of confidence over the share of pixels, by trapezia.

use ndarray::{Array3, ArrayView3, Axis};

use super::{Ask, FaithfulnessOptions, gaussian_blur};
use crate::{Error, Result};

/// The two curves of one map; confidence in `[0, 1]` at equal steps of the share of pixels, from 0 to 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Curves {
    /// From the blurred picture to the picture.
    pub insertion: Vec<f32>,
    /// From the picture to grey.
    pub deletion: Vec<f32>,
}

impl Curves {
    /// The area under the insertion curve, in `[0, 1]`; high is good.
    pub fn insertion_auc(&self) -> f64 {
        area_under(&self.insertion)
    }

    /// The area under the deletion curve, in `[0, 1]`; low is good.
    pub fn deletion_auc(&self) -> f64 {
        area_under(&self.deletion)
    }

    pub(super) fn measure(
        pixels: ArrayView3<'_, f32>,
        order: &[usize],
        options: &FaithfulnessOptions,
        ask: &mut Ask<'_, '_>,
    ) -> Result<Self> {
        let steps = options.steps;
        if steps == 0 {
            return Err(Error::argument("steps", "there must be at least 1"));
        }
        let (_, height, width) = pixels.dim();
        let blurred = gaussian_blur(pixels, options.blur * height.min(width) as f64);
        let grey = Array3::zeros(pixels.dim());
        let sharp = pixels.to_owned();
        let mut curve = |from: &Array3<f32>, to: &Array3<f32>| {
            ask.confidences(steps + 1, pixels.dim(), |step| {
                let changed = step * order.len() / steps;
                Ok(replaced(from, to, &order[..changed]))
            })
        };
        Ok(Self { insertion: curve(&blurred, &sharp)?, deletion: curve(&sharp, &grey)? })
    }
}

/// The picture `from` with these pixels of `to`.
fn replaced(from: &Array3<f32>, to: &Array3<f32>, places: &[usize]) -> Array3<f32> {
    let mut out = from.clone();
    let width = from.len_of(Axis(2));
    for (mut channel, to) in out.outer_iter_mut().zip(to.outer_iter()) {
        for place in places.iter().map(|place| [place / width, place % width]) {
            channel[place] = to[place];
        }
    }
    out
}

/// The area under a curve over `[0, 1]` whose values stand at equal steps; a single value counts for all of it.
pub fn area_under(curve: &[f32]) -> f64 {
    let wide = |value: &f32| f64::from(*value);
    match curve {
        [] => 0.0,
        [only] => wide(only),
        [first, .., last] => {
            let sum: f64 = curve.iter().map(wide).sum();
            (sum - f64::midpoint(wide(first), wide(last))) / (curve.len() - 1) as f64
        }
    }
}
