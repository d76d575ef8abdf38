//! Ctrl-C and a request to terminate: the run ends soon and leaves whole files only.

use std::sync::atomic::{AtomicBool, Ordering};

/// The exit status after an interrupt: 128 + SIGINT.
pub(crate) const EXIT: u8 = 130;

static CANCEL: AtomicBool = AtomicBool::new(false);

/// Lets a first interrupt set the flag, which ends the run, and a second one end the process at once.
pub(crate) fn flag() -> Result<&'static AtomicBool, ctrlc::Error> {
    ctrlc::set_handler(|| {
        if CANCEL.swap(true, Ordering::Relaxed) {
            cbam::sys::abandon(EXIT);
        }
    })?;
    Ok(&CANCEL)
}
