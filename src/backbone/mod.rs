//! Convolutional backbones that expose their stages, so that attention can stand between any two of them.
//!
//! | module | network | paper |
//! |---|---|---|
//! | [`efficientnet_lite`] | EfficientNet-Lite0, 1, 2 | Tan & Le 2019, "EfficientNet", in its mobile variant without squeeze-excite |
//! | [`resnet`] | ResNet-18, 34, 50, 101, 152 | He et al. 2016, "Deep Residual Learning for Image Recognition" |
//! | | ResNeXt-50 32x4d, 101 32x8d | Xie et al. 2017, "Aggregated Residual Transformations" |
//! | | Wide ResNet-50-2 | Zagoruyko & Komodakis 2016, "Wide Residual Networks" |
//! | [`vgg`] | VGG-11, 13, 16, 19, with BatchNorm and without | Simonyan & Zisserman 2015, "Very Deep Convolutional Networks" |
//! | [`mobilenet_v2`] | MobileNetV2 | Sandler et al. 2018, "Inverted Residuals and Linear Bottlenecks" |
//!
//! A network reads as stem → stages in their order → head → classifier. As in tch's own layers, a tensor of the wrong
//! shape, kind or device panics: whoever takes input from outside checks it once, before the backbone.

mod conv;
pub mod efficientnet_lite;
mod head;
mod layers;
pub mod mobilenet_v2;
pub mod resnet;
mod start;
pub mod vgg;

use std::borrow::Borrow;
use std::fmt::Debug;

use tch::{Tensor, nn};

use crate::{Error, Result};
use cbam_core::backbone::table;
pub use cbam_core::backbone::{Arch, InnerKind, InnerSite, Stage, Stem, StrideIn, Variant};
pub use efficientnet_lite::EfficientNetLite;
pub use mobilenet_v2::MobileNetV2;
pub use resnet::ResNet;
pub(crate) use start::to_be_loaded;
pub use vgg::Vgg;

/// Builds a backbone under `p`, with fresh weights and a classifier of `classes` classes, of which 0 leave the classifier out.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `classes` is under 0.
pub fn build<'a>(p: impl Borrow<nn::Path<'a>>, arch: Arch, classes: i64) -> Result<Box<dyn Backbone>> {
    build_variant(p, arch, classes, &Variant::default())
}

/// Builds a variant of it likewise.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if `classes` is under 0, or the architecture has no such variant.
pub fn build_variant<'a>(
    p: impl Borrow<nn::Path<'a>>,
    arch: Arch,
    classes: i64,
    variant: &Variant,
) -> Result<Box<dyn Backbone>> {
    if classes < 0 {
        return Err(Error::argument("network", format!("{classes} classes; there must be 0 or more")));
    }
    variant.check(arch)?;
    Ok(match (table::mobile(arch), table::plain(arch)) {
        (Some(_), _) if arch.is_efficientnet_lite() => Box::new(EfficientNetLite::of(p, arch, classes, variant)?),
        (Some(_), _) => Box::new(MobileNetV2::of(p, arch, classes, variant)?),
        (_, Some(_)) => Box::new(Vgg::of(p, arch, classes, variant)?),
        _ => Box::new(ResNet::of(p, arch, classes, variant)?),
    })
}

/// What [`Backbone::stage_gated`] hands features to: the index of the place among [`Stage::inside`], and the features.
pub type GateInside<'a> = dyn FnMut(usize, &Tensor) -> Result<Tensor> + 'a;

/// What [`Backbone::stem_gated`] hands the first convolution's features to.
pub type GateStem<'a> = dyn FnMut(&Tensor) -> Result<Tensor> + 'a;

/// A convolutional network whose stages can be run one by one.
///
/// `train` chooses the statistics of the batch (true) or the running ones (false) for BatchNorm, and turns on the
/// network's dropout.
pub trait Backbone: Debug + Send {
    /// The stages, in the order in which they run.
    fn stages(&self) -> &[Stage];

    /// Pictures `[N, 3, H, W]` to the input of the first stage.
    fn stem(&self, xs: &Tensor, train: bool) -> Tensor {
        match self.stem_gated(xs, train, &mut |xs| Ok(xs.shallow_clone())) {
            Ok(xs) => xs,
            Err(error) => unreachable!("this gate does not fail: {error}"),
        }
    }

    /// As [`stem`](Self::stem), and hands the first convolution's features, normalised and activated, before any pooling, to
    /// `gate`, to go on with what that returns, of the same shape. A network without a [`stem_place`](Self::stem_place) asks
    /// for nothing.
    ///
    /// # Errors
    /// What `gate` returns.
    fn stem_gated(&self, xs: &Tensor, train: bool, gate: &mut GateStem<'_>) -> Result<Tensor>;

    /// The channels of the features that [`stem_gated`](Self::stem_gated) hands out, and how many pixels one of their cells
    /// covers along a side; `None` where the first stage sees the picture itself.
    fn stem_place(&self) -> Option<(i64, i64)>;

    /// Runs stage `index` (from 0): `[N, channels before, h, w]` to `[N, channels, h', w']`.
    ///
    /// # Panics
    /// If there is no stage `index`.
    fn stage(&self, index: usize, xs: &Tensor, train: bool) -> Tensor {
        match self.stage_gated(index, xs, train, &mut |_, xs| Ok(xs.shallow_clone())) {
            Ok(xs) => xs,
            Err(error) => unreachable!("this gate does not fail: {error}"),
        }
    }

    /// Runs stage `index` as [`stage`](Self::stage) does, and hands the features at each place [inside](Stage::inside)
    /// to `gate`, `[N, channels, h, w]`, once each and in their order, to go on with what that returns, of the same
    /// shape.
    ///
    /// # Errors
    /// What `gate` returns.
    ///
    /// # Panics
    /// If there is no stage `index`.
    fn stage_gated(&self, index: usize, xs: &Tensor, train: bool, gate: &mut GateInside<'_>) -> Result<Tensor>;

    /// The channels of the head's features.
    fn head_channels(&self) -> i64;

    /// The last stage's output through what convolution and normalisation follow it, before the activation:
    /// `[N, head channels, h, w]`. Where nothing follows it, it is the last stage's output as it is.
    fn head_conv(&self, xs: &Tensor, train: bool) -> Tensor;

    /// The activation of [`head_conv`](Self::head_conv)'s features; nothing if they are activated already.
    fn head_activation(&self, features: &Tensor) -> Tensor;

    /// The last stage's output to the features under the classifier, after their activation:
    /// `[N, head channels, h, w]`.
    fn head(&self, xs: &Tensor, train: bool) -> Tensor {
        self.head_activation(&self.head_conv(xs, train))
    }

    /// Pools the head's features and classifies them: `[N, head channels, h, w]` to logits `[N, classes]`, of which a network
    /// without a classifier has none.
    fn classify(&self, features: &Tensor, train: bool) -> Tensor;

    /// The classifier's matrix, `[classes, head channels]`: what class activation maps weigh the features with. None
    /// where the classifier is not linear in the mean of the features, as VGG's, and where there is no classifier.
    fn classifier_weight(&self) -> Option<Tensor>;

    /// The least height and width of a picture, in pixels.
    fn smallest_side(&self) -> i64 {
        1
    }

    /// The plain network, from pictures `[N, 3, H, W]` to logits `[N, classes]`.
    fn forward(&self, xs: &Tensor, train: bool) -> Tensor {
        let stem = self.stem(xs, train);
        let last = (0..self.stages().len()).fold(stem, |xs, index| self.stage(index, &xs, train));
        self.classify(&self.head(&last, train), train)
    }
}
