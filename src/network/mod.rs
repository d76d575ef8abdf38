//! Backbone, attention and classifier in one network.
//!
//! [`Network::forward`] works on tensors and trains; [`Network::run`] takes a batch of prepared photos and returns
//! what the network says about each of them, on the host.

mod block;
mod inference;
mod input;
mod load;
mod model;
mod open;
mod pass;
mod places;
mod reference;
mod run;

use ndarray::{Array2, Ix2};
use tch::{Tensor, nn};

use crate::Result;
use crate::attention::Gate;
use crate::backbone::{Backbone, build_variant};
use crate::explain::tensor_scores;
use crate::host::to_host;
use crate::maps::Detail;
use crate::photo::Preprocess;

pub use crate::classes::Outputs;
pub use crate::maps::{HEAD, STEM};
use block::Block;
use cbam_core::maps::patch_index;
pub use cbam_core::network::{
    Agreement, Answer, BlockPass, GatePass, InferenceNetwork, NetworkConfig, NetworkFile, OpenOptions, Parameters,
    Pass, PatchPass, RandomLevel, Reference, Site, StageAttention,
};
pub use inference::Inference;
pub use input::ForwardPrecision;
pub(crate) use input::normalised;
pub(crate) use load::LEANS;
pub use open::Opened;
pub use places::Place;

/// A classifier with attention after some of its stages.
#[derive(Debug)]
pub struct Network {
    config: NetworkConfig,
    /// How it takes pictures.
    preprocess: Preprocess,
    variables: nn::VarStore,
    backbone: Box<dyn Backbone>,
    blocks: Vec<Block>,
    /// The stage whose features are kept; see [`NetworkConfig::ground`].
    ground: Option<usize>,
    /// Whether the backbone trains too, its BatchNorm and dropout with it.
    backbone_trains: bool,
    /// Whether every picture goes through it by itself.
    one_by_one: bool,
    /// Whether the backbone was trained together with the attention.
    joint: bool,
}

/// What one forward pass returns.
#[derive(Debug)]
#[non_exhaustive]
pub struct Output {
    /// Class scores before the softmax, divided by the [temperature](NetworkConfig::temperature), `[N, classes]`; none of them,
    /// `[N, 0]`, without a classifier.
    pub logits: Tensor,
    /// The features of the backbone's last convolution, normalised, before their activation where that stands alone
    /// ([`Backbone::head_conv`]), `[N, C, h, w]`: what the classifier activates and pools.
    pub features: Tensor,
    /// The attention, block by block.
    pub attention: Vec<BlockOutput>,
    /// The features, `[N, C, h, w]`, that tell things apart ([`NetworkConfig::ground`]), if they were passed: [`Network::tail`] alone does
    /// not pass what lies before it.
    pub ground: Option<Tensor>,
    /// What each block of `attention` took, `[N, C, H, W]`, where all is kept ([`Detail::Whole`]).
    pub(crate) inputs: Vec<Tensor>,
}

/// What is kept of a pass on its way.
#[derive(Debug, Default)]
struct Kept {
    attention: Vec<BlockOutput>,
    ground: Option<Tensor>,
    inputs: Vec<Tensor>,
    detail: Detail,
}

/// The attention maps of one block.
#[derive(Debug)]
#[non_exhaustive]
pub struct BlockOutput {
    /// Where the block stands: `stage5`, `stage6.expansion`, `layer3.5`, `head` (see [`StageAttention::stage`]).
    pub stage: String,
    /// The channel gate, `[N, C]`.
    pub channel: Option<Gate>,
    /// The spatial gate, `[N, H, W]`.
    pub spatial: Option<Gate>,
    /// The patch self-attention: its weights, `[N, heads, T, T]`, and its grid.
    pub patch: Option<PatchMaps>,
}

/// The weights of a patch self-attention.
#[derive(Debug)]
#[non_exhaustive]
pub struct PatchMaps {
    /// `[N, heads, T, T]`, queries before keys; each row sums to 1.
    pub weights: Tensor,
    /// Rows and columns of patches; their product is T.
    pub grid: [i64; 2],
}

impl Network {
    /// A network with freshly initialised weights on `device`. Attention whose gain is its
    /// [`identity_gain`](StageAttention::identity_gain), and patch self-attention, start as the identity.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if the configuration has a number of classes that cannot be, or names a stage
    /// that the backbone lacks, or out of order, or puts gates of two kinds at one place.
    pub fn new(mut config: NetworkConfig, device: tch::Device) -> Result<Self> {
        let sites = config.settle()?;
        let variables = nn::VarStore::new(device);
        let root = variables.root();
        let backbone = build_variant(&root / "backbone", config.arch, config.classes, &config.variant)?;
        let mut blocks: Vec<Block> = Vec::new();
        for (attention, (site, channels, _)) in config.attention.iter().zip(sites) {
            // A dot would part the path.
            let path = &root / "attention" / attention.stage.replace('.', "_").as_str();
            blocks.push(Block::new(&path, site, channels, attention)?);
        }
        let preprocess = config.preprocess();
        let (backbone_trains, one_by_one, joint) = (false, false, false);
        let ground = config.ground();
        Ok(Self { config, preprocess, variables, backbone, blocks, ground, backbone_trains, one_by_one, joint })
    }

    /// Its configuration.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// How it takes pictures: as its configuration says, or [`with_preprocess`](Self::with_preprocess).
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// With pictures taken in another way than the configuration says: another mean and deviation, say.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if a number of it is out of range.
    pub fn with_preprocess(mut self, preprocess: Preprocess) -> Result<Self> {
        preprocess.check()?;
        self.preprocess = preprocess;
        Ok(self)
    }

    /// With its numbers for the classes taken in another sense than the configuration says.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) for a softmax over one class.
    pub fn with_outputs(mut self, outputs: Outputs) -> Result<Self> {
        outputs.check(self.config.classes)?;
        self.config.outputs = outputs;
        self.config.check_temperature()?;
        Ok(self)
    }

    /// How many answers it has: its classes, or two if it gives out one number (see [`Outputs`]).
    pub fn answers(&self) -> usize {
        self.config.answers()
    }

    /// The scores of its answers from logits `[N, classes]`: `[N, answers]`; see [`Outputs::scores`].
    ///
    /// # Errors
    /// [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn scores(&self, logits: &Tensor) -> Result<Tensor> {
        tensor_scores(self.config.outputs, logits)
    }

    /// The probabilities of its answers from logits `[N, classes]`: `[N, answers]`; see [`Outputs::probabilities`].
    ///
    /// # Errors
    /// [`ErrorKind::Network`](crate::ErrorKind::Network) if a logit is infinite or not a number.
    pub fn probabilities(&self, logits: &Tensor) -> Result<Array2<f32>> {
        Ok(self.config.outputs.probabilities(to_host::<Ix2>(logits)?.view())?)
    }

    /// Its backbone.
    pub fn backbone(&self) -> &dyn Backbone {
        &*self.backbone
    }

    /// Its variables, named `backbone.…` and `attention.…`.
    pub fn variables(&self) -> &nn::VarStore {
        &self.variables
    }

    /// Its variables, to train or to load.
    pub fn variables_mut(&mut self) -> &mut nn::VarStore {
        &mut self.variables
    }

    /// With every picture by itself in [`run`](Self::run) and [`look`](crate::model::Model::look), whatever batch it comes in: on a CPU, and
    /// with libtorch bound to one thread ([`set_threads`](crate::sys::set_threads)), the same picture then gives the same bits in
    /// every run on a machine, with any number of rayon's threads.
    ///
    /// Without, the last bits may differ: libtorch adds up, and takes the exponential, in vectors, and treats what is left over at
    /// the end of a tensor otherwise; where that lies depends on the size of the batch and on how many threads share it.
    /// [`forward`](Self::forward) takes batches as they are.
    pub fn one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Whether every picture goes through it by itself ([`one_by_one`](Self::one_by_one)).
    pub fn is_one_by_one(&self) -> bool {
        self.one_by_one
    }

    /// Whether a training forward pass trains the backbone too: its BatchNorm then takes, and learns, the batch's statistics,
    /// and dropout and stochastic depth are on. At first it does not: a frozen backbone stays in evaluation.
    pub fn train_backbone(&mut self, trains: bool) {
        self.backbone_trains = trains;
        self.joint |= trains && !self.config.attention.is_empty();
    }

    /// The device that its weights are on.
    pub fn device(&self) -> tch::Device {
        self.variables.device()
    }
}
