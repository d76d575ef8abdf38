//! Kernels for inference on a CPU, where libtorch passes over memory more often than it must.
//!
//! They work on maps of f32 whose channels lie together, `[N, H, W, C]` in memory ([`Map`]; PyTorch's `channels_last`), with SIMD of
//! whatever width the machine has (AVX-512, AVX2, NEON; the crate `pulp` chooses at run time) and with rayon's threads. None of them
//! has a gradient. It is nearly the only place for `unsafe` here: a kernel reads and writes through pointers, since its tasks write
//! interleaved parts of one buffer.
//!
//! | kernel | what it computes in one go |
//! |---|---|
//! | [`Pointwise`] | 1×1 convolution, bias, residual, clamp |
//! | [`Convolution`] | any other convolution, bias, residual, clamp |
//! | [`InvertedResidual`] | 1×1 convolution (or a stem's) → depthwise convolution → 1×1 convolution, the wide features in between never whole |
//! | [`Gates`] | the channel and the spatial gate of CBAM, and the features times both |
//! | [`Heads`] | scaled dot-product attention over many heads, with its weights |
//!
//! What lies between the passes of a kernel, each thread keeps for its next task: never more than the largest layer of one
//! image takes, which is 1.8 MB for EfficientNet-Lite0 at 224×224 and grows with the picture's area.
#![allow(unsafe_code)]
// What is not inlined into a dispatched task loses that task's instructions.
#![allow(clippy::inline_always)]

pub mod bf16;
mod buffer;
mod convolution;
mod depthwise;
mod exp;
mod gates;
mod inverted_residual;
mod map;
mod mlp;
mod multi_head;
mod pointwise;
mod rows;

use crate::simd::dispatch;
use buffer::with_scratch;
pub use convolution::{Convolution, max_pool};
pub use depthwise::{Axis, Depthwise, Padding};
pub use exp::sigmoid_of as sigmoid;
pub use gates::{ChannelGate, FeatureMap, Gated, Gates, Layout, SpatialGate};
pub use inverted_residual::InvertedResidual;
pub use map::Map;
pub(crate) use map::Unwritten;
pub use mlp::Mlp;
pub use multi_head::Heads;
pub use pointwise::Pointwise;

/// The channels that one task works on: whole vectors of every instruction set.
const PANEL: usize = 32;

/// Limits that an activation clamps to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Clamp {
    /// No value is under it.
    pub low: f32,
    /// And none is over it.
    pub high: f32,
}

impl Clamp {
    /// No activation.
    pub const NONE: Self = Self { low: f32::NEG_INFINITY, high: f32::INFINITY };
    /// ReLU.
    pub const RELU: Self = Self { low: 0.0, high: f32::INFINITY };
    /// ReLU6.
    pub const RELU6: Self = Self { low: 0.0, high: 6.0 };
}

/// Every number of a vector within limits; one that is none stays so.
#[inline(always)]
fn clamp<S: pulp::Simd>(simd: S, xs: S::f32s, [low, high]: [S::f32s; 2]) -> S::f32s {
    let xs = simd.select_f32s(simd.less_than_f32s(xs, low), low, xs);
    simd.select_f32s(simd.greater_than_f32s(xs, high), high, xs)
}

/// Runs `task` for `0..count`, on rayon's threads or on this one.
fn each(count: usize, parallel: bool, task: impl Fn(usize) + Sync + Send) {
    use rayon::prelude::*;
    if parallel && count > 1 {
        (0..count).into_par_iter().with_max_len(1).for_each(task);
    } else {
        (0..count).for_each(task);
    }
}

/// Runs `work` for each of `images` images: one image a thread if that occupies every thread, else one after the other,
/// with every thread on each. `work` is told whether to use threads.
fn each_image(images: usize, work: impl Fn(usize, bool) + Sync + Send) {
    let threads = rayon::current_num_threads();
    if threads > 1 && (images.is_multiple_of(threads) || images > 4 * threads) {
        each(images, true, |image| work(image, false));
    } else {
        each(images, false, |image| work(image, threads > 1));
    }
}
