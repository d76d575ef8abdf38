//! Every kernel against libtorch, on every instruction set that this machine has, on sizes that fit no vector.

mod attention;
mod blocks;
mod bounds;
mod convolutions;

use std::process::Command;

use cbam::kernels::{Axis, Clamp, Depthwise, FeatureMap, Gated, Gates, Layout, Map};
use cbam::simd::{archs, choose};
use ndarray::Array4;
use tch::{Device, Kind, Tensor};

const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

/// Which instruction set a process tests, by its number among [`archs`]: a choice holds for all of a process, and other tests compare
/// bits.
const CHOICE: &str = "CBAM_TESTED_SIMD";

/// Runs `test` on the instruction set that this process tests, the best one if nobody says.
fn on_each_arch(test: impl Fn(&str)) {
    let index = std::env::var(CHOICE).map_or(0, |index| index.parse().unwrap());
    if index > 0 {
        choose(index);
    }
    test(&format!("{:?}", archs()[index]).chars().take_while(|c| c.is_alphanumeric()).collect::<String>());
}

#[test]
fn all_of_this_holds_on_every_instruction_set() {
    if std::env::var_os(CHOICE).is_some() {
        return;
    }
    for index in 1..archs().len() {
        let mut tests = Command::new(std::env::current_exe().unwrap());
        let output = tests.args(["kernels::", "--quiet"]).env(CHOICE, index.to_string()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("test result: ok"), "{:?}: {said}", archs()[index]);
    }
}

/// All numbers, in the order of the axes.
fn values_of(tensor: &Tensor) -> Vec<f32> {
    Vec::try_from(tensor.contiguous().view(-1)).unwrap()
}

/// The sides of a tensor of so many axes.
fn sides<const AXES: usize>(tensor: &Tensor) -> [usize; AXES] {
    let size = tensor.size();
    assert_eq!(size.len(), AXES, "{size:?}");
    std::array::from_fn(|axis| size[axis] as usize)
}

/// Numbers as a tensor.
fn tensor_from(numbers: &[f32], shape: &[usize]) -> Tensor {
    let shape: Vec<i64> = shape.iter().map(|side| *side as i64).collect();
    Tensor::from_slice(numbers).view(&shape[..])
}

/// A map of a tensor `[N, C, H, W]`, made of an array that is laid out as the tensor is.
fn map_of(xs: &Tensor) -> Map {
    let array = |xs: &Tensor| Array4::from_shape_vec(sides::<4>(xs), values_of(xs)).unwrap();
    let pixels = xs.permute([0, 2, 3, 1]);
    let array = if pixels.is_contiguous() { array(&pixels).permuted_axes([0, 3, 1, 2]) } else { array(xs) };
    Map::of(array.view()).unwrap()
}

/// A map as a tensor `[N, C, H, W]`.
fn tensor_of(map: &Map) -> Tensor {
    tensor_from(map.numbers(), &map.shape()).permute([0, 3, 1, 2])
}

/// The numbers of a tensor `[N, C, H, W]` as they lie, and what of them lies together.
fn features_of(xs: &Tensor) -> (Vec<f32>, Layout) {
    let pixels = xs.permute([0, 2, 3, 1]);
    if pixels.is_contiguous() { (values_of(&pixels), Layout::Pixels) } else { (values_of(xs), Layout::Planes) }
}

/// What gates make of features: these, laid out as they were, and the logits `[N, C]` and `[N, H, W]`; NaN where they
/// write nothing.
fn gated(gates: &Gates<'_>, xs: FeatureMap<'_>) -> cbam::Result<[Vec<f32>; 3]> {
    let [n, c, h, w] = xs.shape;
    let [mut features, mut channel, mut spatial] = [n * c * h * w, n * c, n * h * w].map(|count| vec![f32::NAN; count]);
    gates.forward(xs, Gated { features: &mut features, channel: &mut channel, spatial: &mut spatial })?;
    Ok([features, channel, spatial])
}

/// The same of a tensor `[N, C, H, W]` in either layout.
fn gated_tensors(gates: &Gates<'_>, xs: &Tensor) -> [Tensor; 3] {
    let (numbers, layout) = features_of(xs);
    let shape = sides(xs);
    let [features, channel, spatial] = gated(gates, FeatureMap { numbers: &numbers, layout, shape }).unwrap();
    let [n, c, h, w] = shape;
    let features = match layout {
        Layout::Planes => tensor_from(&features, &shape),
        Layout::Pixels => tensor_from(&features, &[n, h, w, c]).permute([0, 3, 1, 2]),
    };
    [features, tensor_from(&channel, &[n, c]), tensor_from(&spatial, &[n, h, w])]
}

fn depthwise_of(weight: &[f32], bias: &[f32], axis: Axis) -> Depthwise {
    let taps = axis.kernel * axis.kernel;
    Depthwise::of(bias, |channel, tap| weight[channel * taps + tap], axis, Clamp::RELU6)
}

fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.size(), theirs.size(), "{name}");
    let (off, scale) = ((ours - theirs).abs().max(), theirs.abs().max());
    let (off, scale) = (off.double_value(&[]), scale.double_value(&[]));
    assert!(off <= 2e-5 * scale.max(1.0), "{name}: {off} off, of {scale}");
}

/// As PyTorch lays it out, or with the channels together.
fn layouts(xs: &Tensor) -> [Tensor; 2] {
    [xs.shallow_clone(), xs.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])]
}

/// A convolution of a square kernel, with what its axis says of padding.
fn convolve(xs: &Tensor, weight: &Tensor, bias: &Tensor, axis: Axis, groups: i64) -> Tensor {
    let size = xs.size();
    let [rows, columns] = [size[2], size[3]].map(|side| {
        let (cells, before) = axis.cells(side as usize);
        [before as i64, ((cells - 1) * axis.stride + axis.kernel) as i64 - side - before as i64]
    });
    // What a stride leaves over at the end is cut off, not padded.
    let padded = xs.constant_pad_nd([columns[0], columns[1], rows[0], rows[1]]);
    padded.conv2d(weight, Some(bias), axis.stride as i64, 0, 1, groups)
}
