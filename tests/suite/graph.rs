//! Networks by their graphs: what PyTorch says of them, gate for gate, and errors that name file, operation and module.

use std::path::PathBuf;

use cbam::explain::{ExplainOptions, Features};
use cbam::graph::{GateKind, Graph, GraphNetwork, PlaceForm};
use cbam::maps::{MapName, Method, Readout};
use cbam::model::Model;
use cbam::network::Outputs;
use cbam::photo::Preprocess;
use cbam::weights::{Checkpoint, restore_all};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis};
use tch::{Device, Kind, Tensor};

use crate::explain::explained;

mod onnx;
mod score;

pub(crate) fn golden(name: &str) -> PathBuf {
    crate::file("tests/golden/graph").join(name)
}

pub(crate) fn open(name: &str) -> GraphNetwork {
    GraphNetwork::open(golden(name), Device::Cpu, Preprocess { short_side: 64, ..Preprocess::imagenet() }).unwrap()
}

/// What PyTorch made of a picture.
pub(crate) struct Golden {
    tensors: std::collections::BTreeMap<String, Tensor>,
    class: usize,
}

impl Golden {
    /// All files of networks that it is for.
    pub(crate) fn files() -> Vec<String> {
        let paths = std::fs::read_dir(golden("")).unwrap().map(|file| file.unwrap().path());
        let of_network = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "onnx" || ending == "pt2");
        let names = paths.filter(of_network).map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
        let mut files: Vec<_> = names.filter(|name| !name.starts_with("old-")).collect();
        assert!(files.len() > 20, "{files:?}");
        files.sort();
        files
    }

    /// Of a file: `small.pt2`, or the same network as `small-17.onnx`.
    pub(crate) fn open(file: &str) -> Self {
        let name = file.strip_suffix(".pt2").or_else(|| Some(file.strip_suffix(".onnx")?.rsplit_once('-')?.0)).unwrap();
        let file = Checkpoint::open(golden(&format!("{name}.safetensors"))).unwrap();
        let class = file.metadata.get("class").map_or(0, |class| class.parse().unwrap());
        Self { tensors: restore_all(&file.tensors).unwrap(), class }
    }

    fn get(&self, name: &str) -> Tensor {
        self.tensors[name].to_kind(Kind::Float)
    }

    pub(crate) fn input(&self) -> Tensor {
        self.get("input")
    }

    /// One of its values for the picture of a batch.
    fn array(&self, name: &str, picture: i64) -> ArrayD<f32> {
        array(&self.get(name).get(picture))
    }
}

fn array(tensor: &Tensor) -> ArrayD<f32> {
    let shape: Vec<usize> = tensor.size().iter().map(|side| *side as usize).collect();
    ArrayD::from_shape_vec(shape, Vec::try_from(tensor.contiguous().flatten(0, -1)).unwrap()).unwrap()
}

fn difference(a: &ArrayD<f32>, b: &ArrayD<f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Outputs as PyTorch gives them, to the last bits.
fn agrees(file: &str) -> (GraphNetwork, Golden, Vec<Readout>) {
    let (network, golden) = (open(file), Golden::open(file));
    let outputs = network.forward(&golden.input()).unwrap();
    let names: Vec<_> = network.graph().outputs.iter().map(|output| output.name.as_str()).collect();
    for (name, output) in names.iter().zip(outputs) {
        // What a file of ONNX calls its only output.
        let of_torch = if golden.tensors.contains_key(*name) { name } else { "output" };
        let off = difference(&array(&output.unwrap()), &array(&golden.get(of_torch)));
        assert!(off < 1e-5, "{name} is off by {off}");
    }
    let readouts = network.run(&golden.input()).unwrap();
    (network, golden, readouts)
}

#[test]
fn relevance_is_that_of_the_paper() {
    for file in ["vit.pt2", "vit-17.onnx", "vit-21.onnx", "sequence.pt2", "tokens.pt2"] {
        let (network, golden) = (open(file), Golden::open(file));
        let class = golden.class;
        let pixels = golden.input().narrow(0, 0, 1);
        let ours = explained(&network, &pixels, Method::Relevance, None, class, &ExplainOptions::default()).unwrap();
        let whole = golden.get("relevance");
        let tokens = whole.size()[0];
        // The class token's row, or the mean of all patches' without what each is to itself.
        let patches = whole.narrow(1, tokens - 24, 24);
        let of_answer =
            if file == "tokens.pt2" { patches.mean_dim(0_i64, false, None) - 1.0 / 24.0 } else { patches.get(0) };
        let theirs = array(&of_answer.reshape([4, 6]));
        let off = difference(&ours.clone().into_dyn(), &theirs);
        let most = theirs.iter().copied().fold(0.0, f32::max);
        assert!(off < 1e-4 * most && most > 0.0, "{file}: off by {off} of {most}");
        assert!(network.describe().maps.contains(&MapName::explain(Method::Relevance)));
    }
    let network = open("small.pt2");
    let pixels = Golden::open("small.pt2").input().narrow(0, 0, 1);
    let refused = explained(&network, &pixels, Method::Relevance, None, 0, &ExplainOptions::default());
    assert!(refused.unwrap_err().to_string().contains("not all over the same patches"));
    assert!(!network.describe().maps.contains(&MapName::explain(Method::Relevance)));
}

fn gates(network: &GraphNetwork) -> Vec<(String, GateKind)> {
    network.found().gates.iter().map(|gate| (gate.name.clone(), gate.kind)).collect()
}

/// Each gate against the operation into [0, 1] of its number, for every picture of the batch.
fn gates_agree(file: &str, expected: &[(&str, GateKind, &[usize])]) -> GraphNetwork {
    let (network, golden, readouts) = agrees(file);
    let found = gates(&network);
    let names: Vec<_> = expected.iter().map(|(name, kind, _)| ((*name).to_owned(), *kind)).collect();
    assert_eq!(found, names);
    // As PyTorch had it; the goldens of Keras are turned already.
    let channels_last = network.found().gates.iter().any(|gate| gate.channels_last);
    for (picture, readout) in readouts.iter().enumerate() {
        for (gate, (name, kind, numbers)) in readout.gates.iter().zip(expected) {
            let value = |number: &usize| {
                let mut value = golden.array(&format!("gate.{number}"), picture as i64);
                if channels_last {
                    value = value.permuted_axes(vec![2, 0, 1]).as_standard_layout().into_owned();
                }
                let shape = [
                    value.shape()[0],
                    value.shape().get(1).copied().unwrap_or(1),
                    value.shape().get(2).copied().unwrap_or(1),
                ];
                value.into_shape_with_order(shape).unwrap()
            };
            let first: Array3<f32> = value(&numbers[0]);
            let over_channels = first.mean_axis(Axis(0)).unwrap();
            let off = match kind {
                GateKind::Channel => {
                    let means: Array1<f32> = first.mean_axis(Axis(2)).unwrap().mean_axis(Axis(1)).unwrap();
                    difference(&gate.channel.clone().into_dyn(), &means.into_dyn())
                }
                GateKind::Spatial => difference(&gate.spatial.clone().unwrap().into_dyn(), &over_channels.into_dyn()),
                GateKind::Coordinate => {
                    let second = value(&numbers[1]);
                    let shape = (first.dim().0, first.dim().1.max(second.dim().1), first.dim().2.max(second.dim().2));
                    let product = &first.broadcast(shape).unwrap() * &second.broadcast(shape).unwrap();
                    let mean: Array2<f32> = product.mean_axis(Axis(0)).unwrap();
                    difference(&gate.coordinate.clone().unwrap().into_dyn(), &mean.into_dyn())
                }
                GateKind::Full => {
                    let spatial = gate.spatial.clone().unwrap().into_dyn();
                    let means: Array1<f32> = first.mean_axis(Axis(2)).unwrap().mean_axis(Axis(1)).unwrap();
                    let off = difference(&gate.channel.clone().into_dyn(), &means.into_dyn());
                    off.max(difference(&spatial, &over_channels.into_dyn()))
                }
            };
            assert!(off < 1e-5, "{kind:?} {name} of picture {picture} is off by {off}");
        }
    }
    network
}

/// Grad-CAM at the place that is found, against PyTorch's autograd.
fn grad_cam_agrees(file: &str, place: &str) {
    grad_cam_agrees_at(file, place, None);
}

/// The same at a place that is named, beside the one that is found.
fn grad_cam_agrees_at(file: &str, found: &str, named: Option<&str>) {
    let (network, golden) = (open(file), Golden::open(file));
    assert_eq!(Features::default_place(&network).as_deref(), Some(found));
    let pixels = golden.input().narrow(0, 0, 1);
    let options = ExplainOptions::default();
    let map = explained(&network, &pixels, Method::GradCam, named, golden.class, &options).unwrap();
    let theirs = array(&golden.get("gradcam"));
    let most = theirs.iter().copied().fold(0.0, f32::max);
    let off = difference(&map.into_dyn(), &theirs);
    assert!(off < 1e-5 * most.max(1.0) && most > 0.0, "off by {off} of {most}");
}

const CHANNEL: GateKind = GateKind::Channel;
const SPATIAL: GateKind = GateKind::Spatial;

#[test]
fn gates_in_blocks_have_the_names_of_their_modules() {
    let expected: [(&str, GateKind, &[usize]); 8] = [
        ("layer1.cbam.ca", CHANNEL, &[0]),
        ("layer1.cbam.sa", SPATIAL, &[1]),
        ("layer2.cbam.ca", CHANNEL, &[2]),
        ("layer2.cbam.sa", SPATIAL, &[3]),
        ("layer3.cbam.ca", CHANNEL, &[4]),
        ("layer3.cbam.sa", SPATIAL, &[5]),
        ("layer4.cbam.ca", CHANNEL, &[6]),
        ("layer4.cbam.sa", SPATIAL, &[7]),
    ];
    // A perceptron over vectors with expand_as, and sigmoids that are relu6(x + 3) / 6.
    gates_agree("blocks.pt2", &expected);
    gates_agree("hard.pt2", &expected);
    grad_cam_agrees("blocks.pt2", "layer4");
}

#[test]
fn small_networks_of_every_layout_agree() {
    let expected: [(&str, GateKind, &[usize]); 2] = [("cbam.ca", CHANNEL, &[0]), ("cbam.sa", SPATIAL, &[1])];
    let network = gates_agree("small.pt2", &expected);
    assert_eq!(network.describe().maps[0], MapName::Fused);
    assert!(network.graph().producer.starts_with("PyTorch 2.11"));
    gates_agree("decomposed.pt2", &expected);
    grad_cam_agrees("small.pt2", "relu");
    let (old, new) = (open("old-layout.pt2"), open("small.pt2"));
    let input = Golden::open("small.pt2").input();
    let answers = [&old, &new].map(|network| network.forward(&input).unwrap().remove(0).unwrap());
    assert_eq!(answers[0], answers[1]);
    assert_eq!(gates(&old), gates(&new));
}

#[test]
fn gates_of_rows_and_columns_are_one() {
    gates_agree("coordinate.pt2", &[("attention.layer2", GateKind::Coordinate, &[0, 1])]);
    grad_cam_agrees("coordinate.pt2", "layer4");
    let maps = open("coordinate.pt2").describe().maps;
    assert!(maps.contains(&"coordinate:attention.layer2".parse().unwrap()), "{maps:?}");
}

#[test]
fn one_channel_that_is_repeated_is_a_spatial_gate() {
    gates_agree("repeat.pt2", &[("attention.stem.ca", CHANNEL, &[0]), ("attention.stem.sa", SPATIAL, &[1])]);
}

#[test]
fn one_and_a_gate_is_that_gate() {
    gates_agree("bam.pt2", &[("attention.layer1", GateKind::Full, &[0])]);
}

#[test]
fn gates_over_channels_that_are_last() {
    let network = gates_agree("channels-last.pt2", &[("forward", CHANNEL, &[0]), ("forward", SPATIAL, &[1])]);
    assert!(network.found().gates.iter().all(|gate| gate.channels_last));
    grad_cam_agrees("channels-last.pt2", "forward");
}

#[test]
fn inverted_residuals_by_their_kernel_agree() {
    let (network, ..) = agrees("inverted.pt2");
    assert!(network.found().gates.is_empty());
    assert_eq!(Features::default_place(&network).as_deref(), Some("separable"));
}

#[test]
fn swish_is_no_gate() {
    gates_agree("swish.pt2", &[("se", CHANNEL, &[2])]);
}

#[test]
fn parts_of_an_activation_are_gates_of_their_own() {
    let (network, golden, readouts) = agrees("parts.pt2");
    let names = ["forward", "forward#2", "forward", "forward#2", "forward"];
    let kinds = [SPATIAL, SPATIAL, CHANNEL, CHANNEL, GateKind::Coordinate];
    assert_eq!(gates(&network), names.map(str::to_owned).into_iter().zip(kinds).collect::<Vec<_>>());
    for (picture, readout) in readouts.iter().enumerate() {
        let whole = |number: i64| golden.get(&format!("gate.{number}")).get(picture as i64);
        let both = whole(2);
        let (rows, columns) = (both.narrow(1, 0, 8), both.narrow(1, 8, 12));
        let product = (rows * columns.transpose(1, 2)).mean_dim(0_i64, false, None);
        let theirs = [whole(0).get(0), whole(0).get(1), whole(1).narrow(0, 0, 4), whole(1).narrow(0, 4, 4), product];
        for (gate, theirs) in readout.gates.iter().zip(theirs) {
            let ours = match (&gate.spatial, &gate.coordinate) {
                (Some(map), _) | (None, Some(map)) => map.clone().into_dyn(),
                (None, None) => gate.channel.clone().into_dyn(),
            };
            let off = difference(&ours, &array(&theirs));
            assert!(off < 1e-5, "{} of picture {picture} is off by {off}", gate.stage);
        }
    }
}

#[test]
fn what_looks_like_gates_and_is_none_is_left_out() {
    let (network, golden, readouts) = agrees("odd.pt2");
    let found: Vec<_> = gates(&network).into_iter().map(|(_, kind)| kind).collect();
    assert_eq!(found, [CHANNEL, SPATIAL]);
    let left_out = &network.found().left_out;
    // The other is a gate over maps whose sides are turned.
    assert_eq!(left_out.len(), 2, "{left_out:?}");
    assert!(left_out[0].1.contains("groups of channels") && left_out[1].1.contains("a sigmoid"), "{left_out:?}");
    let (channel, spatial) = (&readouts[0].gates[0].channel, readouts[0].gates[1].spatial.as_ref().unwrap());
    let [theirs, places] = [golden.get("gate.4").flatten(0, -1), golden.get("gate.5").get(0).get(0)];
    let off = difference(&channel.clone().into_dyn(), &array(&theirs));
    assert!(off.max(difference(&spatial.clone().into_dyn(), &array(&places))) < 1e-5, "off by {off}");
}

#[test]
fn patches_that_go_column_by_column_are_left_out() {
    let (network, ..) = agrees("columns.pt2");
    let found = network.found();
    assert!(found.attention.is_empty() && found.left_out.len() == 1, "{found:?}");
    assert!(!network.describe().maps.contains(&MapName::PATCH));
    let names: Vec<_> = open("sequence.pt2").found().attention.iter().map(|of| (of.before, of.class_token)).collect();
    assert_eq!(names, [(1, true)]);
}

#[test]
fn several_outputs_and_no_classes() {
    let (network, _, readouts) = agrees("neck.pt2");
    let names: Vec<_> = network.graph().outputs.iter().map(|output| output.name.as_str()).collect();
    assert_eq!(names, ["output[0]", "output[1]"]);
    assert!(network.found().classes.is_none() && readouts[0].likeliest().is_none());
    let maps = network.describe().maps;
    assert!(maps.contains(&"spatial:cbam4.sa".parse().unwrap()) && maps.contains(&"eigencam".parse().unwrap()));
    assert!(!maps.contains(&"gradcam".parse().unwrap()), "no map of a class");
}

#[test]
fn what_is_written_over_keeps_its_other_names() {
    agrees("slices.pt2");
}

#[test]
fn recurrent_layers_run_and_groups_among_the_pictures_are_no_place() {
    agrees("recurrent.pt2");
    grad_cam_agrees("recurrent.pt2", "forward");
}

#[test]
fn sixteen_bits_are_the_network_s_own() {
    let (network, golden) = (open("half.pt2"), Golden::open("half.pt2"));
    let logits = network.forward(&golden.input()).unwrap().remove(0).unwrap();
    assert_eq!(logits.kind(), Kind::Float);
    let off = difference(&array(&logits), &array(&golden.get("output")));
    assert!(off < 0.05, "off by {off}");
}

#[test]
fn a_fixed_batch_and_size_are_kept() {
    let (network, golden, _) = agrees("fixed.pt2");
    let size = network.describe().preprocess.network_size(cbam::photo::ImageSize::new(90, 60));
    assert_eq!((size.width, size.height), (64, 64));
    let one = golden.input().narrow(0, 1, 1);
    let alone = network.run(&one).unwrap();
    let all = network.run(&golden.input()).unwrap();
    assert_eq!(alone.len(), 1);
    let off = difference(&alone[0].probabilities.clone().into_dyn(), &all[1].probabilities.clone().into_dyn());
    assert!(off < 1e-6, "off by {off}");
}

#[test]
fn patches_lie_on_the_grid_of_each_picture() {
    let (network, golden, readouts) = agrees("tokens.pt2");
    assert_eq!(network.found().attention[0].grid, [4, 4], "of the grey picture at first");
    let received = &readouts[1].patches[0].received;
    let theirs = golden.get("attention.0").get(1).mean_dim(1_i64, false, Kind::Float).reshape([2, 4, 6]) * 24;
    let off = difference(&received.clone().into_dyn(), &array(&theirs));
    assert!(off < 1e-5, "off by {off}");
    grad_cam_agrees("tokens.pt2", "norm");
}

#[test]
fn patches_are_followed_through_views_and_windows_are_left_out() {
    let (network, golden, readouts) = agrees("windows.pt2");
    let found = network.found();
    let names: Vec<_> = found.attention.iter().map(|of| (of.name.as_str(), of.heads, of.grid)).collect();
    assert_eq!(names, [("all", 2, [4, 6])]);
    assert_eq!(found.left_out.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["inside"]);
    let weights = golden.get("attention.1").reshape([2, 2, 24, 24]);
    for (picture, readout) in readouts.iter().enumerate() {
        let theirs = weights.get(picture as i64).mean_dim(1_i64, false, Kind::Float).reshape([2, 4, 6]) * 24;
        let off = difference(&readout.patches[0].received.clone().into_dyn(), &array(&theirs));
        assert!(off < 1e-5, "off by {off}");
    }
    grad_cam_agrees_at("windows.pt2", "norm", Some("merge"));
}

#[test]
fn attention_of_patches_and_of_a_class_token() {
    let (network, golden, readouts) = agrees("vit.pt2");
    let found = &network.found().attention;
    let names: Vec<_> =
        found.iter().map(|of| (of.name.as_str(), of.heads, of.grid, of.before, of.class_token)).collect();
    assert_eq!(names, [("blocks.0.attn", 3, [4, 6], 3, true), ("blocks.1.attn", 3, [4, 6], 3, true)]);
    let tokens = 27;
    for (picture, readout) in readouts.iter().enumerate() {
        // The last one stands for all, so it is the first.
        for (patch, number) in readout.patches.iter().zip([1, 0]) {
            let weights = golden.get(&format!("attention.{number}")).get(picture as i64);
            let on_grid = |shares: Tensor| array(&(shares * f64::from(tokens)).reshape([3, 4, 6]));
            let received = on_grid(weights.narrow(1, 3, 24).narrow(2, 3, 24).mean_dim(1, false, Kind::Float));
            assert!(difference(&patch.received.clone().into_dyn(), &received) < 1e-5);
            let looks = on_grid(weights.select(1, 0).narrow(1, 3, 24));
            assert!(difference(&patch.class_token.clone().unwrap().into_dyn(), &looks) < 1e-5);
        }
        // Rollout: the class token's row of (½ A + ½ I) of both.
        let mean = |number: i64| {
            golden.get(&format!("attention.{number}")).get(picture as i64).mean_dim(0, false, Kind::Float)
        };
        let with_identity = |of: Tensor| (of + Tensor::eye(i64::from(tokens), (Kind::Float, Device::Cpu))) * 0.5;
        let rolled = with_identity(mean(1)).matmul(&with_identity(mean(0))).get(0).narrow(0, 3, 24) * f64::from(tokens);
        let off = difference(&readout.rollout.clone().unwrap().into_dyn(), &array(&rolled.reshape([4, 6])));
        assert!(off < 1e-5, "rollout is off by {off}");
    }
    grad_cam_agrees("vit.pt2", "blocks.1.norm1");
    let place = network.found().place("blocks.1.norm1").unwrap();
    assert_eq!(place.form, PlaceForm::Tokens { before: 3, grid: [4, 6], after: 0 });
    let maps = network.describe().maps;
    for name in ["fused", "object", "patch", "patch:2", "cls", "cls:blocks.0.attn:1", "rollout", "gradcam"] {
        assert!(network.describe().choose_maps(&[name.parse().unwrap()]).is_ok(), "{name} of {maps:?}");
    }
    let assumed = network.assumptions().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(assumed.contains("3 tokens that are no patches") && assumed.contains("ends in linear"), "{assumed}");
}

#[test]
fn explanations_look_at_every_module() {
    let (network, golden) = (open("small.pt2"), Golden::open("small.pt2"));
    let pixels = golden.input().narrow(0, 0, 1);
    let options = ExplainOptions::default().with_masks(4);
    let at = |method, place: Option<&str>| explained(&network, &pixels, method, place, golden.class, &options);
    for place in ["stem", "cbam", "cbam.ca", "conv", "bn", "down", "relu"] {
        for method in [Method::GradCam, Method::LayerCam, Method::EigenCam, Method::ScoreCam] {
            let map = at(method, Some(place)).unwrap_or_else(|error| panic!("{method} at {place}: {error}"));
            assert!(map.iter().all(|value| value.is_finite()), "{method} at {place}");
        }
    }
    // What an operation writes over afterwards does not change what stood there.
    assert!(at(Method::EigenCam, Some("bn")).unwrap() != at(Method::EigenCam, Some("cbam")).unwrap());
    assert!(at(Method::AblationCam, Some("relu")).is_ok() && at(Method::AblationCam, Some("stem")).is_ok());
    let error = at(Method::AblationCam, Some("bn")).unwrap_err().to_string();
    assert!(error.contains("looks at the picture too"), "{error}");
    assert!(at(Method::Rise, None).is_ok() && at(Method::Occlusion, None).is_ok());
}

#[test]
fn a_graph_takes_other_weights_of_its_network() {
    let graph = || Graph::open(golden("small.pt2")).unwrap();
    let halved = Checkpoint::open(golden("small-half.pth")).unwrap();
    let (with, extra) = graph().with_weights(&halved).unwrap();
    assert!(extra.is_empty(), "{extra:?}");
    let name = |graph: &Graph| graph.weights.iter().find(|weight| weight.name == "fc.weight").unwrap().tensor.doubles();
    let (own, other) = (name(&graph()), name(&with));
    assert!(own.iter().zip(&other).all(|(own, other)| (own / 2.0 - other).abs() < 1e-9) && own[0] != 0.0);
    let mut fewer = halved;
    fewer.tensors.remove("bn.weight");
    let spare = fewer.tensors["fc.bias"].clone();
    fewer.tensors.insert("more.bias".to_owned(), spare.clone());
    fewer.tensors.insert("fc.weight".to_owned(), spare);
    let error = graph().with_weights(&fewer).unwrap_err().to_string();
    assert!(
        error.contains("bn.weight is missing") && error.contains("fc.weight is f32 [5], and not f32 [5, 8]"),
        "{error}"
    );
}

#[test]
fn sides_that_contradict_themselves_are_refused() {
    let refused = |least: i64, most: i64, step: i64| {
        let mut graph = Graph::open(golden("small.pt2")).unwrap();
        let input = graph.inputs[0].value.index();
        for side in &mut graph.values[input].sides.as_mut().unwrap()[2..] {
            let free = side.free.as_mut().unwrap();
            (free.range, free.step) = ((least, most), step);
        }
        GraphNetwork::new(graph, Device::Cpu, Preprocess::imagenet()).map(drop)
    };
    assert!(refused(32, 2048, 32).is_ok());
    for (least, most, step) in [(64, 32, 32), (1 << 40, i64::MAX, 32), (32, 2048, i64::MAX)] {
        let error = refused(least, most, step).unwrap_err().to_string();
        assert!(error.contains("small.pt2: takes sides from"), "{error}");
    }
    let mut graph = Graph::open(golden("fixed.pt2")).unwrap();
    let input = graph.inputs[0].value.index();
    graph.values[input].sides.as_mut().unwrap()[0].example = i64::MAX;
    let error = GraphNetwork::new(graph, Device::Cpu, Preprocess::imagenet()).unwrap_err().to_string();
    assert!(error.contains("pictures at once"), "{error}");
}

#[test]
fn numbers_are_taken_as_it_is_said() {
    let network = open("small.pt2");
    assert_eq!(network.describe().outputs, Outputs::Softmax);
    assert_eq!(network.with_outputs(Outputs::Sigmoid).unwrap().describe().outputs, Outputs::Sigmoid);
    assert!(open("neck.pt2").with_outputs(Outputs::Sigmoid).unwrap_err().to_string().contains("gives out none"));
}

#[test]
fn damaged_archives_are_refused_by_name() {
    let bytes = std::fs::read(golden("small.pt2")).unwrap();
    let refused = |bytes: Vec<u8>| Graph::from_bytes("net.pt2", bytes).unwrap_err().to_string();
    for length in [0, 3, 100, bytes.len() / 2, bytes.len() - 1] {
        let error = refused(bytes[..length].to_vec());
        assert!(error.starts_with("net.pt2: "), "{error}");
    }
    // One number of one record, whose checksum tells.
    let place = bytes.windows(8).position(|window| window == b"weight_0").unwrap() + 64;
    let mut wrong = bytes.clone();
    wrong[place] ^= 1;
    assert!(refused(wrong).contains("damaged"));
    let change = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut changed = bytes.clone();
        let start = memchr::memmem::find(&changed, from.as_bytes()).unwrap_or_else(|| panic!("no {from}"));
        changed[start..start + from.len()].copy_from_slice(to.as_bytes());
        without_checksums(&mut changed);
        Graph::from_bytes("net.pt2", changed)
    };
    let unread = |from: &str, to: &str| change(from, to).unwrap_err().to_string();
    let error = unread(r#"{"name": "batch_norm"}}, "kind": 1}"#, r#"{"name": "batch_norn"}}, "kind": 1}"#);
    assert!(
        error.contains("aten.relu_.default in stem.2: takes batch_norn, which nothing has made before it"),
        "{error}"
    );
    let error = unread(r#""as_tensors": [{"#, r#""as_sensors": [{"#);
    assert!(error.contains("unknown variant `as_sensors`"), "{error}");
    let unknown = change("torch.ops.aten.max.dim", "torch.ops.aten.maz.dim").unwrap();
    let error = GraphNetwork::new(unknown, Device::Cpu, Preprocess::imagenet()).unwrap_err().to_string();
    let line = "aten.maz.dim in cbam.sa (any_network_list.py, line ";
    assert!(error.starts_with("net.pt2: an operator that is not known here: ") && error.contains(line), "{error}");
    let version = unread(r#""schema_version": {"major": 8"#, r#""schema_version": {"major": 9"#);
    assert!(version.contains("layout 9."), "{version}");
}

/// Takes the checksums out of a zip archive, as PyTorch can be told to write none.
fn without_checksums(bytes: &mut [u8]) {
    for (signature, at) in [(&b"PK\x03\x04"[..], 14), (&b"PK\x01\x02"[..], 16)] {
        let places: Vec<usize> = memchr::memmem::find_iter(bytes, signature).collect();
        for place in places {
            bytes[place + at..place + at + 4].fill(0);
        }
    }
}
