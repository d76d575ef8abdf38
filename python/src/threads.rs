//! The threads that work is done on: a pool of this package's own, which forked processes have anew, while the thread that waits listens
//! for Ctrl-C and lets others run Python.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use cbam_core::{Error, Result};
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::errors::OrRaise;

/// How often the thread that waits looks whether Ctrl-C was pressed.
const LISTENING: Duration = Duration::from_millis(50);

/// The stack of each, in bytes: decoders of some formats go deep.
const STACK: usize = 8 << 20;

/// How many threads were asked for; 0 if no number was given.
static ASKED: AtomicUsize = AtomicUsize::new(0);

/// The pool in use. Nobody ever waits for it: whoever held a lock might be gone in a forked process.
static POOL: ArcSwapOption<Pool> = ArcSwapOption::const_empty();

/// A pool, and whose it is: threads do not live on in a forked process.
struct Pool {
    process: u32,
    threads: usize,
    of: ThreadPool,
}

/// Says that whoever waits does so no more.
pub(crate) struct Given(AtomicBool);

impl Given {
    /// Whether to go on.
    pub(crate) fn goes_on(&self) -> bool {
        !self.0.load(Ordering::Relaxed)
    }

    /// That, as an error.
    pub(crate) fn check(&self) -> Result<()> {
        if self.goes_on() { Ok(()) } else { Err(Error::Interrupted) }
    }
}

/// How many threads work: as many as were asked for, else as `OMP_NUM_THREADS` says, else as there are cores.
#[pyfunction]
pub(crate) fn threads() -> usize {
    match ASKED.load(Ordering::Relaxed) {
        0 => by_default(),
        asked => asked,
    }
}

fn by_default() -> usize {
    // A list is for nested regions, the outermost first.
    let said = std::env::var("OMP_NUM_THREADS").ok();
    let said = said.and_then(|text| text.split(',').next()?.trim().parse::<NonZeroUsize>().ok());
    said.or_else(|| std::thread::available_parallelism().ok()).map_or(1, NonZeroUsize::get)
}

/// Sets how many threads work from now on; `None` is the default again.
#[pyfunction]
#[pyo3(signature = (count))]
pub(crate) fn set_threads(count: Option<i64>) -> PyResult<()> {
    /// More than any machine has.
    const MOST: i64 = 1024;
    match count {
        Some(count) if !(1..=MOST).contains(&count) => {
            Err(Error::argument("threads", format!("{count} is not in 1..={MOST}"))).or_raise()
        }
        count => {
            ASKED.store(count.unwrap_or(0) as usize, Ordering::Relaxed);
            Ok(())
        }
    }
}

/// The pool of this process.
fn pool() -> Result<Arc<Pool>> {
    let (process, threads) = (std::process::id(), threads());
    let held = POOL.load_full();
    if let Some(found) = held.as_ref().filter(|of| of.process == process && of.threads == threads) {
        return Ok(Arc::clone(found));
    }
    let named = |index| format!("cbam-{index}");
    let built = ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK).thread_name(named).build();
    let pool = built.map_err(|error| Error::internal(format!("{threads} threads: {error}")))?;
    let made = Arc::new(Pool { process, threads, of: pool });
    POOL.store(Some(Arc::clone(&made)));
    if let Some(other) = held.filter(|of| of.process != process) {
        // Its threads are not here, so nothing may wait for them.
        std::mem::forget(other);
    }
    Ok(made)
}

/// Does work on the pool, without the lock of Python's interpreter; whatever signal comes meanwhile is Python's, and ends the work.
pub(crate) fn apart<T: Send>(py: Python<'_>, work: impl FnOnce(&Given) -> Result<T> + Send) -> PyResult<T> {
    answering(py, |_: &(dyn Fn(Infallible) + Sync), given| work(given), &mut |_, never| match never {})
}

/// What a signal that came meanwhile raises, such as Ctrl-C.
fn signalled() -> PyResult<()> {
    #[allow(clippy::redundant_closure_for_method_calls, reason = "the lifetime of `py` is any")]
    Python::attach(|py| py.check_signals())
}

/// What the work says to the thread that waits for it.
enum Said<T, Q> {
    Done(Result<T>),
    Asks(Q),
}

/// As [`apart`], where the work asks, and whoever waits for it answers, with the interpreter's lock.
pub(crate) fn answering<T: Send, Q: Send>(
    py: Python<'_>,
    work: impl FnOnce(&(dyn Fn(Q) + Sync), &Given) -> Result<T> + Send,
    answer: &mut (dyn FnMut(Python<'_>, Q) -> PyResult<()> + Send),
) -> PyResult<T> {
    py.detach(|| {
        let given = Given(AtomicBool::new(false));
        let (sender, receiver) = channel();
        let mut raised = None;
        let pool = pool().or_raise()?;
        let done = pool.of.in_place_scope(|scope| {
            let given = &given;
            scope.spawn(move |_| {
                // Nobody is asked any more where sending fails.
                let ask = |question| drop(sender.send(Said::Asks(question)));
                let done = work(&ask, given);
                drop(sender.send(Said::Done(done)));
            });
            loop {
                let outcome = match receiver.recv_timeout(LISTENING) {
                    Ok(Said::Done(done)) => return Some(done),
                    // It panicked: the scope goes on with that.
                    Err(RecvTimeoutError::Disconnected) => return None,
                    // A question that is dropped is answered by that.
                    Ok(Said::Asks(_)) | Err(RecvTimeoutError::Timeout) if raised.is_some() => Ok(()),
                    Ok(Said::Asks(question)) => {
                        Python::attach(|py| py.check_signals().and_then(|()| answer(py, question)))
                    }
                    Err(RecvTimeoutError::Timeout) => signalled(),
                };
                if let Err(error) = outcome {
                    raised = Some(error);
                    given.0.store(true, Ordering::Relaxed);
                }
            }
        });
        match (raised, done) {
            (Some(error), _) => Err(error),
            (None, Some(done)) => done.or_raise(),
            (None, None) => Err(Error::internal("the work was not done")).or_raise(),
        }
    })
}
