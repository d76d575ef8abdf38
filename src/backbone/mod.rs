//! Convolutional backbones that expose their stages, so that attention can stand between any two of them.
//!
//! | module | network | paper |
//! |---|---|---|
//! | [`efficientnet_lite`] | EfficientNet-Lite0, 1, 2 | Tan & Le 2019, "EfficientNet", in its mobile variant without squeeze-excite |
//!
//! A network reads as stem → stages in their order → head → classifier. As in tch's own layers, a tensor of the wrong
//! shape, kind or device panics: whoever takes input from outside checks it once, before the backbone.

mod conv;
pub mod efficientnet_lite;

use std::borrow::Borrow;
use std::fmt::{self, Debug, Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::{Tensor, nn};

use crate::{Error, Result};
pub use efficientnet_lite::EfficientNetLite;

/// One stage of a backbone: a run of blocks at one resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Its name, `stage1`, `stage2`, …
    pub name: String,
    /// The channels that it gives out.
    pub channels: i64,
    /// How many input pixels one of its cells covers along a side: the product of all strides up to here.
    pub stride: i64,
    /// The widened features inside its first block, if that block has any.
    pub expansion: Option<Expansion>,
}

/// The widened features inside the first block of a [`Stage`]: what an inverted residual block (Sandler et al. 2018)
/// filters channel by channel, after its 1×1 convolution, normalisation and activation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expansion {
    /// Their channels.
    pub channels: i64,
    /// How many input pixels one of their cells covers along a side.
    pub stride: i64,
}

/// What [`Backbone::stage_gated`] hands its expanded features to.
pub type GateExpansion<'a> = dyn FnMut(&Tensor) -> Result<Tensor> + 'a;

/// A convolutional network whose stages can be run one by one.
///
/// `train` chooses the statistics of the batch (true) or the running ones (false) for BatchNorm, and turns on the
/// network's dropout.
pub trait Backbone: Debug + Send {
    /// The stages, in the order in which they run.
    fn stages(&self) -> &[Stage];

    /// Pictures `[N, 3, H, W]` to the input of the first stage.
    fn stem(&self, xs: &Tensor, train: bool) -> Tensor;

    /// Runs stage `index` (from 0): `[N, channels before, h, w]` to `[N, channels, h', w']`.
    ///
    /// # Panics
    /// If there is no stage `index`.
    fn stage(&self, index: usize, xs: &Tensor, train: bool) -> Tensor;

    /// Runs stage `index` as [`stage`](Self::stage) does, and hands the [`Expansion`] inside its first block to `gate`,
    /// `[N, channels, h, w]`, to go on with what that returns, of the same shape. A stage without an expansion never
    /// calls it.
    ///
    /// # Errors
    /// What `gate` returns.
    ///
    /// # Panics
    /// If there is no stage `index`.
    fn stage_gated(&self, index: usize, xs: &Tensor, train: bool, gate: &mut GateExpansion<'_>) -> Result<Tensor>;

    /// The last stage's output through the last convolution and its normalisation, before the activation:
    /// `[N, features, h, w]`.
    fn head_conv(&self, xs: &Tensor, train: bool) -> Tensor;

    /// The activation of [`head_conv`](Self::head_conv)'s features.
    fn head_activation(&self, features: &Tensor) -> Tensor;

    /// The last stage's output to the features under the classifier, after their activation: `[N, features, h, w]`.
    fn head(&self, xs: &Tensor, train: bool) -> Tensor {
        self.head_activation(&self.head_conv(xs, train))
    }

    /// Averages the head's features over all positions and classifies them: `[N, features, h, w]` to logits
    /// `[N, classes]`.
    fn classify(&self, features: &Tensor, train: bool) -> Tensor;

    /// The classifier's matrix, `[classes, features]`: what class activation maps weigh the features with.
    fn classifier_weight(&self) -> Tensor;

    /// The plain network, from pictures `[N, 3, H, W]` to logits `[N, classes]`.
    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let stem = self.stem(xs, train);
        let last = (0..self.stages().len()).fold(stem, |xs, index| self.stage(index, &xs, train));
        self.classify(&self.head(&last, train), train)
    }
}

/// The backbones that this crate can build, by the names that people know them by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Arch {
    /// 4.7 million parameters.
    #[default]
    #[serde(rename = "efficientnet-lite0")]
    EfficientNetLite0,
    /// 5.4 million parameters.
    #[serde(rename = "efficientnet-lite1")]
    EfficientNetLite1,
    /// 6.1 million parameters.
    #[serde(rename = "efficientnet-lite2")]
    EfficientNetLite2,
}

impl Arch {
    /// Every backbone.
    pub const ALL: [Self; 3] = [Self::EfficientNetLite0, Self::EfficientNetLite1, Self::EfficientNetLite2];

    /// Its name, such as `efficientnet-lite0`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EfficientNetLite0 => "efficientnet-lite0",
            Self::EfficientNetLite1 => "efficientnet-lite1",
            Self::EfficientNetLite2 => "efficientnet-lite2",
        }
    }

    /// The side of the square pictures that it was trained on, in pixels. It takes pictures of any size.
    pub const fn input_size(self) -> u32 {
        match self {
            Self::EfficientNetLite0 => 224,
            Self::EfficientNetLite1 => 240,
            Self::EfficientNetLite2 => 260,
        }
    }

    /// Builds it under `p`, with fresh weights and a classifier of `classes` classes.
    ///
    /// # Panics
    /// If `classes` is negative.
    pub fn build<'a>(self, p: impl Borrow<nn::Path<'a>>, classes: i64) -> Box<dyn Backbone> {
        Box::new(EfficientNetLite::new(p, self, classes))
    }
}

impl Display for Arch {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Arch {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|arch| arch.name() == name).ok_or_else(|| {
            let known = Self::ALL.map(Self::name).join(", ");
            Error::argument("backbone", format!("there is none named {name:?}; the names are {known}"))
        })
    }
}
