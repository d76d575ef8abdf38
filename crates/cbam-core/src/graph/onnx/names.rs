//! Where an operation of a file stands in the user's network: by what PyTorch's exporters and tf2onnx write down.

use std::collections::HashMap;
use std::sync::Arc;

use super::proto;
use crate::graph::export::user_line;
use crate::graph::program::Module;

/// Operations that are a module of their own where nothing else stands in it.
const ACTIVATIONS: [&str; 12] = [
    "Clip",
    "Elu",
    "Gelu",
    "HardSigmoid",
    "HardSwish",
    "LeakyRelu",
    "PRelu",
    "Relu",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
];
/// As deep as modules are followed.
const MAX_DEPTH: usize = 64;

/// The module that operations are in which are an activation and nothing else.
const ACTIVATION: &str = "torch.nn.modules.activation.";

/// Where an operation stands.
pub(super) struct Place {
    pub(super) modules: Arc<[Module]>,
    pub(super) line: Option<Arc<str>>,
}

/// The modules of a file's operations.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// What the names of all operations of TensorFlow's begin with, such as the model's own name.
    shared: Option<Vec<String>>,
    /// Whether a module holds activations alone, by its path.
    activations_alone: HashMap<String, bool>,
}

impl Names {
    /// Learns of the operations that will be placed.
    pub(super) fn learn(&mut self, nodes: &[proto::Node]) {
        for node in nodes.iter().filter(|node| of_tensorflow(node)) {
            let parts = node.name.split('/').map(str::to_owned);
            match &mut self.shared {
                None => self.shared = Some(parts.collect()),
                Some(shared) => {
                    let same = shared.iter().zip(parts).take_while(|(shared, part)| *shared == part).count();
                    shared.truncate(same);
                }
            }
        }
        for node in nodes {
            let activation = ACTIVATIONS.contains(&node.op_type.as_str());
            for path in self.paths(node) {
                *self.activations_alone.entry(path).or_insert(true) &= activation;
            }
        }
    }

    pub(super) fn place(&self, node: &proto::Node) -> Place {
        let classes = listed(node, "pkg.torch.onnx.class_hierarchy");
        let module = |(depth, path): (usize, String)| {
            let alone = self.activations_alone.get(&path).copied().unwrap_or(false);
            let class = classes
                .get(depth)
                .cloned()
                .unwrap_or_else(|| if alone { ACTIVATION.to_owned() } else { String::new() });
            Module { path, class }
        };
        let modules = self.paths(node).into_iter().enumerate().map(module).collect();
        let line = property(node, "pkg.torch.onnx.stack_trace").and_then(user_line).map(Into::into);
        Place { modules, line }
    }

    /// The paths of the modules that an operation stands in, the innermost last.
    fn paths(&self, node: &proto::Node) -> Vec<String> {
        let mut scopes = listed(node, "pkg.torch.onnx.name_scopes");
        if scopes.pop().is_some() {
            // The last is the operation itself.
            return scopes;
        }
        let shared = self.shared.as_ref().filter(|_| of_tensorflow(node)).map_or(0, Vec::len);
        let parts = node.name.split('/').skip(shared);
        let mut parts: Vec<&str> = parts.filter(|part| !part.is_empty()).take(MAX_DEPTH).collect();
        parts.pop();
        let (mut paths, mut path) = (vec![String::new()], String::new());
        let mut before = "";
        for part in parts {
            // PyTorch says a child of a list by its path from the list's parent: `layer1/layer1.0/conv1`.
            let inner =
                part.strip_prefix(before).and_then(|rest| rest.strip_prefix('.')).filter(|_| !before.is_empty());
            let step = inner.unwrap_or(part);
            path = if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
            paths.push(path.clone());
            before = part;
        }
        paths
    }
}

fn property<'n>(node: &'n proto::Node, key: &str) -> Option<&'n str> {
    node.metadata_props.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
}

/// A list as Python writes it: `['', 'layer1', 'layer1.0']`.
fn listed(node: &proto::Node, key: &str) -> Vec<String> {
    let Some(text) = property(node, key) else { return Vec::new() };
    let inside = text.trim().trim_start_matches('[').trim_end_matches(']');
    let word = |word: &str| word.trim().trim_matches(['\'', '"']).to_owned();
    inside.split(',').take(MAX_DEPTH).map(word).collect()
}

/// Whether an operation is called as TensorFlow calls it, `model/layer/Conv2D`; PyTorch begins with a stroke.
fn of_tensorflow(node: &proto::Node) -> bool {
    node.name.contains('/') && !node.name.starts_with('/') && node.metadata_props.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, op_type: &str) -> proto::Node {
        proto::Node { name: name.to_owned(), op_type: op_type.to_owned(), ..proto::Node::default() }
    }

    #[test]
    fn paths_are_those_of_named_modules() {
        let names = Names::default();
        let innermost = |name: &str| names.paths(&node(name, "Conv")).pop().unwrap_or_default();
        assert_eq!(innermost("/layer1/layer1.0/ca/fc1/Conv"), "layer1.0.ca.fc1");
        assert_eq!(innermost("/features/features.0/features.0.0/Conv"), "features.0.0");
        assert_eq!(innermost("/Sigmoid_1"), "");
        assert_eq!(innermost("Conv_12"), "");
    }

    #[test]
    fn what_all_names_of_tensorflow_begin_with_is_left_out() {
        let mut names = Names::default();
        let nodes = ["StatefulPartitionedCall/net/stem/Conv2D", "StatefulPartitionedCall/net/se/fc/MatMul", "Conv__12"];
        let nodes = nodes.map(|name| node(name, "Conv"));
        names.learn(&nodes);
        let innermost = nodes.map(|node| names.paths(&node).pop().unwrap_or_default());
        assert_eq!(innermost, ["stem", "se.fc", ""]);
    }

    #[test]
    fn a_module_of_an_activation_alone_is_known() {
        let mut names = Names::default();
        let nodes = [node("/ca/fc/Conv", "Conv"), node("/ca/sigmoid/Sigmoid", "Sigmoid"), node("/ca/Mul", "Mul")];
        names.learn(&nodes);
        let classes: Vec<_> = names.place(&nodes[1]).modules.iter().map(|module| module.class.clone()).collect();
        assert_eq!(classes, ["", "", ACTIVATION]);
    }
}
