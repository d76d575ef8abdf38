//! Eigen-CAM (Muhammad & Yeasin 2020): the features along the direction in which they vary most, whatever the class.
//!
//! The features `A`, one row of `C` values per position, less their mean, are projected on their first principal
//! component. A component has no sign of its own, so the sign is chosen by energy: the projection must not fall where
//! `Σ_k A_k²` rises (their covariance over positions is at least 0), because strong features are the foreground.
//! The map is the projection where it is over 0.

use tch::{Kind, Tensor};

use super::base::shape;
use crate::Result;

/// The projection of the features of each picture, `[N, C, h, w]`, with both signs: `[N, h, w]`.
pub(crate) fn projection(features: &Tensor) -> Result<Tensor> {
    let [batch, channels, height, width] = shape(features)?;
    let features = features.f_detach()?.f_to_kind(Kind::Double)?;
    let rows = features.f_reshape([batch, channels, height * width])?.f_transpose(1, 2)?; // [N, h·w, C]
    let centred = &rows - rows.f_mean_dim([1i64].as_slice(), true, Kind::Double)?;
    let across = centred.f_transpose(1, 2)?;
    // Positions and channels have the same spectrum: the smaller side of the two is decomposed.
    let projection = if height * width <= channels {
        let (variances, vectors) = centred.f_bmm(&across)?.f_linalg_eigh("L")?; // in rising order
        vectors.f_select(2, -1)? * variances.f_select(1, -1)?.f_clamp_min(0.0)?.f_sqrt()?.f_unsqueeze(1)?
    } else {
        let (_, components) = across.f_bmm(&centred)?.f_linalg_eigh("L")?;
        centred.f_bmm(&components.f_narrow(2, -1, 1)?)?.f_squeeze_dim(2)?
    }; // [N, h·w]
    let energy = rows.f_square()?.f_sum_dim_intlist([2i64].as_slice(), false, Kind::Double)?;
    // The projection has no mean, so this is the covariance, times the number of positions.
    let along = (&projection * energy).f_sum_dim_intlist([1i64].as_slice(), true, Kind::Double)?;
    let sign = along.f_ge(0.0)?.f_to_kind(Kind::Double)? * 2.0 - 1.0;
    Ok((projection * sign).f_reshape([batch, height, width])?.f_to_kind(Kind::Float)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_bright_patch_whatever_the_sign() {
        for sign in [1.0, -1.0] {
            let features = Tensor::zeros([1, 3, 4, 5], (Kind::Float, tch::Device::Cpu));
            let _ = features.get(0).get(1).get(2).get(3).fill_(5.0 * sign);
            let map = projection(&features).unwrap().relu().flatten(1, 2);
            assert_eq!(map.argmax(1, false).int64_value(&[0]), 2 * 5 + 3);
        }
    }

    #[test]
    fn many_channels_and_few_give_one_map() {
        let numbers = Tensor::arange(2 * 3 * 4 * 5, (Kind::Float, tch::Device::Cpu));
        let few = (numbers.square() * 0.37).sin().view([2, 3, 4, 5]);
        // Channels that say nothing, so that there are more of them than positions.
        let silent = Tensor::zeros([2, 40, 4, 5], (Kind::Float, tch::Device::Cpu));
        let many = Tensor::cat(&[&few, &silent], 1);
        let (few, many) = (projection(&few).unwrap(), projection(&many).unwrap());
        assert!((few - many).abs().max().double_value(&[]) < 1e-5);
    }
}
