//! Networks that PyTorch scripted or traced, which give out maps of their own.
//!
//! A TorchScript file holds code, and looking at a picture runs it: open only files that you trust.

use std::path::{Path, PathBuf};

use ndarray::{Array1, Array3};
use tch::{CModule, Device, IValue, Kind, Tensor};

use crate::maps::{MapName, OutputReadout, Readout};
use crate::network::{normalised, to_host};
use crate::photo::{ImageSize, Preprocess, Resampled};
use crate::pipeline::{Ask, Inspect, Step};
use crate::weights::{imagenet_classes, instead_of_script};
use crate::{Error, Result};

/// The most channels of an output that is taken for maps; more are features.
const MAX_CHANNELS: i64 = 64;

/// A TorchScript network, pictures `[N, 3, H, W]` in; out one tensor, or a tuple, list or dictionary of them.
///
/// Its first output may be the classes' logits or probabilities, `[N, classes]`. Outputs `[N, h, w]` and `[N, C, h, w]`, C at
/// most 64, are maps; their values must be at least 0.
#[derive(Debug)]
pub struct ScriptedNetwork {
    module: CModule,
    path: PathBuf,
    device: Device,
    preprocess: Preprocess,
    /// 0 if it says nothing of classes.
    classes: i64,
    maps: Vec<MapOutput>,
    /// Whether every picture goes through it by itself.
    one_by_one: bool,
}

/// An output that holds maps.
#[derive(Debug, Clone, Copy)]
struct MapOutput {
    index: usize,
    channels: i64,
}

impl ScriptedNetwork {
    /// Opens a file, and runs it on a grey picture to learn the shapes of what it gives out. `outputs` are those that are
    /// maps, counted from 0; none stands for all that have the shape of maps.
    ///
    /// # Errors
    /// [`Error::Weights`] if the file is no TorchScript, the network fails, an output in `outputs` has not the shape of maps
    /// or none has; it names the outputs and their shapes.
    pub fn open(
        path: impl AsRef<Path>,
        device: Device,
        preprocess: Preprocess,
        outputs: Option<&[usize]>,
    ) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).map_err(Error::io(path))?;
        let mut module = CModule::load_data_on_device(&mut bytes.as_slice(), device).map_err(|error| {
            let instead = instead_of_script(path, &bytes);
            let message =
                instead.unwrap_or_else(|| format!("no TorchScript that libtorch can open: {}", first_line(&error)));
            Error::weights(path, message)
        })?;
        module.f_set_eval()?;
        let mut network =
            Self { module, path: path.to_owned(), device, preprocess, classes: 0, maps: Vec::new(), one_by_one: false };
        let side = i64::from(network.preprocess.network_size(crate::photo::ImageSize::new(1, 1)).width);
        let probe = network.forward(&Tensor::f_zeros([1, 3, side, side], (Kind::Float, device))?)?;
        network.learn(&probe, outputs)?;
        Ok(network)
    }

    /// With every picture by itself, whatever batch it comes in, as [`Network::one_by_one`](crate::network::Network::one_by_one).
    pub fn one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Takes classes and maps from the outputs for one picture.
    fn learn(&mut self, probe: &[Option<Tensor>], wanted: Option<&[usize]>) -> Result<()> {
        let channels = |index: usize| match probe.get(index)?.as_ref()?.size()[..] {
            [1, h, w] if h > 0 && w > 0 => Some(1),
            [1, channels @ 1..=MAX_CHANNELS, h, w] if h > 0 && w > 0 => Some(channels),
            _ => None,
        };
        let given = || probe.iter().enumerate().map(|(index, output)| format!("{index}: {}", shape(output.as_ref())));
        let given = || given().collect::<Vec<_>>().join(", ");
        let indices: Vec<usize> = wanted.map_or_else(|| (0..probe.len()).collect(), <[usize]>::to_vec);
        for index in indices {
            match channels(index) {
                Some(channels) => self.maps.push(MapOutput { index, channels }),
                None if wanted.is_none() => {}
                None => {
                    let message =
                        format!("output {index} is no map [N, h, w] or [N, C, h, w] with C up to {MAX_CHANNELS}");
                    return Err(self.wrong(format!("{message}; for one picture it gives out {}", given())));
                }
            }
        }
        if self.maps.is_empty() {
            let message = "gives out no map [N, h, w] or [N, C, h, w]; for one picture it gives out";
            return Err(self.wrong(format!("{message} {}", given())));
        }
        if let Some(&[1, classes]) = probe.first().and_then(Option::as_ref).map(Tensor::size).as_deref() {
            self.classes = classes;
        }
        Ok(())
    }

    /// Pictures `[N, 3, H, W]`, normalised, on its device → one readout each.
    ///
    /// # Errors
    /// [`Error::Weights`], with its file's name, if it fails on them or gives out something else than for the first picture.
    pub fn run(&self, pictures: &Tensor) -> Result<Vec<Readout>> {
        let outputs = self.forward(pictures)?;
        let count = pictures.size().first().copied().unwrap_or(0);
        let probabilities = self.probabilities(&outputs, count)?;
        let mut readouts: Vec<Readout> =
            probabilities.into_iter().map(|probabilities| Readout { probabilities, ..Readout::default() }).collect();
        for map in &self.maps {
            for (readout, maps) in readouts.iter_mut().zip(self.maps(&outputs, *map, count)?) {
                readout.outputs.push(OutputReadout { index: map.index, maps });
            }
        }
        Ok(readouts)
    }

    /// Its first output for pictures `[N, 3, H, W]`, normalised, on its device: the classes' logits, if it gives out any.
    ///
    /// # Errors
    /// [`Error::Weights`], with its file's name, if it fails on them, or its first output is none.
    pub fn first_output(&self, pictures: &Tensor) -> Result<Tensor> {
        let first = self.forward(pictures)?.into_iter().next().flatten();
        first.ok_or_else(|| self.wrong("its first output is no tensor"))
    }

    /// The device that it is on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// Everything that it gives out for a batch, in order; what is no tensor is none.
    fn forward(&self, xs: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let output = tch::no_grad(|| self.module.forward_is(&[IValue::Tensor(xs.shallow_clone())]));
        let output = output.map_err(|error| {
            let message = format!("fails on pictures {:?}: {}", xs.size(), first_line(&error));
            self.wrong(format!("{message}. Does it take pictures of one size only?"))
        })?;
        let tensor = |value| if let IValue::Tensor(tensor) = value { Some(tensor) } else { None };
        Ok(match output {
            IValue::Tuple(values) | IValue::GenericList(values) => values.into_iter().map(tensor).collect(),
            IValue::TensorList(tensors) => tensors.into_iter().map(Some).collect(),
            IValue::GenericDict(entries) => entries.into_iter().map(|(_, value)| tensor(value)).collect(),
            one => vec![tensor(one)],
        })
    }

    /// The class probabilities of a batch, one row for each picture, empty if it says nothing of classes.
    fn probabilities(&self, outputs: &[Option<Tensor>], pictures: i64) -> Result<Vec<Array1<f32>>> {
        if self.classes == 0 {
            return Ok(vec![Array1::default(0); pictures as usize]);
        }
        let logits = self.output(outputs, 0, &[pictures, self.classes])?.f_to_kind(Kind::Float)?;
        let probabilities = if are_probabilities(&logits)? { logits } else { logits.f_softmax(-1, Kind::Float)? };
        let rows = to_host::<ndarray::Ix2>(&probabilities)?;
        Ok(rows.outer_iter().map(|row| row.to_owned()).collect())
    }

    /// The maps of an output for a batch, `[C, h, w]` for each picture.
    fn maps(&self, outputs: &[Option<Tensor>], of: MapOutput, pictures: i64) -> Result<Vec<Array3<f32>>> {
        let found = outputs.get(of.index).and_then(Option::as_ref);
        let maps = match found.map(|found| (found, found.size())) {
            Some((found, size)) if size.len() == 3 && of.channels == 1 => found.f_unsqueeze(1)?,
            Some((found, size)) if size.len() == 4 => found.shallow_clone(),
            _ => return Err(self.changed(of.index, &[pictures, of.channels], found)),
        };
        if maps.size()[..2] != [pictures, of.channels] || maps.numel() == 0 {
            return Err(self.changed(of.index, &[pictures, of.channels], found));
        }
        let maps = to_host::<ndarray::Ix4>(&maps)?;
        if let Some(value) = maps.iter().find(|value| !(0.0..=f32::MAX).contains(*value)) {
            let message =
                "a map's values are at least 0: give out a gate after its sigmoid, attention after its softmax";
            return Err(self.wrong(format!("output {} has the value {value}; {message}", of.index)));
        }
        Ok(maps.outer_iter().map(|maps| maps.to_owned()).collect())
    }

    /// An output of the shape that it had for the first picture.
    fn output<'a>(&self, outputs: &'a [Option<Tensor>], index: usize, expected: &[i64]) -> Result<&'a Tensor> {
        let found = outputs.get(index).and_then(Option::as_ref);
        found.filter(|found| found.size() == expected).ok_or_else(|| self.changed(index, expected, found))
    }

    fn changed(&self, index: usize, expected: &[i64], found: Option<&Tensor>) -> Error {
        self.wrong(format!("the shape of output {index} should begin with {expected:?} here, but is {}", shape(found)))
    }

    fn wrong(&self, message: impl ToString) -> Error {
        Error::weights(&self.path, message)
    }
}

impl Inspect for ScriptedNetwork {
    fn preprocess(&self) -> Preprocess {
        self.preprocess.clone()
    }

    fn classes(&self) -> usize {
        self.classes as usize
    }

    fn labels(&self) -> Vec<String> {
        let imagenet = imagenet_classes();
        if self.classes() == imagenet.len() { imagenet.iter().map(ToString::to_string).collect() } else { Vec::new() }
    }

    fn map_names(&self) -> Vec<MapName> {
        self.maps.iter().flat_map(|map| MapName::outputs(map.index, map.channels as usize)).collect()
    }

    fn places(&self) -> Vec<String> {
        Vec::new()
    }

    fn batch_size(&self, _: usize, _: ImageSize) -> usize {
        if self.device == Device::Cpu { 1 } else { 16 }
    }

    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        _: Ask<'_>,
        _: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>> {
        let together = if self.one_by_one { 1 } else { pictures.len().max(1) };
        let parts = pictures
            .chunks(together)
            .map(|part| self.run(&normalised(part, &self.preprocess, self.device)?.f_contiguous()?));
        Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }
}

/// Whether every row is at least 0 and sums to 1, as logits never do but by chance.
fn are_probabilities(rows: &Tensor) -> Result<bool> {
    let sums = rows.f_sum_dim_intlist([1i64].as_slice(), false, Kind::Float)?;
    let off = (sums - 1.0).f_abs()?.f_max()?.f_double_value(&[])?;
    Ok(off < 1e-3 && rows.f_min()?.f_double_value(&[])? >= 0.0)
}

/// The shape of an output, for messages.
fn shape(output: Option<&Tensor>) -> String {
    output.map_or_else(|| "no tensor".to_owned(), |tensor| format!("{:?}", tensor.size()))
}

/// What went wrong, without libtorch's account of how it got there.
fn first_line(error: &tch::TchError) -> String {
    let text = error.to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    // TorchScript tells the cause last, after the lines of its own code.
    let cause = text.lines().rev().find_map(|line| line.trim().strip_prefix("RuntimeError: "));
    cause.or_else(|| lines.next()).unwrap_or("libtorch does not say why").to_owned()
}
