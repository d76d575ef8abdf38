//! What one run of the network says about one picture, on the host.

use ndarray::{Array1, Array2, Array3};
use serde::{Deserialize, Serialize};

/// Everything that the network says about one picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Readout {
    /// Class probabilities, `[classes]`, summing to 1.
    pub probabilities: Array1<f32>,
    /// The CBAM gates, in the order in which the network applies them.
    pub gates: Vec<GateReadout>,
    /// The patch self-attention, if the network has one.
    pub patch: Option<PatchReadout>,
    /// Grad-CAM of the likeliest class at the features of the last convolution, `[h, w]`, at least 0.
    pub class_activation: Option<Array2<f32>>,
}

/// The two gates of one CBAM block.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GateReadout {
    /// The stage that the block follows.
    pub stage: String,
    /// The channel gate, `[C]`, each in `[0, 1]`.
    pub channel: Array1<f32>,
    /// The spatial gate, `[H, W]`, each in `[0, 1]`; none if the block has no spatial attention.
    pub spatial: Option<Array2<f32>>,
}

/// The patch self-attention.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PatchReadout {
    /// The stage that it follows.
    pub stage: String,
    /// Attention received, `[heads, rows, columns]`: the mean over queries of the weights, times the number of patches,
    /// so that uniform attention is 1.
    pub received: Array3<f32>,
    /// The rows of weights that were asked for, averaged over heads and times the number of patches.
    pub rows: Vec<QueryRow>,
}

/// Where one patch looks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryRow {
    /// The patch, as a fraction of the picture's width and height, as it was asked for.
    pub query: [f32; 2],
    /// Its weights, `[rows, columns]`, averaged over heads, times the number of patches.
    pub weights: Array2<f32>,
}
