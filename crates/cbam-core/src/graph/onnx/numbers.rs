//! What ONNX computes of shapes: numbers here, of which those that depend on a picture's size are computed when the graph runs.

use half::{bf16, f16};

use super::builder::{Builder, tensor};
use super::call::Call;
use super::known::{Known, MAX_NUMBERS, Numbers, float, int};
use super::lists::{gathered, joined, range, reshaped, sliced, spread, table, turned};
use super::operators::axes;
use super::tensors::dtype as dtype_of;
use crate::graph::program::{Argument, Scalar};
use crate::weights::Dtype;

/// What an operation makes of numbers alone; `None` if it takes tensors, or makes something else of them.
pub(super) fn computed(b: &mut Builder, call: &Call) -> Result<Option<Vec<Known>>, String> {
    if call.operator == "Shape" {
        return shape(b, call).map(|numbers| Some(vec![Known::Numbers(numbers)]));
    }
    if call.operator == "Clip" && call.version >= 11 {
        return Ok(clipped(b, call).map(|numbers| vec![Known::Numbers(numbers)]));
    }
    let mut inputs = Vec::with_capacity(call.inputs.len());
    for input in &call.inputs {
        let Some(numbers) = b.numbers(input) else { return Ok(None) };
        inputs.push(numbers);
    }
    let [first, rest @ ..] = &inputs[..] else { return Ok(None) };
    if inputs.iter().any(|input| input.row.is_some()) {
        return Ok(table(call, first, rest)?.map(|numbers| vec![Known::Numbers(numbers)]));
    }
    let made = match (call.operator.as_str(), rest) {
        ("Add" | "Sub" | "Mul" | "Div" | "Mod" | "Pow" | "Max" | "Min", [second]) => {
            call.only("fmod", 0)?;
            pairs(b, &call.operator, first, second, first.dtype)
        }
        ("Equal" | "Greater" | "GreaterOrEqual" | "Less" | "LessOrEqual" | "And" | "Or", [second]) => {
            pairs(b, &call.operator, first, second, Dtype::Bool)
        }
        ("Where", [yes, no]) => chosen(first, yes, no),
        ("Cast", []) => {
            call.idle("saturate");
            cast(b, first, dtype_of(call.int_or("to", 0)? as i32)?)
        }
        ("Floor" | "Ceil" | "Neg" | "Abs" | "Not", []) => each(b, &call.operator, first),
        ("Identity", []) => Some(first.clone()),
        ("Unsqueeze" | "Squeeze", _) => turned(call, first, rest)?,
        ("Concat", _) => joined(call, &inputs)?,
        ("Gather", [places]) => gathered(call, first, places)?,
        ("Slice", _) => sliced(first, rest),
        ("Reshape", [shape]) => {
            call.idle("allowzero");
            reshaped(first, shape)
        }
        ("Transpose", []) => {
            call.idle("perm");
            Some(first.clone())
        }
        ("Expand", [shape]) => spread(first, shape),
        ("Size", []) => Some(Numbers::one(Scalar::Int(first.items.len() as i64), Dtype::I64)),
        ("ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin", _) => reduced(b, call, first, rest)?,
        ("Range", [end, step]) => range(first, end, step),
        ("ConstantOfShape", []) => filled(b, call, first)?,
        _ => None,
    };
    Ok(made.map(|numbers| vec![Known::Numbers(numbers)]))
}

/// The sides of a tensor.
fn shape(b: &mut Builder, call: &Call) -> Result<Numbers, String> {
    let (start, end) = (call.int_or("start", 0)?, call.int("end")?);
    let of = match call.needed(0)? {
        Known::Numbers(numbers) => {
            let sides = if numbers.list { vec![Scalar::Int(numbers.items.len() as i64)] } else { Vec::new() };
            return Ok(Numbers::list(sides, Dtype::I64));
        }
        other => b.tensor(&other.clone())?,
    };
    let rank = of.rank as i64;
    let bound = |bound: i64| (if bound < 0 { bound + rank } else { bound }).clamp(0, rank) as usize;
    let sides = (bound(start)..bound(end.unwrap_or(rank))).map(|place| b.side(of, place)).collect();
    Ok(Numbers::list(sides, Dtype::I64))
}

/// Between two numbers, of which either may be left out.
fn clipped(b: &mut Builder, call: &Call) -> Option<Numbers> {
    let mut of = b.numbers(call.input(0)?).filter(|of| of.row.is_none())?;
    for (place, operator) in [(1, "Max"), (2, "Min")] {
        if let Some(bound) = call.input(place) {
            let bound = b.numbers(bound)?;
            of = pairs(b, operator, &of, &bound, of.dtype)?;
        }
    }
    Some(of)
}

/// Element by element, of two.
fn pairs(b: &mut Builder, operator: &str, first: &Numbers, second: &Numbers, dtype: Dtype) -> Option<Numbers> {
    let count = spread_over(first, second)?;
    let of_floats = first.dtype.is_float();
    let mut items = Vec::with_capacity(count);
    for place in 0..count {
        let at = |of: &Numbers| of.items[if of.items.len() == 1 { 0 } else { place }];
        items.push(two(b, operator, at(first), at(second), of_floats, dtype)?);
    }
    Some(Numbers { items, list: first.list || second.list, row: None, dtype })
}

/// How many there are of two lists, one of which may stand for all of the other.
fn spread_over(first: &Numbers, second: &Numbers) -> Option<usize> {
    match (first.items.len(), second.items.len()) {
        (a, b) if a == b => Some(a),
        (1, many) | (many, 1) => Some(many),
        _ => None,
    }
}

fn two(b: &mut Builder, operator: &str, x: Scalar, y: Scalar, of_floats: bool, dtype: Dtype) -> Option<Scalar> {
    if let (Some(a), Some(c)) = (float(x), float(y)) {
        let order = match operator {
            "Equal" => Some(a == c),
            "Greater" => Some(a > c),
            "GreaterOrEqual" => Some(a >= c),
            "Less" => Some(a < c),
            "LessOrEqual" => Some(a <= c),
            "And" => Some(a != 0.0 && c != 0.0),
            "Or" => Some(a != 0.0 || c != 0.0),
            _ => None,
        };
        if let Some(truth) = order {
            return Some(Scalar::Bool(truth));
        }
        return if of_floats {
            let number = match operator {
                "Add" => a + c,
                "Sub" => a - c,
                "Mul" => a * c,
                "Div" => a / c,
                "Pow" => a.powf(c),
                "Max" => a.max(c),
                "Min" => a.min(c),
                _ => return None,
            };
            Some(Scalar::Float(rounded(number, dtype)))
        } else {
            let (a, c) = (int(x)?, int(y)?);
            let number = match operator {
                "Add" => a.checked_add(c),
                "Sub" => a.checked_sub(c),
                "Mul" => a.checked_mul(c),
                "Div" => a.checked_div(c),
                "Mod" if c > 0 => a.checked_rem_euclid(c),
                "Pow" => a.checked_pow(u32::try_from(c).ok()?),
                "Max" => Some(a.max(c)),
                "Min" => Some(a.min(c)),
                _ => None,
            };
            number.map(Scalar::Int)
        };
    }
    // No side is negative.
    let never = |b: &Builder, of: Scalar, number: Scalar| {
        of.value().is_some_and(|value| b.is_side(value)) && float(number).is_some_and(|number| number < 0.0)
    };
    if operator == "Equal" && (never(b, x, y) || never(b, y, x)) {
        return Some(Scalar::Bool(false));
    }
    let operator = match operator {
        "Add" => "_operator.add",
        "Sub" => "_operator.sub",
        "Mul" => "_operator.mul",
        "Div" if of_floats => "_operator.truediv",
        "Div" => "_operator.floordiv",
        "Mod" => "_operator.mod",
        "Max" => "torch.sym_max",
        "Min" => "torch.sym_min",
        "Equal" => "_operator.eq",
        "Greater" => "_operator.gt",
        "GreaterOrEqual" => "_operator.ge",
        "Less" => "_operator.lt",
        "LessOrEqual" => "_operator.le",
        _ => return None,
    };
    Some(b.emit_number(operator, vec![("a", Argument::One(x)), ("b", Argument::One(y))]))
}

/// Of two whole numbers, one of which may be computed when the graph runs.
pub(super) fn whole(b: &mut Builder, operator: &str, x: Scalar, y: Scalar) -> Result<Scalar, String> {
    two(b, operator, x, y, false, Dtype::I64).ok_or_else(|| "has a number that is no whole one".to_owned())
}

/// A number as elements of a type have it.
fn rounded(number: f64, dtype: Dtype) -> f64 {
    match dtype {
        Dtype::F32 => f64::from(number as f32),
        Dtype::F16 => f16::from_f64(number).to_f64(),
        Dtype::BF16 => bf16::from_f64(number).to_f64(),
        _ => number,
    }
}

/// By conditions that are known.
fn chosen(condition: &Numbers, yes: &Numbers, no: &Numbers) -> Option<Numbers> {
    let count = condition.items.len().max(spread_over(yes, no)?);
    let at = |of: &Numbers, place: usize| of.items.get(if of.items.len() == 1 { 0 } else { place }).copied();
    let item = |place| if int(at(condition, place)?)? != 0 { at(yes, place) } else { at(no, place) };
    let items = (0..count).map(item).collect::<Option<_>>()?;
    Some(Numbers { items, list: condition.list || yes.list || no.list, row: None, dtype: yes.dtype })
}

fn cast(b: &mut Builder, of: &Numbers, dtype: Dtype) -> Option<Numbers> {
    let mut items = Vec::with_capacity(of.items.len());
    for item in &of.items {
        items.push(match (float(*item), dtype) {
            (Some(number), Dtype::Bool) => Scalar::Bool(number != 0.0),
            (Some(number), dtype) if dtype.is_float() => Scalar::Float(rounded(number, dtype)),
            (Some(number), _) => Scalar::Int(int(Scalar::Float(number.trunc()))?),
            (None, Dtype::Bool) => return None,
            // A whole number stays one among numbers.
            (None, _) if dtype.is_float() || !of.dtype.is_float() => *item,
            (None, _) => b.emit_number("torch.sym_int", vec![("a", Argument::One(*item))]),
        });
    }
    Some(Numbers { items, list: of.list, row: None, dtype })
}

fn each(b: &mut Builder, operator: &str, of: &Numbers) -> Option<Numbers> {
    let mut items = Vec::with_capacity(of.items.len());
    for item in &of.items {
        let emitted = match operator {
            "Floor" => "math.floor",
            "Ceil" => "math.ceil",
            "Neg" => "_operator.neg",
            _ => "",
        };
        items.push(match (float(*item), operator) {
            (Some(number), "Floor") => Scalar::Float(number.floor()),
            (Some(number), "Ceil") => Scalar::Float(number.ceil()),
            (Some(number), "Not") => Scalar::Bool(number == 0.0),
            (Some(number), _) => {
                let number = if operator == "Neg" { -number } else { number.abs() };
                if of.dtype.is_float() { Scalar::Float(number) } else { Scalar::Int(int(Scalar::Float(number))?) }
            }
            (None, _) if emitted.is_empty() => return None,
            (None, _) => b.emit_number(emitted, vec![("a", Argument::One(*item))]),
        });
    }
    Some(Numbers { items, list: of.list, row: None, dtype: of.dtype })
}

fn reduced(b: &mut Builder, call: &Call, of: &Numbers, rest: &[Numbers]) -> Result<Option<Numbers>, String> {
    let axes = axes(b, call, 1)?;
    let keep = call.flag("keepdims", true)?;
    if !of.list || rest.len() > 1 || axes.is_some_and(|axes| !matches!(axes[..], [0 | -1])) {
        return Ok(None);
    }
    call.idle("noop_with_empty_axes");
    let operator = match call.operator.as_str() {
        "ReduceProd" => "Mul",
        "ReduceSum" => "Add",
        "ReduceMax" => "Max",
        _ => "Min",
    };
    let Some((first, others)) = of.items.split_first() else { return Ok(None) };
    let mut total = *first;
    for item in others {
        let Some(next) = two(b, operator, total, *item, of.dtype.is_float(), of.dtype) else { return Ok(None) };
        total = next;
    }
    Ok(Some(Numbers { items: vec![total], list: keep, row: None, dtype: of.dtype }))
}

fn filled(b: &Builder, call: &Call, shape: &Numbers) -> Result<Option<Numbers>, String> {
    let count = match shape.ints().as_deref() {
        Some([]) => None,
        Some([count]) if (0..=MAX_NUMBERS as i64).contains(count) => Some(*count as usize),
        _ => return Ok(None),
    };
    let (item, dtype) = fill_of(b, call)?;
    Ok(Some(Numbers { items: vec![item; count.unwrap_or(1)], list: count.is_some(), row: None, dtype }))
}

/// What a tensor is filled with: 0 if nothing is said.
pub(super) fn fill_of(b: &Builder, call: &Call) -> Result<(Scalar, Dtype), String> {
    let Some(value) = call.tensor("value")? else { return Ok((Scalar::Float(0.0), Dtype::F32)) };
    let stored = b.storage.tensor(&value)?;
    let number = *stored.doubles().first().ok_or("is filled with nothing")?;
    let dtype = stored.dtype();
    Ok((scalar(number, dtype), dtype))
}

/// A number as one of a type.
pub(super) fn scalar(number: f64, dtype: Dtype) -> Scalar {
    match dtype {
        Dtype::Bool => Scalar::Bool(number != 0.0),
        dtype if dtype.is_float() => Scalar::Float(number),
        _ => Scalar::Int(number as i64),
    }
}

/// A known number as the bytes of an element.
pub(super) fn bytes(of: Scalar, dtype: Dtype) -> Vec<u8> {
    let (real, whole) = (float(of).unwrap_or(f64::NAN), int(of).unwrap_or(0));
    match dtype {
        Dtype::F64 => real.to_le_bytes().to_vec(),
        Dtype::F32 => (real as f32).to_le_bytes().to_vec(),
        Dtype::F16 => f16::from_f64(real).to_le_bytes().to_vec(),
        Dtype::BF16 => bf16::from_f64(real).to_le_bytes().to_vec(),
        Dtype::I64 => whole.to_le_bytes().to_vec(),
        Dtype::I32 => (whole as i32).to_le_bytes().to_vec(),
        Dtype::I16 => (whole as i16).to_le_bytes().to_vec(),
        Dtype::I8 | Dtype::U8 | Dtype::Bool => vec![whole as u8],
    }
}

/// A tensor's number of elements.
pub(super) fn size(b: &mut Builder, call: &Call) -> Result<Vec<Known>, String> {
    let of = b.tensor(&call.needed(0)?.clone())?;
    let count = b.emit_number("aten.sym_numel.default", vec![("self", tensor(of))]);
    Ok(vec![Known::Numbers(Numbers::one(count, Dtype::I64))])
}
