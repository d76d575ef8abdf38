//! What the code bases that write one architecture do differently, though its parameters have the same names and shapes.

use serde::{Deserialize, Serialize};

use super::{Arch, table};
use crate::photo::Preprocess;
use crate::text::named;
use crate::{Error, Result};

/// The most hidden layers of a classifier, and the most values in one.
const MAX_HIDDEN: (usize, i64) = (8, 1 << 16);

/// The convolution of a residual bottleneck that halves the resolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum StrideIn {
    /// `3x3`: the middle one, as in torchvision, timm and the official CBAM.
    #[default]
    #[serde(rename = "3x3")]
    Middle,
    /// `1x1`: the first one, as in the paper, in Caffe's networks, and in pytorchcv's without a `b` in their names.
    #[serde(rename = "1x1")]
    First,
}

named! { StrideIn as "stride-in", read by meant; Middle => "3x3", First => "1x1" }

fn meant(text: &str) -> String {
    text.trim().to_lowercase().replace('×', "x")
}

/// What the stem of a residual network does to a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stem {
    /// The side of its convolution, 3, 5 or 7. Default: 7.
    pub kernel: i64,
    /// The convolution's stride, 1 or 2. Default: 2.
    pub stride: i64,
    /// Whether a 3×3 max pooling of stride 2 follows. Default: true.
    pub max_pool: bool,
    /// Whether that pooling has no padding, and goes beyond the picture at the right and the bottom where it must, as Caffe's does
    /// (PyTorch's `ceil_mode`). Default: false, it has one cell on each side.
    #[serde(skip_serializing_if = "is_false")]
    pub unpadded: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Default for Stem {
    fn default() -> Self {
        Self { kernel: 7, stride: 2, max_pool: true, unpadded: false }
    }
}

impl Stem {
    /// How many pixels one cell covers along a side behind it.
    pub const fn cell(self) -> i64 {
        self.stride * if self.max_pool { 2 } else { 1 }
    }
}

/// How a network differs from the usual one of its architecture. The default is the usual one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Variant {
    /// The convolution of a bottleneck that halves the resolution; of residual networks that have bottlenecks.
    pub stride_in: StrideIn,
    /// The stem; of residual networks.
    pub stem: Stem,
    /// Whether convolutions are padded alike on both sides, as PyTorch does, and pictures are those of
    /// [`Preprocess::imagenet`](crate::photo::Preprocess::imagenet); of EfficientNet-Lite, which else follows TensorFlow.
    pub symmetric: bool,
    /// Whether it was made for grey pictures: its first convolution weighs red, green and blue as luminance does.
    pub grey: bool,
    /// The widths of the layers between the pooled features and the classifier's last one, each with a ReLU behind it. Of VGG, none
    /// stand for its own two.
    pub hidden: Vec<i64>,
}

impl Variant {
    /// How pictures are taken by a network of this variant, unless it says otherwise.
    pub fn preprocess(&self, arch: Arch) -> Preprocess {
        let tensorflow = arch.is_efficientnet_lite() && !self.symmetric;
        let base = if tensorflow { Preprocess::default() } else { Preprocess::imagenet() };
        let Preprocess { mean, std, .. } = Preprocess::imagenet_grey();
        if self.grey { Preprocess { mean, std, ..base } } else { base }
    }

    /// Whether it is the usual network.
    pub fn is_usual(&self) -> bool {
        *self == Self::default()
    }

    /// Checks the numbers, and that the architecture has such a variant.
    ///
    /// # Errors
    /// [`Error::Argument`] if not.
    pub fn check(&self, arch: Arch) -> Result<()> {
        let wrong = |message: String| Err(Error::argument("network", message));
        let Stem { kernel, stride, .. } = self.stem;
        if !matches!(kernel, 3 | 5 | 7) || !matches!(stride, 1 | 2) {
            return wrong(format!(
                "a stem of {kernel}×{kernel} and stride {stride}; its side is 3, 5 or 7, its stride 1 or 2"
            ));
        }
        let (most, widest) = MAX_HIDDEN;
        if self.hidden.len() > most || self.hidden.iter().any(|width| !(1..=widest).contains(width)) {
            return wrong(format!("hidden layers {:?}; at most {most}, of 1 to {widest} values", self.hidden));
        }
        if self.symmetric && !arch.is_efficientnet_lite() {
            return wrong("only EfficientNet-Lite may be padded otherwise".to_owned());
        }
        if (self.stride_in, self.stem) != Default::default() && table::residual(arch).is_none() {
            return wrong("only residual networks have a stride in bottlenecks, or a stem of another form".to_owned());
        }
        Ok(())
    }
}
