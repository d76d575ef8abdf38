//! What is scored: the maps of a network, and what knows nothing of the picture.

use cbam_core::Result;
use cbam_core::eval::{centre_gaussian, centre_point};
use cbam_core::explain::Features;
use cbam_core::maps::{AttentionMap, MapName, MapRange, Method, Resample};
use cbam_core::model::{Description, Look};
use cbam_core::photo::ImageSize;
use ndarray::{Array2, ArrayView4};

/// What is scored: a map, or one of the baselines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// The central pixel.
    Centre,
    /// A Gaussian around it.
    Gaussian,
    /// A map.
    Map(MapName),
}

impl Subject {
    /// Whether the map takes hundreds of runs of the network.
    pub(crate) fn is_costly(&self) -> bool {
        matches!(self, Self::Map(MapName::Explain { method, .. }) if method.is_costly())
    }

    /// Whether it knows nothing of the picture.
    pub(crate) fn is_baseline(&self) -> bool {
        !matches!(self, Self::Map(_))
    }

    /// The name of its map, if it is one.
    pub(crate) fn names(&self) -> &[MapName] {
        match self {
            Self::Map(name) => std::slice::from_ref(name),
            _ => &[],
        }
    }

    /// Its map, on its native grid, from a look that was asked for it.
    pub(crate) fn map(&self, look: &Look) -> Result<AttentionMap> {
        match self {
            Self::Centre => AttentionMap::new(centre_point(look.geometry.picture), MapRange::Unit),
            Self::Gaussian => AttentionMap::new(centre_gaussian(look.geometry.picture), MapRange::Unit),
            Self::Map(name) => look.map(name),
        }
    }
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Centre => f.pad("centre point"),
            Self::Gaussian => f.pad("centre Gaussian"),
            Self::Map(name) => f.pad(&name.to_string()),
        }
    }
}

/// Class probabilities, `[N, classes]`, of pictures `[N, 3, H, W]`; no map is made.
pub(crate) fn classify(network: &dyn Features, batch: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
    network.outputs().probabilities(network.logits(batch)?.view())
}

/// A map at a picture's resolution.
pub(crate) fn at_size(map: &AttentionMap, size: ImageSize) -> Result<Array2<f32>> {
    Ok(map.resample(size, Resample::Bilinear)?.into_values())
}

/// The subjects: the baselines and the maps of `wanted`, all of which the network must have; without any, the usual ones
/// that it has and those that it gives out, but none that takes hundreds of runs.
pub(crate) fn subjects(network: &Description, wanted: &[MapName]) -> Result<Vec<Subject>> {
    let maps = if wanted.is_empty() {
        let usual = [MapName::Fused, MapName::Spatial(None), MapName::PATCH];
        let given = network.maps.iter().filter(|name| matches!(name, MapName::Output { channel: None, .. })).cloned();
        let all = usual.into_iter().chain(given).chain([MapName::explain(Method::GradCam)]);
        all.filter(|name| network.choose_maps(std::slice::from_ref(name)).is_ok()).collect()
    } else {
        network.choose_maps(wanted)?
    };
    let mut subjects = vec![Subject::Centre, Subject::Gaussian];
    for subject in maps.into_iter().map(Subject::Map) {
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    Ok(subjects)
}
