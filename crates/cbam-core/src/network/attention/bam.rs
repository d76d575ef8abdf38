//! BAM: a gate for every channel at every position.

use ndarray::{Array2, Array3};
use rayon::prelude::*;

use super::channel::reduced;
use crate::attention::{BamConfig, BamForm};
use crate::kernels::{Axis, Clamp, Convolution, Map, Padding, Pointwise};
use crate::network::parameters::Named;
use crate::{Error, Result};

/// BatchNorm's ε.
const EPS: f64 = 1e-5;

/// Both branches, with their BatchNorm in them.
#[derive(Debug)]
pub(super) struct Bam {
    fc1: Pointwise,
    fc2: Pointwise,
    convs: [Convolution; 4],
    form: BamForm,
}

impl Bam {
    pub(super) fn new(p: &Named<'_>, channels: usize, config: &BamConfig) -> Result<Self> {
        let hidden = reduced(channels, config.reduction)?;
        let dilation = usize::try_from(config.dilation).ok().filter(|dilation| *dilation > 0);
        let dilation = dilation
            .ok_or_else(|| Error::argument("dilation", format!("must be at least 1, not {}", config.dilation)))?;
        let (channel, spatial) = (p.at("channel"), p.at("spatial"));
        let conv = |name: &str, norm: Option<&str>, [input, output, kernel]: [usize; 3]| -> Result<_> {
            let mut layer = spatial.at(name).layer(&[output, input, kernel, kernel], true)?;
            if let Some(norm) = norm {
                layer = layer.normalised(spatial.at(norm).norm(output, EPS)?);
            }
            let (dilation, clamp) =
                (if kernel == 1 { 1 } else { dilation }, if norm.is_some() { Clamp::RELU } else { Clamp::NONE });
            let axis = Axis { kernel, stride: 1, padding: Padding::Each(kernel / 2 * dilation) };
            Ok(layer.convolution(axis, 1, clamp).dilated(dilation))
        };
        let fc1 = channel.at("fc1").layer(&[hidden, channels], true)?.normalised(channel.at("bn").norm(hidden, EPS)?);
        Ok(Self {
            fc1: fc1.pointwise(Clamp::RELU),
            fc2: channel.at("fc2").layer(&[channels, hidden], true)?.pointwise(Clamp::NONE),
            convs: [
                conv("reduce", Some("reduce_bn"), [channels, hidden, 1])?,
                conv("conv1", Some("bn1"), [hidden, hidden, 3])?,
                conv("conv2", Some("bn2"), [hidden, hidden, 3])?,
                conv("out", None, [hidden, 1, 1])?,
            ],
            form: config.form,
        })
    }

    /// The features times `gain` · (1 + the gate), and the gate's mean of each channel, `[N, C]`, and of each position, `[N, H, W]`.
    pub(super) fn forward(&self, mut xs: Map, gain: f32) -> Result<(Map, Array2<f32>, Array3<f32>)> {
        let [images, height, width, channels] = xs.shape();
        let of_channels = self.fc2.forward(&self.fc1.forward(&xs.mean()));
        let [reduce, rest @ ..] = &self.convs;
        let of_positions = rest.iter().fold(reduce.forward(&xs, None), |xs, conv| conv.forward(&xs, None));
        let positions = height * width;
        let features = xs.numbers_mut();
        let mut spatial = vec![0.0; images * positions];
        let mut channel = vec![0f64; images * channels];
        for image in 0..images {
            let (channel, of_channels) = (&mut channel[image * channels..][..channels], of_channels.image(image));
            let rows =
                features[image * positions * channels..][..positions * channels].par_chunks_mut(width * channels);
            let spatial = spatial[image * positions..][..positions].par_chunks_mut(width);
            let of_rows = of_positions.image(image).par_chunks(width);
            let sums: Vec<Vec<f64>> = (rows, spatial, of_rows)
                .into_par_iter()
                .map(|(row, spatial, of_positions)| self.row(row, spatial, of_channels, of_positions, gain))
                .collect();
            // In the order of the rows, whatever the threads.
            for sum in sums {
                channel.iter_mut().zip(sum).for_each(|(channel, sum)| *channel += sum);
            }
        }
        let channel = channel.into_iter().map(|sum| (sum / positions as f64) as f32).collect();
        let channel = Array2::from_shape_vec((images, channels), channel).map_err(Error::internal)?;
        let spatial = Array3::from_shape_vec((images, height, width), spatial).map_err(Error::internal)?;
        Ok((xs, channel, spatial))
    }

    /// One row: the features in place, the gate's means over the channels; gives back its sums over the positions.
    fn row(
        &self,
        row: &mut [f32],
        spatial: &mut [f32],
        of_channels: &[f32],
        of_positions: &[f32],
        gain: f32,
    ) -> Vec<f64> {
        let channels = of_channels.len();
        let mut sums = vec![0f64; channels];
        let mut gates = vec![0f32; channels];
        for ((features, mean), position) in row.chunks_exact_mut(channels).zip(spatial).zip(of_positions) {
            for (gate, channel) in gates.iter_mut().zip(of_channels) {
                *gate = match self.form {
                    BamForm::Product => channel * position,
                    BamForm::Sum => channel + position,
                };
            }
            crate::kernels::sigmoid(&mut gates);
            for ((x, gate), sum) in features.iter_mut().zip(&gates).zip(&mut sums) {
                *x *= (1.0 + gate) * gain;
                *sum += f64::from(*gate);
            }
            *mean = (gates.iter().copied().map(f64::from).sum::<f64>() / channels as f64) as f32;
        }
        sums
    }
}
