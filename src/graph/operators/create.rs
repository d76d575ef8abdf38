//! Tensors that are made anew, and other types of elements.

use tch::{Kind, Tensor};

use super::super::given::{Given, Number};
use super::{Made, Table, one, same};
use crate::{Error, Result};

pub(super) const TABLE: Table = &[
    ("aten._to_copy.default", to_kind),
    ("aten.arange.default", |given| {
        let end = given.number("end")?;
        given.check_count(Some(end.float() as i64))?;
        one(Tensor::f_arange(end, given.options(kind_of(&[end]))?))
    }),
    ("aten.arange.start", arange),
    ("aten.arange.start_step", arange),
    ("aten.clone.default", copied),
    ("aten.contiguous.default", |given| one(given.tensor("self")?.f_contiguous())),
    ("aten.copy.default", |given| {
        let (to, from) = (given.tensor("self")?, given.tensor("src")?);
        one(from.f_to_kind(to.kind())?.f_expand_as(to)?.f_contiguous())
    }),
    ("aten.detach.default", same),
    ("aten.detach_.default", same),
    ("aten.empty.memory_format", |given| one(Tensor::f_zeros(given.shape("size")?, given.options(Kind::Float)?))),
    ("aten.empty_like.default", |given| like(given, Number::Int(0))),
    ("aten.eye.default", |given| {
        let side = given.int("n")?;
        given.check_count(side.checked_mul(side))?;
        one(Tensor::f_eye(side, given.options(Kind::Float)?))
    }),
    ("aten.fill.Scalar", |given| like(given, given.number("value")?)),
    ("aten.fill.Tensor", |given| {
        let to = given.tensor("self")?;
        one(given.tensor("value")?.f_to_kind(to.kind())?.f_expand_as(to)?.f_contiguous())
    }),
    ("aten.full.default", |given| {
        let value = given.number("fill_value")?;
        one(Tensor::f_full(given.shape("size")?, value, given.options(kind_of(&[value]))?))
    }),
    ("aten.full_like.default", |given| like(given, given.number("fill_value")?)),
    ("aten.lift_fresh_copy.default", copied),
    ("aten.linspace.default", |given| {
        let (start, end, steps) = (given.number("start")?, given.number("end")?, given.int("steps")?);
        given.check_count(Some(steps))?;
        one(Tensor::f_linspace(start, end, steps, given.options(Kind::Float)?))
    }),
    ("aten.new_full.default", |given| {
        let options = given.options(given.tensor("self")?.kind())?;
        one(Tensor::f_full(given.shape("size")?, given.number("fill_value")?, options))
    }),
    ("aten.new_ones.default", |given| {
        let options = given.options(given.tensor("self")?.kind())?;
        one(Tensor::f_ones(given.shape("size")?, options))
    }),
    ("aten.new_zeros.default", |given| {
        let options = given.options(given.tensor("self")?.kind())?;
        one(Tensor::f_zeros(given.shape("size")?, options))
    }),
    ("aten.ones.default", |given| one(Tensor::f_ones(given.shape("size")?, given.options(Kind::Float)?))),
    ("aten.ones_like.default", |given| like(given, Number::Int(1))),
    ("aten.scalar_tensor.default", |given| {
        let value = given.number("s")?;
        one(Tensor::f_scalar_tensor(value, given.options(Kind::Float)?))
    }),
    ("aten.to.device", to_kind),
    ("aten.to.dtype", to_kind),
    ("aten.to.dtype_layout", to_kind),
    ("aten.to.other", type_as),
    ("aten.tril.default", |given| one(given.tensor("self")?.f_tril(given.int_or("diagonal", 0)?))),
    ("aten.triu.default", |given| one(given.tensor("self")?.f_triu(given.int_or("diagonal", 0)?))),
    ("aten.type_as.default", type_as),
    ("aten.zeros.default", |given| one(Tensor::f_zeros(given.shape("size")?, given.options(Kind::Float)?))),
    ("aten.zero.default", |given| like(given, Number::Int(0))),
    ("aten.zeros_like.default", |given| like(given, Number::Int(0))),
];

/// What PyTorch makes of numbers that nobody gave a type.
fn kind_of(numbers: &[Number]) -> Kind {
    if numbers.iter().any(|number| matches!(number, Number::Float(_))) {
        Kind::Float
    } else if numbers.iter().all(|number| matches!(number, Number::Bool(_))) {
        Kind::Bool
    } else {
        Kind::Int64
    }
}

fn arange(given: &Given<'_>) -> Result<Made> {
    let (start, end) = (given.number("start")?, given.number("end")?);
    let step = given.maybe_number("step")?.unwrap_or(Number::Int(1));
    if step.float() == 0.0 {
        return Err(Error::network(given.node, "has a step of 0"));
    }
    given.check_count(Some(((end.float() - start.float()) / step.float()) as i64))?;
    one(Tensor::f_arange_start_step(start, end, step, given.options(kind_of(&[start, end, step]))?))
}

/// The same in a place of its own.
fn copied(given: &Given<'_>) -> Result<Made> {
    one(given.tensor("self")?.f_alias_copy())
}

/// Of the shape of another tensor, filled.
fn like(given: &Given<'_>, value: Number) -> Result<Made> {
    let xs = given.tensor("self")?;
    one(Tensor::f_full(xs.size(), value, given.options(xs.kind())?))
}

fn to_kind(given: &Given<'_>) -> Result<Made> {
    let xs = given.tensor("self")?;
    one(match given.kind("dtype")? {
        Some(kind) => xs.f_to_kind(kind),
        None => Ok(xs.shallow_clone()),
    })
}

fn type_as(given: &Given<'_>) -> Result<Made> {
    one(given.tensor("self")?.f_to_kind(given.tensor("other")?.kind()))
}
