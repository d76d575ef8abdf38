//! What a pass says of each picture of its batch.

use ndarray::{Array2, ArrayView3, Axis};
use rayon::prelude::*;

use super::BlockPass;
use crate::kernels::Map;
use crate::maps::{
    Detail, FeatureMaps, GateReadout, Ground, PatchReadout, QueryRow, Readout, RolloutLayer, patch_index,
    rollout_received,
};
use crate::{Error, Result};

/// What one pass says of a picture.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) readout: Readout,
    /// The likeliest class; `None` of a network without classes.
    pub(super) likeliest: Option<usize>,
}

/// The gates of one place, to each picture's readout, with the features that are before them where these are kept.
pub(super) fn read_gates(block: &BlockPass, features: Option<&Map>, all: &mut [Seen]) -> Result<()> {
    if block.channel.is_none() && block.spatial.is_none() {
        return Ok(());
    }
    for (i, seen) in all.iter_mut().enumerate() {
        let channel = block.channel.as_ref().map(|channel| channel.gate.index_axis(Axis(0), i).to_owned());
        let spatial = block.spatial.as_ref().map(|spatial| spatial.gate.index_axis(Axis(0), i).to_owned());
        let features = features.map(|features| feature_maps(features, i)).transpose()?;
        let (stage, channel) = (block.stage.clone(), channel.unwrap_or_default());
        seen.readout.gates.push(GateReadout { stage, channel, spatial, coordinate: None, features });
    }
    Ok(())
}

/// The features of one picture, to be looked at.
fn feature_maps(features: &Map, image: usize) -> Result<FeatureMaps> {
    let shape = (features.height(), features.width(), features.channels());
    let features = ArrayView3::from_shape(shape, features.image(image)).map_err(Error::internal)?;
    Ok(FeatureMaps::of(features.permuted_axes([2, 0, 1])))
}

/// The features that tell things apart, to each picture's readout.
pub(super) fn read_ground(ground: Option<&Map>, all: &mut [Seen]) -> Result<()> {
    let Some(ground) = ground else { return Ok(()) };
    let grid = [ground.height(), ground.width()];
    for (i, seen) in all.iter_mut().enumerate() {
        let features = Array2::from_shape_vec((grid[0] * grid[1], ground.channels()), ground.image(i).to_vec());
        seen.readout.ground = Some(Ground { grid, features: features.map_err(Error::internal)? });
    }
    Ok(())
}

/// What each patch receives at one place, the rows that are asked for, and what is kept of all, to each picture's readout.
pub(super) fn read_patches(block: &BlockPass, points: &[&[[f32; 2]]], detail: Detail, all: &mut [Seen]) -> Result<()> {
    let Some(patch) = &block.patch else { return Ok(()) };
    let ([rows, columns], patches) = (patch.grid, patch.grid[0] * patch.grid[1]);
    // Points are asked of the first layer alone, whose grid is the finest.
    let first = all.iter().all(|seen| seen.readout.patches.is_empty());
    all.par_iter_mut().enumerate().try_for_each(|(i, seen)| {
        let weights = patch.weights.index_axis(Axis(0), i); // [heads, T, T]
        // Mean over the queries, times T: what each key receives, 1 if attention is uniform.
        let received = weights.sum_axis(Axis(1)).into_shape_with_order((weights.len_of(Axis(0)), rows, columns));
        let row = |query: &[f32; 2]| -> Result<QueryRow> {
            let mean = weights.index_axis(Axis(1), patch_index(*query, patch.grid)?).mean_axis(Axis(0));
            let weights = mean.unwrap_or_default() * patches as f32;
            Ok(QueryRow {
                query: *query,
                weights: weights.into_shape_with_order((rows, columns)).map_err(Error::internal)?,
            })
        };
        let asked = points[i].iter().filter(|_| first).map(row).collect::<Result<_>>()?;
        let received = received.map_err(Error::internal)?;
        seen.readout.patches.push(PatchReadout {
            stage: block.stage.clone(),
            received,
            class_token: None,
            rows: asked,
            weights: detail.weights(weights, first, patches as f32),
        });
        Ok(())
    })
}

/// Attention rollout, if there are several patch self-attentions; on the grid of the first.
pub(super) fn roll_out(attention: &[BlockPass], all: &mut [Seen]) -> Result<()> {
    let patches: Vec<_> = attention.iter().filter_map(|block| block.patch.as_ref()).collect();
    if patches.len() < 2 {
        return Ok(());
    }
    all.par_iter_mut().enumerate().try_for_each(|(i, seen)| {
        let layers: Vec<_> = patches
            .iter()
            .map(|patch| RolloutLayer { weights: patch.weights.index_axis(Axis(0), i), grid: patch.grid })
            .collect();
        seen.readout.rollout = Some(rollout_received(&layers)?);
        Ok(())
    })
}
