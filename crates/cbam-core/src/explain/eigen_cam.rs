//! Eigen-CAM (Muhammad & Yeasin 2020): the features along the direction in which they vary most, whatever the class.
//!
//! The features `A`, one row of `C` values per position, less their mean, are projected on their first principal
//! component. A component has no sign of its own, so the sign is chosen by energy: the projection must not fall where
//! `Σ_k A_k²` rises (their covariance over positions is at least 0), because strong features are the foreground.
//! The map is the projection where it is over 0.

use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Axis};

use super::base::wrong;
use crate::{Error, Result};

/// The map, `[h, w]`, of features `[C, h, w]`.
pub(super) fn map(features: ArrayView3<'_, f32>) -> Result<Array2<f32>> {
    Ok(projection(features)?.mapv_into(|value| value.max(0.0)))
}

/// The projection of features `[C, h, w]`, with both signs: `[h, w]`.
///
/// # Errors
/// [`Error::Input`] if there are no features; [`Error::Network`] if they are not finite.
pub fn projection(features: ArrayView3<'_, f32>) -> Result<Array2<f32>> {
    let (channels, height, width) = features.dim();
    let values = features.mapv(f64::from);
    let columns =
        values.to_shape((channels, height * width)).map_err(|_| wrong("features [C, h, w]", features.shape()))?;
    let mean = columns.mean_axis(Axis(1)).ok_or_else(|| wrong("features with positions", features.shape()))?;
    let centred = &columns - &mean.insert_axis(Axis(1)); // [C, h·w]
    // Positions and channels have the same spectrum: the smaller side of the two is decomposed.
    let projection = if height * width <= channels {
        let (variance, vector) = first_component(centred.t().dot(&centred).view())?;
        vector * variance.max(0.0).sqrt()
    } else {
        let (_, component) = first_component(centred.dot(&centred.t()).view())?;
        component.dot(&centred)
    }; // [h·w]
    let energy = columns.map_axis(Axis(0), |channels| channels.dot(&channels));
    // The projection has no mean, so this is the covariance, times the number of positions.
    let sign = if projection.dot(&energy) >= 0.0 { 1.0 } else { -1.0 };
    let projection = projection.mapv(|value| (sign * value) as f32);
    projection.into_shape_with_order((height, width)).map_err(|_| wrong("features [C, h, w]", features.shape()))
}

/// The largest eigenvalue of a symmetric matrix, and its vector.
fn first_component(matrix: ArrayView2<'_, f64>) -> Result<(f64, Array1<f64>)> {
    let failed = || Error::network("features", "have no principal component: they are not finite, or there are none");
    let side = matrix.nrows();
    if side == 0 || !matrix.iter().all(|value| value.is_finite()) {
        return Err(failed());
    }
    let decomposed = Mat::from_fn(side, side, |row, column| matrix[[row, column]]).self_adjoint_eigen(Side::Lower);
    let decomposed = decomposed.map_err(|_| failed())?;
    let vector = decomposed.U().col(side - 1); // in rising order
    Ok((decomposed.S()[side - 1], (0..side).map(|row| vector[row]).collect()))
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, concatenate};

    use super::*;

    #[test]
    fn it_finds_the_bright_patch_whatever_the_sign() {
        for sign in [1.0, -1.0] {
            let mut features = Array3::zeros((3, 4, 5));
            features[[1, 2, 3]] = 5.0 * sign;
            let map = map(features.view()).unwrap();
            let peak = map.indexed_iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
            assert_eq!(peak.0, (2, 3));
        }
    }

    #[test]
    fn many_channels_and_few_give_one_map() {
        let few = Array3::from_shape_fn((3, 4, 5), |(c, y, x)| {
            let number = (c * 20 + y * 5 + x) as f32;
            (number * number * 0.37).sin()
        });
        // Channels that say nothing, so that there are more of them than positions.
        let silent = Array3::zeros((40, 4, 5));
        let many = concatenate(Axis(0), &[few.view(), silent.view()]).unwrap();
        let difference = projection(few.view()).unwrap() - projection(many.view()).unwrap();
        assert!(difference.iter().all(|difference| difference.abs() < 1e-5));
    }

    #[test]
    fn what_has_no_component_is_an_error() {
        assert!(projection(Array3::zeros((3, 0, 5)).view()).is_err());
        assert!(projection(Array3::from_elem((3, 2, 2), f32::NAN).view()).is_err());
        assert_eq!(map(Array3::ones((3, 2, 2)).view()).unwrap(), Array2::<f32>::zeros((2, 2)));
    }
}
