//! Sums, means, the greatest, softmax.

use super::super::builder::{Builder, flag, float, int, ints, tensor};
use super::super::call::Call;
use super::super::known::{Known, Tensor};
use super::{Made, Table, axes, axis, from_first, one, taken};
use crate::graph::program::Argument;
use crate::weights::Dtype;

pub(super) const TABLE: Table = &[
    ("ArgMax", |b, call| {
        call.only("select_last_index", 0)?;
        let (of, keep) = (taken(b, call, 0)?, call.flag("keepdims", true)?);
        let dim = axis(call.int_or("axis", 0)?, of.rank)? as i64;
        let inputs = vec![("self", tensor(of)), ("dim", int(dim)), ("keepdim", flag(keep))];
        one(b.emit("aten.argmax.default", inputs, of.rank - usize::from(!keep), Dtype::I64))
    }),
    ("CumSum", |b, call| {
        call.only("exclusive", 0)?;
        call.only("reverse", 0)?;
        let of = taken(b, call, 0)?;
        let along = b.needed_numbers(call.needed(1)?, "an axis")?.ints();
        let Some([along]) = along.as_deref() else { return Err("takes an axis that is computed".to_owned()) };
        let dim = axis(*along, of.rank)? as i64;
        let inputs = vec![("self", tensor(of)), ("dim", int(dim)), ("dtype", Argument::Dtype(of.dtype))];
        one(b.emit("aten.cumsum.default", inputs, of.rank, of.dtype))
    }),
    ("LogSoftmax", |b, call| softmax(b, call, "aten.log_softmax.int")),
    ("ReduceL1", |b, call| norm(b, call, 1.0)),
    ("ReduceL2", |b, call| norm(b, call, 2.0)),
    ("ReduceLogSumExp", |b, call| reduce(b, call, "aten.logsumexp.default", None)),
    ("ReduceMax", |b, call| reduce(b, call, "aten.amax.default", None)),
    ("ReduceMean", |b, call| reduce(b, call, "aten.mean.dim", None)),
    ("ReduceMin", |b, call| reduce(b, call, "aten.amin.default", None)),
    ("ReduceProd", product),
    ("ReduceSum", |b, call| reduce(b, call, "aten.sum.dim_IntList", None)),
    ("ReduceSumSquare", |b, call| reduce(b, call, "aten.sum.dim_IntList", Some("aten.square.default"))),
    ("Softmax", |b, call| softmax(b, call, "aten.softmax.int")),
    ("TopK", |b, call| {
        let of = taken(b, call, 0)?;
        let count = b.needed_numbers(call.needed(1)?, "a count")?;
        let [count] = count.items[..] else { return Err("takes more than one count".to_owned()) };
        let dim = axis(call.int_or("axis", -1)?, of.rank)? as i64;
        let inputs = vec![
            ("self", tensor(of)),
            ("k", Argument::One(count)),
            ("dim", int(dim)),
            ("largest", flag(call.flag("largest", true)?)),
            ("sorted", flag(call.flag("sorted", true)?)),
        ];
        let mut made = b.emit_several("aten.topk.default", inputs, 2, of.rank, of.dtype);
        if let Some(places) = made.get_mut(1) {
            places.dtype = Dtype::I64;
        }
        Ok(made.into_iter().map(Known::Tensor).collect())
    }),
];

/// The sides that are reduced, and whether they are kept as sides of 1; `None` where nothing is reduced.
fn sides(b: &Builder, call: &Call, of: Tensor) -> Result<Option<(Vec<i64>, bool)>, String> {
    let (given, keep) = (axes(b, call, 1)?.unwrap_or_default(), call.flag("keepdims", true)?);
    let nothing = call.flag("noop_with_empty_axes", false)?;
    if given.is_empty() {
        return Ok((!nothing).then(|| ((0..of.rank as i64).collect(), keep)));
    }
    let places = from_first(&given, of.rank)?;
    Ok(Some((places.into_iter().map(|place| place as i64).collect(), keep)))
}

fn reduce(b: &mut Builder, call: &Call, operator: &str, before: Option<&str>) -> Made {
    let mut of = taken(b, call, 0)?;
    if let Some(before) = before {
        of = b.emit(before, vec![("self", tensor(of))], of.rank, of.dtype);
    }
    let Some((dims, keep)) = sides(b, call, of)? else { return one(of) };
    let rank = if keep { of.rank } else { of.rank - dims.len() };
    let mut inputs = vec![("self", tensor(of)), ("dim", ints(&dims)), ("keepdim", flag(keep))];
    // PyTorch sums whole numbers as those of 64 bits.
    if operator == "aten.sum.dim_IntList" {
        inputs.push(("dtype", Argument::Dtype(of.dtype)));
    }
    one(b.emit(operator, inputs, rank, of.dtype))
}

fn norm(b: &mut Builder, call: &Call, order: f64) -> Made {
    let of = taken(b, call, 0)?;
    let Some((dims, keep)) = sides(b, call, of)? else {
        return one(b.emit("aten.abs.default", vec![("self", tensor(of))], of.rank, of.dtype));
    };
    let rank = if keep { of.rank } else { of.rank - dims.len() };
    let inputs = vec![("self", tensor(of)), ("ord", float(order)), ("dim", ints(&dims)), ("keepdim", flag(keep))];
    one(b.emit("aten.linalg_vector_norm.default", inputs, rank, of.dtype))
}

/// One side after the other, the last first.
fn product(b: &mut Builder, call: &Call) -> Made {
    let mut of = taken(b, call, 0)?;
    let Some((dims, keep)) = sides(b, call, of)? else { return one(of) };
    for dim in dims.into_iter().rev() {
        let inputs = vec![
            ("self", tensor(of)),
            ("dim", int(dim)),
            ("keepdim", flag(keep)),
            ("dtype", Argument::Dtype(of.dtype)),
        ];
        of = b.emit("aten.prod.dim_int", inputs, of.rank - usize::from(!keep), of.dtype);
    }
    one(of)
}

fn softmax(b: &mut Builder, call: &Call, operator: &str) -> Made {
    let of = taken(b, call, 0)?;
    let along = |b: &mut Builder, of: Tensor, dim: i64| {
        b.emit(operator, vec![("self", tensor(of)), ("dim", int(dim))], of.rank, of.dtype)
    };
    if call.version >= 13 {
        let dim = axis(call.int_or("axis", -1)?, of.rank)? as i64;
        return one(along(b, of, dim));
    }
    // Until set 13 over all sides from one on, together.
    let first = axis(call.int_or("axis", 1)?, of.rank)?;
    if first + 1 == of.rank {
        return one(along(b, of, first as i64));
    }
    let inputs = vec![("self", tensor(of)), ("start_dim", int(first as i64)), ("end_dim", int(-1))];
    let line = b.emit("aten.flatten.using_ints", inputs, first + 1, of.dtype);
    let made = along(b, line, first as i64);
    one(b.emit("aten.reshape_as.default", vec![("self", tensor(made)), ("other", tensor(of))], of.rank, of.dtype))
}
