//! Mixed precision: half the bits where they suffice (Micikevicius et al. 2018).
//!
//! On CUDA, convolutions and matrix products run in f16 and the rest in f32, as libtorch's autocast chooses. Small gradients
//! would vanish in f16, so the loss is scaled up before it is differentiated and the gradients are scaled down after; a scale
//! at which they overflow is halved and the step left out, and after 2,000 good steps it is doubled.

use tch::{Device, Kind, Tensor};

use crate::text::named;
use crate::train::optim::Optimizer;
use crate::{Error, Remedy, Result};

/// The precision that a training computes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ComputePrecision {
    /// f32 throughout.
    #[default]
    Full,
    /// f16 where libtorch's autocast says so; CUDA only.
    Half,
}

named! { ComputePrecision as "precision"; Full => "f32", Half => "f16" }

/// Good steps after which the scale is doubled.
const PATIENCE: u32 = 2000;

/// What the loss is multiplied with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LossScale {
    precision: ComputePrecision,
    scale: f64,
    good: u32,
}

impl LossScale {
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) for f16 on a CPU.
    pub(super) fn new(precision: ComputePrecision, device: Device) -> Result<Self> {
        if precision == ComputePrecision::Half && !device.is_cuda() {
            return Err(Error::argument("precision", "f16 needs CUDA").with_remedy(Remedy::FullPrecision));
        }
        Ok(Self { precision, scale: 65536.0, good: 0 })
    }

    /// Runs a forward pass in the precision.
    pub(super) fn forward<T>(&self, work: impl FnOnce() -> T) -> T {
        match self.precision {
            ComputePrecision::Full => work(),
            ComputePrecision::Half => tch::autocast(true, work),
        }
    }

    /// The gradients of the loss; `None` if they overflowed, and the step should be left out.
    pub(super) fn gradients(&mut self, optimizer: &Optimizer, loss: &Tensor) -> Result<Option<Vec<Tensor>>> {
        if self.precision == ComputePrecision::Full {
            return Ok(Some(optimizer.gradients(loss)?));
        }
        let mut gradients = optimizer.gradients(&loss.f_mul_scalar(self.scale)?)?;
        let mut finite = true;
        for gradient in gradients.iter_mut().filter(|gradient| gradient.defined()) {
            *gradient = gradient.f_to_kind(Kind::Float)?.f_mul_scalar(1.0 / self.scale)?;
            finite &= gradient.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0;
        }
        self.learn(finite);
        Ok(finite.then_some(gradients))
    }

    fn learn(&mut self, finite: bool) {
        self.good = if finite { self.good + 1 } else { 0 };
        if !finite {
            self.scale /= 2.0;
        } else if self.good == PATIENCE {
            (self.scale, self.good) = (self.scale * 2.0, 0);
        }
    }

    /// The state, to be saved.
    pub(super) fn note(&self) -> String {
        format!("{} {}", self.scale, self.good)
    }

    /// Goes on from a saved state.
    pub(super) fn restore(&mut self, note: &str) -> Option<()> {
        let (scale, good) = note.split_once(' ')?;
        (self.scale, self.good) = (scale.parse().ok()?, good.parse().ok()?);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_precision_needs_cuda() {
        let error = LossScale::new(ComputePrecision::Half, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains("CUDA"), "{error}");
        assert!(LossScale::new(ComputePrecision::Full, Device::Cpu).is_ok());
    }

    #[test]
    fn the_scale_falls_at_once_and_rises_slowly() {
        let mut scale = LossScale { precision: ComputePrecision::Half, scale: 8.0, good: 5 };
        scale.learn(false);
        assert_eq!((scale.scale, scale.good), (4.0, 0));
        (1..PATIENCE).for_each(|_| scale.learn(true));
        assert_eq!(scale.scale, 4.0);
        scale.learn(true);
        assert_eq!((scale.scale, scale.good), (8.0, 0));
        let mut other = LossScale { precision: ComputePrecision::Half, scale: 1.0, good: 0 };
        scale.learn(true);
        other.restore(&scale.note()).unwrap();
        assert_eq!(other, scale);
        assert!(other.restore("8").is_none());
    }
}
