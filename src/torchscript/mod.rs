//! Networks that PyTorch scripted or traced: the maps that they give out, and explanations of their answers.
//!
//! A TorchScript file holds code, and looking at a picture runs it: open only files that you trust.

mod ending;
mod explain;
mod forward;
mod outputs;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use ndarray::{Array1, Array2, Array3, Ix2};
use tch::{CModule, Device, Kind, Tensor};

use crate::classes::{Outputs, usual_labels};
use crate::explain::Features;
use crate::host::{to_host, to_tensor};
use crate::maps::{MapName, OutputReadout, Readout};
use crate::model::{Description, Look, Model, Question, explain_looks};
use crate::network::{Reference, normalised};
use crate::photo::{ImageSize, Preprocess, Resampled};
use crate::weights::{Assumption, NoScript, Otherwise, instead_of_script};
use crate::{Error, ErrorKind, Remedy, Result};

use forward::{first_line, noise_like};
use outputs::{Classes, MapOutput, Roles};

/// A TorchScript network, pictures `[N, 3, H, W]` in; out one tensor, or a tuple, list or dictionary of them.
///
/// Its first output that is `[N, classes]` or `[N]` is of the classes: logits or probabilities, as
/// [`with_outputs`](Self::with_outputs) says, or as is guessed once when it is opened
/// ([`assumptions`](Self::assumptions)). Outputs `[N, h, w]` and `[N, C, h, w]`, C at most 64, are maps; their values must be
/// at least 0. Outputs `[N, C, h, w]` on the way to the classes are features too, on which class activation methods run:
/// `gradcam:output:1`. A network that gives out its answer alone is explained by changes of the picture: occlusion and RISE.
///
/// Outputs are counted as they come: `(a, (b, c))` are three. A network in 16 bits is given its pictures in 16 bits.
#[derive(Debug)]
pub struct ScriptedNetwork {
    module: CModule,
    path: PathBuf,
    device: Device,
    /// What it computes in.
    kind: Kind,
    preprocess: Preprocess,
    roles: Roles,
    outputs: Outputs,
    /// On what ground `outputs` was guessed; `None` if it was said.
    ground: Option<String>,
    /// Whether every picture goes through it by itself.
    one_by_one: bool,
}

/// What is said of a scripted network's outputs, and not found out. Outputs are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScriptOptions {
    /// Those that are maps; `None` stands for all that have the shape of maps and do not go below 0.
    pub maps: Option<Vec<usize>>,
    /// The one that is of the classes; `None` stands for the first that has the shape.
    pub classes: Option<usize>,
}

impl ScriptedNetwork {
    /// Opens a file, as [`open_with`](Self::open_with). `maps` are the outputs that are maps.
    ///
    /// # Errors
    /// As [`open_with`](Self::open_with).
    pub fn open(
        path: impl AsRef<Path>,
        device: Device,
        preprocess: Preprocess,
        maps: Option<&[usize]>,
    ) -> Result<Self> {
        let options = ScriptOptions { maps: maps.map(<[usize]>::to_vec), ..ScriptOptions::default() };
        Self::open_with(path, device, preprocess, &options)
    }

    /// Opens a file, and runs it on made-up pictures to learn the shapes of what it gives out.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`] if the file is no TorchScript, the network fails (with the channels or the size that it takes, if
    /// these can be found), an output has not the shape of what `options` say it is, or nothing that it gives out is of use; it
    /// names the outputs and their shapes.
    pub fn open_with(
        path: impl AsRef<Path>,
        device: Device,
        preprocess: Preprocess,
        options: &ScriptOptions,
    ) -> Result<Self> {
        let path = path.as_ref();
        preprocess.check()?;
        let bytes = Bytes::from(std::fs::read(path).map_err(Error::io(path))?);
        let mut module = CModule::load_data_on_device(&mut bytes.as_ref(), device).map_err(|error| {
            match instead_of_script(path, &bytes) {
                Some(weights @ NoScript::Weights) => Error::weights(path, weights).with_remedy(Remedy::Weights),
                Some(other) => Error::weights(path, other),
                None => Error::weights(path, format!("no TorchScript that libtorch can open: {}", first_line(&error))),
            }
        })?;
        module.f_set_eval()?;
        let (roles, outputs) = (Roles::default(), Outputs::default());
        let path = path.to_owned();
        let (ground, kind) = (None, Kind::Float);
        let mut network = Self { module, path, device, kind, preprocess, roles, outputs, ground, one_by_one: false };
        let grey = network.grey()?;
        let probe = network.first(&grey)?;
        let noise = network.forward(&noise_like(&grey)?)?;
        network.roles = Roles::of(&probe, &noise, options).map_err(|message| network.wrong(message))?;
        if let Some(classes) = network.roles.classes {
            let (outputs, ground) = network.guess(&bytes, classes, &grey, &probe)?;
            (network.outputs, network.ground) = (outputs, Some(ground));
        }
        Ok(network)
    }

    /// With every picture by itself, whatever batch it comes in, as [`Network::one_by_one`](crate::network::Network::one_by_one).
    pub fn one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Its output of the classes, or else its first, for pictures `[N, 3, H, W]`, normalised, on its device; in f32.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`], with its file's name, if it fails on them, or its first output is none.
    pub fn first_output(&self, pictures: &Tensor) -> Result<Tensor> {
        let index = self.roles.classes.map_or(0, |classes| classes.index);
        let first = self.forward(pictures)?.into_iter().nth(index).flatten();
        Ok(first.ok_or_else(|| self.wrong("its first output is no tensor"))?.f_to_kind(Kind::Float)?)
    }

    /// The same, `[N, classes]`, for the input of a reference, to be [compared](Reference::compare_only_logits).
    ///
    /// # Errors
    /// As [`first_output`](Self::first_output); [`ErrorKind::Input`] if that is not `[N, classes]`.
    pub fn answer(&self, reference: &Reference) -> Result<Array2<f32>> {
        to_host(&self.first_output(&to_tensor(reference.input().view())?.f_to_device(self.device)?)?)
    }

    /// The device that it is on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// With its numbers for the classes taken in this sense, and not in the one that was guessed.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`] if it says nothing of classes, or for a softmax over one class.
    pub fn with_outputs(mut self, outputs: Outputs) -> Result<Self> {
        let Some(classes) = self.roles.classes else {
            return Err(Error::argument(
                "outputs",
                format!("{outputs} is of classes, and this network gives out none"),
            ));
        };
        outputs.check(classes.numbers)?;
        (self.outputs, self.ground) = (outputs, None);
        Ok(self)
    }

    /// What was assumed about it when it was opened and what of it is left out; what was said is not assumed.
    pub fn assumptions(&self) -> Vec<Assumption> {
        let mut all = Vec::new();
        if let (Some(ground), Some(Classes { index, numbers, .. })) = (&self.ground, self.roles.classes) {
            let what = self.outputs.meaning(numbers);
            all.push(Assumption::new(format!("output {index} is taken for {what}: {ground}"), None));
        }
        if let (Some(Classes { index, .. }), false) = (self.roles.classes, self.roles.also_classes.is_empty()) {
            let others: Vec<_> = self.roles.also_classes.iter().map(ToString::to_string).collect();
            let others = others.join(", ");
            let what = format!("output {index} is taken for that of the classes, though {others} could be too");
            all.push(Assumption::new(what, Some(Otherwise::ScriptClasses)));
        }
        for index in &self.roles.below_zero {
            all.push(Assumption::new(format!("output {index} is taken for no map, since it goes below 0"), None));
        }
        all
    }

    /// A square picture that is the middle of the range of pixels everywhere.
    fn grey(&self) -> Result<Tensor> {
        let size = self.preprocess.network_size(ImageSize::new(1, 1));
        Ok(Tensor::f_zeros([1, 3, size.height.into(), size.width.into()], (Kind::Float, self.device))?)
    }

    /// Pictures as its input.
    fn input(&self, pictures: &[&Resampled]) -> Result<Tensor> {
        Ok(normalised(pictures, &self.preprocess, self.device)?.f_contiguous()?)
    }

    /// Pictures `[N, 3, H, W]`, normalised, on its device → one readout each.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`], with its file's name, if it fails on them or gives out other classes than for the first picture,
    /// numbers that are no probabilities, or in a map that was said to be one values below 0.
    pub fn run(&self, pictures: &Tensor) -> Result<Vec<Readout>> {
        self.run_for(pictures, &[])
    }

    /// The same for these maps: another one that is none after all, and was not said to be one, is left out.
    fn run_for(&self, pictures: &Tensor, asked: &[MapName]) -> Result<Vec<Readout>> {
        let outputs = self.forward(pictures)?;
        let count = pictures.size().first().copied().unwrap_or(0);
        let probabilities = self.probabilities(&outputs, count)?;
        let mut readouts: Vec<Readout> =
            probabilities.into_iter().map(|probabilities| Readout { probabilities, ..Readout::default() }).collect();
        for map in &self.roles.maps {
            let is_asked = |name: &MapName| matches!(name, MapName::Output { index, .. } if *index == map.index);
            let maps = match self.maps(&outputs, *map, count) {
                Err(_) if !self.roles.maps_are_said && !asked.iter().any(is_asked) => continue,
                maps => maps?,
            };
            for (readout, maps) in readouts.iter_mut().zip(maps) {
                readout.outputs.push(OutputReadout { index: map.index, maps });
            }
        }
        Ok(readouts)
    }

    /// The class probabilities of a batch, one row for each picture, empty if it says nothing of classes.
    fn probabilities(&self, outputs: &[Option<Tensor>], pictures: i64) -> Result<Vec<Array1<f32>>> {
        let Some(classes) = self.roles.classes else { return Ok(vec![Array1::default(0); pictures as usize]) };
        let numbers = self.numbers(outputs, classes, pictures)?;
        let numbers = to_host::<Ix2>(&numbers)?;
        let rows = self.outputs.probabilities(numbers.view()).map_err(|error| self.wrong(error))?;
        Ok(rows.outer_iter().map(|row| row.to_owned()).collect())
    }

    /// Its numbers for the classes of a batch, `[N, numbers]`.
    fn numbers(&self, outputs: &[Option<Tensor>], classes: Classes, pictures: i64) -> Result<Tensor> {
        let found = outputs.get(classes.index).and_then(Option::as_ref);
        let shape = [pictures, classes.numbers];
        match found.filter(|found| classes.fits(&found.size(), pictures)) {
            Some(found) => Ok(found.f_reshape(shape)?.f_to_kind(Kind::Float)?),
            None => Err(self.changed(classes.index, &shape, found)),
        }
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

    fn changed(&self, index: usize, expected: &[i64], found: Option<&Tensor>) -> Error {
        let found = outputs::shape(found);
        self.wrong(format!("the shape of output {index} should begin with {expected:?} here, but is {found}"))
    }

    fn wrong(&self, message: impl ToString) -> Error {
        Error::weights(&self.path, message)
    }
}

impl Model for ScriptedNetwork {
    fn describe(&self) -> Description {
        let numbers = Features::numbers(self);
        let maps = self.roles.maps.iter().flat_map(|map| MapName::outputs(map.index, map.channels as usize));
        Description {
            preprocess: self.preprocess.clone(),
            numbers,
            outputs: self.outputs,
            labels: usual_labels(numbers),
            maps: maps.chain(self.methods().map(MapName::explain)).collect(),
            places: self.places(),
            default_place: self.default_place(),
            without_gradient: Vec::new(),
            patch_stages: Vec::new(),
        }
    }

    fn batch_size(&self, _: usize, _: ImageSize) -> usize {
        if self.device == Device::Cpu { 1 } else { 16 }
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>, ErrorKind> {
        question.check_class(self.answers())?;
        let together = if self.one_by_one { 1 } else { pictures.len().max(1) };
        let mut looks = Vec::with_capacity(pictures.len());
        for part in pictures.chunks(together) {
            let readouts = self.run_for(&self.input(part)?, question.maps)?;
            let pictures = part.iter().map(|picture| picture.geometry());
            looks.extend(readouts.into_iter().zip(pictures).map(|(readout, geometry)| Look::of(readout, geometry)));
        }
        explain_looks(self, &self.preprocess, pictures, &mut looks, question)?;
        Ok(looks)
    }

    fn features(&self) -> Option<&dyn Features> {
        Some(self)
    }
}
