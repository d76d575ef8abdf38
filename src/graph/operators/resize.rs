//! Other sizes: interpolation, shuffles, sampling, paddings.

use tch::Tensor;

use super::super::given::Given;
use super::{Made, Table, one};
use crate::{Error, Result};

pub(super) const TABLE: Table = &[
    ("aten._upsample_bicubic2d_aa.default", |given| {
        let (size, corners, h, w) = to_size(given)?;
        one(given.tensor("self")?.f_internal_upsample_bicubic2d_aa(size, corners, h, w))
    }),
    ("aten._upsample_bicubic2d_aa.vec", |given| {
        let (size, factors) =
            (given.maybe_ints("output_size")?, given.maybe_floats("scale_factors")?.unwrap_or_default());
        one(given.tensor("input")?.f_internal_upsample_bicubic2d_aa_vec(size.as_deref(), corners(given)?, factors))
    }),
    ("aten._upsample_bilinear2d_aa.default", |given| {
        let (size, corners, h, w) = to_size(given)?;
        one(given.tensor("self")?.f_internal_upsample_bilinear2d_aa(size, corners, h, w))
    }),
    ("aten._upsample_bilinear2d_aa.vec", |given| {
        let (size, factors) =
            (given.maybe_ints("output_size")?, given.maybe_floats("scale_factors")?.unwrap_or_default());
        one(given.tensor("input")?.f_internal_upsample_bilinear2d_aa_vec(size.as_deref(), corners(given)?, factors))
    }),
    ("aten.channel_shuffle.default", |given| one(given.tensor("self")?.f_channel_shuffle(given.int("groups")?))),
    ("aten.col2im.default", |given| {
        let (size, kernel) = (given.ints("output_size")?, given.ints("kernel_size")?);
        let (dilation, padding, stride) = (given.ints("dilation")?, given.ints("padding")?, given.ints("stride")?);
        one(given.tensor("self")?.f_col2im(size, kernel, dilation, padding, stride))
    }),
    ("aten.constant_pad_nd.default", |given| {
        one(given.tensor("self")?.f_pad(given.ints("pad")?, "constant", given.float_or("value", 0.0)?))
    }),
    ("aten.grid_sampler.default", grid_sampler),
    ("aten.grid_sampler_2d.default", grid_sampler),
    ("aten.im2col.default", |given| {
        let (kernel, dilation) = (given.ints("kernel_size")?, given.ints("dilation")?);
        one(given.tensor("self")?.f_im2col(kernel, dilation, given.ints("padding")?, given.ints("stride")?))
    }),
    ("aten.pad.default", |given| {
        let mode = given.text("mode")?.unwrap_or("constant");
        one(given.tensor("self")?.f_pad(given.ints("pad")?, mode, given.maybe_float("value")?))
    }),
    ("aten.pixel_shuffle.default", |given| one(given.tensor("self")?.f_pixel_shuffle(given.int("upscale_factor")?))),
    ("aten.pixel_unshuffle.default", |given| {
        one(given.tensor("self")?.f_pixel_unshuffle(given.int("downscale_factor")?))
    }),
    ("aten.reflection_pad2d.default", |given| one(given.tensor("self")?.f_reflection_pad2d(given.ints("padding")?))),
    ("aten.replication_pad2d.default", |given| one(given.tensor("self")?.f_replication_pad2d(given.ints("padding")?))),
    ("aten.upsample_bicubic2d.default", |given| {
        let (size, corners, h, w) = to_size(given)?;
        one(given.tensor("self")?.f_upsample_bicubic2d(size, corners, h, w))
    }),
    ("aten.upsample_bicubic2d.vec", |given| {
        let (size, factors) =
            (given.maybe_ints("output_size")?, given.maybe_floats("scale_factors")?.unwrap_or_default());
        one(given.tensor("input")?.f_upsample_bicubic2d_vec(size.as_deref(), corners(given)?, factors))
    }),
    ("aten.upsample_bilinear2d.default", |given| {
        let (size, corners, h, w) = to_size(given)?;
        one(given.tensor("self")?.f_upsample_bilinear2d(size, corners, h, w))
    }),
    ("aten.upsample_bilinear2d.vec", |given| {
        let (size, factors) =
            (given.maybe_ints("output_size")?, given.maybe_floats("scale_factors")?.unwrap_or_default());
        one(given.tensor("input")?.f_upsample_bilinear2d_vec(size.as_deref(), corners(given)?, factors))
    }),
    ("aten.upsample_nearest2d.default", |given| {
        let (size, _, h, w) = to_size(given)?;
        one(given.tensor("self")?.f_upsample_nearest2d(size, h, w))
    }),
    ("aten.upsample_nearest2d.vec", |given| {
        let (size, factors) =
            (given.maybe_ints("output_size")?, given.maybe_floats("scale_factors")?.unwrap_or_default());
        one(given.tensor("input")?.f_upsample_nearest2d_vec(size.as_deref(), factors))
    }),
];

fn corners(given: &Given<'_>) -> Result<bool> {
    given.flag("align_corners", false)
}

/// See [`to_size`].
type Size = (Vec<i64>, bool, Option<f64>, Option<f64>);

/// The size, whether the corners are aligned, and the factors of height and width where they are given.
fn to_size(given: &Given<'_>) -> Result<Size> {
    Ok((given.ints("output_size")?, corners(given)?, given.maybe_float("scales_h")?, given.maybe_float("scales_w")?))
}

fn grid_sampler(given: &Given<'_>) -> Result<Made> {
    let (mode, padding) = (given.int("interpolation_mode")?, given.int("padding_mode")?);
    let xs: &Tensor = given.tensor("input")?;
    if xs.dim() != 4 {
        return Err(Error::network(given.node, "samples something else than maps"));
    }
    one(xs.f_grid_sampler(given.tensor("grid")?, mode, padding, corners(given)?))
}
