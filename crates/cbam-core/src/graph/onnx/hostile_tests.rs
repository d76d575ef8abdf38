//! Files that nobody wrote in good faith: each is refused by name, in little time and memory.

use std::time::Instant;

use prost::Message;

use super::proto;
use crate::graph::Graph;

/// A model around nodes: a picture `x` [1, 3, 8, 8] in, `y` out.
fn model(nodes: Vec<proto::Node>, tensors: Vec<proto::Tensor>, functions: Vec<proto::Function>) -> Vec<u8> {
    let dim = |side| proto::Dim { dim_value: Some(side), dim_param: String::new() };
    let shape = proto::Shape { dim: [1, 3, 8, 8].map(dim).to_vec() };
    let kind = proto::Type { tensor_type: Some(proto::TensorType { elem_type: 1, shape: Some(shape) }) };
    let input = proto::ValueInfo { name: "x".to_owned(), kind: Some(kind) };
    let output = proto::ValueInfo { name: "y".to_owned(), kind: None };
    let bytes = |of: Vec<u8>| of.into();
    let graph = proto::Graph {
        node: nodes.iter().map(Message::encode_to_vec).map(bytes).collect(),
        initializer: tensors.iter().map(Message::encode_to_vec).map(bytes).collect(),
        input: vec![input.encode_to_vec().into()],
        output: vec![output.encode_to_vec().into()],
        sparse_initializer: Vec::new(),
    };
    let model = proto::Model {
        producer_name: "nobody".to_owned(),
        producer_version: String::new(),
        graph: graph.encode_to_vec().into(),
        opset_import: vec![proto::OperatorSet { domain: String::new(), version: 17 }],
        functions: functions.iter().map(Message::encode_to_vec).map(bytes).collect(),
    };
    // The version of the format comes first.
    [vec![0x08, 0x08], model.encode_to_vec()].concat()
}

fn node(operator: &str, inputs: &[&str], output: &str) -> proto::Node {
    proto::Node {
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.to_owned()],
        op_type: operator.to_owned(),
        ..proto::Node::default()
    }
}

fn tensor(name: &str, dims: &[i64], raw: &[u8]) -> proto::Tensor {
    let raw_data = raw.to_vec().into();
    proto::Tensor { name: name.to_owned(), dims: dims.to_vec(), data_type: 1, raw_data, ..proto::Tensor::default() }
}

#[test]
fn what_is_sound_opens() {
    let graph = Graph::from_bytes("net.onnx", model(vec![node("Relu", &["x"], "y")], Vec::new(), Vec::new())).unwrap();
    assert_eq!((graph.nodes.len(), &*graph.nodes[0].operator), (1, "aten.relu.default"));
    assert_eq!((graph.format.as_str(), graph.producer.as_str()), ("ONNX, operator set 17", "nobody"));
}

#[test]
fn hostile_models_are_refused_by_name() {
    let refused = |bytes: Vec<u8>| {
        let start = Instant::now();
        let error = Graph::from_bytes("net.onnx", bytes).unwrap_err().to_string();
        assert!(start.elapsed().as_secs() < 20, "{error}");
        assert!(error.starts_with("net.onnx: "), "{error}");
        error
    };
    let plain = |nodes| refused(model(nodes, Vec::new(), Vec::new()));
    assert!(plain(vec![node("Relu", &["y"], "y")]).contains("Relu y: takes y, which nothing has made before it"));
    assert!(plain(vec![node("Relu", &["b"], "a"), node("Relu", &["a"], "b")]).contains("takes b"));
    assert!(plain(vec![node("Relu", &["x"], "x")]).contains("x is made twice"));
    assert!(plain(vec![node("Relu", &["x"], "z")]).contains("its output y is made by nothing"));
    assert!(plain(vec![node("Relu", &["x"], "y"); 1_000_000]).contains("more than 200000 operations"));
    let sized =
        |dims: &[i64]| refused(model(vec![node("Relu", &["w"], "y")], vec![tensor("w", dims, &[0; 8])], Vec::new()));
    assert!(sized(&[1 << 40, 1 << 40]).contains("is no shape"));
    assert!(sized(&[1 << 40]).contains("does not fit 8 bytes"));
    assert!(sized(&[-2]).contains("is no shape"));

    // A function that calls itself, and functions that call one another ten times each.
    let function = |name: &str, inner: &str, times: usize| {
        let call = proto::Node { domain: "own".to_owned(), ..node(inner, &["a"], "") };
        let nodes = (0..times).map(|place| proto::Node { output: vec![format!("b{place}")], ..call.clone() });
        proto::Function {
            name: name.to_owned(),
            domain: "own".to_owned(),
            input: vec!["a".to_owned()],
            output: vec!["b0".to_owned()],
            node: nodes.map(|node| node.encode_to_vec().into()).collect(),
            opset_import: vec![proto::OperatorSet { domain: String::new(), version: 17 }],
        }
    };
    let call = |name: &str| proto::Node { domain: "own".to_owned(), ..node(name, &["x"], "y") };
    let error = refused(model(vec![call("f")], Vec::new(), vec![function("f", "f", 1)]));
    assert!(error.contains("more than 16 deep"), "{error}");
    let mut functions: Vec<_> =
        (0..9).map(|level| function(&format!("f{level}"), &format!("f{}", level + 1), 10)).collect();
    functions.push(proto::Function {
        node: vec![node("Relu", &["a"], "b0").encode_to_vec().into()],
        ..function("f9", "", 0)
    });
    let error = refused(model(vec![call("f0")], Vec::new(), functions));
    assert!(error.contains("more than 200000 operations"), "{error}");

    // Two million empty attributes in as many bytes as a picture has.
    let many =
        [model(Vec::new(), Vec::new(), Vec::new()), [0x3a, 0x80, 0x80, 0x80, 0x02].to_vec(), [0x0a, 0].repeat(2 << 20)]
            .concat();
    assert!(refused(many).contains("more than 1048576 parts"));
}
