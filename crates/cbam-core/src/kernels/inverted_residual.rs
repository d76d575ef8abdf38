//! The inverted residual block (Sandler et al. 2018) in two passes.
//!
//! The first task after task: the widened features of [`PANEL`] channels, row by row into a ring of as many rows as the
//! kernel is high, filtered from there. So the widest features, six times the block's input, stay in the cache. The second
//! is a [`Pointwise`] over what the first has written; of a block that is one panel wide, each row as soon as it is there.

use pulp::{Simd, WithSimd};

use super::bf16::{self, Matrix, Unit};
use super::buffer::{Shared, Source, product, with_scratch};
use super::convolution::{Convolution, Padded, Place};
use super::depthwise::{Depthwise, Row};
use super::pointwise::Pointwise;
use super::rows::Rows;
use super::{Map, PANEL, Unwritten, dispatch, each, each_image};

/// Expand, filter each channel, project; each with its bias and clamp.
#[derive(Debug)]
pub struct InvertedResidual {
    /// None where the input is filtered as it is.
    pub expand: Option<Pointwise>,
    /// Filters each channel.
    pub depthwise: Depthwise,
    /// Narrows.
    pub project: Pointwise,
}

impl InvertedResidual {
    /// The channels of its input.
    pub fn inputs(&self) -> usize {
        self.expand.as_ref().map_or(self.depthwise.channels, Pointwise::inputs)
    }

    /// With the products of its 1×1 convolutions in [bfloat16](bf16).
    ///
    /// # Panics
    /// If the unit is not one of [`units`](bf16::units).
    pub fn in_bf16(self, unit: Unit) -> Self {
        let expand = self.expand.map(|expand| expand.in_bf16(unit));
        Self { expand, project: self.project.in_bf16(unit), ..self }
    }

    /// The block's input → its branch, with the input itself added if `residual` says so.
    ///
    /// # Panics
    /// If the map, or a layer, has other channels than the layer before it.
    pub fn forward(&self, xs: &Map, residual: bool) -> Map {
        self.run(xs, self.expand.as_ref().map_or(Widen::Not, Widen::Pointwise), residual.then_some(xs))
    }

    /// What [`expand`](Self::expand) gave, or something in its stead → the block's branch, with the block's input added if
    /// that is given.
    ///
    /// # Panics
    /// As [`forward`](Self::forward), or if the shapes do not add.
    pub fn filter(&self, expanded: &Map, residual: Option<&Map>) -> Map {
        self.run(expanded, Widen::Not, residual)
    }

    /// The input of `stem`, a convolution whose output this block filters as it is → the block's branch.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn behind(&self, stem: &Convolution, xs: &Map) -> Map {
        assert!(stem.is_dense(), "a stem whose outputs see all channels");
        self.run(xs, Widen::Convolution(stem), None)
    }

    /// From what is widened on the way, or is wide already.
    fn run(&self, xs: &Map, widen: Widen<'_>, residual: Option<&Map>) -> Map {
        let wide = self.depthwise.channels;
        let (inputs, outputs, size) = match widen {
            Widen::Not => (wide, wide, [xs.height(), xs.width()]),
            Widen::Pointwise(expand) => (expand.inputs(), expand.outputs(), [xs.height(), xs.width()]),
            Widen::Convolution(stem) => {
                (stem.channels(), stem.matrix().outputs(), stem.cells([xs.height(), xs.width()]))
            }
        };
        assert_eq!((xs.channels(), outputs), (inputs, wide), "channels");
        assert_eq!(self.project.inputs(), wide, "channels to project");
        let [(height, before_rows), (width, before_columns)] = size.map(|side| self.depthwise.axis.cells(side));
        let outputs = self.project.outputs();
        let mut ys = Unwritten::of([xs.images(), height, width, outputs]);
        let residual = residual.map(|residual| ys.source_like(residual));
        let (source, target, given) = (xs.source(), ys.target(), [xs.height(), xs.width()]);
        each_image(xs.images(), |image, parallel| {
            // SAFETY: one image of each map; no other image's task writes there.
            let (source, residual, target) = unsafe {
                let at = image * height * width * outputs;
                let residual = residual.map(|residual| Source(residual.at(at)));
                (Source(source.at(image * given[0] * given[1] * inputs)), residual, Shared(target.at(at)))
            };
            let pass = |xs: Wide<'_>| {
                let first = |to: To<'_>| {
                    let (before, filtered_size) = ([before_rows, before_columns], [height, width]);
                    let first = First { xs, depthwise: &self.depthwise, size, before, to, filtered_size };
                    // SAFETY: one image of the map, and room for what is made of it: all channels of every position, or the
                    // projection, which takes that many.
                    unsafe { first.run(parallel) }
                };
                if let Some(matrix) = self.project.brief() {
                    return with_scratch(matrix.room(height * width), |filtered| {
                        let filtered = Shared(filtered.as_mut_ptr().cast::<u16>());
                        first(To::Narrowed(filtered, matrix.depth()));
                        let filtered = Source(filtered.0.cast_const());
                        // SAFETY: `filtered` has all channels of every position and the room behind them, `ys` is that image's.
                        unsafe {
                            self.project.image_of_bf16(matrix, filtered, residual, target, height * width, parallel);
                        }
                    });
                }
                if wide <= PANEL {
                    return first(To::Projected { project: &self.project, residual, ys: target });
                }
                with_scratch(product(&[height, width, wide]), |filtered| {
                    first(To::Filtered(Shared(filtered.as_mut_ptr())));
                    let filtered = Source(filtered.as_ptr());
                    // SAFETY: `filtered` has all channels of every position, `ys` is that image's.
                    unsafe { self.project.image(filtered, residual, target, height * width, parallel) }
                });
            };
            match widen {
                Widen::Not => pass(Wide::There(source)),
                Widen::Pointwise(expand) => match expand.brief() {
                    None => pass(Wide::Expanded(source, expand)),
                    Some(matrix) => {
                        let positions = given[0] * given[1];
                        // SAFETY: one image of the map.
                        unsafe {
                            expand.narrowed(source, matrix, positions, parallel, |xs| pass(Wide::Brief(xs, matrix)));
                        }
                    }
                },
                // SAFETY: one image of the map.
                Widen::Convolution(stem) => unsafe {
                    stem.padded(source, given, |padded| pass(Wide::Convolved(padded, stem)));
                },
            }
        });
        // SAFETY: every row of every image was computed.
        unsafe { ys.written() }
    }
}

/// What makes the wide features.
#[derive(Clone, Copy)]
enum Widen<'a> {
    Not,
    Pointwise(&'a Pointwise),
    Convolution(&'a Convolution),
}

/// Where the wide features of an image come from.
#[derive(Clone, Copy)]
enum Wide<'a> {
    There(Source),
    Expanded(Source, &'a Pointwise),
    Brief(Source<u16>, &'a Matrix),
    Convolved(Padded, &'a Convolution),
}

/// What becomes of the filtered features of an image.
#[derive(Clone, Copy)]
enum To<'a> {
    /// They are kept.
    Filtered(Shared),
    /// They are kept in bfloat16, positions so many numbers apart.
    Narrowed(Shared<u16>, usize),
    /// They are one panel, and each row goes on as soon as it is there.
    Projected { project: &'a Pointwise, residual: Option<Source>, ys: Shared },
}

/// The first pass over one image: from the block's input to the filtered features.
struct First<'a> {
    xs: Wide<'a>,
    depthwise: &'a Depthwise,
    size: [usize; 2],
    before: [usize; 2],
    to: To<'a>,
    filtered_size: [usize; 2],
}

impl First<'_> {
    /// All rows of all panels.
    ///
    /// # Safety
    /// `xs` must be an image of `size`, of the channels that `depthwise` filters or of those that are widened to them; `to`
    /// must have room for `filtered_size` positions.
    unsafe fn run(&self, parallel: bool) {
        let panels = self.depthwise.channels.div_ceil(PANEL);
        let rows = self.filtered_size[0];
        // More tasks than threads, so that they end together; a range costs its first rows twice.
        let wanted = if parallel { (4 * rayon::current_num_threads()).div_ceil(panels) } else { 1 };
        let ranges = wanted.min(rows / 8).max(1);
        each(panels * ranges, parallel, |task| {
            let (panel, range) = (task % panels, task / panels);
            let rows = [rows * range / ranges, rows * (range + 1) / ranges];
            let columns = self.columns();
            let (kernel, ahead) = (self.depthwise.axis.kernel, self.ahead());
            // Rows under the kernel, and those that are widened together with the last of them.
            let slots = (kernel - 1 + ahead).next_multiple_of(ahead);
            // The ring, a row of zeros, and one of filtered features.
            let ring = product(&[slots + 1, columns, PANEL]);
            with_scratch(product(&[slots + 2, columns.max(self.filtered_size[1]), PANEL]), |scratch| {
                let (ring, filtered) = scratch.split_at_mut(ring);
                dispatch(Task { first: self, panel, rows, columns, ahead, slots, ring, filtered });
            });
        });
    }

    /// How many rows are widened at once.
    fn ahead(&self) -> usize {
        match self.xs {
            Wide::Brief(_, matrix) => matrix.lines(self.size[1]).min(self.size[0]),
            _ => 1,
        }
    }

    /// The positions of a row with its padding.
    fn columns(&self) -> usize {
        let axis = self.depthwise.axis;
        ((self.filtered_size[1] - 1) * axis.stride + axis.kernel).max(self.before[1] + self.size[1])
    }
}

/// The channels of one panel, some rows.
struct Task<'a> {
    first: &'a First<'a>,
    panel: usize,
    rows: [usize; 2],
    columns: usize,
    /// Rows that are widened at once.
    ahead: usize,
    /// Rows that the ring holds, besides one of zeros: a multiple of those.
    slots: usize,
    ring: &'a mut [f32],
    filtered: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { first, panel, rows: [from, to], columns, ahead, slots, ring, filtered } = self;
        let depthwise = first.depthwise;
        let (kernel, stride) = (depthwise.axis.kernel, depthwise.axis.stride);
        let [height, width] = first.size;
        let [before_rows, before] = first.before;
        let row_length = columns * PANEL;
        // Padding is written once: later rows only replace what lies between.
        for row in ring.chunks_exact_mut(row_length).take(slots) {
            row[..before * PANEL].fill(0.0);
            row[(before + width) * PANEL..].fill(0.0);
        }
        ring[slots * row_length..].fill(0.0);
        let ring = ring.as_mut_ptr();
        let start = (from * stride).saturating_sub(before_rows);
        let last = ((to - 1) * stride + kernel).saturating_sub(before_rows).min(height);
        let mut next = start; // the first row that is not in the ring
        for y in from..to {
            let top = y * stride; // in rows of the padded map
            let end = (top + kernel).saturating_sub(before_rows).min(height);
            // SAFETY: the ring has `slots` rows and one of zeros; rows from `next` on are some of the map's, and those that they replace,
            // `slots` before them, lie above the kernel. This task alone writes these rows of this panel.
            unsafe {
                while next < end {
                    let row = ring.add((next - start) % slots * row_length + before * PANEL);
                    let count = ahead.min(last - next);
                    first.widen(simd, panel, [next, count], row, row_length);
                    next += count;
                }
                let mut rows = [ring.cast_const(); 5];
                for (tap, row) in rows.iter_mut().enumerate().take(kernel) {
                    let inside = (top + tap).checked_sub(before_rows).filter(|row| *row < height);
                    *row = ring.add(inside.map_or(slots, |row| (row - start) % slots) * row_length);
                }
                let (channels, count) = (depthwise.channels, first.filtered_size[1]);
                let (ys, stride) = match first.to {
                    To::Filtered(ys) => (ys.at(y * count * channels + panel * PANEL), channels),
                    To::Narrowed(..) => (filtered.as_mut_ptr(), PANEL),
                    To::Projected { .. } => (filtered.as_mut_ptr(), channels),
                };
                depthwise.row(simd, panel, &Row { rows, ys, stride, count });
                if let To::Narrowed(ys, depth) = first.to {
                    let columns = PANEL.min(channels - panel * PANEL);
                    let ys = ys.at(y * count * depth + panel * PANEL);
                    bf16::narrow(Source(filtered.as_ptr()), [PANEL, columns, count], ys, depth);
                }
                if let To::Projected { project, residual, ys } = first.to {
                    for panel in 0..project.panels() {
                        let at = y * count * project.outputs() + panel * PANEL;
                        let rows = Rows::of(filtered.as_ptr(), channels, ys.at(at), project.outputs(), count);
                        let residual = residual.map(|residual| residual.at(at));
                        project.panel(simd, panel, Rows { residual, ..rows });
                    }
                }
            }
        }
    }
}

impl First<'_> {
    /// Some rows of the map, as many as [`ahead`](Self::ahead) at most, the channels of one panel, to `ys`: positions of PANEL channels, rows
    /// `apart` numbers from one another.
    ///
    /// # Safety
    /// The map must have those rows, and `ys` must have room for their positions.
    #[inline(always)]
    unsafe fn widen<S: Simd>(&self, simd: S, panel: usize, [row, count]: [usize; 2], ys: *mut f32, apart: usize) {
        let (width, channels) = (self.size[1], self.depthwise.channels);
        // SAFETY: the caller's promise.
        unsafe {
            match self.xs {
                Wide::There(xs) => {
                    let columns = PANEL.min(channels - panel * PANEL);
                    let xs = xs.at(row * width * channels + panel * PANEL);
                    for position in 0..width {
                        std::ptr::copy_nonoverlapping(xs.add(position * channels), ys.add(position * PANEL), columns);
                    }
                }
                Wide::Expanded(xs, expand) => {
                    let xs = xs.at(row * width * expand.inputs());
                    expand.panel(simd, panel, Rows::of(xs, expand.inputs(), ys, PANEL, width));
                }
                Wide::Brief(xs, matrix) => {
                    let xs = xs.at(row * width * matrix.depth());
                    let rows = Rows::of(xs, matrix.depth(), ys, PANEL, count * width);
                    matrix.panel_of_lines(panel, rows, [width, apart]);
                }
                Wide::Convolved(padded, stem) => {
                    let to = Place { residual: None, ys: Shared(ys), stride: PANEL, count: width };
                    stem.matrix().panel(simd, panel, stem.row(padded, row, to));
                }
            }
        }
    }
}
