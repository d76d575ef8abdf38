//! What the pipeline needs of a network.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::tune;
use crate::Result;
use crate::classes::{both_answers, imagenet_classes};
use crate::explain::{ExplainOptions, explain_while};
use crate::maps::{Explanation, HEAD, MapName, Method, Readout};
use crate::network::{Network, Outputs};
use crate::photo::{ImageSize, Preprocess, Resampled};

/// The explanations that a run asks for.
#[derive(Debug, Clone, Default)]
pub struct Explain {
    /// The methods, each with its stage; none is the last convolution.
    pub methods: Vec<(Method, Option<String>)>,
    /// The class; none is each picture's likeliest.
    pub class: Option<usize>,
    /// How they are made.
    pub options: ExplainOptions,
}

/// What a network is asked about every picture of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The points, as fractions of width and height, whose rows of attention weights are wanted.
    pub queries: &'a [[f32; 2]],
    /// The explanations that are wanted.
    pub explain: &'a Explain,
    /// The maps that are wanted, besides what else the network shows.
    pub maps: &'a [MapName],
}

/// How far a costly explanation is.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The picture, by its place in the batch.
    pub picture: usize,
    /// The map.
    pub map: &'a MapName,
    /// How many runs of the network are done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// A network that looks at pictures. One thread owns it, so it need not be [`Send`].
pub trait Inspect {
    /// How a picture becomes its input.
    fn preprocess(&self) -> Preprocess;

    /// How many classes it knows: two for a network that gives out one number.
    fn classes(&self) -> usize;

    /// How many numbers it gives out for its classes.
    fn numbers(&self) -> usize {
        self.classes()
    }

    /// The names of its classes, in the order of [`Readout::probabilities`]; classes beyond them have numbers.
    fn labels(&self) -> Vec<String>;

    /// What its numbers for the classes are.
    fn outputs(&self) -> Outputs {
        Outputs::default()
    }

    /// The stages behind which patch self-attentions stand, in the order of the network; [`MapName::PATCH`] is the first's.
    fn patch_stages(&self) -> Vec<String> {
        Vec::new()
    }

    /// The maps that it can make, with every stage and head of its attention by name, channel gates included, and every
    /// explanation method once, without a stage.
    fn map_names(&self) -> Vec<MapName>;

    /// The stages at which explanations may look.
    fn places(&self) -> Vec<String>;

    /// The one of them at which explanations look if none is named.
    fn default_place(&self) -> String {
        HEAD.to_owned()
    }

    /// How many pictures at once serve it best, in a run of `pictures` pictures, if most have about that size.
    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize;

    /// Looks at pictures of one size, as its [`preprocess`](Self::preprocess) resamples them. Returns one readout per picture,
    /// with what is asked for. `go_on` is told about costly explanations, and says whether to go on.
    ///
    /// # Errors
    /// What the network refuses; [`Error::Interrupted`](crate::Error::Interrupted) once `go_on` has returned false.
    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>>;
}

impl Inspect for Network {
    fn preprocess(&self) -> Preprocess {
        Network::preprocess(self).clone()
    }

    fn classes(&self) -> usize {
        self.answers()
    }

    fn numbers(&self) -> usize {
        self.config().classes as usize
    }

    fn labels(&self) -> Vec<String> {
        match self.config().labels.as_slice() {
            [] => {}
            [one] if self.config().classes == 1 => return both_answers(one),
            labels => return labels.to_vec(),
        }
        let imagenet = imagenet_classes();
        if self.classes() == imagenet.len() { imagenet.iter().map(ToString::to_string).collect() } else { Vec::new() }
    }

    fn outputs(&self) -> Outputs {
        self.config().outputs
    }

    fn patch_stages(&self) -> Vec<String> {
        let patches = self.config().attention.iter().filter(|block| block.patch.is_some());
        patches.map(|block| block.stage.clone()).collect()
    }

    fn map_names(&self) -> Vec<MapName> {
        let attention = &self.config().attention;
        let spatial = attention.iter().filter(|block| block.has_spatial_gate());
        let spatial: Vec<_> = spatial.map(|block| MapName::Spatial(Some(block.stage.clone()))).collect();
        let patch =
            attention.iter().filter_map(|block| Some((block.stage.as_str(), block.patch.as_ref()?.heads as usize)));
        let patch = MapName::patches(patch);
        let mut names = Vec::new();
        if !spatial.is_empty() {
            names.push(MapName::Fused);
        }
        names.extend(spatial);
        names.extend(patch);
        if attention.iter().filter(|block| block.patch.is_some()).count() > 1 {
            names.push(MapName::Rollout);
        }
        names.extend(Method::ALL.map(MapName::explain));
        let gated = attention.iter().filter(|block| block.has_channel_gate());
        names.extend(gated.map(|block| MapName::Channel(block.stage.clone())));
        if self.classes() == 0 {
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

    fn places(&self) -> Vec<String> {
        Network::places(self).into_iter().map(str::to_owned).collect()
    }

    /// On a CPU a batch costs as much as its pictures one by one, and more memory; it only occupies many threads better.
    /// With the crate's own kernels each thread takes a part of it: four pictures, which read the weights together. On a GPU it
    /// is found by trying.
    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        if self.is_prepared() {
            let threads = rayon::current_num_threads();
            return if threads > 1 { (4 * threads).min(32) } else { 1 };
        }
        if self.is_one_by_one() {
            return rayon::current_num_threads();
        }
        if self.device() == tch::Device::Cpu {
            return (tch::get_num_threads() as usize / 4).clamp(1, 8);
        }
        tune::batch_size(pictures, |batch| {
            let start = Instant::now();
            // Most of tch's methods panic where memory is short.
            let passed = catch_unwind(AssertUnwindSafe(|| self.try_out(batch, size)));
            passed.is_ok_and(|passed| passed.is_ok()).then(|| start.elapsed())
        })
    }

    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>> {
        let mut readouts = self.look(pictures, ask.queries)?;
        let Explain { methods, class, options } = ask.explain;
        for (picture, readout) in readouts.iter_mut().enumerate() {
            let likeliest = readout.explanations.first().map_or(0, |grad_cam| grad_cam.class);
            // That of another class gives way; `fused` needs one.
            let of_class = class.map(|_| (Method::GradCam, None));
            if class.is_some() {
                readout.explanations.clear();
            }
            let class = class.unwrap_or(likeliest);
            for (method, stage) in methods.iter().chain(&of_class) {
                let map = MapName::Explain { method: *method, stage: stage.clone() };
                if readout.explanations.iter().any(|made| made.method == *method && made.stage == *stage) {
                    continue;
                }
                let pixels = self.pictures(&pictures[picture..=picture])?;
                let mut told = |done, total| !method.is_costly() || go_on(Step { picture, map: &map, done, total });
                let made = explain_while(self, &pixels, *method, stage.as_deref(), class as i64, options, &mut told)?;
                readout.explained(Explanation { method: *method, stage: stage.clone(), class, map: made });
            }
        }
        Ok(readouts)
    }
}

impl<N: Inspect + ?Sized> Inspect for Box<N> {
    fn preprocess(&self) -> Preprocess {
        (**self).preprocess()
    }

    fn classes(&self) -> usize {
        (**self).classes()
    }

    fn numbers(&self) -> usize {
        (**self).numbers()
    }

    fn labels(&self) -> Vec<String> {
        (**self).labels()
    }

    fn outputs(&self) -> Outputs {
        (**self).outputs()
    }

    fn patch_stages(&self) -> Vec<String> {
        (**self).patch_stages()
    }

    fn map_names(&self) -> Vec<MapName> {
        (**self).map_names()
    }

    fn places(&self) -> Vec<String> {
        (**self).places()
    }

    fn default_place(&self) -> String {
        (**self).default_place()
    }

    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        (**self).batch_size(pictures, size)
    }

    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>> {
        (**self).inspect(pictures, ask, go_on)
    }
}
