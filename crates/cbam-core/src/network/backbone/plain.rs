//! Convolutions one after the other: VGG.

use super::head::Head;
use super::{Backbone, GateInside, GateStem};
use crate::backbone::table;
use crate::kernels::bf16::Unit;
use crate::kernels::{Axis, Clamp, Convolution, Map, Padding, max_pool};
use crate::network::NetworkConfig;
use crate::network::parameters::Named;
use crate::{Error, Result};

/// The pooling before every stage but the first, and before the classifier.
const POOL: Axis = Axis { kernel: 2, stride: 2, padding: Padding::Each(0) };
const EPS: f64 = 1e-5;
const CELLS: usize = table::Plain::CELLS as usize;

/// A network of convolutions.
#[derive(Debug)]
pub(super) struct Plain {
    stages: Vec<Vec<Convolution>>,
    classifier: Option<Head>,
}

impl Plain {
    pub(super) fn new(table: &table::Plain, config: &NetworkConfig, p: &Named<'_>) -> Result<Self> {
        let features = p.at("features");
        let axis = Axis { kernel: 3, stride: 1, padding: Padding::Each(1) };
        let (mut input, mut number) = (3, 0);
        let mut stages = Vec::new();
        for (count, channels) in table.convs.into_iter().zip(table::Plain::CHANNELS) {
            let outputs = channels as usize;
            let mut layers = Vec::with_capacity(count);
            for _ in 0..count {
                let mut layer = features.at(number).layer(&[outputs, input, 3, 3], true)?;
                if table.normalised {
                    layer = layer.normalised(features.at(number + 1).norm(outputs, EPS)?);
                }
                layers.push(layer.convolution(axis, 1, Clamp::RELU));
                input = outputs;
                number += if table.normalised { 3 } else { 2 }; // with the ReLU
            }
            stages.push(layers);
            number += 1; // the pooling
        }
        let given = &config.variant.hidden;
        let hidden = if given.is_empty() { &table::Plain::HIDDEN[..] } else { given };
        let name = |layer| table::Plain::layer_name(layer, given);
        let classifier = (config.classes > 0)
            .then(|| Head::new(p, table::Plain::FEATURES as usize, hidden, config.classes, name))
            .transpose()?;
        Ok(Self { stages, classifier })
    }
}

fn pooled(xs: &Map) -> Result<Map> {
    if POOL.fits(xs.height()) && POOL.fits(xs.width()) {
        return Ok(max_pool(xs, POOL));
    }
    let (expected, got) = ("features of 2x2 positions at least".to_owned(), format!("{}x{}", xs.width(), xs.height()));
    Err(Error::Input { layer: "stage", expected, got })
}

/// The positions that cell `cell` of [`CELLS`] averages along a side of `size`, as PyTorch's `adaptive_avg_pool2d`.
fn under(cell: usize, size: usize) -> std::ops::Range<usize> {
    cell * size / CELLS..((cell + 1) * size).div_ceil(CELLS)
}

/// What each of the classifier's cells is the mean of: its rows and columns in a map of that size.
fn cells(height: usize, width: usize) -> impl Iterator<Item = (std::ops::Range<usize>, std::ops::Range<usize>)> {
    (0..CELLS * CELLS).map(move |cell| (under(cell / CELLS, height), under(cell % CELLS, width)))
}

/// Pooled features to what the classifier takes, `[N, 1, 1, C · 7 · 7]`.
fn flat(xs: &Map) -> Result<Map> {
    let [images, height, width, channels] = xs.shape();
    Map::filled([images, 1, 1, channels * CELLS * CELLS], |image, to| {
        let from = xs.image(image);
        for (cell, (rows, columns)) in cells(height, width).enumerate() {
            let share = 1.0 / (rows.len() * columns.len()) as f32;
            for position in rows.flat_map(|row| columns.clone().map(move |column| row * width + column)) {
                for (channel, x) in from[position * channels..][..channels].iter().enumerate() {
                    to[channel * CELLS * CELLS + cell] += x * share;
                }
            }
        }
        Ok(())
    })
}

impl Backbone for Plain {
    fn stem(&self, xs: Map, _: &mut GateStem<'_>) -> Result<Map> {
        Ok(xs)
    }

    fn stage(&self, index: usize, xs: Map, _: &mut GateInside<'_>) -> Result<Map> {
        let xs = if index == 0 { xs } else { pooled(&xs)? };
        Ok(self.stages[index].iter().fold(xs, |xs, layer| layer.forward(&xs, None)))
    }

    fn classify(&self, features: &Map) -> Result<Vec<f32>> {
        match &self.classifier {
            Some(classifier) => classifier.scores(&flat(&pooled(features)?)?),
            None => Ok(Vec::new()),
        }
    }

    /// Back through the layers to the cells, from these to what they are the means of, and to the largest of each 2×2 positions.
    fn slope(&self, features: &Map, weights: &[f32]) -> Vec<f32> {
        let [_, height, width, channels] = features.shape();
        let mut slope = vec![0.0; height * width * channels];
        let (Some(classifier), Ok(pooled)) = (&self.classifier, pooled(features)) else { return slope };
        let Ok(taken) = flat(&pooled) else { return slope };
        let of_cells = classifier.slope_pooled(&taken, weights);
        let across = pooled.width();
        let mut of_pooled = vec![0.0; pooled.numbers().len()];
        for (cell, (rows, columns)) in cells(pooled.height(), pooled.width()).enumerate() {
            let share = 1.0 / (rows.len() * columns.len()) as f32;
            for position in rows.flat_map(|row| columns.clone().map(move |column| row * across + column)) {
                for channel in 0..channels {
                    of_pooled[position * channels + channel] += of_cells[channel * CELLS * CELLS + cell] * share;
                }
            }
        }
        let xs = features.numbers();
        for (index, of_pooled) in of_pooled.into_iter().enumerate() {
            let (position, channel) = (index / channels, index % channels);
            let (row, column) = (position / across, position % across);
            let under = [[0, 0], [0, 1], [1, 0], [1, 1]]
                .map(|[down, right]| ((2 * row + down) * width + 2 * column + right) * channels + channel);
            // The first of equals, as PyTorch takes it.
            let largest =
                under.into_iter().reduce(|largest, other| if xs[other] > xs[largest] { other } else { largest });
            if let Some(largest) = largest {
                slope[largest] += of_pooled;
            }
        }
        slope
    }

    fn in_bf16(self: Box<Self>, unit: Unit) -> Box<dyn Backbone> {
        let stage = |layers: Vec<Convolution>| layers.into_iter().map(|layer| layer.in_bf16(unit)).collect();
        Box::new(Self { stages: self.stages.into_iter().map(stage).collect(), ..*self })
    }

    /// A picture has at least one cell after five poolings.
    fn smallest_side(&self) -> usize {
        32
    }
}
