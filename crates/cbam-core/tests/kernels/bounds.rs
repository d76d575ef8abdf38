//! Sizes that no memory holds are refused before anything is read or written: by products that a machine's numbers do not hold, a
//! kernel would come to write behind a buffer that is too small.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cbam_core::kernels::{Axis, Clamp, Convolution, Heads, Map, Padding, Pointwise, max_pool};

use super::on_each_arch;

/// What a panic says.
fn refusal<R>(work: impl FnOnce() -> R) -> String {
    let panic = catch_unwind(AssertUnwindSafe(work)).err().expect("a refusal");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

fn ones(shape: [usize; 4]) -> Map {
    Map::new(shape, vec![1.0; shape.iter().product()]).unwrap()
}

/// The widest side that an axis may have.
const MANY: usize = 1 << 24;

#[test]
#[cfg(target_pointer_width = "64")]
fn sizes_that_are_no_numbers_are_refused() {
    const TOO_LARGE: &str = "more numbers than memory holds";
    let wide = Padding::Each(MANY);
    let axis = |kernel, stride, padding| Axis { kernel, stride, padding };
    on_each_arch(|_| {
        // 2²⁵ cells a side, times 2¹⁴ channels, is 2⁶⁴ and so 0.
        let deep = ones([1, 1, 1, 1 << 14]);
        assert!(refusal(|| max_pool(&deep, axis(2, 1, wide))).contains(TOO_LARGE));
        let bias = vec![0.0; 1 << 14];
        let many_outputs = Convolution::of(1, &bias, |_, _| 1.0, axis(1, 1, wide), Clamp::NONE);
        assert!(refusal(|| many_outputs.forward(&ones([1, 1, 1, 1]), None)).contains(TOO_LARGE));
        // What comes out is small, and what is padded is not.
        let strided = Convolution::of(1 << 14, &[0.0], |_, _| 1.0, axis(1, MANY, wide), Clamp::NONE);
        assert!(refusal(|| strided.forward(&deep, None)).contains(TOO_LARGE));
    });
    // Inputs of a kernel.
    for (channels, kernel) in [(1 << 16, MANY), (usize::MAX / 4 + 2, 2)] {
        let of = || Convolution::of(channels, &[0.0], |_, _| 1.0, axis(kernel, 1, Padding::Same), Clamp::NONE);
        assert!(refusal(of).contains(TOO_LARGE));
    }
    for kernel in [0, MANY + 1, (1 << 60) + 1] {
        let of = || Convolution::of(1, &[0.0], |_, _| 1.0, axis(kernel, 1, Padding::Same), Clamp::NONE);
        assert!(refusal(of).contains("a kernel of"));
    }
    assert!(refusal(|| Pointwise::of(usize::MAX / 32 + 1, &[0.0], |_, _| 1.0, Clamp::NONE)).contains(TOO_LARGE));
    let nothing = Map::new([0, 1, 1 << 40, 1], Vec::new()).unwrap();
    assert_eq!(Heads { query: &nothing, key: &nothing, value: &nothing, count: 1 }.weights(), 0);
    let tokens = ones([1, 1, 1 << 12, 1]);
    let many = Heads { query: &tokens, key: &tokens, value: &tokens, count: 1 << 40 };
    assert!(refusal(|| many.weights()).contains(TOO_LARGE));
}
