//! The product of one panel in f32: a tile of positions and outputs in registers.

use pulp::Simd;

use crate::kernels::rows::Rows;
use crate::kernels::{Clamp, PANEL, clamp};

/// How many positions share a pointer: those behind the first are reached by scaled indices, which WebAssembly does not have.
const SHARED: usize = if cfg!(target_family = "wasm") { 1 } else { 3 };

/// Some columns of a panel, and the positions that they are computed for.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// The inputs of one piece.
    pub(super) inputs: usize,
    pub(super) weight: *const f32, // [pieces, inputs, PANEL], from the first column on
    pub(super) bias: *const f32,
    pub(super) clamp: Clamp,
    /// How many columns there are from the first on.
    pub(super) columns: usize,
    pub(super) rows: Rows,
}

impl Part {
    /// Computes as many of `vectors` vectors of columns as registers hold for enough positions, and returns how many.
    ///
    /// # Safety
    /// The fields must say what is there.
    #[inline(always)]
    pub(super) unsafe fn compute<S: Simd>(&self, simd: S, vectors: usize) -> usize {
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
