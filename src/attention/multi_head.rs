//! Multi-head attention (Vaswani et al. 2017, section 3.2.2): h scaled dot-product attentions side by side, each on its own
//! projection of queries, keys and values; their contexts are concatenated and projected once more.
//!
//! `head_i = softmax(Q W_iQ (K W_iK)ᵀ / √d) V W_iV`, `output = [head_1; …; head_h] W_O`.
//!
//! Self-attention: queries, keys and values from one sequence. Cross-attention: queries from one, keys and values from another.

use std::borrow::Borrow;

use ndarray::{Array1, Ix1, Ix2, Ix3};
use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use super::scaled_dot_product::{AttentionOutput, scaled_dot_product, scaled_dot_product_fused};
use super::{check, init};
use crate::Result;
use crate::host::{filled, to_host};
use crate::kernels::{Clamp, Heads, Map, Pointwise};

const LAYER: &str = "MultiHeadAttention";

/// How a [`MultiHeadAttention`] is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MultiHeadConfig {
    /// The number of heads. Default: 4.
    pub heads: i64,
    /// The width of one head; heads × `head_dim` need not be the width of the sequence. Default: 16.
    pub head_dim: i64,
    /// The width of the sequence that keys and values come from, if it is not the queries'. Default: none.
    pub memory_dim: Option<i64>,
    /// Whether the four projections have biases. Default: true.
    pub bias: bool,
}

impl Default for MultiHeadConfig {
    fn default() -> Self {
        Self { heads: 4, head_dim: 16, memory_dim: None, bias: true }
    }
}

impl MultiHeadConfig {
    /// With this number of heads.
    pub fn with_heads(mut self, heads: i64) -> Self {
        self.heads = heads;
        self
    }

    /// With heads of this width.
    pub fn with_head_dim(mut self, head_dim: i64) -> Self {
        self.head_dim = head_dim;
        self
    }

    /// With keys and values from a sequence of this width.
    pub fn with_memory_dim(mut self, memory_dim: i64) -> Self {
        self.memory_dim = Some(memory_dim);
        self
    }

    /// With or without biases.
    pub fn with_bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }
}

/// What a [`MultiHeadAttention`] returns.
#[derive(Debug)]
pub struct MultiHeadOutput {
    /// The new sequence, `[N, Tq, dim]`.
    pub context: Tensor,
    /// The weights of each head, `[N, heads, Tq, Tk]`; `None` if they were not asked for.
    pub weights: Option<Tensor>,
}

/// Multi-head attention over sequences `[N, T, dim]`.
///
/// Parameters: `q`, `k`, `v` (`weight` `[heads * head_dim, dim or memory_dim]`, `bias`) and `out` (`weight` `[dim, heads * head_dim]`, `bias`).
/// They start as `torch.nn.MultiheadAttention`'s: Xavier-uniform q, k, v (as one matrix without `memory_dim`, else each by itself),
/// `out` uniform in ±1/√(heads · `head_dim`), biases 0.
#[derive(Debug)]
pub struct MultiHeadAttention {
    q: nn::Linear,
    k: nn::Linear,
    v: nn::Linear,
    out: nn::Linear,
    dim: i64,
    memory_dim: i64,
    heads: i64,
    head_dim: i64,
}

/// A linear layer as a kernel.
fn kernel(layer: &nn::Linear) -> Result<Pointwise> {
    let weight = to_host::<Ix2>(&layer.ws)?;
    let bias = layer.bs.as_ref().map(to_host::<Ix1>).transpose()?.unwrap_or_else(|| Array1::zeros(weight.nrows()));
    let bias = bias.into_raw_vec_and_offset().0;
    Ok(Pointwise::new(weight.as_slice().unwrap_or_default(), &bias, Clamp::NONE))
}

impl MultiHeadAttention {
    /// Attention for queries of width `dim`.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a width or the number of heads is under 1, or their product too large.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, dim: i64, config: &MultiHeadConfig) -> Result<Self> {
        let p = p.borrow();
        let MultiHeadConfig { heads, head_dim, memory_dim, bias } = *config;
        check::positive("dim", dim)?;
        check::positive("heads", heads)?;
        check::positive("head_dim", head_dim)?;
        check::positive("memory_dim", memory_dim.unwrap_or(dim))?;
        let inner = check::product("heads × head_dim", &[heads, head_dim])?;
        let outputs = if memory_dim.is_none() { 3 * inner } else { inner };
        let projection = |name: &str, inputs: i64| {
            let xavier = init::uniform((6.0 / (inputs + outputs) as f64).sqrt());
            init::linear(&(p / name), inputs, inner, bias, xavier)
        };
        let memory_dim = memory_dim.unwrap_or(dim);
        Ok(Self {
            q: projection("q", dim),
            k: projection("k", memory_dim),
            v: projection("v", memory_dim),
            out: init::linear_zero_bias(&(p / "out"), inner, dim, bias),
            dim,
            memory_dim,
            heads,
            head_dim,
        })
    }

    /// The general form: any queries, keys, values and mask.
    ///
    /// With `need_weights` the weights are computed and returned; without, libtorch's fused kernel is taken.
    ///
    /// # Shapes
    /// - `query`: `[N, Tq, dim]`; `key`, `value`: `[N, Tk, memory_dim]`;
    /// - `mask`: as in [`scaled_dot_product`](super::scaled_dot_product()), broadcastable to `[N, heads, Tq, Tk]`: `[Tq, Tk]` for all pictures
    ///   and heads, `[N, 1, 1, Tk]` for keys to leave out.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shapes, kinds or devices do not fit.
    pub fn forward(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: Option<&Tensor>,
        need_weights: bool,
    ) -> Result<MultiHeadOutput> {
        if need_weights {
            let AttentionOutput { context, weights } = self.attend(query, key, value, mask)?;
            return Ok(MultiHeadOutput { context, weights: Some(weights) });
        }
        let [q, k, v] = self.project(query, key, value)?;
        let context = self.merge(&scaled_dot_product_fused(&q, &k, &v, mask)?);
        Ok(MultiHeadOutput { context, weights: None })
    }

    /// Self-attention of `xs` `[N, T, dim]`: context `[N, T, dim]`, weights `[N, heads, T, T]`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shape, kind or device do not fit, or the layer was built with another `memory_dim`.
    pub fn self_attention(&self, xs: &Tensor) -> Result<AttentionOutput> {
        self.attend(xs, xs, xs, None)
    }

    /// Cross-attention from `xs` `[N, Tq, dim]` to `memory` `[N, Tk, memory_dim]`: context `[N, Tq, dim]`, weights `[N, heads, Tq, Tk]`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shapes, kinds or devices do not fit.
    pub fn cross_attention(&self, xs: &Tensor, memory: &Tensor) -> Result<AttentionOutput> {
        self.attend(xs, memory, memory, None)
    }

    /// Makes the output projection 0, so that a residual around the layer is the identity.
    pub(super) fn zero_output(&self) -> Result<()> {
        init::zero(&self.out.ws)?;
        self.out.bs.as_ref().map_or(Ok(()), init::zero)
    }

    fn attend(&self, query: &Tensor, key: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Result<AttentionOutput> {
        if let Some(output) = self.fused(query, key, value, mask)? {
            return Ok(output);
        }
        let [q, k, v] = self.project(query, key, value)?;
        let AttentionOutput { context, weights } = scaled_dot_product(&q, &k, &v, mask)?;
        Ok(AttentionOutput { context: self.merge(&context), weights })
    }

    /// The same on the crate's kernels; `None` where there is a mask, or gradients are wanted.
    fn fused(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<Option<AttentionOutput>> {
        self.check(query, key, value)?;
        let layers = [&self.q, &self.k, &self.v, &self.out];
        let parameters = || layers.into_iter().flat_map(|layer| [&layer.ws].into_iter().chain(&layer.bs));
        if mask.is_some() || ![query, key, value].into_iter().all(|xs| check::fused(xs, parameters())) {
            return Ok(None);
        }
        let [q, k, v, out] = layers.map(kernel);
        let (q, k, v, out) = (q?, k?, v?, out?);
        let map = |xs: &Tensor| -> Result<Map> {
            let (images, tokens, width) = xs.size3()?;
            let shape = [images as usize, 1, tokens as usize, width as usize];
            Ok(Map::new(shape, to_host::<Ix3>(xs)?.into_raw_vec_and_offset().0)?)
        };
        // Of self-attention all three are one.
        let of_query = map(query)?;
        let of_key = if std::ptr::eq(key, query) { None } else { Some(map(key)?) };
        let of_value = if std::ptr::eq(value, key) { None } else { Some(map(value)?) };
        let of_key = of_key.as_ref().unwrap_or(&of_query);
        let of_value = of_value.as_ref().unwrap_or(of_key);
        let (query, key, value) = rayon::scope(|_| (q.forward(&of_query), k.forward(of_key), v.forward(of_value)));
        let heads = Heads { query: &query, key: &key, value: &value, count: self.heads as usize };
        let (images, queries, keys) = (query.images() as i64, query.width() as i64, key.width() as i64);
        let mut context = None;
        let weights = filled(&[images, self.heads, queries, keys], |weights| {
            context = Some(rayon::scope(|_| out.forward(&heads.attend(weights))));
            Ok(())
        })?;
        let context = context.ok_or_else(|| crate::Error::internal("attention gave no context"))?;
        let context = Tensor::f_from_slice(context.numbers())?.f_view([images, queries, self.dim])?;
        Ok(Some(AttentionOutput { context, weights }))
    }

    /// Checks the inputs and projects them to `[N, heads, T, head_dim]`.
    fn project(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<[Tensor; 3]> {
        self.check(query, key, value)?;
        let split = |xs: &Tensor, projection: &nn::Linear| {
            xs.apply(projection).unflatten(2, [self.heads, self.head_dim]).transpose(1, 2) // [N, heads, T, head_dim]
        };
        Ok([split(query, &self.q), split(key, &self.k), split(value, &self.v)])
    }

    fn check(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<()> {
        let [n, ..] = check::sequence_size(LAYER, "query", query, self.dim)?;
        let [key_n, key_t, _] = check::sequence_size(LAYER, "key", key, self.memory_dim)?;
        let [value_n, value_t, _] = check::sequence_size(LAYER, "value", value, self.memory_dim)?;
        if [key_n, value_n, value_t] != [n, n, key_t] {
            let got = format!("{:?}, {:?} and {:?}", query.size(), key.size(), value.size());
            return Err(check::wrong(LAYER, "query, key and value of one N, key and value of one length", got));
        }
        for (name, xs) in [("query", query), ("key", key), ("value", value)] {
            check::same_place(LAYER, name, xs, &self.q.ws)?;
        }
        Ok(())
    }

    /// `[N, heads, T, head_dim]` to `[N, T, dim]`.
    fn merge(&self, context: &Tensor) -> Tensor {
        context.transpose(1, 2).flatten(2, 3).apply(&self.out)
    }
}

/// Self-attention without weights, by the fused path.
///
/// # Panics
/// `forward` panics on a wrong input.
impl nn::Module for MultiHeadAttention {
    fn forward(&self, xs: &Tensor) -> Tensor {
        match MultiHeadAttention::forward(self, xs, xs, xs, None, false) {
            Ok(output) => output.context,
            Err(error) => panic!("{error}"),
        }
    }
}
