//! From pooled features to class scores.

use std::borrow::Borrow;

use tch::nn::{self, Linear, Module};
use tch::{Kind, Tensor};

use crate::Result;
use crate::kernels::{Clamp, Map, Pointwise, values};

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

    /// For inference; none if the parameters are not f32 on the CPU.
    pub(super) fn prepare(&self) -> Option<PreparedHead> {
        let last = self.layers.len().saturating_sub(1);
        let layer = |(number, layer): (usize, &Linear)| {
            if number == last {
                return Pointwise::linear(layer);
            }
            let bias = layer
                .bs
                .as_ref()
                .map_or_else(|| Some(vec![0.0; layer.ws.size()[0] as usize]), |bias| Some(values(bias)?.to_vec()))?;
            Some(Pointwise::new(values(&layer.ws)?, &bias, Clamp::RELU))
        };
        Some(PreparedHead {
            layers: self.layers.iter().enumerate().map(layer).collect::<Option<_>>()?,
            features: self.features as usize,
        })
    }
}

/// A [`Head`] for inference.
#[derive(Debug)]
pub(super) struct PreparedHead {
    layers: Vec<Pointwise>,
    features: usize,
}

impl PreparedHead {
    /// Features `[N, C, h, w]` to class scores `[N, classes]`.
    pub(super) fn classify(&self, features: &Tensor) -> Result<Tensor> {
        let pooled = Map::of("classifier", features, self.features)?.mean();
        let Some((first, rest)) = self.layers.split_first() else {
            return Ok(Tensor::f_zeros([features.size()[0], 0], (Kind::Float, features.device()))?);
        };
        let scores = rest.iter().fold(first.forward(&pooled), |xs, layer| layer.forward(&xs));
        Ok(scores.tensor().flatten(1, -1))
    }
}
