//! Every kernel against plain loops in f64, on every instruction set of this machine, on sizes that fit no vector. It needs no
//! libtorch, so `AddressSanitizer` and Miri can watch the kernels read and write: `make asan`.

mod bounds;
mod brief;
mod convolutions;
mod gates;
mod heads;
mod residuals;

use std::sync::{Mutex, PoisonError};

use cbam_core::kernels::{Axis, Clamp, Map, Padding};
use cbam_core::simd::{archs, choose};

/// Runs `test` on each instruction set, one after the other: a choice holds for the whole process.
fn on_each_arch(test: impl Fn(&str)) {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    for (index, arch) in archs().iter().enumerate() {
        choose(index);
        test(&format!("{arch:?}").chars().take_while(|c| c.is_alphanumeric()).collect::<String>());
    }
}

/// The cases; with Miri, which takes minutes for what takes a second, the first of them alone, which are small.
fn few<T>(cases: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
    cases.into_iter().take(if cfg!(miri) { 2 } else { usize::MAX })
}

/// So many numbers from -1 to 1, the same for the same seed.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761) ^ 0x9e37_79b9;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (f64::from(state) / f64::from(u32::MAX) * 2.0 - 1.0) as f32
    };
    (0..count).map(next).collect()
}

fn map(shape: [usize; 4], seed: u32) -> Map {
    Map::new(shape, numbers(shape.iter().product(), seed)).unwrap()
}

/// A map in f64, `[N, H, W, C]`.
#[derive(Debug, Clone)]
struct Plain {
    shape: [usize; 4],
    numbers: Vec<f64>,
}

impl Plain {
    fn of(map: &Map) -> Self {
        Self { shape: map.shape(), numbers: map.numbers().iter().copied().map(f64::from).collect() }
    }

    /// Of a number for each place.
    fn from(shape: [usize; 4], of: impl Fn([usize; 4]) -> f64) -> Self {
        let [images, height, width, channels] = shape;
        let mut numbers = Vec::new();
        for image in 0..images {
            for y in 0..height {
                for x in 0..width {
                    numbers.extend((0..channels).map(|channel| of([image, y, x, channel])));
                }
            }
        }
        Self { shape, numbers }
    }

    fn at(&self, [image, y, x, channel]: [usize; 4]) -> f64 {
        let [_, height, width, channels] = self.shape;
        self.numbers[((image * height + y) * width + x) * channels + channel]
    }

    /// The number there, if the place lies on the map.
    fn inside(&self, image: usize, [y, x]: [Option<usize>; 2], channel: usize) -> Option<f64> {
        let (y, x) = (y.filter(|y| *y < self.shape[1])?, x.filter(|x| *x < self.shape[2])?);
        Some(self.at([image, y, x, channel]))
    }

    fn add(&self, other: &Self) -> Self {
        Self::from(self.shape, |at| self.at(at) + other.at(at))
    }

    fn clamped(&self, clamp: Clamp) -> Self {
        Self::from(self.shape, |at| self.at(at).clamp(clamp.low.into(), clamp.high.into()))
    }
}

/// How many cells an axis gives for a kernel that reaches over `reach`, and what stands before the map: from what the kinds of padding
/// say of themselves.
fn cells(axis: Axis, reach: usize, size: usize) -> (usize, usize) {
    match axis.padding {
        Padding::Same => {
            let cells = size.div_ceil(axis.stride);
            (cells, ((cells - 1) * axis.stride + reach).saturating_sub(size) / 2)
        }
        Padding::Each(zeros) => ((size + 2 * zeros - reach) / axis.stride + 1, zeros),
        Padding::Beyond => {
            // Every window that begins on the map, up to the first that reaches its end.
            let ends = |cell: usize| cell * axis.stride + reach >= size;
            let last = (0..size).find(|cell| ends(*cell)).unwrap();
            (last + 1 - usize::from(last * axis.stride >= size), 0)
        }
    }
}

/// A convolution in plain loops: `weight` tells by output and index in `[channels / groups, kernel, kernel]`.
fn convolve(
    xs: &Plain,
    weight: &dyn Fn(usize, usize) -> f32,
    bias: &[f32],
    axis: Axis,
    groups: usize,
    dilation: usize,
) -> Plain {
    let [images, height, width, channels] = xs.shape;
    let reach = (axis.kernel - 1) * dilation + 1;
    let [(rows, above), (columns, left)] = [height, width].map(|side| cells(axis, reach, side));
    let (of_group, group) = (channels / groups, bias.len() / groups);
    Plain::from([images, rows, columns, bias.len()], |[image, y, x, output]| {
        let mut sum = f64::from(bias[output]);
        for input in 0..of_group {
            for tap in 0..axis.kernel * axis.kernel {
                let under =
                    |cell: usize, tap: usize, before: usize| (cell * axis.stride + tap * dilation).checked_sub(before);
                let place = [under(y, tap / axis.kernel, above), under(x, tap % axis.kernel, left)];
                let x = xs.inside(image, place, output / group * of_group + input).unwrap_or(0.0);
                sum += x * f64::from(weight(output, input * axis.kernel * axis.kernel + tap));
            }
        }
        sum
    })
}

fn close(name: &str, ours: &[f32], theirs: &[f64]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    let scale = theirs.iter().fold(1.0, |scale: f64, x| scale.max(x.abs()));
    for (place, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert!((f64::from(*ours) - theirs).abs() <= 1e-5 * scale, "{name}: {ours}, not {theirs}, at {place}");
    }
}

fn maps_close(name: &str, ours: &Map, theirs: &Plain) {
    assert_eq!(ours.shape(), theirs.shape, "{name}");
    close(name, ours.numbers(), &theirs.numbers);
}
