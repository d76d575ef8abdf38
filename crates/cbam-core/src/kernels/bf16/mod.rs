//! Products in bfloat16, added up in f32, on CPUs that have units for that.
//!
//! A bfloat16 is the upper half of an f32: the same range, 8 significant bits instead of 24. Here a layer's weights and what it takes are
//! rounded to it (to the nearest, of two the even one); sums, biases, residuals and all that lies between layers stay in f32. Numbers
//! under 2⁻¹²⁶ count as 0, as the units have it.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx512;
// Elsewhere there are no units, and no matrix is ever made.
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, unused_unsafe, unused_variables))]
mod matrix;

pub(super) use matrix::{Matrix, SLACK, narrow};

/// What multiplies numbers of bfloat16 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Tiles of 16×16 sums: AMX-BF16, on Linux.
    #[cfg(target_arch = "x86_64")]
    Amx,
    /// Vectors of 16 sums: AVX512-BF16.
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The units of this machine, the fastest first; none on most machines.
pub fn units() -> &'static [Unit] {
    #[cfg(target_arch = "x86_64")]
    {
        static UNITS: std::sync::OnceLock<Vec<Unit>> = std::sync::OnceLock::new();
        UNITS.get_or_init(|| {
            // What surrounds the products is written in AVX-512 for both.
            if !avx512::is_there() {
                return Vec::new();
            }
            let amx = amx::is_there().then_some(Unit::Amx);
            amx.into_iter().chain([Unit::Avx512]).collect()
        })
    }
    #[cfg(not(target_arch = "x86_64"))]
    &[]
}
