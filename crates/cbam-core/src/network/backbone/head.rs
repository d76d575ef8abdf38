//! From pooled features to class scores.

use crate::kernels::{Clamp, Map, Pointwise};
use crate::network::parameters::Named;
use crate::{Error, Result};

/// Linear layers with a ReLU between each two, over the mean of each channel; none for a network without classes.
#[derive(Debug)]
pub(super) struct Head {
    layers: Vec<Pointwise>,
}

impl Head {
    /// From `features` values over layers of `hidden` to `classes`; `name` says what each layer is called.
    pub(super) fn new(
        p: &Named<'_>,
        features: usize,
        hidden: &[i64],
        classes: i64,
        name: impl Fn(usize) -> String,
    ) -> Result<Self> {
        if classes == 0 {
            return Ok(Self { layers: Vec::new() });
        }
        let mut inputs = features;
        let layer = |(number, &outputs): (usize, &i64)| {
            let shape = [outputs as usize, std::mem::replace(&mut inputs, outputs as usize)];
            let clamp = if number == hidden.len() { Clamp::NONE } else { Clamp::RELU };
            Ok(p.at(name(number)).layer(&shape, true)?.pointwise(clamp))
        };
        Ok(Self { layers: hidden.iter().chain([&classes]).enumerate().map(layer).collect::<Result<_>>()? })
    }

    /// The same, its only layer called `only`, several by their numbers under that.
    pub(super) fn pooled(p: &Named<'_>, only: &str, features: usize, hidden: &[i64], classes: i64) -> Result<Self> {
        let name = |number| if hidden.is_empty() { only.to_owned() } else { format!("{only}.{number}") };
        Self::new(p, features, hidden, classes, name)
    }

    /// Pooled features, `[N, 1, 1, features]`, to scores.
    pub(super) fn scores(&self, pooled: &Map) -> Result<Vec<f32>> {
        let Some((first, rest)) = self.layers.split_first() else { return Ok(Vec::new()) };
        if pooled.channels() != first.inputs() {
            let (expected, got) = (format!("features of {} channels", first.inputs()), format!("{:?}", pooled.shape()));
            return Err(Error::Input { layer: "classifier", expected, got });
        }
        if pooled.images() == 0 {
            return Ok(Vec::new());
        }
        // As positions of one image, which read every matrix once.
        let rows = Map::new([1, 1, pooled.images(), pooled.channels()], pooled.numbers().to_vec())?;
        Ok(rest.iter().fold(first.forward(&rows), |xs, layer| layer.forward(&xs)).into_numbers())
    }

    /// Features `[N, H, W, C]` to scores.
    pub(super) fn classify(&self, features: &Map) -> Result<Vec<f32>> {
        self.scores(&features.mean())
    }

    /// The gradient of a weighted sum of the scores of one picture at its pooled features, `[features]`.
    pub(super) fn slope_pooled(&self, pooled: &Map, weights: &[f32]) -> Vec<f32> {
        let Some((last, hidden)) = self.layers.split_last() else { return vec![0.0; pooled.channels()] };
        let mut between = Vec::with_capacity(hidden.len());
        for layer in hidden {
            let xs = layer.forward(between.last().unwrap_or(pooled));
            between.push(xs);
        }
        let mut slope = last.backward(weights);
        for (layer, xs) in hidden.iter().zip(&between).rev() {
            for (slope, x) in slope.iter_mut().zip(xs.numbers()) {
                *slope = if *x > 0.0 { *slope } else { 0.0 }; // where a ReLU is 0, nothing changes it
            }
            slope = layer.backward(&slope);
        }
        slope
    }

    /// The same at the features of one picture, `[H, W, C]`.
    pub(super) fn slope(&self, features: &Map, weights: &[f32]) -> Vec<f32> {
        let positions = features.height() * features.width();
        let slope: Vec<f32> =
            self.slope_pooled(&features.mean(), weights).into_iter().map(|slope| slope / positions as f32).collect();
        slope.repeat(positions)
    }
}
