//! Stochastic gradient descent with momentum, as `torch.optim.SGD` computes it.
//!
//! With gradient `g`: `g ← g + λp`; `b ← μb + g` (`b = g` at the first step); `p ← p − lr·b`, or with Nesterov's momentum
//! (Sutskever et al. 2013) `p ← p − lr·(g + μb)`.

use tch::Tensor;

use super::Group;
use crate::Result;

/// The numbers of SGD.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// μ: how much of the last change goes on.
    pub momentum: f64,
    /// Looks ahead by the momentum.
    pub nesterov: bool,
}

impl Default for Sgd {
    /// Nesterov's momentum, 0.9.
    fn default() -> Self {
        Self { momentum: 0.9, nesterov: true }
    }
}

impl Sgd {
    pub(super) fn update(
        &self,
        value: &mut Tensor,
        gradient: &Tensor,
        moments: &mut [Tensor],
        group: Group,
        rate: f64,
        step: usize,
    ) -> Result<()> {
        let decayed = (group.weight_decay != 0.0)
            .then(|| value.f_mul_scalar(group.weight_decay)?.f_add_(gradient))
            .transpose()?;
        let gradient = decayed.as_ref().unwrap_or(gradient);
        let rate = rate * group.rate;
        let Some(buffer) = moments.first_mut() else {
            let _ = value.f_sub_(&gradient.f_mul_scalar(rate)?)?;
            return Ok(());
        };
        if step == 1 {
            buffer.f_copy_(gradient)?;
        } else {
            let _ = buffer.f_mul_scalar_(self.momentum)?.f_add_(gradient)?;
        }
        let mut change = if self.nesterov {
            buffer.f_mul_scalar(self.momentum)?.f_add_(gradient)?
        } else {
            buffer.f_mul_scalar(1.0)?
        };
        let _ = value.f_sub_(&change.f_mul_scalar_(rate)?)?;
        Ok(())
    }
}
