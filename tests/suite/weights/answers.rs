//! Networks of other people's code, whose checkpoints tests/golden/layouts/answers.py wrote down: recognised, they answer as
//! PyTorch does, gates and all, in both executors.

use super::*;
use crate::torchvision::{fill, sample, unit};
use cbam::Remedy;
use cbam::attention::PoolOrder;
use cbam::backbone::{Arch, StrideIn};
use cbam::explain::Features as _;
use cbam::network::{Inference, Network, OpenOptions, Opened};
use cbam::weights::Precision;
use ndarray::{Array4, ArrayViewD};
use tch::{Device, Kind, no_grad};

/// A network of the golden file, its weights by the generator's rule.
pub(super) fn tensors(name: &str) -> Tensors {
    let text = std::fs::read_to_string(crate::file("tests/golden/layouts/answers.txt")).unwrap();
    let start = format!("= {name}\n");
    let lines = text.split_once(&start).unwrap_or_else(|| panic!("no {name}")).1.split("= ").next().unwrap();
    let mut tensors = BTreeMap::new();
    let mut add = |name: String, shape: &[i64]| {
        let tensor = if name.ends_with("num_batches_tracked") || name.ends_with("n_averaged") {
            Tensor::from(7_i64)
        } else {
            let tensor = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
            fill(&name, &tensor);
            tensor
        };
        tensors.insert(name, store(&tensor).unwrap());
    };
    for line in lines.lines() {
        let mut words = line.split(' ');
        let first = words.next().unwrap();
        let module = if first == "~" { words.next().unwrap() } else { first };
        let shape: Vec<i64> = words.map(|word| word.parse().unwrap()).collect();
        if first == "~" {
            for part in ["weight", "bias", "running_mean", "running_var"] {
                add(format!("{module}.{part}"), &shape);
            }
            add(format!("{module}.num_batches_tracked"), &[]);
        } else {
            add(module.to_owned(), &shape);
        }
    }
    tensors
}

/// A file of such tensors, in a folder that goes with it.
pub(super) fn written(tensors: Tensors) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("theirs.safetensors");
    Checkpoint::new(tensors, BTreeMap::new()).save(&path, Precision::Keep).unwrap();
    (folder, path)
}

fn open(name: &str, change: impl Fn(&mut OpenOptions)) -> cbam::Result<Opened> {
    let (_folder, path) = written(tensors(name));
    let mut options = OpenOptions::default();
    change(&mut options);
    Network::open_with(&path, &options, Device::Cpu)
}

/// The picture that a network is asked about, `[1, C, 75, 109]`.
fn picture(name: &str) -> Tensor {
    let channels = if name == "grey" { 1 } else { 3 };
    let values: Vec<f32> = unit("picture", 3 * 75 * 109).into_iter().map(|value| value * 4.0 - 2.0).collect();
    Tensor::from_slice(&values).view([1, 3, 75, 109]).narrow(1, 0, channels)
}

/// What a network says of one picture: logits, and each place's gate of channels before that of positions.
pub(crate) struct Answer {
    pub(crate) logits: Tensor,
    pub(crate) gates: Vec<Tensor>,
}

/// As libtorch computes it.
fn answer(network: &Network, picture: &Tensor) -> Answer {
    let output = no_grad(|| network.forward(picture, false)).unwrap();
    let gates = output.attention.iter().flat_map(|block| [&block.channel, &block.spatial]).flatten();
    Answer { logits: output.logits.get(0), gates: gates.map(|gate| gate.gate.get(0)).collect() }
}

/// As the form for inference does.
pub(crate) fn answer_for_inference(network: &Inference, picture: &Tensor) -> Answer {
    let values = Vec::<f32>::try_from(picture.contiguous().flatten(0, -1)).unwrap();
    let shape: Vec<usize> = picture.size().iter().map(|&side| side as usize).collect();
    let pixels = Array4::from_shape_vec((shape[0], shape[1], shape[2], shape[3]), values).unwrap();
    let tensor = |values: ArrayViewD<'_, f32>| {
        let size: Vec<i64> = values.shape().iter().map(|&side| side as i64).collect();
        Tensor::from_slice(&values.iter().copied().collect::<Vec<_>>()).reshape(size)
    };
    let logits = tensor(network.logits(pixels.view()).unwrap().view().into_dyn()).get(0);
    let readout = network.run(pixels.view(), &[]).unwrap().remove(0);
    let gates = readout.gates.iter().flat_map(|gate| {
        let channel = (!gate.channel.is_empty()).then(|| tensor(gate.channel.view().into_dyn()));
        channel.into_iter().chain(gate.spatial.iter().map(|gate| tensor(gate.view().into_dyn())))
    });
    Answer { logits, gates: gates.collect() }
}

/// The largest difference from PyTorch's answer, in units of its size where that is over 1.
fn difference(answer: &Answer, name: &str, golden: &BTreeMap<String, Tensor>) -> f64 {
    let ours = |key: &str| golden.get(&format!("{name}|{key}"));
    let off = |found: &Tensor, expected: &Tensor| {
        assert_eq!(found.size(), expected.size(), "{name}");
        let size = expected.abs().max().double_value(&[]).max(1.0);
        (found - expected).abs().max().double_value(&[]) / size
    };
    let mut worst = ours("logits").map_or(0.0, |logits| off(&answer.logits, logits));
    let mut count = 0;
    for (number, gate) in answer.gates.iter().enumerate() {
        let expected = ours(&format!("{number:02}")).unwrap_or_else(|| panic!("{name}: gate {number} is one too many"));
        worst = worst.max(off(&sample(gate, 7, 16), expected));
        count += 1;
    }
    assert!(ours(&format!("{count:02}")).is_none(), "{name}: {count} gates are too few");
    worst
}

/// A network of the golden, the options that it needs, and what must be told of it.
type Case = (&'static str, fn(&mut OpenOptions), &'static [&'static str]);

#[test]
fn networks_in_any_names_answer_as_pytorch_does() {
    const POOL: &str = "max pooling follows";
    let path = crate::file("tests/golden/layouts/answers.safetensors");
    let golden = cbam::weights::restore_all(&Checkpoint::open(path).unwrap().tensors).unwrap();
    let usual: fn(&mut OpenOptions) = |_| ();
    let cases: [Case; 43] = [
        ("averaged", usual, &[POOL]),
        ("beside", usual, &["left out: criterion.pos_weight, projector.bias, projector.weight"]),
        ("encoder", usual, &[]),
        ("mmpretrain", usual, &[]),
        ("children", usual, &[POOL]),
        ("head dropout", usual, &[]),
        ("head mlp", usual, &["fc.0, fc.3 (512 to 40 to 9)", "ReLU"]),
        ("head norms", usual, &["fc.0, fc.1, fc.2, fc.4 (512 to 40 to 9)", "ReLU"]),
        ("head linear", usual, &[]),
        ("head last_linear", usual, &[]),
        ("head classifier", usual, &[]),
        ("head pointwise", usual, &[]),
        ("head none", usual, &["no classifier"]),
        ("cbam ca.fc1 sa.conv max mean", |o| o.pool_order = Some(PoolOrder::MaxMean), &[]),
        ("cbam shared_mlp", usual, &["the mean before the maximum", "else PoolOrder(MaxMean)"]),
        ("cbam official", usual, &["the maximum before the mean", "else PoolOrder(MeanMax)"]),
        ("cbam attention1 attention2", usual, &["the mean before the maximum"]),
        ("cbam conv bias", usual, &["the mean before the maximum"]),
        ("cbam conv bias and norm", usual, &["the mean before the maximum"]),
        ("spatial alone", usual, &["the mean before the maximum"]),
        ("channel alone", usual, &["pools mean and maximum"]),
        ("se of its authors", usual, &[]),
        ("eca of its authors", usual, &[]),
        ("first and last", usual, &["ca.fc1 stands behind the first convolution", "ca1.fc1 stands behind layer4"]),
        ("behind every stage", usual, &["stands behind layer1", "stands behind layer4"]),
        ("small pictures", usual, &["stride 1", "no pooling follows", "else MaxPool(true)"]),
        ("no pooling", |o| o.max_pool = Some(false), &[]),
        ("grey", usual, &["grey pictures"]),
        ("pytorchcv seresnet50", |o| o.stride_in = Some(StrideIn::First), &[]),
        ("pytorchcv resnet50b", |o| o.stride_in = Some(StrideIn::Middle), &[]),
        ("timm efficientnet_lite0", |o| o.symmetric = Some(true), &[]),
        ("timm tf_efficientnet_lite0", usual, &["tf_efficientnet_lite"]),
        ("head beside", usual, &["bn1, fc1, bn2, fc2 (512 to 40 to 9)", "behind its BatchNorm"]),
        ("head unordered", usual, &["head.hidden, head.bn, head.cls (512 to 40 to 9)"]),
        ("head predictor", usual, &["predictor is the classifier"]),
        ("se then spatial", usual, &["pools the mean alone, and stands before the spatial gate", "PoolOrder"]),
        ("se called channel", usual, &[]),
        ("last and first", usual, &["ca1.fc1 stands behind the first convolution", "ca.fc1 stands behind layer4"]),
        ("stem and last", usual, &["ca_stem.fc1 stands behind the first", "ca_last.fc1 stands behind layer4"]),
        (
            "a dictionary of stages",
            usual,
            &["layer1.ca.fc1 stands behind layer1", "layer3.ca.fc1 stands behind layer3"],
        ),
        ("stages wrapped", usual, &["stands before the spatial gate"]),
        ("vgg two layers", usual, &["classifier.0, classifier.3 (25088 to 40 to 9)"]),
        (
            "timm legacy_seresnet50",
            usual,
            &["pooling without padding", "in the first 1×1 convolution", "else StrideIn(Middle)"],
        ),
    ];
    for (name, change, said) in cases {
        let opened = open(name, change).unwrap_or_else(|error| panic!("{name}: {error}"));
        let notes = opened.notes_with(&|otherwise| Some(format!("else {otherwise:?}"))).join("\n");
        assert!(said.iter().all(|part| notes.contains(part)), "{name}: {said:?} are not all in {notes:?}");
        let picture = picture(name);
        let plain = difference(&answer(&opened.network, &picture), name, &golden);
        let fast = difference(&answer_for_inference(&opened.network.for_inference().unwrap(), &picture), name, &golden);
        println!("{name}: {plain:.1e}, for inference {fast:.1e}");
        assert!(plain < 1e-4 && fast < 1e-4, "{name}: {plain:.1e}, for inference {fast:.1e}");
    }
}

#[test]
fn what_names_cannot_tell_and_nobody_says_is_refused_or_another_network() {
    let path = crate::file("tests/golden/layouts/answers.safetensors");
    let golden = cbam::weights::restore_all(&Checkpoint::open(path).unwrap().tensors).unwrap();
    for name in ["cbam ca.fc1 sa.conv max mean", "no pooling"] {
        let opened = open(name, |_| ()).unwrap();
        assert!(
            opened.file.assumptions.iter().any(|assumption| assumption.otherwise.is_some()),
            "{:?}",
            opened.file.assumptions
        );
        assert!(!opened.notes()[0].contains("--"), "a library has no options: {:?}", opened.notes());
        if name != "no pooling" {
            assert!(difference(&answer(&opened.network, &picture(name)), name, &golden) > 1e-2);
        }
    }
    let refused = |name: &str, change: fn(&mut OpenOptions)| open(name, change).unwrap_err().to_string();
    let message = refused("pytorchcv seresnet50", |_| ());
    assert!(message.contains("`stride_in` 1x1 reads it as seresnet50, 3x3 as seresnet50b"), "{message}");
    for (name, change, said) in [
        ("head mlp", (|o| o.stride_in = Some(StrideIn::First)) as fn(&mut OpenOptions), "`stride_in` has no effect"),
        ("head mlp", |o| o.pool_order = Some(PoolOrder::MaxMean), "`pool_order` has no effect"),
        ("se of its authors", |o| o.pool_order = Some(PoolOrder::MaxMean), "`pool_order` has no effect"),
        ("grey", |o| (o.arch, o.drop_attention) = (Some(Arch::ResNet18), true), "`drop_attention` has no effect"),
        ("grey", |o| o.drop_attention = true, "`arch`"),
        ("grey", |o| o.symmetric = Some(true), "`symmetric` has no effect"),
        ("timm tf_efficientnet_lite0", |o| o.max_pool = Some(true), "`max_pool` has no effect"),
    ] {
        let message = refused(name, change);
        assert!(message.contains(said), "{name}: {message}");
    }
}

#[test]
fn a_backbone_alone_leaves_attention_out_only_if_that_is_asked_for() {
    let mut unknown = tensors("head mlp");
    unknown.insert("layer2.0.coord.conv_h.weight".to_owned(), zeros(&[128, 8, 1, 1]));
    unknown.insert("aux.weight".to_owned(), zeros(&[3, 3]));
    let (_folder, path) = written(unknown);
    let open = |arch, drop_attention| {
        let mut options = OpenOptions::default();
        (options.arch, options.drop_attention) = (arch, drop_attention);
        Network::open_with(&path, &options, Device::Cpu)
    };
    let said = |result: cbam::Result<Opened>| result.unwrap_err().to_string();
    let message = said(open(None, false));
    assert!(message.contains("layer2.0") && message.contains("coord"), "{message}");
    let message = said(open(Some(Arch::ResNet18), false));
    assert!(message.contains("layer2.0.coord.conv_h.weight; `drop_attention` leaves them out"), "{message}");
    let opened = open(Some(Arch::ResNet18), true).unwrap();
    assert_eq!(opened.file.left_out, ["aux.weight", "layer2.0.coord.conv_h.weight"]);
    // Known attention too: the backbone alone is asked for.
    let (_folder, path) = written(tensors("cbam official"));
    let mut options = OpenOptions::default();
    options.arch = Some(Arch::ResNet18);
    assert_eq!(Network::open_with(&path, &options, Device::Cpu).unwrap().network.config().attention.len(), 8);
    options.drop_attention = true;
    let opened = Network::open_with(&path, &options, Device::Cpu).unwrap();
    assert!(opened.network.config().attention.is_empty() && opened.file.left_out.len() > 8);
}

#[test]
fn of_two_networks_in_one_file_one_must_be_chosen() {
    let one = tensors("head none");
    let under = |prefix: &str| {
        let one = one.iter();
        one.map(|(name, tensor)| (format!("{prefix}.{name}"), tensor.clone())).collect::<BTreeMap<_, _>>()
    };
    let mut both = under("student");
    both.extend(under("teacher.backbone"));
    let (_folder, path) = written(both);
    let message = Network::open(&path, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("2 networks") && message.contains("\"student\", \"teacher.backbone\""), "{message}");
    for part in ["student", "teacher", "teacher.backbone"] {
        let mut options = OpenOptions::default();
        options.part = Some(part.to_owned());
        assert_eq!(Network::open_with(&path, &options, Device::Cpu).unwrap().network.config().classes, 0, "{part}");
    }
    let mut options = OpenOptions::default();
    options.part = Some("stud".to_owned());
    let message = Network::open_with(&path, &options, Device::Cpu).unwrap_err().to_string();
    assert!(message.contains("\"stud\""), "{message}");
}

#[test]
fn what_may_take_part_in_the_answer_is_never_left_out() {
    for (name, shape, said) in [
        ("layer1.0.foo.weight", &[64, 64, 3, 3][..], "layer1.0.foo.weight"),
        ("aux.weight", &[9, 512], "2 heads"),
        ("pool.p", &[1], "pool.p"),
        ("neck.conv.weight", &[256, 512, 3, 3], "neck.conv.weight"),
        ("ca.fc1.weight", &[4, 64, 1, 1], "ca.fc1"),
    ] {
        let mut tensors = tensors("head dropout");
        tensors.insert(name.to_owned(), zeros(shape));
        let message = Checkpoint::new(tensors, BTreeMap::new()).recognise().unwrap_err().to_string();
        assert!(message.contains(said), "{name}: {message}");
    }
    // Beside the network, what has nothing to do with its head, and what serves training, is left out.
    for (name, shape, taken) in [
        ("decoder.conv.weight", &[256, 512, 3, 3][..], false),
        ("decoder.attn.weight", &[256, 512], false),
        ("pool.p", &[1], false),
        ("scale", &[1], false),
        ("norm.weight", &[512], false),
        ("norm.bias", &[9], false),
        ("lstm.weight_ih_l0", &[2048, 512], false),
        ("memory.queue", &[128, 4096], true),
        ("ema_loss.weight", &[9], true),
        ("criterion.center", &[9, 512], true),
        ("class_weights", &[9], true),
        ("best_acc", &[1], true),
        ("mean", &[1, 3, 1, 1], false),
    ] {
        let mut tensors = tensors("encoder");
        tensors.insert(name.to_owned(), zeros(shape));
        let found = Checkpoint::new(tensors, BTreeMap::new()).recognise();
        assert_eq!(found.is_ok(), taken, "{name}: {:?}", found.err());
        match found {
            Ok(found) => assert_eq!(found.left_out, [name]),
            Err(error) => {
                let message = error.to_string();
                let ErrorKind::Weights { remedy, .. } = error else { panic!("another error: {message}") };
                let advised = matches!(remedy, Some(Remedy::Backbone { arch, .. }) if arch == "resnet18")
                    || name == "decoder.attn.weight";
                assert!(message.contains(name.trim_end_matches(".weight")) && advised, "{message}");
            }
        }
    }
}
