//! Grad-CAM against the Python package of that name.

use cbam::backbone::Arch;
use cbam::explain::grad_cam;
use cbam::network::Network;
use cbam::weights::{Checkpoint, restore};
use ndarray::Array2;
use tch::{Device, Kind, Tensor};

use crate::backbone::pretrained;

fn golden(name: &str) -> Tensor {
    let path = crate::file("tests/golden/explain/grad_cam.safetensors");
    restore(&Checkpoint::open(path).unwrap().tensors[name]).unwrap()
}

/// Minimum to 0, then maximum to 1, as the package scales its maps.
fn largest_difference(map: &Array2<f32>, expected: &Tensor) -> f32 {
    let (rows, columns) = map.dim();
    assert_eq!(expected.size(), [rows as i64, columns as i64]);
    let expected = Vec::<f32>::try_from(expected.flatten(0, -1)).unwrap();
    let low = map.iter().copied().fold(f32::INFINITY, f32::min);
    let high = map.iter().copied().fold(0.0, f32::max) - low;
    assert!(high > 0.0 && low >= 0.0);
    map.iter().zip(&expected).map(|(value, expected)| ((value - low) / high - expected).abs()).fold(0.0, f32::max)
}

#[test]
fn any_head_and_any_class_of_each_picture() {
    let linear = |xs: &Tensor, name: &str| {
        xs.linear(&golden(&format!("head.{name}.weight")), Some(&golden(&format!("head.{name}.bias"))))
    };
    let classify = |features: &Tensor| {
        let pooled = features.square().mean_dim([2i64, 3].as_slice(), false, Kind::Float);
        Ok(linear(&linear(&pooled, "hidden").tanh(), "classes"))
    };
    // The caller's own wish for no gradient does not matter, and is as it was afterwards.
    let maps = tch::no_grad(|| {
        let maps = grad_cam(&golden("head.features"), &[3, 1], classify).unwrap();
        let one = Tensor::ones([1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        assert!(!(one * 2.0).requires_grad());
        maps
    });
    for (n, map) in maps.iter().enumerate() {
        let difference = largest_difference(map, &golden("head.maps").get(n as i64));
        assert!(difference < 1e-5, "picture {n}: {difference}");
    }
}

#[test]
fn lite0_agrees_with_the_python_package() {
    let network = Network::open(pretrained(Arch::EfficientNetLite0), Device::Cpu).unwrap();
    let input = (golden("lite0.pixels").to_kind(Kind::Float) - 127.0) / 128.0;
    let output = tch::no_grad(|| network.forward(&input, false)).unwrap();
    let classes = Vec::<i64>::try_from(golden("lite0.classes")).unwrap();
    assert_eq!(output.logits.argmax(-1, false).int64_value(&[0]), classes[0]);
    let backbone = network.backbone();
    let activate_and_classify = |features: &Tensor| Ok(backbone.classify(&backbone.head_activation(features), false));
    for (n, class) in classes.iter().enumerate() {
        let map = grad_cam(&output.features, &[*class], activate_and_classify).unwrap().remove(0);
        let difference = largest_difference(&map, &golden("lite0.maps").get(n as i64));
        assert!(difference < 1e-3, "class {class}: {difference}");
    }
}

#[test]
fn what_does_not_fit_is_an_error() {
    let features = Tensor::rand([2, 3, 4, 5], (Kind::Float, Device::Cpu));
    let pool = |features: &Tensor| Ok(features.mean_dim([2i64, 3].as_slice(), false, Kind::Float));
    assert!(grad_cam(&features.get(0), &[0], pool).is_err(), "no batch");
    assert!(grad_cam(&features, &[0], pool).is_err(), "one class for two pictures");
    for classes in [[0, 3], [-1, 0]] {
        assert!(grad_cam(&features, &classes, pool).is_err(), "{classes:?} of 3 classes");
    }
    let ones = || Tensor::ones([2, 3], (Kind::Float, Device::Cpu));
    for (apart, why) in [(ones(), "no graph"), (ones().set_requires_grad(true) * 2.0, "the graph of another tensor")] {
        let error = grad_cam(&features, &[0, 1], |_| Ok(apart)).unwrap_err().to_string();
        assert!(error.contains("depend on the features"), "{why}: {error}");
    }
    assert!(grad_cam(&features, &[0, 1], |features| Ok(features.mean(Kind::Float))).is_err(), "scores without classes");
}
