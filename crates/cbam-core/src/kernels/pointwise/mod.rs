//! 1×1 convolution: a matrix product over the channels of each position.

mod part;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::bf16::{self, Matrix, Unit};
use super::buffer::{Aligned, Shared, Source, product, with_scratch};
use super::rows::Rows;
use super::{Clamp, Map, PANEL, Unwritten, dispatch, each, each_image};
use part::Part;

/// The most positions of one task.
const BLOCK: usize = 128;

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
    /// The same in bfloat16, by which it is computed then.
    brief: Option<Matrix>,
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
        Self { inputs, outputs, panels, bias: biases, clamp, brief: None }
    }

    /// With its products in [bfloat16](bf16).
    ///
    /// # Panics
    /// If the unit is not one of [`units`](bf16::units).
    pub fn in_bf16(self, unit: Unit) -> Self {
        self.in_pieces_of_bf16(unit, 1)
    }

    /// The same, its inputs lying in so many pieces.
    pub(super) fn in_pieces_of_bf16(self, unit: Unit, pieces: usize) -> Self {
        let panels = self.panels.as_slice();
        let weight =
            |output: usize, input: usize| panels[(output / PANEL * self.inputs + input) * PANEL + output % PANEL];
        let shape = [self.inputs / pieces, pieces];
        let matrix = Matrix::of(unit, shape, &self.bias, self.outputs, weight, self.clamp);
        Self { brief: Some(matrix), ..self }
    }

    /// Its matrix in bfloat16, if it is computed so.
    pub(super) fn brief(&self) -> Option<&Matrix> {
        self.brief.as_ref()
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
        // SAFETY: the caller's promise; `blocks` hands out rows that there are.
        unsafe {
            match &self.brief {
                None => self.blocks((xs, self.inputs), residual, ys, positions, parallel, |panel, rows| {
                    dispatch(PanelTask::new(self, panel, rows));
                }),
                Some(matrix) => self.narrowed(xs, matrix, positions, parallel, |xs| {
                    self.image_of_bf16(matrix, xs, residual, ys, positions, parallel);
                }),
            }
        }
    }

    /// Calls `work` with positions in bfloat16, as this layer's `matrix` takes them.
    ///
    /// # Safety
    /// There must be so many positions.
    pub(super) unsafe fn narrowed(
        &self,
        xs: Source,
        matrix: &Matrix,
        positions: usize,
        parallel: bool,
        work: impl FnOnce(Source<u16>),
    ) {
        with_scratch(matrix.room(positions), |narrowed| {
            let (narrowed, depth) = (Shared(narrowed.as_mut_ptr().cast::<u16>()), matrix.depth());
            let blocks = if parallel { positions.div_ceil(BLOCK) } else { 1 };
            each(blocks, parallel, |block| {
                let (from, to) = (positions * block / blocks, positions * (block + 1) / blocks);
                // SAFETY: each task writes the positions of its block, for which there is room; a matrix in bfloat16 has a unit.
                unsafe {
                    let xs = Source(xs.at(from * self.inputs));
                    bf16::narrow(xs, [self.inputs, self.inputs, to - from], narrowed.at(from * depth), depth);
                }
            });
            work(Source(narrowed.0));
        });
    }

    /// The same of positions in bfloat16, as this layer's `matrix` takes them.
    ///
    /// # Safety
    /// As [`image`](Self::image); behind the positions of `xs` there must be [`SLACK`](bf16::SLACK) more.
    pub(super) unsafe fn image_of_bf16(
        &self,
        matrix: &Matrix,
        xs: Source<u16>,
        residual: Option<Source>,
        ys: Shared,
        positions: usize,
        parallel: bool,
    ) {
        // SAFETY: `blocks` hands out rows that there are, as the caller promised.
        let compute = |panel, rows| unsafe { matrix.panel(panel, rows) };
        // SAFETY: the caller's promise.
        unsafe { self.blocks((xs, matrix.depth()), residual, ys, positions, parallel, compute) }
    }

    /// Calls `compute` for blocks of positions, whose inputs are `apart` numbers apart, and every panel.
    ///
    /// # Safety
    /// There must be so many positions, and of `residual` and `ys` `positions` × outputs.
    unsafe fn blocks<T: Copy>(
        &self,
        (xs, apart): (Source<T>, usize),
        residual: Option<Source>,
        ys: Shared,
        positions: usize,
        parallel: bool,
        compute: impl Fn(usize, Rows<T>) + Sync + Send,
    ) {
        let panels = self.panels();
        let tasks = if parallel { 4 * rayon::current_num_threads() } else { 1 };
        let blocks = positions.div_ceil(BLOCK).max(tasks.div_ceil(panels).min(positions.div_ceil(16)));
        each(panels * blocks, parallel, |task| {
            let (panel, block) = (task % panels, task / panels);
            let (from, to) = (positions * block / blocks, positions * (block + 1) / blocks);
            // SAFETY: the caller's promise; each task writes the positions of its block in the outputs of its panel.
            let rows = unsafe {
                let at = from * self.outputs + panel * PANEL;
                let residual = residual.map(|residual| residual.at(at));
                Rows { residual, ..Rows::of(xs.at(from * apart), apart, ys.at(at), self.outputs, to - from) }
            };
            compute(panel, rows);
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
