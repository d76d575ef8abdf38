//! A tensor of a weights file: a view of the file's bytes.

use std::borrow::Cow;
use std::fmt::{self, Debug, Display, Formatter};

use bytes::Bytes;
use half::slice::{HalfBitsSliceExt, HalfFloatSliceExt};
use half::{bf16, f16};
use ndarray::{Array, Dimension};

use super::Dtype;
use crate::{Error, Result};

/// What a tensor is, without its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Form {
    /// The type of its elements.
    pub dtype: Dtype,
    /// Its sides; none of them is negative.
    pub shape: Vec<i64>,
}

impl Display for Form {
    /// `f32 [32, 3, 3, 3]`
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:?}", self.dtype, self.shape)
    }
}

/// A tensor as a weights file holds it. It is a view of bytes that it shares with other tensors, so that a clone costs nothing, and it
/// may have gaps between its elements, or another order than that of its axes.
#[derive(Clone)]
pub struct StoredTensor {
    form: Form,
    /// From its first element to its last one, little-endian. In order and without gaps if there are no strides.
    bytes: Bytes,
    /// For each axis the elements from one index to the next.
    strides: Option<Vec<usize>>,
}

impl StoredTensor {
    /// A tensor of little-endian elements, the last axis the fastest. The bytes are not copied.
    ///
    /// # Errors
    /// [`Error::Argument`] if their number is not that of the shape's elements, or a bool is neither 0 nor 1.
    pub fn new(dtype: Dtype, shape: &[i64], bytes: impl Into<Bytes>) -> Result<Self> {
        Self::of_bytes(dtype, shape, bytes.into()).map_err(|message| Error::argument("bytes", message))
    }

    /// Zeros, which take no memory.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is no shape, or of more elements than memory has.
    pub fn zeros(dtype: Dtype, shape: &[i64]) -> Result<Self> {
        static ZEROS: [u8; 8] = [0; 8];
        let strides = vec![0; shape.len()];
        let zero = Bytes::from_static(&ZEROS);
        Self::strided(dtype, shape, &strides, 0, &zero).map_err(|message| Error::argument("shape", message))
    }

    /// The same, for a reader, whose message has no name before it.
    pub(crate) fn of_bytes(dtype: Dtype, shape: &[i64], bytes: Bytes) -> Result<Self, String> {
        if byte_len(dtype, shape) != Some(bytes.len()) {
            return Err(format!("shape {shape:?} of {dtype} does not fit {} bytes", bytes.len()));
        }
        check_bools(dtype, &bytes)?;
        Ok(Self { form: Form { dtype, shape: shape.to_vec() }, bytes, strides: None })
    }

    /// A view of a storage of elements, from the one at `offset`; for each axis, `strides` says how many elements there are from one
    /// index to the next.
    pub(crate) fn strided(
        dtype: Dtype,
        shape: &[i64],
        strides: &[i64],
        offset: i64,
        storage: &Bytes,
    ) -> Result<Self, String> {
        let outside = || {
            format!(
                "size {shape:?}, stride {strides:?}, offset {offset} do not fit a storage of {} bytes",
                storage.len()
            )
        };
        if shape.len() != strides.len() || strides.iter().any(|&stride| stride < 0) {
            return Err(outside());
        }
        match byte_len(dtype, shape) {
            Some(0) => return Self::of_bytes(dtype, shape, Bytes::new()),
            Some(_) => {}
            None => return Err(outside()),
        }
        let last = shape.iter().zip(strides).try_fold(0_i64, |last, (&side, &stride)| {
            last.checked_add((side - 1).checked_mul(stride)?) // a side is at least 1 here
        });
        let byte = |element: i64| usize::try_from(element).ok()?.checked_mul(dtype.size());
        let range = byte(offset).zip(last.and_then(|last| byte(last.checked_add(offset)?.checked_add(1)?)));
        let Some((start, end)) = range.filter(|range| range.1 <= storage.len()) else { return Err(outside()) };
        let form = Form { dtype, shape: shape.to_vec() };
        let strides = (!in_order(shape, strides)).then(|| strides.iter().map(|&stride| stride as usize).collect());
        Ok(Self { form, bytes: storage.slice(start..end), strides })
    }

    /// Its element type and its shape.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// The type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.form.dtype
    }

    /// Its sides; none of them is negative.
    pub fn shape(&self) -> &[i64] {
        &self.form.shape
    }

    /// The number of its elements.
    pub fn len(&self) -> usize {
        self.form.shape.iter().map(|&side| side as usize).product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.form.shape.contains(&0)
    }

    /// For each axis the elements from one index to the next, where they do not lie in order and without gaps.
    pub fn strides(&self) -> Option<&[usize]> {
        self.strides.as_deref()
    }

    /// Its elements in order, little-endian: where they lie, or copied if they lie otherwise.
    pub fn bytes(&self) -> Cow<'_, [u8]> {
        let Some(strides) = &self.strides else { return Cow::Borrowed(&self.bytes) };
        let axes: Vec<(usize, usize)> =
            self.shape().iter().map(|&side| side as usize).zip(strides.iter().copied()).collect();
        Cow::Owned(match self.dtype().size() {
            8 => self.gathered::<8>(&axes),
            4 => self.gathered::<4>(&axes),
            2 => self.gathered::<2>(&axes),
            _ => self.gathered::<1>(&axes),
        })
    }

    fn gathered<const N: usize>(&self, axes: &[(usize, usize)]) -> Vec<u8> {
        let mut gathered: Vec<[u8; N]> = Vec::with_capacity(self.len());
        gather(self.bytes.as_chunks().0, axes, &mut gathered);
        gathered.into_flattened()
    }

    /// Its values in order, as f32; where they lie if they are.
    pub fn values(&self) -> Cow<'_, [f32]> {
        if let (Dtype::F32, None) = (self.dtype(), &self.strides)
            && let Ok(values) = bytemuck::try_cast_slice(&self.bytes)
        {
            return Cow::Borrowed(values);
        }
        let bytes = self.bytes();
        let bits = || bytes.as_chunks().0.iter().map(|&bits| u16::from_le_bytes(bits)).collect::<Vec<_>>();
        Cow::Owned(match self.dtype() {
            Dtype::F16 => bits().reinterpret_cast::<f16>().to_f32_vec(),
            Dtype::BF16 => bits().reinterpret_cast::<bf16>().to_f32_vec(),
            dtype => numbers(dtype, &bytes, |real| real as f32, |whole| whole as f32),
        })
    }

    /// Its values in order, as f64.
    pub fn doubles(&self) -> Vec<f64> {
        numbers(self.dtype(), &self.bytes(), |real| real, |whole| whole as f64)
    }

    /// The same elements in another shape; copied if they do not lie in order, and are not all one.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is a shape of another number of elements.
    pub fn reshape(&self, shape: &[i64]) -> Result<Self> {
        if byte_len(self.dtype(), shape) != byte_len(self.dtype(), self.shape()) {
            return Err(Error::argument("shape", format!("{shape:?} for the elements of {}", self.form)));
        }
        let (bytes, strides) = match &self.strides {
            None => (self.bytes.clone(), None),
            // One element everywhere, as of zeros: it stays one.
            Some(strides) if strides.iter().all(|stride| *stride == 0) => {
                (self.bytes.clone(), Some(vec![0; shape.len()]))
            }
            Some(_) => (self.bytes().into_owned().into(), None),
        };
        Ok(Self { form: Form { dtype: self.dtype(), shape: shape.to_vec() }, bytes, strides })
    }
}

impl Debug for StoredTensor {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "StoredTensor({})", self.form)
    }
}

/// The same element type, shape and bits.
impl PartialEq for StoredTensor {
    fn eq(&self, other: &Self) -> bool {
        self.form == other.form && self.bytes() == other.bytes()
    }
}

/// An array's values, which are not copied if they lie in order.
impl<D: Dimension + 'static> From<Array<f32, D>> for StoredTensor {
    fn from(array: Array<f32, D>) -> Self {
        let array = if array.is_standard_layout() { array } else { array.as_standard_layout().into_owned() };
        let form = Form { dtype: Dtype::F32, shape: array.shape().iter().map(|&side| side as i64).collect() };
        Self { form, bytes: Bytes::from_owner(InOrder(array)), strides: None }
    }
}

/// An array in standard layout, as bytes.
struct InOrder<D>(Array<f32, D>);

impl<D: Dimension> AsRef<[u8]> for InOrder<D> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(self.0.as_slice().unwrap_or_default())
    }
}

/// The bytes of a shape's elements; `None` if it is no shape, or of more than memory has.
fn byte_len(dtype: Dtype, shape: &[i64]) -> Option<usize> {
    shape.iter().try_fold(dtype.size(), |product, &side| product.checked_mul(usize::try_from(side).ok()?))
}

/// Refuses bytes that are no bools.
pub(super) fn check_bools(dtype: Dtype, bytes: &[u8]) -> Result<(), String> {
    if dtype == Dtype::Bool && bytes.iter().any(|&byte| byte > 1) {
        return Err("a bool is neither 0 nor 1".to_owned());
    }
    Ok(())
}

/// Whether elements of such strides lie in order and without gaps.
fn in_order(shape: &[i64], strides: &[i64]) -> bool {
    let mut inside = 1;
    shape.iter().zip(strides).rev().all(|(&side, &stride)| {
        let fits = side == 1 || stride == inside;
        inside *= side;
        fits
    })
}

/// Appends the elements of a view, given the sides and strides of its axes.
fn gather<const N: usize>(elements: &[[u8; N]], axes: &[(usize, usize)], gathered: &mut Vec<[u8; N]>) {
    match axes {
        [] => gathered.extend(elements.first()),
        [(side, stride)] => gathered.extend((0..*side).map(|index| elements[index * stride])),
        [(side, stride), inner @ ..] => {
            for index in 0..*side {
                gather(&elements[index * stride..], inner, gathered);
            }
        }
    }
}

/// Numbers of little-endian elements, from f64 or i64, which hold each of them exactly.
fn numbers<T>(dtype: Dtype, bytes: &[u8], real: impl Fn(f64) -> T, whole: impl Fn(i64) -> T) -> Vec<T> {
    fn each<const N: usize, T>(bytes: &[u8], number: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|&element| number(element)).collect()
    }
    match dtype {
        Dtype::F64 => each(bytes, |element| real(f64::from_le_bytes(element))),
        Dtype::F32 => each(bytes, |element| real(f32::from_le_bytes(element).into())),
        Dtype::F16 => each(bytes, |element| real(f16::from_le_bytes(element).into())),
        Dtype::BF16 => each(bytes, |element| real(bf16::from_le_bytes(element).into())),
        Dtype::I64 => each(bytes, |element| whole(i64::from_le_bytes(element))),
        Dtype::I32 => each(bytes, |element| whole(i32::from_le_bytes(element).into())),
        Dtype::I16 => each(bytes, |element| whole(i16::from_le_bytes(element).into())),
        Dtype::I8 => each(bytes, |element| whole(i8::from_le_bytes(element).into())),
        Dtype::U8 | Dtype::Bool => each(bytes, |element| whole(u8::from_le_bytes(element).into())),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, arr2};

    use super::*;

    fn storage(values: &[f32]) -> Bytes {
        values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>().into()
    }

    #[test]
    fn views_are_gathered_in_their_order() {
        let ramp = storage(&[0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let view = |shape: &[i64], strides: &[i64], offset| {
            StoredTensor::strided(Dtype::F32, shape, strides, offset, &ramp).map(|view| view.values().into_owned())
        };
        assert_eq!(view(&[2, 3], &[3, 1], 1).unwrap(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(view(&[3, 2], &[1, 3], 0).unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        assert_eq!(view(&[2, 2, 1], &[0, 6, 99], 0).unwrap(), [0.0, 6.0, 0.0, 6.0]);
        assert_eq!(view(&[], &[], 6).unwrap(), [6.0]);
        assert!(view(&[2, 0], &[1 << 40, 1 << 40], 1 << 40).unwrap().is_empty());
        for (shape, strides, offset) in [
            (&[2, 3][..], &[3, 1][..], 2),
            (&[2], &[1], -1),
            (&[2], &[-1], 1),
            (&[-1], &[1], 0),
            (&[2], &[i64::MAX], 1),
            (&[1 << 40, 1 << 40], &[0, 0], 0),
            (&[2], &[1, 1], 0),
            (&[], &[], 7),
        ] {
            assert!(view(shape, strides, offset).is_err(), "{shape:?} {strides:?} {offset}");
        }
    }

    #[test]
    fn nothing_is_copied_that_lies_in_order() {
        let ramp: Bytes = bytemuck::cast_slice(&[0.0_f32, 1.0, 2.0, 3.0]).to_vec().into();
        let whole = StoredTensor::new(Dtype::F32, &[2, 2], ramp.clone()).unwrap();
        let row = StoredTensor::strided(Dtype::F32, &[1, 2], &[2, 1], 2, &ramp).unwrap();
        assert_eq!(row.bytes().as_ptr(), whole.reshape(&[4]).unwrap().bytes()[8..].as_ptr());
        assert_eq!((row.strides(), row.values().as_ref()), (None, [2.0, 3.0].as_slice()));
        let column = StoredTensor::strided(Dtype::F32, &[2], &[2], 1, &ramp).unwrap();
        assert_eq!((column.strides(), column.values().as_ref()), (Some([2].as_slice()), [1.0, 3.0].as_slice()));
        assert_eq!(column.reshape(&[1, 2]).unwrap().values().as_ref(), [1.0, 3.0]);
        assert!(column.reshape(&[3]).is_err());
        let zeros = StoredTensor::zeros(Dtype::F64, &[3, 1 << 30]).unwrap();
        assert_eq!((zeros.len(), zeros.bytes.len()), (3 << 30, 8));
    }

    #[test]
    fn every_element_type_gives_its_values() {
        let two = |dtype, bytes: &[u8]| StoredTensor::new(dtype, &[2], bytes.to_vec()).unwrap();
        for (tensor, values) in [
            (two(Dtype::F64, &[1.5_f64, -1e300].map(f64::to_le_bytes).concat()), [1.5, -1e300]),
            (two(Dtype::F32, &[1.5_f32, -0.25].map(f32::to_le_bytes).concat()), [1.5, -0.25]),
            (two(Dtype::F16, &[0x3e00_u16, 0xb400].map(u16::to_le_bytes).concat()), [1.5, -0.25]),
            (two(Dtype::BF16, &[0x3fc0_u16, 0xbe80].map(u16::to_le_bytes).concat()), [1.5, -0.25]),
            (two(Dtype::I64, &[7_i64, -9].map(i64::to_le_bytes).concat()), [7.0, -9.0]),
            (two(Dtype::I32, &[7_i32, -9].map(i32::to_le_bytes).concat()), [7.0, -9.0]),
            (two(Dtype::I16, &[7_i16, -9].map(i16::to_le_bytes).concat()), [7.0, -9.0]),
            (two(Dtype::I8, &[7, 0xf7]), [7.0, -9.0]),
            (two(Dtype::U8, &[7, 0xf7]), [7.0, 247.0]),
            (two(Dtype::Bool, &[1, 0]), [1.0, 0.0]),
        ] {
            assert_eq!(tensor.doubles(), values, "{tensor:?}");
            assert_eq!(tensor.values().as_ref(), values.map(|value| value as f32), "{tensor:?}");
        }
        // Rounded once: by way of f64 it would be 2^24.
        let odd = (1_i64 << 54) + (1 << 30) + 1;
        assert_eq!(two(Dtype::I64, &[odd, 0].map(i64::to_le_bytes).concat()).values()[0], odd as f32);
        assert!(StoredTensor::new(Dtype::Bool, &[1], vec![2]).is_err());
        assert!(StoredTensor::new(Dtype::F32, &[2], vec![0; 7]).is_err());
    }

    #[test]
    fn arrays_of_any_layout_are_taken() {
        let array = arr2(&[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
        let turned = StoredTensor::from(array.clone().reversed_axes());
        assert_eq!(
            (turned.shape(), turned.values().as_ref()),
            ([3, 2].as_slice(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0].as_slice())
        );
        let row = array.slice_move(ndarray::s![1.., ..]);
        assert_eq!(StoredTensor::from(row).values().as_ref(), [4.0, 5.0, 6.0]);
        assert!(StoredTensor::from(Array2::zeros((0, 3))).is_empty());
    }
}
