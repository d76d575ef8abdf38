//! What holds for every method, on the network with attention.

use cbam::explain::{ExplainOptions, explain};
use cbam::maps::Method;
use cbam::network::Network;
use ndarray::{Array2, ArrayView3, s};
use tch::Device;

use super::golden::pixels;
use super::{explained, picture};

const CAT: usize = 285;
const SHOE: usize = 770;

fn few() -> ExplainOptions {
    ExplainOptions::default().with_masks(24).with_window(64).with_stride(32)
}

fn map(network: &Network, method: Method, stage: Option<&str>, class: usize, options: &ExplainOptions) -> Array2<f32> {
    explained(network, &pixels(), method, stage, class, options).unwrap()
}

#[test]
fn maps_are_finite_not_negative_and_on_their_grid() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    for method in Method::ALL.into_iter().filter(|method| !method.needs_attention()) {
        // At stage 3 a picture of 128×160 has 16×20 places of 40 channels; stage 5 comes with attention behind it.
        let stages: &[(Option<&str>, (usize, usize))] = match method {
            Method::Occlusion => &[(None, (4, 5))],
            Method::Rise => &[(None, (128, 160))],
            Method::ScoreCam | Method::AblationCam => &[(Some("stage3"), (16, 20))],
            _ => &[(None, (4, 5)), (Some("stage7"), (4, 5)), (Some("stage5"), (8, 10)), (Some("stage1"), (64, 80))],
        };
        for (stage, grid) in stages {
            let mut steps = Vec::new();
            let tell = &mut |done, total| {
                steps.push((done, total));
                true
            };
            let map = explain(&network, picture(&pixels()).view(), method, *stage, CAT, &few(), tell).unwrap();
            assert_eq!(map.dim(), *grid, "{method} at {stage:?}");
            assert!(map.iter().all(|value| value.is_finite() && *value >= 0.0), "{method} at {stage:?}");
            assert!(map.iter().any(|value| *value > 0.0), "{method} at {stage:?}");
            let total = steps[0].1;
            assert_eq!(steps.last(), Some(&(total, total)), "{method}");
            assert!(steps.is_sorted() && steps.iter().all(|step| step.1 == total), "{method}: {steps:?}");
            assert_eq!(method.is_costly(), total > 1, "{method}");
        }
    }
}

#[test]
fn the_class_matters_where_it_should_and_the_batch_does_not() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    for method in Method::ALL.into_iter().filter(|method| !method.needs_attention()) {
        let stage = if method.is_costly() { "stage3" } else { "stage5" };
        let stage = method.needs_stage().then_some(stage);
        let cat = map(&network, method, stage, CAT, &few());
        assert_eq!(cat != map(&network, method, stage, SHOE, &few()), method.needs_class(), "{method}");
        let top = cat.iter().copied().fold(0.0, f32::max);
        let again = map(&network, method, stage, CAT, &few().with_batch(7));
        let difference = (&cat - &again).iter().map(|difference| difference.abs()).fold(0.0, f32::max);
        assert!(difference < 1e-3 * top, "{method}: {difference} of {top}");
    }
}

#[test]
fn only_rise_is_random_and_it_follows_its_seed() {
    let network = Network::plain(Device::Cpu).unwrap();
    let rise = |seed| map(&network, Method::Rise, None, CAT, &few().with_seed(seed));
    assert_eq!(rise(3), rise(3));
    assert_ne!(rise(3), rise(4));
}

#[test]
fn what_does_not_fit_is_an_error() {
    let network = Network::plain(Device::Cpu).unwrap();
    let refused = |pixels: ArrayView3<'_, f32>, method, stage, class, options: &ExplainOptions| {
        explain(&network, pixels, method, stage, class, options, &mut |_, _| true).unwrap_err().to_string()
    };
    let pixels = picture(&pixels());
    let usual = ExplainOptions::default();
    assert!(refused(pixels.view(), Method::LayerCam, Some("stage9"), CAT, &usual).contains("stage1, stage2"));
    assert!(refused(pixels.view(), Method::Rise, Some("stage5"), CAT, &usual).contains("no stage"));
    for class in [1000, usize::MAX] {
        assert!(refused(pixels.view(), Method::GradCam, None, class, &usual).contains("0 to 999"));
    }
    assert!(refused(pixels.slice(s![..2, .., ..]), Method::GradCam, None, CAT, &usual).contains("[N, 3, H, W]"));
    assert!(refused(pixels.slice(s![.., ..0, ..]), Method::GradCam, None, CAT, &usual).contains("[channels, H, W]"));
    assert!(refused(pixels.view(), Method::Rise, None, CAT, &usual.with_masks(0)).contains("masks"));
}

#[test]
fn names_go_there_and_back() {
    for method in Method::ALL {
        assert_eq!(method.to_string().parse::<Method>().unwrap(), method);
    }
    assert!("gradcam+".parse::<Method>().unwrap_err().to_string().contains("gradcam++"));
}
