//! Element by element.

use tch::{Kind, TchError, Tensor};

use super::super::given::{Given, Number, Operand};
use super::{Made, Table, either, one};
use crate::Result;

type Tch = std::result::Result<Tensor, TchError>;

pub(super) const TABLE: Table = &[
    ("aten.abs.default", |given| unary(given, Tensor::f_abs)),
    ("aten.add.Scalar", add),
    ("aten.add.Tensor", add),
    ("aten.addcdiv.default", |given| {
        let scaled = given.tensor("tensor1")?.f_div(given.tensor("tensor2")?)?;
        one(given.tensor("self")?.f_add(&times(&scaled, given, "value")?))
    }),
    ("aten.addcmul.default", |given| {
        let scaled = given.tensor("tensor1")?.f_mul(given.tensor("tensor2")?)?;
        one(given.tensor("self")?.f_add(&times(&scaled, given, "value")?))
    }),
    ("aten.atan.default", |given| unary(given, Tensor::f_atan)),
    ("aten.bitwise_and.Tensor", |given| binary(given, Tensor::f_bitwise_and_tensor)),
    ("aten.bitwise_not.default", |given| unary(given, Tensor::f_bitwise_not)),
    ("aten.bitwise_or.Tensor", |given| binary(given, Tensor::f_bitwise_or_tensor)),
    ("aten.ceil.default", |given| unary(given, Tensor::f_ceil)),
    ("aten.celu.default", celu),
    ("aten.clamp.Tensor", |given| {
        one(given.tensor("self")?.f_clamp_tensor(given.maybe_tensor("min")?, given.maybe_tensor("max")?))
    }),
    ("aten.clamp.default", |given| clamp(given, "min", "max")),
    ("aten.clamp_max.default", |given| one(given.tensor("self")?.f_clamp_max(given.number("max")?))),
    ("aten.clamp_min.default", |given| one(given.tensor("self")?.f_clamp_min(given.number("min")?))),
    ("aten.cos.default", |given| unary(given, Tensor::f_cos)),
    ("aten.div.Scalar", div),
    ("aten.div.Scalar_mode", div),
    ("aten.div.Tensor", div),
    ("aten.div.Tensor_mode", div),
    ("aten.elu.default", elu),
    ("aten.eq.Scalar", |given| compare(given, Tensor::f_eq_tensor, Tensor::f_eq)),
    ("aten.eq.Tensor", |given| compare(given, Tensor::f_eq_tensor, Tensor::f_eq)),
    ("aten.erf.default", |given| unary(given, Tensor::f_erf)),
    ("aten.exp.default", |given| unary(given, Tensor::f_exp)),
    ("aten.expm1.default", |given| unary(given, Tensor::f_expm1)),
    ("aten.floor.default", |given| unary(given, Tensor::f_floor)),
    ("aten.floor_divide.Scalar", |given| compare(given, Tensor::f_floor_divide, Tensor::f_floor_divide_scalar)),
    ("aten.floor_divide.default", |given| compare(given, Tensor::f_floor_divide, Tensor::f_floor_divide_scalar)),
    ("aten.ge.Scalar", |given| compare(given, Tensor::f_ge_tensor, Tensor::f_ge)),
    ("aten.ge.Tensor", |given| compare(given, Tensor::f_ge_tensor, Tensor::f_ge)),
    ("aten.gelu.default", |given| one(given.tensor("self")?.f_gelu(given.text("approximate")?.unwrap_or("none")))),
    ("aten.glu.default", |given| one(given.tensor("self")?.f_glu(given.int_or("dim", -1)?))),
    ("aten.gt.Scalar", |given| compare(given, Tensor::f_gt_tensor, Tensor::f_gt)),
    ("aten.gt.Tensor", |given| compare(given, Tensor::f_gt_tensor, Tensor::f_gt)),
    ("aten.hardsigmoid.default", |given| unary(given, Tensor::f_hardsigmoid)),
    ("aten.hardswish.default", |given| unary(given, Tensor::f_hardswish)),
    ("aten.hardtanh.default", |given| {
        clamp_to(given, given.float_or("min_val", -1.0)?, given.float_or("max_val", 1.0)?)
    }),
    ("aten.isinf.default", |given| unary(given, Tensor::f_isinf)),
    ("aten.isnan.default", |given| unary(given, Tensor::f_isnan)),
    ("aten.le.Scalar", |given| compare(given, Tensor::f_le_tensor, Tensor::f_le)),
    ("aten.le.Tensor", |given| compare(given, Tensor::f_le_tensor, Tensor::f_le)),
    ("aten.leaky_relu.default", leaky_relu),
    ("aten.hardshrink.default", |given| unary(given, Tensor::f_hardshrink)),
    ("aten.lerp.Scalar", |given| one(given.tensor("self")?.f_lerp(given.tensor("end")?, given.number("weight")?))),
    ("aten.lerp.Tensor", |given| {
        one(given.tensor("self")?.f_lerp_tensor(given.tensor("end")?, given.tensor("weight")?))
    }),
    ("aten.log.default", |given| unary(given, Tensor::f_log)),
    ("aten.log1p.default", |given| unary(given, Tensor::f_log1p)),
    ("aten.log2.default", |given| unary(given, Tensor::f_log2)),
    ("aten.log_sigmoid.default", |given| unary(given, Tensor::f_log_sigmoid)),
    ("aten.logical_and.default", |given| binary(given, Tensor::f_logical_and)),
    ("aten.logical_not.default", |given| unary(given, Tensor::f_logical_not)),
    ("aten.logical_or.default", |given| binary(given, Tensor::f_logical_or)),
    ("aten.lt.Scalar", |given| compare(given, Tensor::f_lt_tensor, Tensor::f_lt)),
    ("aten.lt.Tensor", |given| compare(given, Tensor::f_lt_tensor, Tensor::f_lt)),
    ("aten.masked_fill.Scalar", |given| {
        one(given.tensor("self")?.f_masked_fill(given.tensor("mask")?, given.number("value")?))
    }),
    ("aten.masked_fill.Tensor", |given| {
        one(given.tensor("self")?.f_masked_fill_tensor(given.tensor("mask")?, given.tensor("value")?))
    }),
    ("aten.logit.default", |given| one(given.tensor("self")?.f_logit(given.maybe_float("eps")?))),
    ("aten.maximum.default", |given| binary(given, Tensor::f_maximum)),
    ("aten.minimum.default", |given| binary(given, Tensor::f_minimum)),
    ("aten.mish.default", |given| unary(given, Tensor::f_mish)),
    ("aten.mul.Scalar", mul),
    ("aten.mul.Tensor", mul),
    ("aten.nan_to_num.default", |given| {
        let (nan, over, under) =
            (given.maybe_float("nan")?, given.maybe_float("posinf")?, given.maybe_float("neginf")?);
        one(given.tensor("self")?.f_nan_to_num(nan, over, under))
    }),
    ("aten.ne.Scalar", |given| compare(given, Tensor::f_ne_tensor, Tensor::f_ne)),
    ("aten.ne.Tensor", |given| compare(given, Tensor::f_ne_tensor, Tensor::f_ne)),
    ("aten.neg.default", |given| unary(given, Tensor::f_neg)),
    ("aten.pow.Scalar", |given| one(Tensor::f_pow_scalar(given.number("self")?, given.tensor("exponent")?))),
    ("aten.pow.Tensor_Scalar", |given| one(given.tensor("self")?.f_pow_tensor_scalar(given.number("exponent")?))),
    ("aten.pow.Tensor_Tensor", |given| one(given.tensor("self")?.f_pow(given.tensor("exponent")?))),
    ("aten.prelu.default", |given| one(given.tensor("self")?.f_prelu(given.tensor("weight")?))),
    ("aten.reciprocal.default", |given| unary(given, Tensor::f_reciprocal)),
    ("aten.relu.default", |given| unary(given, Tensor::f_relu)),
    ("aten.relu6.default", |given| clamp_to(given, 0.0, 6.0)),
    ("aten.remainder.Scalar", |given| compare(given, Tensor::f_remainder_tensor, Tensor::f_remainder)),
    ("aten.remainder.Tensor", |given| compare(given, Tensor::f_remainder_tensor, Tensor::f_remainder)),
    ("aten.round.default", |given| unary(given, Tensor::f_round)),
    ("aten.rsqrt.default", |given| unary(given, Tensor::f_rsqrt)),
    ("aten.rsub.Scalar", rsub),
    ("aten.rsub.Tensor", rsub),
    ("aten.selu.default", |given| unary(given, Tensor::f_selu)),
    ("aten.sigmoid.default", |given| unary(given, Tensor::f_sigmoid)),
    ("aten.sign.default", |given| unary(given, Tensor::f_sign)),
    ("aten.silu.default", |given| unary(given, Tensor::f_silu)),
    ("aten.sin.default", |given| unary(given, Tensor::f_sin)),
    ("aten.softplus.default", softplus),
    ("aten.sqrt.default", |given| unary(given, Tensor::f_sqrt)),
    ("aten.square.default", |given| unary(given, Tensor::f_square)),
    ("aten.sub.Scalar", sub),
    ("aten.sub.Tensor", sub),
    ("aten.tanh.default", |given| unary(given, Tensor::f_tanh)),
    ("aten.threshold.default", |given| {
        one(given.tensor("self")?.f_threshold(given.number("threshold")?, given.number("value")?))
    }),
    ("aten.where.ScalarOther", |given| {
        one(given.tensor("self")?.f_where_scalarother(given.tensor("condition")?, given.number("other")?))
    }),
    ("aten.where.Scalar", |given| {
        one(Tensor::f_where_scalar(given.tensor("condition")?, given.number("self")?, given.number("other")?))
    }),
    ("aten.where.ScalarSelf", |given| {
        one(Tensor::f_where_scalarself(given.tensor("condition")?, given.number("self")?, given.tensor("other")?))
    }),
    ("aten.where.self", |given| {
        one(given.tensor("self")?.f_where_self(given.tensor("condition")?, given.tensor("other")?))
    }),
];

fn unary(given: &Given<'_>, of: impl FnOnce(&Tensor) -> Tch) -> Result<Made> {
    one(of(given.tensor("self")?))
}

fn binary(given: &Given<'_>, of: impl FnOnce(&Tensor, &Tensor) -> Tch) -> Result<Made> {
    one(of(given.tensor("self")?, given.tensor("other")?))
}

/// Of a tensor and either a tensor or a number.
fn compare(
    given: &Given<'_>,
    of_tensor: impl FnOnce(&Tensor, &Tensor) -> Tch,
    of_number: impl FnOnce(&Tensor, tch::Scalar) -> Tch,
) -> Result<Made> {
    let xs = given.tensor("self")?;
    one(Ok(either(given, "other", |other| of_tensor(xs, other), |other| of_number(xs, other))?))
}

/// A tensor times a number that is 1 if it is left out.
fn times(xs: &Tensor, given: &Given<'_>, name: &str) -> Result<Tensor> {
    Ok(match given.maybe_number(name)? {
        None | Some(Number::Int(1) | Number::Float(1.0)) => xs.shallow_clone(),
        Some(number) => xs.f_mul_scalar(number)?,
    })
}

/// `self ± alpha × other`.
fn add(given: &Given<'_>) -> Result<Made> {
    let xs = given.tensor("self")?;
    one(Ok(match given.operand("other")? {
        Operand::Tensor(other) => xs.f_add(&times(other, given, "alpha")?)?,
        Operand::Number(other) => xs.f_add_scalar(scaled(given, other)?)?,
    }))
}

fn sub(given: &Given<'_>) -> Result<Made> {
    let xs = given.tensor("self")?;
    one(Ok(match given.operand("other")? {
        Operand::Tensor(other) => xs.f_sub(&times(other, given, "alpha")?)?,
        Operand::Number(other) => xs.f_sub_scalar(scaled(given, other)?)?,
    }))
}

fn rsub(given: &Given<'_>) -> Result<Made> {
    let xs = times(given.tensor("self")?, given, "alpha")?;
    one(Ok(match given.operand("other")? {
        Operand::Tensor(other) => other.f_sub(&xs)?,
        Operand::Number(other) => xs.f_neg()?.f_add_scalar(other)?,
    }))
}

fn scaled(given: &Given<'_>, number: Number) -> Result<Number> {
    Ok(match given.maybe_number("alpha")? {
        None | Some(Number::Int(1)) => number,
        Some(alpha) => Number::Float(number.float() * alpha.float()),
    })
}

fn mul(given: &Given<'_>) -> Result<Made> {
    compare(given, Tensor::f_mul, Tensor::f_mul_scalar)
}

fn div(given: &Given<'_>) -> Result<Made> {
    match given.text("rounding_mode")? {
        None => compare(given, Tensor::f_div, Tensor::f_div_scalar),
        Some(mode) => {
            compare(given, |xs, other| xs.f_div_tensor_mode(other, mode), |xs, other| xs.f_div_scalar_mode(other, mode))
        }
    }
}

/// Cut to between two numbers, of which one may be missing.
fn clamp(given: &Given<'_>, least: &str, most: &str) -> Result<Made> {
    let xs = given.tensor("self")?;
    one(match (given.maybe_number(least)?, given.maybe_number(most)?) {
        (Some(least), Some(most)) => xs.f_clamp(least, most),
        (Some(least), None) => xs.f_clamp_min(least),
        (None, Some(most)) => xs.f_clamp_max(most),
        (None, None) => Ok(xs.shallow_clone()),
    })
}

fn clamp_to(given: &Given<'_>, least: f64, most: f64) -> Result<Made> {
    one(given.tensor("self")?.f_clamp(least, most))
}

/// `x` over 0, `slope × x` under it.
fn leaky_relu(given: &Given<'_>) -> Result<Made> {
    let (xs, slope) = (given.tensor("self")?, given.float_or("negative_slope", 0.01)?);
    one(xs.f_where_self(&xs.f_gt(0)?, &xs.f_mul_scalar(slope)?))
}

/// `scale × (x over 0, alpha × (exp(input_scale × x) - 1) under it)`.
fn elu(given: &Given<'_>) -> Result<Made> {
    let xs = given.tensor("self")?;
    let (alpha, scale) = (given.float_or("alpha", 1.0)?, given.float_or("scale", 1.0)?);
    let input_scale = given.float_or("input_scale", 1.0)?;
    if (alpha, scale, input_scale) == (1.0, 1.0, 1.0) {
        return one(xs.f_elu());
    }
    // Where x is over 0 the exponential is of 0, lest it be infinite, and its slope no number.
    let below = xs.f_clamp_max(0)?.f_mul_scalar(input_scale)?.f_expm1()?.f_mul_scalar(alpha * scale)?;
    one(xs.f_mul_scalar(scale)?.f_where_self(&xs.f_gt(0)?, &below))
}

/// `max(0, x) + min(0, alpha × (exp(x / alpha) - 1))`.
fn celu(given: &Given<'_>) -> Result<Made> {
    let (xs, alpha) = (given.tensor("self")?, given.float_or("alpha", 1.0)?);
    let below = xs.f_clamp_max(0)?.f_div_scalar(alpha)?.f_expm1()?.f_mul_scalar(alpha)?;
    one(xs.f_where_self(&xs.f_gt(0)?, &below))
}

/// `log(1 + exp(beta × x)) / beta`, and `x` where that is the same.
fn softplus(given: &Given<'_>) -> Result<Made> {
    let (xs, beta, threshold) =
        (given.tensor("self")?, given.float_or("beta", 1.0)?, given.float_or("threshold", 20.0)?);
    if (beta, threshold) == (1.0, 20.0) {
        return one(xs.f_softplus());
    }
    let scaled = xs.f_mul_scalar(beta)?;
    let soft = scaled.f_clamp_max(threshold)?.f_exp()?.f_log1p()?.f_div_scalar(beta)?;
    one(xs.f_where_self(&scaled.f_gt(threshold)?, &soft))
}

/// Whether elements of a kind are real numbers.
pub(super) fn is_real(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}
