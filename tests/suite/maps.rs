//! Attention maps: laws, goldens and names.

#![allow(clippy::float_cmp)] // exact values are meant to be exact

mod known;
mod laws;
mod names;

use cbam::maps::{AttentionMap, MapRange};
use ndarray::Array2;

fn map(values: Array2<f32>) -> AttentionMap {
    AttentionMap::new(values, MapRange::Positive).unwrap()
}
