//! By AVX512-BF16: vectors of 16 sums, to each of which two products are added at once. And what the products by tiles share.

use std::arch::x86_64::{
    __m512, __m512bh, __m512i, __mmask16, _mm512_add_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps,
    _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_si512,
};

use super::matrix::{Part, filled};
use crate::kernels::rows::Rows;
use crate::kernels::{Clamp, PANEL};

/// The outputs of a vector.
pub(super) const LANES: usize = 16;

pub(super) fn is_there() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512bf16")
}

/// All positions, 8 at a time.
///
/// # Safety
/// The fields must say what is there, and the unit must be there.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn compute(part: &Part) {
    const MOST: usize = 8;
    let mut first = 0;
    while first < part.rows.count {
        let count = (part.rows.count - first).min(MOST);
        // SAFETY: the positions first..first + count are some of those there are.
        unsafe {
            let part = Part { rows: part.rows.block(first, count), ..*part };
            match (count, part.columns > LANES) {
                (MOST, true) => part.tile::<MOST, 2>(),
                (MOST, false) => part.tile::<MOST, 1>(),
                (4.., true) => part.halves::<4, 2>(),
                (4.., false) => part.halves::<4, 1>(),
                (_, true) => part.halves::<1, 2>(),
                (_, false) => part.halves::<1, 1>(),
            }
        }
        first += count;
    }
}

impl Part {
    /// As many tiles of `ROWS` positions as there are, then one position at a time.
    ///
    /// # Safety
    /// As [`compute`].
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn halves<const ROWS: usize, const VECTORS: usize>(&self) {
        let mut first = 0;
        while first < self.rows.count {
            // SAFETY: these are some of the positions there are.
            unsafe {
                if self.rows.count - first >= ROWS {
                    Self { rows: self.rows.block(first, ROWS), ..*self }.tile::<ROWS, VECTORS>();
                    first += ROWS;
                } else {
                    Self { rows: self.rows.block(first, 1), ..*self }.tile::<1, VECTORS>();
                    first += 1;
                }
            }
        }
    }

    /// `ROWS` positions × `VECTORS` vectors of outputs, in registers.
    ///
    /// # Safety
    /// As [`compute`], and there must be so many positions, and outputs in each vector.
    #[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
    unsafe fn tile<const ROWS: usize, const VECTORS: usize>(&self) {
        // SAFETY: reads `ROWS` positions, and of the panel whole vectors.
        unsafe {
            let mut sums = [[_mm512_setzero_ps(); VECTORS]; ROWS];
            for row in &mut sums {
                for (vector, sum) in row.iter_mut().enumerate() {
                    *sum = _mm512_loadu_ps(self.bias.add(vector * LANES));
                }
            }
            let mut weight = self.weight;
            for from in &self.pieces()[..self.rows.pieces * self.rows.across] {
                for pair in 0..self.depth / 2 {
                    let weights: [__m512bh; VECTORS] = std::array::from_fn(|vector| {
                        std::mem::transmute(_mm512_loadu_si512(weight.add(vector * 2 * LANES).cast()))
                    });
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let x = from.add(row * self.rows.apart + 2 * pair).cast::<i32>().read_unaligned();
                        let x: __m512bh = std::mem::transmute(_mm512_set1_epi32(x));
                        for (sum, weights) in sums.iter_mut().zip(weights) {
                            *sum = _mm512_dpbf16_ps(*sum, x, weights);
                        }
                    }
                    weight = weight.add(2 * PANEL);
                }
            }
            let finish = Finish::of(self, self.rows);
            for (row, sums) in sums.into_iter().enumerate() {
                for (vector, sum) in sums.into_iter().enumerate() {
                    finish.write(row, vector, sum);
                }
            }
        }
    }
}

/// What becomes of the sums: residual and clamp, and where they go.
pub(super) struct Finish {
    columns: usize,
    rows: Rows<u16>,
    limits: [__m512; 2],
}

impl Finish {
    /// Of positions whose outputs go where `rows` says.
    #[target_feature(enable = "avx512f")]
    pub(super) fn of(part: &Part, rows: Rows<u16>) -> Self {
        let Clamp { low, high } = part.clamp;
        Self { columns: part.columns, rows, limits: [_mm512_set1_ps(low), _mm512_set1_ps(high)] }
    }

    /// Writes the sums of a position, a vector of them.
    ///
    /// # Safety
    /// There must be that position, and the panel must have outputs in that vector.
    #[inline]
    #[target_feature(enable = "avx512f")]
    pub(super) unsafe fn write(&self, row: usize, vector: usize, mut sum: __m512) {
        let (rows, [low, high]) = (&self.rows, self.limits);
        let room = (self.columns - vector * LANES).min(LANES);
        let mask = ((1u32 << room) - 1) as __mmask16;
        let offset = row * rows.stride + vector * LANES;
        // SAFETY: the caller's promise; no more than `room` numbers.
        unsafe {
            if let Some(residual) = rows.residual {
                sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(mask, residual.add(offset)));
            }
            // Of two of which one is no number, these take the second.
            let sum = _mm512_min_ps(high, _mm512_max_ps(low, sum));
            _mm512_mask_storeu_ps(rows.ys.add(offset), mask, sum);
        }
    }
}

/// As [`narrow`](super::narrow).
///
/// # Safety
/// As there.
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
pub(super) unsafe fn narrow(xs: *const f32, [apart, columns, count]: [usize; 3], ys: *mut u16, stride: usize) {
    let whole = columns / (2 * LANES) * (2 * LANES);
    // SAFETY: of each row `columns` numbers are read; as many are written, filled up.
    unsafe {
        for row in 0..count {
            let (from, to) = (xs.add(row * apart), ys.add(row * stride));
            let mut at = 0;
            while at < whole {
                let (first, second) = (_mm512_loadu_ps(from.add(at)), _mm512_loadu_ps(from.add(at + LANES)));
                let pairs: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(second, first));
                _mm512_storeu_si512(to.add(at).cast(), pairs);
                at += 2 * LANES;
            }
            if at < filled(columns) {
                let mask = (1u32 << (columns - at)) - 1;
                let first = _mm512_maskz_loadu_ps(mask as __mmask16, from.add(at));
                let second = _mm512_maskz_loadu_ps((mask >> LANES) as __mmask16, from.wrapping_add(at + LANES));
                let pairs: __m512i = std::mem::transmute(_mm512_cvtne2ps_pbh(second, first));
                _mm512_storeu_si512(to.add(at).cast(), pairs);
            }
        }
    }
}
