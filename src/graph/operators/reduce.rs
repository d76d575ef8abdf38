//! Sums, means, the greatest, softmax, norms.

use tch::{Kind, Tensor};

use super::super::given::Given;
use super::arithmetic::is_real;
use super::pooling::two;
use super::{Made, Table, one};
use crate::Result;

pub(super) const TABLE: Table = &[
    ("aten._log_softmax.default", |given| one(given.tensor("self")?.f_log_softmax(given.int("dim")?, None))),
    ("aten._softmax.default", |given| one(given.tensor("self")?.f_softmax(given.int("dim")?, None))),
    ("aten.all.default", |given| one(given.tensor("self")?.f_all())),
    ("aten.amax.default", |given| {
        one(given.tensor("self")?.f_amax(given.ints_or("dim", &[])?, given.flag("keepdim", false)?))
    }),
    ("aten.amin.default", |given| {
        one(given.tensor("self")?.f_amin(given.ints_or("dim", &[])?, given.flag("keepdim", false)?))
    }),
    ("aten.any.default", |given| one(given.tensor("self")?.f_any())),
    ("aten.any.dim", |given| one(given.tensor("self")?.f_any_dim(given.int("dim")?, given.flag("keepdim", false)?))),
    ("aten.argmax.default", |given| {
        one(given.tensor("self")?.f_argmax(given.maybe_int("dim")?, given.flag("keepdim", false)?))
    }),
    ("aten.cumprod.default", |given| one(given.tensor("self")?.f_cumprod(given.int("dim")?, given.kind("dtype")?))),
    ("aten.cumsum.default", |given| one(given.tensor("self")?.f_cumsum(given.int("dim")?, given.kind("dtype")?))),
    ("aten.linalg_vector_norm.default", norm),
    ("aten.log_softmax.int", |given| one(given.tensor("self")?.f_log_softmax(given.int("dim")?, given.kind("dtype")?))),
    ("aten.logsumexp.default", |given| {
        one(given.tensor("self")?.f_logsumexp(given.ints("dim")?, given.flag("keepdim", false)?))
    }),
    ("aten.max.default", |given| one(given.tensor("self")?.f_max())),
    ("aten.max.dim", |given| {
        Ok(two(given.tensor("self")?.f_max_dim(given.int("dim")?, given.flag("keepdim", false)?)?))
    }),
    ("aten.max.other", |given| one(given.tensor("self")?.f_max_other(given.tensor("other")?))),
    ("aten.mean.default", |given| one(given.tensor("self")?.f_mean(given.kind("dtype")?))),
    ("aten.mean.dim", |given| {
        let dims = given.maybe_ints("dim")?;
        one(given.tensor("self")?.f_mean_dim(dims.as_deref(), given.flag("keepdim", false)?, given.kind("dtype")?))
    }),
    ("aten.min.default", |given| one(given.tensor("self")?.f_min())),
    ("aten.min.dim", |given| {
        Ok(two(given.tensor("self")?.f_min_dim(given.int("dim")?, given.flag("keepdim", false)?)?))
    }),
    ("aten.min.other", |given| one(given.tensor("self")?.f_min_other(given.tensor("other")?))),
    ("aten.norm.ScalarOpt_dim", norm),
    ("aten.prod.default", |given| one(given.tensor("self")?.f_prod(given.kind("dtype")?))),
    ("aten.prod.dim_int", |given| {
        one(given.tensor("self")?.f_prod_dim_int(
            given.int("dim")?,
            given.flag("keepdim", false)?,
            given.kind("dtype")?,
        ))
    }),
    ("aten.softmax.int", |given| one(given.tensor("self")?.f_softmax(given.int("dim")?, given.kind("dtype")?))),
    ("aten.sort.default", |given| {
        Ok(two(given.tensor("self")?.f_sort(given.int_or("dim", -1)?, given.flag("descending", false)?)?))
    }),
    ("aten.std.correction", |given| spread(given, true)),
    ("aten.std.default", |given| spread(given, true)),
    ("aten.std.dim", |given| spread(given, true)),
    ("aten.std_mean.correction", |given| {
        let (dims, keep) = (given.maybe_ints("dim")?, given.flag("keepdim", false)?);
        let correction = given.maybe_float("correction")?.unwrap_or(1.0);
        Ok(two(given.tensor("self")?.f_std_mean_correction(dims.as_deref(), correction, keep)?))
    }),
    ("aten.sum.default", |given| one(given.tensor("self")?.f_sum(given.kind("dtype")?))),
    ("aten.sum.dim_IntList", |given| {
        let dims = given.maybe_ints("dim")?;
        one(given.tensor("self")?.f_sum_dim_intlist(
            dims.as_deref(),
            given.flag("keepdim", false)?,
            given.kind("dtype")?,
        ))
    }),
    ("aten.topk.default", |given| {
        let (largest, sorted) = (given.flag("largest", true)?, given.flag("sorted", true)?);
        Ok(two(given.tensor("self")?.f_topk(given.int("k")?, given.int_or("dim", -1)?, largest, sorted)?))
    }),
    ("aten.var.correction", |given| spread(given, false)),
    ("aten.var.default", |given| spread(given, false)),
    ("aten.var.dim", |given| spread(given, false)),
    ("aten.var_mean.correction", |given| {
        let (dims, keep) = (given.maybe_ints("dim")?, given.flag("keepdim", false)?);
        let correction = given.maybe_float("correction")?.unwrap_or(1.0);
        Ok(two(given.tensor("self")?.f_var_mean_correction(dims.as_deref(), correction, keep)?))
    }),
];

/// The variance, or its root. Without a correction, or with `unbiased`, it is divided by one less than there are numbers.
fn spread(given: &Given<'_>, root: bool) -> Result<Made> {
    let (xs, dims, keep) = (given.tensor("self")?, given.maybe_ints("dim")?, given.flag("keepdim", false)?);
    let unbiased = given.flag("unbiased", true)?;
    let correction = given.maybe_float("correction")?.unwrap_or(f64::from(u8::from(unbiased)));
    let dims = dims.as_deref();
    one(if root { xs.f_std_correction(dims, correction, keep) } else { xs.f_var_correction(dims, correction, keep) })
}

/// A norm of vectors; without dimensions, of all that there is.
fn norm(given: &Given<'_>) -> Result<Made> {
    let xs = given.tensor("self")?;
    let order = match given.maybe_float("ord")? {
        Some(order) => order,
        None => given.float_or("p", 2.0)?,
    };
    let all: Vec<i64> = (0..xs.dim() as i64).collect();
    let dims = given.maybe_ints("dim")?.filter(|dims| !dims.is_empty()).unwrap_or(all);
    let xs = match given.kind("dtype")? {
        Some(kind) => xs.f_to_kind(kind)?,
        None if is_real(xs.kind()) => xs.shallow_clone(),
        None => xs.f_to_kind(Kind::Float)?,
    };
    one(Tensor::f_norm_scalaropt_dim(&xs, order, dims, given.flag("keepdim", false)?))
}
