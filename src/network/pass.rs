//! The forward pass: backbone, attention, classifier.

use tch::Tensor;

use super::{Kept, Network, Output, Site};
use crate::maps::Detail;
use crate::{ErrorKind, Result};

impl Network {
    /// Pictures `[N, 3, H, W]`, normalised, H and W multiples of 32 → logits and every attention map.
    ///
    /// `train` switches the attention's BatchNorm; the backbone stays in evaluation unless
    /// [`train_backbone`](Self::train_backbone) said that it trains.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the input is not `[N, 3, H, W]`.
    pub fn forward(&self, xs: &Tensor, train: bool) -> Result<Output> {
        self.forward_with(xs, train, Detail::Maps)
    }

    /// As [`forward`](Self::forward), with what else is kept.
    pub(super) fn forward_with(&self, xs: &Tensor, train: bool, detail: Detail) -> Result<Output> {
        let mut kept = Kept { detail, ..Kept::default() };
        let trunk = self.run_trunk(xs, train && self.backbone_trains, &mut kept)?;
        self.run_tail(&trunk, train, kept)
    }

    /// The part before the first attention: pictures `[N, 3, H, W]` → that stage's features; the pictures themselves, if
    /// attention stands in the stem. It has no attention and needs no gradient, so what it returns can be kept while the
    /// rest trains.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the input is not `[N, 3, H, W]`.
    pub fn trunk(&self, xs: &Tensor) -> Result<Tensor> {
        self.run_trunk(xs, false, &mut Kept::default())
    }

    fn run_trunk(&self, xs: &Tensor, train: bool, kept: &mut Kept) -> Result<Tensor> {
        self.check_picture(xs)?;
        if self.stem_attends() {
            return Ok(xs.f_to_kind(self.variables.kind())?);
        }
        let stages = self.trunk_stages();
        let mut features = self.stem(xs, train, &mut Kept::default())?;
        for stage in 0..stages {
            features = self.backbone.stage(stage, &features, train);
            if self.ground == Some(stage) {
                kept.ground = Some(features.shallow_clone());
            }
        }
        Ok(features)
    }

    /// Pictures `[N, 3, H, W]` to the input of the first stage, with the attention in between.
    pub(super) fn stem(&self, xs: &Tensor, train: bool, kept: &mut Kept) -> Result<Tensor> {
        self.check_picture(xs)?;
        let xs = three_channels(xs)?;
        let backbone_trains = train && self.backbone_trains;
        let mut attend = |xs: &Tensor| self.attend(Site::Stem, xs, train, kept);
        self.backbone.stem_gated(&xs.f_to_kind(self.variables.kind())?, backbone_trains, &mut attend)
    }

    fn stem_attends(&self) -> bool {
        self.blocks.first().is_some_and(|block| block.site == Site::Stem)
    }

    fn check_picture(&self, xs: &Tensor) -> Result<()> {
        let least = self.backbone.smallest_side();
        match xs.size()[..] {
            [_, 3, height, width] if height.min(width) >= least => Ok(()),
            [_, 1, height, width] if self.config.variant.grey && height.min(width) >= least => Ok(()),
            ref size => {
                let (expected, got) = (format!("[N, 3, H, W], H and W at least {least}"), format!("{size:?}"));
                Err(ErrorKind::Input { layer: "Network", expected, got }.into())
            }
        }
    }

    /// The part from the first attention on; takes what [`Self::trunk`] returns.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the features are not that stage's.
    pub fn tail(&self, features: &Tensor, train: bool) -> Result<Output> {
        self.run_tail(features, train, Kept::default())
    }

    fn run_tail(&self, features: &Tensor, train: bool, mut kept: Kept) -> Result<Output> {
        let backbone_trains = train && self.backbone_trains;
        let mut xs = features.shallow_clone();
        let first = self.trunk_stages();
        if self.stem_attends() {
            xs = self.stem(&xs, train, &mut kept)?;
        }
        if let Some(before) = first.checked_sub(1) {
            xs = self.behind(before, &xs, train, &mut kept)?;
        }
        for stage in first..self.backbone.stages().len() {
            xs = self.stage(stage, &xs, train, &mut kept)?;
        }
        let features = self.backbone.head_conv(&xs, backbone_trains);
        let activated = self.backbone.head_activation(&features);
        let attended = self.attend(Site::Head, &activated, train, &mut kept)?;
        let logits = self.tempered_scores(&attended, backbone_trains)?;
        let Kept { attention, ground, inputs, .. } = kept;
        Ok(Output { logits, features, attention, ground, inputs })
    }

    /// One stage, with the attention in it and behind it.
    pub(super) fn stage(&self, stage: usize, xs: &Tensor, train: bool, kept: &mut Kept) -> Result<Tensor> {
        let backbone_trains = train && self.backbone_trains;
        let mut attend = |inner, xs: &Tensor| self.attend(Site::Inside(stage, inner), xs, train, kept);
        let xs = self.backbone.stage_gated(stage, xs, backbone_trains, &mut attend)?;
        self.behind(stage, &xs, train, kept)
    }

    /// What a stage gives out, to what its attention makes of that.
    fn behind(&self, stage: usize, xs: &Tensor, train: bool, kept: &mut Kept) -> Result<Tensor> {
        let xs = self.attend(Site::Stage(stage), xs, train, kept)?;
        if self.ground == Some(stage) {
            kept.ground = Some(xs.shallow_clone());
        }
        Ok(xs)
    }

    /// The attention at a site, if there is any; its maps are kept.
    fn attend(&self, site: Site, xs: &Tensor, train: bool, kept: &mut Kept) -> Result<Tensor> {
        let Some(block) = self.blocks.iter().find(|block| block.site == site) else { return Ok(xs.shallow_clone()) };
        // Under autocast the backbone gives out f16; the attention computes in the kind of its weights.
        let (attended, of_block) = block.forward(&xs.f_to_kind(self.variables.kind())?, train)?;
        kept.attention.push(of_block);
        if kept.detail == Detail::Whole {
            kept.inputs.push(xs.shallow_clone());
        }
        Ok(attended)
    }

    /// Class scores, `[N, classes]`, from the activated features of the last convolution, `[N, C, h, w]`, through the
    /// head's attention if there is any.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the features are not those of the last convolution.
    pub fn classify(&self, features: &Tensor) -> Result<Tensor> {
        self.tempered_scores(&self.attend(Site::Head, features, false, &mut Kept::default())?, false)
    }

    fn tempered_scores(&self, attended: &Tensor, backbone_trains: bool) -> Result<Tensor> {
        let scores = self.backbone.classify(attended, backbone_trains);
        Ok(if self.config.temperature == 1.0 { scores } else { scores.f_div_scalar(self.config.temperature)? })
    }

    /// How many stages run before any attention.
    pub(crate) fn trunk_stages(&self) -> usize {
        match self.blocks.first().map(|block| block.site) {
            Some(Site::Stem) => 0,
            Some(Site::Inside(stage, _)) => stage,
            Some(Site::Stage(stage)) => stage + 1,
            Some(Site::Head) | None => self.backbone.stages().len(),
        }
    }
}

/// One channel as three that are equal: of these, luminance is that channel.
fn three_channels(xs: &Tensor) -> Result<Tensor> {
    if xs.size().get(1) == Some(&1) {
        Ok(xs.f_expand([-1, 3, -1, -1], false)?.f_contiguous()?)
    } else {
        Ok(xs.shallow_clone())
    }
}
