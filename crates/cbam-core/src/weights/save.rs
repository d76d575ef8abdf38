//! Which precision a checkpoint is written in.

use std::collections::BTreeMap;
use std::path::Path;

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::{Checkpoint, Dtype, StoredTensor, safetensors};
use crate::{Error, Result};

/// The element types that [`Checkpoint::save`] writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// Every tensor as it is.
    #[default]
    Keep,
    /// Floating-point tensors of two or more axes (the matrices of convolutions and linear layers) in f16, other
    /// floating-point tensors in f32. Biases and BatchNorm keep f32: small running variances would become zero in f16.
    HalfMatrices,
}

impl Precision {
    /// The element type that a tensor is written in.
    fn target(self, tensor: &StoredTensor) -> Dtype {
        match self {
            Self::Keep => tensor.dtype(),
            _ if !tensor.dtype().is_float() => tensor.dtype(),
            Self::HalfMatrices if tensor.shape().len() >= 2 => Dtype::F16,
            Self::HalfMatrices => Dtype::F32,
        }
    }
}

impl Checkpoint {
    /// Writes a safetensors file: whole, or not at all. The same tensors and metadata give the same bytes.
    ///
    /// # Errors
    /// [`Error::Weights`] if a value is too large for f16, or a tensor has the name that safetensors keeps for metadata;
    /// [`Error::Io`] if the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>, precision: Precision) -> Result<()> {
        let path = path.as_ref();
        let mut tensors = BTreeMap::new();
        for (name, tensor) in &self.tensors {
            let target = precision.target(tensor);
            let stored = converted(tensor, target)
                .ok_or_else(|| Error::weights(path, format!("{name}: a value is too large for {target}")))?;
            tensors.insert(name.as_str(), stored);
        }
        safetensors::write(path, &tensors, &self.metadata)
    }
}

/// Real numbers in f16 or f32, other tensors as they are; `None` if a value is too large.
fn converted(tensor: &StoredTensor, target: Dtype) -> Option<StoredTensor> {
    if tensor.dtype() == target {
        return Some(tensor.clone());
    }
    let (values, finite) = (tensor.values(), tensor.doubles().into_iter().map(f64::is_finite));
    let (kept, bytes) = if target == Dtype::F16 {
        let mut halves = vec![f16::ZERO; values.len()];
        halves.convert_from_f32_slice(&values);
        let kept = halves.iter().map(|half| half.is_finite()).eq(finite);
        (kept, halves.iter().flat_map(|half| half.to_le_bytes()).collect::<Vec<u8>>())
    } else {
        let kept = values.iter().map(|value| value.is_finite()).eq(finite);
        (kept, values.iter().flat_map(|value| value.to_le_bytes()).collect())
    };
    StoredTensor::new(target, tensor.shape(), bytes).ok().filter(|_| kept)
}
