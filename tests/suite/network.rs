//! The whole network: its attention starts as the identity, trained it knows pictures, and files bring it back.

mod detail;
mod inference;

use cbam::attention::PatchAttentionConfig;
use cbam::backbone::Arch;
use cbam::classes::imagenet_classes;
use cbam::maps::{MapName, Readout};
use cbam::model::Model;
use cbam::network::{Network, NetworkConfig, StageAttention};
use cbam::photo::{Geometry, ImageSize, Limits, open};
use cbam::weights::{Checkpoint, Precision, store_all};
use ndarray::{Array4, Axis};
use std::collections::BTreeMap;
use tch::{Device, Kind, Tensor};

fn picture(name: &str) -> std::path::PathBuf {
    crate::file("assets/images").join(name)
}

fn look(network: &Network, name: &str, queries: &[[f32; 2]]) -> (Readout, Geometry) {
    let photo = open(&picture(name), &Limits::default()).unwrap();
    let prepared = network.config().preprocess().apply(&photo).unwrap();
    let batch = prepared.pixels.view().insert_axis(Axis(0));
    (network.run(&batch, queries).unwrap().remove(0), prepared.geometry)
}

fn label(readout: &Readout) -> &'static str {
    let probabilities = readout.probabilities.iter().enumerate();
    imagenet_classes()[probabilities.max_by(|a, b| a.1.total_cmp(b.1)).unwrap().0]
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a - b).abs().max().double_value(&[])
}

#[test]
fn untrained_attention_changes_nothing() {
    let input = Tensor::randn([2, 3, 160, 224], (Kind::Float, Device::Cpu));
    let plain = Network::plain(Device::Cpu).unwrap();
    let attentive = Network::untrained(Device::Cpu).unwrap();
    tch::no_grad(|| {
        let plain = plain.forward(&input, false).unwrap();
        let attentive = attentive.forward(&input, false).unwrap();
        assert!(plain.attention.is_empty());
        assert_eq!(attentive.attention.len(), 3);
        let difference = largest_difference(&plain.logits, &attentive.logits);
        assert!(difference < 1e-4, "{difference}");
    });
}

#[test]
fn attention_stands_inside_stages_too() {
    let input = Tensor::randn([1, 3, 64, 96], (Kind::Float, Device::Cpu));
    let plain = Network::plain(Device::Cpu).unwrap();
    let untrained = NetworkConfig::attentive(Arch::EfficientNetLite0).attention.remove(0);
    let at = |stage: &str| StageAttention { stage: stage.to_owned(), patch: None, ..untrained.clone() };
    let sites = ["stage3.1", "stage4.expansion", "stage4.1", "stage4.2", "stage4"];
    let config = NetworkConfig { attention: sites.map(at).into(), ..plain.config().clone() };
    let network = Network::new(config.clone(), Device::Cpu).unwrap();
    let mut named = network.variables().variables();
    assert_eq!(named["attention.stage4_expansion.cbam.channel.fc1.weight"].size(), [240 / 8, 240]);
    assert_eq!(named["attention.stage4_2.cbam.channel.fc1.weight"].size(), [80 / 8, 80]);
    for (name, variable) in plain.variables().variables() {
        tch::no_grad(|| named.get_mut(&name).unwrap().copy_(&variable));
    }
    let run = || tch::no_grad(|| network.forward(&input, false).unwrap());
    let same = run();
    let expected = tch::no_grad(|| plain.forward(&input, false).unwrap()).logits;
    assert!(largest_difference(&same.logits, &expected) < 1e-4, "the identity changes nothing");
    let found: Vec<_> = same.attention.iter().map(|block| block.stage.as_str()).collect();
    assert_eq!(found, sites);
    let grids: Vec<_> = same.attention.iter().map(|block| block.spatial.as_ref().unwrap().gate.size()).collect();
    assert_eq!(grids, [[1, 8, 12], [1, 8, 12], [1, 4, 6], [1, 4, 6], [1, 4, 6]]);
    // A gate inside closes a branch: the block hands on its input alone, so its weights do not matter.
    let bias = named.get_mut("attention.stage4_1.cbam.channel.fc2.bias").unwrap();
    let _closed = tch::no_grad(|| bias.fill_(-200.0));
    let closed = run().logits;
    assert!(largest_difference(&closed, &expected) > 1e-2);
    let blocks = named.iter_mut().filter(|(name, _)| name.starts_with("backbone._blocks.6.")); // stage4's second
    tch::no_grad(|| blocks.for_each(|(_, variable)| drop(variable.fill_(0.5))));
    assert!(largest_difference(&run().logits, &closed) < 1e-4);

    let error = |sites: [&str; 2]| {
        let attention = sites.map(at).into();
        Network::new(NetworkConfig { attention, ..config.clone() }, Device::Cpu).unwrap_err().to_string()
    };
    assert!(error(["stage4", "stage4.2"]).contains("is not behind"));
    assert!(error(["stage4.2", "stage4.1"]).contains("is not behind"));
    let unknown = error(["stage4.0", "stage5"]); // the first block of a stage adds nothing to its input
    assert!(unknown.contains("stage4.0") && unknown.contains("stage4.expansion, stage4.1, stage4.2"), "{unknown}");
}

#[test]
fn a_run_may_be_taken_up_at_any_place() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    let input = Tensor::randn([2, 3, 64, 96], (Kind::Float, Device::Cpu));
    tch::no_grad(|| {
        let whole = network.forward(&input, false).unwrap();
        let places: Vec<_> = network.places().into_iter().map(str::to_owned).collect();
        assert_eq!((places.len(), places[4].as_str(), places[7].as_str()), (8, "stage5", "head"));
        for name in places {
            let place = network.place(Some(&name)).unwrap();
            let features = network.features_at(place, &input).unwrap();
            let logits = network.logits_from(place, &features).unwrap();
            assert!(largest_difference(&logits, &whole.logits) < 1e-4, "{name}");
            // Other features, another answer: the rest hangs on them alone.
            let logits = network.logits_from(place, &(features * 0.5)).unwrap();
            assert!(largest_difference(&logits, &whole.logits) > 1e-2, "{name}");
        }
        let head = network.place(None).unwrap();
        assert!(network.features_at(head, &input).unwrap().equal(&network.backbone().head_activation(&whole.features)));
        let error = network.logits_from(head, &Tensor::zeros([1, 320, 2, 3], (Kind::Float, Device::Cpu))).unwrap_err();
        assert!(error.to_string().contains("1280"), "{error}");
        let error = network.place(Some("stage8")).unwrap_err().to_string();
        assert!(error.contains("stage8") && error.contains("stage7, head"), "{error}");
        assert!(network.features_at(head, &input.get(0)).is_err());
    });
}

#[test]
fn several_patch_attentions_roll_out_on_the_grid_of_the_first() {
    let patch = |size| PatchAttentionConfig { patch_size: size, heads: 2, head_dim: 8 };
    let with = |blocks: &[(&str, i64)]| {
        let attention = blocks.iter().map(|(stage, size)| StageAttention::at(*stage).with_patch(patch(*size)));
        let config = NetworkConfig { attention: attention.collect(), ..NetworkConfig::plain(Arch::EfficientNetLite0) };
        Network::new(config, Device::Cpu).unwrap()
    };
    let geometry = |size| Geometry::whole(size, size);
    let batch = Array4::from_shape_fn((2, 3, 64, 96), |(n, c, y, x)| ((n + c + y * x) % 7) as f32 / 7.0);
    for (blocks, rolls) in [
        (&[("stage4", 1), ("stage5", 1)][..], true),
        (&[("stage3", 2), ("stage4", 1), ("stage5", 1)], true),
        (&[("stage4", 1), ("stage5", 2)], true),
        (&[("stage5", 1)], false),
    ] {
        let network = with(blocks);
        let readout = network.run(&batch.view(), &[]).unwrap().remove(1);
        assert_eq!(network.describe().maps.contains(&MapName::Rollout), rolls, "{blocks:?}");
        let map = readout.map(&MapName::Rollout, &geometry(ImageSize::new(96, 64)));
        match map {
            Ok(map) if rolls => {
                assert_eq!(map.values().dim(), (4, 6));
                assert!((map.values().mean().unwrap() - 1.0).abs() < 1e-4, "uniform attention is 1");
            }
            Err(error) if !rolls => assert!(error.to_string().contains("two or more"), "{error}"),
            other => panic!("{blocks:?}: {other:?}"),
        }
    }
}

#[test]
fn the_bundled_network_knows_its_pictures_and_its_maps_are_maps() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    let (coffee, geometry) = look(&network, "coffee.jpg", &[[0.1, 0.9]]);
    assert_eq!(label(&coffee), "espresso");
    let (cat, _) = look(&network, "chelsea.jpg", &[]);
    assert!(["tabby", "tiger cat", "Egyptian cat"].contains(&label(&cat)), "{}", label(&cat));

    assert!((coffee.probabilities.sum() - 1.0).abs() < 1e-5);
    let stages: Vec<_> = coffee.gates.iter().map(|gate| gate.stage.as_str()).collect();
    assert_eq!(stages, ["stage5", "stage6.expansion", "stage7"]);
    let rows = geometry.network.height as usize / 16;
    let columns = geometry.network.width as usize / 16;
    assert_ne!(rows, columns);
    for (gate, shrink) in coffee.gates.iter().zip([1, 1, 2]) {
        let spatial = gate.spatial.as_ref().unwrap();
        assert_eq!(spatial.dim(), (rows / shrink, columns / shrink));
        assert!(spatial.iter().chain(&gate.channel).all(|value| (0.0..=1.0).contains(value)));
        assert!(spatial.iter().any(|value| (value - spatial[[0, 0]]).abs() > 1e-3), "a trained gate is not flat");
    }
    let patch = &coffee.patches[0];
    assert_eq!(patch.received.dim(), (4, rows, columns));
    for head in patch.received.outer_iter() {
        assert!((head.mean().unwrap() - 1.0).abs() < 1e-4, "uniform attention is 1");
    }
    let row = &patch.rows[0].weights;
    assert_eq!(row.dim(), (rows, columns));
    assert!((row.mean().unwrap() - 1.0).abs() < 1e-4);
    assert!(coffee.map(&MapName::Fused, &geometry).unwrap().values().iter().all(|&value| value >= 0.0));
}

#[test]
fn pictures_of_a_batch_do_not_mix() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    let batch = Tensor::randn([2, 3, 96, 160], (Kind::Float, Device::Cpu));
    let values = Vec::<f32>::try_from(batch.flatten(0, -1)).unwrap();
    let batch = ndarray::Array4::from_shape_vec((2, 3, 96, 160), values).unwrap();
    let both = network.run(&batch.view(), &[]).unwrap();
    for (i, together) in both.iter().enumerate() {
        let alone = network.run(&batch.slice(ndarray::s![i..=i, .., .., ..]), &[]).unwrap().remove(0);
        let difference = (&together.probabilities - &alone.probabilities).mapv(f32::abs).sum();
        assert!(difference < 1e-4, "{difference}");
    }
}

#[test]
fn queries_outside_the_picture_or_without_patches_are_refused() {
    let batch = ndarray::Array4::zeros((1, 3, 64, 96));
    let network = Network::pretrained(Device::Cpu).unwrap();
    for query in [[1.0, 0.5], [-0.1, 0.5], [f32::NAN, 0.5]] {
        let error = network.run(&batch.view(), &[query]).unwrap_err().to_string();
        assert!(error.starts_with("patch@X,Y: "), "{error}");
    }
    let plain = Network::plain(Device::Cpu).unwrap();
    assert!(plain.run(&batch.view(), &[[0.5, 0.5]]).is_err());
    assert!(plain.run(&batch.view(), &[]).unwrap()[0].patches.is_empty());
}

#[test]
fn a_batch_of_another_shape_is_an_error() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    for shape in [[1, 4, 64, 64], [1, 1, 64, 64], [1, 3, 0, 64]] {
        let error = network.forward(&Tensor::zeros(shape, (Kind::Float, Device::Cpu)), false).unwrap_err();
        assert!(error.to_string().contains("[N, 3, H, W]"), "{error}");
    }
}

#[test]
fn a_stage_that_is_not_there_is_an_error() {
    let behind = "is not behind";
    for (stages, part) in
        [(vec!["stage9"], "stage1, stage2"), (vec!["stage5", "stage3"], behind), (vec!["stage5", "stage5"], behind)]
    {
        let attention = stages.into_iter().map(StageAttention::at).collect();
        let config = NetworkConfig { attention, ..NetworkConfig::plain(Arch::EfficientNetLite0) };
        let error = Network::new(config, Device::Cpu).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_picture_too_large_for_the_patch_attention_is_refused() {
    let network = Network::pretrained(Device::Cpu).unwrap();
    let error = network.run(&ndarray::Array4::zeros((1, 3, 2048, 2048)).view(), &[]).unwrap_err().to_string();
    assert!(error.starts_with("size: ") && error.contains("2048x2048"), "{error}");
}

#[test]
fn a_number_of_classes_that_cannot_be_is_an_error() {
    for classes in [i64::MIN, -1, i64::MAX] {
        let config = NetworkConfig { classes, ..NetworkConfig::plain(Arch::EfficientNetLite0) };
        assert!(Network::new(config, Device::Cpu).unwrap_err().to_string().contains("classes"));
    }
}

#[test]
fn a_saved_network_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let notes = BTreeMap::from([("made_by".to_owned(), "a test".to_owned())]);
    let input = Tensor::randn([1, 3, 64, 96], (Kind::Float, Device::Cpu));
    let bundled = Network::pretrained(Device::Cpu).unwrap();
    let attentive = NetworkConfig { classes: 10, ..NetworkConfig::attentive(Arch::EfficientNetLite1) };
    let other = Network::new(attentive, Device::Cpu).unwrap();
    for (network, least, most) in [(bundled, 1 << 15, 1 << 20), (other, 1 << 22, 1 << 26)] {
        let path = folder.path().join("network.safetensors");
        network.save(&path, &notes).unwrap();
        let size = std::fs::metadata(&path).unwrap().len();
        assert!((least..most).contains(&size), "{size}: the bundled backbone is not written again");
        let back = Network::open(&path, Device::Cpu).unwrap();
        assert_eq!(back.config(), network.config());
        tch::no_grad(|| {
            let (a, b) = (network.forward(&input, false).unwrap(), back.forward(&input, false).unwrap());
            assert_eq!(largest_difference(&a.logits, &b.logits), 0.0);
        });
    }
}

#[test]
fn a_file_may_be_taken_for_a_backbone_and_says_what_it_has_no_use_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("more.safetensors");
    let config = NetworkConfig { classes: 3, ..NetworkConfig::plain(Arch::ResNet18) };
    let variables = Network::new(config, Device::Cpu).unwrap().variables().variables();
    let strip = |(name, value): (String, Tensor)| (name.strip_prefix("backbone.").unwrap().to_owned(), value);
    let mut tensors: BTreeMap<_, _> = variables.into_iter().map(strip).collect();
    let save = |tensors: &BTreeMap<String, Tensor>| {
        let stored = store_all(tensors.iter().map(|(name, value)| (name.clone(), value))).unwrap();
        Checkpoint::new(stored, BTreeMap::new()).save(&path, Precision::Keep).unwrap();
    };
    save(&tensors);
    assert_eq!(Network::open(&path, Device::Cpu).unwrap().config().arch, Arch::ResNet18);
    tensors.insert("auxiliary.weight".to_owned(), Tensor::ones([2, 2], (Kind::Float, Device::Cpu)));
    save(&tensors);
    let error = Network::open(&path, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("auxiliary.weight"), "{error}");
    let (network, report) = Network::open_as(&path, Arch::ResNet18, Device::Cpu).unwrap();
    assert_eq!((network.config().classes, report.unused), (3, vec!["auxiliary.weight".to_owned()]));
    let error = Network::open_as(&path, Arch::ResNet34, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("resnet18, not of resnet34"), "{error}");
    let error = Network::open_as(&path, Arch::Vgg11, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("more.safetensors") && error.contains("resnet18, not of vgg11"), "{error}");
}

#[test]
fn weights_of_no_known_network_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.safetensors");
    let tensors = BTreeMap::from([("weight".to_owned(), Tensor::ones([2], (Kind::Float, Device::Cpu)))]);
    Checkpoint::new(store_all(tensors).unwrap(), BTreeMap::new()).save(&path, Precision::Keep).unwrap();
    let error = Network::open(&path, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("other.safetensors") && error.contains("EfficientNet-Lite"), "{error}");
}
