//! Convolutions of any kernel, stride, dilation and padding, dense or in groups: a [`Pointwise`] over what lies under the kernel.
//!
//! With its channels together, a row of the map under the kernel lies in one piece, from the first channel on the left to the
//! last one on the right. So nothing is gathered: a position's inputs are as many pieces as the kernel is high. With a dilation,
//! or where outputs see some channels alone, they are as many as the kernel has cells.

use super::bf16::{self, Matrix, SLACK, Unit};
use super::buffer::{Shared, Source, product, with_scratch};
use super::depthwise::{Axis, Padding};
use super::pointwise::{PanelTask, Pointwise};
use super::rows::Rows;
use super::{Clamp, Map, PANEL, Unwritten, dispatch, each, each_image};

/// The positions of one task, about.
const BLOCK: usize = 64;

/// A convolution with bias, then a clamp.
#[derive(Debug)]
pub struct Convolution {
    channels: usize,
    axis: Axis,
    dilation: usize,
    /// How many channels the outputs of one panel see, of which the first is a multiple of that.
    span: usize,
    /// The outputs of as many channels.
    outputs_of_span: usize,
    matrix: Pointwise,
}

impl Convolution {
    /// Of a PyTorch weight `[outputs, channels, kernel, kernel]`, whose elements `weight` tells by output and index in it.
    pub fn of(
        channels: usize,
        bias: &[f32],
        weight: impl Fn(usize, usize) -> f32 + Sync,
        axis: Axis,
        clamp: Clamp,
    ) -> Self {
        Self::grouped([channels, 1], bias, weight, axis, clamp)
    }

    /// Of channels in groups, `[channels, groups]`: a PyTorch weight `[outputs, channels / groups, kernel, kernel]`.
    ///
    /// # Panics
    /// If the outputs of a group, or as many groups as fill a panel, are not whole panels; as with a group for each channel, which is
    /// [`Depthwise`](super::Depthwise). Also for a kernel wider than any map.
    pub fn grouped(
        [channels, groups]: [usize; 2],
        bias: &[f32],
        weight: impl Fn(usize, usize) -> f32 + Sync,
        axis: Axis,
        clamp: Clamp,
    ) -> Self {
        assert!((1..=Axis::MOST).contains(&axis.kernel), "a kernel of {}", axis.kernel);
        let (taps, outputs) = (product(&[axis.kernel, axis.kernel]), bias.len());
        let (of_group, group) = (channels / groups, outputs / groups);
        assert_eq!([of_group * groups, group * groups], [channels, outputs], "groups");
        // Groups that share a panel are one block of it, with zeros where a group does not see another's channels.
        let together = if groups == 1 { 1 } else { PANEL.div_ceil(group).min(groups) };
        let span = of_group * together;
        let outputs_of_span = group * together;
        assert!(
            groups == together || outputs_of_span.is_multiple_of(PANEL) && groups.is_multiple_of(together),
            "panels"
        );
        let by_input = |output: usize, input: usize| {
            let (tap, channel) = (input / span, output / outputs_of_span * span + input % span);
            let seen = channel.checked_sub(output / group * of_group).filter(|channel| *channel < of_group);
            seen.map_or(0.0, |channel| weight(output, channel * taps + tap))
        };
        let matrix = Pointwise::of(product(&[taps, span]), bias, by_input, clamp);
        Self { channels, axis, dilation: 1, span, outputs_of_span, matrix }
    }

    /// With its kernel's cells so far apart.
    ///
    /// # Panics
    /// If that is 0, or further apart than any map is wide.
    pub fn dilated(self, dilation: usize) -> Self {
        assert!((1..=Axis::MOST).contains(&dilation), "cells {dilation} apart");
        Self { dilation, ..self }
    }

    /// With its products in [bfloat16](bf16), if one panel sees all channels, of which there are at least 16, and the kernel has no more
    /// than 49 cells; else as it is.
    ///
    /// # Panics
    /// If the unit is not one of [`units`](bf16::units).
    pub fn in_bf16(self, unit: Unit) -> Self {
        /// A position's channels are filled up to 32: of fewer, f32 is as fast.
        const LEAST: usize = 16;
        let taps = self.axis.kernel * self.axis.kernel;
        if self.span != self.channels || self.channels < LEAST || taps > Matrix::MOST {
            return self;
        }
        Self { matrix: self.matrix.in_pieces_of_bf16(unit, taps), ..self }
    }

    /// The channels of its input.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Whether every output sees every channel, of cells next to one another.
    pub(super) fn is_dense(&self) -> bool {
        self.span == self.channels && self.dilation == 1
    }

    /// The channels that it gives out.
    pub fn outputs(&self) -> usize {
        self.matrix.outputs()
    }

    /// `[N, H, W, channels]` → `[N, H', W', outputs]`; adds `residual`, of that shape, before the clamp.
    ///
    /// # Panics
    /// If the map has other channels, the residual another shape, or the kernel does not [fit](Axis::fits).
    pub fn forward(&self, xs: &Map, residual: Option<&Map>) -> Map {
        assert_eq!(xs.channels(), self.channels, "channels");
        let Axis { kernel, stride, padding } = self.axis;
        let dense = self.span == self.channels;
        if dense && (kernel, stride) == (1, 1) && matches!(padding, Padding::Same | Padding::Each(0)) {
            return self.matrix.forward_onto(xs, residual);
        }
        let size = [xs.height(), xs.width()];
        let [height, width] = self.cells(size);
        let outputs = self.matrix.outputs();
        let mut ys = Unwritten::of([xs.images(), height, width, outputs]);
        let residual = residual.map(|residual| ys.source_like(residual));
        let (source, target) = (xs.source(), ys.target());
        each_image(xs.images(), |image, parallel| {
            let rows = |row: &(dyn Fn(usize, usize, Place) + Sync)| {
                let tasks = if parallel { 4 * rayon::current_num_threads() } else { 1 };
                let panels = self.matrix.panels();
                let blocks = (height * width).div_ceil(BLOCK).min(tasks.div_ceil(panels)).clamp(1, height);
                each(panels * blocks, parallel, |task| {
                    let (panel, block) = (task % panels, task / panels);
                    for y in height * block / blocks..height * (block + 1) / blocks {
                        let at = (image * height + y) * width * outputs + panel * PANEL;
                        // SAFETY: these rows of the outputs exist; this task alone writes this row of this panel.
                        let (residual, ys) =
                            unsafe { (residual.map(|from| Source(from.at(at))), Shared(target.at(at))) };
                        row(panel, y, Place { residual, ys, stride: outputs, count: width });
                    }
                });
            };
            // SAFETY: one image of the map, whose padded rows are those that the outputs' rows see.
            unsafe {
                let image = Source(source.at(image * size[0] * size[1] * self.channels));
                match self.matrix.brief() {
                    None => self.padded(image, size, |padded| {
                        rows(&|panel, y, place| {
                            dispatch(PanelTask::new(&self.matrix, panel, self.row_of(panel, padded, y, place)));
                        });
                    }),
                    Some(matrix) => self.padded_in_bf16(image, size, matrix, |padded| {
                        rows(&|panel, y, place| matrix.panel(panel, self.row_of_bf16(padded, matrix, y, place)));
                    }),
                }
            }
        });
        // SAFETY: every row of every image was computed.
        unsafe { ys.written() }
    }

    /// The axis of a kernel without dilation that covers as much.
    fn reach(&self) -> Axis {
        Axis { kernel: (self.axis.kernel - 1) * self.dilation + 1, ..self.axis }
    }

    /// Rows and columns of the output for an input of that size.
    pub(super) fn cells(&self, [height, width]: [usize; 2]) -> [usize; 2] {
        let axis = self.reach();
        [axis.cells(height).0, axis.cells(width).0]
    }

    /// As a matrix over what lies under the kernel.
    pub(super) fn matrix(&self) -> &Pointwise {
        &self.matrix
    }

    /// The rows and columns of an image of that size with its padding, and how many of them lie before it.
    fn with_padding(&self, size: [usize; 2]) -> ([usize; 2], [usize; 2]) {
        let Axis { kernel, stride, .. } = self.reach();
        let [(height, above), (width, left)] = size.map(|side| self.reach().cells(side));
        // What a stride leaves over at the end stays.
        let rows = ((height - 1) * stride + kernel).max(above + size[0]);
        let columns = ((width - 1) * stride + kernel).max(left + size[1]);
        ([rows, columns], [above, left])
    }

    /// Calls `work` with an image of that size and its padding around it.
    ///
    /// # Safety
    /// The image must have so many rows and columns.
    pub(super) unsafe fn padded(&self, xs: Source, size: [usize; 2], work: impl FnOnce(Padded)) {
        let ([rows, columns], [above, left]) = self.with_padding(size);
        let (row, padded_row) = (size[1] * self.channels, columns * self.channels);
        if [rows, columns] == size {
            return work(Padded { image: xs, row });
        }
        with_scratch(product(&[rows, columns, self.channels]), |padded| {
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
            work(Padded { image: Source(padded.as_ptr()), row: padded_row });
        });
    }

    /// The same in bfloat16, as `matrix` takes its channels, with room behind it.
    ///
    /// # Safety
    /// The image must have so many rows and columns.
    unsafe fn padded_in_bf16(&self, xs: Source, size: [usize; 2], matrix: &Matrix, work: impl FnOnce(Padded<u16>)) {
        let ([rows, columns], [above, left]) = self.with_padding(size);
        let (depth, row) = (matrix.depth(), columns * matrix.depth());
        // What is read behind the last position, too.
        let positions = product(&[rows, columns]) + (SLACK + 1) * self.axis.stride + self.reach().kernel;
        with_scratch(product(&[positions, depth]).div_ceil(2), |padded| {
            let padded: &mut [u16] = bytemuck::cast_slice_mut(padded);
            for (y, to) in padded[..rows * row].chunks_exact_mut(row).enumerate() {
                match y.checked_sub(above).filter(|y| *y < size[0]) {
                    None => to.fill(0),
                    Some(y) => {
                        let end = (left + size[1]) * depth;
                        to[..left * depth].fill(0);
                        to[end..].fill(0);
                        // SAFETY: one row of the image, and room for as many positions; a matrix in bfloat16 has a unit.
                        unsafe {
                            let from = Source(xs.at(y * size[1] * self.channels));
                            let shape = [self.channels, self.channels, size[1]];
                            bf16::narrow(from, shape, to.as_mut_ptr().add(left * depth), depth);
                        }
                    }
                }
            }
            work(Padded { image: Source(padded.as_ptr()), row });
        });
    }

    /// What row `y` of the output is made of in a dense convolution, and where it goes.
    ///
    /// # Safety
    /// The output must have that row.
    pub(super) unsafe fn row(&self, padded: Padded, y: usize, to: Place) -> Rows {
        // SAFETY: the caller's promise.
        unsafe { self.row_of(0, padded, y, to) }
    }

    /// The same for the outputs of one panel of any.
    ///
    /// # Safety
    /// As [`row`](Self::row), and there must be that panel.
    unsafe fn row_of(&self, panel: usize, padded: Padded, y: usize, to: Place) -> Rows {
        let Axis { kernel, stride: step, .. } = self.axis;
        let first = panel * PANEL / self.outputs_of_span * self.span;
        Rows {
            // SAFETY: so many rows has the padded image, and so many channels each position of it.
            xs: unsafe { padded.image.at(y * step * padded.row + first) },
            apart: step * self.channels,
            pieces: kernel,
            below: self.dilation * padded.row,
            across: if self.is_dense() { 1 } else { kernel },
            aside: self.dilation * self.channels,
            ..to.rows()
        }
    }

    /// What row `y` of the output is made of in bfloat16: a piece for each cell of the kernel.
    ///
    /// # Safety
    /// The output must have that row.
    unsafe fn row_of_bf16(&self, padded: Padded<u16>, matrix: &Matrix, y: usize, to: Place) -> Rows<u16> {
        let Axis { kernel, stride: step, .. } = self.axis;
        Rows {
            // SAFETY: so many rows has the padded image.
            xs: unsafe { padded.image.at(y * step * padded.row) },
            apart: step * matrix.depth(),
            pieces: kernel,
            below: self.dilation * padded.row,
            across: kernel,
            aside: self.dilation * matrix.depth(),
            ..to.rows()
        }
    }
}

/// Where a row of the output goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// What is added to it; positions are `stride` numbers apart.
    pub(super) residual: Option<Source>,
    /// Where it goes; positions are `stride` numbers apart.
    pub(super) ys: Shared,
    /// How far positions are from one another.
    pub(super) stride: usize,
    /// How many positions it has.
    pub(super) count: usize,
}

impl Place {
    /// With nothing that goes there yet.
    fn rows<T>(self) -> Rows<T> {
        let residual = self.residual.map(|residual| residual.0);
        Rows { residual, ..Rows::of(std::ptr::null(), 0, self.ys.0, self.stride, self.count) }
    }
}

/// An image with its padding around it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Padded<T = f32> {
    image: Source<T>,
    /// The numbers of a row.
    row: usize,
}

/// The maximum of each window, as PyTorch's `max_pool2d`: zeros never stand for what lies outside.
///
/// # Panics
/// If the axis does not [fit](Axis::fits) the map.
pub fn max_pool(xs: &Map, axis: Axis) -> Map {
    let size = [xs.height(), xs.width()];
    let [(height, above), (width, left)] = size.map(|side| axis.cells(side));
    let channels = xs.channels();
    let mut ys = Unwritten::of([xs.images(), height, width, channels]);
    let (source, target) = (xs.source(), ys.target());
    let under = move |cell: usize, before: usize, size: usize| {
        let first = cell * axis.stride;
        first.saturating_sub(before)..(first + axis.kernel).saturating_sub(before).min(size)
    };
    each(xs.images() * height, rayon::current_num_threads() > 1, |task| {
        let (image, y) = (task / height, task % height);
        for x in 0..width {
            let mut first = true;
            for row in under(y, above, size[0]) {
                for column in under(x, left, size[1]) {
                    // SAFETY: a position of this image, and one of the output, which belongs to this task; it is read only
                    // once the first position under the kernel has been copied to it.
                    unsafe {
                        let from = source.at(((image * size[0] + row) * size[1] + column) * channels);
                        let to = target.at((task * width + x) * channels);
                        if std::mem::take(&mut first) {
                            std::ptr::copy_nonoverlapping(from, to, channels);
                            continue;
                        }
                        let from = std::slice::from_raw_parts(from, channels);
                        for (to, from) in std::slice::from_raw_parts_mut(to, channels).iter_mut().zip(from) {
                            *to = if *from > *to || from.is_nan() { *from } else { *to };
                        }
                    }
                }
            }
            // Where nothing lies under the kernel but what is outside.
            for channel in 0..if first { channels } else { 0 } {
                // SAFETY: as above.
                unsafe { target.at((task * width + x) * channels + channel).write(f32::NEG_INFINITY) };
            }
        }
    });
    // SAFETY: every position was computed.
    unsafe { ys.written() }
}
