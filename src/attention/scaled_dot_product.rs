//! Scaled dot-product attention: `softmax(Q Kᵀ / √d) V` (Vaswani et al. 2017, *Attention Is All You Need*, eq. 1).
//!
//! Two paths compute the same: [`scaled_dot_product`] returns the weights, [`scaled_dot_product_fused`] takes libtorch's
//! fused kernel, which never holds the `[Tq, Tk]` weights in memory and so cannot return them.

use tch::{Kind, Tensor};

use super::check;
use crate::Result;

/// A weighted sum of values, and its weights.
#[derive(Debug)]
pub struct AttentionOutput {
    /// The weighted sums, `[.., Tq, dv]`.
    pub context: Tensor,
    /// The weights, `[.., Tq, Tk]`: each row is ≥ 0 and sums to 1 (to 0 if the mask leaves no key).
    pub weights: Tensor,
}

/// Scaled dot-product attention that returns its weights.
///
/// # Shapes
/// - `query`: `[.., Tq, d]`, `key`: `[.., Tk, d]`, `value`: `[.., Tk, dv]`, with the same leading sizes (any number of them);
/// - `mask`: broadcastable to `[.., Tq, Tk]`. Boolean: true where a query may look at a key (as in PyTorch's
///   `scaled_dot_product_attention`, and the contrary of its `MultiheadAttention`). Of `query`'s kind: added to the scores.
///
/// A query whose keys are all masked gets weights 0 and context 0.
///
/// # Errors
/// [`ErrorKind::Input`](crate::ErrorKind::Input) if shapes, kinds or devices do not fit.
pub fn scaled_dot_product(
    query: &Tensor,
    key: &Tensor,
    value: &Tensor,
    mask: Option<&Tensor>,
) -> Result<AttentionOutput> {
    let (width, mask) = check_inputs(query, key, value, mask)?;
    let scores = (query / (width as f64).sqrt()).f_matmul(&key.transpose(-2, -1))?; // [.., Tq, Tk]
    weigh(&scores, value, mask.as_ref())
}

/// Scaled dot-product attention by libtorch's fused kernel: the context `[.., Tq, dv]`, without weights.
///
/// Takes what [`scaled_dot_product`] takes, and agrees with it to rounding.
///
/// # Errors
/// [`ErrorKind::Input`](crate::ErrorKind::Input) if shapes, kinds or devices do not fit.
pub fn scaled_dot_product_fused(query: &Tensor, key: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
    let (_, mask) = check_inputs(query, key, value, mask)?;
    Ok(Tensor::f_scaled_dot_product_attention(query, key, value, mask, 0.0, false, None, false)?)
}

/// Softmax over the keys of `scores` `[.., Tq, Tk]`, and the sum of `value` `[.., Tk, dv]` with those weights.
/// `mask` has the size of `scores`.
pub(super) fn weigh(scores: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Result<AttentionOutput> {
    // The safe softmax gives 0, not NaN, on a row of -inf.
    let weights = match mask {
        None => scores.f_softmax(-1, None)?,
        Some(mask) if mask.kind() == Kind::Bool => {
            scores.f_masked_fill(&mask.logical_not(), f64::NEG_INFINITY)?.f_internal_safe_softmax(-1, None)?
        }
        Some(mask) => scores.f_add(mask)?.f_internal_safe_softmax(-1, None)?,
    };
    let context = weights.f_matmul(value)?; // [.., Tq, dv]
    Ok(AttentionOutput { context, weights })
}

/// The width d, and the mask expanded to `[.., Tq, Tk]`.
fn check_inputs(query: &Tensor, key: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Result<(i64, Option<Tensor>)> {
    const LAYER: &str = "scaled_dot_product";
    let (q, k, v) = (query.size(), key.size(), value.size());
    let fits = |rank: usize| {
        rank >= 2
            && k.len() == rank
            && v.len() == rank
            && k[..rank - 2] == q[..rank - 2]
            && v[..rank - 2] == q[..rank - 2]
            && k[rank - 1] == q[rank - 1]
            && v[rank - 2] == k[rank - 2]
            && q.iter().chain(&k).chain(&v).all(|&size| size > 0)
    };
    if !fits(q.len()) {
        let expected = "query [.., Tq, d], key [.., Tk, d] and value [.., Tk, dv], none of them 0";
        return Err(check::wrong(LAYER, expected, format!("{q:?}, {k:?} and {v:?}")));
    }
    check::floating(LAYER, "query", query)?;
    check::same_place(LAYER, "key", key, query)?;
    check::same_place(LAYER, "value", value, query)?;
    let scores: Vec<i64> = q[..q.len() - 1].iter().chain(&k[k.len() - 2..k.len() - 1]).copied().collect();
    let mask = mask.map(|mask| expand_mask(LAYER, mask, &scores, query)).transpose()?;
    Ok((q[q.len() - 1], mask))
}

/// `mask` expanded to the size of the scores; boolean, or of the kind of `like`.
pub(super) fn expand_mask(layer: &'static str, mask: &Tensor, scores: &[i64], like: &Tensor) -> Result<Tensor> {
    let size = mask.size();
    let fits = size.len() <= scores.len()
        && size.iter().rev().zip(scores.iter().rev()).all(|(&have, &want)| have == want || have == 1);
    if !fits {
        return Err(check::wrong(layer, format!("a mask that broadcasts to {scores:?}"), format!("{size:?}")));
    }
    if mask.f_kind()? != Kind::Bool {
        check::same_place(layer, "a mask: Bool, or", mask, like)?;
    } else if mask.device() != like.device() {
        return Err(check::wrong(layer, format!("a mask on {:?}", like.device()), format!("{:?}", mask.device())));
    }
    Ok(mask.expand(scores, false))
}
