//! Adam with decoupled weight decay (Loshchilov & Hutter 2019, algorithm 2; Kingma & Ba 2015).
//!
//! With gradient `g` at step `t`: `p ← p·(1 − lr·λ)`, `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
//! `p ← p − lr/(1−β₁ᵗ) · m / (√v/√(1−β₂ᵗ) + ε)`.

use tch::Tensor;

use super::Group;
use crate::Result;

/// The numbers of AdamW.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamW {
    /// β₁ and β₂: how slowly the moments follow the gradient, and its square.
    pub betas: [f64; 2],
    /// ε, which keeps the quotient finite.
    pub eps: f64,
}

impl Default for AdamW {
    /// 0.9, 0.999 and 10⁻⁸.
    fn default() -> Self {
        Self { betas: [0.9, 0.999], eps: 1e-8 }
    }
}

impl AdamW {
    pub(super) fn update(
        &self,
        value: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        group: Group,
        rate: f64,
        step: usize,
    ) -> Result<()> {
        let [mean, square] = moments else { return Ok(()) };
        let [beta1, beta2] = self.betas;
        let rate = rate * group.rate;
        if group.weight_decay != 0.0 {
            let _ = value.f_mul_scalar_(1.0 - rate * group.weight_decay)?;
        }
        let _ = mean.f_lerp_(gradient, 1.0 - beta1)?;
        let _ = square.f_mul_scalar_(beta2)?.f_add_(&gradient.f_square()?.f_mul_scalar_(1.0 - beta2)?)?;
        let corrections = [beta1, beta2].map(|beta| 1.0 - beta.powf(step as f64));
        let scale = square.f_sqrt()?.f_div_scalar_(corrections[1].sqrt())?.f_add_scalar_(self.eps)?;
        let mut change = mean.f_div(&scale)?;
        let _ = value.f_sub_(&change.f_mul_scalar_(rate / corrections[0])?)?;
        Ok(())
    }
}
