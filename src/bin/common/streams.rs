//! Whether the standard output was there when the program was started.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether it was closed (`>&-`). Rust's runtime opens `/dev/null` in its place, so that no other file takes its number, and
/// after that nobody can tell.
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether there is a standard output. Told on Linux alone.
pub(crate) fn stdout_is_open() -> bool {
    !STDOUT_CLOSED.load(Ordering::Relaxed)
}

#[cfg(target_os = "linux")]
#[used]
// SAFETY: the section's entries are functions that the loader calls once, before any other code of the process.
#[unsafe(link_section = ".preinit_array")]
static LOOK: extern "C" fn() = {
    extern "C" fn look() {
        // SAFETY: asks for a flag of a number that need not be open, and changes nothing.
        let closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1;
        STDOUT_CLOSED.store(closed, Ordering::Relaxed);
    }
    look
};
