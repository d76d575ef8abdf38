//! The whole network: its attention starts as the identity, trained it knows pictures, and files bring it back.

use cbam::attention::PatchAttentionConfig;
use cbam::backbone::Arch;
use cbam::maps::{MapName, Readout};
use cbam::network::{Network, NetworkConfig, StageAttention};
use cbam::photo::{Geometry, ImageSize, Limits, open};
use cbam::pipeline::Inspect;
use cbam::weights::{Checkpoint, Precision, imagenet_classes};
use image::imageops::FilterType;
use ndarray::{Array4, Axis};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
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
    let geometry = |size| Geometry { picture: size, network: size };
    let batch = Array4::from_shape_fn((2, 3, 64, 96), |(n, c, y, x)| ((n + c + y * x) % 7) as f32 / 7.0);
    for (blocks, rolls) in [
        (&[("stage4", 1), ("stage5", 1)][..], true),
        (&[("stage3", 2), ("stage4", 1), ("stage5", 1)], true),
        (&[("stage4", 1), ("stage5", 2)], true),
        (&[("stage5", 1)], false),
    ] {
        let network = with(blocks);
        let readout = network.run(&batch.view(), &[]).unwrap().remove(1);
        assert_eq!(Inspect::map_names(&network).contains(&MapName::Rollout), rolls, "{blocks:?}");
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
        let copy = tensors.iter().map(|(name, value)| (name.clone(), value.shallow_clone())).collect();
        Checkpoint::new(copy, BTreeMap::new()).save(&path, Precision::Keep).unwrap();
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
    Checkpoint::new(tensors, BTreeMap::new()).save(&path, Precision::Keep).unwrap();
    let error = Network::open(&path, Device::Cpu).unwrap_err().to_string();
    assert!(error.contains("other.safetensors") && error.contains("EfficientNet-Lite"), "{error}");
}

/// Asserts that two networks say the same about `input`, logits and every map.
fn assert_agree(plain: &Network, fast: &Network, input: &Tensor, tolerance: f64) {
    let (plain, fast) = tch::no_grad(|| (plain.forward(input, false).unwrap(), fast.forward(input, false).unwrap()));
    let close = |name: &str, a: &Tensor, b: &Tensor| {
        let scale = a.abs().max().double_value(&[]).max(1.0);
        let off = largest_difference(a, b) / scale;
        assert!(off <= tolerance, "{name} of {:?}: {off} off", input.size());
    };
    close("logits", &plain.logits, &fast.logits);
    close("features", &plain.features, &fast.features);
    assert_eq!(plain.attention.len(), fast.attention.len());
    for (a, b) in plain.attention.iter().zip(&fast.attention) {
        assert_eq!(a.stage, b.stage);
        for (a, b) in [(&a.channel, &b.channel), (&a.spatial, &b.spatial)] {
            let (Some(a), Some(b)) = (a, b) else {
                assert!(a.is_none() && b.is_none());
                continue;
            };
            close("gate", &a.gate, &b.gate);
            close("gate's logits", &a.logits, &b.logits);
        }
        assert_eq!(a.patch.is_some(), b.patch.is_some());
        if let (Some(a), Some(b)) = (&a.patch, &b.patch) {
            assert_eq!(a.grid, b.grid);
            close("patch weights", &a.weights, &b.weights);
        }
    }
}

#[test]
fn the_form_for_inference_says_the_same_of_photos() {
    let (plain, fast) =
        (Network::pretrained(Device::Cpu).unwrap(), Network::pretrained(Device::Cpu).unwrap().for_inference());
    let sizes = [(224, 288), (256, 224), (96, 160)];
    for (name, (height, width)) in ["chelsea.jpg", "coffee.jpg", "rocket.jpg"].into_iter().zip(sizes) {
        let photo = open(&picture(name), &Limits::default()).unwrap();
        let prepared = plain.config().preprocess().apply(&photo).unwrap();
        let batch = prepared.pixels.view().insert_axis(Axis(0));
        let input = plain.input(&batch).unwrap().upsample_bilinear2d([height, width], false, None, None);
        assert_agree(&plain, &fast, &input, 1e-4);
        assert_agree(&plain, &fast, &Tensor::cat(&[&input, &input.flip([3])], 0), 1e-4);
        let (plain, fast) = (plain.run(&batch, &[[0.4, 0.6]]).unwrap(), fast.run(&batch, &[[0.4, 0.6]]).unwrap());
        for name in ["fused", "gradcam", "spatial", "patch", "patch:2", "rollout", "spatial:stage6.expansion"] {
            let name: MapName = name.parse().unwrap();
            let maps = [&plain[0], &fast[0]].map(|readout| readout.map(&name, &prepared.geometry).unwrap());
            let span = maps[0].statistics().max - maps[0].statistics().min;
            let off = (maps[0].values() - maps[1].values()).iter().fold(0.0f32, |most, off| most.max(off.abs()));
            assert!(off <= 1e-4 * span.max(1.0), "{name}: {off} off, of {span}");
        }
    }
}

#[test]
fn a_batch_says_of_each_picture_what_it_says_of_it_alone() {
    let (plain, fast) =
        (Network::pretrained(Device::Cpu).unwrap(), Network::pretrained(Device::Cpu).unwrap().for_inference());
    tch::set_num_threads(1); // else the batch is not taken apart
    let queries = [[0.4, 0.6]];
    let pictures = ["chelsea.jpg", "coffee.jpg", "rocket.jpg"].map(|name| {
        let photo = open(&picture(name), &Limits::default()).unwrap();
        plain.config().preprocess().apply(&photo.image.resize_exact(300, 200, FilterType::Triangle).into()).unwrap()
    });
    let alone = pictures
        .each_ref()
        .map(|picture| plain.run(&picture.pixels.view().insert_axis(Axis(0)), &queries).unwrap().remove(0));
    let indices: Vec<_> = (0..3).cycle().take(2 * rayon::current_num_threads() + 1).collect();
    let views: Vec<_> = indices.iter().map(|&index| pictures[index].pixels.view()).collect();
    let planes = ndarray::stack(Axis(0), &views).unwrap();
    let together = planes.view().permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned();
    for batch in [planes.view(), together.view().permuted_axes([0, 3, 1, 2])] {
        let readouts = fast.run(&batch, &queries).unwrap();
        assert_eq!(readouts.len(), indices.len());
        for (&index, readout) in indices.iter().zip(readouts) {
            let (alone, geometry) = (&alone[index], &pictures[index].geometry);
            for (a, b) in readout.probabilities.iter().zip(&alone.probabilities) {
                assert!((a - b).abs() <= 1e-5, "{a} {b}");
            }
            for name in alone.map_names() {
                let [map, expected] = [&readout, alone].map(|readout| readout.map(&name, geometry).unwrap());
                let span = expected.statistics().max.max(1.0);
                for (a, b) in map.values().iter().zip(expected.values()) {
                    assert!((a - b).abs() <= 1e-4 * span, "{name}: {a} {b}");
                }
            }
        }
    }
}

/// `size` values around 0, of this deviation. Of a generator of one's own: libtorch's is shared by every test that runs at the time.
fn normal(random: &mut ChaCha8Rng, size: &[i64], deviation: f32) -> Tensor {
    let normal = Normal::new(0.0, deviation).unwrap();
    let values: Vec<f32> = normal.sample_iter(random).take(size.iter().product::<i64>() as usize).collect();
    Tensor::from_slice(&values).reshape(size)
}

/// Sets weights as a network starts with them, biases near 0, and BatchNorm's statistics to those of its input, as training leaves
/// them: without, activations grow from block to block until gates saturate and every rounding counts.
fn settle(network: &mut Network, random: &mut ChaCha8Rng) {
    let variables: BTreeMap<_, _> = network.variables().variables().into_iter().collect();
    tch::no_grad(|| {
        for (name, variable) in &variables {
            let size = variable.size();
            let values = match size.get(1..) {
                Some(inputs @ [_, ..]) => normal(random, &size, (2.0 / inputs.iter().product::<i64>() as f32).sqrt()),
                _ if name.contains("running_") => Tensor::zeros(&size, (Kind::Float, Device::Cpu)),
                _ if name.ends_with("weight") => normal(random, &size, 0.1) + 0.5,
                _ => normal(random, &size, 0.1),
            };
            variable.shallow_clone().copy_(&values);
        }
        network.train_backbone(true);
        network.forward(&normal(random, &[4, 3, 96, 96], 1.0), true).unwrap();
        network.train_backbone(false);
        let lite = network.config().arch.to_string().starts_with("efficientnet");
        for (name, variable) in variables.iter().filter(|(name, _)| name.contains("running_")) {
            let slow = name.contains(".spatial.bn.") || (lite && name.starts_with("backbone."));
            let momentum = if slow { 0.01 } else { 0.1 };
            let _ = variable.shallow_clone().g_div_scalar_(momentum); // what it learnt of a batch, from 0, whole
        }
    });
}

/// A fresh network for inference, and the same in double precision: through fifty layers of random weights, rounding differs from
/// run to run by as much as from one form to the other. Trained weights keep it small.
fn assert_form_for_inference_agrees(config: NetworkConfig, sizes: &[(i64, i64, i64)], tolerance: f64) {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let mut network = Network::new(config.clone(), Device::Cpu).unwrap();
    let mut twin = Network::new(config, Device::Cpu).unwrap();
    settle(&mut network, &mut random);
    twin.variables_mut().copy(network.variables()).unwrap();
    let fast = twin.for_inference();
    assert!(fast.is_prepared(), "{}", fast.config().arch);
    network.variables_mut().double();
    for &(n, height, width) in sizes {
        assert_agree(&network, &fast, &normal(&mut random, &[n, 3, height, width], 1.0), tolerance);
    }
}

#[test]
fn mobile_backbones_have_a_form_for_inference_with_gates_anywhere() {
    for arch in [Arch::EfficientNetLite0, Arch::EfficientNetLite1, Arch::EfficientNetLite2, Arch::MobileNetV2] {
        let plain = NetworkConfig { classes: 7, ..NetworkConfig::attentive(arch) };
        let gates = ["stage2.1", "stage3.expansion", "stage4", "stage5.expansion", "stage5.1", "stage5.2", "head"];
        let one = StageAttention { patch: None, ..plain.attention[0].clone() };
        let gated = gates.map(|stage| StageAttention { stage: stage.to_owned(), gain: 1.0, ..one.clone() });
        for config in [plain.clone(), NetworkConfig { attention: gated.into(), ..plain }] {
            assert_form_for_inference_agrees(config, &[(1, 64, 96), (3, 96, 64), (4, 75, 130)], 1e-4);
        }
    }
}

#[test]
fn residual_and_plain_backbones_have_a_form_for_inference_too() {
    let small = |config: NetworkConfig| NetworkConfig { classes: 7, ..config };
    for config in [
        NetworkConfig::plain(Arch::ResNet18),
        NetworkConfig::official_cbam(Arch::ResNet34).unwrap(),
        NetworkConfig::official_cbam(Arch::ResNet50).unwrap(),
        NetworkConfig::official_bam(Arch::ResNet50),
        NetworkConfig::official_se(Arch::ResNet18).unwrap(),
        NetworkConfig::plain(Arch::WideResNet50),
        NetworkConfig::official_bam(Arch::Vgg11Bn),
        NetworkConfig::plain(Arch::Vgg11),
    ] {
        assert_form_for_inference_agrees(small(config), &[(1, 64, 96), (2, 75, 50)], 2e-4);
    }
    let grouped = Network::new(small(NetworkConfig::plain(Arch::ResNeXt50)), Device::Cpu).unwrap().for_inference();
    assert!(!grouped.is_prepared(), "no kernel for groups of channels");
}

#[test]
fn the_form_for_inference_keeps_out_of_gradients_and_new_weights() {
    let input = Tensor::randn([1, 3, 64, 96], (Kind::Float, Device::Cpu));
    let mut network = Network::pretrained(Device::Cpu).unwrap().for_inference();
    let output = network.forward(&input, false).unwrap();
    assert!(output.logits.requires_grad());
    let before = tch::no_grad(|| network.forward(&input, false).unwrap()).logits;
    assert!(!before.requires_grad() && largest_difference(&before, &output.logits) < 1e-3);
    let variables = network.variables_mut().variables();
    tch::no_grad(|| {
        let mut weight = variables["backbone._conv_head.weight"].shallow_clone();
        let _ = weight.zero_();
        let plain = network.forward(&input, false).unwrap().logits;
        assert!(largest_difference(&plain, &before) > 0.1);
        let fast = network.for_inference().forward(&input, false).unwrap().logits;
        assert!(largest_difference(&plain, &fast) < 1e-4);
    });
}
