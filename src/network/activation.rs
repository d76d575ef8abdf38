//! Class activation: Grad-CAM in closed form.

use ndarray::{Array2, ArrayView1, ArrayView2, Ix3};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use crate::host::to_host;
use crate::{Error, Result, kernels};

/// Grad-CAM of each picture's class where the scores are linear in the mean of each channel (Zhou et al. 2016, whose class
/// activation maps Grad-CAM generalises): the gradient is the class's row of `weight`, `[classes, C]`, over the number of
/// positions. Features `[N, C, h, w]` to maps `[h, w]`.
///
/// # Errors
/// If the shapes do not fit one another, or a class does not exist.
pub(super) fn class_activation(features: &Tensor, classes: &[i64], weight: &Tensor) -> Result<Vec<Array2<f32>>> {
    let wrong = || Error::Input {
        layer: "class activation",
        expected: format!("features [N, C, h, w] of pictures for the classes {classes:?}"),
        got: format!("{:?}", features.size()),
    };
    let [batch, channels, height, width] = features.size()[..] else { return Err(wrong()) };
    let count = weight.size()[0];
    if batch != classes.len() as i64 || classes.iter().any(|class| !(0..count).contains(class)) {
        return Err(wrong());
    }
    let rows = weight.f_index_select(0, &Tensor::from_slice(classes).to_device(weight.device()))?; // [N, C]
    let slopes = rows.f_to_kind(Kind::Float)?.f_view([batch, channels, 1])? / (height * width) as f64;
    let positions =
        features.f_to_kind(Kind::Float)?.f_permute([0, 2, 3, 1])?.f_reshape([batch, height * width, channels])?;
    let (Some(values), Some(of_channels)) = (kernels::values(&positions), kernels::values(&slopes)) else {
        let maps = to_host::<Ix3>(&positions.f_bmm(&slopes)?.f_view([batch, height, width])?.f_relu()?)?;
        return Ok(maps.outer_iter().map(|map| map.to_owned()).collect());
    };
    let [channels, height, width] = [channels, height, width].map(|side| side as usize);
    let of_picture = (height * width * channels).max(1);
    let pictures = values.par_chunks(of_picture).zip(of_channels.par_chunks(channels.max(1)));
    let map = |(values, slope)| {
        let values = ArrayView2::from_shape((height * width, channels), values)?;
        let map = values.dot(&ArrayView1::from(slope)).mapv_into(|value| if value < 0.0 { 0.0 } else { value });
        map.into_shape_with_order((height, width))
    };
    pictures.map(map).collect::<std::result::Result<_, _>>().map_err(|_| wrong())
}
