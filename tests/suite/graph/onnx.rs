//! Models of ONNX: what PyTorch and Keras say of the same networks, and errors that name the operation.

use cbam::graph::{GateKind, Graph, GraphNetwork};
use cbam::model::Model;
use cbam::photo::Preprocess;
use tch::Device;

use super::{CHANNEL, Golden, SPATIAL, agrees, array, difference, gates_agree, golden, grad_cam_agrees, open};

#[test]
fn exporters_of_pytorch_agree() {
    // Set 13 with its numbers in another file, set 17 with BatchNorm as it is.
    for set in [11, 13, 17] {
        let file = format!("small-{set}.onnx");
        let network = gates_agree(&file, &[("cbam.ca", CHANNEL, &[0]), ("cbam.sa", SPATIAL, &[1])]);
        grad_cam_agrees(&file, "relu");
        assert_eq!(network.graph().format, format!("ONNX, operator set {set}"));
        assert!(network.graph().producer.starts_with("pytorch 2.11"), "{}", network.graph().producer);
    }
    let network = gates_agree("bam-21.onnx", &[("attention.layer1", GateKind::Full, &[0])]);
    let line = network.graph().nodes.iter().find_map(|node| node.line.as_deref()).unwrap();
    assert!(line.starts_with("any_network_list.py, line "), "{line}");
    // The exporter leaves out that the module lies in a dictionary.
    gates_agree("coordinate-11.onnx", &[("layer2", GateKind::Coordinate, &[0, 1])]);
    grad_cam_agrees("coordinate-11.onnx", "layer4");
}

#[test]
fn attention_is_found_in_its_parts() {
    for file in ["vit-17.onnx", "vit-21.onnx"] {
        let (network, golden, readouts) = agrees(file);
        let found = &network.found().attention;
        let names: Vec<_> =
            found.iter().map(|of| (of.name.as_str(), of.heads, of.grid, of.before, of.class_token)).collect();
        assert_eq!(names, [("blocks.0.attn", 3, [4, 6], 3, true), ("blocks.1.attn", 3, [4, 6], 3, true)]);
        let of_class = readouts[1].patches[0].class_token.as_ref().unwrap();
        let weights = golden.get("attention.1").get(1).narrow(1, 0, 1).narrow(2, 3, 24).reshape([3, 4, 6]) * 27;
        let off = difference(&of_class.clone().into_dyn(), &array(&weights));
        assert!(off < 1e-4, "{file} is off by {off}");
    }
}

#[test]
fn keras_s_pictures_have_their_channels_last() {
    for file in ["keras-11.onnx", "keras-13.onnx"] {
        let network = gates_agree(file, &[("excite_1", CHANNEL, &[0]), ("spatial_1", SPATIAL, &[1])]);
        grad_cam_agrees(file, "last_1");
        let size = network.describe().preprocess.network_size(cbam::photo::ImageSize::new(400, 300));
        assert_eq!((size.width, size.height), (90, 65));
        assert!(network.assumptions().iter().any(|of| of.what.contains("probabilities")));
    }
}

#[test]
fn models_of_onnx_that_are_wrong_are_refused_by_name() {
    let bytes = std::fs::read(golden("small-11.onnx")).unwrap();
    let refused = |bytes: Vec<u8>| Graph::from_bytes("net.onnx", bytes).unwrap_err().to_string();
    for length in [100, bytes.len() / 2, bytes.len() - 1] {
        let error = refused(bytes[..length].to_vec());
        assert!(error.starts_with("net.onnx: "), "{error}");
    }
    let change = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut changed = bytes.clone();
        let start = memchr::memmem::find(&changed, from.as_bytes()).unwrap_or_else(|| panic!("no {from}"));
        changed[start..start + from.len()].copy_from_slice(to.as_bytes());
        refused(changed)
    };
    let error = change("\u{7}Sigmoid", "\u{7}Sigmund");
    assert!(error.contains("an operator that is not known here: Sigmund /cbam/ca/"), "{error}");
    let error = change("keepdims", "keepdame");
    assert!(error.contains("has an attribute keepdame, which is not known here"), "{error}");
    let outside = std::fs::read(golden("small-13.onnx")).unwrap();
    let error = refused(outside.clone());
    assert!(error.contains("its numbers lie in small-13.onnx.data, beside the file"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("net.onnx");
    let mut elsewhere = outside;
    let name = memchr::memmem::find(&elsewhere, b"small-13.onnx.data").unwrap();
    elsewhere[name..name + 18].copy_from_slice(b"../../../../../etc");
    std::fs::write(&file, elsewhere).unwrap();
    let error = Graph::open(&file).unwrap_err().to_string();
    assert!(error.contains("which is not beside the file"), "{error}");
}

#[test]
fn weights_of_a_checkpoint_go_into_a_model_that_keeps_its_names() {
    let graph = Graph::open(golden("small-17.onnx")).unwrap();
    let halved = cbam::weights::Checkpoint::open(golden("small-half.pth")).unwrap();
    let (graph, _) = graph.with_weights(&halved).unwrap();
    let network =
        GraphNetwork::new(graph, Device::Cpu, Preprocess { short_side: 64, ..Preprocess::imagenet() }).unwrap();
    let (other, _) = Graph::open(golden("small.pt2")).unwrap().with_weights(&halved).unwrap();
    let other = GraphNetwork::new(other, Device::Cpu, Preprocess { short_side: 64, ..Preprocess::imagenet() }).unwrap();
    let input = Golden::open("small.pt2").input();
    let [ours, theirs] = [network, other].map(|network| array(&network.forward(&input).unwrap().remove(0).unwrap()));
    let off = difference(&ours, &theirs);
    assert!(off < 1e-5, "off by {off}");
    // BatchNorm is folded into convolutions whose names say so.
    let error = Graph::open(golden("small-11.onnx")).unwrap().with_weights(&halved).unwrap_err().to_string();
    assert!(error.contains("onnx::Conv_") && error.contains("is missing"), "{error}");
    assert!(open("small-11.onnx").graph().weights.iter().any(|weight| weight.name == "fc.weight"));
}
