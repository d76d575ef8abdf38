//! From pooled features to class scores.

use std::borrow::Borrow;

use tch::Tensor;
use tch::nn::{self, Linear, Module};

/// Linear layers with a ReLU between each two; none for a network without classes.
#[derive(Debug)]
pub(super) struct Head {
    layers: Vec<Linear>,
    features: i64,
}

impl Head {
    /// From `features` values over layers of `hidden` to `classes`, each layer as `linear` makes it: the only one under `p`,
    /// several under `p` and their numbers.
    pub(super) fn new<'a>(
        p: impl Borrow<nn::Path<'a>>,
        features: i64,
        hidden: &[i64],
        classes: i64,
        linear: impl Fn(nn::Path<'a>, i64, i64) -> Linear,
    ) -> Self {
        let p = p.borrow();
        let mut inputs = features;
        let mut layer = |(number, &outputs): (usize, &i64)| {
            let path = if hidden.is_empty() { p.clone() } else { p / number };
            let layer = linear(path, inputs, outputs);
            inputs = outputs;
            layer
        };
        let outputs = hidden.iter().chain([&classes]).enumerate();
        let layers = if classes == 0 { Vec::new() } else { outputs.map(&mut layer).collect() };
        Self { layers, features }
    }

    /// The values that it takes.
    pub(super) fn features(&self) -> i64 {
        self.features
    }

    /// `[N, features]` to `[N, classes]`.
    pub(super) fn forward(&self, pooled: &Tensor) -> Tensor {
        let Some((first, rest)) = self.layers.split_first() else { return pooled.narrow(1, 0, 0) };
        rest.iter().fold(first.forward(pooled), |xs, layer| layer.forward(&xs.relu()))
    }

    /// Its matrix, `[classes, features]`, if it is one layer.
    pub(super) fn weight(&self) -> Option<Tensor> {
        if let [only] = &self.layers[..] { Some(only.ws.shallow_clone()) } else { None }
    }
}
