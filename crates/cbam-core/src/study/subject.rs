//! What is scored: the maps of a model, and what knows nothing of the picture.

use ndarray::{Array2, ArrayView4};

use crate::eval::{centre_gaussian, centre_point};
use crate::explain::Features;
use crate::maps::{AttentionMap, MapName, MapRange, Method, Resample};
use crate::model::{Description, Look};
use crate::photo::ImageSize;
use crate::{Error, Result};

/// What is scored: a map, or one of the baselines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// The central pixel.
    Centre,
    /// A Gaussian around it, whose standard deviation is a quarter of each side.
    Gaussian,
    /// A map.
    Map(MapName),
}

impl Subject {
    /// Whether the map takes hundreds of passes, so that it is made on the subset alone.
    pub fn is_costly(&self) -> bool {
        matches!(self, Self::Map(MapName::Explain { method, .. }) if method.is_costly())
    }

    /// Whether it knows nothing of the picture.
    pub fn is_baseline(&self) -> bool {
        !matches!(self, Self::Map(_))
    }

    /// The name of its map, if it is one.
    pub(super) fn names(&self) -> &[MapName] {
        match self {
            Self::Map(name) => std::slice::from_ref(name),
            _ => &[],
        }
    }

    /// Its map, on its native grid, from a look that was asked for it.
    pub(super) fn map(&self, look: &Look) -> Result<AttentionMap> {
        match self {
            Self::Centre => AttentionMap::new(centre_point(look.geometry.picture), MapRange::Unit),
            Self::Gaussian => AttentionMap::new(centre_gaussian(look.geometry.picture), MapRange::Unit),
            Self::Map(name) => look.map(name),
        }
    }
}

/// `centre point`, `centre Gaussian`, or the map's name.
impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Centre => f.pad("centre point"),
            Self::Gaussian => f.pad("centre Gaussian"),
            Self::Map(name) => f.pad(&name.to_string()),
        }
    }
}

/// The subjects of a study.
#[derive(Debug)]
pub(super) struct Subjects {
    /// The baselines, and the maps.
    pub(super) list: Vec<Subject>,
    /// Usual maps that cannot be made, and why.
    pub(super) left_out: Vec<(Subject, Error)>,
    /// Whether maps are saved in folders of their own.
    pub(super) apart: bool,
}

impl Subjects {
    /// The baselines and the maps of `wanted`, all of which the model must have; without any, the usual ones that it has and those
    /// that it gives out, but none that takes hundreds of passes.
    pub(super) fn of(model: &Description, wanted: &[MapName]) -> Result<Self> {
        let maps = if wanted.is_empty() { usual(model) } else { model.choose_maps(wanted)? };
        let mut list = vec![Subject::Centre, Subject::Gaussian];
        for subject in maps.into_iter().map(Subject::Map) {
            if !list.contains(&subject) {
                list.push(subject);
            }
        }
        let apart = list.iter().filter(|subject| !subject.is_baseline()).count() > 1;
        Ok(Self { list, left_out: Vec::new(), apart })
    }

    /// The places of those that are chosen.
    pub(super) fn places(&self, choose: impl Fn(&Subject) -> bool) -> Vec<usize> {
        self.list.iter().enumerate().filter(|(_, subject)| choose(subject)).map(|(i, _)| i).collect()
    }
}

fn usual(model: &Description) -> Vec<MapName> {
    let usual = [MapName::Fused, MapName::Object, MapName::Spatial(None), MapName::PATCH];
    let given = model.maps.iter().filter(|name| matches!(name, MapName::Output { channel: None, .. })).cloned();
    let all = usual.into_iter().chain(given).chain([MapName::explain(Method::GradCam)]);
    all.filter(|name| model.choose_maps(std::slice::from_ref(name)).is_ok()).collect()
}

/// Class probabilities, `[N, classes]`, of pictures `[N, 3, H, W]`; no map is made.
pub(super) fn classify(model: &dyn Features, batch: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
    model.outputs().probabilities(model.logits(batch)?.view())
}

/// A map at a picture's resolution, as it is measured: bilinear.
///
/// # Errors
/// [`Error::Argument`](crate::Error::Argument) if `size` is empty.
pub fn at_size(map: &AttentionMap, size: ImageSize) -> Result<Array2<f32>> {
    Ok(map.resample(size, Resample::Bilinear)?.into_values())
}
