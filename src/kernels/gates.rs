//! Channel and spatial gates: pooled, and applied, in three passes over the features.
//!
//! One pass takes both channel pools; one both spatial pools of the gated features, which are not written; one applies
//! all gates. An image goes through all three before the next one, so that the later two find it in the cache.

use pulp::{Simd, WithSimd};
use tch::{Device, Kind, Tensor};

use super::buffer::{Shared, Source, with_scratch};
use super::exp::sigmoid;
use super::{PANEL, arch, each, each_image, in_pool};
use crate::Result;

/// The least numbers of one task, which take about as long as waking a thread does.
const RANGE: usize = 1 << 15;

/// From the means and the maxima of the channels to logits, `[C]` each.
pub(crate) type ChannelGate<'a> = dyn Fn(&[f32], &[f32], &mut [f32]) + Sync + 'a;

/// What gates are made of.
pub(crate) struct Gates<'a> {
    /// The mean and the maximum of each channel → the logits of the channel gate.
    pub(crate) channel: &'a ChannelGate<'a>,
    /// The spatial gate's convolution, if there is one.
    pub(crate) spatial: Option<SpatialGate>,
    /// What the gated features are multiplied with.
    pub(crate) gain: f32,
}

/// The convolution of a spatial gate.
#[derive(Debug)]
pub(crate) struct SpatialGate {
    /// `[2, side, side]`: over the maxima, then over the means.
    pub(crate) weight: Vec<f32>,
    pub(crate) bias: f32,
    pub(crate) side: usize,
    /// Whether the nearest value stands beyond the border, or zero.
    pub(crate) replicate: bool,
}

/// What gates give.
#[derive(Debug)]
pub(crate) struct Gated {
    /// `[N, C, H, W]`, in the layout of the input.
    pub(crate) features: Tensor,
    /// The channel gate before its sigmoid, `[N, C]`.
    pub(crate) channel: Tensor,
    /// The spatial gate before its sigmoid, `[N, H, W]`.
    pub(crate) spatial: Option<Tensor>,
}

/// Whether the kernel takes this input: f32 on the CPU, not empty.
pub(crate) fn takes(xs: &Tensor) -> bool {
    xs.device() == Device::Cpu && xs.kind() == Kind::Float && xs.numel() > 0
}

impl Gates<'_> {
    /// Gates `xs`, `[N, C, H, W]`, which the kernel [takes].
    ///
    /// # Errors
    /// [`Error::Torch`](crate::Error::Torch) if libtorch fails.
    pub(crate) fn forward(&self, xs: &Tensor) -> Result<Gated> {
        if xs.numel() < 2 * RANGE { self.run(xs) } else { in_pool(|| self.run(xs)) }
    }

    fn run(&self, xs: &Tensor) -> Result<Gated> {
        let (n, c, h, w) = xs.size4()?;
        let turned = xs.f_permute([0, 2, 3, 1])?;
        let layout = if turned.is_contiguous() { Layout::Pixels } else { Layout::Planes };
        let xs = if layout == Layout::Pixels { turned } else { xs.f_contiguous()? };
        let features = xs.f_empty_like()?;
        let [mut channel, mut spatial] = [n * c, n * h * w].map(|count| vec![0.0; count as usize]);
        let [channels, height, width] = [c, h, w].map(|side| side as usize);
        let (source, target) = (Source(xs.data_ptr().cast_const().cast()), Shared(features.data_ptr().cast()));
        let (channel_to, spatial_to) = (Shared(channel.as_mut_ptr()), Shared(spatial.as_mut_ptr()));
        each_image(n as usize, |image, parallel| {
            let positions = height * width;
            // SAFETY: one image of each buffer, which no other image's task touches; all are contiguous.
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
        let features = if layout == Layout::Pixels { features.f_permute([0, 3, 1, 2])? } else { features };
        Ok(Gated {
            features,
            channel: Tensor::f_from_slice(&channel)?.f_view([n, c])?,
            spatial: self.spatial.as_ref().map(|_| Tensor::f_from_slice(&spatial)?.f_view([n, h, w])).transpose()?,
        })
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
        let most = if parallel { 2 * rayon::current_num_threads() } else { 1 };
        let ranges = (positions * channels / RANGE).clamp(1, most);
        let range = |task: usize| [positions * task / ranges, positions * (task + 1) / ranges];

        with_scratch(2 * channels * ranges, |pools| {
            let shared = Shared(pools.as_mut_ptr());
            each(ranges, parallel, |task| {
                // SAFETY: each task has a part of its own.
                let pools = unsafe { std::slice::from_raw_parts_mut(shared.at(2 * channels * task), 2 * channels) };
                let (sums, maxima) = pools.split_at_mut(channels);
                arch().dispatch(PoolChannels { map, range: range(task), sums, maxima });
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
            (self.channel)(sums, maxima, channel);
        });
        with_scratch(channels + positions, |gates| {
            let (of_channels, of_positions) = gates.split_at_mut(channels);
            of_channels.copy_from_slice(channel);
            arch().dispatch(Sigmoid { logits: of_channels, gain: 1.0 });
            let of_channels = &*of_channels;
            if let Some(gate) = &self.spatial {
                gate.logits(&map, of_channels, [height, width], spatial, (ranges, parallel));
                of_positions.copy_from_slice(spatial);
            }
            let of_positions = Shared(of_positions.as_mut_ptr());
            each(ranges, parallel, |task| {
                let [from, to] = range(task);
                // SAFETY: each task has positions of its own.
                let of_positions = unsafe { std::slice::from_raw_parts_mut(of_positions.at(from), to - from) };
                if self.spatial.is_some() {
                    arch().dispatch(Sigmoid { logits: of_positions, gain: self.gain });
                } else {
                    of_positions.fill(self.gain);
                }
                arch().dispatch(Apply { map, range: [from, to], of_channels, of_positions, ys });
            });
        });
    }
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
                let range = [map.positions * task / ranges, map.positions * (task + 1) / ranges];
                // SAFETY: each task has positions of its own.
                let [maxima, means] = unsafe {
                    [0, map.positions]
                        .map(|plane| std::slice::from_raw_parts_mut(shared.at(plane + range[0]), range[1] - range[0]))
                };
                arch().dispatch(PoolPositions { map: *map, range, gate, means, maxima });
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
                    arch().dispatch(Convolve {
                        gate: self,
                        pools: [&pools[..padded], &pools[padded..]],
                        stride,
                        y,
                        row,
                    });
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

/// Logits to gates, in place.
struct Sigmoid<'a> {
    logits: &'a mut [f32],
    gain: f32,
}

impl WithSimd for Sigmoid<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        sigmoid(simd, self.logits, self.gain);
    }
}

/// What lies together in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// The positions of a channel, `[C, H, W]`.
    Planes,
    /// The channels of a position, `[H, W, C]`.
    Pixels,
}

/// One image's features.
#[derive(Debug, Clone, Copy)]
struct Image<'a> {
    layout: Layout,
    channels: usize,
    positions: usize,
    xs: &'a [f32],
}

impl<'a> Image<'a> {
    /// Some positions of each channel, channel by channel.
    fn planes(self, [from, to]: [usize; 2]) -> impl Iterator<Item = &'a [f32]> {
        self.xs.chunks_exact(self.positions).map(move |plane| &plane[from..to])
    }

    /// All channels of some positions, position by position.
    fn pixels(self, [from, to]: [usize; 2]) -> std::slice::ChunksExact<'a, f32> {
        self.xs[from * self.channels..to * self.channels].chunks_exact(self.channels)
    }
}

/// The sum and the maximum of each channel over some positions.
struct PoolChannels<'a> {
    map: Image<'a>,
    range: [usize; 2],
    sums: &'a mut [f32],
    maxima: &'a mut [f32],
}

impl WithSimd for PoolChannels<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { map, range, sums, maxima } = self;
        match map.layout {
            Layout::Planes => {
                for ((plane, sum), maximum) in map.planes(range).zip(sums).zip(maxima) {
                    (*sum, *maximum) = sum_and_maximum(simd, plane);
                }
            }
            Layout::Pixels => {
                sums.fill(0.0);
                maxima.fill(f32::NEG_INFINITY);
                let (sums, last_sums) = S::as_mut_simd_f32s(sums);
                let (maxima, last_maxima) = S::as_mut_simd_f32s(maxima);
                let mut pixels = map.pixels(range);
                // Four positions at once: the sums are read and written once for them.
                while pixels.len() >= 4 {
                    let four: [_; 4] = std::array::from_fn(|_| pixels.next().unwrap_or_default());
                    let parts = four.map(S::as_simd_f32s);
                    for (index, (sum, maximum)) in sums.iter_mut().zip(&mut *maxima).enumerate() {
                        let [a, b, c, d] = parts.map(|part| part.0[index]);
                        let added = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
                        *sum = simd.add_f32s(*sum, added);
                        let highest = simd.max_f32s(simd.max_f32s(a, b), simd.max_f32s(c, d));
                        *maximum = simd.max_f32s(*maximum, highest);
                    }
                    for (index, (sum, maximum)) in last_sums.iter_mut().zip(&mut *last_maxima).enumerate() {
                        for part in parts {
                            *sum += part.1[index];
                            *maximum = maximum.max(part.1[index]);
                        }
                    }
                }
                for pixel in pixels {
                    let (body, tail) = S::as_simd_f32s(pixel);
                    for ((x, sum), maximum) in body.iter().zip(&mut *sums).zip(&mut *maxima) {
                        *sum = simd.add_f32s(*sum, *x);
                        *maximum = simd.max_f32s(*maximum, *x);
                    }
                    for ((x, sum), maximum) in tail.iter().zip(&mut *last_sums).zip(&mut *last_maxima) {
                        *sum += x;
                        *maximum = maximum.max(*x);
                    }
                }
            }
        }
    }
}

/// The sum and the maximum of a slice.
#[inline(always)]
fn sum_and_maximum<S: Simd>(simd: S, xs: &[f32]) -> (f32, f32) {
    let (body, tail) = S::as_simd_f32s(xs);
    let mut sums = [simd.splat_f32s(0.0); 4];
    let mut maxima = [simd.splat_f32s(f32::NEG_INFINITY); 4];
    let mut four = body.chunks_exact(4);
    for xs in &mut four {
        for ((x, sum), maximum) in xs.iter().zip(&mut sums).zip(&mut maxima) {
            *sum = simd.add_f32s(*sum, *x);
            *maximum = simd.max_f32s(*maximum, *x);
        }
    }
    for x in four.remainder() {
        sums[0] = simd.add_f32s(sums[0], *x);
        maxima[0] = simd.max_f32s(maxima[0], *x);
    }
    let sum = simd.add_f32s(simd.add_f32s(sums[0], sums[1]), simd.add_f32s(sums[2], sums[3]));
    let maximum = simd.max_f32s(simd.max_f32s(maxima[0], maxima[1]), simd.max_f32s(maxima[2], maxima[3]));
    let (mut sum, mut maximum) = (simd.reduce_sum_f32s(sum), simd.reduce_max_f32s(maximum));
    for x in tail {
        sum += x;
        maximum = maximum.max(*x);
    }
    (sum, maximum)
}

/// The mean and the maximum over the gated channels, of some positions.
struct PoolPositions<'a> {
    map: Image<'a>,
    range: [usize; 2],
    gate: &'a [f32],
    means: &'a mut [f32],
    maxima: &'a mut [f32],
}

impl WithSimd for PoolPositions<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { map, range, gate, means, maxima } = self;
        let share = 1.0 / map.channels as f32;
        match map.layout {
            Layout::Planes => {
                means.fill(0.0);
                maxima.fill(f32::NEG_INFINITY);
                let (means, last_means) = S::as_mut_simd_f32s(means);
                let (maxima, last_maxima) = S::as_mut_simd_f32s(maxima);
                for (plane, gate) in map.planes(range).zip(gate) {
                    let (body, tail) = S::as_simd_f32s(plane);
                    let gates = simd.splat_f32s(*gate);
                    for ((x, mean), maximum) in body.iter().zip(&mut *means).zip(&mut *maxima) {
                        let x = simd.mul_f32s(*x, gates);
                        *mean = simd.add_f32s(*mean, x);
                        *maximum = simd.max_f32s(*maximum, x);
                    }
                    for ((x, mean), maximum) in tail.iter().zip(&mut *last_means).zip(&mut *last_maxima) {
                        *mean += x * gate;
                        *maximum = maximum.max(x * gate);
                    }
                }
                let shares = simd.splat_f32s(share);
                for mean in means {
                    *mean = simd.mul_f32s(*mean, shares);
                }
                for mean in last_means {
                    *mean *= share;
                }
            }
            Layout::Pixels => {
                let (gates, last_gates) = S::as_simd_f32s(gate);
                for ((pixel, mean), to) in map.pixels(range).zip(means).zip(maxima) {
                    let (body, tail) = S::as_simd_f32s(pixel);
                    let mut sums = [simd.splat_f32s(0.0); 2];
                    let mut highest = [simd.splat_f32s(f32::NEG_INFINITY); 2];
                    for (index, (x, gate)) in body.iter().zip(gates).enumerate() {
                        let x = simd.mul_f32s(*x, *gate);
                        sums[index % 2] = simd.add_f32s(sums[index % 2], x);
                        highest[index % 2] = simd.max_f32s(highest[index % 2], x);
                    }
                    let mut sum = simd.reduce_sum_f32s(simd.add_f32s(sums[0], sums[1]));
                    let mut maximum = simd.reduce_max_f32s(simd.max_f32s(highest[0], highest[1]));
                    for (x, gate) in tail.iter().zip(last_gates) {
                        sum += x * gate;
                        maximum = maximum.max(x * gate);
                    }
                    (*mean, *to) = (sum * share, maximum);
                }
            }
        }
    }
}

/// One row of the spatial gate's logits.
struct Convolve<'a> {
    gate: &'a SpatialGate,
    pools: [&'a [f32]; 2],
    stride: usize,
    y: usize,
    row: &'a mut [f32],
}

impl WithSimd for Convolve<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { gate, pools, stride, y, row } = self;
        let side = gate.side;
        for (part, row) in row.chunks_mut(2 * S::F32_LANES).enumerate() {
            let first = part * 2 * S::F32_LANES;
            let mut sums = [simd.splat_f32s(gate.bias); 2];
            for (plane, weights) in pools.iter().zip(gate.weight.chunks_exact(side * side)) {
                for (tap_y, weights) in weights.chunks_exact(side).enumerate() {
                    let from = &plane[(y + tap_y) * stride + first..][..2 * S::F32_LANES + side - 1];
                    for (tap_x, weight) in weights.iter().enumerate() {
                        let weight = simd.splat_f32s(*weight);
                        let (under, _) = S::as_simd_f32s(&from[tap_x..][..2 * S::F32_LANES]);
                        sums[0] = simd.mul_add_e_f32s(under[0], weight, sums[0]);
                        sums[1] = simd.mul_add_e_f32s(under[1], weight, sums[1]);
                    }
                }
            }
            for (row, sum) in row.chunks_mut(S::F32_LANES).zip(sums) {
                simd.partial_store_f32s(row, sum);
            }
        }
    }
}

/// The features times their gates, of some positions.
struct Apply<'a> {
    map: Image<'a>,
    range: [usize; 2],
    of_channels: &'a [f32],
    /// Of the range alone.
    of_positions: &'a [f32],
    ys: Shared,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { map, range: [from, to], of_channels, of_positions, ys } = self;
        match map.layout {
            Layout::Planes => {
                for (channel, (plane, gate)) in map.planes([from, to]).zip(of_channels).enumerate() {
                    // SAFETY: these positions of this channel, which no other task writes.
                    let ys =
                        unsafe { std::slice::from_raw_parts_mut(ys.at(channel * map.positions + from), to - from) };
                    multiply(simd, plane, of_positions, *gate, ys);
                }
            }
            Layout::Pixels => {
                for ((position, pixel), gate) in (from..to).zip(map.pixels([from, to])).zip(of_positions) {
                    // SAFETY: the channels of this position, which no other task writes.
                    let ys = unsafe { std::slice::from_raw_parts_mut(ys.at(position * map.channels), map.channels) };
                    multiply(simd, pixel, of_channels, *gate, ys);
                }
            }
        }
    }
}

/// `xs · gates · gate`, number by number.
#[inline(always)]
fn multiply<S: Simd>(simd: S, xs: &[f32], gates: &[f32], gate: f32, ys: &mut [f32]) {
    let ((xs, last_xs), (gates, last_gates)) = (S::as_simd_f32s(xs), S::as_simd_f32s(gates));
    let (ys, last_ys) = S::as_mut_simd_f32s(ys);
    let all = simd.splat_f32s(gate);
    for ((x, gate), y) in xs.iter().zip(gates).zip(ys) {
        *y = simd.mul_f32s(simd.mul_f32s(*x, all), *gate);
    }
    for ((x, last), y) in last_xs.iter().zip(last_gates).zip(last_ys) {
        *y = x * gate * last;
    }
}
