//! Whether libtorch records what gradients need.
#![allow(unsafe_code)]

/// Whether it does on this thread: not inside [`tch::no_grad`]. tch itself can only set it.
pub(crate) fn grad_enabled() -> bool {
    // SAFETY: the first call sets a flag of this thread and returns what it was; the second one puts it back.
    unsafe {
        let before = torch_sys::at_grad_set_enabled(0);
        torch_sys::at_grad_set_enabled(before);
        before != 0
    }
}

#[cfg(test)]
mod tests {
    use super::grad_enabled;

    #[test]
    fn asking_changes_nothing() {
        assert!(grad_enabled() && grad_enabled());
        tch::no_grad(|| assert!(!grad_enabled() && !grad_enabled()));
        assert!(grad_enabled());
    }
}
