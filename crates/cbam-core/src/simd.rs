//! What SIMD this machine has.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Which of [`archs`] runs, plus one; 0 if nobody chose.
static CHOSEN: AtomicUsize = AtomicUsize::new(0);

/// Those that can run here, the best first; found out once.
pub fn archs() -> &'static [pulp::Arch] {
    static ARCHS: OnceLock<Vec<pulp::Arch>> = OnceLock::new();
    ARCHS.get_or_init(|| {
        let archs = [Some(pulp::Arch::new()), Some(pulp::Arch::Scalar)].into_iter();
        #[cfg(target_arch = "x86_64")]
        let archs = archs.chain([pulp::x86::V3::try_new().map(pulp::Arch::V3)]);
        archs.flatten().collect()
    })
}

/// The one that runs: the best, unless a test chose.
#[cfg(not(fuzzing))]
fn arch() -> pulp::Arch {
    archs()[CHOSEN.load(Ordering::Relaxed).saturating_sub(1)]
}

/// Runs a task on the instruction set that runs.
#[cfg(not(fuzzing))]
#[inline]
pub(crate) fn dispatch<T: pulp::WithSimd>(task: T) -> T::Output {
    arch().dispatch(task)
}

/// Runs a task on plain numbers: what fuzzing adds to the copy of a kernel for each instruction set takes ten minutes to compile.
#[cfg(fuzzing)]
pub(crate) fn dispatch<T: pulp::WithSimd>(task: T) -> T::Output {
    task.with_simd(pulp::Scalar)
}

/// Makes another of [`archs`] run from now on, on all threads: for tests.
///
/// # Panics
/// If there is no such.
pub fn choose(index: usize) {
    assert!(index < archs().len(), "there are {} instruction sets", archs().len());
    CHOSEN.store(index + 1, Ordering::Relaxed);
}
