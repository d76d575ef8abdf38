//! Memory that kernels share.

use std::cell::RefCell;

use bytemuck::{Pod, Zeroable};

/// A cache line of numbers, which is also the widest vector.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C, align(64))]
struct Line([f32; Line::LEN]);

impl Line {
    const LEN: usize = 16;
}

/// How many numbers a shape of these sides has. Tasks count places in it by plain products, which a wrong count would lead outside.
///
/// # Panics
/// If no memory holds as many.
pub(super) fn product(sides: &[usize]) -> usize {
    let count = sides.iter().try_fold(1, |product: usize, side| product.checked_mul(*side));
    let count = count.filter(|count| *count <= isize::MAX as usize / size_of::<f32>());
    count.unwrap_or_else(|| panic!("more numbers than memory holds: {sides:?}"))
}

/// Numbers that start on a cache line.
#[derive(Debug, Clone, Default)]
pub(super) struct Aligned(Vec<Line>);

impl Aligned {
    /// At least `count` zeros.
    pub(super) fn zeros(count: usize) -> Self {
        Self(bytemuck::zeroed_vec(count.div_ceil(Line::LEN)))
    }

    pub(super) fn as_ptr(&self) -> *const f32 {
        self.0.as_ptr().cast()
    }

    pub(super) fn as_slice(&self) -> &[f32] {
        bytemuck::cast_slice(&self.0)
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.0)
    }
}

/// Calls `work` with `count` numbers of a buffer that this thread keeps for the next time; they hold anything.
pub(super) fn with_scratch<R>(count: usize, work: impl FnOnce(&mut [f32]) -> R) -> R {
    thread_local!(static SCRATCH: RefCell<Vec<Aligned>> = const { RefCell::new(Vec::new()) });
    // Taken out while it is used: `work` may itself need one, or wait for other tasks on this thread that do.
    let mut buffer = SCRATCH.with_borrow_mut(Vec::pop).unwrap_or_default();
    if buffer.0.len() * Line::LEN < count {
        buffer = Aligned::zeros(count);
    }
    let result = work(&mut buffer.as_mut_slice()[..count]);
    SCRATCH.with_borrow_mut(|kept| kept.push(buffer));
    result
}

/// Where tasks write, each its own part.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shared<T = f32>(pub(super) *mut T);

// SAFETY: a pointer may go to any thread; whoever writes through it says why no two tasks write the same place.
unsafe impl<T> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The place `offset` numbers on.
    ///
    /// # Safety
    /// It must lie in the same buffer.
    pub(super) unsafe fn at(self, offset: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}

/// Where tasks read; nobody writes there meanwhile.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<T = f32>(pub(super) *const T);

// SAFETY: nobody writes there while it is read.
unsafe impl<T> Send for Source<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Source<T> {}

impl<T> Source<T> {
    /// The place `offset` numbers on.
    ///
    /// # Safety
    /// It must lie in the same buffer.
    pub(super) unsafe fn at(self, offset: usize) -> *const T {
        // SAFETY: the caller's promise.
        unsafe { self.0.add(offset) }
    }
}
