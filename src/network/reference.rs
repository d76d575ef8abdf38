//! What PyTorch gave for an input, to compare a network with.
//!
//! A file of safetensors with `input` `[N, C, H, W]`, normalised as the network takes it, and `logits` `[N, classes]`, what
//! the network it was trained in gave out for that, before any softmax. Gates may lie beside them, as `gate:` and the name
//! of their map: `gate:spatial:layer1.0` `[N, h, w]` and `gate:channel:layer1.0` `[N, C]`, with axes of one or without.

use std::fmt::{self, Display, Formatter};
use std::path::{Path, PathBuf};

use ndarray::Ix4;
use tch::{Device, Kind, Tensor};

use super::{InferenceNetwork, Network};
use crate::host::{to_host, to_tensor};
use crate::maps::MapName;
use crate::weights::{Checkpoint, ReadOptions, restore};
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
    input: Tensor,
    logits: Tensor,
    gates: Vec<(MapName, Tensor)>,
    tolerance: f64,
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
    pub top1: Option<(i64, i64)>,
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
            Ok(restore(&tensor)?.f_to_kind(Kind::Float)?)
        };
        let input = take("input", 4, "[N, C, H, W]")?;
        let logits = take("logits", 2, "[N, classes]")?;
        let mut gates = Vec::new();
        for (name, tensor) in tensors {
            let map = name.strip_prefix(GATE).and_then(|name| name.parse::<MapName>().ok());
            let Some(map @ (MapName::Spatial(Some(_)) | MapName::Channel(_))) = map else {
                let message = format!("{name:?} is none of \"input\", \"logits\", and \"gate:\" and a gate's name");
                return Err(wrong(format!("{message}, such as gate:spatial:layer1.0")));
            };
            gates.push((map, restore(&tensor)?.f_to_kind(Kind::Float)?));
        }
        let images = input.size()[0];
        let results = || [&logits].into_iter().chain(gates.iter().map(|gate| &gate.1)).map(Tensor::size);
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

    /// The input, `[N, C, H, W]`, on a device.
    ///
    /// # Errors
    /// [`Error::Torch`] if libtorch fails.
    pub fn input(&self, device: Device) -> Result<Tensor> {
        Ok(self.input.f_to_device(device)?)
    }

    /// Runs a network on the input, by libtorch, and compares its logits and
    /// the gates that the reference has.
    ///
    /// # Errors
    /// [`Error::Input`] if the network does not take the input; [`Error::Weights`] if its results are of other shapes, or it
    /// has no such gate.
    pub fn compare(&self, network: &Network) -> Result<Vec<Agreement>> {
        let input = self.input(network.device())?.f_to_kind(network.variables().kind())?;
        let output = tch::no_grad(|| network.forward(&input, false))?;
        let gates = output.attention.into_iter().map(|block| {
            let [channel, spatial] = [block.channel, block.spatial].map(|gate| gate.map(|gate| gate.gate));
            Gates { stage: block.stage, channel, spatial }
        });
        self.compare_answer(&output.logits, &gates.collect::<Vec<_>>())
    }

    /// The same for a network in the form for inference.
    ///
    /// # Errors
    /// As [`compare`](Self::compare).
    pub fn compare_inference(&self, network: &InferenceNetwork) -> Result<Vec<Agreement>> {
        let pass = network.forward(to_host::<Ix4>(&self.input)?.view())?;
        let gates = pass.attention.iter().map(|block| {
            let channel = block.channel.as_ref().map(|channel| to_tensor(channel.gate.view())).transpose()?;
            let spatial = block.spatial.as_ref().map(|spatial| to_tensor(spatial.gate.view())).transpose()?;
            Ok(Gates { stage: block.stage.clone(), channel, spatial })
        });
        self.compare_answer(&to_tensor(pass.logits.view())?, &gates.collect::<Result<Vec<_>>>()?)
    }

    fn compare_answer(&self, logits: &Tensor, held: &[Gates]) -> Result<Vec<Agreement>> {
        let mut found = vec![self.compare_logits(logits)?];
        for (map, expected) in &self.gates {
            let gate = held.iter().find_map(|gates| gates.of(map)).ok_or_else(|| {
                let held: Vec<&str> = held.iter().map(|gates| gates.stage.as_str()).collect();
                self.wrong(format!("the network has no gate {map}; its attention stands at {}", held.join(", ")))
            })?;
            found.push(self.agreement(map.to_string(), gate, expected)?);
        }
        Ok(found)
    }

    /// Compares logits `[N, classes]` alone.
    ///
    /// # Errors
    /// [`Error::Weights`] if they are of another shape; or there are gates, which logits say nothing of.
    pub fn compare_only_logits(&self, logits: &Tensor) -> Result<Vec<Agreement>> {
        match self.gates.first() {
            None => Ok(vec![self.compare_logits(logits)?]),
            Some((map, _)) => {
                Err(self.wrong(format!("holds the gate {map}, and of this network only logits can be compared")))
            }
        }
    }

    fn compare_logits(&self, logits: &Tensor) -> Result<Agreement> {
        let mut agreement = self.agreement("logits".to_owned(), logits, &self.logits)?;
        let first = |logits: &Tensor| logits.f_to_device(Device::Cpu)?.f_argmax(-1, false);
        let same = first(logits)?.f_eq_tensor(&first(&self.logits)?)?.f_sum(Kind::Int64)?;
        agreement.top1 = Some((same.int64_value(&[]), self.logits.size()[0]));
        Ok(agreement)
    }

    fn agreement(&self, what: String, found: &Tensor, expected: &Tensor) -> Result<Agreement> {
        let found = found.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?;
        if without_ones(&found.size()) != without_ones(&expected.size()) {
            let message = format!("{what} is {:?} here, and {:?} in the reference", found.size(), expected.size());
            return Err(self.wrong(message));
        }
        let expected = expected.f_reshape(found.size())?;
        let difference = (&found - &expected).f_abs()?.f_max()?.f_double_value(&[])?;
        let scale = expected.f_abs()?.f_max()?.f_double_value(&[])?;
        Ok(Agreement { what, difference, scale, within: difference <= self.tolerance * scale, top1: None })
    }

    fn wrong(&self, message: String) -> Error {
        Error::weights(&self.path, message)
    }
}

/// The gates of one place.
struct Gates {
    stage: String,
    channel: Option<Tensor>,
    spatial: Option<Tensor>,
}

impl Gates {
    /// The one that is this map.
    fn of(&self, map: &MapName) -> Option<&Tensor> {
        match map {
            MapName::Spatial(Some(stage)) if *stage == self.stage => self.spatial.as_ref(),
            MapName::Channel(stage) if *stage == self.stage => self.channel.as_ref(),
            _ => None,
        }
    }
}

/// A shape without its axes of one, but for the first.
fn without_ones(size: &[i64]) -> Vec<i64> {
    size.iter().enumerate().filter(|(axis, side)| *axis == 0 || **side != 1).map(|(_, side)| *side).collect()
}
