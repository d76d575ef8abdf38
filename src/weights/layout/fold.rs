//! Layers of a classifier as affine maps: what stands between two `ReLUs` becomes one.

use tch::{Kind, Tensor};

use super::modules::{Leaf, Modules, Shape, said};

/// BatchNorm's ε, as PyTorch's layers have it.
const EPS: f64 = 1e-5;

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
    pub(super) weight: Tensor, // [outputs, inputs]
    pub(super) bias: Tensor,   // [outputs]
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
    let double = |name: String| modules.double(&name);
    let mut layers: Vec<Layer> = Vec::new();
    let mut scaled: Option<(Tensor, Tensor)> = None; // a BatchNorm's factor and offset before the next layer
    let (mut activated, mut assumed, mut empty) = (true, false, false); // the features are
    for (number, leaf) in leaves.iter().enumerate() {
        let gap = number > 0 && !neighbours(&leaves[number - 1], leaf);
        empty |= gap && scaled.is_some();
        match leaf.shape {
            Shape::Linear(outputs, inputs) => {
                let weight = double(format!("{}.weight", leaf.path))?.f_reshape([outputs, inputs]).map_err(said)?;
                let bias = if leaf.bias {
                    double(format!("{}.bias", leaf.path))?.f_reshape([outputs]).map_err(said)?
                } else {
                    Tensor::f_zeros([outputs], (Kind::Double, weight.device())).map_err(said)?
                };
                let mut layer = Layer { weight, bias };
                if let Some((factor, offset)) = scaled.take() {
                    layer = layer.behind(&factor, &offset).map_err(said)?;
                }
                match layers.pop() {
                    Some(before) if !activated && !gap => layers.push(layer.after(&before).map_err(said)?),
                    Some(before) => {
                        assumed = true;
                        layers.extend([before, layer]);
                    }
                    None => layers.push(layer),
                }
                activated = false;
            }
            Shape::Norm(_) => {
                let part = |part: &str| double(format!("{}.{part}", leaf.path));
                let (weight, bias) = (part("weight")?, part("bias")?);
                let (mean, variance) = (part("running_mean")?, part("running_var")?);
                let factor = weight / (variance + EPS).f_sqrt().map_err(said)?;
                let offset = bias - mean * &factor;
                // Behind a layer and its ReLU, or before any layer, it belongs to the next one.
                match layers.pop() {
                    Some(before) if !(activated || gap && numbered) => {
                        layers.push(before.then(&factor, &offset).map_err(said)?);
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
            layers.push(last.then(&factor, &offset).map_err(said)?);
        }
        (_, last) => layers.extend(last),
    }
    Ok(Folded { layers, activated: assumed, empty })
}

impl Layer {
    /// With its input scaled and moved.
    fn behind(self, factor: &Tensor, offset: &Tensor) -> Result<Self, tch::TchError> {
        Ok(Self {
            bias: self.bias.f_add(&self.weight.f_mv(offset)?)?,
            weight: self.weight.f_mul(&factor.f_unsqueeze(0)?)?,
        })
    }

    /// With its output scaled and moved.
    fn then(self, factor: &Tensor, offset: &Tensor) -> Result<Self, tch::TchError> {
        Ok(Self { weight: self.weight.f_mul(&factor.f_unsqueeze(1)?)?, bias: self.bias.f_mul(factor)?.f_add(offset)? })
    }

    /// Both in one, this one behind the other.
    fn after(self, before: &Self) -> Result<Self, tch::TchError> {
        Ok(Self { bias: self.bias.f_add(&self.weight.f_mv(&before.bias)?)?, weight: self.weight.f_mm(&before.weight)? })
    }
}
