//! What one pass gives out, as it comes out of the network.

use ndarray::{Array, Array2, Array4, Dimension, Ix2, Ix3};

/// What one pass of a batch gives out.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pass {
    /// Class scores before the softmax, `[N, classes]`; none of them, `[N, 0]`, without a classifier.
    pub logits: Array2<f32>,
    /// The features of the backbone's last convolution, normalised, before their activation where that stands alone,
    /// `[N, C, h, w]`: what the classifier activates and pools.
    pub features: Array4<f32>,
    /// The attention, block by block.
    pub attention: Vec<BlockPass>,
}

/// The attention at one place.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BlockPass {
    /// Where it stands: see [`StageAttention::stage`](super::StageAttention::stage).
    pub stage: String,
    /// The gate of each channel, `[N, C]`.
    pub channel: Option<GatePass<Ix2>>,
    /// The gate of each position, `[N, H, W]`.
    pub spatial: Option<GatePass<Ix3>>,
    /// Patch self-attention.
    pub patch: Option<PatchPass>,
}

/// A gate, and its logits.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GatePass<D: Dimension> {
    /// In `[0, 1]`.
    pub gate: Array<f32, D>,
    /// Before its sigmoid.
    pub logits: Array<f32, D>,
}

impl<D: Dimension> GatePass<D> {
    pub(super) fn of_logits(logits: Array<f32, D>) -> Self {
        Self { gate: logits.mapv(|x| 1.0 / (1.0 + (-x).exp())), logits }
    }

    /// Of a mean of gates, which has a logit of its own, as far as f32 can say it.
    pub(super) fn of_gate(gate: Array<f32, D>) -> Self {
        /// The least distance of a gate from 0 and 1 for its logit.
        const LEAST: f32 = 1e-6;
        let gate = gate.mapv_into(|x| x.clamp(0.0, 1.0)); // against rounding
        let logits = gate.mapv(|x| {
            let x = x.clamp(LEAST, 1.0 - LEAST);
            (x / (1.0 - x)).ln()
        });
        Self { gate, logits }
    }
}

/// The weights of patch self-attention.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PatchPass {
    /// `[N, heads, T, T]`, queries before keys; each row sums to 1.
    pub weights: Array4<f32>,
    /// Rows and columns of patches; their product is T.
    pub grid: [usize; 2],
}
