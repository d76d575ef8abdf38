//! Other sizes: interpolation, shuffles, sampling, paddings.

use tch::Tensor;

use super::super::given::Given;
use super::{Made, Table, one};
use crate::{Error, Result};

pub(super) const TABLE: Table = &[
    ("aten._upsample_bicubic2d_aa.default", bicubic_aa),
    ("aten._upsample_bicubic2d_aa.vec", bicubic_aa),
    ("aten._upsample_bilinear2d_aa.default", bilinear_aa),
    ("aten._upsample_bilinear2d_aa.vec", bilinear_aa),
    ("aten._upsample_nearest_exact2d.default", nearest_exact),
    ("aten._upsample_nearest_exact2d.vec", nearest_exact),
    ("aten.channel_shuffle.default", |given| one(given.tensor("self")?.f_channel_shuffle(given.int("groups")?))),
    ("aten.col2im.default", |given| {
        let (size, kernel) = (given.ints("output_size")?, given.ints("kernel_size")?);
        let (dilation, padding, stride) = (given.ints("dilation")?, given.ints("padding")?, given.ints("stride")?);
        one(given.tensor("self")?.f_col2im(size, kernel, dilation, padding, stride))
    }),
    ("aten.constant_pad_nd.default", |given| {
        one(padded(given)?.f_pad(given.ints("pad")?, "constant", given.float_or("value", 0.0)?))
    }),
    ("aten.grid_sampler.default", grid_sampler),
    ("aten.grid_sampler_2d.default", grid_sampler),
    ("aten.im2col.default", |given| {
        let (kernel, dilation) = (given.ints("kernel_size")?, given.ints("dilation")?);
        one(given.tensor("self")?.f_im2col(kernel, dilation, given.ints("padding")?, given.ints("stride")?))
    }),
    ("aten.pad.default", |given| {
        let mode = given.text("mode")?.unwrap_or("constant");
        one(padded(given)?.f_pad(given.ints("pad")?, mode, given.maybe_float("value")?))
    }),
    ("aten.pixel_shuffle.default", |given| one(given.tensor("self")?.f_pixel_shuffle(given.int("upscale_factor")?))),
    ("aten.pixel_unshuffle.default", |given| {
        one(given.tensor("self")?.f_pixel_unshuffle(given.int("downscale_factor")?))
    }),
    ("aten.reflection_pad2d.default", |given| one(given.tensor("self")?.f_reflection_pad2d(given.ints("padding")?))),
    ("aten.replication_pad2d.default", |given| one(given.tensor("self")?.f_replication_pad2d(given.ints("padding")?))),
    ("aten.upsample_bicubic2d.default", bicubic),
    ("aten.upsample_bicubic2d.vec", bicubic),
    ("aten.upsample_bilinear2d.default", bilinear),
    ("aten.upsample_bilinear2d.vec", bilinear),
    ("aten.upsample_nearest2d.default", nearest),
    ("aten.upsample_nearest2d.vec", nearest),
];

/// What is padded, unless that would make too much of it: the last sides' paddings come first.
fn padded<'a>(given: &Given<'a>) -> Result<&'a Tensor> {
    let (xs, pads) = (given.tensor("self")?, given.ints("pad")?);
    let mut sides = xs.size();
    for (side, pads) in sides.iter_mut().rev().zip(pads.chunks(2)) {
        *side = pads.iter().fold(*side, |side, pad| side.saturating_add(*pad));
    }
    given.check_grown(sides)?;
    Ok(xs)
}

fn corners(given: &Given<'_>) -> Result<bool> {
    given.flag("align_corners", false)
}

/// What interpolation takes: the maps, their size after it, whether the corners are aligned, and the factors of height and width where
/// they are given.
struct Interpolation<'a> {
    maps: &'a Tensor,
    size: Vec<i64>,
    corners: bool,
    factors: [Option<f64>; 2],
}

impl<'a> Interpolation<'a> {
    /// By the size, or by factors (`scale_factors`), as PyTorch makes the one of the other.
    fn of(given: &Given<'a>) -> Result<Self> {
        let maps = given.tensor("self").or_else(|_| given.tensor("input"))?;
        let corners = corners(given)?;
        let grown = |size: &[i64]| given.check_grown(maps.size().into_iter().take(2).chain(size.iter().copied()));
        if let Some(size) = given.maybe_ints("output_size")? {
            grown(&size)?;
            let factors = [given.maybe_float("scales_h")?, given.maybe_float("scales_w")?];
            return Ok(Self { maps, size, corners, factors });
        }
        let factors = given.maybe_floats("scale_factors")?.unwrap_or_default();
        let (&[_, _, height, width], &[by_height, by_width]) = (&maps.size()[..], &factors[..]) else {
            return Err(Error::network(given.node, "is of something else than maps, or without a size"));
        };
        let size = vec![(height as f64 * by_height).floor() as i64, (width as f64 * by_width).floor() as i64];
        grown(&size)?;
        Ok(Self { maps, size, corners, factors: [Some(by_height), Some(by_width)] })
    }
}

fn bicubic(given: &Given<'_>) -> Result<Made> {
    let Interpolation { maps, size, corners, factors: [h, w] } = Interpolation::of(given)?;
    one(maps.f_upsample_bicubic2d(size, corners, h, w))
}

fn bicubic_aa(given: &Given<'_>) -> Result<Made> {
    let Interpolation { maps, size, corners, factors: [h, w] } = Interpolation::of(given)?;
    one(maps.f_internal_upsample_bicubic2d_aa(size, corners, h, w))
}

fn bilinear(given: &Given<'_>) -> Result<Made> {
    let Interpolation { maps, size, corners, factors: [h, w] } = Interpolation::of(given)?;
    one(maps.f_upsample_bilinear2d(size, corners, h, w))
}

fn bilinear_aa(given: &Given<'_>) -> Result<Made> {
    let Interpolation { maps, size, corners, factors: [h, w] } = Interpolation::of(given)?;
    one(maps.f_internal_upsample_bilinear2d_aa(size, corners, h, w))
}

fn nearest(given: &Given<'_>) -> Result<Made> {
    let Interpolation { maps, size, factors: [h, w], .. } = Interpolation::of(given)?;
    one(maps.f_upsample_nearest2d(size, h, w))
}

fn nearest_exact(given: &Given<'_>) -> Result<Made> {
    let Interpolation { maps, size, factors: [h, w], .. } = Interpolation::of(given)?;
    one(maps.f_internal_upsample_nearest_exact2d(size, h, w))
}

fn grid_sampler(given: &Given<'_>) -> Result<Made> {
    let (mode, padding) = (given.int("interpolation_mode")?, given.int("padding_mode")?);
    let xs: &Tensor = given.tensor("input")?;
    if xs.dim() != 4 {
        return Err(Error::network(given.node, "samples something else than maps"));
    }
    one(xs.f_grid_sampler(given.tensor("grid")?, mode, padding, corners(given)?))
}
