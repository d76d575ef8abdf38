//! Work on rayon's threads with what Rust does not let go from thread to thread by itself.
//!
//! tch's tensors are not [`Sync`], since what writes into one in place takes a shared reference to it. Lent as here they are only
//! read.

use rayon::prelude::*;
use tch::Tensor;

/// What several threads may read at a time.
///
/// # Safety
/// Reading it, by all that this crate does with a shared reference to it while it is lent, must change nothing in it but behind a
/// lock, and nothing in it may be bound to the thread that made it.
pub(crate) unsafe trait Lend {}

// SAFETY: libtorch's operations only read their inputs, from any thread, and the kernels do; what writes in place (an optimizer, a
// loader) is never work that is given to another thread.
unsafe impl Lend for Tensor {}
// SAFETY: as what they hold.
unsafe impl<L: Lend + ?Sized> Lend for &L {}
// SAFETY: as what they hold.
unsafe impl<L: Lend, const N: usize> Lend for [L; N] {}
// SAFETY: as what they hold.
unsafe impl<A: Lend, B: Lend> Lend for (A, B) {}

/// A reference that goes to other threads.
#[derive(Clone, Copy)]
struct Lent<'a, L: ?Sized>(&'a L);

// SAFETY: several threads may read what it refers to.
unsafe impl<L: Lend + ?Sized> Send for Lent<'_, L> {}
// SAFETY: as above.
unsafe impl<L: Lend + ?Sized> Sync for Lent<'_, L> {}

impl<'a, L: ?Sized> Lent<'a, L> {
    fn get(&self) -> &'a L {
        self.0
    }
}

/// Runs `work` on one of rayon's threads, while this one waits: what it does in parallel there begins without waking a
/// thread each time. Flags of a thread, as libtorch's for gradients, are those of the other one.
pub(crate) fn in_pool<L: Lend + ?Sized, R: Send>(lent: &L, work: impl FnOnce(&L) -> R + Send) -> R {
    if rayon::current_thread_index().is_some() {
        return work(lent);
    }
    let lent = Lent(lent);
    rayon::scope(move |_| work(lent.get()))
}

/// Runs `work` for each of `count` parts side by side, each on one of rayon's threads, and gives back what came out, in order.
pub(crate) fn side_by_side<L: Lend + ?Sized, R: Send>(
    lent: &L,
    count: usize,
    work: impl Fn(&L, usize) -> R + Sync,
) -> Vec<R> {
    let lent = Lent(lent);
    (0..count).into_par_iter().with_max_len(1).map(|part| work(lent.get(), part)).collect()
}
