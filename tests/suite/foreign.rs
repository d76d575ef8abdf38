//! Checkpoints that PyTorch code of every layout wrote open by themselves, and answer as it does. They are too large to
//! keep: `make foreign-checkpoints` writes them.

use std::collections::BTreeMap;
use std::path::PathBuf;

use cbam::network::Network;
use cbam::weights::{Checkpoint, restore_all};
use tch::{Device, Kind, Tensor};

use crate::weights::answers::answer_for_inference;

/// The files with this ending, as `make foreign-checkpoints` leaves them.
fn written(ending: &str) -> Vec<PathBuf> {
    let folder = crate::file("target/foreign");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.to_string_lossy().ends_with(ending));
    paths.sort();
    paths
}

fn difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

/// The logits, the channel gates `[C]` and the spatial gates `[h, w]`.
fn answer(network: &Network, picture: &Tensor) -> (Tensor, [Vec<Tensor>; 2]) {
    let output = network.forward(&picture.unsqueeze(0), false).unwrap();
    let channel = output.attention.iter().filter_map(|block| block.channel.as_ref());
    let spatial = output.attention.iter().filter_map(|block| block.spatial.as_ref());
    let gates = [channel.map(|gate| gate.gate.get(0)).collect(), spatial.map(|gate| gate.gate.get(0)).collect()];
    (output.logits.get(0), gates)
}

/// The same from PyTorch. BAM's gate is `[C, h, w]`: of it each kind of gate is a mean.
fn expected_gates(tensors: &BTreeMap<String, Tensor>) -> [Vec<Tensor>; 2] {
    let mut gates = [Vec::new(), Vec::new()];
    // Modules are numbered below 10, so that their names sort as they run.
    for (_, gate) in tensors.iter().filter(|(name, _)| name.starts_with("gate:")) {
        if let axes @ (1 | 2) = gate.dim() {
            gates[axes - 1].push(gate.shallow_clone());
        } else {
            gates[0].push(gate.mean_dim(&[1i64, 2][..], false, Kind::Float));
            gates[1].push(gate.mean_dim(&[0i64][..], false, Kind::Float));
        }
    }
    gates
}

#[test]
#[ignore = "needs the checkpoints of `make foreign-checkpoints`"]
fn checkpoints_of_every_layout_answer_as_pytorch_does() {
    let expected = written(".safetensors");
    assert_eq!(expected.len(), 6);
    for path in expected {
        let tensors = restore_all(&Checkpoint::open(&path).unwrap().tensors).unwrap();
        let expected = expected_gates(&tensors);
        for ending in ["pt", "pth.tar"] {
            let file = path.with_extension(ending);
            let network = Network::open(&file, Device::Cpu).unwrap();
            let plain = tch::no_grad(|| answer(&network, &tensors["picture"]));
            let fast = answer_for_inference(&network.for_inference().unwrap(), &tensors["picture"].unsqueeze(0));
            let (channel, spatial) = fast.gates.into_iter().partition(|gate| gate.dim() == 1);
            let fast = (fast.logits, [channel, spatial]);
            for (form, (logits, found)) in [("", plain), (", for inference", fast)] {
                let mut worst = difference(&logits, &tensors["logits"]);
                let mut count = 0;
                for (found, expected) in found.iter().zip(&expected) {
                    assert_eq!(found.len(), expected.len(), "{}", file.display());
                    count += found.len();
                    worst = found.iter().zip(expected).map(|(a, b)| difference(a, b)).fold(worst, f64::max);
                }
                println!("{}{form}: logits and {count} gates within {worst:.1e}", file.display());
                assert!(count > 0 && worst < 1e-4, "{}{form}: {worst}", file.display());
            }
        }
    }
}
