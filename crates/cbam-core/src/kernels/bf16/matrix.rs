//! A matrix in bfloat16, and what it is multiplied with.

use super::Unit;
#[cfg(target_arch = "x86_64")]
use super::{amx, avx512};
use crate::kernels::buffer::{Aligned, Source, product};
use crate::kernels::rows::Rows;
use crate::kernels::{Clamp, PANEL};

/// A position's inputs are filled up to a multiple of this.
const FULL: usize = 32;

/// How many positions behind the last one may be read, whatever they hold.
pub(in crate::kernels) const SLACK: usize = 31;

/// The matrix of a layer: for each panel, pairs of inputs of [`PANEL`] outputs each, as units read them.
#[derive(Debug)]
pub(in crate::kernels) struct Matrix {
    unit: Unit,
    /// The inputs of one piece.
    inputs: usize,
    pieces: usize,
    outputs: usize,
    panels: Aligned, // of u16: [⌈outputs / PANEL⌉, pieces, depth / 2, PANEL, 2]
    bias: Aligned,   // [⌈outputs / PANEL⌉, PANEL]
    clamp: Clamp,
}

/// One panel, and the positions that it is computed for.
pub(super) struct Part {
    /// Of each piece, `[depth / 2, PANEL, 2]`.
    pub(super) weight: *const u16,
    pub(super) bias: *const f32, // [PANEL]
    pub(super) clamp: Clamp,
    /// How many outputs the panel has.
    pub(super) columns: usize,
    /// The inputs of a piece, filled up.
    pub(super) depth: usize,
    pub(super) rows: Rows<u16>,
}

impl Matrix {
    /// The most pieces.
    pub(in crate::kernels) const MOST: usize = 49;

    /// Of a matrix in f32, whose inputs are in `pieces` equal pieces: `weight` tells its elements by output and input.
    ///
    /// # Panics
    /// If the unit is not one of [`units`](super::units).
    pub(in crate::kernels) fn of(
        unit: Unit,
        [inputs, pieces]: [usize; 2],
        bias: &Aligned,
        outputs: usize,
        weight: impl Fn(usize, usize) -> f32,
        clamp: Clamp,
    ) -> Self {
        assert!(super::units().contains(&unit), "{unit:?} is not there");
        assert!((1..=Self::MOST).contains(&pieces), "{pieces} pieces");
        let (panels, depth) = (outputs.div_ceil(PANEL), filled(inputs));
        let mut packed = Aligned::zeros(product(&[panels, pieces, depth, PANEL]).div_ceil(2));
        let values: &mut [u16] = bytemuck::cast_slice_mut(packed.as_mut_slice());
        for output in 0..outputs {
            for piece in 0..pieces {
                let first = ((output / PANEL * pieces + piece) * depth) * PANEL + output % PANEL * 2;
                for input in 0..inputs {
                    let at = first + input / 2 * 2 * PANEL + input % 2;
                    values[at] = rounded(weight(output, piece * inputs + input));
                }
            }
        }
        Self { unit, inputs, pieces, outputs, panels: packed, bias: bias.clone(), clamp }
    }

    /// The inputs of one piece of a position, filled up with zeros: what a position takes in bfloat16.
    pub(in crate::kernels) fn depth(&self) -> usize {
        filled(self.inputs)
    }

    /// How many f32 have room for so many positions in bfloat16, and for what may be read behind them.
    pub(in crate::kernels) fn room(&self, positions: usize) -> usize {
        product(&[positions + SLACK, self.depth()]).div_ceil(2)
    }

    /// The outputs of one panel for some positions.
    ///
    /// # Safety
    /// As the fields of [`Rows`] say: there must be `pieces` times `across` pieces of [`depth`](Self::depth) numbers; and behind the last
    /// position [`SLACK`] more that may be read.
    pub(in crate::kernels) unsafe fn panel(&self, panel: usize, rows: Rows<u16>) {
        // SAFETY: the caller's promise; a matrix is made for a unit that is there.
        unsafe {
            match self.unit {
                #[cfg(target_arch = "x86_64")]
                Unit::Amx => amx::compute(&self.part(panel, rows)),
                #[cfg(target_arch = "x86_64")]
                Unit::Avx512 => avx512::compute(&self.part(panel, rows)),
            }
        }
    }

    /// How many lines of so many positions are best computed at once.
    pub(in crate::kernels) fn lines(&self, length: usize) -> usize {
        match self.unit {
            #[cfg(target_arch = "x86_64")]
            Unit::Amx => (amx::MOST / length).max(1),
            #[cfg(target_arch = "x86_64")]
            Unit::Avx512 => 1,
        }
    }

    /// The same for lines of positions, at most [`lines`](Self::lines) of that length, whose outputs are so far from one another; nothing
    /// is added to them.
    ///
    /// # Safety
    /// As [`panel`](Self::panel).
    pub(in crate::kernels) unsafe fn panel_of_lines(&self, panel: usize, rows: Rows<u16>, [length, apart]: [usize; 2]) {
        // SAFETY: as above.
        unsafe {
            match self.unit {
                #[cfg(target_arch = "x86_64")]
                Unit::Amx if rows.count > length => amx::compute_lines(&self.part(panel, rows), [length, apart]),
                _ => self.panel(panel, rows),
            }
        }
    }

    /// One panel.
    ///
    /// # Safety
    /// There must be that panel.
    unsafe fn part(&self, panel: usize, rows: Rows<u16>) -> Part {
        debug_assert_eq!(rows.pieces * rows.across, self.pieces, "pieces");
        let depth = self.depth();
        // SAFETY: there is that panel.
        unsafe {
            Part {
                weight: self.panels.as_ptr().cast::<u16>().add(panel * self.pieces * depth * PANEL),
                bias: self.bias.as_ptr().add(panel * PANEL),
                clamp: self.clamp,
                columns: PANEL.min(self.outputs - panel * PANEL),
                depth,
                rows,
            }
        }
    }
}

impl Part {
    /// Where the first position's pieces begin.
    ///
    /// # Safety
    /// There must be so many.
    pub(super) unsafe fn pieces(&self) -> [*const u16; Matrix::MOST] {
        let mut all = [self.rows.xs; Matrix::MOST];
        for (piece, from) in all.iter_mut().enumerate().take(self.rows.pieces * self.rows.across) {
            let (row, column) = (piece / self.rows.across, piece % self.rows.across);
            // SAFETY: the caller's promise.
            *from = unsafe { self.rows.xs.add(row * self.rows.below + column * self.rows.aside) };
        }
        all
    }
}

/// Rows of f32, `apart` numbers from one another, to rows of bfloat16, `stride` numbers from one another and filled up with zeros to a
/// multiple of [`FULL`].
///
/// # Safety
/// There must be `count` rows of `columns` numbers, and room for as many of those; and [`units`](super::units) must not be empty.
pub(in crate::kernels) unsafe fn narrow(xs: Source, [apart, columns, count]: [usize; 3], ys: *mut u16, stride: usize) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the caller's promise.
    unsafe {
        avx512::narrow(xs.0, [apart, columns, count], ys, stride);
    }
    #[cfg(not(target_arch = "x86_64"))]
    unreachable!("no unit of {apart} {columns} {count} {stride} {xs:?} {ys:?}");
}

/// A number of inputs, filled up.
pub(super) fn filled(inputs: usize) -> usize {
    inputs.next_multiple_of(FULL)
}

/// A number rounded to bfloat16, of two as near the even one; subnormal ones are 0.
fn rounded(x: f32) -> u16 {
    half::bf16::from_f32(if x.is_subnormal() { 0.0 } else { x }).to_bits()
}
