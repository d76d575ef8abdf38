//! What one run of the network says about one picture, on the host.

use ndarray::{Array1, Array2, Array3};
use serde::{Deserialize, Serialize};

use super::{FeatureMaps, Ground};
use crate::maps::Method;

/// Everything that the network says about one picture.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Readout {
    /// Class probabilities, `[classes]`, each in `[0, 1]`; they sum to 1 if one class of all is right
    /// ([`Outputs::Softmax`](crate::classes::Outputs)); empty for a network that says nothing of classes.
    pub probabilities: Array1<f32>,
    /// The gates, in the order in which the network applies them.
    pub gates: Vec<GateReadout>,
    /// The patch self-attentions: first the one that stands for all, then the others in the order in which the network applies
    /// them.
    pub patches: Vec<PatchReadout>,
    /// Attention rollout over the patch self-attentions, if the network has several of them: attention received in the
    /// end, `[rows, columns]` of the first one's grid, where uniform attention is 1.
    pub rollout: Option<Array2<f32>>,
    /// The maps that a scripted network gives out.
    pub outputs: Vec<OutputReadout>,
    /// The explanations that were made; of one method at one stage only one.
    pub explanations: Vec<Explanation>,
    /// How alike the features of a place are to those of what is looked at; see [`likeness`](super::likeness). It is of the class that
    /// Grad-CAM at the last features is of.
    #[serde(default)]
    pub likeness: Option<Array2<f32>>,
    /// The features that this is made from, as long as somebody may ask about another class.
    #[serde(default)]
    pub ground: Option<Ground>,
    /// Grad-CAM at the last features of many classes, if it was asked for.
    #[serde(default)]
    pub classes: Option<ClassActivations>,
}

impl Readout {
    /// The class of the greatest probability, the first of several; `None` of a network that says nothing of classes.
    pub fn likeliest(&self) -> Option<usize> {
        let answers = self.probabilities.iter().enumerate();
        answers.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map(|(class, _)| class)
    }

    /// So many of the likeliest classes, the likeliest first.
    pub(crate) fn top(&self, count: usize) -> Vec<usize> {
        let mut classes: Vec<_> = (0..self.probabilities.len()).collect();
        classes.sort_by(|a, b| self.probabilities[*b].total_cmp(&self.probabilities[*a]));
        classes.truncate(count);
        classes
    }
}

/// What an explanation method says about the decision for a class.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Explanation {
    /// The method.
    pub method: Method,
    /// The stage whose features it looked at; `None` is the last convolution, and none for a method that looks at no
    /// stage.
    pub stage: Option<String>,
    /// The class.
    pub class: usize,
    /// Its map, on its own grid, at least 0.
    pub map: Array2<f32>,
}

/// What speaks for each of many classes: Grad-CAM at the last features.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ClassActivations {
    /// The classes; `None` is all of them, in their order.
    pub of: Option<Vec<usize>>,
    /// Their maps, `[classes, h, w]`, at least 0.
    pub maps: Array3<f32>,
}

impl ClassActivations {
    /// The most numbers that are kept for all classes together.
    pub const MOST: usize = 2 << 20;
}

/// The maps in one output of a scripted network.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OutputReadout {
    /// Which output, from 0.
    pub index: usize,
    /// Its maps, `[C, h, w]`, at least 0.
    pub maps: Array3<f32>,
}

/// The gates of one CBAM, spatial, squeeze-excite, ECA or BAM block.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct GateReadout {
    /// Where the block stands: `stage5`, `layer3.5`, …
    pub stage: String,
    /// The channel gate, `[C]`, each in `[0, 1]`; empty if the block has spatial attention alone.
    pub channel: Array1<f32>,
    /// The spatial gate, `[H, W]`, each in `[0, 1]`; `None` if the block has no spatial attention. BAM's gate is of every
    /// channel and position; here are its means over the positions and over the channels.
    pub spatial: Option<Array2<f32>>,
    /// The gate of coordinate attention, `[H, W]`, each in `[0, 1]`: rows times columns, the mean over channels; `None` if the block
    /// has none.
    #[serde(default)]
    pub coordinate: Option<Array2<f32>>,
    /// What the channel gate is of, if it was asked for: the features before it.
    #[serde(default)]
    pub features: Option<FeatureMaps>,
}

/// A patch self-attention.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PatchReadout {
    /// The stage that it follows.
    pub stage: String,
    /// Attention received, `[heads, rows, columns]`: the mean over queries of the weights, times the number of patches,
    /// so that uniform attention is 1.
    pub received: Array3<f32>,
    /// Where the class token looks, `[heads, rows, columns]`: its weights, times the number of tokens; `None` if there is none.
    #[serde(default)]
    pub class_token: Option<Array3<f32>>,
    /// The rows of weights that were asked for, averaged over heads and times the number of patches; only of the finest
    /// grid, the first of the network's.
    pub rows: Vec<QueryRow>,
    /// All weights, if they were asked for, `[heads, patches, patches]`, queries before keys, scaled as [`rows`](Self::rows) are; of
    /// one head that is the mean of all where there are too many.
    #[serde(default)]
    pub weights: Option<Array3<f32>>,
}

/// Where one patch looks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct QueryRow {
    /// The patch, as a fraction of the picture's width and height, as it was asked for.
    pub query: [f32; 2],
    /// Its weights, `[rows, columns]`, averaged over heads, times the number of patches.
    pub weights: Array2<f32>,
}
