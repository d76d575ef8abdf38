//! Pools.

use tch::Tensor;

use super::super::given::{Given, Held};
use super::{Made, Table, one};
use crate::Result;

pub(super) const TABLE: Table = &[
    ("aten._adaptive_avg_pool2d.default", |given| {
        one(given.tensor("self")?.f_adaptive_avg_pool2d(given.ints("output_size")?))
    }),
    ("aten.adaptive_avg_pool1d.default", |given| {
        one(given.tensor("self")?.f_adaptive_avg_pool1d(given.ints("output_size")?))
    }),
    ("aten.adaptive_avg_pool2d.default", |given| {
        one(given.tensor("self")?.f_adaptive_avg_pool2d(given.ints("output_size")?))
    }),
    ("aten.adaptive_max_pool1d.default", |given| {
        Ok(two(given.tensor("self")?.f_adaptive_max_pool1d(given.ints("output_size")?)?))
    }),
    ("aten.adaptive_max_pool2d.default", |given| {
        Ok(two(given.tensor("self")?.f_adaptive_max_pool2d(given.ints("output_size")?)?))
    }),
    ("aten.avg_pool1d.default", |given| {
        let [kernel, stride, padding, _] = window(given)?;
        let (ceil, count) = (given.flag("ceil_mode", false)?, given.flag("count_include_pad", true)?);
        one(given.tensor("self")?.f_avg_pool1d(kernel, stride, padding, ceil, count))
    }),
    ("aten.avg_pool2d.default", |given| {
        let [kernel, stride, padding, _] = window(given)?;
        let (ceil, count) = (given.flag("ceil_mode", false)?, given.flag("count_include_pad", true)?);
        let divisor = given.maybe_int("divisor_override")?;
        one(given.tensor("self")?.f_avg_pool2d(kernel, stride, padding, ceil, count, divisor))
    }),
    ("aten.avg_pool3d.default", |given| {
        let [kernel, stride, padding, _] = window(given)?;
        let (ceil, count) = (given.flag("ceil_mode", false)?, given.flag("count_include_pad", true)?);
        let divisor = given.maybe_int("divisor_override")?;
        one(given.tensor("self")?.f_avg_pool3d(kernel, stride, padding, ceil, count, divisor))
    }),
    ("aten.max_pool1d.default", |given| {
        let [kernel, stride, padding, dilation] = window(given)?;
        one(given.tensor("self")?.f_max_pool1d(kernel, stride, padding, dilation, given.flag("ceil_mode", false)?))
    }),
    ("aten.max_pool2d.default", |given| {
        let [kernel, stride, padding, dilation] = window(given)?;
        one(given.tensor("self")?.f_max_pool2d(kernel, stride, padding, dilation, given.flag("ceil_mode", false)?))
    }),
    ("aten.max_pool2d_with_indices.default", |given| {
        let [kernel, stride, padding, dilation] = window(given)?;
        Ok(two(given.tensor("self")?.f_max_pool2d_with_indices(
            kernel,
            stride,
            padding,
            dilation,
            given.flag("ceil_mode", false)?,
        )?))
    }),
];

/// Kernel, stride (the kernel's, if none is given), padding and dilation.
fn window(given: &Given<'_>) -> Result<[Vec<i64>; 4]> {
    let kernel = given.ints("kernel_size")?;
    let stride = given.maybe_ints("stride")?.filter(|stride| !stride.is_empty()).unwrap_or_else(|| kernel.clone());
    let padding = given.ints_or("padding", &vec![0; kernel.len()])?;
    let dilation = given.ints_or("dilation", &vec![1; kernel.len()])?;
    Ok([kernel, stride, padding, dilation])
}

pub(super) fn two((first, second): (Tensor, Tensor)) -> Made {
    vec![Held::Tensor(first), Held::Tensor(second)]
}
