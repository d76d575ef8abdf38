//! What is looked at before any other code runs: the standard output and the working folder.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

/// Whether standard output was closed (`>&-`). Rust's runtime opens `/dev/null` in its place, so that no other file takes its
/// number, and after that nobody can tell.
static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);

/// Whether there is a standard output. Told on Linux alone.
pub(crate) fn stdout_is_open() -> bool {
    !STDOUT_CLOSED.load(Ordering::Relaxed)
}

#[cfg(all(target_os = "linux", feature = "process"))]
#[used]
// SAFETY: the section's entries are functions that the loader calls once, before any other code of the process.
#[unsafe(link_section = ".preinit_array")]
static LOOK: extern "C" fn() = {
    /// libtorch's constructors end a program that has no working folder, by a message about something else.
    const GONE: &str = "cbam: the folder that the program was started in is gone\n";

    extern "C" fn look() {
        // SAFETY: asks for a flag of a number that need not be open, and changes nothing.
        let closed = unsafe { libc::fcntl(libc::STDOUT_FILENO, libc::F_GETFD) } == -1;
        STDOUT_CLOSED.store(closed, Ordering::Relaxed);
        // SAFETY: "." ends in a zero, as the call wants it; nothing is kept of it.
        let links = unsafe {
            let mut folder: libc::stat = std::mem::zeroed();
            if libc::stat(c".".as_ptr(), &raw mut folder) == 0 { folder.st_nlink } else { 1 }
        };
        if links == 0 {
            // SAFETY: writes text of a known length to a number that need not be open, then ends the process at once.
            unsafe {
                libc::write(libc::STDERR_FILENO, GONE.as_ptr().cast(), GONE.len());
                libc::_exit(super::terminal::status::NOTHING_DONE.into());
            }
        }
    }
    look
};
