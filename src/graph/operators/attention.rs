//! Scaled dot-product attention, and the weights that it does not give out.

use tch::{Kind, Tensor};

use super::super::given::{Given, Held};
use super::{Table, one};
use crate::Result;

pub(super) const TABLE: Table = &[
    ("aten._scaled_dot_product_flash_attention_for_cpu.default", |given| {
        let context = attended(given)?;
        let empty = Tensor::f_zeros([0], (Kind::Float, context.device()))?;
        Ok(vec![Held::Tensor(context), Held::Tensor(empty)])
    }),
    ("aten.scaled_dot_product_attention.default", |given| one(Ok(attended(given)?))),
];

/// The same attention with its weights written out, so that gradients reach them: what the node makes, and the weights.
pub(in crate::graph) fn written_out(given: &Given<'_>) -> Result<(Vec<Held>, Tensor)> {
    let value = of_each_head(given, "value")?;
    let weights = weights(given)?;
    let context = weights.f_to_kind(value.kind())?.f_matmul(&value)?;
    let empty = Tensor::f_zeros([0], (Kind::Float, context.device()))?;
    Ok((vec![Held::Tensor(context), Held::Tensor(empty)], weights))
}

fn attended(given: &Given<'_>) -> Result<Tensor> {
    let (query, key, value) = (given.tensor("query")?, given.tensor("key")?, given.tensor("value")?);
    let (mask, causal) = (given.maybe_tensor("attn_mask")?, given.flag("is_causal", false)?);
    let (scale, grouped) = (given.maybe_float("scale")?, given.flag("enable_gqa", false)?);
    Ok(Tensor::f_scaled_dot_product_attention(query, key, value, mask, 0.0, causal, scale, grouped)?)
}

/// Keys or values for each head of the queries, where several heads share one.
fn of_each_head(given: &Given<'_>, name: &str) -> Result<Tensor> {
    let (query, of) = (given.tensor("query")?, given.tensor(name)?);
    let heads = |tensor: &Tensor| tensor.size().iter().rev().nth(2).copied().unwrap_or(1).max(1);
    if !given.flag("enable_gqa", false)? || heads(query) == heads(of) {
        return Ok(of.shallow_clone());
    }
    Ok(of.f_repeat_interleave_self_int(heads(query) / heads(of), -3, None)?)
}

/// The weights of scaled dot-product attention, `softmax(q kᵀ × scale + mask)`: `[…, heads, T, T]`.
pub(in crate::graph) fn weights(given: &Given<'_>) -> Result<Tensor> {
    let (query, key) = (given.tensor("query")?, &of_each_head(given, "key")?);
    let width = query.size().last().copied().unwrap_or(1).max(1);
    let scale = given.maybe_float("scale")?.unwrap_or_else(|| 1.0 / (width as f64).sqrt());
    let mut scores = query.f_mul_scalar(scale)?.f_matmul(&key.f_transpose(-2, -1)?)?;
    if given.flag("is_causal", false)? {
        let sides = scores.size();
        let sides = &sides[sides.len() - 2..];
        let seen = Tensor::f_ones(sides, (Kind::Bool, scores.device()))?.f_tril(0)?;
        scores = scores.f_masked_fill(&seen.f_logical_not()?, f64::NEG_INFINITY)?;
    }
    match given.maybe_tensor("attn_mask")? {
        Some(mask) if mask.kind() == Kind::Bool => {
            scores = scores.f_masked_fill(&mask.f_logical_not()?, f64::NEG_INFINITY)?;
        }
        Some(mask) => scores = scores.f_add(mask)?,
        None => {}
    }
    Ok(scores.f_softmax(-1, Kind::Float)?)
}
