//! What a configuration says of a network before it is built.

use std::ops::RangeInclusive;

use super::{HEAD, NetworkConfig, Site};
use crate::classes::{Outputs, both_answers, usual_labels};
use crate::maps::{MapName, Method};
use crate::model::Description;
use crate::photo::Preprocess;
use crate::{Error, Result};

/// What logits may be divided by.
const TEMPERATURES: RangeInclusive<f64> = 0.01..=100.0;
/// The most classes that a configuration may ask for.
const MAX_CLASSES: i64 = 1_000_000;
/// The most that the weights of one patch attention may take, in GiB: a machine of 32 bits has 4 for everything.
const MAX_PATCH_GIB: i128 = if usize::BITS > 32 { 4 } else { 1 };

impl NetworkConfig {
    /// Checks what does not depend on weights, and says where each attention stands, with its channels and how many pixels one of its
    /// cells covers along a side. One class alone is no softmax from then on.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is a number of classes that cannot be, or of names another; or the attention's stages do not exist,
    /// or are out of order.
    pub fn settle(&mut self) -> Result<Vec<(Site, i64, i64)>> {
        if !(0..=MAX_CLASSES).contains(&self.classes) {
            let message = format!("{} classes; there must be 0 (no classifier) to {MAX_CLASSES}", self.classes);
            return Err(Error::argument("network", message));
        }
        if !self.labels.is_empty() && self.labels.len() as i64 != self.classes {
            let message = format!("{} names for {} classes", self.labels.len(), self.classes);
            return Err(Error::argument("labels", message));
        }
        self.outputs = self.outputs.of_logits(self.classes);
        self.check_temperature()?;
        let mut sites: Vec<(Site, i64, i64)> = Vec::new();
        for attention in &self.attention {
            let site = Site::find(&attention.stage, self)?;
            if sites.last().is_some_and(|last| !last.0.is_before(site.0)) {
                let message = format!("'{}' is not behind the one before it", attention.stage);
                return Err(Error::argument("attention stage", message));
            }
            sites.push(site);
        }
        Ok(sites)
    }

    /// Refuses a temperature that is none, or that there is nothing for.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is not 0.01 to 100, or not 1 where there are no classes, or their numbers are
    /// probabilities already.
    pub fn check_temperature(&self) -> Result<()> {
        if !TEMPERATURES.contains(&self.temperature) {
            let (least, most) = (TEMPERATURES.start(), TEMPERATURES.end());
            return Err(Error::argument("temperature", format!("{}; it must be {least} to {most}", self.temperature)));
        }
        let without = match self.outputs {
            _ if self.temperature == 1.0 => return Ok(()),
            _ if self.classes == 0 => "this network has none, for want of classes",
            Outputs::Probabilities | Outputs::Score => "this network gives out none",
            Outputs::Softmax | Outputs::Sigmoid => return Ok(()),
        };
        Err(Error::argument("temperature", format!("{}; it divides logits, and {without}", self.temperature)))
    }

    /// How many answers the network has: its classes, or two if it gives out one number (see [`Outputs`](crate::classes::Outputs)).
    pub fn answers(&self) -> usize {
        usize::try_from(self.outputs.answers(self.classes)).unwrap_or(0)
    }

    /// The places whose features can be had, in their order: every stage of the backbone (what leaves it, after its attention if it
    /// has any), and [`HEAD`].
    pub fn places(&self) -> Vec<String> {
        let stages = self.arch.stages_behind(self.variant.stem);
        stages.into_iter().map(|stage| stage.name).chain([HEAD.to_owned()]).collect()
    }

    /// The network as a [`Model`](crate::model::Model) describes itself, if it takes pictures so.
    pub fn describe(&self, preprocess: &Preprocess) -> Description {
        let patches = self.attention.iter().filter(|block| block.patch.is_some());
        Description {
            preprocess: preprocess.clone(),
            numbers: self.classes as usize,
            outputs: self.outputs,
            labels: self.labels_of_answers(),
            maps: self.map_names(),
            places: self.places(),
            default_place: Some(HEAD.to_owned()),
            without_gradient: Vec::new(),
            patch_stages: patches.map(|block| block.stage.clone()).collect(),
        }
    }

    /// The stage whose features tell things apart, behind its attention (see [`likeness`](crate::maps::likeness)): that of the last patch
    /// attention on the finest of their grids; without patch attention the last stage on the grid next finer than the last features'.
    /// `None` if there is no such stage, the network has no classes, or attention stands between the last features and the classifier.
    pub fn ground(&self) -> Option<usize> {
        if self.classes == 0 {
            return None; // nor is there a class activation
        }
        let stages = self.arch.stages_behind(self.variant.stem);
        let found = |stage: &str| Site::find(stage, self).ok();
        if self.attention.iter().any(|block| matches!(found(&block.stage), Some((Site::Head, ..)))) {
            return None;
        }
        let patches = self.attention.iter().filter_map(|block| {
            let (site, _, stride) = found(&block.stage)?;
            Some((stride * block.patch.as_ref()?.patch_size, site))
        });
        match patches.rev().min_by_key(|(cell, _)| *cell) {
            Some((_, Site::Stage(stage))) => Some(stage),
            Some(_) => None,
            None => {
                let half = stages.last()?.stride / 2;
                stages.iter().rposition(|stage| stage.stride == half)
            }
        }
    }

    fn labels_of_answers(&self) -> Vec<String> {
        match self.labels.as_slice() {
            [] => usual_labels(self.answers()),
            [one] if self.classes == 1 => both_answers(one),
            labels => labels.to_vec(),
        }
    }

    fn map_names(&self) -> Vec<MapName> {
        let attention = &self.attention;
        let spatial = attention.iter().filter(|block| block.has_spatial_gate());
        let spatial: Vec<_> = spatial.map(|block| MapName::Spatial(Some(block.stage.clone()))).collect();
        let patch =
            attention.iter().filter_map(|block| Some((block.stage.as_str(), block.patch.as_ref()?.heads as usize)));
        let patch = MapName::patches(patch);
        let mut names = Vec::new();
        if !spatial.is_empty() || !patch.is_empty() {
            names.extend([MapName::Fused, MapName::Object]);
        }
        names.extend(spatial);
        names.extend(patch);
        if attention.iter().filter(|block| block.patch.is_some()).count() > 1 {
            names.push(MapName::Rollout);
        }
        names.extend(Method::ALL.into_iter().filter(|method| !method.needs_attention()).map(MapName::explain));
        if !names.contains(&MapName::Object) && self.ground().is_some() {
            names.push(MapName::Object);
        }
        let gated = attention.iter().filter(|block| block.has_channel_gate());
        names.extend(gated.map(|block| MapName::Channel(block.stage.clone())));
        if self.answers() == 0 {
            // Nothing can be of a class. First, and so drawn unless another is asked for, is the last gate.
            names.retain(|name| !name.needs_class());
            names.sort_by_key(|name| !matches!(name, MapName::Spatial(_)));
            let spatial = names.iter().take_while(|name| matches!(name, MapName::Spatial(_))).count();
            names[..spatial].reverse();
            if spatial == 0 {
                names.sort_by_key(|name| *name != MapName::explain(Method::EigenCam));
            }
        }
        names
    }

    /// Refuses pictures `[N, …, H, W]` whose patch attention, which grows with the fourth power of the side, would not fit.
    ///
    /// # Errors
    /// [`Error::Argument`] if it would take over 4 GiB, or 1 GiB on a machine of 32 bits.
    pub fn check_patch_memory(&self, [pictures, height, width]: [usize; 3]) -> Result<()> {
        for attention in &self.attention {
            let Some(patch) = &attention.patch else { continue };
            let (_, _, stride) = Site::find(&attention.stage, self)?;
            let cell = usize::try_from(stride * patch.patch_size).unwrap_or(1).max(1);
            let patches = (height / cell + 1) as i128 * (width / cell + 1) as i128;
            // Scores and their softmax, in f32.
            if 2 * 4 * pictures as i128 * i128::from(patch.heads) * patches * patches > MAX_PATCH_GIB << 30 {
                let message = format!(
                    "{pictures} × {width}x{height} pixels: the patch attention would take over {MAX_PATCH_GIB} GiB"
                );
                return Err(Error::argument("size", format!("{message}; choose a smaller size")));
            }
        }
        Ok(())
    }
}
