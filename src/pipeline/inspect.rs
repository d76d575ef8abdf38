//! What the pipeline needs of a network.

use ndarray::ArrayView4;

use crate::explain::Method;
use crate::maps::{MapName, Readout};
use crate::network::{Network, StageAttention};
use crate::photo::Preprocess;
use crate::weights::imagenet_classes;
use crate::{Error, Result};

/// A network that looks at pictures. One thread owns it, so it need not be [`Send`].
pub trait Inspect {
    /// How a picture becomes its input.
    fn preprocess(&self) -> Preprocess;

    /// The names of its classes, in the order of [`Readout::probabilities`]; classes beyond them have numbers.
    fn labels(&self) -> Vec<String>;

    /// The maps that its readouts hold, with every stage and head by name, channel gates included.
    fn map_names(&self) -> Vec<MapName>;

    /// How many pictures at once serve it best.
    fn batch_size(&self) -> usize;

    /// Looks at a batch, `[N, 3, H, W]`, normalised; `queries` are the points, as fractions of width and height, whose
    /// rows of attention weights are wanted. Returns one readout per picture.
    ///
    /// # Errors
    /// What the network refuses.
    fn inspect(&mut self, batch: ArrayView4<'_, f32>, queries: &[[f32; 2]]) -> Result<Vec<Readout>>;
}

impl Inspect for Network {
    fn preprocess(&self) -> Preprocess {
        self.config().preprocess()
    }

    fn labels(&self) -> Vec<String> {
        if !self.config().labels.is_empty() {
            return self.config().labels.clone();
        }
        let imagenet = imagenet_classes();
        let known = usize::try_from(self.config().classes).is_ok_and(|classes| classes == imagenet.len());
        if known { imagenet.iter().map(ToString::to_string).collect() } else { Vec::new() }
    }

    fn map_names(&self) -> Vec<MapName> {
        let attention = &self.config().attention;
        let cbam = || attention.iter().filter_map(|block| Some((block, block.cbam.as_ref()?)));
        let stage = |block: &StageAttention| block.stage.clone();
        let spatial: Vec<_> = cbam()
            .filter(|(_, cbam)| cbam.spatial.is_some())
            .map(|(block, _)| MapName::Spatial(Some(stage(block))))
            .collect();
        let patch =
            attention.iter().filter_map(|block| Some((block.stage.as_str(), block.patch.as_ref()?.heads as usize)));
        let patch = MapName::patches(patch);
        let mut names = Vec::new();
        if !spatial.is_empty() && !patch.is_empty() {
            names.push(MapName::Fused);
        }
        names.extend(spatial);
        names.extend(patch);
        names.push(MapName::explain(Method::GradCam));
        names.extend(cbam().map(|(block, _)| MapName::Channel(stage(block))));
        names
    }

    /// On a CPU a batch costs as much as its pictures one by one, and more memory; it only occupies many threads better.
    fn batch_size(&self) -> usize {
        if self.device() == tch::Device::Cpu { (tch::get_num_threads() as usize / 4).clamp(1, 8) } else { 16 }
    }

    fn inspect(&mut self, batch: ArrayView4<'_, f32>, queries: &[[f32; 2]]) -> Result<Vec<Readout>> {
        self.run(&batch, queries)
    }
}

/// The maps of a run: those wanted, or the network's first, which is `fused` if it has that.
///
/// # Errors
/// [`Error::Argument`] if the network lacks one of them.
pub(super) fn choose_maps(wanted: &[MapName], held: &[MapName]) -> Result<Vec<MapName>> {
    if wanted.is_empty() {
        return Ok(held.first().cloned().into_iter().collect());
    }
    let has = |name: &MapName| match name {
        MapName::Spatial(None) => held.iter().any(|held| matches!(held, MapName::Spatial(_))),
        MapName::PatchAt(..) => held.contains(&MapName::PATCH),
        name => held.contains(name),
    };
    match wanted.iter().find(|name| !has(name)) {
        None => Ok(wanted.to_vec()),
        Some(name) => {
            let held: Vec<_> = held.iter().map(ToString::to_string).collect();
            Err(Error::argument(format!("map {name}"), format!("this network has {}", held.join(", "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_names_and_points_stand_for_held_maps() {
        let held: Vec<MapName> =
            ["fused", "spatial:stage5", "patch", "patch:0", "channel:stage5"].map(|name| name.parse().unwrap()).into();
        for (name, ok) in [
            ("fused", true),
            ("spatial", true),
            ("spatial:stage5", true),
            ("spatial:stage4", false),
            ("patch@3,4", true),
            ("patch:1", false),
            ("channel:stage5", true),
            ("channel:stage1", false),
            ("gradcam", false),
        ] {
            assert_eq!(choose_maps(&[name.parse().unwrap()], &held).is_ok(), ok, "{name}");
        }
        let error = choose_maps(&[MapName::explain(Method::GradCam)], &held).unwrap_err().to_string();
        assert!(error.contains("gradcam") && error.contains("spatial:stage5"), "{error}");
        assert_eq!(choose_maps(&[], &held).unwrap(), [MapName::Fused]);
        assert!(choose_maps(&[MapName::PatchAt(0, 0)], &[MapName::Fused]).is_err());
        assert!(choose_maps(&[MapName::Spatial(None)], &[MapName::Fused]).is_err());
    }
}
