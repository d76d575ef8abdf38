//! Views as the attention sees them: the frozen network's features, kept in f16, with what the teacher says.

use std::ops::Range;

use image::RgbImage;
use ndarray::{Array2, Axis, Ix3, stack};
use rayon::prelude::*;
use tch::{Device, Kind, Tensor};

use super::Observer;
use super::loader::prefetch;
use super::teacher::{self, Framing};
use super::views::{Placement, Studio};
use crate::host::{to_host, to_tensor};
use crate::network::Network;
use crate::{Error, ErrorKind, Result};

/// How many pictures are drawn and run at a time.
const CHUNK: usize = 16;

/// Views of one kind.
pub(super) struct Bank {
    /// Behind the trunk, `[n, C, h, w]`, f16.
    pub(super) features: Tensor,
    /// The teacher's log-probabilities, `[n, classes]`.
    pub(super) log_probabilities: Tensor,
    /// Where to look, `[n, rows, columns]` of the mask grid, at least 0; all 0 where the view does not say.
    pub(super) targets: Tensor,
}

/// Every kind of view.
pub(super) struct Banks {
    pub(super) clean: Bank,
    pub(super) cluttered: Bank,
    pub(super) composite: Bank,
}

impl Bank {
    /// How many views it holds.
    pub(super) fn len(&self) -> usize {
        self.features.size()[0] as usize
    }
}

/// A bank while it grows.
#[derive(Default)]
struct Parts {
    features: Vec<Tensor>,
    log_probabilities: Vec<Tensor>,
    targets: Vec<Tensor>,
}

impl Parts {
    fn push(&mut self, features: &Tensor, log_probabilities: &Tensor, targets: Tensor) -> Result<()> {
        self.features.push(features.f_to_kind(Kind::Half)?.f_to_device(Device::Cpu)?);
        self.log_probabilities.push(log_probabilities.f_to_device(Device::Cpu)?);
        self.targets.push(targets);
        Ok(())
    }

    fn bank(&self) -> Result<Bank> {
        Ok(Bank {
            features: Tensor::f_cat(&self.features, 0)?,
            log_probabilities: Tensor::f_cat(&self.log_probabilities, 0)?,
            targets: Tensor::f_cat(&self.targets, 0)?,
        })
    }
}

/// Draws every picture clean and in `views` cluttered views, and `composites` composites; runs the frozen part of the
/// network on all of them. A picture that cannot be read is reported and left out; `None` if nothing is left of a kind.
/// The `teachers` look at the clean pictures too. `total` is how many views all studios draw.
pub(super) fn prepare(
    network: &Network,
    teachers: &[Network],
    studio: &Studio,
    views: usize,
    composites: usize,
    total: usize,
    observer: &mut dyn Observer,
) -> Result<Option<Banks>> {
    let pictures = studio.pictures.len();
    if pictures == 0 {
        return Ok(None);
    }
    let looks = teacher::looks(network, teachers, studio.size);
    let framings: Vec<_> = looks.iter().map(|look| look.framing).collect();
    let (mut clean, mut cluttered, mut composite) = (Parts::default(), Parts::default(), Parts::default());
    let drawn = |chunk: Range<usize>| -> Vec<Result<Drawn>> {
        chunk.into_par_iter().map(|picture| draw(studio, &framings, picture, views)).collect()
    };
    for_each_chunk(pictures, drawn, |drawn| {
        let size = drawn.len() * (1 + views);
        let drawn = keep_good(drawn, observer);
        if !drawn.is_empty() {
            let (mut features, mut answers, mut evidence) = (Vec::new(), Vec::new(), Vec::new());
            for (index, look) in looks.iter().enumerate() {
                let seen = trunk(look.network, drawn.iter().map(|drawn| &drawn.clean[index]))?;
                let lesson = teacher::teach(look.network, &seen)?;
                if look.answers {
                    answers.push(lesson.log_probabilities);
                }
                evidence.push((lesson.evidence, look.framing.mirrored));
                features.push(seen);
            }
            let answer = teacher::consensus(&answers)?;
            let target = teacher::agree(&evidence, studio.mask_grid())?.f_to_device(Device::Cpu)?;
            let evidence = to_maps(&target)?;
            clean.push(&features[0], &answer, target)?;
            for view in 0..views {
                let features = trunk(network, drawn.iter().map(|drawn| &drawn.views[view].0))?;
                let targets: Vec<_> = drawn
                    .iter()
                    .zip(&evidence)
                    .map(|(drawn, evidence)| teacher::moved(evidence.view(), &drawn.views[view].1, studio.mask_grid()))
                    .collect();
                cluttered.push(&features, &answer, maps_to_tensor(&targets)?)?;
            }
        }
        told(size, total, observer)
    })?;
    let composed = |chunk: Range<usize>| -> Vec<Result<(RgbImage, Array2<f32>)>> {
        chunk.into_par_iter().map(|number| studio.composite(number as u64)).collect()
    };
    for_each_chunk(composites, composed, |drawn| {
        let size = drawn.len();
        let drawn = keep_good(drawn, observer);
        if !drawn.is_empty() {
            let features = trunk(network, drawn.iter().map(|(view, _)| view))?;
            let lesson = teacher::teach(network, &features)?;
            let masks: Vec<_> = drawn.into_iter().map(|(_, mask)| mask).collect();
            composite.push(&features, &lesson.log_probabilities, maps_to_tensor(&masks)?)?;
        }
        told(size, total, observer)
    })?;
    if [&clean, &cluttered, &composite].iter().any(|parts| parts.features.is_empty()) {
        return Ok(None);
    }
    Ok(Some(Banks { clean: clean.bank()?, cluttered: cluttered.bank()?, composite: composite.bank()? }))
}

/// So many more views are drawn; the observer may end it here.
fn told(count: usize, total: usize, observer: &mut dyn Observer) -> Result<()> {
    observer.prepared(count, total);
    if observer.cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
}

/// A picture, clean and in clutter.
struct Drawn {
    /// As each look sees it.
    clean: Vec<RgbImage>,
    views: Vec<(RgbImage, Placement)>,
}

fn draw(studio: &Studio, framings: &[Framing], picture: usize, views: usize) -> Result<Drawn> {
    let clean = studio.clean(picture, framings)?;
    let views =
        (0..views).map(|view| studio.cluttered(&clean[0], (picture * views + view) as u64)).collect::<Result<_>>()?;
    Ok(Drawn { clean, views })
}

/// Draws the next chunks while the one before is worked on.
fn for_each_chunk<T: Send>(
    count: usize,
    draw: impl Fn(Range<usize>) -> Vec<T> + Send,
    work: impl FnMut(Vec<T>) -> Result<()>,
) -> Result<()> {
    let chunks = (0..count).step_by(CHUNK).map(|start| start..(start + CHUNK).min(count));
    prefetch(chunks, ExactSizeIterator::len, draw, work).map(drop)
}

fn keep_good<T>(results: Vec<Result<T>>, observer: &mut dyn Observer) -> Vec<T> {
    results.into_iter().filter_map(|result| result.map_err(|error| observer.skipped(&error)).ok()).collect()
}

/// The frozen part of the network on a batch of pictures of one size.
fn trunk<'a>(network: &Network, pictures: impl Iterator<Item = &'a RgbImage>) -> Result<Tensor> {
    network.trunk(&input(network, pictures)?)
}

/// A batch of pictures of one size as the network takes it, `[N, 3, H, W]`.
pub(super) fn input<'a>(network: &Network, pictures: impl Iterator<Item = &'a RgbImage>) -> Result<Tensor> {
    let preprocess = network.config().preprocess();
    let pictures = pictures
        .map(|picture| {
            let shape = [i64::from(picture.height()), i64::from(picture.width()), 3];
            Ok(Tensor::f_from_slice(picture.as_raw())?.f_view(shape)?)
        })
        .collect::<Result<Vec<_>>>()?;
    let batch = Tensor::f_stack(&pictures, 0)?.f_to_device(network.device())?.f_to_kind(Kind::Float)?; // [N, H, W, 3]
    let statistic = |values: [f32; 3]| Tensor::f_from_slice(&values)?.f_to_device(network.device());
    let batch = (batch - statistic(preprocess.mean)?) / statistic(preprocess.std)?;
    // A permuted view is the channels-last layout, in which libtorch's convolutions are fastest.
    Ok(batch.f_permute([0, 3, 1, 2])?)
}

/// `[N, h, w]` as one array each.
pub(super) fn to_maps(tensor: &Tensor) -> Result<Vec<Array2<f32>>> {
    Ok(to_host::<Ix3>(tensor)?.outer_iter().map(|map| map.to_owned()).collect())
}

/// Maps of one grid as one tensor, `[N, rows, columns]`.
fn maps_to_tensor(maps: &[Array2<f32>]) -> Result<Tensor> {
    let views: Vec<_> = maps.iter().map(Array2::view).collect();
    to_tensor(stack(Axis(0), &views).map_err(Error::internal)?.view())
}
