//! The gate of positions.

use crate::attention::{Padding, PoolOrder, SpatialAttentionConfig};
use crate::kernels::SpatialGate;
use crate::network::parameters::Named;
use crate::{Error, Result};

/// BatchNorm's ε.
const EPS: f64 = 1e-5;

/// The convolution of a spatial gate, with the BatchNorm in it.
pub(super) fn gate(p: &Named<'_>, config: &SpatialAttentionConfig) -> Result<SpatialGate> {
    let SpatialAttentionConfig { kernel_size, batch_norm, order, padding, bias } = *config;
    if kernel_size < 1 || kernel_size % 2 == 0 {
        return Err(Error::argument("kernel_size", format!("must be odd and positive, not {kernel_size}")));
    }
    let side = kernel_size as usize;
    let mut conv = p.at("conv").layer(&[1, 2, side, side], bias)?;
    if batch_norm {
        conv = conv.normalised(p.at("bn").norm(1, EPS)?);
    }
    let (mut weight, bias) = conv.into_values();
    if order == PoolOrder::MeanMax {
        weight.rotate_left(side * side);
    }
    Ok(SpatialGate { weight, bias: bias[0], side, replicate: padding == Padding::Replicate })
}
