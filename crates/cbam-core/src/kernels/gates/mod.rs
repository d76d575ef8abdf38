//! Channel and spatial gates: pooled, and applied, in three passes over the features.
//!
//! One pass takes both channel pools; one both spatial pools of the gated features, which are not written; one applies
//! all gates. An image goes through all three before the next one, so that the later two find it in the cache.

mod passes;

use super::buffer::{Shared, Source, with_scratch};
use super::{PANEL, dispatch, each, each_image};
use crate::{Error, Result};
pub use passes::Layout;
use passes::{Apply, Convolve, Image, PoolChannels, PoolPositions, Sigmoid};

/// The least numbers of one task, which take about as long as waking a thread does.
const RANGE: usize = 1 << 15;

/// The most parts that the channels' sums are added up of.
const MOST_PARTS: usize = 16;

/// From one image's features, in their layout, and the means and the maxima of its channels, `[C]` each, to the logits of the channels,
/// `[C]`.
pub type ChannelGate<'a> = dyn Fn(&[f32], [&[f32]; 2], &mut [f32]) + Sync + 'a;

/// What gates are made of.
pub struct Gates<'a> {
    /// The channel gate, if there is one.
    pub channel: Option<&'a ChannelGate<'a>>,
    /// The spatial gate's convolution, if there is one.
    pub spatial: Option<&'a SpatialGate>,
    /// What the gated features are multiplied with.
    pub gain: f32,
}

/// The convolution of a spatial gate.
#[derive(Debug, Clone)]
pub struct SpatialGate {
    /// `[2, side, side]`: over the maxima, then over the means.
    pub weight: Vec<f32>,
    /// Added to each sum.
    pub bias: f32,
    /// Of its kernel; odd.
    pub side: usize,
    /// Whether the nearest value stands beyond the border, or zero.
    pub replicate: bool,
}

/// Feature maps of f32, where they lie.
#[derive(Debug, Clone, Copy)]
pub struct FeatureMap<'a> {
    /// All numbers.
    pub numbers: &'a [f32],
    /// What of them lies together.
    pub layout: Layout,
    /// N, C, H, W.
    pub shape: [usize; 4],
}

/// Where the results of gates go.
#[derive(Debug)]
pub struct Gated<'a> {
    /// The gated features, laid out as the input.
    pub features: &'a mut [f32],
    /// The channel gate before its sigmoid, `[N, C]`; not touched without one.
    pub channel: &'a mut [f32],
    /// The spatial gate before its sigmoid, `[N, H, W]`; not touched without one.
    pub spatial: &'a mut [f32],
}

impl Gates<'_> {
    /// Gates features of which no side is 0, on all of rayon's threads.
    ///
    /// # Errors
    /// [`Error::Input`] if a side is 0, or one of the slices has another length than the shape says.
    pub fn forward(&self, xs: FeatureMap<'_>, to: Gated<'_>) -> Result<()> {
        let [n, c, h, w] = xs.shape;
        let lengths = [xs.numbers.len(), to.features.len(), to.channel.len(), to.spatial.len()].map(Some);
        let count = |sides: &[usize]| sides.iter().try_fold(1, |product: usize, side| product.checked_mul(*side));
        let all = count(&xs.shape);
        if xs.shape.contains(&0) || lengths != [all, all, count(&[n, c]), count(&[n, h, w])] {
            let expected = "[N, C, H, W], none of them 0, and room for [N, C] and [N, H, W]".to_owned();
            return Err(Error::Input {
                layer: "gates",
                expected,
                got: format!("{:?}, numbers {:?}", xs.shape, lengths.map(Option::unwrap_or_default)),
            });
        }
        if xs.numbers.len() < 2 * RANGE {
            self.run(xs, to);
        } else {
            rayon::scope(|_| self.run(xs, to));
        }
        Ok(())
    }

    fn run(&self, FeatureMap { numbers, layout, shape: [n, channels, height, width] }: FeatureMap<'_>, to: Gated<'_>) {
        let (source, target) = (Source(numbers.as_ptr()), Shared(to.features.as_mut_ptr()));
        let (channel_to, spatial_to) = (Shared(to.channel.as_mut_ptr()), Shared(to.spatial.as_mut_ptr()));
        each_image(n, |image, parallel| {
            let positions = height * width;
            // SAFETY: one image of each slice, which no other image's task touches.
            unsafe {
                let at = image * channels * positions;
                let map = Image {
                    layout,
                    channels,
                    positions,
                    xs: std::slice::from_raw_parts(source.at(at), channels * positions),
                };
                let channel = std::slice::from_raw_parts_mut(channel_to.at(image * channels), channels);
                let spatial = std::slice::from_raw_parts_mut(spatial_to.at(image * positions), positions);
                self.image(map, [height, width], channel, spatial, Shared(target.at(at)), parallel);
            }
        });
    }

    /// One image: writes the logits of its gates, and its features to `ys`.
    ///
    /// # Safety
    /// `ys` must have room for the image's features.
    unsafe fn image(
        &self,
        map: Image<'_>,
        [height, width]: [usize; 2],
        channel: &mut [f32],
        spatial: &mut [f32],
        ys: Shared,
        parallel: bool,
    ) {
        let Image { channels, positions, .. } = map;
        // How many tasks there are depends on the threads; which positions fill whole vectors must not.
        let most = if parallel { 2 * rayon::current_num_threads() } else { 1 };
        let ranges = (positions * channels / RANGE).clamp(1, most);
        let range = move |task: usize| whole_vectors(positions, ranges, task);
        // Sums in f32 depend on the order in which they are added up, so it must not depend on the threads, nor on what other
        // images the batch has: a plane is summed by one task, and pixels in parts that depend on the map's size alone.
        let (parts, tasks) = match map.layout {
            Layout::Planes => (1, ranges),
            Layout::Pixels => {
                let parts = (positions * channels / RANGE).clamp(1, MOST_PARTS);
                (parts, parts)
            }
        };
        let share = |all: usize, task: usize| [all * task / tasks, all * (task + 1) / tasks];

        let mut pool = |gate: &ChannelGate<'_>| {
            with_scratch(2 * channels * parts, |pools| {
                let shared = Shared(pools.as_mut_ptr());
                each(tasks, parallel, |task| {
                    let (map, range, first, [from, to]) = match map.layout {
                        Layout::Planes => {
                            let of_channels = share(channels, task);
                            (map.some_channels(of_channels), [0, positions], 0, of_channels)
                        }
                        Layout::Pixels => (map, share(positions, task), 2 * channels * task, [0, channels]),
                    };
                    // SAFETY: each task has channels, or a part, of its own.
                    let [sums, maxima] = unsafe {
                        [from, channels + from]
                            .map(|start| std::slice::from_raw_parts_mut(shared.at(first + start), to - from))
                    };
                    dispatch(PoolChannels { map, range, sums, maxima });
                });
                let (first, rest) = pools.split_at_mut(2 * channels);
                let (sums, maxima) = first.split_at_mut(channels);
                for part in rest.chunks_exact(2 * channels) {
                    for (sum, part) in sums.iter_mut().zip(part) {
                        *sum += part;
                    }
                    for (maximum, part) in maxima.iter_mut().zip(&part[channels..]) {
                        *maximum = maximum.max(*part);
                    }
                }
                for sum in &mut *sums {
                    *sum /= positions as f32;
                }
                gate(map.xs, [sums, maxima], channel);
            });
        };
        if let Some(gate) = self.channel {
            pool(gate);
        }
        with_scratch(channels + positions, |gates| {
            let (of_channels, of_positions) = gates.split_at_mut(channels);
            if self.channel.is_some() {
                of_channels.copy_from_slice(channel);
                dispatch(Sigmoid { logits: of_channels, gain: 1.0 });
            } else {
                of_channels.fill(1.0);
            }
            let of_channels = &*of_channels;
            if let Some(gate) = self.spatial {
                gate.logits(&map, of_channels, [height, width], spatial, (ranges, parallel));
                of_positions.copy_from_slice(spatial);
            }
            let of_positions = Shared(of_positions.as_mut_ptr());
            each(ranges, parallel, |task| {
                let [from, to] = range(task);
                // SAFETY: each task has positions of its own.
                let of_positions = unsafe { std::slice::from_raw_parts_mut(of_positions.at(from), to - from) };
                if self.spatial.is_some() {
                    dispatch(Sigmoid { logits: of_positions, gain: self.gain });
                } else {
                    of_positions.fill(self.gain);
                }
                dispatch(Apply { map, range: [from, to], of_channels, of_positions, ys });
            });
        });
    }
}

/// The positions of a task: what is no whole vector is at the end of the map alone, so that every position is computed by the
/// same instructions whatever the number of tasks.
fn whole_vectors(positions: usize, tasks: usize, task: usize) -> [usize; 2] {
    /// A multiple of the lanes of every instruction set.
    const LANES: usize = 64;
    let cut = |task| if task == tasks { positions } else { positions * task / tasks / LANES * LANES };
    [cut(task), cut(task + 1)]
}

impl SpatialGate {
    /// The logits of every position, from the features times their channel gate.
    fn logits(
        &self,
        map: &Image<'_>,
        gate: &[f32],
        [height, width]: [usize; 2],
        logits: &mut [f32],
        (ranges, parallel): (usize, bool),
    ) {
        let margin = self.side / 2;
        // Rows are padded to whole vectors besides, which may be read but not written.
        let stride = width.next_multiple_of(PANEL) + 2 * margin;
        let padded = (height + 2 * margin) * stride;
        with_scratch(2 * map.positions + 2 * padded, |buffer| {
            let (pooled, padded_pools) = buffer.split_at_mut(2 * map.positions);
            let shared = Shared(pooled.as_mut_ptr());
            each(ranges, parallel, |task| {
                let range = whole_vectors(map.positions, ranges, task);
                // SAFETY: each task has positions of its own.
                let [maxima, means] = unsafe {
                    [0, map.positions]
                        .map(|plane| std::slice::from_raw_parts_mut(shared.at(plane + range[0]), range[1] - range[0]))
                };
                dispatch(PoolPositions { map: *map, range, gate, means, maxima });
            });
            for (plane, to) in pooled.chunks_exact(map.positions).zip(padded_pools.chunks_exact_mut(padded)) {
                self.pad(plane, [height, width], to, stride);
            }
            let rows = Shared(logits.as_mut_ptr());
            let pools = &*padded_pools;
            each(ranges, parallel, |task| {
                for y in height * task / ranges..height * (task + 1) / ranges {
                    // SAFETY: each row belongs to one task.
                    let row = unsafe { std::slice::from_raw_parts_mut(rows.at(y * width), width) };
                    dispatch(Convolve { gate: self, pools: [&pools[..padded], &pools[padded..]], stride, y, row });
                }
            });
        });
    }

    fn pad(&self, plane: &[f32], [height, width]: [usize; 2], to: &mut [f32], stride: usize) {
        let margin = self.side / 2;
        for (y, row) in to.chunks_exact_mut(stride).enumerate() {
            let from = y.saturating_sub(margin).min(height - 1);
            if !self.replicate && from + margin != y {
                row.fill(0.0);
                continue;
            }
            let from = &plane[from * width..][..width];
            let (left, right) = if self.replicate { (from[0], from[width - 1]) } else { (0.0, 0.0) };
            row[..margin].fill(left);
            row[margin..margin + width].copy_from_slice(from);
            row[margin + width..].fill(right);
        }
    }
}
