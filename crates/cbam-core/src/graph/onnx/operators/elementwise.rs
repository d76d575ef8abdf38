//! Element by element.

use super::super::builder::{Builder, float, int, tensor};
use super::super::call::Call;
use super::super::known::{Known, Tensor};
use super::super::tensors::dtype as dtype_of;
use super::{Made, Table, maybe, one, taken};
use crate::graph::program::{Argument, Scalar};
use crate::weights::Dtype;

pub(super) const TABLE: Table = &[
    ("Abs", |b, call| unary(b, call, "aten.abs.default")),
    ("Add", |b, call| arithmetic(b, call, "aten.add.Tensor")),
    ("And", |b, call| two(b, call, "aten.logical_and.default", Some(Dtype::Bool))),
    ("Atan", |b, call| unary(b, call, "aten.atan.default")),
    ("Cast", |b, call| {
        call.idle("saturate");
        let (of, dtype) = (taken(b, call, 0)?, dtype_of(call.int_or("to", 0)? as i32)?);
        one(cast(b, of, dtype))
    }),
    ("CastLike", |b, call| {
        call.idle("saturate");
        let (of, like) = (taken(b, call, 0)?, taken(b, call, 1)?);
        one(cast(b, of, like.dtype))
    }),
    ("Ceil", |b, call| unary(b, call, "aten.ceil.default")),
    ("Celu", |b, call| with_float(b, call, "aten.celu.default", "alpha", 1.0, "alpha")),
    ("Clip", clip),
    ("Cos", |b, call| unary(b, call, "aten.cos.default")),
    ("Div", |b, call| arithmetic(b, call, "aten.div.Tensor")),
    ("Dropout", dropout),
    ("Elu", |b, call| with_float(b, call, "aten.elu.default", "alpha", 1.0, "alpha")),
    ("Equal", |b, call| compare(b, call, "aten.eq.Tensor")),
    ("Erf", |b, call| unary(b, call, "aten.erf.default")),
    ("Exp", |b, call| unary(b, call, "aten.exp.default")),
    ("Floor", |b, call| unary(b, call, "aten.floor.default")),
    ("Gelu", |b, call| {
        let (of, how) = (taken(b, call, 0)?, call.text_or("approximate", "none")?);
        let inputs = vec![("self", tensor(of)), ("approximate", Argument::Text(how))];
        one(b.emit("aten.gelu.default", inputs, of.rank, of.dtype))
    }),
    ("Greater", |b, call| compare(b, call, "aten.gt.Tensor")),
    ("GreaterOrEqual", |b, call| compare(b, call, "aten.ge.Tensor")),
    ("HardSigmoid", hard_sigmoid),
    ("HardSwish", |b, call| unary(b, call, "aten.hardswish.default")),
    ("Identity", |_, call| Ok(vec![call.needed(0)?.clone()])),
    ("IsInf", |b, call| {
        call.only("detect_negative", 1)?;
        call.only("detect_positive", 1)?;
        let of = taken(b, call, 0)?;
        one(b.emit("aten.isinf.default", vec![("self", tensor(of))], of.rank, Dtype::Bool))
    }),
    ("IsNaN", |b, call| {
        let of = taken(b, call, 0)?;
        one(b.emit("aten.isnan.default", vec![("self", tensor(of))], of.rank, Dtype::Bool))
    }),
    ("LeakyRelu", |b, call| with_float(b, call, "aten.leaky_relu.default", "alpha", 0.01, "negative_slope")),
    ("Less", |b, call| compare(b, call, "aten.lt.Tensor")),
    ("LessOrEqual", |b, call| compare(b, call, "aten.le.Tensor")),
    ("Log", |b, call| unary(b, call, "aten.log.default")),
    ("Max", |b, call| folded(b, call, "aten.maximum.default")),
    ("Mean", |b, call| {
        let sum = folded(b, call, "aten.add.Tensor")?;
        let [Known::Tensor(sum)] = sum[..] else { return Ok(sum) };
        let inputs = vec![("self", tensor(sum)), ("other", float(call.inputs.len() as f64))];
        one(b.emit("aten.div.Tensor", inputs, sum.rank, sum.dtype))
    }),
    ("Min", |b, call| folded(b, call, "aten.minimum.default")),
    ("Mish", |b, call| unary(b, call, "aten.mish.default")),
    ("Mod", |b, call| {
        call.only("fmod", 0)?;
        two(b, call, "aten.remainder.Tensor", None)
    }),
    ("Mul", |b, call| arithmetic(b, call, "aten.mul.Tensor")),
    ("Neg", |b, call| unary(b, call, "aten.neg.default")),
    ("Not", |b, call| {
        let of = taken(b, call, 0)?;
        one(b.emit("aten.logical_not.default", vec![("self", tensor(of))], of.rank, Dtype::Bool))
    }),
    ("Or", |b, call| two(b, call, "aten.logical_or.default", Some(Dtype::Bool))),
    ("PRelu", prelu),
    ("Pow", power),
    ("Reciprocal", |b, call| unary(b, call, "aten.reciprocal.default")),
    ("Relu", |b, call| unary(b, call, "aten.relu.default")),
    ("Round", |b, call| unary(b, call, "aten.round.default")),
    ("Selu", |b, call| {
        let (alpha, gamma) =
            (call.float_or("alpha", 1.673_263_192_176_818_8)?, call.float_or("gamma", 1.050_700_902_938_842_8)?);
        let of = taken(b, call, 0)?;
        let inputs = vec![("self", tensor(of)), ("alpha", float(alpha)), ("scale", float(gamma))];
        one(b.emit("aten.elu.default", inputs, of.rank, of.dtype))
    }),
    ("Sigmoid", |b, call| unary(b, call, "aten.sigmoid.default")),
    ("Sign", |b, call| unary(b, call, "aten.sign.default")),
    ("Sin", |b, call| unary(b, call, "aten.sin.default")),
    ("Softplus", |b, call| unary(b, call, "aten.softplus.default")),
    ("Softsign", |b, call| {
        let of = taken(b, call, 0)?;
        let size = b.emit("aten.abs.default", vec![("self", tensor(of))], of.rank, of.dtype);
        let below = b.emit("aten.add.Tensor", vec![("self", tensor(size)), ("other", int(1))], of.rank, of.dtype);
        one(b.emit("aten.div.Tensor", vec![("self", tensor(of)), ("other", tensor(below))], of.rank, of.dtype))
    }),
    ("Sqrt", |b, call| unary(b, call, "aten.sqrt.default")),
    ("Sub", |b, call| arithmetic(b, call, "aten.sub.Tensor")),
    ("Sum", |b, call| folded(b, call, "aten.add.Tensor")),
    ("Swish", |b, call| {
        let (of, alpha) = (taken(b, call, 0)?, call.float_or("alpha", 1.0)?);
        let scaled = b.emit("aten.mul.Tensor", vec![("self", tensor(of)), ("other", float(alpha))], of.rank, of.dtype);
        let gate = b.emit("aten.sigmoid.default", vec![("self", tensor(scaled))], of.rank, of.dtype);
        one(b.emit("aten.mul.Tensor", vec![("self", tensor(of)), ("other", tensor(gate))], of.rank, of.dtype))
    }),
    ("Tanh", |b, call| unary(b, call, "aten.tanh.default")),
    ("ThresholdedRelu", |b, call| {
        let (of, alpha) = (taken(b, call, 0)?, call.float_or("alpha", 1.0)?);
        let inputs = vec![("self", tensor(of)), ("threshold", float(alpha)), ("value", float(0.0))];
        one(b.emit("aten.threshold.default", inputs, of.rank, of.dtype))
    }),
    ("Where", |b, call| {
        let (condition, yes, no) = (taken(b, call, 0)?, taken(b, call, 1)?, taken(b, call, 2)?);
        let inputs = vec![("self", tensor(yes)), ("condition", tensor(condition)), ("other", tensor(no))];
        one(b.emit("aten.where.self", inputs, condition.rank.max(yes.rank).max(no.rank), yes.dtype))
    }),
    ("Xor", |b, call| two(b, call, "aten.ne.Tensor", Some(Dtype::Bool))),
];

fn unary(b: &mut Builder, call: &Call, operator: &str) -> Made {
    // Before set 6 an attribute of this name said which input may be written over.
    call.idle("consumed_inputs");
    let of = taken(b, call, 0)?;
    one(b.emit(operator, vec![("self", tensor(of))], of.rank, of.dtype))
}

/// With one number, as ONNX and as PyTorch call it.
fn with_float(b: &mut Builder, call: &Call, operator: &str, name: &str, default: f64, of_torch: &str) -> Made {
    let (of, number) = (taken(b, call, 0)?, call.float_or(name, default)?);
    one(b.emit(operator, vec![("self", tensor(of)), (of_torch, float(number))], of.rank, of.dtype))
}

/// Elements of another type.
pub(super) fn cast(b: &mut Builder, of: Tensor, dtype: Dtype) -> Tensor {
    if of.dtype == dtype {
        return of;
    }
    b.emit("aten._to_copy.default", vec![("self", tensor(of)), ("dtype", Argument::Dtype(dtype))], of.rank, dtype)
}

/// Of two tensors.
fn two(b: &mut Builder, call: &Call, operator: &str, dtype: Option<Dtype>) -> Made {
    let (first, second) = (taken(b, call, 0)?, taken(b, call, 1)?);
    let inputs = vec![("self", tensor(first)), ("other", tensor(second))];
    one(b.emit(operator, inputs, first.rank.max(second.rank), dtype.unwrap_or(first.dtype)))
}

/// The number that an input is for a tensor of so many sides, if it is one: it may not give the tensor more sides.
fn number(b: &Builder, of: &Known, rank: usize) -> Option<Scalar> {
    let sides = match of {
        Known::Tensor(tensor) => tensor.rank,
        Known::Numbers(numbers) => numbers.rank(),
        Known::Nothing => return None,
    };
    b.single(of).filter(|_| sides <= rank)
}

/// An operation's second argument for a tensor of so many sides, and how many it has itself.
fn tensor_or_number(b: &mut Builder, of: &Known, rank: usize) -> Result<(Argument, usize), String> {
    if let Some(number) = number(b, of, rank) {
        return Ok((Argument::One(number), 0));
    }
    let other = b.tensor(of)?;
    Ok((tensor(other), other.rank))
}

/// Of two tensors, or of a tensor and a number.
fn arithmetic(b: &mut Builder, call: &Call, operator: &str) -> Made {
    let (first, second) = (call.needed(0)?.clone(), call.needed(1)?.clone());
    let commutes = matches!(operator, "aten.add.Tensor" | "aten.mul.Tensor");
    let rank = |of: &Known| if let Known::Tensor(tensor) = of { tensor.rank } else { 0 };
    let (first, second) = match number(b, &first, rank(&second)) {
        Some(_) if commutes && number(b, &second, rank(&first)).is_none() => (second, first),
        _ => (first, second),
    };
    let of = b.tensor(&first)?;
    let (other, other_rank) = tensor_or_number(b, &second, of.rank)?;
    let mut inputs = vec![("self", tensor(of)), ("other", other)];
    let mut operator = operator;
    // Of whole numbers ONNX gives whole numbers.
    if operator == "aten.div.Tensor" && !of.dtype.is_float() {
        operator = "aten.div.Tensor_mode";
        inputs.push(("rounding_mode", Argument::Text("trunc".to_owned())));
    }
    one(b.emit(operator, inputs, of.rank.max(other_rank), of.dtype))
}

fn compare(b: &mut Builder, call: &Call, operator: &str) -> Made {
    let of = taken(b, call, 0)?;
    let second = call.needed(1)?.clone();
    let (other, rank) = tensor_or_number(b, &second, of.rank)?;
    one(b.emit(operator, vec![("self", tensor(of)), ("other", other)], of.rank.max(rank), Dtype::Bool))
}

/// Of as many tensors as there are, one after the other.
fn folded(b: &mut Builder, call: &Call, operator: &str) -> Made {
    let mut total = taken(b, call, 0)?;
    for place in 1..call.inputs.len() {
        let next = taken(b, call, place)?;
        let inputs = vec![("self", tensor(total)), ("other", tensor(next))];
        total = b.emit(operator, inputs, total.rank.max(next.rank), total.dtype);
    }
    one(total)
}

/// Cut to between two numbers.
fn clip(b: &mut Builder, call: &Call) -> Made {
    let mut of = taken(b, call, 0)?;
    if call.version < 11 {
        let (least, most) = (call.float("min")?, call.float("max")?);
        let bound = |bound: Option<f64>| bound.map_or(Argument::None, float);
        let inputs = vec![("self", tensor(of)), ("min", bound(least)), ("max", bound(most))];
        return one(b.emit("aten.clamp.default", inputs, of.rank, of.dtype));
    }
    let known =
        |place: usize| call.input(place).map_or(Some(Argument::None), |bound| b.single(bound).map(Argument::One));
    if let (Some(least), Some(most)) = (known(1), known(2)) {
        let inputs = vec![("self", tensor(of)), ("min", least), ("max", most)];
        return one(b.emit("aten.clamp.default", inputs, of.rank, of.dtype));
    }
    for (place, operator) in [(1, "aten.maximum.default"), (2, "aten.minimum.default")] {
        if let Some(bound) = maybe(b, call, place)? {
            of = b.emit(operator, vec![("self", tensor(of)), ("other", tensor(bound))], of.rank, of.dtype);
        }
    }
    one(of)
}

/// `clip(alpha × x + beta, 0, 1)`.
fn hard_sigmoid(b: &mut Builder, call: &Call) -> Made {
    let (alpha, beta) = (call.float_or("alpha", 0.2)?, call.float_or("beta", 0.5)?);
    let of = taken(b, call, 0)?;
    if (alpha - 1.0 / 6.0).abs() < 1e-6 && beta == 0.5 {
        return one(b.emit("aten.hardsigmoid.default", vec![("self", tensor(of))], of.rank, of.dtype));
    }
    let scaled = b.emit("aten.mul.Tensor", vec![("self", tensor(of)), ("other", float(alpha))], of.rank, of.dtype);
    let moved = b.emit("aten.add.Tensor", vec![("self", tensor(scaled)), ("other", float(beta))], of.rank, of.dtype);
    let inputs = vec![("self", tensor(moved)), ("min", float(0.0)), ("max", float(1.0))];
    one(b.emit("aten.clamp.default", inputs, of.rank, of.dtype))
}

/// Nothing, in inference; the mask that it may give out lets everything through.
fn dropout(b: &mut Builder, call: &Call) -> Made {
    for name in ["ratio", "seed", "is_test"] {
        call.idle(name);
    }
    if let Some(training) = call.input(2)
        && b.single(training).is_none_or(|training| !matches!(training, Scalar::Bool(false)))
    {
        return Err("in training, which is not run; export the network with model.eval()".to_owned());
    }
    Ok(vec![call.needed(0)?.clone()])
}

/// `x` over 0, `slope × x` under it; a slope of each channel, or one for all.
fn prelu(b: &mut Builder, call: &Call) -> Made {
    let (of, slope) = (taken(b, call, 0)?, taken(b, call, 1)?);
    let below = b.emit(
        "aten.mul.Tensor",
        vec![("self", tensor(of)), ("other", tensor(slope))],
        of.rank.max(slope.rank),
        of.dtype,
    );
    let over = b.emit("aten.gt.Tensor", vec![("self", tensor(of)), ("other", int(0))], of.rank, Dtype::Bool);
    let inputs = vec![("self", tensor(of)), ("condition", tensor(over)), ("other", tensor(below))];
    one(b.emit("aten.where.self", inputs, below.rank, of.dtype))
}

fn power(b: &mut Builder, call: &Call) -> Made {
    let of = taken(b, call, 0)?;
    let exponent = call.needed(1)?.clone();
    if let Some(number) = number(b, &exponent, of.rank) {
        let inputs = vec![("self", tensor(of)), ("exponent", Argument::One(number))];
        return one(b.emit("aten.pow.Tensor_Scalar", inputs, of.rank, of.dtype));
    }
    let exponent = b.tensor(&exponent)?;
    let inputs = vec![("self", tensor(of)), ("exponent", tensor(exponent))];
    one(b.emit("aten.pow.Tensor_Tensor", inputs, of.rank.max(exponent.rank), of.dtype))
}
