//! The one crossing between arrays and tensors, and between weights files and tensors.
#![allow(unsafe_code)]

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};

use ndarray::{Array, ArrayBase, ArrayD, ArrayView, Data, Dimension, Ix2};
use tch::{Device, Kind, Tensor, no_grad};

use crate::maps::{AttentionMap, MapRange};
use crate::weights::{Checkpoint, Dtype, Form, LoadReport, StoredTensor};
use crate::{Error, ErrorKind, Result};

/// What can be made of a tensor of anybody's network.
pub trait FromTensor: Sized {
    /// From the map of one picture, on any device and of any kind of number: `[h, w]`, `[1, h, w]` or `[1, 1, h, w]`. `range` says
    /// what its values mean.
    ///
    /// ```
    /// use cbam::FromTensor;
    /// use cbam::maps::{AttentionMap, MapRange};
    /// use tch::{Device, Kind, Tensor};
    ///
    /// let gate = Tensor::rand([1, 14, 18], (Kind::Float, Device::Cpu)); // after a sigmoid, say
    /// let map = AttentionMap::from_tensor(&gate, MapRange::Unit)?;
    /// assert_eq!(map.values().dim(), (14, 18));
    /// # Ok::<(), cbam::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it is not the map of one picture, or a value is not in the range.
    fn from_tensor(map: &Tensor, range: MapRange) -> Result<Self>;
}

/// What can be made a tensor for anybody's network.
pub trait ToTensor {
    /// As a tensor of f32 on the CPU, whatever its layout in memory. Where the channels of `[N, C, H, W]` lie together, they stay so
    /// (PyTorch's `channels_last`).
    ///
    /// ```
    /// use cbam::ToTensor;
    /// use cbam::photo::{Photo, Preprocess};
    ///
    /// let photo = Photo::from(image::DynamicImage::new_rgb8(60, 40));
    /// let pixels = Preprocess::imagenet().apply(&photo)?.pixels.to_tensor()?;
    /// assert_eq!(pixels.size(), [3, 224, 352]);
    /// # Ok::<(), cbam::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Torch`] if libtorch fails.
    fn to_tensor(&self) -> Result<Tensor>;
}

impl<S: Data<Elem = f32>, D: Dimension> ToTensor for ArrayBase<S, D> {
    fn to_tensor(&self) -> Result<Tensor> {
        to_tensor(self.view())
    }
}

impl FromTensor for AttentionMap {
    fn from_tensor(map: &Tensor, range: MapRange) -> Result<Self> {
        let sides = match map.size()[..] {
            [h, w] | [1, h, w] | [1, 1, h, w] => [h, w],
            ref size => {
                let expected = "the map of one picture: [h, w], [1, h, w] or [1, 1, h, w]".to_owned();
                return Err(ErrorKind::Input { layer: "attention map", expected, got: format!("{size:?}") }.into());
            }
        };
        Ok(Self::new(to_host::<Ix2>(&map.f_detach()?.f_reshape(sides)?)?, range)?)
    }
}

/// A tensor as an array of f32 on the host.
pub(crate) fn to_host<D: Dimension>(tensor: &Tensor) -> Result<Array<f32, D>> {
    let tensor = tensor.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let shape = sides(&tensor);
    let mut values = vec![0f32; shape.iter().product()];
    let count = values.len();
    tensor.f_copy_data(&mut values, count)?;
    let array = ArrayD::from_shape_vec(shape, values).and_then(ArrayD::into_dimensionality);
    Ok(array.map_err(|_| ErrorKind::Input {
        layer: "host",
        expected: format!("a tensor of {:?} dimensions", D::NDIM),
        got: format!("{:?}", tensor.size()),
    })?)
}

/// The numbers of a tensor where it lies; `None` if it is not in f32, on the CPU and without gaps.
///
/// # Safety
/// Nobody may write to the tensor, or to another that shares its memory, while the slice is there: libtorch's operations in place take
/// a shared reference.
pub(crate) unsafe fn values(tensor: &Tensor) -> Option<&[f32]> {
    if tensor.kind() != Kind::Float || tensor.device() != Device::Cpu || !tensor.is_contiguous() {
        return None;
    }
    if tensor.numel() == 0 {
        return Some(&[]); // libtorch has no address for nothing
    }
    // SAFETY: `numel` numbers lie at `data_ptr` as long as the tensor lives, and the caller promises that nobody writes to them.
    Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast_const().cast(), tensor.numel()) })
}

/// A tensor `shape` of f32 on the CPU, of which `fill` writes every number.
pub(crate) fn filled(shape: &[i64], fill: impl FnOnce(&mut [f32]) -> Result<()>) -> Result<Tensor> {
    let tensor = Tensor::f_zeros(shape, (Kind::Float, Device::Cpu))?;
    if tensor.numel() == 0 {
        fill(&mut [])?;
        return Ok(tensor);
    }
    // SAFETY: `numel` numbers lie at `data_ptr`, and nobody else has the tensor.
    fill(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast(), tensor.numel()) })?;
    Ok(tensor)
}

/// An array as a tensor of f32 on the CPU. One of four axes whose channels lie together, as those of a prepared photo do, keeps
/// them so.
pub(crate) fn to_tensor<D: Dimension>(array: ArrayView<'_, f32, D>) -> Result<Tensor> {
    let array = array.into_dyn();
    if array.ndim() == 4 && !array.is_standard_layout() {
        let pixels = array.view().permuted_axes(&[0, 2, 3, 1][..]);
        if let Some(values) = pixels.as_slice() {
            let shape: Vec<i64> = pixels.shape().iter().map(|&side| side as i64).collect();
            return Ok(Tensor::f_from_slice(values)?.f_view(&shape[..])?.f_permute([0, 3, 1, 2])?);
        }
    }
    let shape: Vec<i64> = array.shape().iter().map(|&side| side as i64).collect();
    let array = array.as_standard_layout();
    let values = array.as_slice().ok_or_else(|| ErrorKind::Input {
        layer: "host",
        expected: "an array in standard layout".into(),
        got: format!("{:?}", array.strides()),
    })?;
    Ok(Tensor::f_from_slice(values)?.f_view(&shape[..])?)
}

/// libtorch's kinds of the element types that weights files hold.
const KINDS: [(Kind, Dtype); 10] = [
    (Kind::Double, Dtype::F64),
    (Kind::Float, Dtype::F32),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Int16, Dtype::I16),
    (Kind::Int8, Dtype::I8),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::Bool),
];

/// libtorch's kind of an element type.
pub(crate) fn kind_of(dtype: Dtype) -> Result<Kind> {
    let kind = KINDS.iter().find(|row| row.1 == dtype).map(|row| row.0);
    kind.ok_or_else(|| Error::internal(format!("libtorch has no kind here for {dtype}")))
}

/// A tensor, on any device, as a weights file stores it. Its values are copied.
///
/// # Errors
/// [`ErrorKind::Input`] if weights files have no name for its kind; [`ErrorKind::Torch`] if libtorch fails.
pub fn store(tensor: &Tensor) -> Result<StoredTensor> {
    let form = form(tensor)?;
    let tensor = tensor.f_detach()?.f_to_device(Device::Cpu)?.f_contiguous()?;
    let mut bytes = vec![0; tensor.numel() * form.dtype.size()];
    tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
    Ok(StoredTensor::new(form.dtype, &form.shape, bytes)?)
}

/// Named tensors as a weights file stores them.
///
/// # Errors
/// As [`store`].
pub fn store_all<T: Borrow<Tensor>>(
    tensors: impl IntoIterator<Item = (String, T)>,
) -> Result<BTreeMap<String, StoredTensor>> {
    tensors.into_iter().map(|(name, tensor)| Ok((name, store(tensor.borrow())?))).collect()
}

/// A tensor of a weights file as libtorch's, on the CPU and contiguous. Its values are copied.
///
/// # Errors
/// [`ErrorKind::Torch`] if libtorch fails.
pub fn restore(tensor: &StoredTensor) -> Result<Tensor> {
    Ok(Tensor::f_from_data_size(&tensor.bytes(), tensor.shape(), kind_of(tensor.dtype())?)?)
}

/// The tensors of a weights file as libtorch's.
///
/// # Errors
/// As [`restore`].
pub fn restore_all(tensors: &BTreeMap<String, StoredTensor>) -> Result<BTreeMap<String, Tensor>> {
    tensors.iter().map(|(name, tensor)| Ok((name.clone(), restore(tensor)?))).collect()
}

/// A tensor's element type and shape.
fn form(tensor: &Tensor) -> Result<Form> {
    let row = KINDS.iter().find(|row| row.0 == tensor.kind());
    let dtype = row.map(|row| row.1).ok_or_else(|| ErrorKind::Input {
        layer: "weights",
        expected: "elements of a type that weights files hold".into(),
        got: format!("{:?}", tensor.kind()),
    })?;
    Ok(Form { dtype, shape: tensor.size() })
}

/// A checkpoint into libtorch's variables.
pub trait Apply {
    /// Copies the tensors into the variables whose names begin with `prefix`: variable `prefix` + `key` takes tensor
    /// `key`, converted to the variable's dtype and moved to its device. Other variables are left alone.
    ///
    /// With `strict`, everything must fit, and nothing is copied unless everything does. Without, what fits is copied
    /// and the report tells the rest.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`] with the keys concerned if `strict` and the report is not complete; [`ErrorKind::Torch`] if a
    /// copy fails; [`ErrorKind::Input`] if weights files have no name for a variable's kind.
    fn apply(&self, variables: &HashMap<String, Tensor>, prefix: &str, strict: bool) -> Result<LoadReport>;
}

impl Apply for Checkpoint {
    fn apply(&self, variables: &HashMap<String, Tensor>, prefix: &str, strict: bool) -> Result<LoadReport> {
        let report = self.fit(&forms(variables)?, prefix, strict)?;
        for name in &report.applied {
            let held = name.strip_prefix(prefix).and_then(|key| self.tensors.get(key));
            if let (Some(variable), Some(tensor)) = (variables.get(name), held) {
                let tensor = restore(tensor)?;
                no_grad(|| variable.shallow_clone().f_copy_(&tensor))?;
            }
        }
        Ok(report)
    }
}

/// The element types and shapes of variables.
pub(crate) fn forms(variables: &HashMap<String, Tensor>) -> Result<BTreeMap<String, Form>> {
    variables.iter().map(|(name, variable)| Ok((name.clone(), form(variable)?))).collect()
}

fn sides(tensor: &Tensor) -> Vec<usize> {
    tensor.size().iter().map(|&side| side as usize).collect()
}

#[cfg(test)]
mod tests {
    use ndarray::{Array4, Ix4};

    use super::*;

    #[test]
    fn the_map_of_one_picture_is_taken_and_no_other() {
        let like = (Kind::Half, Device::Cpu);
        for shape in [&[3, 4][..], &[1, 3, 4], &[1, 1, 3, 4]] {
            let map = AttentionMap::from_tensor(&Tensor::full(shape, 0.25, like), MapRange::Unit).unwrap();
            assert_eq!((map.values().dim(), map.values()[[2, 3]]), ((3, 4), 0.25));
        }
        for shape in [&[2, 3, 4][..], &[1, 2, 3, 4], &[12]] {
            let error = AttentionMap::from_tensor(&Tensor::full(shape, 0.25, like), MapRange::Unit).unwrap_err();
            assert!(error.to_string().contains("one picture"), "{error}");
        }
        assert!(AttentionMap::from_tensor(&Tensor::full([3, 4], 1.5, like), MapRange::Unit).is_err());
    }

    #[test]
    fn tensors_of_every_kind_are_stored_and_restored() {
        for (kind, dtype) in KINDS {
            assert_eq!(kind.elt_size_in_bytes(), dtype.size());
            let tensor = Tensor::from_slice2(&[[0_i64, 1], [1, 0], [0, 0]]).to_kind(kind).transpose(0, 1);
            let stored = store(&tensor).unwrap();
            assert_eq!((stored.dtype(), stored.shape()), (dtype, [2, 3].as_slice()));
            assert_eq!(stored.doubles(), [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
            let restored = restore(&stored).unwrap();
            assert!(restored.kind() == kind && restored.equal(&tensor));
        }
        assert!(store(&Tensor::zeros([1], (Kind::ComplexFloat, Device::Cpu))).is_err());
        assert_eq!(restore(&StoredTensor::zeros(Dtype::F32, &[2, 0]).unwrap()).unwrap().size(), [2, 0]);
    }

    #[test]
    fn arrays_go_there_and_back_whatever_their_layout() {
        let array = Array4::from_shape_fn((2, 3, 4, 5), |(n, c, y, x)| (n * 1000 + c * 100 + y * 10 + x) as f32);
        let pixels =
            array.view().permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned().permuted_axes([0, 3, 1, 2]);
        let strange =
            array.view().permuted_axes([0, 1, 3, 2]).as_standard_layout().into_owned().permuted_axes([0, 1, 3, 2]);
        for (array, together) in [(array.view(), false), (pixels.view(), true), (strange.view(), false)] {
            let tensor = to_tensor(array).unwrap();
            assert_eq!(tensor.size(), [2, 3, 4, 5]);
            assert_eq!(tensor.stride()[1] == 1, together);
            assert_eq!(to_host::<Ix4>(&tensor).unwrap(), array);
        }
        assert_eq!(to_tensor(Array4::<f32>::zeros((0, 3, 4, 5)).view()).unwrap().size(), [0, 3, 4, 5]);
        assert!(to_host::<Ix4>(&Tensor::zeros([2, 3], (Kind::Float, Device::Cpu))).is_err());
    }
}
