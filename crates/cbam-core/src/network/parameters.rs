//! A network's trained numbers, by their names.

use std::borrow::Cow;

use crate::Result;
use crate::kernels::{Axis, Clamp, Convolution, Depthwise, Pointwise};

/// Where a network finds its numbers: a weights file's tensors, or a network's variables, named `backbone.…` and `attention.…`.
pub trait Parameters {
    /// The numbers of that name, of that shape, row by row.
    ///
    /// # Errors
    /// If there are none, or they have another shape.
    fn parameter(&self, name: &str, shape: &[usize]) -> Result<Cow<'_, [f32]>>;
}

/// The numbers whose names begin alike.
#[derive(Clone)]
pub(crate) struct Named<'a> {
    all: &'a dyn Parameters,
    prefix: String,
}

impl<'a> Named<'a> {
    pub(crate) fn root(all: &'a dyn Parameters) -> Self {
        Self { all, prefix: String::new() }
    }

    /// Those under another part of the name.
    pub(crate) fn at(&self, part: impl std::fmt::Display) -> Self {
        let prefix = if self.prefix.is_empty() { part.to_string() } else { format!("{}.{part}", self.prefix) };
        Self { all: self.all, prefix }
    }

    /// The numbers called `part`.
    pub(crate) fn take(&self, part: &str, shape: &[usize]) -> Result<Cow<'a, [f32]>> {
        self.all.parameter(&format!("{}.{part}", self.prefix), shape)
    }

    /// A convolution or linear layer of that shape, `[outputs, …]`, with a bias or without.
    pub(crate) fn layer(&self, shape: &[usize], biased: bool) -> Result<Layer<'a>> {
        let weight = self.take("weight", shape)?;
        let bias = if biased { self.take("bias", &shape[..1])?.into_owned() } else { vec![0.0; shape[0]] };
        Ok(Layer { weight, scale: vec![1.0; shape[0]], bias })
    }

    /// The factor and the offset of the BatchNorm of that many channels, out of training.
    pub(crate) fn norm(&self, channels: usize, eps: f64) -> Result<(Vec<f64>, Vec<f64>)> {
        let shape = [channels];
        let (mean, variance) = (self.take("running_mean", &shape)?, self.take("running_var", &shape)?);
        let doubles = |values: Cow<'_, [f32]>| values.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (weight, bias) = (doubles(self.take("weight", &shape)?), doubles(self.take("bias", &shape)?));
        let factor: Vec<f64> = weight
            .iter()
            .zip(&*variance)
            .map(|(weight, variance)| weight / (f64::from(*variance) + eps).sqrt())
            .collect();
        let offset =
            bias.iter().zip(&*mean).zip(&factor).map(|((bias, mean), factor)| bias - f64::from(*mean) * factor);
        let offset = offset.collect();
        Ok((factor, offset))
    }
}

/// A convolution or linear layer with what follows it folded in.
pub(crate) struct Layer<'a> {
    weight: Cow<'a, [f32]>, // [outputs, …]
    scale: Vec<f64>,
    bias: Vec<f32>,
}

impl Layer<'_> {
    /// With the BatchNorm of that factor and offset behind it.
    pub(crate) fn normalised(self, (factor, offset): (Vec<f64>, Vec<f64>)) -> Self {
        let moved = self.bias.iter().zip(&factor).zip(&offset);
        let bias = moved.map(|((bias, factor), offset)| (f64::from(*bias) * factor + offset) as f32).collect();
        Self { scale: factor, bias, ..self }
    }

    fn at(&self, output: usize, index: usize) -> f32 {
        (f64::from(self.weight[index]) * self.scale[output]) as f32
    }

    /// As a 1×1 convolution.
    pub(crate) fn pointwise(&self, clamp: Clamp) -> Pointwise {
        let inputs = self.weight.len() / self.bias.len();
        Pointwise::of(inputs, &self.bias, |output, input| self.at(output, output * inputs + input), clamp)
    }

    /// As a convolution of any kernel, in groups.
    pub(crate) fn convolution(&self, axis: Axis, groups: usize, clamp: Clamp) -> Convolution {
        let row = self.weight.len() / self.bias.len();
        let channels = row / (axis.kernel * axis.kernel) * groups;
        let weight = |output, index| self.at(output, output * row + index);
        Convolution::grouped([channels, groups], &self.bias, weight, axis, clamp)
    }

    /// As a depthwise convolution.
    pub(crate) fn depthwise(&self, axis: Axis, clamp: Clamp) -> Depthwise {
        let taps = axis.kernel * axis.kernel;
        Depthwise::of(&self.bias, |channel, tap| self.at(channel, channel * taps + tap), axis, clamp)
    }

    /// Its numbers as they are folded: the weight `[outputs, …]` and the bias.
    pub(crate) fn into_values(self) -> (Vec<f32>, Vec<f32>) {
        let row = self.weight.len() / self.bias.len();
        let weight = (0..self.weight.len()).map(|index| self.at(index / row, index)).collect();
        (weight, self.bias)
    }
}
