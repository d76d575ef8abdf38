//! The exponential function, and what attention makes of it.

use pulp::Simd;

/// e to the power of each, within 2 units in the last place; 0 and infinity come out as 10⁻³⁸ and 10³⁸.
///
/// The power of two nearest to it is put together from its bits, the rest is Cephes' polynomial.
#[inline(always)]
#[expect(clippy::excessive_precision, reason = "as published")]
fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    /// Added to a number, it leaves its integer part, and 127 with it, in the lowest bits.
    const SHIFT: f32 = 12_582_912.0 + 127.0;
    let x = super::clamp(simd, x, [simd.splat_f32s(-87.3), simd.splat_f32s(87.3)]);
    let shifted = simd.mul_add_e_f32s(x, simd.splat_f32s(std::f32::consts::LOG2_E), simd.splat_f32s(SHIFT));
    let power = simd.wrapping_dyn_shl_u32s(simd.transmute_u32s_f32s(shifted), simd.splat_u32s(23));
    let whole = simd.sub_f32s(shifted, simd.splat_f32s(SHIFT));
    // ln 2 in two parts, the first of few bits.
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(-0.693_359_375), x);
    let rest = simd.mul_add_e_f32s(whole, simd.splat_f32s(2.121_944_40e-4), rest);
    let mut sum = simd.splat_f32s(1.987_569_15e-4);
    for coefficient in [1.398_199_95e-3, 8.333_451_91e-3, 4.166_579_59e-2, 1.666_666_55e-1, 5.000_000_12e-1] {
        sum = simd.mul_add_e_f32s(sum, rest, simd.splat_f32s(coefficient));
    }
    let sum = simd.mul_add_e_f32s(sum, simd.mul_f32s(rest, rest), simd.add_f32s(rest, simd.splat_f32s(1.0)));
    simd.mul_f32s(sum, simd.transmute_f32s_u32s(power))
}

/// Puts the value of an expression in the place of every vector of a slice; the last one is filled up with zeros.
/// (A macro: the compiler gives a closure no SIMD of its own.)
macro_rules! each_vector {
    ($simd:ident, $xs:expr, $x:ident => $value:expr) => {{
        let (body, tail) = S::as_mut_simd_f32s($xs);
        for x in body {
            let $x = *x;
            *x = $value;
        }
        if !tail.is_empty() {
            let $x = $simd.partial_load_f32s(tail);
            $simd.partial_store_f32s(tail, $value);
        }
    }};
}

/// The sigmoid of each, times `gain`, in place.
#[inline(always)]
pub(super) fn sigmoid<S: Simd>(simd: S, xs: &mut [f32], gain: f32) {
    let (one, gain) = (simd.splat_f32s(1.0), simd.splat_f32s(gain));
    each_vector!(simd, xs, x => simd.div_f32s(gain, simd.add_f32s(one, exp(simd, simd.neg_f32s(x)))));
}

/// The softmax of all, in place.
#[inline(always)]
pub(super) fn softmax<S: Simd>(simd: S, xs: &mut [f32]) {
    let (body, tail) = S::as_simd_f32s(xs);
    let mut highest = simd.splat_f32s(f32::NEG_INFINITY);
    for x in body {
        highest = simd.max_f32s(highest, *x);
    }
    let highest = tail.iter().copied().fold(simd.reduce_max_f32s(highest), f32::max);
    let highest = simd.splat_f32s(highest);
    each_vector!(simd, xs, x => exp(simd, simd.sub_f32s(x, highest)));
    let (body, tail) = S::as_simd_f32s(xs);
    let mut sum = simd.splat_f32s(0.0);
    for x in body {
        sum = simd.add_f32s(sum, *x);
    }
    let sum = simd.reduce_sum_f32s(sum) + tail.iter().sum::<f32>();
    let share = simd.splat_f32s(1.0 / sum);
    each_vector!(simd, xs, x => simd.mul_f32s(x, share));
}

/// σ of each, in place.
pub fn sigmoid_of(xs: &mut [f32]) {
    struct Task<'a>(&'a mut [f32]);

    impl pulp::WithSimd for Task<'_> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            sigmoid(simd, self.0, 1.0);
        }
    }

    super::dispatch(Task(xs));
}

#[cfg(test)]
mod tests {
    use super::super::dispatch;
    use super::*;

    struct Sigmoid<'a>(&'a mut [f32]);

    impl pulp::WithSimd for Sigmoid<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            sigmoid(simd, self.0, 1.0);
        }
    }

    struct Softmax<'a>(&'a mut [f32]);

    impl pulp::WithSimd for Softmax<'_> {
        type Output = ();
        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            softmax(simd, self.0);
        }
    }

    #[test]
    fn sigmoids_are_those_of_f64() {
        let xs: Vec<f32> = (-4000..=4000).map(|x| x as f32 / 37.0).collect();
        let mut ys = xs.clone();
        dispatch(Sigmoid(&mut ys));
        for (x, y) in xs.iter().zip(ys) {
            let exact = 1.0 / (1.0 + (-f64::from(*x)).exp());
            assert!((f64::from(y) - exact).abs() <= 3e-7 * exact + 1e-37, "{x}: {y}, not {exact}");
        }
        let mut nan = [f32::NAN, 0.0, f32::INFINITY];
        dispatch(Sigmoid(&mut nan));
        assert!(nan[0].is_nan() && nan[1] == 0.5 && nan[2] == 1.0, "{nan:?}");
    }

    #[test]
    fn softmaxes_are_those_of_f64() {
        for count in [1, 7, 16, 100, 333] {
            let xs: Vec<f32> = (0..count).map(|i| ((i * 37 % 101) as f32 - 50.0) / 3.0).collect();
            let mut ys = xs.clone();
            dispatch(Softmax(&mut ys));
            let sum: f64 = xs.iter().map(|x| f64::from(*x).exp()).sum();
            for (x, y) in xs.iter().zip(ys) {
                let exact = f64::from(*x).exp() / sum;
                // The differences from the highest, of up to 33, are themselves rounded.
                assert!((f64::from(y) - exact).abs() <= 5e-6 * exact + 1e-37, "{count}, {x}: {y}, not {exact}");
            }
        }
    }
}
