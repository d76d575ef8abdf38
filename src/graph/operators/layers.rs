//! Convolutions, matrices, norms, embeddings, dropout.

use tch::Tensor;

use super::super::given::{Given, Held, Number};
use super::{Made, Table, one, same};
use crate::{Error, Result};

pub(super) const TABLE: Table = &[
    ("aten._native_batch_norm_legit.no_stats", |given| alone(batch_norm(given)?, 3)),
    ("aten._native_batch_norm_legit_no_training.default", |given| alone(batch_norm(given)?, 3)),
    ("aten.addbmm.default", |given| {
        let summed = given.tensor("batch1")?.f_bmm(given.tensor("batch2")?)?.f_sum_dim_intlist(0_i64, false, None)?;
        one(scaled(given.tensor("self")?, given, "beta")?.f_add(&scaled(&summed, given, "alpha")?))
    }),
    ("aten.addmm.default", |given| {
        let (bias, a, b) = (given.tensor("self")?, given.tensor("mat1")?, given.tensor("mat2")?);
        if !given.has("alpha") && !given.has("beta") {
            return one(bias.f_addmm(a, b));
        }
        one(scaled(bias, given, "beta")?.f_add(&scaled(&a.f_mm(b)?, given, "alpha")?))
    }),
    ("aten.alpha_dropout.default", dropout),
    ("aten.baddbmm.default", |given| {
        let (alpha, beta) = (given.maybe_number("alpha")?, given.maybe_number("beta")?);
        let (alpha, beta) = (alpha.unwrap_or(Number::Int(1)), beta.unwrap_or(Number::Int(1)));
        one(given.tensor("self")?.f_baddbmm(given.tensor("batch1")?, given.tensor("batch2")?, beta, alpha))
    }),
    ("aten.batch_norm.default", |given| one(Ok(batch_norm(given)?))),
    ("aten.bmm.default", |given| one(given.tensor("self")?.f_bmm(given.tensor("mat2")?))),
    ("aten.conv1d.default", |given| {
        let Window { xs, weight, bias, stride, padding, dilation, groups } = Window::of(given, 1)?;
        one(xs.f_conv1d(weight, bias, stride, padding, dilation, groups))
    }),
    ("aten.conv2d.default", |given| {
        let Window { xs, weight, bias, stride, padding, dilation, groups } = Window::of(given, 2)?;
        one(xs.f_conv2d(weight, bias, stride, padding, dilation, groups))
    }),
    ("aten.conv2d.padding", |given| {
        let (stride, dilation) = (many(given, "stride", 2, 1)?, many(given, "dilation", 2, 1)?);
        let (weight, bias, groups) = (given.tensor("weight")?, given.maybe_tensor("bias")?, given.int_or("groups", 1)?);
        let padding = given.text("padding")?.unwrap_or("valid");
        one(given.tensor("input")?.f_conv2d_padding(weight, bias, stride, padding, dilation, groups))
    }),
    ("aten.conv3d.default", |given| {
        let Window { xs, weight, bias, stride, padding, dilation, groups } = Window::of(given, 3)?;
        one(xs.f_conv3d(weight, bias, stride, padding, dilation, groups))
    }),
    ("aten.conv_transpose2d.input", |given| {
        let Window { xs, weight, bias, stride, padding, dilation, groups } = Window::of(given, 2)?;
        let output_padding = many(given, "output_padding", 2, 0)?;
        one(xs.f_conv_transpose2d(weight, bias, stride, padding, output_padding, groups, dilation))
    }),
    ("aten.convolution.default", |given| {
        let (weight, bias) = (given.tensor("weight")?, given.maybe_tensor("bias")?);
        let (stride, padding, dilation) = (given.ints("stride")?, given.ints("padding")?, given.ints("dilation")?);
        let (transposed, output_padding) = (given.flag("transposed", false)?, given.ints("output_padding")?);
        let groups = given.int("groups")?;
        one(given.tensor("input")?.f_convolution(
            weight,
            bias,
            stride,
            padding,
            dilation,
            transposed,
            output_padding,
            groups,
        ))
    }),
    ("aten.cosine_similarity.default", |given| {
        let (dim, eps) = (given.int_or("dim", 1)?, given.float_or("eps", 1e-8)?);
        one(Tensor::f_cosine_similarity(given.tensor("x1")?, given.tensor("x2")?, dim, eps))
    }),
    ("aten.dropout.default", dropout),
    ("aten.einsum.default", |given| {
        let equation = given.text("equation")?.unwrap_or_default();
        let path = given.maybe_ints("path")?;
        one(Tensor::f_einsum(equation, &given.tensors("tensors")?, path.as_deref()))
    }),
    ("aten.embedding.default", |given| {
        one(Tensor::f_embedding(given.tensor("weight")?, given.tensor("indices")?, -1, false, false))
    }),
    ("aten.feature_dropout.default", dropout),
    ("aten.group_norm.default", |given| {
        let (weight, bias) = (given.maybe_tensor("weight")?, given.maybe_tensor("bias")?);
        one(given.tensor("input")?.f_group_norm(
            given.int("num_groups")?,
            weight,
            bias,
            given.float_or("eps", 1e-5)?,
            false,
        ))
    }),
    ("aten.instance_norm.default", |given| {
        let (weight, bias) = (given.maybe_tensor("weight")?, given.maybe_tensor("bias")?);
        let (mean, var) = (given.maybe_tensor("running_mean")?, given.maybe_tensor("running_var")?);
        let (of_input, eps) = (given.flag("use_input_stats", true)?, given.float("eps")?);
        one(given.tensor("input")?.f_instance_norm(
            weight,
            bias,
            mean,
            var,
            of_input,
            given.float("momentum")?,
            eps,
            false,
        ))
    }),
    ("aten.layer_norm.default", |given| {
        let (weight, bias) = (given.maybe_tensor("weight")?, given.maybe_tensor("bias")?);
        let (shape, eps) = (given.ints("normalized_shape")?, given.float_or("eps", 1e-5)?);
        one(given.tensor("input")?.f_layer_norm(shape, weight, bias, eps, false))
    }),
    ("aten.linear.default", |given| {
        one(given.tensor("input")?.f_linear(given.tensor("weight")?, given.maybe_tensor("bias")?))
    }),
    ("aten.matmul.default", |given| one(given.tensor("self")?.f_matmul(given.tensor("other")?))),
    ("aten.mm.default", |given| one(given.tensor("self")?.f_mm(given.tensor("mat2")?))),
    ("aten.native_batch_norm.default", |given| alone(batch_norm(given)?, 3)),
    ("aten.native_dropout.default", |given| {
        if given.flag("train", false)? {
            return Err(training(given));
        }
        let xs = given.tensor("input")?;
        Ok(vec![Held::Tensor(xs.shallow_clone()), Held::Tensor(xs.f_ones_like()?.f_to_kind(tch::Kind::Bool)?)])
    }),
    ("aten.native_group_norm.default", |given| {
        let (weight, bias) = (given.maybe_tensor("weight")?, given.maybe_tensor("bias")?);
        alone(given.tensor("input")?.f_group_norm(given.int("group")?, weight, bias, given.float("eps")?, false)?, 3)
    }),
    ("aten.native_layer_norm.default", |given| {
        let (weight, bias) = (given.maybe_tensor("weight")?, given.maybe_tensor("bias")?);
        let (shape, eps) = (given.ints("normalized_shape")?, given.float("eps")?);
        alone(given.tensor("input")?.f_layer_norm(shape, weight, bias, eps, false)?, 3)
    }),
    ("aten.outer.default", |given| one(given.tensor("self")?.f_outer(given.tensor("vec2")?))),
    ("aten.rms_norm.default", |given| {
        let (shape, weight, eps) =
            (given.ints("normalized_shape")?, given.maybe_tensor("weight")?, given.maybe_float("eps")?);
        one(given.tensor("input")?.f_rms_norm(shape, weight, eps))
    }),
];

/// What a convolution takes.
struct Window<'a> {
    xs: &'a Tensor,
    weight: &'a Tensor,
    bias: Option<&'a Tensor>,
    stride: Vec<i64>,
    padding: Vec<i64>,
    dilation: Vec<i64>,
    groups: i64,
}

impl<'a> Window<'a> {
    /// Of a convolution over that many sides.
    fn of(given: &Given<'a>, sides: usize) -> Result<Self> {
        Ok(Self {
            xs: given.tensor("input")?,
            weight: given.tensor("weight")?,
            bias: given.maybe_tensor("bias")?,
            stride: many(given, "stride", sides, 1)?,
            padding: many(given, "padding", sides, 0)?,
            dilation: many(given, "dilation", sides, 1)?,
            groups: given.int_or("groups", 1)?,
        })
    }
}

/// By running statistics, or by the input's own where there are none, as weights are standardised; in training there would be both.
fn batch_norm(given: &Given<'_>) -> Result<Tensor> {
    let (mean, var) = (given.maybe_tensor("running_mean")?, given.maybe_tensor("running_var")?);
    let own = given.flag("training", false)?;
    if own && mean.is_some() {
        return Err(training(given));
    }
    let (weight, bias, eps) = (given.maybe_tensor("weight")?, given.maybe_tensor("bias")?, given.float("eps")?);
    Ok(given.tensor("input")?.f_batch_norm(weight, bias, mean, var, own, 0.0, eps, false)?)
}

/// The first result, where nobody takes the others in inference.
fn alone(first: Tensor, count: usize) -> Result<Made> {
    let mut made = vec![Held::Tensor(first)];
    for _ in 1..count {
        made.push(Held::Tensor(Tensor::f_zeros([0], (tch::Kind::Float, tch::Device::Cpu))?));
    }
    Ok(made)
}

fn scaled(xs: &Tensor, given: &Given<'_>, name: &str) -> Result<Tensor> {
    given.maybe_number(name)?.map_or_else(|| Ok(xs.shallow_clone()), |by| Ok(xs.f_mul_scalar(by)?))
}

/// As many numbers as there are sides; one stands for all of them.
fn many(given: &Given<'_>, name: &str, count: usize, default: i64) -> Result<Vec<i64>> {
    let numbers = given.ints_or(name, &[default])?;
    Ok(if numbers.len() == 1 { vec![numbers[0]; count] } else { numbers })
}

fn dropout(given: &Given<'_>) -> Result<Made> {
    if given.flag("train", false)? { Err(training(given)) } else { same(given) }
}

/// What only training does.
pub(super) fn training(given: &Given<'_>) -> Error {
    Error::network(given.node, "is as in training; export the network after model.eval()")
}
