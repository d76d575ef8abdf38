//! A checkpoint into a network's variables.

use super::*;
use cbam::weights::Apply;
use tch::nn::{Init, VarStore};
use tch::{Device, Kind};

/// Variables `net.a [2, 3]`, `net.b [4]` and `other.c [1]`.
fn network() -> VarStore {
    let variables = VarStore::new(Device::Cpu);
    let p = variables.root();
    let _ = (&p / "net").var("a", &[2, 3], Init::Const(0.0));
    let _ = (&p / "net").var("b", &[4], Init::Const(0.0));
    let _ = (&p / "other").var("c", &[1], Init::Const(7.0));
    variables
}

fn in_memory(tensors: &[(&str, Tensor)]) -> Checkpoint {
    let tensors = tensors.iter().map(|(name, tensor)| ((*name).to_owned(), tensor));
    Checkpoint::new(store_all(tensors).unwrap(), BTreeMap::new())
}

#[test]
fn f16_weights_widen_to_the_networks_dtype() {
    let variables = network();
    let a = Tensor::from_slice2(&[[1.5_f32, 2.0, 3.0], [4.0, 5.0, 6.0]]);
    let b = Tensor::from_slice(&[1.0_f64, 2.0, 3.0, 4.0]);
    let weights = in_memory(&[
        ("a", a.to_kind(Kind::Half)),
        ("b", b.to_kind(Kind::BFloat16)),
        ("bn.num_batches_tracked", Tensor::from(3_i64)),
    ]);
    let report = weights.apply(&variables.variables(), "net.", true).unwrap();
    assert!(report.is_complete());
    assert_eq!(report.applied, ["net.a", "net.b"]);
    let named = variables.variables();
    assert!(named["net.a"].kind() == Kind::Float && named["net.a"].requires_grad());
    assert!(named["net.a"].equal(&a) && named["net.b"].equal(&b.to_kind(Kind::Float)));
    assert_eq!(named["other.c"].double_value(&[0]), 7.0);
}

#[test]
fn a_strict_load_that_does_not_fit_lists_the_keys_and_changes_nothing() {
    let variables = network();
    let weights = in_memory(&[
        ("a", Tensor::ones([3, 2], (Kind::Float, Device::Cpu))),
        ("c", Tensor::ones([1], (Kind::Float, Device::Cpu))),
        ("b", Tensor::ones([4], (Kind::Float, Device::Cpu))),
    ]);
    let error = weights.apply(&variables.variables(), "net.", true).unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Weights { .. }));
    let message = error.to_string();
    for part in ["1 applied", "1 unused: c", "1 wrong shape: net.a (f32 [3, 2], the network has f32 [2, 3])"] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert_eq!(variables.variables()["net.b"].sum(Kind::Float).double_value(&[]), 0.0);
    let message = weights.apply(&variables.variables(), "", true).unwrap_err().to_string();
    assert!(message.contains("3 missing: net.a, net.b, other.c"), "{message}");
}

#[test]
fn a_lenient_load_takes_what_fits_and_reports_the_rest() {
    let variables = network();
    let weights = in_memory(&[
        ("b", Tensor::ones([4], (Kind::Int64, Device::Cpu))),
        ("a", Tensor::ones([2, 3], (Kind::Double, Device::Cpu))),
        ("d", Tensor::ones([1], (Kind::Float, Device::Cpu))),
    ]);
    let report = weights.apply(&variables.variables(), "net.", false).unwrap();
    assert_eq!(report.applied, ["net.a"]);
    assert_eq!(report.unused, ["d"]);
    assert!(report.missing.is_empty());
    assert_eq!(report.wrong_shape.len(), 1);
    assert_eq!((report.wrong_shape[0].name.as_str(), report.wrong_shape[0].found.as_str()), ("net.b", "i64 [4]"));
    assert_eq!(variables.variables()["net.a"].sum(Kind::Float).double_value(&[]), 6.0);
}

#[test]
fn a_long_report_is_cut() {
    let variables = VarStore::new(Device::Cpu);
    for index in 0..20 {
        let _ = variables.root().var(&format!("v{index:02}"), &[1], Init::Const(0.0));
    }
    let message = in_memory(&[]).apply(&variables.variables(), "", true).unwrap_err().to_string();
    assert!(message.contains("20 missing: v00, v01,") && message.ends_with("v11 and 8 more"), "{message}");
}
