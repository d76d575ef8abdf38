//! From a batch of prepared photos to what the network says about each.

use std::ops::Range;

use ndarray::{Array1, Array4, ArrayView4, Axis, Ix2, Ix3, Ix4, s};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::{BlockOutput, Network, Output, patch_index};
use crate::explain::grad_cam;
use crate::host::to_host;
use crate::maps::{
    Detail, Explanation, FeatureMaps, GateReadout, Ground, Method, PatchReadout, QueryRow, Readout, RolloutLayer,
    rollout_received,
};
use crate::photo::{ImageSize, Resampled};
use crate::{Error, Result};

/// What one pass says of a picture.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) readout: Readout,
    /// The likeliest class; `None` of a network without classes.
    pub(super) likeliest: Option<usize>,
}

impl Network {
    /// Photos `[N, 3, H, W]`, as [`crate::photo::Preprocess`] prepares them → one readout each; none for no photos.
    ///
    /// Each of `queries` asks for the patch attention of the patch at that fraction of the picture's width and height.
    ///
    /// A network that takes pictures [one by one](Self::one_by_one) takes each by itself.
    ///
    /// # Errors
    /// [`ErrorKind::Input`](crate::ErrorKind::Input) for a batch of another shape, [`ErrorKind::Argument`](crate::ErrorKind::Argument)
    /// for a query outside `[0, 1)` or for queries to a network without patch attention or for pictures whose patch attention would take
    /// over 4 GiB, [`ErrorKind::Torch`](crate::ErrorKind::Torch) if libtorch fails.
    pub fn run(&self, batch: &ArrayView4<f32>, queries: &[[f32; 2]]) -> Result<Vec<Readout>> {
        if batch.len_of(Axis(0)) == 0 {
            return Ok(Vec::new());
        }
        let input = |network: &Self, part: Range<usize>| network.input(&batch.slice(s![part, .., .., ..]));
        let seen = self.in_parts(batch.len_of(Axis(0)), &|_| queries, (None, Detail::Maps), input)?;
        Ok(seen.into_iter().map(|seen| seen.readout).collect())
    }

    /// What one pass says of pictures of one size, as [`Preprocess::resample`](crate::photo::Preprocess::resample) makes them:
    /// normalised on the way to the network, on a GPU by itself. Each has points of its own; what the network explains by itself
    /// is of `class`, or of each picture's likeliest.
    pub(super) fn see(
        &self,
        pictures: &[&Resampled],
        points: &[Vec<[f32; 2]>],
        class: Option<usize>,
        detail: Detail,
    ) -> Result<Vec<Seen>> {
        let input = |network: &Self, part: Range<usize>| network.pictures(&pictures[part]);
        self.in_parts(pictures.len(), &|picture| &points[picture], (class, detail), input)
    }

    fn in_parts<'p>(
        &self,
        images: usize,
        points: &(dyn Fn(usize) -> &'p [[f32; 2]] + Sync),
        (class, detail): (Option<usize>, Detail),
        input: impl Fn(&Self, Range<usize>) -> Result<Tensor> + Sync,
    ) -> Result<Vec<Seen>> {
        let inspect = |network: &Self, part: Range<usize>| {
            let input = input(network, part.clone())?;
            let points: Vec<_> = part.map(points).collect();
            tch::no_grad(|| network.read(&network.forward_with(&input, false, detail)?, &points, (class, detail)))
        };
        if !self.one_by_one {
            return inspect(self, 0..images);
        }
        let alone = (0..images).map(|picture| inspect(self, picture..picture + 1));
        Ok(alone.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Runs a batch of pictures that are 0, to see whether it can be and how long it takes.
    pub(crate) fn try_out(&self, pictures: usize, size: ImageSize) -> Result<()> {
        let shape = [pictures as i64, 3, size.height.into(), size.width.into()];
        self.config.check_patch_memory([pictures, size.height as usize, size.width as usize])?;
        let input = self.laid_out(&Tensor::f_zeros(shape, (Kind::Float, self.device()))?)?;
        tch::no_grad(|| self.readouts(&self.forward(&input, false)?)).map(drop)
    }

    /// What the network says of classes: their probabilities, and Grad-CAM of `class` or of the likeliest one.
    fn of_classes(&self, output: &Output, class: Option<usize>) -> Result<Vec<Seen>> {
        let probabilities = self.probabilities(&output.logits)?;
        let likeliest = Vec::<i64>::try_from(self.scores(&output.logits)?.f_argmax(-1, false)?)?;
        let explained = class.map_or_else(|| likeliest.clone(), |class| vec![class as i64; likeliest.len()]);
        let features = self.backbone.head_activation(&output.features);
        let scores = |features: &Tensor| self.scores(&self.classify(features)?);
        let grad_cams = grad_cam(&features, &explained, scores)?;
        let seen = |(i, map)| {
            let explanation = Explanation { method: Method::GradCam, stage: None, class: explained[i] as usize, map };
            let probabilities = probabilities.index_axis(Axis(0), i).to_owned();
            let readout = Readout { probabilities, explanations: vec![explanation], ..Readout::default() };
            Seen { readout, likeliest: Some(likeliest[i] as usize) }
        };
        Ok(grad_cams.into_iter().enumerate().map(seen).collect())
    }

    /// What a pass says of each picture of its batch.
    pub(crate) fn readouts(&self, output: &Output) -> Result<Vec<Readout>> {
        let points = vec![&[][..]; output.logits.size()[0] as usize];
        Ok(self.read(output, &points, (None, Detail::Maps))?.into_iter().map(|seen| seen.readout).collect())
    }

    /// What the network says of each picture of a batch, each with points of its own.
    fn read(
        &self,
        output: &Output,
        points: &[&[[f32; 2]]],
        (class, detail): (Option<usize>, Detail),
    ) -> Result<Vec<Seen>> {
        let mut all = if self.config.classes == 0 {
            vec![Seen::default(); points.len()]
        } else {
            self.of_classes(output, class)?
        };
        let mut readouts: Vec<&mut Readout> = all.iter_mut().map(|seen| &mut seen.readout).collect();
        for (place, block) in output.attention.iter().enumerate() {
            if block.channel.is_some() || block.spatial.is_some() {
                let channel = block.channel.as_ref().map(|channel| to_host::<Ix2>(&channel.gate)).transpose()?;
                let spatial = block.spatial.as_ref().map(|spatial| to_host::<Ix3>(&spatial.gate)).transpose()?;
                let features = output.inputs.get(place).filter(|_| block.channel.is_some());
                let features = features.map(to_host::<Ix4>).transpose()?;
                for (i, readout) in readouts.iter_mut().enumerate() {
                    readout.gates.push(GateReadout {
                        stage: block.stage.clone(),
                        channel: channel
                            .as_ref()
                            .map_or_else(|| Array1::zeros(0), |gate| gate.index_axis(Axis(0), i).to_owned()),
                        spatial: spatial.as_ref().map(|gate| gate.index_axis(Axis(0), i).to_owned()),
                        coordinate: None,
                        features: features.as_ref().map(|features| FeatureMaps::of(features.index_axis(Axis(0), i))),
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
                let weights = (detail != Detail::Maps).then(|| to_host::<Ix4>(&patch.weights)).transpose()?;
                let kept = |weights: &Array4<f32>, picture| {
                    detail.weights(weights.index_axis(Axis(0), picture), first, patches as f32)
                };
                let row = |picture: usize, query: [f32; 2]| -> Result<QueryRow> {
                    let index = patch_index(query, patch.grid.map(|side| side as usize))? as i64;
                    let weights =
                        patch.weights.f_get(picture as i64)?.f_select(1, index)?.f_mean_dim(0, false, Kind::Float)?;
                    let weights = to_host::<Ix2>(&(weights * patches as f64).f_reshape([rows, columns])?)?;
                    Ok(QueryRow { query, weights })
                };
                for (i, readout) in readouts.iter_mut().enumerate() {
                    let asked = points[i].iter().filter(|_| first).map(|query| row(i, *query));
                    readout.patches.push(PatchReadout {
                        stage: block.stage.clone(),
                        received: received.index_axis(Axis(0), i).to_owned(),
                        class_token: None,
                        rows: asked.collect::<Result<_>>()?,
                        weights: weights.as_ref().and_then(|weights| kept(weights, i)),
                    });
                }
            }
        }
        if let Some(ground) = &output.ground {
            let (_, channels, height, width) = ground.size4()?;
            let rows = ground.f_permute([0, 2, 3, 1])?.f_reshape([-1, height * width, channels])?;
            let rows = to_host::<Ix3>(&rows.f_detach()?.f_to_kind(Kind::Float)?)?;
            let grid = [height, width].map(|side| side as usize);
            for (readout, features) in readouts.iter_mut().zip(rows.outer_iter()) {
                readout.ground = Some(Ground { grid, features: features.to_owned() });
            }
        }
        roll_out(&output.attention, &mut readouts)?;
        readouts.par_iter_mut().for_each(|readout| readout.settle_likeness());
        if readouts.iter().zip(points).any(|(readout, points)| readout.patches.is_empty() && !points.is_empty()) {
            return Err(Error::argument("patch@X,Y", "these weights have no patch attention"));
        }
        Ok(all)
    }
}

/// Attention rollout, if there are several patch self-attentions; on the grid of the first.
fn roll_out(attention: &[BlockOutput], readouts: &mut [&mut Readout]) -> Result<()> {
    let patches: Vec<_> = attention.iter().filter_map(|block| block.patch.as_ref()).collect();
    if patches.len() < 2 {
        return Ok(());
    }
    let weights = patches.iter().map(|patch| to_host::<Ix4>(&patch.weights)).collect::<Result<Vec<_>>>()?;
    let grids: Vec<_> = patches.iter().map(|patch| patch.grid.map(|side| side as usize)).collect();
    readouts.par_iter_mut().enumerate().try_for_each(|(i, readout)| {
        let of_picture = weights.iter().map(|weights| weights.index_axis(Axis(0), i));
        let layers = of_picture.zip(&grids).map(|(weights, grid)| RolloutLayer { weights, grid: *grid });
        readout.rollout = Some(rollout_received(&layers.collect::<Vec<_>>())?);
        Ok(())
    })
}
