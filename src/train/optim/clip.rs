//! Clipping gradients by their norm (Pascanu et al. 2013).

use tch::{Kind, Tensor, no_grad};

use crate::Result;

/// Scales all gradients together so that their L2 norm, as one vector, is at most `max`; returns the norm that they had. Undefined
/// ones are passed over.
/// As in PyTorch, gradients that are too long end up short of `max` by a millionth.
///
/// # Errors
/// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
pub fn clip_norm(gradients: &mut [Tensor], max: f64) -> Result<f64> {
    no_grad(|| {
        let defined = gradients.iter().filter(|gradient| gradient.defined());
        let norms = defined.map(Tensor::f_norm).collect::<Result<Vec<_>, _>>()?;
        if norms.is_empty() {
            return Ok(0.0);
        }
        let norm = Tensor::f_stack(&norms, 0)?.f_norm()?.f_to_kind(Kind::Double)?.f_double_value(&[])?;
        let factor = max / (norm + 1e-6);
        if factor < 1.0 {
            for gradient in gradients.iter_mut().filter(|gradient| gradient.defined()) {
                let _ = gradient.f_mul_scalar_(factor)?;
            }
        }
        Ok(norm)
    })
}
