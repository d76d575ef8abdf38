//! What names and shapes leave open: said where it is taken for granted, refused where it cannot be.

use super::answers::{tensors, written};
use super::*;
use cbam::backbone::{Arch, StrideIn};
use cbam::network::{Network, OpenOptions, Opened};
use tch::{Device, Kind};

fn opened(tensors: Tensors) -> cbam::Result<Opened> {
    Network::open_with(written(tensors).1, &OpenOptions::default(), Device::Cpu)
}

/// The message with which a network is refused.
#[track_caller]
fn refused(tensors: Tensors) -> String {
    let (_folder, path) = written(tensors);
    match Network::open(path, Device::Cpu) {
        Ok(network) => panic!("opens: {:?}", network.config()),
        Err(error) => error.to_string(),
    }
}

/// What opening a network takes for granted.
#[track_caller]
fn assumed(tensors: Tensors) -> String {
    let found = Checkpoint::new(tensors, BTreeMap::new()).recognise().unwrap();
    let said = |otherwise| Some(format!("else {otherwise:?}"));
    found.assumptions.iter().map(|assumption| assumption.said_with(&said)).collect::<Vec<_>>().join("; ")
}

fn renamed(name: &str, rename: impl Fn(&str) -> String) -> Tensors {
    tensors(name).into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect()
}

/// A BatchNorm of `channels` under `name`.
fn norm(tensors: &mut Tensors, name: &str, channels: i64) {
    for part in ["weight", "bias", "running_mean", "running_var"] {
        tensors.insert(format!("{name}.{part}"), zeros(&[channels]));
    }
}

#[test]
fn a_norm_of_a_head_that_fits_in_two_places_is_refused() {
    let mut twice = tensors("head beside");
    for (name, shape) in [("fc1", [512, 512]), ("fc2", [9, 512])] {
        twice.insert(format!("{name}.weight"), zeros(&shape));
        twice.insert(format!("{name}.bias"), zeros(&shape[..1]));
    }
    norm(&mut twice, "bn2", 512);
    let message = refused(twice);
    assert!(message.contains("bn1, a BatchNorm of 512, fits in 2 places"), "{message}");
    let mut same = tensors("head beside");
    norm(&mut same, "bn3", 40);
    assert!(refused(same).contains("bn2 and bn3, two BatchNorms that fit in the same place"));
    let mut before = tensors("mmpretrain");
    norm(&mut before, "neck", 512);
    assert!(refused(before).contains("neck, a BatchNorm that may stand before the classifier"));
    let mut behind = tensors("mmpretrain");
    norm(&mut behind, "calibration", 9);
    assert!(refused(behind).contains("calibration.weight [9]"));
}

#[test]
fn a_shortcut_with_room_for_a_pooling_is_refused() {
    let pooled = renamed("grey", |name| {
        name.replace("layer2.0.downsample.1.", "layer2.0.downsample.2.")
            .replace("layer2.0.downsample.0.", "layer2.0.downsample.1.")
    });
    let message = refused(pooled);
    assert!(
        message.contains("layer2.0.downsample.1, layer2.0.downsample.2") && message.contains("average pooling?"),
        "{message}"
    );
    let apart = renamed("grey", |name| name.replace("layer2.0.downsample.1.", "layer2.0.downsample.3."));
    assert!(refused(apart).contains("average pooling?"));
    let words =
        renamed("grey", |name| name.replace("downsample.0.", "short.conv.").replace("downsample.1.", "short.bn."));
    opened(words).unwrap();
}

#[test]
fn only_a_whole_signature_silences_an_assumption() {
    const STRIDE: &str = "stride in the 3×3 convolution";
    let timm = super::layouts::network("timm cbam resnet18");
    let said = assumed(timm);
    assert!(!said.contains("spatial gates see") && !said.contains("pools mean and maximum"), "{said}");
    // Somebody's own squeeze-and-excitation in bottlenecks, called as timm's.
    let mut own = super::layouts::network("torchvision none resnet50");
    for (block, channels) in [("layer1.0", 256), ("layer1.1", 256), ("layer2.0", 512)] {
        for (layer, shape) in [("fc1", [channels / 16, channels]), ("fc2", [channels, channels / 16])] {
            own.insert(format!("{block}.se.{layer}.weight"), zeros(&[shape[0], shape[1], 1, 1]));
            own.insert(format!("{block}.se.{layer}.bias"), zeros(&shape[..1]));
        }
    }
    let said = assumed(own);
    assert!(said.contains(STRIDE) && said.contains("else StrideIn(First)"), "{said}");
    // And with a spatial gate beside it.
    let said = assumed(tensors("se then spatial"));
    assert!(said.contains("else PoolOrder(MaxMean)") && said.contains("pools the mean alone"), "{said}");
    // The outermost name decides.
    let inner = renamed("cbam conv bias", |name| name.replace(".ca.fc.", ".ca.se."));
    assert!(assumed(inner).contains("a channel gate pools mean and maximum"));
    let said = assumed(tensors("eca of its authors"));
    assert!(said.contains("ECA pads the channels with zeros"), "{said}");
}

#[test]
fn what_no_option_decides_is_said_once_of_every_network() {
    for (name, said) in [
        (
            "cbam official",
            "all else as torchvision's resnet18: ReLU, stages that halve by a strided convolution, gates before the \
                           addition, pictures of 224 less ImageNet's mean (else Input)",
        ),
        (
            "encoder",
            "all else as torchvision's resnet18: ReLU, stages that halve by a strided convolution, pictures of 224",
        ),
        ("grey", "pictures of 224 from 0 to 1, less 0.449, over 0.226"),
        ("vgg two layers", "all else as torchvision's vgg11: ReLU, pictures of 224 less ImageNet's mean"),
        (
            "timm tf_efficientnet_lite0",
            "all else as the published efficientnet-lite0: ReLU6, pictures of 224 scaled to ±1",
        ),
    ] {
        let found = assumed(tensors(name));
        assert_eq!((found.matches("all else").count(), found.matches(said).count()), (1, 1), "{name}: {found}");
    }
    // Of the published one its names say it all.
    assert_eq!(
        Checkpoint::open(crate::backbone::pretrained(Arch::EfficientNetLite0))
            .unwrap()
            .recognise()
            .unwrap()
            .assumptions,
        []
    );
    // How pictures are taken is said once.
    let mut grey = tensors("timm tf_efficientnet_lite0");
    grey.insert("conv_stem.weight".to_owned(), zeros(&[32, 1, 3, 3]));
    let said = assumed(grey);
    assert!(said.contains("grey pictures") && said.contains("less 0.449") && !said.contains("±1"), "{said}");
}

#[test]
fn gates_under_a_stage_are_said_to_stand_behind_it() {
    let named = renamed("behind every stage", |name| name.replace("cbam2.", "layer2.cbam."));
    let said = assumed(named);
    assert!(said.contains("layer2.cbam.ca.fc.0 stands behind layer2"), "{said}");
}

#[test]
fn a_vgg_opens_without_its_classifier() {
    let body = |name: &str| {
        let tensors = super::layouts::network(name).into_iter().filter(|(name, _)| name.starts_with("features."));
        tensors.collect::<Tensors>()
    };
    for name in
        ["torchvision none vgg11", "torchvision none vgg13_bn", "torchvision none vgg16", "torchvision none vgg19_bn"]
    {
        let network = opened(body(name)).unwrap().network;
        assert_eq!(network.config().classes, 0, "{name}");
    }
    let mut other = body("torchvision none vgg16");
    other.insert("classifier.weight".to_owned(), zeros(&[10, 512]));
    other.insert("classifier.bias".to_owned(), zeros(&[10]));
    let (_folder, path) = written(other);
    assert!(Network::open(&path, Device::Cpu).unwrap_err().to_string().contains("25088 pooled features"));
    let (network, report) = Network::open_as(&path, Arch::Vgg16, Device::Cpu).unwrap();
    assert_eq!(
        (network.config().classes, report.unused),
        (0, vec!["classifier.bias".to_owned(), "classifier.weight".to_owned()])
    );
}

#[test]
fn the_legacy_networks_that_are_not_known_are_refused_by_name() {
    let basic = renamed("se of its authors", |name| match name {
        "conv1.weight" => "layer0.conv1.weight".to_owned(),
        stem if stem.starts_with("bn1.") => format!("layer0.{stem}"),
        other => other.replace("se.fc.0.", "se_module.fc1.").replace("se.fc.2.", "se_module.fc2."),
    });
    assert!(refused(basic).contains("legacy_seresnet18, whose blocks have a ReLU before their gates"));
    let mut options = OpenOptions::default();
    let (_folder, path) = written(tensors("timm legacy_seresnet50"));
    options.stride_in = Some(StrideIn::Middle);
    let opened = Network::open_with(&path, &options, Device::Cpu).unwrap();
    assert_eq!(opened.network.config().variant.stride_in, StrideIn::Middle);
    assert!(opened.network.config().variant.stem.unpadded);
}

#[test]
fn integers_are_no_weights() {
    for (network, name) in [("grey", "conv1.weight"), ("head mlp", "fc.0.weight"), ("head beside", "bn1.weight")] {
        let mut tensors = tensors(network);
        let quantised = store(&restore(&tensors[name]).unwrap().to_kind(Kind::Int8)).unwrap();
        tensors.insert(name.to_owned(), quantised);
        let message = refused(tensors);
        assert!(message.contains(&format!("{name} holds i8")), "{message}");
    }
}

#[test]
fn two_names_that_are_one_without_their_prefix_are_refused() {
    let mut both = BTreeMap::new();
    for name in ["module.student.fc.weight", "student.fc.weight", "teacher.fc.weight"] {
        both.insert(name.to_owned(), zeros(&[2, 2]));
    }
    let (_folder, path) = written(both);
    let read = |part: &str| Checkpoint::open_with(&path, &cbam::weights::ReadOptions::default().with_part(part));
    let message = read("student").unwrap_err().to_string();
    assert!(message.contains("several tensors are called \"fc.weight\""), "{message}");
    assert_eq!(read("teacher").unwrap().tensors.len(), 1);
}

/// Names that look like many networks, at many depths, cost no more than reading them.
#[test]
fn many_candidates_for_a_network_take_no_minutes() {
    let mut tensors = BTreeMap::new();
    for parent in 0..1500 {
        for stage in 1..=4 {
            for conv in ["conv1", "conv2"] {
                tensors.insert(format!("a{parent}.layer{stage}.0.{conv}.weight"), zeros(&[64, 64, 3, 3]));
            }
        }
        tensors.insert(format!("stem{parent}.weight"), zeros(&[64, 3, 7, 7]));
        tensors.insert(format!("x{parent}.features.0.weight"), zeros(&[64, 3, 3, 3]));
    }
    let start = std::time::Instant::now();
    Checkpoint::new(tensors, BTreeMap::new()).recognise().unwrap_err();
    assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
}

#[test]
fn a_file_of_more_tensors_than_any_network_has_is_refused() {
    let header: String = (0..70_000)
        .map(|number| format!("\"{number}\":{{\"dtype\":\"F32\",\"shape\":[0],\"data_offsets\":[0,0]}}"))
        .collect::<Vec<_>>()
        .join(",");
    let header = format!("{{{header}}}");
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.bytes());
    assert!(refusal(&bytes).contains("70000 tensors"));
}
