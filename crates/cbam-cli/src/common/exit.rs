//! Leaving the program.
#![allow(unsafe_code)]

use std::io::Write;

/// Ends the process with this exit status, once everything that matters is dropped and written.
///
/// A plain return from `main` would take libtorch's operators apart one by one: a fifth of the run for a single photo,
/// for memory that goes back to the system anyway.
pub fn exit(status: u8) -> ! {
    let _ = std::io::stdout().flush(); // if nobody reads any more, nobody is told
    let _ = std::io::stderr().flush();
    abandon(status)
}

/// Ends the process with this exit status, whatever its threads are doing, and waits for nothing: not for a lock of the
/// standard output either, which a thread may hold that writes to a full pipe.
pub fn abandon(status: u8) -> ! {
    // SAFETY: ends the process at once; no code of it runs any more.
    unsafe { libc::_exit(status.into()) }
}
