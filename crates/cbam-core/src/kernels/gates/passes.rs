//! The passes, each a task for whatever SIMD there is.

use pulp::{Simd, WithSimd};

use super::SpatialGate;
use crate::kernels::buffer::Shared;
use crate::kernels::exp::sigmoid;

/// Logits to gates, in place.
pub(super) struct Sigmoid<'a> {
    pub(super) logits: &'a mut [f32],
    pub(super) gain: f32,
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
pub enum Layout {
    /// The positions of a channel, `[C, H, W]`.
    Planes,
    /// The channels of a position, `[H, W, C]`.
    Pixels,
}

/// One image's features.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) layout: Layout,
    pub(super) channels: usize,
    pub(super) positions: usize,
    pub(super) xs: &'a [f32],
}

impl<'a> Image<'a> {
    /// Some channels of planes.
    pub(super) fn some_channels(self, [from, to]: [usize; 2]) -> Self {
        Self { channels: to - from, xs: &self.xs[from * self.positions..to * self.positions], ..self }
    }

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
pub(super) struct PoolChannels<'a> {
    pub(super) map: Image<'a>,
    pub(super) range: [usize; 2],
    pub(super) sums: &'a mut [f32],
    pub(super) maxima: &'a mut [f32],
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
pub(super) struct PoolPositions<'a> {
    pub(super) map: Image<'a>,
    pub(super) range: [usize; 2],
    pub(super) gate: &'a [f32],
    pub(super) means: &'a mut [f32],
    pub(super) maxima: &'a mut [f32],
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
pub(super) struct Convolve<'a> {
    pub(super) gate: &'a SpatialGate,
    pub(super) pools: [&'a [f32]; 2],
    pub(super) stride: usize,
    pub(super) y: usize,
    pub(super) row: &'a mut [f32],
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
pub(super) struct Apply<'a> {
    pub(super) map: Image<'a>,
    pub(super) range: [usize; 2],
    pub(super) of_channels: &'a [f32],
    /// Of the range alone.
    pub(super) of_positions: &'a [f32],
    pub(super) ys: Shared,
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
