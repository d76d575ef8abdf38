//! Places inside the network: running up to one, and from one on.

use tch::Tensor;

use super::{Kept, Network};
use crate::maps::HEAD;
use crate::{Error, ErrorKind, Result};

/// A place inside a network, by its index among [`Network::places`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place(usize);

impl Network {
    /// The names of the places whose features can be had, in their order: every stage of the backbone (what leaves it,
    /// after its attention if it has any), and [`HEAD`].
    pub fn places(&self) -> Vec<&str> {
        self.backbone.stages().iter().map(|stage| stage.name.as_str()).chain([HEAD]).collect()
    }

    /// The place of this name; [`HEAD`] if there is none.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if the network has no such place.
    pub fn place(&self, name: Option<&str>) -> Result<Place> {
        let (name, places) = (name.unwrap_or(HEAD), self.places());
        places.iter().position(|place| *place == name).map(Place).ok_or_else(|| {
            Error::argument(format!("stage {name:?}"), format!("this network has {}", places.join(", ")))
        })
    }

    /// The first part: pictures `[N, 3, H, W]` to the features at `place`, `[N, C, h, w]`, out of training.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the input is not `[N, 3, H, W]`.
    pub fn features_at(&self, place: Place, xs: &Tensor) -> Result<Tensor> {
        let stages = self.backbone.stages().len();
        let mut features = self.stem(xs, false, &mut Kept::default())?;
        for stage in 0..=place.0.min(stages - 1) {
            features = self.stage(stage, &features, false, &mut Kept::default())?;
        }
        Ok(if place.0 < stages { features } else { self.backbone.head(&features, false) })
    }

    /// The rest: what [`features_at`](Self::features_at) returns, or something in its stead, to logits `[N, classes]`,
    /// out of training.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if the features are not those of `place`.
    pub fn logits_from(&self, place: Place, features: &Tensor) -> Result<Tensor> {
        let stages = self.backbone.stages().len();
        let channels =
            self.backbone.stages().get(place.0).map_or_else(|| self.backbone.head_channels(), |stage| stage.channels);
        if !matches!(features.size()[..], [_, c, height, width] if c == channels && height > 0 && width > 0) {
            let (expected, got) = (format!("[N, {channels}, h, w]"), format!("{:?}", features.size()));
            return Err(ErrorKind::Input { layer: "Network", expected, got }.into());
        }
        let mut features = features.f_to_kind(self.variables.kind())?;
        for stage in place.0 + 1..stages {
            features = self.stage(stage, &features, false, &mut Kept::default())?;
        }
        if place.0 < stages {
            features = self.backbone.head(&features, false);
        }
        self.classify(&features)
    }
}
