//! What does not fit is refused, nothing gives nothing, and the bits do not depend on the threads.

use super::*;

#[test]
fn maps_of_another_kind_or_shape_are_refused() {
    let xs = Tensor::zeros([1, 4, 3, 3], F32);
    assert!(Map::of("test", &xs, 4).is_ok());
    for wrong in [xs.to_kind(Kind::Double), xs.narrow(1, 0, 3), xs.squeeze_dim(0)] {
        assert!(Map::of("test", &wrong, 4).is_err(), "{:?}", wrong.size());
    }
}

#[test]
fn a_batch_of_nothing_gives_nothing() {
    let none = Tensor::zeros([0, 40, 5, 6], F32);
    assert_eq!(values(&none), Some(&[][..]));
    let map = || Map::of("test", &none, 40).unwrap();
    let (weight, bias) = (vec![0.5; 24 * 40], vec![0.25; 24]);
    let pointwise = Pointwise::new(&weight, &bias, Clamp::RELU6);
    assert_eq!(pointwise.forward(&map()).tensor().size(), [0, 24, 5, 6]);
    let axis = Axis { kernel: 3, stride: 2, padding: Padding::Each(1) };
    let convolution = Convolution::of(40, &bias, |_, _| 0.5, axis, Clamp::RELU);
    assert_eq!(convolution.forward(&map(), None).tensor().size(), [0, 24, 3, 3]);
    assert_eq!(max_pool(&map(), axis).tensor().size(), [0, 40, 3, 3]);
    assert_eq!(map().add(&map(), Clamp::NONE).clamped(Clamp::RELU).mean().tensor().size(), [0, 40, 1, 1]);
    let taps = vec![1.0; 40 * 9];
    let block = InvertedResidual { expand: None, depthwise: depthwise_of(&taps, &[0.0; 40], axis), project: pointwise };
    assert_eq!(block.forward(&map(), false).tensor().size(), [0, 24, 3, 3]);
    assert!(Map::filled([0, 2, 2, 3], |_, _| unreachable!()).is_ok());
    // Nothing to look at is another matter: no kernel has an output for it.
    for empty in [[2, 40, 0, 6], [2, 40, 5, 0], [0, 40, 0, 0]] {
        assert!(Map::of("test", &Tensor::zeros(empty, F32), 40).is_err(), "{empty:?}");
    }
    assert!(Map::of_tokens(&Tensor::zeros([2, 0, 4], F32)).is_err());
    let gates = Gates { channel: &|_, _, logits| logits.fill(0.0), spatial: None, gain: 1.0 };
    assert!(
        gates.forward(&none).is_err()
            && gates.forward(&Tensor::zeros([1, 4, 3, 3], (Kind::Double, Device::Cpu))).is_err()
    );
}

#[test]
fn an_axis_narrower_than_its_kernel_does_not_fit() {
    let axis = |kernel, stride, padding| Axis { kernel, stride, padding };
    for (axis, size, fits) in [
        (axis(2, 2, Padding::Each(0)), 1, false),
        (axis(2, 2, Padding::Each(0)), 2, true),
        (axis(3, 1, Padding::Each(1)), 1, true),
        (axis(7, 2, Padding::Each(3)), 0, false),
        (axis(7, 2, Padding::Each(2)), 2, false),
        (axis(5, 2, Padding::Same), 1, true),
        (axis(5, 2, Padding::Same), 0, false),
        (axis(1, 0, Padding::Same), 4, false),
    ] {
        assert_eq!(axis.fits(size), fits, "{size} under {axis:?}");
        assert_eq!(std::panic::catch_unwind(|| axis.cells(size)).is_ok(), fits, "{size} under {axis:?}");
    }
}

#[test]
#[should_panic(expected = "channels to project")]
fn a_projection_of_another_width_is_refused() {
    let axis = Axis { kernel: 3, stride: 1, padding: Padding::Same };
    let project = Pointwise::new(&[0.5; 8 * 64], &[0.0; 8], Clamp::NONE);
    let block = InvertedResidual { expand: None, depthwise: depthwise_of(&[1.0; 32 * 9], &[0.0; 32], axis), project };
    block.forward(&Map::of("test", &Tensor::ones([1, 32, 4, 4], F32), 32).unwrap(), false);
}

#[test]
fn gates_of_a_picture_are_the_same_bits_in_any_batch_and_with_any_threads() {
    let xs = Tensor::randn([5, 96, 37, 41], F32);
    let gates = Gates {
        channel: &|means, maxima, logits| {
            for ((mean, maximum), logit) in means.iter().zip(maxima).zip(logits) {
                *logit = mean + maximum;
            }
        },
        spatial: Some(SpatialGate { weight: vec![0.01; 2 * 49], bias: 0.5, side: 7, replicate: false }),
        gain: 4.0,
    };
    let of = |xs: &Tensor| {
        let Gated { features, channel, spatial } = gates.forward(xs).unwrap();
        [features, channel, spatial.unwrap()].map(|all| values_of(&all.i(0)))
    };
    on_each_arch(|arch| {
        for xs in layouts(&xs) {
            let alone = of(&xs.narrow(0, 0, 1));
            for threads in [1, 2, 3, 8] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                for images in 1..=5 {
                    let first = kernels_in(&pool, || of(&xs.narrow(0, 0, images)));
                    assert!(first == alone, "{arch}, {threads} threads, {images} images");
                }
            }
        }
    });
}

/// Runs `work` on a pool; what it borrows is only read there.
fn kernels_in<R: Send>(pool: &rayon::ThreadPool, work: impl FnOnce() -> R) -> R {
    struct Lent<T>(T);
    // SAFETY: this thread waits meanwhile.
    unsafe impl<T> Send for Lent<T> {}
    impl<T> Lent<T> {
        fn into_inner(self) -> T {
            self.0
        }
    }
    let work = Lent(work);
    pool.install(move || work.into_inner()())
}
