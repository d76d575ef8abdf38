//! Networks against what another program made of an input.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use cbam::attention::{CbamConfig, PoolOrder, SpatialAttentionConfig};
use cbam::backbone::Arch;
use cbam::network::{Agreement, Network, NetworkConfig, Reference};
use cbam::weights::{Checkpoint, Precision, store_all};
use tch::{Device, Kind, Tensor};

const F32: (Kind, Device) = (Kind::Float, Device::Cpu);

/// A network whose gates matter, with the pools in that order.
fn network(order: PoolOrder) -> Network {
    let cbam = CbamConfig::default().with_spatial(SpatialAttentionConfig::default().with_order(order));
    let config = NetworkConfig::in_every_block(Arch::ResNet18, |block| block.with_cbam(cbam.clone())).unwrap();
    tch::manual_seed(3);
    let network = Network::new(NetworkConfig { classes: 7, ..config }, Device::Cpu).unwrap();
    let _guard = tch::no_grad_guard();
    for (name, variable) in network.variables().variables() {
        if name.ends_with("spatial.bn.weight") {
            let _ = variable.shallow_clone().fill_(1.5);
        }
    }
    network
}

struct Files(tempfile::TempDir);

impl Files {
    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A reference of these tensors.
    fn reference(&self, tensors: &[(&str, &Tensor)]) -> PathBuf {
        let tensors = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), *tensor));
        let path = self.path("reference.safetensors");
        Checkpoint::new(store_all(tensors).unwrap(), BTreeMap::new()).save(&path, Precision::Keep).unwrap();
        path
    }
}

fn within(agreements: &[Agreement]) -> bool {
    agreements.iter().all(|agreement| agreement.within)
}

#[test]
fn a_network_agrees_with_itself_in_both_forms_and_not_with_another() {
    let files = Files(tempfile::tempdir().unwrap());
    let (ours, other) = (network(PoolOrder::MaxMean), network(PoolOrder::MeanMax));
    let input = Tensor::randn([2, 3, 64, 96], F32);
    let output = tch::no_grad(|| ours.forward(&input, false)).unwrap();
    let block = output.attention.iter().find(|block| block.stage == "layer3.1").unwrap();
    let (spatial, channel) = (&block.spatial.as_ref().unwrap().gate, &block.channel.as_ref().unwrap().gate);
    let path = files.reference(&[
        ("input", &input),
        ("logits", &output.logits),
        ("gate:spatial:layer3.1", &spatial.unsqueeze(1)),
        ("gate:channel:layer3.1", channel),
    ]);
    let reference = Reference::open(&path).unwrap();
    let exact = reference.compare(&ours.answer(&reference).unwrap()).unwrap();
    assert_eq!(
        exact.iter().map(|found| found.what.as_str()).collect::<Vec<_>>(),
        ["logits", "channel:layer3.1", "spatial:layer3.1"]
    );
    assert!(within(&exact) && exact[0].difference == 0.0 && exact[0].top1 == Some((2, 2)));
    let form = ours.for_inference().unwrap();
    let close = reference.compare_inference(&form).unwrap();
    assert!(within(&close) && close[0].difference > 0.0, "{close:?}");
    let far = reference.compare(&other.answer(&reference).unwrap()).unwrap();
    assert!(!within(&far) && far.iter().any(|found| found.difference > 0.01), "{far:?}");
    let strict = Reference::open(&path).unwrap().with_tolerance(0.0);
    assert!(!within(&strict.compare_inference(&form).unwrap()));
}

#[test]
fn what_is_no_reference_is_refused_by_name() {
    let files = Files(tempfile::tempdir().unwrap());
    let (input, logits) = (Tensor::zeros([2, 3, 64, 64], F32), Tensor::zeros([2, 7], F32));
    let one = Tensor::zeros([1, 7], F32);
    for (tensors, named) in [
        (vec![("logits", &logits)], "no tensor \"input\", [N, C, H, W]"),
        (vec![("input", &input)], "no tensor \"logits\", [N, classes]"),
        (vec![("input", &logits), ("logits", &logits)], "\"input\" is [2, 7]"),
        (vec![("input", &input), ("logits", &one)], "2 inputs, and a result of shape [1, 7]"),
        (vec![("input", &input), ("logits", &logits), ("gate:fused", &logits)], "\"gate:fused\" is none of"),
        (vec![("input", &input), ("logits", &logits), ("x", &logits)], "\"x\" is none of"),
    ] {
        let message = Reference::open(files.reference(&tensors)).unwrap_err().to_string();
        assert!(message.contains(named) && message.contains("reference.safetensors"), "{message}");
    }
    let network = network(PoolOrder::MaxMean);
    for (tensors, named) in [
        (vec![("input", &input), ("logits", &Tensor::zeros([2, 9], F32))], "logits is [2, 7] here, and [2, 9]"),
        (
            vec![("input", &input), ("logits", &logits), ("gate:spatial:layer9", &logits)],
            "no gate spatial:layer9; its attention stands at layer1.0",
        ),
    ] {
        let reference = Reference::open(files.reference(&tensors)).unwrap();
        let message = reference.compare(&network.answer(&reference).unwrap()).unwrap_err().to_string();
        assert!(message.contains(named), "{message}");
    }
    let nan = files.reference(&[("input", &input), ("logits", &Tensor::full([2, 7], f64::NAN, F32))]);
    let nan = Reference::open(nan).unwrap();
    let found = nan.compare(&network.answer(&nan).unwrap()).unwrap();
    assert!(!within(&found), "nothing agrees with what is no number");
}

#[cfg(feature = "cli")]
#[test]
fn the_program_says_whether_a_network_agrees() {
    let files = Files(tempfile::tempdir().unwrap());
    let golden = |name: &str| crate::file(Path::new("tests/golden/torchscript").join(name));
    let network = network(PoolOrder::MaxMean);
    network.save(files.path("w.safetensors"), &BTreeMap::new()).unwrap();
    let input = Tensor::randn([2, 3, 64, 96], F32);
    let logits = tch::no_grad(|| network.forward(&input, false)).unwrap().logits;
    let run = |tensors: &[(&str, &Tensor)], more: &[&str]| {
        let reference = files.reference(tensors);
        let mut command = crate::program("cbam-run");
        let output = command.arg("--check").arg(reference).args(more).args(["--device", "cpu"]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let weights = files.path("w.safetensors");
    let ours = ["--weights", weights.to_str().unwrap()];
    let (code, text) = run(&[("input", &input), ("logits", &logits)], &ours);
    assert!(code == Some(0) && text.contains("agrees with") && text.contains("top-1 the same for 2 of 2"), "{text}");
    assert!(text.contains("libtorch    logits: largest difference") && text.contains("as it runs  logits"), "{text}");
    let (code, text) = run(&[("input", &input), ("logits", &(&logits + 0.1))], &ours);
    assert!(code == Some(1) && text.contains("does NOT agree") && text.contains("<- beyond the tolerance"), "{text}");
    let (code, _) = run(&[("input", &input), ("logits", &(&logits + 0.1))], &[ours[0], ours[1], "--tolerance", "1"]);
    assert_eq!(code, Some(0));

    let script = golden("gated.pt");
    let script = ["--torchscript", script.to_str().unwrap()];
    let input = Tensor::randn([2, 3, 32, 48], F32);
    let module = tch::CModule::load(script[1]).unwrap();
    let tch::IValue::Tuple(outputs) = module.forward_is(&[tch::IValue::Tensor(input.shallow_clone())]).unwrap() else {
        panic!("not a tuple")
    };
    let tch::IValue::Tensor(logits) = &outputs[0] else { panic!("not a tensor") };
    let (code, text) = run(&[("input", &input), ("logits", logits)], &script);
    assert!(code == Some(0) && text.contains("TorchScript logits"), "{text}");
    let (code, _) = run(&[("input", &input), ("logits", &(logits * 1.1))], &script);
    assert_eq!(code, Some(1));
    let (code, text) = run(&[("input", &input)], &script);
    assert!(code != Some(0) && text.contains("no tensor \"logits\""), "{text}");
}
