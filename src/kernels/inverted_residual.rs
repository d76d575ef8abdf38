//! The inverted residual block (Sandler et al. 2018) in two passes.
//!
//! The first task after task: the widened features of [`PANEL`] channels, row by row into a ring of as many rows as the
//! kernel is high, filtered from there. So the widest features, six times the block's input, stay in the cache. The second
//! is a [`Pointwise`] over what the first has written.

use pulp::{Simd, WithSimd};

use super::buffer::{Shared, Source, with_scratch};
use super::depthwise::{Depthwise, Row};
use super::pointwise::{Pointwise, Rows};
use super::{Map, PANEL, arch, each, each_image};

/// Expand, filter each channel, project; each with its bias and clamp.
#[derive(Debug)]
pub(crate) struct InvertedResidual {
    /// None where the input is filtered as it is.
    pub(crate) expand: Option<Pointwise>,
    pub(crate) depthwise: Depthwise,
    pub(crate) project: Pointwise,
}

impl InvertedResidual {
    /// The channels of its input.
    pub(crate) fn inputs(&self) -> usize {
        self.expand.as_ref().map_or(self.depthwise.channels, Pointwise::inputs)
    }

    /// The block's input → its branch, with the input itself added if `residual` says so.
    pub(crate) fn forward(&self, xs: &Map, residual: bool) -> Map {
        self.run(xs, self.expand.as_ref(), residual.then_some(xs))
    }

    /// What [`expand`](Self::expand) gave, or something in its stead → the block's branch, with the block's input added if
    /// that is given.
    pub(crate) fn filter(&self, expanded: &Map, residual: Option<&Map>) -> Map {
        self.run(expanded, None, residual)
    }

    /// From the features before `expand`, or without it from the widened ones.
    fn run(&self, xs: &Map, expand: Option<&Pointwise>, residual: Option<&Map>) -> Map {
        let channels = expand.map_or(self.depthwise.channels, Pointwise::inputs);
        assert_eq!(xs.channels, channels, "channels");
        let (height, before_rows) = self.depthwise.axis.cells(xs.height);
        let (width, before_columns) = self.depthwise.axis.cells(xs.width);
        let outputs = self.project.outputs();
        let mut ys = Map::empty(xs.images, height, width, outputs);
        let residual = residual.map(|residual| residual.source_like(&ys));
        let (size, source, target) = ([xs.height, xs.width], xs.source(), ys.target());
        each_image(xs.images, |image, parallel| {
            // SAFETY: one image of each map; no other image's task writes there.
            let (source, residual, target) = unsafe {
                let from = source.at(image * size[0] * size[1] * channels);
                let at = image * height * width * outputs;
                (Source(from), residual.map(|residual| Source(residual.at(at))), Shared(target.at(at)))
            };
            with_scratch(height * width * self.depthwise.channels, |filtered| {
                let first = First {
                    expand,
                    depthwise: &self.depthwise,
                    xs: source,
                    size,
                    before: [before_rows, before_columns],
                    filtered: Shared(filtered.as_mut_ptr()),
                    filtered_size: [height, width],
                };
                first.run(parallel);
                let filtered = Source(filtered.as_ptr());
                // SAFETY: `filtered` has all channels of every position, `ys` is that image's.
                unsafe { self.project.image(filtered, residual, target, height * width, parallel) }
            });
        });
        ys
    }
}

/// The first pass over one image: from the block's input to the filtered features.
struct First<'a> {
    /// None if the map is wide already.
    expand: Option<&'a Pointwise>,
    depthwise: &'a Depthwise,
    xs: Source,
    size: [usize; 2],
    before: [usize; 2],
    filtered: Shared,
    filtered_size: [usize; 2],
}

impl First<'_> {
    fn run(&self, parallel: bool) {
        let panels = self.depthwise.channels.div_ceil(PANEL);
        let rows = self.filtered_size[0];
        // More tasks than threads, so that they end together; a range costs its first rows twice.
        let wanted = if parallel { (4 * rayon::current_num_threads()).div_ceil(panels) } else { 1 };
        let ranges = wanted.min(rows / 8).max(1);
        each(panels * ranges, parallel, |task| {
            let (panel, range) = (task % panels, task / panels);
            let rows = [rows * range / ranges, rows * (range + 1) / ranges];
            let columns = self.columns();
            let kernel = self.depthwise.axis.kernel;
            // The ring, and a row of zeros.
            with_scratch((kernel + 1) * columns * PANEL, |ring| {
                arch().dispatch(Task { first: self, panel, rows, columns, ring });
            });
        });
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
    ring: &'a mut [f32],
}

impl WithSimd for Task<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { first, panel, rows: [from, to], columns, ring } = self;
        let depthwise = first.depthwise;
        let (kernel, stride) = (depthwise.axis.kernel, depthwise.axis.stride);
        let [height, width] = first.size;
        let [before_rows, before] = first.before;
        let row_length = columns * PANEL;
        // Padding is written once: later rows only replace what lies between.
        for row in ring.chunks_exact_mut(row_length).take(kernel) {
            row[..before * PANEL].fill(0.0);
            row[(before + width) * PANEL..].fill(0.0);
        }
        ring[kernel * row_length..].fill(0.0);
        let ring = ring.as_mut_ptr();
        let mut next = (from * stride).saturating_sub(before_rows); // the first row that is not in the ring
        for y in from..to {
            let top = y * stride; // in rows of the padded map
            let end = (top + kernel).saturating_sub(before_rows).min(height);
            // SAFETY: the ring has `kernel` rows and one of zeros; row `next` is one of the map's, and the rows that it
            // replaces, `kernel` before it, lie above the kernel. This task alone writes these rows of this panel.
            unsafe {
                while next < end {
                    let row = ring.add((next % kernel) * row_length + before * PANEL);
                    first.widen(simd, panel, next, row);
                    next += 1;
                }
                let mut rows = [ring.cast_const(); 5];
                for (tap, row) in rows.iter_mut().enumerate().take(kernel) {
                    let inside = (top + tap).checked_sub(before_rows).filter(|row| *row < height);
                    *row = ring.add(inside.map_or(kernel, |row| row % kernel) * row_length);
                }
                let channels = depthwise.channels;
                let position = y * first.filtered_size[1];
                let ys = first.filtered.at(position * channels + panel * PANEL);
                let row = Row { rows, ys, stride: channels, count: first.filtered_size[1] };
                depthwise.row(simd, panel, &row);
            }
        }
    }
}

impl First<'_> {
    /// One row of the map, the channels of one panel, to `ys`: positions of PANEL channels.
    ///
    /// # Safety
    /// The map must have that row, and `ys` must have room for its positions.
    #[inline(always)]
    unsafe fn widen<S: Simd>(&self, simd: S, panel: usize, row: usize, ys: *mut f32) {
        let width = self.size[1];
        // SAFETY: the caller's promise.
        unsafe {
            if let Some(expand) = self.expand {
                let xs = self.xs.at(row * width * expand.inputs());
                expand.panel(simd, panel, Rows::of(xs, expand.inputs(), ys, PANEL, width));
                return;
            }
            let channels = self.depthwise.channels;
            let columns = PANEL.min(channels - panel * PANEL);
            let xs = self.xs.at(row * width * channels + panel * PANEL);
            for position in 0..width {
                std::ptr::copy_nonoverlapping(xs.add(position * channels), ys.add(position * PANEL), columns);
            }
        }
    }
}
