//! Numbers: sides of tensors, and what is computed of them.

use super::super::given::{Given, Held, Number, item};
use super::{Made, Table};
use crate::{Error, Result};

pub(super) const TABLE: Table = &[
    ("_operator.add", |given| two(given, i64::checked_add, |a, b| a + b)),
    ("_operator.eq", |given| order(given, |a, b| a == b)),
    ("_operator.floordiv", |given| two(given, floor_div, |a, b| (a / b).floor())),
    ("_operator.ge", |given| order(given, |a, b| a >= b)),
    ("_operator.gt", |given| order(given, |a, b| a > b)),
    ("_operator.le", |given| order(given, |a, b| a <= b)),
    ("_operator.lt", |given| order(given, |a, b| a < b)),
    ("_operator.mod", |given| two(given, |a, b| Some(a - floor_div(a, b)? * b), |a, b| a - (a / b).floor() * b)),
    ("_operator.mul", |given| two(given, i64::checked_mul, |a, b| a * b)),
    ("_operator.ne", |given| order(given, |a, b| a != b)),
    ("_operator.neg", |given| match given.number_at(0)? {
        Number::Float(number) => Ok(made(Number::Float(-number))),
        number => whole(given, number.int().and_then(i64::checked_neg)),
    }),
    ("_operator.pow", |given| {
        let power = |a: i64, b: i64| a.checked_pow(u32::try_from(b).ok()?);
        two(given, power, f64::powf)
    }),
    ("_operator.sub", |given| two(given, i64::checked_sub, |a, b| a - b)),
    ("_operator.truediv", |given| Ok(made(Number::Float(given.number_at(0)?.float() / given.number_at(1)?.float())))),
    ("aten._local_scalar_dense.default", |given| Ok(made(item(given.tensor("self")?)?))),
    ("aten.item.default", |given| Ok(made(item(given.tensor("self")?)?))),
    ("aten.sym_numel.default", |given| Ok(made(Number::Int(given.tensor("self")?.numel() as i64)))),
    ("aten.sym_size.int", |given| {
        let (sides, dim) = (given.tensor("self")?.size(), given.int("dim")?);
        let dim = if dim < 0 { dim + sides.len() as i64 } else { dim };
        let side = usize::try_from(dim).ok().and_then(|dim| sides.get(dim).copied());
        whole(given, side)
    }),
    ("math.ceil", |given| rounded(given, f64::ceil)),
    ("math.floor", |given| rounded(given, f64::floor)),
    ("math.trunc", |given| rounded(given, f64::trunc)),
    ("torch.sym_float", |given| Ok(made(Number::Float(given.number_at(0)?.float())))),
    ("torch.sym_int", |given| rounded(given, f64::trunc)),
    ("torch.sym_max", |given| two(given, |a, b| Some(a.max(b)), f64::max)),
    ("torch.sym_min", |given| two(given, |a, b| Some(a.min(b)), f64::min)),
    ("torch.sym_not", |given| Ok(vec![Held::Bool(given.number_at(0)?.float() == 0.0)])),
];

fn made(number: Number) -> Made {
    vec![match number {
        Number::Int(int) => Held::Int(int),
        Number::Float(float) => Held::Float(float),
        Number::Bool(truth) => Held::Bool(truth),
    }]
}

/// A whole number, if there is one.
fn whole(given: &Given<'_>, number: Option<i64>) -> Result<Made> {
    let number = number.ok_or_else(|| Error::network(given.node, "has no whole number as its result"))?;
    Ok(made(Number::Int(number)))
}

fn two(
    given: &Given<'_>,
    of_ints: impl Fn(i64, i64) -> Option<i64>,
    of_floats: impl Fn(f64, f64) -> f64,
) -> Result<Made> {
    match (given.number_at(0)?, given.number_at(1)?) {
        (a @ Number::Float(_), b) | (a, b @ Number::Float(_)) => {
            Ok(made(Number::Float(of_floats(a.float(), b.float()))))
        }
        (a, b) => whole(given, a.int().zip(b.int()).and_then(|(a, b)| of_ints(a, b))),
    }
}

fn order(given: &Given<'_>, holds: impl Fn(f64, f64) -> bool) -> Result<Made> {
    Ok(vec![Held::Bool(holds(given.number_at(0)?.float(), given.number_at(1)?.float()))])
}

fn rounded(given: &Given<'_>, round: impl Fn(f64) -> f64) -> Result<Made> {
    whole(given, Number::Float(round(given.number_at(0)?.float())).int())
}

/// As Python's `//`.
fn floor_div(a: i64, b: i64) -> Option<i64> {
    let (quotient, rest) = (a.checked_div(b)?, a.checked_rem(b)?);
    Some(if rest != 0 && (rest < 0) != (b < 0) { quotient - 1 } else { quotient })
}
