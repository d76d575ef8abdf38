//! What a backbone's weights start as.

use std::cell::Cell;

use tch::nn::Init;

thread_local!(static TO_BE_LOADED: Cell<bool> = const { Cell::new(false) });

/// Builds networks whose backbones hold zeros, for weights that will come from a file: drawing as many random numbers
/// would take longer than reading the file.
pub(crate) fn to_be_loaded<R>(build: impl FnOnce() -> R) -> R {
    /// Puts back what was, however `build` ends.
    struct Before(bool);

    impl Drop for Before {
        fn drop(&mut self) {
            TO_BE_LOADED.set(self.0);
        }
    }

    let _before = Before(TO_BE_LOADED.replace(true));
    build()
}

/// `init`, unless the weights will be loaded.
pub(super) fn start(init: Init) -> Init {
    if TO_BE_LOADED.get() { Init::Const(0.0) } else { init }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_built_inside_holds_zeros() {
        let zeros = || matches!(start(Init::Uniform { lo: 0.0, up: 1.0 }), Init::Const(0.0));
        assert!(!zeros());
        assert!(to_be_loaded(zeros));
        assert!(!zeros());
        assert!(std::panic::catch_unwind(|| to_be_loaded(|| panic!("on the way"))).is_err());
        assert!(!zeros());
    }
}
