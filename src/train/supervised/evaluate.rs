//! The accuracy on held-out pictures, whole, as the network sees them in use.

use std::collections::BTreeMap;

use ndarray::{Array3, Ix2};
use rayon::prelude::*;
use tch::Tensor;

use super::folder::Labelled;
use crate::eval::{Accuracy, AccuracySummary};
use crate::host::{to_host, to_tensor};
use crate::network::Network;
use crate::train::Observer;
use crate::train::loader::prefetch;
use crate::{ErrorKind, Result};

/// Pictures at a time.
const BATCH: usize = 16;

/// Held-out pictures.
pub(super) enum HeldOut<'a> {
    /// Read anew each time; and whether those that cannot be read were reported.
    Pictures(&'a Labelled, bool),
    /// As features behind the frozen trunk, in batches, with their classes.
    Features(Vec<(Tensor, Vec<usize>)>),
}

impl<'a> HeldOut<'a> {
    /// Runs the trunk on the pictures once and for all.
    pub(super) fn cached(network: &Network, pictures: &'a Labelled, observer: &mut dyn Observer) -> Result<Self> {
        let mut features = Vec::new();
        for_each_batch(network, pictures, true, observer, &mut |input, classes| {
            features.push((network.trunk(input)?, classes.to_vec()));
            Ok(())
        })?;
        Ok(Self::Features(features))
    }

    /// Classifies every picture; one that cannot be read is left out, and reported the first time.
    pub(super) fn evaluate(&mut self, network: &Network, observer: &mut dyn Observer) -> Result<AccuracySummary> {
        let mut accuracy = Accuracy::default();
        let mut count = |features: &Tensor, classes: &[usize]| -> Result<()> {
            let logits = to_host::<Ix2>(&network.tail(features, false)?.logits)?;
            for (scores, &class) in logits.outer_iter().zip(classes) {
                accuracy.add(scores, class)?;
            }
            Ok(())
        };
        tch::no_grad(|| match self {
            Self::Features(batches) => batches.iter().try_for_each(|(features, classes)| count(features, classes)),
            Self::Pictures(pictures, told) => {
                let tell = !std::mem::replace(told, true);
                for_each_batch(network, pictures, tell, observer, &mut |input, classes| {
                    count(&network.trunk(input)?, classes)
                })
            }
        })?;
        Ok(accuracy.summary())
    }
}

/// Pictures that are ready, and their classes.
type Group = (Vec<Array3<f32>>, Vec<usize>);

/// Reads pictures ahead; gives those of one size together, `[N, 3, H, W]`, with their classes.
fn for_each_batch(
    network: &Network,
    pictures: &Labelled,
    tell: bool,
    observer: &mut dyn Observer,
    work: &mut dyn FnMut(&Tensor, &[usize]) -> Result<()>,
) -> Result<()> {
    let preprocess = network.config().preprocess();
    let read = |index: usize| Ok((preprocess.apply(&pictures.pictures.open(index)?)?, pictures.classes[index]));
    let indices: Vec<usize> = (0..pictures.len()).collect();
    let mut run = |(pixels, classes): Group| {
        let pixels = pixels.iter().map(|pixels| to_tensor(pixels.view()));
        let batch = Tensor::f_stack(&pixels.collect::<Result<Vec<_>>>()?, 0)?.f_to_device(network.device())?;
        work(&batch, &classes)
    };
    let mut groups: BTreeMap<[u32; 2], Group> = BTreeMap::new();
    prefetch(
        indices.chunks(BATCH),
        |chunk| chunk.len(),
        |chunk| chunk.par_iter().map(|&index| read(index)).collect::<Vec<Result<_>>>(),
        |ready| {
            for picture in ready {
                let (prepared, class) = match picture {
                    Ok(picture) => picture,
                    Err(error) => {
                        if tell {
                            observer.skipped(&error);
                        }
                        continue;
                    }
                };
                let size = prepared.geometry.network;
                let group = groups.entry([size.width, size.height]).or_default();
                group.0.push(prepared.pixels);
                group.1.push(class);
                if group.1.len() == BATCH {
                    run(std::mem::take(group))?;
                }
            }
            if observer.cancelled() { Err(ErrorKind::Interrupted.into()) } else { Ok(()) }
        },
    )?;
    groups.into_values().filter(|(_, classes)| !classes.is_empty()).try_for_each(run)
}
