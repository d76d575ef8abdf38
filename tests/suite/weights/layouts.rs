//! Which network a checkpoint is of: every code base's names and shapes, from its own code.

use super::*;
use crate::backbone::pretrained;
use cbam::attention::{Cbam, ChannelAttentionConfig, PoolOrder, SpatialAttentionConfig};
use cbam::backbone::Arch;
use cbam::weights::{Apply, AttentionKind, Layout, Recognised};
use proptest::prelude::*;
use tch::Device;
use tch::nn::VarStore;

/// The networks of the golden file: its name, and a line per tensor or BatchNorm.
fn networks() -> &'static BTreeMap<String, String> {
    static NETWORKS: std::sync::LazyLock<BTreeMap<String, String>> = std::sync::LazyLock::new(|| {
        let text = std::fs::read_to_string(file("tests/golden/layouts/layouts.txt")).unwrap();
        let network =
            |text: &str| text.split_once('\n').map(|(name, lines)| (name.to_owned(), lines.to_owned())).unwrap();
        text.split("= ").skip(1).map(network).collect()
    });
    &NETWORKS
}

pub(super) fn network(name: &str) -> Tensors {
    let mut tensors = Tensors::new();
    for line in networks()[name].lines() {
        let mut words = line.split(' ');
        let first = words.next().unwrap();
        let module = if first == "~" { words.next().unwrap() } else { first };
        let shape: Vec<i64> = words.map(|word| word.parse().unwrap()).collect();
        if first == "~" {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                tensors.insert(format!("{module}.{part}"), zeros(&shape));
            }
            tensors.insert(format!("{module}.num_batches_tracked"), StoredTensor::zeros(Dtype::I64, &[]).unwrap());
        } else {
            tensors.insert(module.to_owned(), zeros(&shape));
        }
    }
    tensors
}

fn recognise(tensors: Tensors) -> Result<Recognised, String> {
    Checkpoint::new(tensors, BTreeMap::new()).recognise().map_err(|error| error.to_string())
}

fn shapes(tensors: &Tensors) -> BTreeMap<&str, Vec<i64>> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor.shape().to_vec())).collect()
}

#[test]
fn every_network_is_recognised() {
    use Layout::{CaSa, Official, Pytorchcv, Timm, Torchvision};
    for (name, layout, summary) in [
        ("official cbam resnet18", Official, "resnet18, 1000 classes, cbam at 8 places, layer1.0 to layer4.1"),
        ("official cbam resnet50", Official, "resnet50, 1000 classes, cbam at 16 places, layer1.0 to layer4.2"),
        ("official no_spatial resnet34", Official, "resnet34, 7 classes, cbam at 16 places, layer1.0 to layer4.2"),
        ("official bam resnet50", Official, "resnet50, 1000 classes, bam at 3 places, layer1 to layer3"),
        ("casa fc resnet18", CaSa, "resnet18, 1000 classes, cbam at 8 places, layer1.0 to layer4.1"),
        ("casa fc12 resnet50", CaSa, "resnet50, 2 classes, cbam at 16 places, layer1.0 to layer4.2"),
        ("timm cbam resnet18", Timm, "resnet18, 10 classes, cbam at 8 places, layer1.0 to layer4.1"),
        ("timm cbam resnext50_32x4d", Timm, "resnext50_32x4d, 1000 classes, cbam at 16 places, layer1.0 to layer4.2"),
        ("timm se resnet18", Timm, "resnet18, 1000 classes, se at 8 places, layer1.0 to layer4.1"),
        ("timm eca resnet18", Timm, "resnet18, 1000 classes, eca at 8 places, layer1.0 to layer4.1"),
        ("pytorchcv cbam resnet18", Pytorchcv, "resnet18, 1000 classes, cbam at 8 places, layer1.0 to layer4.1"),
        ("pytorchcv cbam resnet50", Pytorchcv, "resnet50, 1000 classes, cbam at 16 places, layer1.0 to layer4.2"),
        ("pytorchcv bam resnet18", Pytorchcv, "resnet18, 1000 classes, bam at 3 places, layer1 to layer3"),
        ("pytorchcv se resnet18", Pytorchcv, "resnet18, 1000 classes, se at 8 places, layer1.0 to layer4.1"),
        ("torchvision none resnet18", Torchvision, "resnet18, 1000 classes"),
        ("torchvision none resnet34", Torchvision, "resnet34, 1000 classes"),
        ("torchvision none resnet50", Torchvision, "resnet50, 1000 classes"),
        ("torchvision none resnet152", Torchvision, "resnet152, 1000 classes"),
        ("torchvision none resnext50_32x4d", Torchvision, "resnext50_32x4d, 1000 classes"),
        ("torchvision none resnext101_32x8d", Torchvision, "resnext101_32x8d, 1000 classes"),
        ("torchvision none wide_resnet50_2", Torchvision, "wide_resnet50_2, 1000 classes"),
        ("torchvision none vgg11", Torchvision, "vgg11, 1000 classes"),
        ("torchvision none vgg13_bn", Torchvision, "vgg13_bn, 1000 classes"),
        ("torchvision none vgg16", Torchvision, "vgg16, 1000 classes"),
        ("torchvision none vgg19_bn", Torchvision, "vgg19_bn, 1000 classes"),
        ("torchvision none mobilenet_v2", Torchvision, "mobilenet_v2, 1000 classes"),
    ] {
        let tensors = network(name);
        let found = recognise(tensors).unwrap_or_else(|message| panic!("{name}: {message}"));
        assert_eq!((found.layout, found.to_string().as_str()), (layout, summary), "{name}");
        assert_eq!(found.width, if name.contains("mobilenet") { 32 } else { 64 });
    }
}

#[test]
fn the_official_networks_have_as_many_parameters_as_published() {
    for (name, parameters) in [
        ("official cbam resnet18", 11_779_392),
        ("official cbam resnet50", 28_089_624),
        ("official bam resnet50", 25_915_099),
    ] {
        let raw = Checkpoint::new(network(name), BTreeMap::new());
        let ours = Checkpoint::new(raw.recognise().unwrap().tensors, BTreeMap::new());
        assert_eq!((raw.parameters(), ours.parameters()), (parameters, parameters), "{name}");
    }
}

#[test]
fn the_configuration_of_every_layout_is_told() {
    let first = |name: &str| recognise(network(name)).unwrap().attention.remove(0);
    for (name, channels, reduction, bias, batch_norm, order) in [
        ("official cbam resnet18", 64, 16, true, true, PoolOrder::MaxMean),
        ("official cbam resnet50", 256, 16, true, true, PoolOrder::MaxMean),
        ("pytorchcv cbam resnet18", 64, 16, true, true, PoolOrder::MaxMean),
        ("timm cbam resnet18", 64, 16, false, true, PoolOrder::MeanMax),
        ("casa fc resnet18", 64, 16, false, false, PoolOrder::MeanMax),
        ("casa fc12 resnet50", 256, 16, false, false, PoolOrder::MeanMax),
    ] {
        let site = first(name);
        assert_eq!((site.site.as_str(), site.channels), ("layer1.0", channels), "{name}");
        let AttentionKind::Cbam(config) = site.kind else { panic!("{name}: {:?}", site.kind) };
        assert_eq!(
            config.channel,
            ChannelAttentionConfig::default().with_reduction(reduction).with_bias(bias),
            "{name}"
        );
        let spatial = SpatialAttentionConfig::default().with_batch_norm(batch_norm).with_order(order);
        assert_eq!(config.spatial, Some(spatial), "{name}");
    }
    let AttentionKind::Cbam(config) = first("official no_spatial resnet34").kind else { panic!() };
    assert_eq!(config.spatial, None);
    assert_eq!(first("official bam resnet50").kind, AttentionKind::Bam { reduction: 16 });
    assert_eq!(first("pytorchcv bam resnet18").kind, AttentionKind::Bam { reduction: 16 });
    assert_eq!(first("timm se resnet18").kind, AttentionKind::SqueezeExcite { reduction: 8, bias: true });
    assert_eq!(first("pytorchcv se resnet18").kind, AttentionKind::SqueezeExcite { reduction: 16, bias: true });
    assert_eq!(first("timm eca resnet18").kind, AttentionKind::Eca { kernel_size: 3 });
}

#[test]
fn all_layouts_of_one_network_get_the_same_names_and_shapes() {
    let official = recognise(network("official cbam resnet18")).unwrap().tensors;
    let names = shapes(&official);
    assert_eq!(names["backbone.layer2.0.downsample.1.running_var"], [128]);
    assert_eq!(names["attention.layer4_1.cbam.channel.fc1.weight"], [32, 512]);
    assert_eq!(names["attention.layer4_1.cbam.channel.fc2.bias"], [512]);
    assert_eq!(names["attention.layer1_0.cbam.spatial.conv.weight"], [1, 2, 7, 7]);
    assert_eq!(names["attention.layer1_0.cbam.spatial.bn.running_mean"], [1]);
    assert_eq!(names, shapes(&recognise(network("pytorchcv cbam resnet18")).unwrap().tensors));

    let mut ca_sa = names.clone();
    ca_sa.retain(|name, _| !name.contains("channel.fc1.bias") && !name.contains("channel.fc2.bias"));
    let mut timm = ca_sa.clone();
    timm.insert("backbone.fc.weight", vec![10, 512]);
    timm.insert("backbone.fc.bias", vec![10]);
    assert_eq!(timm, shapes(&recognise(network("timm cbam resnet18")).unwrap().tensors));
    ca_sa.retain(|name, _| !name.contains("spatial.bn."));
    assert_eq!(ca_sa, shapes(&recognise(network("casa fc resnet18")).unwrap().tensors));

    let plain = recognise(network("torchvision none resnet18")).unwrap().tensors;
    let backbone = names.iter().filter(|(name, _)| name.starts_with("backbone."));
    assert_eq!(backbone.map(|(name, shape)| (*name, shape.clone())).collect::<BTreeMap<_, _>>(), shapes(&plain));
    let bam = |name| {
        let tensors = recognise(network(name)).unwrap().tensors;
        tensors.into_keys().filter(|name| name.starts_with("attention.")).collect::<Vec<_>>()
    };
    assert_eq!(bam("official bam resnet50"), bam("pytorchcv bam resnet18"));
}

#[test]
fn values_keep_their_places() {
    let ramp = |shape: &[i64]| {
        let all = ndarray::Array1::from_iter((0..shape.iter().product::<i64>()).map(|number| number as f32));
        StoredTensor::from(all).reshape(shape).unwrap()
    };
    for (name, fc1, conv) in [
        ("official cbam resnet18", "layer1.1.cbam.ChannelGate.mlp.1", "layer1.1.cbam.SpatialGate.spatial.conv"),
        ("timm cbam resnet18", "layer1.1.se.channel.fc1", "layer1.1.se.spatial.conv.conv"),
        (
            "pytorchcv cbam resnet18",
            "features.stage1.unit2.cbam.ch_gate.mlp.fc1",
            "features.stage1.unit2.cbam.sp_gate.conv.conv",
        ),
        ("casa fc resnet18", "layer1.1.ca.fc.0", "layer1.1.sa.conv1"),
    ] {
        let mut tensors = network(name);
        for layer in [fc1, conv] {
            let tensor = tensors.get_mut(&format!("{layer}.weight")).unwrap();
            *tensor = ramp(tensor.shape());
        }
        let found = recognise(tensors).unwrap().tensors;
        assert!(found["attention.layer1_1.cbam.channel.fc1.weight"] == ramp(&[4, 64]), "{name}");
        assert!(found["attention.layer1_1.cbam.spatial.conv.weight"] == ramp(&[1, 2, 7, 7]), "{name}");
    }
}

/// The attention of a layout's first block, recognised and renamed, gives the gates that its own code gives.
#[test]
fn the_gates_of_every_layout_come_out() {
    const SITE: &str = "attention.layer1_0.cbam.";
    let golden = Checkpoint::open(file("tests/golden/layouts/gates.safetensors")).unwrap();
    let golden = cbam::weights::restore_all(&golden.tensors).unwrap();
    for (name, channel, spatial) in [
        ("official cbam resnet18", "layer1.0.cbam.ChannelGate.sigmoid", "layer1.0.cbam.SpatialGate.sigmoid"),
        ("casa fc resnet18", "layer1.0.ca.sigmoid", "layer1.0.sa.sigmoid"),
        ("timm cbam resnet18", "layer1.0.se.channel.gate", "layer1.0.se.spatial.gate"),
        (
            "pytorchcv cbam resnet18",
            "features.stage1.unit1.cbam.ch_gate.sigmoid",
            "features.stage1.unit1.cbam.sp_gate.sigmoid",
        ),
    ] {
        let ours = golden.iter().filter_map(|(key, tensor)| Some((key.strip_prefix(name)?.strip_prefix('|')?, tensor)));
        let ours: BTreeMap<&str, &Tensor> = ours.collect();
        let mut tensors = network(name);
        for (key, tensor) in &ours {
            if tensors.contains_key(*key) {
                tensors.insert((*key).to_owned(), store(tensor).unwrap());
            }
        }
        let found = recognise(tensors).unwrap();
        let AttentionKind::Cbam(config) = &found.attention[0].kind else { panic!("{name}") };
        let variables = VarStore::new(Device::Cpu);
        let cbam = Cbam::new(variables.root(), found.attention[0].channels, config).unwrap();
        let site =
            found.tensors.into_iter().filter_map(|(key, tensor)| Some((key.strip_prefix(SITE)?.to_owned(), tensor)));
        Checkpoint::new(site.collect(), BTreeMap::new()).apply(&variables.variables(), "", true).unwrap();

        let output = cbam.forward(ours["input"], false).unwrap();
        let close = |found: &Tensor, key: &str| {
            let expected = ours[format!("gate:{key}").as_str()];
            assert_eq!(found.squeeze_dim(0).size(), expected.size(), "{name} {key}");
            let difference = (found.squeeze_dim(0) - expected).abs().max().double_value(&[]);
            assert!(difference < 1e-5, "{name} {key}: {difference}");
        };
        close(&output.channel.gate, channel);
        close(&output.spatial.unwrap().gate, spatial);
    }
}

#[test]
fn the_published_efficientnets_are_recognised() {
    for (arch, entries) in
        [(Arch::EfficientNetLite0, 296), (Arch::EfficientNetLite1, 386), (Arch::EfficientNetLite2, 386)]
    {
        let checkpoint = Checkpoint::open(pretrained(arch)).unwrap();
        let found = checkpoint.recognise().unwrap();
        assert_eq!((found.layout, found.arch.clone()), (Layout::EfficientNetLite, arch.to_string()));
        assert_eq!((found.classes, found.width, found.attention.len()), (1000, 32, 0));
        let counters = checkpoint.tensors.keys().filter(|name| name.ends_with("num_batches_tracked")).count();
        assert_eq!(found.tensors.len(), entries - counters);
    }
}

/// A change to a network, and what must be said of it then.
type Change = (&'static str, fn(&mut Tensors), &'static str);

#[test]
fn what_stands_in_the_way_is_said() {
    fn nothing(_: &mut Tensors) {}
    const R18: &str = "official cbam resnet18";
    let changes: [Change; 19] = [
        ("timm lcbam resnet18", nothing, "layer1.0.se.spatial.conv.conv.weight [1, 1, 7, 7]: timm's light CBAM"),
        ("timm none resnet50d", nothing, "a stem of several convolutions (conv1.0.weight)"),
        ("torchvision none wide_resnet101_2", nothing, "[3, 4, 23, 3] bottlenecks of 1 groups, widened 2 times"),
        ("torchvision none densenet121", nothing, "its keys begin with classifier.bias, classifier.weight"),
        (
            R18,
            |t| t.extend([("fc.weight".into(), zeros(&[7, 2048])), ("fc.bias".into(), zeros(&[7]))]),
            "fc does not fit the 512 pooled features",
        ),
        (
            R18,
            |t| drop(t.insert("fc.weight".into(), zeros(&[7, 2048]))),
            "no part of it explains: fc.bias [1000], fc.weight [7, 2048]",
        ),
        (R18, |t| drop(t.remove("layer3.1.bn2.running_var")), "layer3.1.bn2.running_var is missing"),
        (R18, |t| drop(t.remove("layer4.1.conv1.weight")), "[2, 2, 2, 1] basic blocks"),
        (R18, |t| drop(t.insert("conv1.weight".into(), zeros(&[64, 3, 9, 9]))), "conv1.weight [64, 3, 9, 9]"),
        (R18, |t| drop(t.insert("conv1.weight".into(), zeros(&[64]))), "behind one convolution"),
        (
            R18,
            |t| drop(t.insert("ca.fc.0.weight".into(), zeros(&[4, 64, 1, 1]))),
            "neither CBAM, squeeze-and-excitation nor ECA, or no part of the network: ca.fc.0",
        ),
        (
            R18,
            |t| drop(t.insert("layer1.0.conv4.weight".into(), zeros(&[1]))),
            "SpatialGate.spatial.conv, layer1.0.conv4",
        ),
        (R18, |t| drop(t.remove("layer1.0.cbam.ChannelGate.mlp.3.weight")), "layer1.0: attention that is neither"),
        (
            R18,
            |t| drop(t.insert("layer1.0.cbam.ChannelGate.mlp.3.weight".into(), zeros(&[64, 5]))),
            "[64, 5] where [64, 4]",
        ),
        (
            R18,
            |t| drop(t.insert("layer1.0.cbam.ChannelGate.mlp.3.weight".into(), zeros(&[]))),
            "layer1.0: attention that is neither",
        ),
        (
            R18,
            |t| drop(t.insert("layer1.0.cbam.SpatialGate.spatial.conv.weight".into(), zeros(&[1, 2, 4, 4]))),
            "with an odd k",
        ),
        ("torchvision none vgg16", |t| drop(t.remove("features.28.weight")), "the places of no VGG"),
        (
            "torchvision none mobilenet_v2",
            |t| drop(t.remove("features.9.conv.2.weight")),
            "features.9.conv.2.weight is missing",
        ),
        (
            "pytorchcv cbam resnet18",
            |t| drop(t.insert("features.stage1.unit1.x".into(), zeros(&[1]))),
            "explains: features.stage1.unit1.x",
        ),
    ];
    for (name, change, said) in changes {
        let mut tensors = network(name);
        change(&mut tensors);
        match recognise(tensors) {
            Ok(found) => panic!("{name} is recognised as {found} where {said:?} stands in the way"),
            Err(message) => assert!(message.contains(said), "{said}: {message}"),
        }
    }
    assert!(recognise(Tensors::new()).is_err());
}

#[test]
fn another_reduction_is_told_by_the_hidden_width() {
    let change = |hidden: i64| {
        let mut tensors = network("official cbam resnet18");
        let [one, three] = [1, 3].map(|layer| format!("layer1.0.cbam.ChannelGate.mlp.{layer}"));
        tensors.insert(format!("{one}.weight"), zeros(&[hidden, 64]));
        tensors.insert(format!("{one}.bias"), zeros(&[hidden]));
        tensors.insert(format!("{three}.weight"), zeros(&[64, hidden]));
        recognise(tensors).map(|mut found| match found.attention.remove(0).kind {
            AttentionKind::Cbam(config) => config.channel.reduction,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!((change(4), change(8), change(5), change(1)), (Ok(16), Ok(8), Ok(12), Ok(64)));
    assert!(change(33).unwrap_err().contains("33 of 64 channels, which no whole reduction gives"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the names and shapes, a network is recognised or something stands in the way; nothing panics.
    #[test]
    fn damaged_names_and_shapes_do_no_harm(
        which: prop::sample::Index,
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4, prop::collection::vec(0..70_i64, 0..5)), 1..4),
    ) {
        let mut tensors = network(networks().keys().nth(which.index(networks().len())).unwrap());
        for (place, change, shape) in changes {
            let name = tensors.keys().nth(place.index(tensors.len())).unwrap().clone();
            match change {
                0 => drop(tensors.remove(&name)),
                1 => drop(tensors.insert(name + "x", zeros(&shape))),
                _ => drop(tensors.insert(name, zeros(&shape))),
            }
        }
        let _ = recognise(tensors);
    }
}
