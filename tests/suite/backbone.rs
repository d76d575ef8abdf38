//! The backbones against the PyTorch package that their weights come from.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use cbam::backbone::{self, Arch, Backbone};
use cbam::classes::imagenet_classes;
use cbam::weights::{Apply, Checkpoint, restore_all};
use tch::nn::VarStore;
use tch::{Device, Kind, Tensor, no_grad};

use crate::file;

const LITE: [Arch; 3] = [Arch::EfficientNetLite0, Arch::EfficientNetLite1, Arch::EfficientNetLite2];

/// The folder of the pretrained models, fetched if they are not there.
pub(crate) fn models() -> &'static Path {
    static MODELS: OnceLock<PathBuf> = OnceLock::new();
    MODELS.get_or_init(|| {
        let fetched = Command::new(file("scripts/models.sh")).status().expect("scripts/models.sh runs");
        assert!(fetched.success(), "scripts/models.sh could not fetch the pretrained models");
        file("models")
    })
}

/// The `.pth` file of a backbone.
pub(crate) fn pretrained(arch: Arch) -> PathBuf {
    models().join(match arch {
        Arch::EfficientNetLite0 => "efficientnet-lite0-57934424.pth",
        Arch::EfficientNetLite1 => "efficientnet-lite1-77cc7160.pth",
        Arch::EfficientNetLite2 => "efficientnet-lite2-9656183e.pth",
        other => panic!("no weights of {other} are fetched"),
    })
}

fn golden() -> BTreeMap<String, Tensor> {
    restore_all(&Checkpoint::open(file("tests/golden/backbone/logits.safetensors")).unwrap().tensors).unwrap()
}

fn build(arch: Arch) -> (VarStore, Box<dyn Backbone>) {
    let variables = VarStore::new(Device::Cpu);
    let network = backbone::build(variables.root(), arch, 1000).unwrap();
    (variables, network)
}

fn load(arch: Arch, path: impl AsRef<Path>) -> Box<dyn Backbone> {
    let (variables, network) = build(arch);
    let report = Checkpoint::open(path).unwrap().apply(&variables.variables(), "", true).unwrap();
    assert_eq!(report.applied.len(), variables.variables().len());
    network
}

/// Pixels `[3, H, W]` as the network takes them.
fn input(pixels: &Tensor) -> Tensor {
    (pixels.to_kind(Kind::Float).unsqueeze(0) - 127.0) / 128.0
}

fn logits(network: &dyn Backbone, pixels: &Tensor) -> Tensor {
    no_grad(|| network.forward(&input(pixels), false)).squeeze_dim(0)
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[test]
fn logits_are_those_of_the_pytorch_package() {
    let golden = golden();
    for arch in LITE {
        let network = load(arch, pretrained(arch));
        let side = i64::from(arch.input_size());
        let square = golden["coffee"].narrow(1, 0, side).narrow(2, 0, side);
        for (photo, pixels) in [("coffee", &golden["coffee"]), ("chelsea", &golden["chelsea"]), ("square", &square)] {
            let expected = &golden[&format!("{photo}.{arch}")];
            let difference = largest_difference(&logits(&*network, pixels), expected);
            println!("{arch} on {photo}: logits differ by {difference:.1e}");
            assert!(difference < 1e-4, "{arch} on {photo}: logits differ by {difference}");
        }
    }
}

#[test]
fn the_bundled_f16_weights_stay_close_and_name_the_class() {
    let golden = golden();
    let network = load(Arch::EfficientNetLite0, file("assets/weights/efficientnet-lite0.safetensors"));
    for (photo, class) in [("coffee", "espresso"), ("chelsea", "Egyptian cat")] {
        let logits = logits(&*network, &golden[photo]);
        let difference = largest_difference(&logits, &golden[&format!("{photo}.efficientnet-lite0")]);
        println!("f16 on {photo}: logits differ by {difference:.1e}");
        assert!(difference < 0.05, "{photo}: logits differ by {difference}");
        let best = usize::try_from(logits.argmax(0, false).int64_value(&[])).unwrap();
        assert_eq!(imagenet_classes()[best], class);
    }
}

#[test]
fn stages_have_the_shapes_that_they_announce() {
    let blocks = [
        (Arch::EfficientNetLite0, [16, 24, 40, 80, 112, 192, 320], 16),
        (Arch::EfficientNetLite1, [16, 24, 40, 80, 112, 192, 320], 21),
        (Arch::EfficientNetLite2, [16, 24, 48, 88, 120, 208, 352], 21),
    ];
    for (arch, channels, count) in blocks {
        let (variables, network) = build(arch);
        let stages = network.stages();
        assert_eq!(stages.iter().map(|stage| stage.channels).collect::<Vec<_>>(), channels);
        assert_eq!(stages.iter().map(|stage| stage.stride).collect::<Vec<_>>(), [2, 4, 8, 16, 16, 32, 32]);
        let projections = variables.variables().keys().filter(|name| name.ends_with("_project_conv.weight")).count();
        assert_eq!(projections, count, "{arch}");

        let (height, width) = (95, 131);
        let _guard = tch::no_grad_guard();
        let mut xs = network.stem(&Tensor::zeros([2, 3, height, width], (Kind::Float, Device::Cpu)), false);
        assert_eq!(xs.size(), [2, 32, 48, 66]);
        for (index, stage) in network.stages().iter().enumerate() {
            assert_eq!(stage.name, format!("stage{}", index + 1));
            xs = network.stage(index, &xs, false);
            let cells = |size: i64| (size + stage.stride - 1) / stage.stride;
            assert_eq!(xs.size(), [2, stage.channels, cells(height), cells(width)], "{arch} {}", stage.name);
        }
        let features = network.head(&xs, false);
        assert_eq!(features.size(), [2, 1280, 3, 5]);
        assert_eq!(network.classify(&features, false).size(), [2, 1000]);
        assert_eq!(network.classifier_weight().unwrap().size(), [1000, 1280]);
        assert_eq!(network.head_channels(), 1280);
        assert_eq!(arch.stages(), network.stages());
    }
}

#[test]
fn training_uses_the_batch_and_moves_the_running_statistics() {
    let (variables, network) = build(Arch::EfficientNetLite0);
    let xs = Tensor::rand([3, 3, 20, 28], (Kind::Float, Device::Cpu));
    let out = network.stem(&xs, true);

    let named = variables.variables();
    let stem = xs.constant_pad_nd([0, 1, 0, 1]).conv2d(
        &named["_conv_stem.weight"],
        None::<&Tensor>,
        [2, 2],
        [0, 0],
        [1, 1],
        1,
    );
    let mean = stem.mean_dim([0_i64, 2, 3].as_slice(), true, Kind::Float);
    let variance = stem.var_dim([0_i64, 2, 3].as_slice(), false, true);
    let expected = ((&stem - &mean) / (variance + 1e-3).sqrt()).clamp(0.0, 6.0);
    assert!(largest_difference(&out, &expected) < 1e-4);
    assert!(largest_difference(&named["_bn0.running_mean"], &(mean.flatten(0, -1) * 0.01)) < 1e-6);

    // Every parameter has a gradient.
    let loss = network.forward(&xs, true).square().mean(Kind::Float);
    loss.backward();
    for (name, variable) in named {
        if variable.requires_grad() {
            assert!(variable.grad().defined(), "{name} has no gradient");
        }
    }
}

#[test]
fn backbones_go_by_their_names() {
    for arch in Arch::ALL {
        assert_eq!(arch.to_string().parse::<Arch>().unwrap(), arch);
        assert_eq!(serde_json::to_string(&arch).unwrap(), format!("\"{arch}\""));
    }
    let error = "resnet20".parse::<Arch>().unwrap_err().to_string();
    assert!(
        error.contains("resnet20") && error.contains("resnet18, resnet34") && error.contains("efficientnet-lite2"),
        "{error}"
    );
}

#[test]
fn there_are_a_thousand_classes() {
    let classes = imagenet_classes();
    assert_eq!(classes.len(), 1000);
    assert_eq!((classes[0], classes[967], classes[999]), ("tench", "espresso", "toilet tissue"));
    assert!(classes.iter().all(|name| !name.is_empty() && name.trim() == *name));
}
