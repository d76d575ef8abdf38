//! Matrices and norms.

use super::super::builder::{Builder, flag, float, int, ints, tensor, tensors};
use super::super::call::Call;
use super::super::known::Tensor;
use super::{Made, Table, axis, maybe, one, taken};
use crate::graph::program::Argument;
use crate::weights::Dtype;

pub(super) const TABLE: Table = &[
    ("BatchNormalization", batch_norm),
    ("Einsum", einsum),
    ("Gemm", gemm),
    ("GroupNormalization", |b, call| {
        call.idle("stash_type");
        if call.version < 21 {
            return Err("of set 18, which is scaled by groups and was replaced in set 21; it is not run".to_owned());
        }
        let (of, weight, bias) = (taken(b, call, 0)?, taken(b, call, 1)?, taken(b, call, 2)?);
        let groups = call.int("num_groups")?.ok_or("has no num_groups")?;
        let inputs = vec![
            ("input", tensor(of)),
            ("num_groups", int(groups)),
            ("weight", tensor(weight)),
            ("bias", tensor(bias)),
            ("eps", float(call.float_or("epsilon", 1e-5)?)),
        ];
        one(b.emit("aten.group_norm.default", inputs, of.rank, of.dtype))
    }),
    ("InstanceNormalization", |b, call| {
        let (of, weight, bias) = (taken(b, call, 0)?, taken(b, call, 1)?, taken(b, call, 2)?);
        let inputs = vec![
            ("input", tensor(of)),
            ("weight", tensor(weight)),
            ("bias", tensor(bias)),
            ("use_input_stats", flag(true)),
            ("momentum", float(0.0)),
            ("eps", float(call.float_or("epsilon", 1e-5)?)),
        ];
        one(b.emit("aten.instance_norm.default", inputs, of.rank, of.dtype))
    }),
    ("LRN", response_norm),
    ("LayerNormalization", |b, call| last_sides(b, call, "aten.layer_norm.default")),
    ("LpNormalization", |b, call| {
        let (of, order) = (taken(b, call, 0)?, call.int_or("p", 2)?);
        let dim = axis(call.int_or("axis", -1)?, of.rank)? as i64;
        let inputs =
            vec![("self", tensor(of)), ("ord", float(order as f64)), ("dim", ints(&[dim])), ("keepdim", flag(true))];
        let norm = b.emit("aten.linalg_vector_norm.default", inputs, of.rank, of.dtype);
        // Of nothing nothing is left, and not what is no number.
        let norm =
            b.emit("aten.clamp_min.default", vec![("self", tensor(norm)), ("min", float(1e-30))], of.rank, of.dtype);
        one(b.emit("aten.div.Tensor", vec![("self", tensor(of)), ("other", tensor(norm))], of.rank, of.dtype))
    }),
    ("MatMul", |b, call| {
        let (first, second) = (taken(b, call, 0)?, taken(b, call, 1)?);
        if first.rank == 0 || second.rank == 0 {
            return Err("of a number, which is no matrix".to_owned());
        }
        let lines = usize::from(first.rank == 1) + usize::from(second.rank == 1);
        let rank = first.rank.max(second.rank).saturating_sub(lines);
        one(b.emit("aten.matmul.default", vec![("self", tensor(first)), ("other", tensor(second))], rank, first.dtype))
    }),
    ("RMSNormalization", |b, call| last_sides(b, call, "aten.rms_norm.default")),
];

fn batch_norm(b: &mut Builder, call: &Call) -> Made {
    call.idle("momentum");
    call.only("spatial", 1)?;
    call.only("training_mode", 0)?;
    call.only("is_test", 1)?;
    let of = taken(b, call, 0)?;
    let (weight, bias, mean, var) = (taken(b, call, 1)?, taken(b, call, 2)?, taken(b, call, 3)?, taken(b, call, 4)?);
    let inputs = vec![
        ("input", tensor(of)),
        ("weight", tensor(weight)),
        ("bias", tensor(bias)),
        ("running_mean", tensor(mean)),
        ("running_var", tensor(var)),
        ("training", flag(false)),
        ("momentum", float(0.0)),
        ("eps", float(call.float_or("epsilon", 1e-5)?)),
    ];
    one(b.emit("aten.batch_norm.default", inputs, of.rank, of.dtype))
}

/// A norm over the sides from one on, scaled and moved.
fn last_sides(b: &mut Builder, call: &Call, operator: &str) -> Made {
    call.idle("stash_type");
    let (of, weight, bias) = (taken(b, call, 0)?, maybe(b, call, 1)?, maybe(b, call, 2)?);
    let first = axis(call.int_or("axis", -1)?, of.rank)?;
    let sides = (first..of.rank).map(|place| b.side(of, place)).collect();
    // PyTorch takes weights of just these sides.
    let fits = |of_norm: Option<Tensor>| of_norm.is_none_or(|weight| weight.rank == of.rank - first);
    let inside = fits(weight) && fits(bias);
    let given = |of: Option<Tensor>| of.filter(|_| inside).map_or(Argument::None, tensor);
    let mut inputs =
        vec![("input", tensor(of)), ("normalized_shape", Argument::Several(sides)), ("weight", given(weight))];
    if operator == "aten.layer_norm.default" {
        inputs.push(("bias", given(bias)));
    }
    inputs.push(("eps", float(call.float_or("epsilon", 1e-5)?)));
    let mut made = b.emit(operator, inputs, of.rank, of.dtype);
    for (operator, other) in [("aten.mul.Tensor", weight), ("aten.add.Tensor", bias)] {
        if let (Some(other), false) = (other, inside) {
            made = b.emit(
                operator,
                vec![("self", tensor(made)), ("other", tensor(other))],
                of.rank.max(other.rank),
                of.dtype,
            );
        }
    }
    one(made)
}

fn gemm(b: &mut Builder, call: &Call) -> Made {
    let (alpha, beta) = (call.float_or("alpha", 1.0)?, call.float_or("beta", 1.0)?);
    let (turn_first, turn_second) = (call.flag("transA", false)?, call.flag("transB", false)?);
    let (first, second, bias) = (taken(b, call, 0)?, taken(b, call, 1)?, maybe(b, call, 2)?);
    if first.rank != 2 || second.rank != 2 {
        return Err(format!("of tensors of {} and {} sides, and not of matrices", first.rank, second.rank));
    }
    let plain = alpha == 1.0 && beta == 1.0 && !turn_first;
    if plain && turn_second && bias.is_none_or(|bias| bias.rank == 1) {
        let bias = bias.map_or(Argument::None, tensor);
        let inputs = vec![("input", tensor(first)), ("weight", tensor(second)), ("bias", bias)];
        return one(b.emit("aten.linear.default", inputs, 2, first.dtype));
    }
    let turned = |b: &mut Builder, of: Tensor, turn: bool| {
        if turn { b.emit("aten.t.default", vec![("self", tensor(of))], 2, of.dtype) } else { of }
    };
    let (first, second) = (turned(b, first, turn_first), turned(b, second, turn_second));
    let times = |b: &mut Builder, of: Tensor, by: f64| {
        if by == 1.0 {
            of
        } else {
            b.emit("aten.mul.Tensor", vec![("self", tensor(of)), ("other", float(by))], of.rank, of.dtype)
        }
    };
    let product =
        b.emit("aten.matmul.default", vec![("self", tensor(first)), ("other", tensor(second))], 2, first.dtype);
    let product = times(b, product, alpha);
    let Some(bias) = bias else { return one(product) };
    let bias = times(b, bias, beta);
    one(b.emit("aten.add.Tensor", vec![("self", tensor(product)), ("other", tensor(bias))], 2, product.dtype))
}

fn einsum(b: &mut Builder, call: &Call) -> Made {
    let equation = call.text("equation")?.ok_or("has no equation")?;
    let Some((_, result)) = equation.split_once("->").filter(|_| !equation.contains('.')) else {
        return Err(format!("by {equation:?}; one that names all sides, and those of the result, is run"));
    };
    let rank = result.chars().filter(|letter| letter.is_alphabetic()).count();
    let mut parts = Vec::new();
    for place in 0..call.inputs.len() {
        parts.push(taken(b, call, place)?);
    }
    let dtype = parts.first().map_or(Dtype::F32, |part| part.dtype);
    one(b.emit(
        "aten.einsum.default",
        vec![("equation", Argument::Text(equation)), ("tensors", tensors(&parts))],
        rank,
        dtype,
    ))
}

/// `x / (bias + alpha / size × Σ x²)^beta`, over the channels around each one.
fn response_norm(b: &mut Builder, call: &Call) -> Made {
    let of = taken(b, call, 0)?;
    let (alpha, beta, bias) =
        (call.float_or("alpha", 1e-4)?, call.float_or("beta", 0.75)?, call.float_or("bias", 1.0)?);
    let size = call.int("size")?.filter(|size| (1..1 << 16).contains(size)).ok_or("has no size")?;
    if of.rank != 4 {
        return Err(format!("of a tensor of {} sides", of.rank));
    }
    let dtype = of.dtype;
    let square = b.emit("aten.square.default", vec![("self", tensor(of))], 4, dtype);
    let line = b.emit("aten.unsqueeze.default", vec![("self", tensor(square)), ("dim", int(1))], 5, dtype);
    let pad = ints(&[0, 0, 0, 0, (size - 1) / 2, size / 2]);
    let line = b.emit(
        "aten.constant_pad_nd.default",
        vec![("self", tensor(line)), ("pad", pad), ("value", float(0.0))],
        5,
        dtype,
    );
    let inputs = vec![("self", tensor(line)), ("kernel_size", ints(&[size, 1, 1])), ("stride", ints(&[1, 1, 1]))];
    let mean = b.emit("aten.avg_pool3d.default", inputs, 5, dtype);
    let mean = b.emit("aten.squeeze.dim", vec![("self", tensor(mean)), ("dim", int(1))], 4, dtype);
    let scaled = b.emit("aten.mul.Tensor", vec![("self", tensor(mean)), ("other", float(alpha))], 4, dtype);
    let moved = b.emit("aten.add.Tensor", vec![("self", tensor(scaled)), ("other", float(bias))], 4, dtype);
    let power = b.emit("aten.pow.Tensor_Scalar", vec![("self", tensor(moved)), ("exponent", float(beta))], 4, dtype);
    one(b.emit("aten.div.Tensor", vec![("self", tensor(of)), ("other", tensor(power))], 4, dtype))
}
