//! What the process that started this one decided about signals.
#![allow(unsafe_code)]

/// Whether this process was started with a signal ignored, as `nohup` ignores `SIGHUP` and a shell `SIGINT` for what it
/// runs in the background. Such a signal should stay ignored.
#[cfg(unix)]
pub(super) fn is_ignored(signal: i32) -> bool {
    // SAFETY: `sigaction` is plain data, for which zeroes are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: the call writes the action of a signal to `action`, which outlives the call, and changes nothing.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
    asked == 0 && action.sa_sigaction == libc::SIG_IGN
}

/// Lets a write that would make a file larger than the process may (`ulimit -f`) be an error as any other: without this,
/// `SIGXFSZ` ends the process at once.
#[cfg(unix)]
pub(super) fn survive_file_size_limit() {
    // SAFETY: the call sets the action of a signal for which this process has no handler; no code of ours runs in it.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn what_is_ignored_is_told() {
        assert!(is_ignored(libc::SIGPIPE), "Rust ignores it");
        assert!(!is_ignored(libc::SIGUSR2) && !is_ignored(0));
        survive_file_size_limit();
        assert!(is_ignored(libc::SIGXFSZ));
    }
}
