//! Layers of a classifier as affine maps: what stands between two `ReLUs` becomes one.

use ndarray::{Array1, Array2, Axis, Ix1, Ix2};

use super::modules::{Leaf, Modules, Shape};

/// BatchNorm's ε, as PyTorch's layers have it.
const EPS: f64 = 1e-5;

/// The most weights that two layers have as one: of the narrow one between them a file holds few, so that a small file could ask for any
/// number. The 21,841 classes of all of ImageNet have 45 million on 2,048 features.
const MOST: usize = 1 << 26;

/// Whether nothing can stand between two layers: they are neighbours in a `Sequential`.
pub(super) fn neighbours(before: &Leaf, after: &Leaf) -> bool {
    let number = |leaf: &Leaf| {
        let (parent, last) = leaf.path.rsplit_once('.')?;
        Some((parent.to_owned(), last.parse::<u32>().ok()?))
    };
    matches!((number(before), number(after)), (Some((a, i)), Some((b, j))) if a == b && i + 1 == j)
}

/// An affine map in the making, in f64.
pub(super) struct Layer {
    pub(super) weight: Array2<f64>, // [outputs, inputs]
    pub(super) bias: Array1<f64>,   // [outputs]
}

/// The layers between `ReLUs`, each as one affine map, and what was taken for granted of the gaps between them.
pub(super) struct Folded {
    pub(super) layers: Vec<Layer>,
    /// A ReLU stands in some.
    pub(super) activated: bool,
    /// Nothing that counts stands in some: those behind a BatchNorm that belongs to the next layer, or before the last one.
    pub(super) empty: bool,
}

/// Folds layers. If the names are the numbers of a `Sequential`, a BatchNorm with a gap before it stands behind a ReLU; else it
/// stands before one.
pub(super) fn fold(modules: &Modules, leaves: &[Leaf], numbered: bool) -> Result<Folded, String> {
    let mut layers: Vec<Layer> = Vec::new();
    let mut scaled: Option<(Array1<f64>, Array1<f64>)> = None; // a BatchNorm's factor and offset before the next layer
    let (mut activated, mut assumed, mut empty) = (true, false, false); // the features are
    for (number, leaf) in leaves.iter().enumerate() {
        let gap = number > 0 && !neighbours(&leaves[number - 1], leaf);
        empty |= gap && scaled.is_some();
        match leaf.shape {
            Shape::Linear(outputs, inputs) => {
                let weight = modules.double::<Ix2>(&format!("{}.weight", leaf.path), &[outputs, inputs])?;
                let bias = if leaf.bias {
                    modules.double::<Ix1>(&format!("{}.bias", leaf.path), &[outputs])?
                } else {
                    Array1::zeros(weight.nrows())
                };
                let mut layer = Layer { weight, bias };
                if let Some((factor, offset)) = scaled.take() {
                    layer = layer.behind(&factor, &offset);
                }
                match layers.pop() {
                    Some(before) if !activated && !gap => layers.push(layer.after(&before)?),
                    Some(before) => {
                        assumed = true;
                        layers.extend([before, layer]);
                    }
                    None => layers.push(layer),
                }
                activated = false;
            }
            Shape::Norm(channels) => {
                let part = |part: &str| modules.double::<Ix1>(&format!("{}.{part}", leaf.path), &[channels]);
                let (weight, bias) = (part("weight")?, part("bias")?);
                let (mean, variance) = (part("running_mean")?, part("running_var")?);
                let factor = weight / (variance + EPS).sqrt();
                let offset = bias - mean * &factor;
                // Behind a layer and its ReLU, or before any layer, it belongs to the next one.
                match layers.pop() {
                    Some(before) if !(activated || gap && numbered) => {
                        layers.push(before.then(&factor, &offset));
                    }
                    before => {
                        assumed |= before.is_some() && !activated;
                        layers.extend(before);
                        activated = true;
                        scaled = Some(match scaled.take() {
                            Some((f, o)) => (f * &factor, o * &factor + offset),
                            None => (factor, offset),
                        });
                    }
                }
            }
            _ => return Err(format!("{} is no layer of a classifier", leaf.path)),
        }
    }
    match (scaled, layers.pop()) {
        (Some((factor, offset)), Some(last)) => {
            empty = true;
            layers.push(last.then(&factor, &offset));
        }
        (_, last) => layers.extend(last),
    }
    Ok(Folded { layers, activated: assumed, empty })
}

impl Layer {
    /// With its input scaled and moved.
    fn behind(self, factor: &Array1<f64>, offset: &Array1<f64>) -> Self {
        Self { bias: self.bias + self.weight.dot(offset), weight: self.weight * factor }
    }

    /// With its output scaled and moved.
    fn then(self, factor: &Array1<f64>, offset: &Array1<f64>) -> Self {
        Self { weight: self.weight * factor.view().insert_axis(Axis(1)), bias: self.bias * factor + offset }
    }

    /// Both in one, this one behind the other, unless that is too large.
    fn after(self, before: &Self) -> Result<Self, String> {
        let (outputs, inputs) = (self.weight.nrows(), before.weight.ncols());
        if outputs.saturating_mul(inputs) > MOST {
            return Err(format!("two layers that would be one of {outputs} outputs and {inputs} inputs, too large"));
        }
        Ok(Self { bias: self.bias + self.weight.dot(&before.bias), weight: self.weight.dot(&before.weight) })
    }
}
