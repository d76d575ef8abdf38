//! The backbones by name.

use serde::{Deserialize, Serialize};

use super::{Stage, Stem, table};
use crate::text::named;
use crate::{Error, Result};

/// The backbones that this crate can build, by the names that people know them by: `efficientnet-lite0`, `resnet50`; torchvision's
/// where that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Arch {
    /// EfficientNet-Lite0: 4.7 million parameters.
    #[default]
    EfficientNetLite0,
    /// EfficientNet-Lite1: 5.4 million parameters.
    EfficientNetLite1,
    /// EfficientNet-Lite2: 6.1 million parameters.
    EfficientNetLite2,
    /// ResNet-18: 11.7 million parameters.
    ResNet18,
    /// ResNet-34: 21.8 million parameters.
    ResNet34,
    /// ResNet-50: 25.6 million parameters.
    ResNet50,
    /// ResNet-101: 44.5 million parameters.
    ResNet101,
    /// ResNet-152: 60.2 million parameters.
    ResNet152,
    /// ResNeXt-50, 32 groups of 4: 25.0 million parameters.
    ResNeXt50,
    /// ResNeXt-101, 32 groups of 8: 88.8 million parameters.
    ResNeXt101,
    /// Wide ResNet-50, twice as wide inside: 68.9 million parameters.
    WideResNet50,
    /// VGG-11: 132.9 million parameters, as all of VGG most of them in the classifier.
    Vgg11,
    /// VGG-11 with BatchNorm.
    Vgg11Bn,
    /// VGG-13: 133.0 million parameters.
    Vgg13,
    /// VGG-13 with BatchNorm.
    Vgg13Bn,
    /// VGG-16: 138.4 million parameters.
    Vgg16,
    /// VGG-16 with BatchNorm.
    Vgg16Bn,
    /// VGG-19: 143.7 million parameters.
    Vgg19,
    /// VGG-19 with BatchNorm.
    Vgg19Bn,
    /// MobileNetV2: 3.5 million parameters.
    MobileNetV2,
}

named! {
    Arch as "backbone";
    EfficientNetLite0 => "efficientnet-lite0",
    EfficientNetLite1 => "efficientnet-lite1",
    EfficientNetLite2 => "efficientnet-lite2",
    ResNet18 => "resnet18",
    ResNet34 => "resnet34",
    ResNet50 => "resnet50",
    ResNet101 => "resnet101",
    ResNet152 => "resnet152",
    ResNeXt50 => "resnext50_32x4d",
    ResNeXt101 => "resnext101_32x8d",
    WideResNet50 => "wide_resnet50_2",
    Vgg11 => "vgg11",
    Vgg11Bn => "vgg11_bn",
    Vgg13 => "vgg13",
    Vgg13Bn => "vgg13_bn",
    Vgg16 => "vgg16",
    Vgg16Bn => "vgg16_bn",
    Vgg19 => "vgg19",
    Vgg19Bn => "vgg19_bn",
    MobileNetV2 => "mobilenet_v2",
}

impl From<Arch> for &'static str {
    fn from(arch: Arch) -> Self {
        arch.name()
    }
}

impl TryFrom<String> for Arch {
    type Error = Error;

    fn try_from(name: String) -> Result<Self> {
        name.parse()
    }
}

impl Arch {
    /// The side of the square pictures that it was trained on, in pixels. It takes pictures of any size.
    pub const fn input_size(self) -> u32 {
        match self {
            Self::EfficientNetLite1 => 240,
            Self::EfficientNetLite2 => 260,
            _ => 224,
        }
    }

    /// Whether it is EfficientNet-Lite0, 1 or 2, which take pictures scaled to ±1; the others take those that
    /// [`Preprocess::imagenet`](crate::photo::Preprocess::imagenet) makes.
    pub const fn is_efficientnet_lite(self) -> bool {
        matches!(self, Self::EfficientNetLite0 | Self::EfficientNetLite1 | Self::EfficientNetLite2)
    }

    /// The name of its last layer, which gives out the logits, among its variables: `fc`, `classifier.6`, …
    pub fn classifier(self) -> &'static str {
        match (table::mobile(self), table::plain(self)) {
            (Some(_), _) if self.is_efficientnet_lite() => "_fc",
            (Some(_), _) => "classifier.1",
            (_, Some(_)) => "classifier.6",
            _ => "fc",
        }
    }

    /// Its stages in their order, of the usual network of its kind.
    pub fn stages(self) -> Vec<Stage> {
        self.stages_behind(Stem::default())
    }

    /// The same behind another stem; only residual networks have others.
    pub fn stages_behind(self, stem: Stem) -> Vec<Stage> {
        let mobile = table::mobile(self).map(|mobile| mobile.stages());
        let residual = || table::residual(self).map(|residual| residual.stages(stem.cell()));
        let plain = || table::plain(self).map(|plain| plain.stages());
        mobile.or_else(residual).or_else(plain).unwrap_or_default()
    }

    /// How many channels the classifier pools.
    pub fn head_channels(self) -> i64 {
        let of_stage = || self.stages().last().map_or(0, |stage| stage.channels);
        table::mobile(self).map_or_else(of_stage, |mobile| mobile.head)
    }

    /// How many channels its stem gives out; `None` if attention cannot stand there.
    pub fn stem_channels(self) -> Option<i64> {
        table::mobile(self).map(|mobile| mobile.stem).or(table::residual(self).map(|_| table::Residual::STEM))
    }

    /// How many numbers the matrices of a classifier hold, with these layers before its last one; none for 0 classes.
    pub fn classifier_values(self, hidden: &[i64], classes: i64) -> i128 {
        if classes == 0 {
            return 0;
        }
        let plain = table::plain(self).is_some();
        let features = if plain { table::Plain::FEATURES } else { self.head_channels() };
        let hidden = if plain && hidden.is_empty() { &table::Plain::HIDDEN[..] } else { hidden };
        let widths: Vec<i128> =
            [features].iter().chain(hidden).chain([&classes]).map(|width| i128::from(*width)).collect();
        widths.windows(2).fold(0, |sum: i128, pair| sum.saturating_add(pair[0].saturating_mul(pair[1])))
    }

    /// How many numbers the weights of any such backbone hold at least, without its classifier: what a file must hold before
    /// anything is built for it. A little under the published network's, so that variants with another stem fit too.
    pub fn least_values(self) -> i128 {
        let thousands = match self {
            Self::EfficientNetLite0 => 3_300,
            Self::EfficientNetLite1 => 4_050,
            Self::EfficientNetLite2 => 4_700,
            Self::ResNet18 => 11_000,
            Self::ResNet34 => 21_000,
            Self::ResNet50 => 23_200,
            Self::ResNet101 => 42_000,
            Self::ResNet152 => 57_500,
            Self::ResNeXt50 => 22_700,
            Self::ResNeXt101 => 85_900,
            Self::WideResNet50 => 66_100,
            Self::Vgg11 | Self::Vgg11Bn => 9_200,
            Self::Vgg13 | Self::Vgg13Bn => 9_400,
            Self::Vgg16 | Self::Vgg16Bn => 14_700,
            Self::Vgg19 | Self::Vgg19Bn => 20_000,
            Self::MobileNetV2 => 2_180,
        };
        1000 * thousands
    }
}
