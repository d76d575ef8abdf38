//! 1×1 convolution: a matrix product over the channels of each position.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::buffer::{Aligned, Shared, Source, product};
use super::rows::Rows;
use super::{Clamp, Map, PANEL, Unwritten, clamp, dispatch, each, each_image};

/// The most positions of one task.
const BLOCK: usize = 128;

/// How many positions share a pointer: those behind the first are reached by scaled indices, which WebAssembly does not have.
const SHARED: usize = if cfg!(target_family = "wasm") { 1 } else { 3 };

/// The least numbers in a matrix that threads put in order together.
const LARGE: usize = 1 << 16;

/// A 1×1 convolution with bias, then a clamp.
///
/// Its matrix lies in panels of 32 outputs: a tile of 8 positions × 32 outputs stays in registers over all inputs.
#[derive(Debug)]
pub struct Pointwise {
    inputs: usize,
    outputs: usize,
    panels: Aligned, // [⌈outputs / PANEL⌉, inputs, PANEL]
    bias: Aligned,   // [⌈outputs / PANEL⌉, PANEL]
    clamp: Clamp,
}

impl Pointwise {
    /// Of a matrix `[outputs, inputs]` and its biases.
    pub fn new(weight: &[f32], bias: &[f32], clamp: Clamp) -> Self {
        let inputs = weight.len() / bias.len();
        Self::of(inputs, bias, |output, input| weight[output * inputs + input], clamp)
    }

    /// Of a matrix whose elements `weight` tells by output and input, and its biases.
    pub fn of(inputs: usize, bias: &[f32], weight: impl Fn(usize, usize) -> f32 + Sync, clamp: Clamp) -> Self {
        let outputs = bias.len();
        let count = outputs.div_ceil(PANEL);
        let (mut panels, mut biases) =
            (Aligned::zeros(product(&[count, inputs, PANEL])), Aligned::zeros(count * PANEL));
        biases.as_mut_slice()[..outputs].copy_from_slice(bias);
        let panel = |(panel, values): (usize, &mut [f32])| {
            // So many rows as stay in the first-level cache while their columns are filled, one after another.
            const ROWS: usize = 64;
            for (part, rows) in values.chunks_mut(ROWS * PANEL).enumerate() {
                for (column, output) in (panel * PANEL..outputs.min((panel + 1) * PANEL)).enumerate() {
                    for (row, values) in rows.chunks_exact_mut(PANEL).enumerate() {
                        values[column] = weight(output, part * ROWS + row);
                    }
                }
            }
        };
        let values = &mut panels.as_mut_slice()[..count * inputs * PANEL];
        if values.len() < LARGE {
            values.chunks_exact_mut(inputs * PANEL).enumerate().for_each(panel);
        } else {
            values.par_chunks_exact_mut(inputs * PANEL).enumerate().for_each(panel);
        }
        Self { inputs, outputs, panels, bias: biases, clamp }
    }

    /// The channels of its input.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The channels that it gives out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// How many panels of outputs there are.
    pub(super) fn panels(&self) -> usize {
        self.outputs.div_ceil(PANEL)
    }

    /// `[N, H, W, inputs]` → `[N, H, W, outputs]`.
    ///
    /// # Panics
    /// If the map has other channels.
    pub fn forward(&self, xs: &Map) -> Map {
        self.forward_onto(xs, None)
    }

    /// The same; adds `residual`, of the output's shape, before the clamp.
    ///
    /// # Panics
    /// If the map has other channels, or the residual another shape.
    pub fn forward_onto(&self, xs: &Map, residual: Option<&Map>) -> Map {
        assert_eq!(xs.channels(), self.inputs, "channels");
        let mut ys = Unwritten::of([xs.images(), xs.height(), xs.width(), self.outputs]);
        let residual = residual.map(|residual| ys.source_like(residual));
        let (source, target, positions) = (xs.source(), ys.target(), xs.height() * xs.width());
        each_image(xs.images(), |image, parallel| {
            // SAFETY: one image of each map, no other image's task writes there.
            unsafe {
                let source = Source(source.at(image * positions * self.inputs));
                let at = image * positions * self.outputs;
                let residual = residual.map(|residual| Source(residual.at(at)));
                self.image(source, residual, Shared(target.at(at)), positions, parallel);
            }
        });
        // SAFETY: every position of every image was computed.
        unsafe { ys.written() }
    }

    /// What each output gets of an input: `weights` of the outputs, `[outputs]`, times the matrix, `[inputs]`. It is how a gradient goes
    /// back through the layer.
    ///
    /// # Panics
    /// If there are not as many weights as outputs.
    pub fn backward(&self, weights: &[f32]) -> Vec<f32> {
        assert_eq!(weights.len(), self.outputs, "outputs");
        let mut back = vec![0f64; self.inputs];
        let (all, panel) = (self.panels.as_slice(), self.inputs * PANEL);
        let some: Vec<usize> = (0..self.outputs).filter(|output| weights[*output] != 0.0).collect();
        if some.len() < PANEL {
            for output in some {
                let column = output / PANEL * panel + output % PANEL;
                for (sum, value) in back.iter_mut().zip(all[column..].iter().step_by(PANEL)) {
                    *sum += f64::from(*value) * f64::from(weights[output]);
                }
            }
        } else {
            // Part of the inputs by part, so that what is added up, and in which order, does not depend on the threads.
            const ROWS: usize = 512;
            back.par_chunks_mut(ROWS).enumerate().for_each(|(part, back)| {
                for (values, weights) in all.chunks_exact(panel).zip(weights.chunks(PANEL)) {
                    let rows = values[part * ROWS * PANEL..].chunks_exact(PANEL);
                    for (sum, row) in back.iter_mut().zip(rows) {
                        let of = |(value, weight): (&f32, &f32)| f64::from(*value) * f64::from(*weight);
                        *sum += row.iter().zip(weights).map(of).sum::<f64>();
                    }
                }
            });
        }
        back.into_iter().map(|sum| sum as f32).collect()
    }

    /// All positions of one image; adds `residual`, which has the shape of what is written, before the clamp.
    ///
    /// # Safety
    /// `xs` must hold `positions` × inputs numbers, `residual` and `ys` `positions` × outputs.
    pub(super) unsafe fn image(
        &self,
        xs: Source,
        residual: Option<Source>,
        ys: Shared,
        positions: usize,
        parallel: bool,
    ) {
        let panels = self.panels();
        let tasks = if parallel { 4 * rayon::current_num_threads() } else { 1 };
        let blocks = positions.div_ceil(BLOCK).max(tasks.div_ceil(panels).min(positions.div_ceil(16)));
        each(panels * blocks, parallel, |task| {
            let (panel, block) = (task % panels, task / panels);
            let (from, to) = (positions * block / blocks, positions * (block + 1) / blocks);
            // SAFETY: the caller's promise; each task writes the positions of its block in the outputs of its panel.
            unsafe {
                let at = from * self.outputs + panel * PANEL;
                let (xs, ys) = (xs.at(from * self.inputs), ys.at(at));
                let rows = Rows {
                    residual: residual.map(|residual| residual.at(at)),
                    ..Rows::of(xs, self.inputs, ys, self.outputs, to - from)
                };
                dispatch(PanelTask::new(self, panel, rows));
            }
        });
    }

    /// The outputs of one panel for some positions.
    ///
    /// # Safety
    /// As the fields of [`Rows`] say.
    #[inline(always)]
    pub(super) unsafe fn panel<S: Simd>(&self, simd: S, panel: usize, rows: Rows) {
        let columns = PANEL.min(self.outputs - panel * PANEL);
        let mut column = 0;
        while column < columns {
            let vectors = (columns - column).div_ceil(S::F32_LANES);
            // SAFETY: the panel has PANEL columns, and `column` is one of them.
            let part = unsafe {
                Part {
                    inputs: self.inputs / (rows.pieces * rows.across),
                    weight: self.panels.as_ptr().add(panel * self.inputs * PANEL + column),
                    bias: self.bias.as_ptr().add(panel * PANEL + column),
                    clamp: self.clamp,
                    columns: columns - column,
                    rows: rows.shifted(column),
                }
            };
            // SAFETY: the caller's promise; as many vectors as fit the panel.
            let done = unsafe { part.compute(simd, vectors) };
            column += done * S::F32_LANES;
        }
    }
}

/// One panel, as a task for whatever SIMD there is.
pub(super) struct PanelTask<'a> {
    matrix: &'a Pointwise,
    panel: usize,
    rows: Rows,
}

impl<'a> PanelTask<'a> {
    /// The outputs of one panel for some positions.
    ///
    /// # Safety
    /// As the fields of [`Rows`] say.
    pub(super) unsafe fn new(matrix: &'a Pointwise, panel: usize, rows: Rows) -> Self {
        Self { matrix, panel, rows }
    }
}

impl WithSimd for PanelTask<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // SAFETY: whoever made it promised so.
        unsafe { self.matrix.panel(simd, self.panel, self.rows) }
    }
}

/// Some columns of a panel, and the positions that they are computed for.
#[derive(Clone, Copy)]
struct Part {
    /// The inputs of one piece.
    inputs: usize,
    weight: *const f32, // [pieces, inputs, PANEL], from the first column on
    bias: *const f32,
    clamp: Clamp,
    /// How many columns there are from the first on.
    columns: usize,
    rows: Rows,
}

impl Part {
    /// Computes as many of `vectors` vectors of columns as registers hold for enough positions, and returns how many.
    ///
    /// # Safety
    /// The fields must say what is there.
    #[inline(always)]
    unsafe fn compute<S: Simd>(&self, simd: S, vectors: usize) -> usize {
        // SAFETY: the callers' promises.
        unsafe {
            if S::F32_LANES >= 16 {
                // 32 registers: 8 positions × 2 vectors, and the operands.
                match vectors {
                    1 => self.tiles::<S, 8, 1>(simd),
                    _ => self.tiles::<S, 8, 2>(simd),
                }
            } else if cfg!(target_family = "wasm") {
                // 16 registers as browsers compile it; a product takes one of them before it is added.
                match vectors {
                    1 => self.tiles::<S, 8, 1>(simd),
                    _ => self.tiles::<S, 4, 2>(simd),
                }
            } else {
                // 16 registers.
                match vectors {
                    1 => self.tiles::<S, 8, 1>(simd),
                    2 => self.tiles::<S, 6, 2>(simd),
                    3 => self.tiles::<S, 4, 3>(simd),
                    _ => self.tiles::<S, 3, 4>(simd),
                }
            }
        }
    }

    /// All positions, in tiles of at most `MOST` ≤ 8 that are about equal.
    ///
    /// # Safety
    /// As [`compute`](Self::compute).
    #[inline(always)]
    unsafe fn tiles<S: Simd, const MOST: usize, const VECTORS: usize>(&self, simd: S) -> usize {
        let count = self.rows.count;
        let tiles = count.div_ceil(MOST);
        let mut first = 0;
        for tile in 1..=tiles {
            let next = count * tile / tiles;
            // SAFETY: the positions first..next are some of those there are.
            unsafe {
                let part = Self { rows: self.rows.block(first, next - first), ..*self };
                match next - first {
                    1 => part.tile::<S, 1, VECTORS>(simd),
                    2 => part.tile::<S, 2, VECTORS>(simd),
                    3 => part.tile::<S, 3, VECTORS>(simd),
                    4 if MOST >= 4 => part.tile::<S, 4, VECTORS>(simd),
                    5 if MOST >= 5 => part.tile::<S, 5, VECTORS>(simd),
                    6 if MOST >= 6 => part.tile::<S, 6, VECTORS>(simd),
                    7 if MOST >= 7 => part.tile::<S, 7, VECTORS>(simd),
                    _ => part.tile::<S, MOST, VECTORS>(simd),
                }
            }
            first = next;
        }
        VECTORS
    }

    /// `ROWS` positions × `VECTORS` vectors of columns, in registers.
    ///
    /// # Safety
    /// As [`compute`](Self::compute), and there must be so many positions.
    #[inline(always)]
    unsafe fn tile<S: Simd, const ROWS: usize, const VECTORS: usize>(&self, simd: S) {
        // SAFETY: reads `ROWS` positions of `inputs` numbers; of the panel, `VECTORS` vectors, which may reach behind
        // `columns` but not behind the panel, since PANEL is a multiple of every vector; writes `columns` at most.
        unsafe {
            let load = |from: *const f32| from.cast::<S::f32s>().read_unaligned();
            let (apart, mut weight) = (self.rows.apart, self.weight);
            let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
            for (vector, bias) in (0..VECTORS).map(|vector| (vector, load(self.bias.add(vector * S::F32_LANES)))) {
                for row in &mut sums {
                    row[vector] = bias;
                }
            }
            for piece in 0..self.rows.pieces {
                for column in 0..self.rows.across {
                    let from = self.rows.xs.add(piece * self.rows.below + column * self.rows.aside);
                    sums = add_piece(simd, sums, from, apart, self.inputs, weight);
                    weight = weight.wrapping_add(self.inputs * PANEL);
                }
            }
            let (low, high) = (simd.splat_f32s(self.clamp.low), simd.splat_f32s(self.clamp.high));
            for (row, sums) in sums.iter().enumerate() {
                for (vector, sum) in sums.iter().enumerate() {
                    let offset = row * self.rows.stride + vector * S::F32_LANES;
                    let room = self.columns.saturating_sub(vector * S::F32_LANES);
                    let sum = match self.rows.residual {
                        Some(residual) if room >= S::F32_LANES => simd.add_f32s(*sum, load(residual.add(offset))),
                        Some(residual) if room > 0 => {
                            let residual = std::slice::from_raw_parts(residual.add(offset), room);
                            simd.add_f32s(*sum, simd.partial_load_f32s(residual))
                        }
                        _ => *sum,
                    };
                    let sum = clamp(simd, sum, [low, high]);
                    let ys = self.rows.ys.add(offset);
                    if room >= S::F32_LANES {
                        ys.cast::<S::f32s>().write_unaligned(sum);
                    } else if room > 0 {
                        simd.partial_store_f32s(std::slice::from_raw_parts_mut(ys, room), sum);
                    }
                }
            }
        }
    }
}

/// Adds to the sums of `ROWS` positions what `inputs` inputs of each make, from `from` on and `apart` numbers apart.
///
/// By value, so that the sums stay in registers whatever happens around.
///
/// # Safety
/// So many inputs there must be, and of `weight` as many rows of PANEL.
#[inline(always)]
unsafe fn add_piece<S: Simd, const ROWS: usize, const VECTORS: usize>(
    simd: S,
    mut sums: [[S::f32s; VECTORS]; ROWS],
    from: *const f32,
    apart: usize,
    inputs: usize,
    mut weight: *const f32,
) -> [[S::f32s; VECTORS]; ROWS] {
    // SAFETY: the caller's promise.
    unsafe {
        let mut bases: [*const f32; 8] = std::array::from_fn(|base| from.add((base * SHARED).min(ROWS - 1) * apart));
        for _ in 0..inputs {
            let mut weights = [simd.splat_f32s(0.0); VECTORS];
            for (vector, weights) in weights.iter_mut().enumerate() {
                *weights = weight.add(vector * S::F32_LANES).cast::<S::f32s>().read_unaligned();
            }
            for (row, sums) in sums.iter_mut().enumerate() {
                let base = row / SHARED;
                let x = simd.splat_f32s(*bases[base].add((row - base * SHARED) * apart));
                for (sum, weights) in sums.iter_mut().zip(&weights) {
                    *sum = simd.mul_add_e_f32s(x, *weights, *sum);
                }
            }
            // Behind the last row, from a column on, is no place of the panel any more: it is not read.
            weight = weight.wrapping_add(PANEL);
            bases = bases.map(|base| base.add(1));
        }
        sums
    }
}
