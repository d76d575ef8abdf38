//! Every explanation method, at the head and inside, in f32 and in 16 bits.

use cbam::explain::ExplainOptions;
use cbam::maps::Method;
use cbam::network::{ForwardPrecision, Network};
use ndarray::Array2;
use tch::{Device, Kind, Tensor};

use super::device;
use crate::explain::explained;
use crate::precision::{correlation, resampled};

const CLASS: usize = 967;

fn small(network: &Network) -> Tensor {
    network.pictures(&[&resampled(network)[1]]).unwrap().upsample_bilinear2d([64, 96], false, None, None)
}

fn map(network: &Network, method: Method, stage: Option<&str>) -> Array2<f32> {
    let options = ExplainOptions::default().with_masks(64).with_window(32).with_stride(16);
    let pixels = small(network).to_device(Device::Cpu).to_kind(Kind::Float);
    explained(network, &pixels, method, stage, CLASS, &options).unwrap()
}

fn compare(precision: ForwardPrecision, least: f64) {
    device();
    let here = Network::pretrained(Device::Cpu).unwrap();
    let there = Network::pretrained(device()).unwrap().in_precision(precision).unwrap();
    let methods = Method::ALL.into_iter().filter(|method| !method.needs_attention());
    for (method, stage) in methods.flat_map(|method| [(method, None), (method, Some("stage4"))]) {
        // Hundreds of passes take a CPU too long in 16 bits, and one for each channel of the head in any.
        let long =
            method.is_costly() && (precision != ForwardPrecision::F32 || (method.needs_stage() && stage.is_none()));
        if (!method.needs_stage() && stage.is_some()) || (long && device() == Device::Cpu) {
            continue;
        }
        let [expected, got] = [&here, &there].map(|network| map(network, method, stage));
        assert_eq!(expected.dim(), got.dim(), "{method} {stage:?}");
        assert!(got.iter().all(|value| value.is_finite()), "{method} {stage:?}: {got}");
        let flat = |map: &Array2<f32>| map.iter().all(|value| (value - map[[0, 0]]).abs() < 1e-6);
        if flat(&expected) {
            assert!(got.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-2), "{method} {stage:?}: {got}");
            continue;
        }
        let alike = correlation(got.iter().zip(&expected));
        println!("{precision} {method} {stage:?}: {alike:.5}");
        // Grad-CAM++ divides by what may be next to 0 where features are below it.
        let free = method == Method::GradCamPlusPlus && stage.is_some() && precision != ForwardPrecision::F32;
        assert!(alike >= least || free, "{precision} {method} {stage:?}: {alike}");
    }
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_methods_explain_as_a_cpu_does_in_f32() {
    compare(ForwardPrecision::F32, 0.995);
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_methods_explain_as_a_cpu_does_in_f16() {
    compare(ForwardPrecision::F16, 0.95);
}

#[test]
#[ignore = "needs a GPU"]
fn cuda_methods_stay_finite_in_bf16() {
    compare(ForwardPrecision::Bf16, 0.0);
}
