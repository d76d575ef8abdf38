//! Convolutions of any kernel, stride and padding: a [`Pointwise`] over what lies under the kernel.
//!
//! With its channels together, a row of the map under the kernel lies in one piece, from the first channel on the left to the
//! last one on the right. So nothing is gathered: a position's inputs are as many pieces as the kernel is high.

use super::buffer::{Source, with_scratch};
use super::depthwise::{Axis, Padding};
use super::pointwise::{PanelTask, Pointwise, Rows};
use super::{Clamp, Map, arch, each, each_image};

/// The positions of one task, about.
const BLOCK: usize = 64;

/// A convolution with bias, then a clamp.
#[derive(Debug)]
pub(crate) struct Convolution {
    channels: usize,
    axis: Axis,
    matrix: Pointwise,
}

impl Convolution {
    /// Of a PyTorch weight `[outputs, channels, kernel, kernel]`, whose elements `weight` tells by output and index in it.
    pub(crate) fn of(
        channels: usize,
        bias: &[f32],
        weight: impl Fn(usize, usize) -> f32 + Sync,
        axis: Axis,
        clamp: Clamp,
    ) -> Self {
        let taps = axis.kernel * axis.kernel;
        let by_input = |output, input| weight(output, input % channels * taps + input / channels);
        Self { channels, axis, matrix: Pointwise::of(taps * channels, bias, by_input, clamp) }
    }

    /// The channels of its input.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// `[N, H, W, channels]` → `[N, H', W', outputs]`; adds `residual`, of that shape, before the clamp.
    pub(crate) fn forward(&self, xs: &Map, residual: Option<&Map>) -> Map {
        assert_eq!(xs.channels, self.channels, "channels");
        let Axis { kernel, stride, padding } = self.axis;
        if (kernel, stride) == (1, 1) && matches!(padding, Padding::Same | Padding::Each(0)) {
            return self.matrix.forward_onto(xs, residual);
        }
        let ((height, above), (width, left)) = (self.axis.cells(xs.height), self.axis.cells(xs.width));
        let outputs = self.matrix.outputs();
        let mut ys = Map::empty(xs.images, height, width, outputs);
        let residual = residual.map(|residual| residual.source_like(&ys));
        let (source, target) = (xs.source(), ys.target());
        // With its padding; what a stride leaves over at the end stays.
        let rows = ((height - 1) * stride + kernel).max(above + xs.height);
        let columns = ((width - 1) * stride + kernel).max(left + xs.width);
        let (row, padded_row) = (xs.width * self.channels, columns * self.channels);
        let size = [xs.height, xs.width];
        each_image(xs.images, |image, parallel| {
            let run = |padded: Source| {
                let tasks = if parallel { 4 * rayon::current_num_threads() } else { 1 };
                let panels = self.matrix.panels();
                let blocks = (height * width).div_ceil(BLOCK).min(tasks.div_ceil(panels)).clamp(1, height);
                each(panels * blocks, parallel, |task| {
                    let (panel, block) = (task % panels, task / panels);
                    for y in height * block / blocks..height * (block + 1) / blocks {
                        let at = (image * height + y) * width * outputs + panel * super::PANEL;
                        // SAFETY: these rows of the padded image and of the outputs exist; this task alone writes this row of this
                        // panel.
                        let rows = unsafe {
                            Rows {
                                xs: padded.at(y * stride * padded_row),
                                apart: stride * self.channels,
                                pieces: kernel,
                                below: padded_row,
                                residual: residual.map(|residual| residual.at(at)),
                                ys: target.at(at),
                                stride: outputs,
                                count: width,
                            }
                        };
                        arch().dispatch(PanelTask { matrix: &self.matrix, panel, rows });
                    }
                });
            };
            // SAFETY: one image of the map.
            let xs = unsafe { Source(source.at(image * size[0] * row)) };
            if [rows, columns] == size {
                return run(xs);
            }
            with_scratch(rows * padded_row, |padded| {
                for (y, to) in padded.chunks_exact_mut(padded_row).enumerate() {
                    match y.checked_sub(above).filter(|y| *y < size[0]) {
                        None => to.fill(0.0),
                        Some(y) => {
                            // SAFETY: one row of the image.
                            let from = unsafe { std::slice::from_raw_parts(xs.at(y * row), row) };
                            let (before, rest) = to.split_at_mut(left * self.channels);
                            before.fill(0.0);
                            rest[..row].copy_from_slice(from);
                            rest[row..].fill(0.0);
                        }
                    }
                }
                run(Source(padded.as_ptr()));
            });
        });
        ys
    }
}

/// The maximum of each window, as PyTorch's `max_pool2d`: zeros never stand for what lies outside.
pub(crate) fn max_pool(xs: &Map, axis: Axis) -> Map {
    let ((height, above), (width, left)) = (axis.cells(xs.height), axis.cells(xs.width));
    let channels = xs.channels;
    let mut ys = Map::empty(xs.images, height, width, channels);
    let (source, target) = (xs.source(), ys.target());
    let size = [xs.height, xs.width];
    let under = move |cell: usize, before: usize, size: usize| {
        let first = cell * axis.stride;
        first.saturating_sub(before)..(first + axis.kernel).saturating_sub(before).min(size)
    };
    each(xs.images * height, rayon::current_num_threads() > 1, |task| {
        let (image, y) = (task / height, task % height);
        for x in 0..width {
            // SAFETY: this position belongs to this task.
            let to = unsafe { std::slice::from_raw_parts_mut(target.at((task * width + x) * channels), channels) };
            to.fill(f32::NEG_INFINITY);
            for row in under(y, above, size[0]) {
                for column in under(x, left, size[1]) {
                    // SAFETY: a position of this image.
                    let from = unsafe {
                        let at = ((image * size[0] + row) * size[1] + column) * channels;
                        std::slice::from_raw_parts(source.at(at), channels)
                    };
                    for (to, from) in to.iter_mut().zip(from) {
                        *to = if *from > *to || from.is_nan() { *from } else { *to };
                    }
                }
            }
        }
    });
    ys
}
