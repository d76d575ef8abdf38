//! Eigen-CAM (Muhammad & Yeasin 2020): the features along the direction in which they vary most, whatever the class.
//!
//! The features `A`, one row of `C` values per position, less their mean, are projected on their first principal
//! component. A component has no sign of its own, so the sign is chosen by energy: the projection must not fall where
//! `Σ_k A_k²` rises (their covariance over positions is at least 0), because strong features are the foreground.
//! The map is the projection where it is over 0.

use tch::{Kind, Tensor};

use super::base::{shape, wrong};
use crate::Result;

/// The projection of the features of one picture, `[1, C, h, w]`, with both signs: `[1, h, w]`.
pub(super) fn projection(features: &Tensor) -> Result<Tensor> {
    let [1, channels, height, width] = shape(features)? else {
        return Err(wrong("features [1, C, h, w]", &features.size()));
    };
    let features = features.f_detach()?.f_to_kind(Kind::Double)?;
    let rows = features.f_reshape([channels, height * width])?.f_transpose(0, 1)?; // [h·w, C]
    let centred = &rows - rows.f_mean_dim([0i64].as_slice(), true, Kind::Double)?;
    let (_, _, components) = centred.f_svd(true, true)?; // [C, min(h·w, C)]
    let projection = centred.f_matmul(&components.f_select(1, 0)?)?; // [h·w]
    let energy = rows.f_square()?.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Double)?;
    // The projection has no mean, so this is the covariance, times the number of positions.
    let along = projection.f_dot(&energy)?.f_double_value(&[])?;
    let signed = if along < 0.0 { -projection } else { projection };
    Ok(signed.f_reshape([1, height, width])?.f_to_kind(Kind::Float)?)
}
