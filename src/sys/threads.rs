//! How many threads libtorch uses on the CPU, and that they share it with others.

use std::num::NonZeroUsize;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// Whether libtorch's threads sleep between operations.
static SHARED: AtomicBool = AtomicBool::new(false);

/// Whether libtorch leaves the cores to other threads between operations, as after [`set_threads`]. Where it does not, kernels that run
/// between its operations wait for its threads.
pub(crate) fn shares_cores() -> bool {
    SHARED.load(Ordering::Relaxed)
}

/// Bounds libtorch's threads ([`set_threads`]) and rayon's global pool, to all cores if none are given. Once per
/// process, before the first use of either.
///
/// # Errors
/// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if rayon's pool is in use already.
pub fn set_all_threads(threads: Option<NonZeroUsize>) -> Result<()> {
    let threads = threads.or_else(|| thread::available_parallelism().ok()).unwrap_or(NonZeroUsize::MIN);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global();
    pool.map_err(|error| Error::argument("threads", error))?;
    set_threads(threads);
    Ok(())
}

/// Bounds libtorch's threads, and keeps them from burning time that other threads need.
///
/// Between two operations libtorch's threads (GNU OpenMP's) wait for one another in a loop of some milliseconds before
/// they sleep. While anything else wants the cores, decoding pictures say, one thread is soon without a core and the
/// others burn theirs waiting for it: ten times the run time was measured on a busy machine, and nothing gained on an
/// idle one. OpenMP shortens that loop when it has more threads than the machine has cores, but reads a setting of it
/// only from the environment, before `main`. So a second team of threads is started here, which sleeps for good.
pub fn set_threads(threads: NonZeroUsize) {
    /// libtorch takes this number only once; no operation here runs beside another.
    static BETWEEN_OPERATIONS: Once = Once::new();
    let count = i32::try_from(threads.get()).unwrap_or(i32::MAX);
    tch::set_num_threads(count);
    SHARED.store(true, Ordering::Relaxed);
    BETWEEN_OPERATIONS.call_once(|| tch::set_num_interop_threads(1));
    if threads.get() > 1 {
        let (ready, started) = std::sync::mpsc::channel::<()>();
        // Where no thread can be made there is no second team: slower on a busy machine, and nothing else.
        let _ = thread::Builder::new().spawn(move || {
            let _ = Tensor::f_ones([1 << 18], (Kind::Float, Device::Cpu)).and_then(|ones| ones.f_sum(Kind::Float));
            drop(ready);
            loop {
                thread::park();
            }
        });
        let _ = started.recv();
    }
}
