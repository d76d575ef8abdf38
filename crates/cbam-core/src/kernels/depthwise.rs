//! Depthwise convolution: each channel has a kernel of its own.

use pulp::Simd;

use super::buffer::Aligned;
use super::{Clamp, PANEL, clamp};

/// What lies around a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// As many zeros as give ⌈size / stride⌉ cells, the odd one at the end, as TensorFlow has it.
    Same,
    /// So many zeros at each end, as PyTorch has it.
    Each(usize),
    /// None, and a last cell goes beyond the end where it must to cover the map, as PyTorch's `ceil_mode` and Caffe have it. Only a
    /// pooling may.
    Beyond,
}

/// One axis of a convolution: its kernel, stride and padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Axis {
    /// The side of its kernel.
    pub kernel: usize,
    /// How far one cell is from the next.
    pub stride: usize,
    /// What lies around the map.
    pub padding: Padding,
}

impl Axis {
    /// More than any kernel, stride, padding or map has.
    pub(super) const MOST: usize = 1 << 24;

    /// Whether an axis of `size` gives any cell: it is not empty, and with its padding as wide as the kernel.
    pub fn fits(self, size: usize) -> bool {
        let within = |number: usize| number <= Self::MOST;
        let zeros = if let Padding::Each(zeros) = self.padding { zeros } else { 0 };
        if ![self.kernel, self.stride, zeros, size].into_iter().all(within) {
            return false;
        }
        let padded = match self.padding {
            Padding::Same => self.kernel,
            Padding::Beyond => size + self.stride.saturating_sub(1),
            Padding::Each(zeros) => size + 2 * zeros,
        };
        self.stride > 0 && self.kernel > 0 && size > 0 && padded >= self.kernel
    }

    /// How many cells an axis of `size` gives, one at least, and how many zeros stand before it.
    ///
    /// # Panics
    /// If it does not [fit](Self::fits): whoever builds on the number of cells counts back from it.
    pub fn cells(self, size: usize) -> (usize, usize) {
        assert!(self.fits(size), "{size} cells for {self:?}");
        match self.padding {
            Padding::Same => {
                let cells = size.div_ceil(self.stride);
                let total = ((cells - 1) * self.stride + self.kernel).saturating_sub(size);
                (cells, total / 2)
            }
            Padding::Beyond => {
                let cells = (size + self.stride - 1 - self.kernel) / self.stride + 1;
                // None begins behind the end.
                (cells - usize::from((cells - 1) * self.stride >= size), 0)
            }
            Padding::Each(zeros) => ((size + 2 * zeros - self.kernel) / self.stride + 1, zeros),
        }
    }
}

/// A depthwise convolution with bias, then a clamp: 3×3 or 5×5, stride 1 or 2.
#[derive(Debug)]
pub struct Depthwise {
    pub(super) axis: Axis,
    pub(super) channels: usize,
    weight: Aligned, // [⌈channels / PANEL⌉, kernel², PANEL]
    bias: Aligned,   // [⌈channels / PANEL⌉, PANEL]
    clamp: Clamp,
}

impl Depthwise {
    /// Of kernels whose elements `weight` tells by channel and tap, row by row, and their biases.
    ///
    /// # Panics
    /// For another kernel or stride.
    pub fn of(bias: &[f32], weight: impl Fn(usize, usize) -> f32, axis: Axis, clamp: Clamp) -> Self {
        assert!(matches!((axis.kernel, axis.stride), (3 | 5, 1 | 2)), "no kernel for {axis:?}");
        let (channels, taps) = (bias.len(), axis.kernel * axis.kernel);
        let panels = channels.div_ceil(PANEL);
        let (mut packed, mut biases) = (Aligned::zeros(panels * taps * PANEL), Aligned::zeros(panels * PANEL));
        biases.as_mut_slice()[..channels].copy_from_slice(bias);
        let values = packed.as_mut_slice();
        for channel in 0..channels {
            let start = channel / PANEL * taps * PANEL + channel % PANEL;
            for tap in 0..taps {
                values[start + tap * PANEL] = weight(channel, tap);
            }
        }
        Self { axis, channels, weight: packed, bias: biases, clamp }
    }

    /// One row of the output, the channels of one panel.
    ///
    /// # Safety
    /// As the fields of [`Row`] say.
    #[inline(always)]
    pub(super) unsafe fn row<S: Simd>(&self, simd: S, panel: usize, row: &Row) {
        let columns = PANEL.min(self.channels - panel * PANEL);
        // SAFETY: the caller's promise.
        unsafe {
            let weight = self.weight.as_ptr().add(panel * self.axis.kernel * self.axis.kernel * PANEL);
            let bias = self.bias.as_ptr().add(panel * PANEL);
            let mut column = 0;
            while column < columns {
                let part = Part {
                    weight: weight.add(column),
                    bias: bias.add(column),
                    clamp: self.clamp,
                    column,
                    room: columns - column,
                    row,
                };
                match (self.axis.kernel, self.axis.stride) {
                    (3, 1) => part.tiles::<S, 3, 1>(simd),
                    (3, _) => part.tiles::<S, 3, 2>(simd),
                    (_, 1) => part.tiles::<S, 5, 1>(simd),
                    _ => part.tiles::<S, 5, 2>(simd),
                }
                column += S::F32_LANES;
            }
        }
    }
}

/// What one row of the output is made of.
#[derive(Debug)]
pub(super) struct Row {
    /// The rows of the input under the kernel, as many as it is high: positions of PANEL channels each, padding included.
    pub(super) rows: [*const f32; 5],
    /// Where the first position's channels of the panel go.
    pub(super) ys: *mut f32,
    /// How far one position's channels are from the next one's.
    pub(super) stride: usize,
    /// How many positions there are.
    pub(super) count: usize,
}

/// One vector of channels of a row.
struct Part<'a> {
    weight: *const f32,
    bias: *const f32,
    clamp: Clamp,
    /// The first channel, within the panel.
    column: usize,
    /// How many channels there are from it on.
    room: usize,
    row: &'a Row,
}

impl Part<'_> {
    /// All positions, in tiles of at most 4 that are about equal.
    ///
    /// # Safety
    /// The fields must say what is there.
    #[inline(always)]
    unsafe fn tiles<S: Simd, const KERNEL: usize, const STRIDE: usize>(&self, simd: S) {
        const MOST: usize = 4;
        let tiles = self.row.count.div_ceil(MOST);
        let mut first = 0;
        for tile in 1..=tiles {
            let next = self.row.count * tile / tiles;
            // SAFETY: the positions first..next are some of those there are.
            unsafe {
                match next - first {
                    1 => self.tile::<S, KERNEL, STRIDE, 1>(simd, first),
                    2 => self.tile::<S, KERNEL, STRIDE, 2>(simd, first),
                    3 => self.tile::<S, KERNEL, STRIDE, 3>(simd, first),
                    _ => self.tile::<S, KERNEL, STRIDE, MOST>(simd, first),
                }
            }
            first = next;
        }
    }

    /// `COUNT` ≤ 4 positions next to each other: what lies under several of their kernels is read once.
    ///
    /// # Safety
    /// As [`tiles`](Self::tiles), and there must be so many positions.
    #[inline(always)]
    unsafe fn tile<S: Simd, const KERNEL: usize, const STRIDE: usize, const COUNT: usize>(
        &self,
        simd: S,
        first: usize,
    ) {
        // SAFETY: reads PANEL channels of (COUNT − 1) · STRIDE + KERNEL positions of each row, which the caller has padded to
        // that; writes `room` channels at most of COUNT positions.
        unsafe {
            let load = |from: *const f32| from.cast::<S::f32s>().read_unaligned();
            let mut sums = [load(self.bias); COUNT];
            for y in 0..KERNEL {
                let row = self.row.rows[y].add(first * STRIDE * PANEL + self.column);
                let mut xs = [simd.splat_f32s(0.0); 11];
                for (position, x) in xs.iter_mut().enumerate().take((COUNT - 1) * STRIDE + KERNEL) {
                    *x = load(row.add(position * PANEL));
                }
                for x in 0..KERNEL {
                    let weight = load(self.weight.add((y * KERNEL + x) * PANEL));
                    for (position, sum) in sums.iter_mut().enumerate() {
                        *sum = simd.mul_add_e_f32s(xs[position * STRIDE + x], weight, *sum);
                    }
                }
            }
            let (low, high) = (simd.splat_f32s(self.clamp.low), simd.splat_f32s(self.clamp.high));
            for (position, sum) in sums.iter().enumerate() {
                let ys = clamp(simd, *sum, [low, high]);
                let to = self.row.ys.add((first + position) * self.row.stride + self.column);
                if self.room >= S::F32_LANES {
                    to.cast::<S::f32s>().write_unaligned(ys);
                } else {
                    simd.partial_store_f32s(std::slice::from_raw_parts_mut(to, self.room), ys);
                }
            }
        }
    }
}
