//! Other shapes, parts and orders of the same elements, and tensors that are made anew.

use super::super::builder::{Builder, int, ints, tensor, tensors};
use super::super::call::Call;
use super::super::known::{Known, Numbers, Tensor, float as known_float, int as known_int};
use super::super::numbers::{fill_of, size};
use super::{Made, Table, axes, axis, from_first, maybe, one, taken};
use crate::graph::program::{Argument, Scalar};
use crate::weights::Dtype;

pub(super) const TABLE: Table = &[
    ("Concat", |b, call| {
        let mut parts = Vec::new();
        for place in 0..call.inputs.len() {
            parts.push(taken(b, call, place)?);
        }
        let first = *parts.first().ok_or("takes nothing")?;
        let dim = axis(call.int("axis")?.ok_or("has no axis")?, first.rank)? as i64;
        one(b.emit("aten.cat.default", vec![("tensors", tensors(&parts)), ("dim", int(dim))], first.rank, first.dtype))
    }),
    ("Constant", constant),
    ("ConstantOfShape", |b, call| {
        let shape = b.needed_numbers(call.needed(0)?, "a shape")?;
        let (value, dtype) = fill_of(b, call)?;
        let rank = shape.items.len();
        let inputs = vec![
            ("size", Argument::Several(shape.items)),
            ("fill_value", Argument::One(value)),
            ("dtype", Argument::Dtype(dtype)),
        ];
        one(b.emit("aten.full.default", inputs, rank, dtype))
    }),
    ("Expand", expand),
    ("Flatten", |b, call| {
        let of = taken(b, call, 0)?;
        let at = call.int_or("axis", 1)?;
        let at = if at < 0 { at + of.rank as i64 } else { at };
        let flat = |b: &mut Builder, of: Tensor, first: i64, last: i64, rank: usize| {
            let inputs = vec![("self", tensor(of)), ("start_dim", int(first)), ("end_dim", int(last))];
            b.emit("aten.flatten.using_ints", inputs, rank, of.dtype)
        };
        let reshaped = |b: &mut Builder, shape: [i64; 2]| {
            b.emit("aten.reshape.default", vec![("self", tensor(of)), ("shape", ints(&shape))], 2, of.dtype)
        };
        one(match at {
            0 => reshaped(b, [1, -1]),
            at if at == of.rank as i64 => reshaped(b, [-1, 1]),
            1 => flat(b, of, 1, -1, 2),
            at if (1..of.rank as i64).contains(&at) => {
                let behind = flat(b, of, at, -1, at as usize + 1);
                flat(b, behind, 0, at - 1, 2)
            }
            at => return Err(format!("has axis {at} of {}", of.rank)),
        })
    }),
    ("Gather", gather),
    ("GatherElements", |b, call| {
        let (of, places) = (taken(b, call, 0)?, taken(b, call, 1)?);
        let dim = axis(call.int_or("axis", 0)?, of.rank)? as i64;
        let inputs = vec![("self", tensor(of)), ("dim", int(dim)), ("index", tensor(places))];
        one(b.emit("aten.gather.default", inputs, of.rank, of.dtype))
    }),
    ("Range", |b, call| {
        let mut bounds = Vec::new();
        for place in 0..3 {
            let numbers = b.needed_numbers(call.needed(place)?, "a bound")?;
            bounds.push((*numbers.items.first().ok_or("takes a bound that is missing")?, numbers.dtype));
        }
        let [(start, dtype), (end, _), (step, _)] = bounds[..] else { return Err("takes no bounds".to_owned()) };
        let inputs = vec![
            ("start", Argument::One(start)),
            ("end", Argument::One(end)),
            ("step", Argument::One(step)),
            ("dtype", Argument::Dtype(dtype)),
        ];
        one(b.emit("aten.arange.start_step", inputs, 1, dtype))
    }),
    ("Reshape", reshape),
    ("ScatterElements", |b, call| {
        if call.text_or("reduction", "none")? != "none" {
            return Err("with a reduction, which is not run".to_owned());
        }
        let (of, places, from) = (taken(b, call, 0)?, taken(b, call, 1)?, taken(b, call, 2)?);
        let dim = axis(call.int_or("axis", 0)?, of.rank)? as i64;
        let inputs = vec![("self", tensor(of)), ("dim", int(dim)), ("index", tensor(places)), ("src", tensor(from))];
        one(b.emit("aten.scatter.src", inputs, of.rank, of.dtype))
    }),
    ("ScatterND", |b, call| {
        if call.text_or("reduction", "none")? != "none" {
            return Err("with a reduction, which is not run".to_owned());
        }
        let (of, places, from) = (taken(b, call, 0)?, taken(b, call, 1)?, taken(b, call, 2)?);
        let depth = known_int(b.side(places, places.rank.saturating_sub(1)))
            .filter(|depth| (1..=of.rank as i64).contains(depth));
        let depth = depth.ok_or("takes places that are computed")? as usize;
        let inputs = vec![("self", tensor(places)), ("dim", int(-1))];
        let parts = b.emit_several("aten.unbind.int", inputs, depth, places.rank - 1, places.dtype);
        let inputs = vec![("self", tensor(of)), ("indices", tensors(&parts)), ("values", tensor(from))];
        one(b.emit("aten.index_put.default", inputs, of.rank, of.dtype))
    }),
    // Of few numbers, or of any tensor's sides, these are computed before the graph runs.
    ("Shape", |_, _| Err("of something that has no sides".to_owned())),
    ("Size", size),
    ("Slice", slice),
    ("Split", split),
    ("Squeeze", |b, call| {
        let of = taken(b, call, 0)?;
        let Some(given) = axes(b, call, 1)? else {
            return Err("without axes, so that its sides depend on the picture, which is not followed".to_owned());
        };
        let dims: Vec<i64> = from_first(&given, of.rank)?.into_iter().map(|place| place as i64).collect();
        let rank = of.rank - dims.len();
        one(match dims[..] {
            [dim] => b.emit("aten.squeeze.dim", vec![("self", tensor(of)), ("dim", int(dim))], rank, of.dtype),
            _ => b.emit("aten.squeeze.dims", vec![("self", tensor(of)), ("dim", ints(&dims))], rank, of.dtype),
        })
    }),
    ("Tile", |b, call| {
        let of = taken(b, call, 0)?;
        let times = b.needed_numbers(call.needed(1)?, "counts")?.items;
        if times.len() != of.rank {
            return Err(format!("has {} counts for {} sides", times.len(), of.rank));
        }
        one(b.emit(
            "aten.repeat.default",
            vec![("self", tensor(of)), ("repeats", Argument::Several(times))],
            of.rank,
            of.dtype,
        ))
    }),
    ("Transpose", |b, call| {
        let of = taken(b, call, 0)?;
        let dims = call.ints("perm")?.unwrap_or_else(|| (0..of.rank as i64).rev().collect());
        if dims.len() != of.rank {
            return Err(format!("has an order of {} sides for {}", dims.len(), of.rank));
        }
        one(b.emit("aten.permute.default", vec![("self", tensor(of)), ("dims", ints(&dims))], of.rank, of.dtype))
    }),
    ("Trilu", |b, call| {
        let (of, upper) = (taken(b, call, 0)?, call.flag("upper", true)?);
        let diagonal = match call.input(1) {
            None => 0,
            Some(given) => b.single(given).and_then(known_int).ok_or("takes a diagonal that is computed")?,
        };
        let operator = if upper { "aten.triu.default" } else { "aten.tril.default" };
        one(b.emit(operator, vec![("self", tensor(of)), ("diagonal", int(diagonal))], of.rank, of.dtype))
    }),
    ("Unsqueeze", |b, call| {
        let mut of = taken(b, call, 0)?;
        let given = axes(b, call, 1)?.ok_or("has no axes")?;
        for place in from_first(&given, of.rank + given.len())? {
            let inputs = vec![("self", tensor(of)), ("dim", int(place as i64))];
            of = b.emit("aten.unsqueeze.default", inputs, of.rank + 1, of.dtype);
        }
        one(of)
    }),
];

fn constant(b: &mut Builder, call: &Call) -> Made {
    if let Some(value) = call.tensor("value")? {
        let stored = b.storage.tensor(&value)?;
        return one(b.weight(&value.name, stored, false));
    }
    let numbers =
        |items: Vec<Scalar>, dtype: Dtype, list: bool| Known::Numbers(Numbers { items, list, row: None, dtype });
    let known = if let Some(number) = call.int("value_int")? {
        numbers(vec![Scalar::Int(number)], Dtype::I64, false)
    } else if let Some(list) = call.ints("value_ints")? {
        numbers(list.into_iter().map(Scalar::Int).collect(), Dtype::I64, true)
    } else if let Some(number) = call.float("value_float")? {
        numbers(vec![Scalar::Float(number)], Dtype::F32, false)
    } else if let Some(list) = call.floats("value_floats")? {
        numbers(list.into_iter().map(Scalar::Float).collect(), Dtype::F32, true)
    } else {
        return Err("holds no number".to_owned());
    };
    Ok(vec![known])
}

/// As large as another shape says; a side of 1 there stays as it is.
fn expand(b: &mut Builder, call: &Call) -> Made {
    let of = taken(b, call, 0)?;
    let shape = b.needed_numbers(call.needed(1)?, "a shape")?.items;
    let rank = of.rank.max(shape.len());
    let mut sides = vec![Scalar::Int(-1); rank];
    for (place, side) in shape.iter().enumerate() {
        let at = rank - shape.len() + place;
        // -1 keeps a side that is there.
        sides[at] = if known_int(*side) == Some(1) && at >= rank - of.rank { Scalar::Int(-1) } else { *side };
    }
    one(b.emit("aten.expand.default", vec![("self", tensor(of)), ("size", Argument::Several(sides))], rank, of.dtype))
}

fn gather(b: &mut Builder, call: &Call) -> Made {
    let of = taken(b, call, 0)?;
    let along = axis(call.int_or("axis", 0)?, of.rank)?;
    let places = call.needed(1)?.clone();
    if let Some(numbers) = b.numbers(&places)
        && let ([place], false) = (&numbers.items[..], numbers.list)
    {
        let inputs = vec![("self", tensor(of)), ("dim", int(along as i64)), ("index", Argument::One(*place))];
        return one(b.emit("aten.select.int", inputs, of.rank - 1, of.dtype));
    }
    let places = b.tensor(&places)?;
    let mut indices = vec![Scalar::None; along];
    indices.push(Scalar::Value(places.value));
    let inputs = vec![("self", tensor(of)), ("indices", Argument::Several(indices))];
    one(b.emit("aten.index.Tensor", inputs, of.rank - 1 + places.rank, of.dtype))
}

fn reshape(b: &mut Builder, call: &Call) -> Made {
    let keeps_zeros = call.flag("allowzero", false)?;
    let of = taken(b, call, 0)?;
    let mut shape = b.needed_numbers(call.needed(1)?, "a shape")?.items;
    for (place, side) in shape.iter_mut().enumerate() {
        if known_int(*side) == Some(0) && !keeps_zeros {
            if place >= of.rank {
                return Err(format!("keeps side {place} of a tensor of {}", of.rank));
            }
            *side = b.side(of, place);
        }
    }
    let rank = shape.len();
    one(b.emit("aten.reshape.default", vec![("self", tensor(of)), ("shape", Argument::Several(shape))], rank, of.dtype))
}

fn slice(b: &mut Builder, call: &Call) -> Made {
    let mut of = taken(b, call, 0)?;
    let (starts, ends, along, steps) = if call.version < 10 {
        let bounds = |name: &str| {
            Ok::<_, String>(call.ints(name)?.ok_or("has no bounds")?.into_iter().map(Scalar::Int).collect::<Vec<_>>())
        };
        let starts = bounds("starts")?;
        let steps = vec![1; starts.len()];
        (starts, bounds("ends")?, call.ints("axes")?, steps)
    } else {
        let numbers =
            |place: usize, what: &str| b.needed_numbers(call.needed(place)?, what).map(|numbers| numbers.items);
        let (starts, ends) = (numbers(1, "starts")?, numbers(2, "ends")?);
        let known = |place: usize, what: &str| match call.input(place) {
            None => Ok(None),
            Some(given) => {
                b.needed_numbers(given, what)?.ints().map(Some).ok_or_else(|| format!("takes {what} that are computed"))
            }
        };
        let steps = known(4, "steps")?.unwrap_or_else(|| vec![1; starts.len()]);
        (starts, ends, known(3, "axes")?, steps)
    };
    let along = along.unwrap_or_else(|| (0..starts.len() as i64).collect());
    if [ends.len(), along.len(), steps.len()] != [starts.len(); 3] {
        return Err("has not as many starts as ends, axes and steps".to_owned());
    }
    for (((start, end), along), step) in starts.iter().zip(&ends).zip(&along).zip(&steps) {
        let dim = axis(*along, of.rank)? as i64;
        if *step < 0 {
            // All of it, from the end on.
            let whole = known_int(*start).is_some_and(|start| start == -1 || start > 1 << 30)
                && known_float(*end).is_some_and(|end| end < -1e9);
            if !whole || *step != -1 {
                return Err("backwards over a part, which is not run".to_owned());
            }
            of = b.emit("aten.flip.default", vec![("self", tensor(of)), ("dims", ints(&[dim]))], of.rank, of.dtype);
            continue;
        }
        let inputs = vec![
            ("self", tensor(of)),
            ("dim", int(dim)),
            ("start", Argument::One(*start)),
            ("end", Argument::One(*end)),
            ("step", int(*step)),
        ];
        of = b.emit("aten.slice.Tensor", inputs, of.rank, of.dtype);
    }
    one(of)
}

fn split(b: &mut Builder, call: &Call) -> Made {
    let of = taken(b, call, 0)?;
    let dim = axis(call.int_or("axis", 0)?, of.rank)? as i64;
    let sizes = match call.ints("split")? {
        Some(sizes) => Some(sizes.into_iter().map(Scalar::Int).collect()),
        None if maybe(b, call, 1)?.is_some() => Some(b.needed_numbers(call.needed(1)?, "sizes")?.items),
        None => None,
    };
    let count = sizes.as_ref().map_or_else(
        || call.int_or("num_outputs", call.outputs as i64),
        |sizes: &Vec<Scalar>| Ok(sizes.len() as i64),
    )?;
    if !(1..1 << 16).contains(&count) {
        return Err(format!("into {count} parts"));
    }
    let mut inputs = vec![("self", tensor(of)), ("dim", int(dim))];
    let operator = if let Some(sizes) = sizes {
        inputs.push(("split_sizes", Argument::Several(sizes)));
        "aten.split_with_sizes.default"
    } else {
        inputs.push(("chunks", int(count)));
        "aten.chunk.default"
    };
    let parts = b.emit_several(operator, inputs, count as usize, of.rank, of.dtype);
    Ok(parts.into_iter().map(Known::Tensor).collect())
}
