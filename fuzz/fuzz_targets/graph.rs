//! What `torch.export.save` writes: the bytes of a file, or records in a sound archive: the graph as JSON, and what it takes.
#![no_main]

use cbam_core::graph::{Find, Graph};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: cbam_fuzz::begin(), |data: &[u8]| {
    let Some(bytes) = cbam_fuzz::file_or_archive(data) else { return };
    let graph = match Graph::from_bytes("net.pt2", bytes.clone()) {
        Ok(graph) => graph,
        Err(error) => return assert!(error.to_string().starts_with("net.pt2: "), "{error}"),
    };
    // Every value is made before it is taken, and once.
    let mut made = vec![false; graph.values.len()];
    let given = graph.inputs.iter().map(|input| input.value).chain(graph.weights.iter().map(|weight| weight.value));
    given.for_each(|value| made[value.index()] = true);
    for node in &graph.nodes {
        assert!(node.takes().all(|value| made[value.index()]), "{node}");
        for value in node.makes() {
            assert!(!std::mem::replace(&mut made[value.index()], true), "{node}");
        }
    }
    let total: usize = graph.weights.iter().map(|weight| weight.tensor.bytes().len()).sum();
    assert!(total <= 8 * bytes.len(), "{total} bytes of numbers from {} bytes", bytes.len());
    let shapes = graph.example_shapes();
    let found = Find::new(&graph, &shapes).all();
    assert!(found.default_place.is_none_or(|place| place < found.places.len()));
    let _ = (found.maps(), graph.fingerprint());
});
