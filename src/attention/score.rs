//! The scores before scaled dot-product attention: how well a query q fits a key k.
//!
//! | score | equation | paper |
//! |---|---|---|
//! | additive | `vᵀ tanh(W q + U k)` | Bahdanau et al. 2015 |
//! | dot | `q · k` | Luong et al. 2015, eq. 8 |
//! | general | `qᵀ W k` | Luong et al. 2015, eq. 8 |
//! | concat | `vᵀ tanh(W [q; k])` | Luong et al. 2015, eq. 8 |
//!
//! The weights are the softmax of the scores over the keys; the context is the sum of the values with those weights.

use std::borrow::Borrow;

use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use super::scaled_dot_product::{AttentionOutput, expand_mask, weigh};
use super::{check, init};
use crate::{Error, Result};

const LAYER: &str = "Score";

/// Which score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreConfig {
    /// `vᵀ tanh(W q + U k)`.
    Additive {
        /// The width of v.
        hidden: i64,
    },
    /// `q · k`, for queries and keys of one width.
    Dot,
    /// `qᵀ W k`.
    General,
    /// `vᵀ tanh(W [q; k])`.
    Concat {
        /// The width of v.
        hidden: i64,
    },
}

/// A score between queries and keys, with its parameters.
///
/// Parameters (none has a bias): additive `w.weight` `[hidden, query_dim]`, `u.weight` `[hidden, key_dim]`, `v.weight` `[1, hidden]`;
/// general `w.weight` `[query_dim, key_dim]`; concat `w.weight` `[hidden, query_dim + key_dim]`, `v.weight` `[1, hidden]`.
#[derive(Debug)]
pub struct Score {
    query_dim: i64,
    key_dim: i64,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Additive { w: nn::Linear, u: nn::Linear, v: nn::Linear },
    Dot,
    General { w: nn::Linear },
    Concat { w: nn::Linear, v: nn::Linear },
}

impl Score {
    /// A score between queries of width `query_dim` and keys of width `key_dim`; weights start as `torch.nn.Linear`'s.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a width is under 1, or `Dot` is asked for with two widths.
    pub fn new<'a>(p: impl Borrow<nn::Path<'a>>, query_dim: i64, key_dim: i64, config: &ScoreConfig) -> Result<Self> {
        let p = p.borrow();
        check::positive("query_dim", query_dim)?;
        check::positive("key_dim", key_dim)?;
        if let ScoreConfig::Additive { hidden } | ScoreConfig::Concat { hidden } = *config {
            check::positive("hidden", hidden)?;
        }
        let linear = |name: &str, inputs, outputs| init::linear_zero_bias(&(p / name), inputs, outputs, false);
        let form = match *config {
            ScoreConfig::Additive { hidden } => Form::Additive {
                w: linear("w", query_dim, hidden),
                u: linear("u", key_dim, hidden),
                v: linear("v", hidden, 1),
            },
            ScoreConfig::Dot if query_dim != key_dim => {
                let message =
                    format!("the dot score needs queries and keys of one width, not {query_dim} and {key_dim}");
                return Err(Error::argument("key_dim", message));
            }
            ScoreConfig::Dot => Form::Dot,
            ScoreConfig::General => Form::General { w: linear("w", key_dim, query_dim) },
            ScoreConfig::Concat { hidden } => {
                Form::Concat { w: linear("w", query_dim + key_dim, hidden), v: linear("v", hidden, 1) }
            }
        };
        Ok(Self { query_dim, key_dim, form })
    }

    /// The scores `[N, Tq, Tk]` of every query `[N, Tq, query_dim]` with every key `[N, Tk, key_dim]`.
    ///
    /// Additive and concat hold `[N, Tq, Tk, hidden]` in memory.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shapes, kinds or devices do not fit.
    pub fn scores(&self, query: &Tensor, key: &Tensor) -> Result<Tensor> {
        let [n, ..] = check::sequence_size(LAYER, "query", query, self.query_dim)?;
        let [key_n, ..] = check::sequence_size(LAYER, "key", key, self.key_dim)?;
        if n != key_n {
            return Err(check::wrong(LAYER, format!("key [{n}, T, {}]", self.key_dim), format!("{:?}", key.size())));
        }
        check::floating(LAYER, "query", query)?;
        check::same_place(LAYER, "key", key, query)?;
        if let Form::Additive { w, .. } | Form::General { w } | Form::Concat { w, .. } = &self.form {
            check::same_place(LAYER, "query", query, &w.ws)?;
        }
        Ok(match &self.form {
            Form::Additive { w, u, v } => additive(&query.apply(w), &key.apply(u), v)?,
            Form::Dot => query.f_matmul(&key.transpose(1, 2))?,
            Form::General { w } => query.f_matmul(&key.apply(w).transpose(1, 2))?,
            Form::Concat { w, v } => {
                // W [q; k] = W_q q + W_k k, so no [q; k] of every pair is built.
                let w_query = w.ws.narrow(1, 0, self.query_dim);
                let w_key = w.ws.narrow(1, self.query_dim, self.key_dim);
                additive(&query.f_linear::<&Tensor>(&w_query, None)?, &key.f_linear::<&Tensor>(&w_key, None)?, v)?
            }
        })
    }

    /// Attention by this score: [`scores`](Self::scores), then [`read_out`] of `value` `[N, Tk, dv]`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) if shapes, kinds or devices do not fit.
    pub fn forward(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: Option<&Tensor>,
    ) -> Result<AttentionOutput> {
        read_out(&self.scores(query, key)?, value, mask)
    }
}

/// `vᵀ tanh(q + k)` of all pairs of projected queries `[N, Tq, hidden]` and keys `[N, Tk, hidden]`.
fn additive(query: &Tensor, key: &Tensor, v: &nn::Linear) -> Result<Tensor> {
    let hidden = query.unsqueeze(2).f_add(&key.unsqueeze(1))?.f_tanh()?; // [N, Tq, Tk, hidden]
    Ok(hidden.apply(v).squeeze_dim(-1)) // [N, Tq, Tk]
}

/// The softmax-weighted read-out of any scores: weights = softmax of `scores` `[N, Tq, Tk]` over the keys,
/// context = weights · `value`, with `value` `[N, Tk, dv]`.
///
/// `mask` is as in [`scaled_dot_product`](super::scaled_dot_product()): boolean (true = may look) or added to the scores.
///
/// # Errors
/// [`ErrorKind::Input`](crate::ErrorKind::Input) if shapes, kinds or devices do not fit.
pub fn read_out(scores: &Tensor, value: &Tensor, mask: Option<&Tensor>) -> Result<AttentionOutput> {
    const LAYER: &str = "read_out";
    let (s, v) = (scores.size(), value.size());
    let fits = s.len() == 3 && v.len() == 3 && s[0] == v[0] && s[2] == v[1] && s.iter().chain(&v).all(|&size| size > 0);
    if !fits {
        let expected = "scores [N, Tq, Tk] and value [N, Tk, dv], none of them 0";
        return Err(check::wrong(LAYER, expected, format!("{s:?} and {v:?}")));
    }
    check::floating(LAYER, "scores", scores)?;
    check::same_place(LAYER, "value", value, scores)?;
    let mask = mask.map(|mask| expand_mask(LAYER, mask, &s, scores)).transpose()?;
    weigh(scores, value, mask.as_ref())
}
