//! The network under measurement: what it says about a picture, and its maps.

use cbam::eval::centre_gaussian;
use cbam::explain::{ExplainOptions, explain};
use cbam::maps::{AttentionMap, Explanation, MapName, MapRange, Method, Readout, Resample};
use cbam::network::Network;
use cbam::photo::{Geometry, ImageSize, Prepared};
use cbam::{Error, Result};
use ndarray::{Array2, ArrayView3, ArrayView4, Axis};
use tch::Tensor;

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

/// A picture as the network takes it, with what the network says about it.
pub(crate) struct Look {
    pub(crate) pixels: ndarray::Array3<f32>,
    pub(crate) geometry: Geometry,
    pub(crate) readout: Readout,
}

impl Look {
    pub(crate) fn at(network: &Network, prepared: Prepared) -> Result<Self> {
        let Prepared { pixels, geometry } = prepared;
        let readout = network.run(&pixels.view().insert_axis(Axis(0)), &[])?.remove(0);
        Ok(Self { pixels, geometry, readout })
    }

    /// A map on its native grid; an explanation is of `class`.
    pub(crate) fn map(
        &self,
        network: &Network,
        subject: &Subject,
        class: usize,
        options: &ExplainOptions,
    ) -> Result<AttentionMap> {
        match subject {
            Subject::Centre => AttentionMap::new(cbam::eval::centre_point(self.geometry.picture), MapRange::Unit),
            Subject::Gaussian => AttentionMap::new(centre_gaussian(self.geometry.picture), MapRange::Unit),
            Subject::Map(MapName::Explain { method, stage }) => {
                let made = self.readout.explanations.iter();
                let mut made = made.filter(|e| (e.method, &e.stage, e.class) == (*method, stage, class));
                if let Some(made) = made.next() {
                    return AttentionMap::new(made.map.clone(), MapRange::Positive);
                }
                explanation(network, self.pixels.view(), *method, stage.as_deref(), class, options)
            }
            // The readout is of the class that comes first; another's needs its own Grad-CAM.
            Subject::Map(name) if name.needs_class() && self.explained_class() != Some(class) => {
                let map = explanation(network, self.pixels.view(), Method::GradCam, None, class, options)?;
                let mut readout = self.readout.clone();
                let map = map.into_values();
                readout.explained(Explanation { method: Method::GradCam, stage: None, class, map });
                readout.map(name, &self.geometry)
            }
            Subject::Map(name) => self.readout.map(name, &self.geometry),
        }
    }
}

impl Look {
    /// The class whose Grad-CAM the readout has.
    fn explained_class(&self) -> Option<usize> {
        let mut made = self.readout.explanations.iter().filter(|e| e.method == Method::GradCam && e.stage.is_none());
        made.next().map(|explanation| explanation.class)
    }
}

/// The map of an explanation method.
pub(crate) fn explanation(
    network: &Network,
    pixels: ArrayView3<'_, f32>,
    method: Method,
    stage: Option<&str>,
    class: usize,
    options: &ExplainOptions,
) -> Result<AttentionMap> {
    let pixels = tensor(&pixels.insert_axis(Axis(0)))?.f_to_device(network.device())?;
    let map = explain(network, &pixels, method, stage, class as i64, options, &mut |_, _| {})?;
    AttentionMap::new(map, MapRange::Positive)
}

/// Class probabilities, `[N, classes]`, of pictures `[N, 3, H, W]`; no map is made.
pub(crate) fn classify(network: &Network, batch: &ArrayView4<'_, f32>) -> Result<Array2<f32>> {
    let input = tensor(batch)?.f_to_device(network.device())?;
    let probabilities = tch::no_grad(|| -> Result<Tensor> {
        Ok(network.probabilities(&network.forward(&input, false)?.logits)?.f_to_device(tch::Device::Cpu)?)
    })?;
    let (rows, columns) = (batch.len_of(Axis(0)), network.answers());
    let mut values = vec![0.0; rows * columns];
    let count = values.len();
    probabilities.f_contiguous()?.f_copy_data(&mut values, count)?;
    Array2::from_shape_vec((rows, columns), values).map_err(|error| Error::argument("probabilities", error))
}

fn tensor(batch: &ArrayView4<'_, f32>) -> Result<Tensor> {
    let shape: Vec<i64> = batch.shape().iter().map(|side| *side as i64).collect();
    let batch = batch.as_standard_layout();
    let values = batch.as_slice().ok_or_else(|| Error::argument("pixels", "not in standard layout"))?;
    Ok(Tensor::f_from_slice(values)?.f_view(&shape[..])?)
}

/// A map at a picture's resolution.
pub(crate) fn at_size(map: &AttentionMap, size: ImageSize) -> Result<Array2<f32>> {
    Ok(map.resample(size, Resample::Bilinear)?.into_values())
}

/// The subjects: the baselines and the maps of `wanted`, all of which the network must have; without any, the usual ones
/// that it has.
pub(crate) fn subjects(network: &Network, wanted: &[MapName]) -> Result<Vec<Subject>> {
    let size = ImageSize::new(64, 64);
    let pixels = ndarray::Array3::zeros((3, 64, 64));
    let look = Look::at(network, Prepared { pixels, geometry: Geometry { picture: size, network: size } })?;
    // A costly method would take long even here; what it can refuse is its stage.
    let quick = ExplainOptions::default().with_masks(1);
    let try_map = |name: &MapName| {
        let tried = match name {
            MapName::Explain { method, stage } if method.is_costly() && method.needs_stage() => {
                MapName::Explain { method: Method::GradCam, stage: stage.clone() }
            }
            name => name.clone(),
        };
        look.map(network, &Subject::Map(tried), 0, &quick).map(|_| ())
    };
    let mut subjects = vec![Subject::Centre, Subject::Gaussian];
    if wanted.is_empty() {
        let usual = [MapName::Fused, MapName::Spatial(None), MapName::PATCH, MapName::explain(Method::GradCam)];
        subjects.extend(usual.into_iter().filter(|name| try_map(name).is_ok()).map(Subject::Map));
        return Ok(subjects);
    }
    for name in wanted {
        try_map(name)?;
        let subject = Subject::Map(name.clone());
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    Ok(subjects)
}
