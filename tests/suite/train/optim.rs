//! The optimizers take the steps that `torch.optim` takes; `tests/golden/optim/gen.py` wrote them.

use std::collections::BTreeMap;

use cbam::train::optim::{AdamW, Ema, Group, Optimizer, Rule, Sgd, clip_norm};
use cbam::weights::{Checkpoint, restore_all};
use tch::{Device, Kind, Tensor, nn};

const RATES: [f64; 6] = [0.01, 0.02, 0.05, 0.05, 0.03, 0.004];

fn golden(case: &str) -> BTreeMap<String, Tensor> {
    let path = crate::file(format!("tests/golden/optim/{case}.safetensors"));
    restore_all(&Checkpoint::open(path).unwrap().tensors).unwrap()
}

/// `fast` in the store's group 1, `slow` in group 0, of the golden's values.
fn store(golden: &BTreeMap<String, Tensor>) -> nn::VarStore {
    let mut store = nn::VarStore::new(Device::Cpu);
    store.set_kind(Kind::Double);
    for (name, group) in [("fast", 1), ("slow", 0)] {
        let start = &golden[&format!("start.{name}")];
        let mut value = store.root().set_group(group).var(name, &start.size(), nn::Init::Const(0.0));
        tch::no_grad(|| value.copy_(start));
    }
    store
}

fn optimizer(store: &nn::VarStore, rule: Rule, decay: f64) -> Optimizer {
    let group = |fast: bool| Group { rate: if fast { 3.0 } else { 1.0 }, weight_decay: if fast { 0.0 } else { decay } };
    Optimizer::new(store, rule, |parameter| group(parameter.store_group == 1)).unwrap()
}

fn gradients(golden: &BTreeMap<String, Tensor>, step: usize) -> Vec<Tensor> {
    ["fast", "slow"].map(|name| golden[&format!("grad.{step}.{name}")].copy()).into()
}

fn largest_difference(store: &nn::VarStore, golden: &BTreeMap<String, Tensor>, step: usize) -> f64 {
    let difference = |name: &str| {
        let expected = &golden[&format!("after.{step}.{name}")];
        let scale = expected.abs().max().double_value(&[]);
        (&store.variables()[name] - expected).abs().max().double_value(&[]) / scale
    };
    difference("fast").max(difference("slow"))
}

fn compare(case: &str, rule: Rule, decay: f64, clip: Option<f64>) {
    let golden = golden(case);
    let store = store(&golden);
    let mut optimizer = optimizer(&store, rule, decay);
    for (step, rate) in RATES.into_iter().enumerate() {
        let mut gradients = gradients(&golden, step);
        if let Some(max) = clip {
            let norm = clip_norm(&mut gradients, max).unwrap();
            let expected = golden[&format!("norm.{step}")].double_value(&[]);
            assert!((norm - expected).abs() < 1e-12 * expected, "{case}, step {step}: {norm} is not {expected}");
        }
        optimizer.step(&gradients, rate).unwrap();
        let difference = largest_difference(&store, &golden, step);
        assert!(difference < 1e-12, "{case}, step {step}: off by {difference}");
    }
}

#[test]
fn adamw_steps_as_pytorch_does() {
    compare("adamw", Rule::AdamW(AdamW::default()), 0.0, None);
    compare("adamw_decay", Rule::AdamW(AdamW { betas: [0.8, 0.95], eps: 1e-3 }), 0.3, None);
    compare("adamw_clip", Rule::AdamW(AdamW::default()), 0.1, Some(5.0));
}

#[test]
fn sgd_steps_as_pytorch_does() {
    compare("sgd", Rule::Sgd(Sgd { momentum: 0.0, nesterov: false }), 0.0, None);
    compare("sgd_momentum", Rule::Sgd(Sgd { momentum: 0.9, nesterov: false }), 0.2, None);
    compare("sgd_nesterov", Rule::Sgd(Sgd { momentum: 0.8, nesterov: true }), 0.2, Some(5.0));
}

#[test]
fn moments_saved_and_restored_go_on_bit_for_bit() {
    for rule in [Rule::AdamW(AdamW::default()), Rule::Sgd(Sgd::default())] {
        let golden = golden("adamw");
        let (whole, first) = (store(&golden), store(&golden));
        let mut optimizer_of_whole = optimizer(&whole, rule, 0.1);
        let mut optimizer_of_first = optimizer(&first, rule, 0.1);
        for (step, rate) in RATES.into_iter().enumerate().take(3) {
            optimizer_of_whole.step(&gradients(&golden, step), rate).unwrap();
            optimizer_of_first.step(&gradients(&golden, step), rate).unwrap();
        }
        let saved: BTreeMap<_, _> = optimizer_of_first.moments().iter().map(|(k, v)| (k.clone(), v.copy())).collect();
        let second = store(&golden);
        for (name, mut value) in second.variables() {
            tch::no_grad(|| value.copy_(&first.variables()[&name]));
        }
        let mut optimizer_of_second = optimizer(&second, rule, 0.1);
        optimizer_of_second.restore(&saved, 3).unwrap();
        for (step, rate) in RATES.into_iter().enumerate().skip(3) {
            optimizer_of_whole.step(&gradients(&golden, step), rate).unwrap();
            optimizer_of_second.step(&gradients(&golden, step), rate).unwrap();
        }
        for (name, value) in whole.variables() {
            assert!(value.equal(&second.variables()[&name]), "{name}, {rule:?}");
        }
        assert!(optimizer_of_second.restore(&BTreeMap::new(), 3).is_err());
    }
}

#[test]
fn gradients_come_by_name_and_frozen_variables_stay_out() {
    let golden = golden("sgd");
    let store = store(&golden);
    let loss = store.variables()["slow"].square().sum(Kind::Double);
    let two = optimizer(&store, Rule::Sgd(Sgd::default()), 0.0);
    assert_eq!(two.names().collect::<Vec<_>>(), ["fast", "slow"]);
    let found = two.gradients(&loss).unwrap();
    assert!(!found[0].defined());
    assert!(found[1].allclose(&(&store.variables()["slow"] * 2.0), 1e-12, 0.0, false));
    let _ = store.variables()["fast"].set_requires_grad(false);
    let one = optimizer(&store, Rule::Sgd(Sgd::default()), 0.0);
    assert_eq!((one.names().collect::<Vec<_>>(), one.len()), (vec!["slow"], 5));
    let mut one = one;
    assert!(one.step(&found, 0.1).is_err(), "two gradients for one parameter");
    assert!(one.gradients(&Tensor::from(1.0)).is_err(), "a loss that depends on nothing");
}

#[test]
fn the_average_follows_and_swaps() {
    let store = nn::VarStore::new(Device::Cpu);
    let mut value = store.root().var("a", &[2], nn::Init::Const(1.0));
    let mut ema = Ema::new(store.variables(), 0.9).unwrap();
    let _ = tch::no_grad(|| value.fill_(3.0));
    ema.update(1).unwrap(); // keeps 2/11 at first
    let expected = 1.0 * 2.0 / 11.0 + 3.0 * 9.0 / 11.0;
    let average = |ema: &Ema| ema.averages()["a"].double_value(&[1]);
    assert!((average(&ema) - expected).abs() < 1e-6);
    let before = average(&ema);
    ema.update(1000).unwrap(); // keeps 0.9
    assert!((average(&ema) - (0.9 * before + 0.1 * 3.0)).abs() < 1e-6);
    let after = average(&ema);
    ema.swap().unwrap();
    assert_eq!((value.double_value(&[0]), average(&ema)), (after, 3.0));
    ema.swap().unwrap();
    assert_eq!((value.double_value(&[0]), average(&ema)), (3.0, after));
    assert!(Ema::new(store.variables(), 1.0).is_err());
}
