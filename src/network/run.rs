//! From a batch of prepared photos to what the network says about each: the one crossing into tensors for inference.

use std::ops::Range;

use ndarray::{Array, Array1, ArrayD, ArrayView4, ArrayViewD, Axis, CowArray, Dimension, Ix2, Ix3, Ix4, s};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::input::shape_of;
use super::site::Site;
use super::{BlockOutput, Network, Output, Outputs};
use crate::explain::{class_activation, grad_cam};
use crate::kernels;
use crate::maps::{Explanation, GateReadout, Method, PatchReadout, QueryRow, Readout, RolloutLayer, rollout_received};
use crate::photo::{ImageSize, Resampled};
use crate::{Error, Result};

/// The most that the weights of one patch attention may take.
const MAX_PATCH_BYTES: i128 = 4 << 30;

impl Network {
    /// Photos `[N, 3, H, W]`, as [`crate::photo::Preprocess`] prepares them → one readout each; none for no photos.
    ///
    /// Each of `queries` asks for the patch attention of the patch at that fraction of the picture's width and height.
    ///
    /// A network that is ready for inference takes the batch in parts, one for each of rayon's threads, if that gives each at
    /// least two pictures and libtorch is bound to one thread ([`set_threads`](crate::sys::set_threads)): else the threads of
    /// both would be in one another's way. A network that takes pictures [one by one](Self::one_by_one) takes each by itself.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of another shape, [`Error::Argument`] for a query outside `[0, 1)` or for queries
    /// to a network without patch attention or for pictures whose patch attention would take over 4 GiB,
    /// [`Error::Torch`] if libtorch fails.
    pub fn run(&self, batch: &ArrayView4<f32>, queries: &[[f32; 2]]) -> Result<Vec<Readout>> {
        let shape: Vec<i64> = batch.shape().iter().map(|&side| side as i64).collect();
        if shape[0] == 0 {
            return Ok(Vec::new());
        }
        self.check_patch_memory(&shape)?;
        self.in_parts(batch.len_of(Axis(0)), queries, |network, part| network.input(&batch.slice(s![part, .., .., ..])))
    }

    /// The same of pictures of one size, as [`Preprocess::resample`](crate::photo::Preprocess::resample) makes them:
    /// normalised on the way to the network, on a GPU by itself.
    ///
    /// # Errors
    /// [`Error::Input`] for pictures of several sizes or none; else as [`run`](Self::run).
    pub fn look(&self, pictures: &[&Resampled], queries: &[[f32; 2]]) -> Result<Vec<Readout>> {
        let [count, height, width] = shape_of(pictures)?.map(|side| side as i64);
        self.check_patch_memory(&[count, 3, height, width])?;
        self.in_parts(pictures.len(), queries, |network, part| network.pictures(&pictures[part]))
    }

    fn in_parts(
        &self,
        images: usize,
        queries: &[[f32; 2]],
        input: impl Fn(&Self, Range<usize>) -> Result<Tensor> + Sync,
    ) -> Result<Vec<Readout>> {
        let inspect = |network: &Self, part| {
            let input = input(network, part)?;
            tch::no_grad(|| network.read(&network.forward(&input, false)?, queries))
        };
        let threads = rayon::current_num_threads();
        if self.one_by_one && images > 1 {
            let alone = |network: &Self, picture: usize| inspect(network, picture..picture + 1);
            let readouts: Vec<_> = match tch::get_num_threads() {
                1 if threads > 1 => kernels::side_by_side(self, images, alone),
                _ => (0..images).map(|picture| alone(self, picture)).collect(),
            };
            return Ok(readouts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect());
        }
        if !self.is_prepared() || threads == 1 || images < 2 * threads || tch::get_num_threads() > 1 {
            return inspect(self, 0..images);
        }
        // So none waits for another after every layer. Of several pictures, since each part reads all weights.
        let part = |part: usize| images * part / threads..images * (part + 1) / threads;
        let readouts = kernels::side_by_side(self, threads, |network, index| inspect(network, part(index)));
        Ok(readouts.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Runs a batch of pictures that are 0, to see whether it can be and how long it takes.
    pub(crate) fn try_out(&self, pictures: usize, size: ImageSize) -> Result<()> {
        let shape = [pictures as i64, 3, size.height.into(), size.width.into()];
        self.check_patch_memory(&shape)?;
        let input = self.laid_out(&Tensor::f_zeros(shape, (Kind::Float, self.device()))?)?;
        tch::no_grad(|| self.read(&self.forward(&input, false)?, &[])).map(drop)
    }

    /// Refuses a batch whose patch attention, which grows with the fourth power of the side, would not fit.
    pub(crate) fn check_patch_memory(&self, shape: &[i64]) -> Result<()> {
        let [pictures, _, height, width] = shape else { return Ok(()) };
        for (attention, block) in self.config.attention.iter().zip(&self.blocks) {
            let Some(patch) = &attention.patch else { continue };
            let cell = block.stride * patch.patch_size;
            let patches = i128::from(height.div_euclid(cell) + 1) * i128::from(width.div_euclid(cell) + 1);
            // Scores and their softmax, in f32.
            if 2 * 4 * i128::from(*pictures) * i128::from(patch.heads) * patches * patches > MAX_PATCH_BYTES {
                let message =
                    format!("{pictures} × {width}x{height} pixels: the patch attention would take over 4 GiB");
                return Err(Error::argument("size", format!("{message}; choose a smaller size")));
            }
        }
        Ok(())
    }

    /// What each answer's score takes of each channel's mean, `[answers, C]`, if the scores are linear in these.
    fn linear_scores(&self) -> Result<Option<Tensor>> {
        let gated = self.blocks.iter().any(|block| block.site == Site::Head);
        match self.backbone.classifier_weight() {
            Some(weight) if !gated && self.config.outputs != Outputs::Probabilities => {
                // One number's second answer, or the weights themselves.
                self.scores(&weight.f_transpose(0, 1)?)?.f_transpose(0, 1).map(Some).map_err(Error::from)
            }
            _ => Ok(None),
        }
    }

    /// What the network says of classes: their probabilities, and the likeliest one's Grad-CAM.
    fn of_classes(&self, output: &Output) -> Result<Vec<Readout>> {
        let probabilities = to_host::<Ix2>(&self.probabilities(&output.logits)?)?;
        let first = Vec::<i64>::try_from(self.scores(&output.logits)?.f_argmax(-1, false)?)?;
        let features = self.head_activation(&output.features)?;
        let linear = self.linear_scores()?;
        let grad_cams = match &linear {
            Some(weight) => class_activation(&features, &first, weight)?,
            None => grad_cam(&features, &first, |features| self.scores(&self.classify(features)?))?,
        };
        let readout = |(i, map)| Readout {
            probabilities: probabilities.index_axis(Axis(0), i).to_owned(),
            explanations: vec![Explanation { method: Method::GradCam, stage: None, class: first[i] as usize, map }],
            ..Readout::default()
        };
        Ok(grad_cams.into_iter().enumerate().map(readout).collect())
    }

    pub(crate) fn read(&self, output: &Output, queries: &[[f32; 2]]) -> Result<Vec<Readout>> {
        let mut readouts = if self.config.classes == 0 {
            vec![Readout::default(); output.logits.size()[0] as usize]
        } else {
            self.of_classes(output)?
        };
        for block in &output.attention {
            if block.channel.is_some() || block.spatial.is_some() {
                let channel = block.channel.as_ref().map(|channel| to_host::<Ix2>(&channel.gate)).transpose()?;
                let spatial = block.spatial.as_ref().map(|spatial| to_host::<Ix3>(&spatial.gate)).transpose()?;
                for (i, readout) in readouts.iter_mut().enumerate() {
                    readout.gates.push(GateReadout {
                        stage: block.stage.clone(),
                        channel: channel
                            .as_ref()
                            .map_or_else(|| Array1::zeros(0), |gate| gate.index_axis(Axis(0), i).to_owned()),
                        spatial: spatial.as_ref().map(|gate| gate.index_axis(Axis(0), i).to_owned()),
                    });
                }
            }
            if let Some(patch) = &block.patch {
                let [rows, columns] = patch.grid;
                let patches = rows * columns;
                // Mean over the queries, times T: what each key receives, 1 if attention is uniform.
                let received = patch.weights.f_sum_dim_intlist([2i64].as_slice(), false, Kind::Float)?;
                let received = to_host::<Ix4>(&received.f_reshape([-1, received.size()[1], rows, columns])?)?;
                // Points are asked of the first layer alone, whose grid is the finest.
                let first = readouts.iter().all(|readout| readout.patches.is_empty());
                let asked = queries
                    .iter()
                    .filter(|_| first)
                    .map(|&query| {
                        let index = patch_index(query, patch.grid)?;
                        let weights = patch.weights.f_select(2, index)?.f_mean_dim(1, false, Kind::Float)?;
                        Ok((query, to_host::<Ix3>(&(weights * patches as f64).f_reshape([-1, rows, columns])?)?))
                    })
                    .collect::<Result<Vec<_>>>()?;
                for (i, readout) in readouts.iter_mut().enumerate() {
                    readout.patches.push(PatchReadout {
                        stage: block.stage.clone(),
                        received: received.index_axis(Axis(0), i).to_owned(),
                        rows: asked
                            .iter()
                            .map(|(query, weights)| QueryRow {
                                query: *query,
                                weights: weights.index_axis(Axis(0), i).to_owned(),
                            })
                            .collect(),
                    });
                }
            }
        }
        roll_out(&output.attention, &mut readouts)?;
        if !queries.is_empty() && readouts.iter().any(|readout| readout.patches.is_empty()) {
            return Err(Error::argument("patch@X,Y", "these weights have no patch attention"));
        }
        Ok(readouts)
    }
}

/// Attention rollout, if there are several patch self-attentions; on the grid of the first.
fn roll_out(attention: &[BlockOutput], readouts: &mut [Readout]) -> Result<()> {
    let patches: Vec<_> = attention.iter().filter_map(|block| block.patch.as_ref()).collect();
    if patches.len() < 2 {
        return Ok(());
    }
    let weights = patches.iter().map(|patch| on_host::<Ix4>(&patch.weights)).collect::<Result<Vec<_>>>()?;
    let grids: Vec<_> = patches.iter().map(|patch| patch.grid.map(|side| side as usize)).collect();
    readouts.par_iter_mut().enumerate().try_for_each(|(i, readout)| {
        let of_picture = weights.iter().map(|weights| weights.index_axis(Axis(0), i));
        let layers = of_picture.zip(&grids).map(|(weights, grid)| RolloutLayer { weights, grid: *grid });
        readout.rollout = Some(rollout_received(&layers.collect::<Vec<_>>())?);
        Ok(())
    })
}

/// The index of the patch at a fraction of the width and height.
fn patch_index([x, y]: [f32; 2], [rows, columns]: [i64; 2]) -> Result<i64> {
    if ![x, y].iter().all(|fraction| (0.0..1.0).contains(fraction)) {
        return Err(Error::argument("patch@X,Y", format!("({x}, {y}) of width and height lies outside the picture")));
    }
    let cell = |fraction: f32, count: i64| ((fraction * count as f32) as i64).min(count - 1);
    Ok(cell(y, rows) * columns + cell(x, columns))
}

/// As [`to_host`], but where it lies if that is as good.
fn on_host<D: Dimension>(tensor: &Tensor) -> Result<CowArray<'_, f32, D>> {
    let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
    let lies = kernels::values(tensor).and_then(|values| ArrayViewD::from_shape(shape, values).ok());
    match lies.and_then(|view| view.into_dimensionality().ok()) {
        Some(view) => Ok(view.into()),
        None => Ok(to_host::<D>(tensor)?.into()),
    }
}

/// A tensor as an array of f32 on the host.
pub(crate) fn to_host<D: Dimension>(tensor: &Tensor) -> Result<Array<f32, D>> {
    let tensor = tensor.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
    let mut values = vec![0f32; shape.iter().product()];
    let count = values.len();
    tensor.f_copy_data(&mut values, count)?;
    ArrayD::from_shape_vec(shape, values).and_then(ArrayD::into_dimensionality).map_err(|_| Error::Input {
        layer: "Network",
        expected: format!("a map of {:?} dimensions", D::NDIM),
        got: format!("{:?}", tensor.size()),
    })
}
