//! A request to end: the run ends soon and leaves whole files only.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::common::end_at_once;

/// How long pictures under way may take to notice: one may wait for a pipe for ever.
const GRACE: Duration = Duration::from_secs(2);

static PATIENT: AtomicBool = AtomicBool::new(false);
static RUNNING: AtomicBool = AtomicBool::new(false);
static CANCEL: AtomicBool = AtomicBool::new(false);

/// From now on a first request sets this flag, which ends the run.
pub(crate) fn flag() -> &'static AtomicBool {
    RUNNING.store(true, Ordering::SeqCst);
    &CANCEL
}

/// The same, of a run that ends well however long that takes: a film that was recorded is put together.
pub(crate) fn patient_flag() -> &'static AtomicBool {
    PATIENT.store(true, Ordering::SeqCst);
    flag()
}

/// A first request ends the run, at once if it has not begun, and a second one ends it at once in any case.
pub(crate) fn asked() {
    if !RUNNING.load(Ordering::SeqCst) || CANCEL.swap(true, Ordering::SeqCst) {
        end_at_once();
    }
    let patience = thread::Builder::new().spawn(|| {
        thread::sleep(GRACE);
        if !PATIENT.load(Ordering::SeqCst) {
            end_at_once();
        }
    });
    if patience.is_err() {
        end_at_once();
    }
}
