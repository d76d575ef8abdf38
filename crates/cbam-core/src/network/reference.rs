//! What PyTorch gave for an input, to compare a network with.
//!
//! A file of safetensors with `input` `[N, C, H, W]`, normalised as the network takes it, and `logits` `[N, classes]`, what
//! the network it was trained in gave out for that, before any softmax. Gates may lie beside them, as `gate:` and the name
//! of their map: `gate:spatial:layer1.0` `[N, h, w]` and `gate:channel:layer1.0` `[N, C]`, with axes of one or without.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use ndarray::{Array2, Array4, ArrayD, ArrayViewD, Dimension, Ix2, Ix4, IxDyn};

use super::inference::largest;
use super::{InferenceNetwork, Pass};
use crate::maps::MapName;
use crate::weights::{Checkpoint, ReadOptions, StoredTensor};
use crate::{Error, Result};

/// What a gate's name begins with.
const GATE: &str = "gate:";
/// The share of the largest number by which two results may differ, by default: a thousand times what rounding makes of
/// them, and far less than another stride or another order of pools does.
const TOLERANCE: f64 = 1e-3;

/// An input, and what came out for it elsewhere.
#[derive(Debug)]
pub struct Reference {
    path: PathBuf,
    input: Array4<f32>,
    logits: Array2<f32>,
    gates: Vec<(MapName, ArrayD<f32>)>,
    tolerance: f64,
}

/// What a network gives out for the input of a reference.
#[derive(Debug, Clone)]
pub struct Answer {
    /// `[N, classes]`.
    pub logits: Array2<f32>,
    /// The gates, by the names of their maps: `spatial:STAGE` `[N, H, W]` and `channel:STAGE` `[N, C]`.
    pub gates: Vec<(MapName, ArrayD<f32>)>,
}

/// How far one result is from the reference.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Agreement {
    /// What was compared: `logits`, or the map of a gate, such as `spatial:layer1.0`.
    pub what: String,
    /// The largest absolute difference; NaN if one of the two is no number.
    pub difference: f64,
    /// The largest absolute value of the reference.
    pub scale: f64,
    /// Whether the difference is within the tolerance.
    pub within: bool,
    /// Of the logits: for how many inputs the likeliest class is the same, and of how many.
    pub top1: Option<(usize, usize)>,
}

impl Display for Agreement {
    /// `logits: largest difference 1.2e-6, of values up to 9.31; top-1 the same for 2 of 2`
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}: largest difference {:.2e}, of values up to {:.4}", self.what, self.difference, self.scale)?;
        match self.top1 {
            Some((same, all)) => write!(f, "; top-1 the same for {same} of {all}"),
            None => Ok(()),
        }
    }
}

impl From<Pass> for Answer {
    fn from(pass: Pass) -> Self {
        let gates = pass.attention.into_iter().flat_map(|block| {
            let channel = block.channel.map(|gate| (MapName::Channel(block.stage.clone()), gate.gate.into_dyn()));
            let spatial = block.spatial.map(|gate| (MapName::Spatial(Some(block.stage)), gate.gate.into_dyn()));
            [channel, spatial].into_iter().flatten()
        });
        Self { logits: pass.logits, gates: gates.collect() }
    }
}

impl Reference {
    /// Reads a reference.
    ///
    /// # Errors
    /// [`Error::Io`] if the file cannot be read; [`Error::Weights`] if `input` or `logits` is missing, they are not of the
    /// shapes above or of several N, or another tensor is not a gate's.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut tensors = Checkpoint::open_with(path, &ReadOptions::default().with_prefixes_kept())?.tensors;
        let wrong = |message: String| Error::weights(path, format!("as a reference: {message}"));
        let mut take = |name: &str, axes: usize, shape: &str| {
            let tensor = tensors.remove(name).ok_or_else(|| wrong(format!("there is no tensor {name:?}, {shape}")))?;
            if tensor.shape().len() != axes || tensor.is_empty() {
                return Err(wrong(format!("{name:?} is {:?}, and should be {shape}", tensor.shape())));
            }
            Ok(tensor)
        };
        let input = take("input", 4, "[N, C, H, W]")?.array::<Ix4>()?;
        let logits = take("logits", 2, "[N, classes]")?.array::<Ix2>()?;
        let mut gates = Vec::new();
        for (name, tensor) in tensors {
            let map = name.strip_prefix(GATE).and_then(|name| name.parse::<MapName>().ok());
            let Some(map @ (MapName::Spatial(Some(_)) | MapName::Channel(_))) = map else {
                let message = format!("{name:?} is none of \"input\", \"logits\", and \"gate:\" and a gate's name");
                return Err(wrong(format!("{message}, such as gate:spatial:layer1.0")));
            };
            gates.push((map, tensor.array::<IxDyn>()?));
        }
        let images = input.dim().0;
        let results = || std::iter::once(logits.shape()).chain(gates.iter().map(|gate| gate.1.shape()));
        if let Some(size) = results().find(|size| size.first() != Some(&images)) {
            return Err(wrong(format!("{images} inputs, and a result of shape {size:?}")));
        }
        Ok(Self { path: path.to_owned(), input, logits, gates, tolerance: TOLERANCE })
    }

    /// With results that may differ by this share of their largest value. Default: a thousandth.
    pub fn with_tolerance(mut self, tolerance: f64) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The share of their largest value by which results may differ.
    pub fn tolerance(&self) -> f64 {
        self.tolerance
    }

    /// The input, `[N, C, H, W]`.
    pub fn input(&self) -> &Array4<f32> {
        &self.input
    }

    /// Runs a network in the form for inference on the input, and compares its logits and the gates that the reference has.
    ///
    /// # Errors
    /// [`Error::Input`] if the network does not take the input; else as [`compare`](Self::compare).
    pub fn compare_inference(&self, network: &InferenceNetwork) -> Result<Vec<Agreement>> {
        self.compare(&network.forward(self.input.view())?.into())
    }

    /// Compares what a network gave out for the input: its logits, and the gates that the reference has.
    ///
    /// # Errors
    /// [`Error::Weights`] if its results are of other shapes, or it has no such gate.
    pub fn compare(&self, answer: &Answer) -> Result<Vec<Agreement>> {
        let mut found = vec![self.compare_logits(&answer.logits)?];
        for (map, expected) in &self.gates {
            let gate = answer.gates.iter().find(|(name, _)| name == map).ok_or_else(|| {
                let mut held: Vec<&str> = answer.gates.iter().filter_map(|(name, _)| stage(name)).collect();
                held.dedup();
                self.wrong(format!("the network has no gate {map}; its attention stands at {}", held.join(", ")))
            })?;
            found.push(self.agreement(map.to_string(), gate.1.view(), expected.view())?);
        }
        Ok(found)
    }

    /// Compares logits `[N, classes]` alone.
    ///
    /// # Errors
    /// [`Error::Weights`] if they are of another shape; or there are gates, which logits say nothing of.
    pub fn compare_only_logits(&self, logits: &Array2<f32>) -> Result<Vec<Agreement>> {
        match self.gates.first() {
            None => Ok(vec![self.compare_logits(logits)?]),
            Some((map, _)) => {
                Err(self.wrong(format!("holds the gate {map}, and of this network only logits can be compared")))
            }
        }
    }

    fn compare_logits(&self, logits: &Array2<f32>) -> Result<Agreement> {
        let expected = &self.logits;
        let mut agreement =
            self.agreement("logits".to_owned(), logits.view().into_dyn(), expected.view().into_dyn())?;
        let rows = logits.rows().into_iter().zip(expected.rows());
        let same = rows.filter(|(found, expected)| largest(*found) == largest(*expected)).count();
        agreement.top1 = Some((same, expected.nrows()));
        Ok(agreement)
    }

    fn agreement(&self, what: String, found: ArrayViewD<'_, f32>, expected: ArrayViewD<'_, f32>) -> Result<Agreement> {
        if without_ones(found.shape()) != without_ones(expected.shape()) {
            let message = format!("{what} is {:?} here, and {:?} in the reference", found.shape(), expected.shape());
            return Err(self.wrong(message));
        }
        let difference = most(found.iter().zip(&expected).map(|(found, expected)| f64::from(found - expected)));
        let scale = most(expected.iter().map(|value| f64::from(*value)));
        Ok(Agreement { what, difference, scale, within: difference <= self.tolerance * scale, top1: None })
    }

    fn wrong(&self, message: String) -> Error {
        Error::weights(&self.path, message)
    }
}

impl StoredTensor {
    /// As an array of that many axes.
    fn array<D: Dimension>(&self) -> Result<ndarray::Array<f32, D>> {
        let shape: Vec<usize> = self.shape().iter().map(|&side| side as usize).collect();
        let array = ArrayD::from_shape_vec(shape, self.values().into_owned()).map_err(Error::internal)?;
        array.into_dimensionality().map_err(Error::internal)
    }
}

/// The stage of a gate's map.
fn stage(map: &MapName) -> Option<&str> {
    match map {
        MapName::Spatial(stage) => stage.as_deref(),
        MapName::Channel(stage) => Some(stage),
        _ => None,
    }
}

/// The largest absolute value; NaN if one of them is.
fn most(values: impl Iterator<Item = f64>) -> f64 {
    values.fold(0.0, |most, value| if most.is_nan() || value.abs() <= most { most } else { value.abs() })
}

/// A shape without its axes of one, but for the first.
fn without_ones(size: &[usize]) -> Vec<usize> {
    size.iter().enumerate().filter(|(axis, side)| *axis == 0 || **side != 1).map(|(_, side)| *side).collect()
}
