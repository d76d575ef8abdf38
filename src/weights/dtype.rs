//! The element types that weights files hold: one table for all formats.

use safetensors::Dtype;
use tch::{Kind, Tensor};

/// libtorch's kind, its name in safetensors, and the storage class of PyTorch.
const TABLE: [(Kind, Dtype, &str); 10] = [
    (Kind::Double, Dtype::F64, "DoubleStorage"),
    (Kind::Float, Dtype::F32, "FloatStorage"),
    (Kind::Half, Dtype::F16, "HalfStorage"),
    (Kind::BFloat16, Dtype::BF16, "BFloat16Storage"),
    (Kind::Int64, Dtype::I64, "LongStorage"),
    (Kind::Int, Dtype::I32, "IntStorage"),
    (Kind::Int16, Dtype::I16, "ShortStorage"),
    (Kind::Int8, Dtype::I8, "CharStorage"),
    (Kind::Uint8, Dtype::U8, "ByteStorage"),
    (Kind::Bool, Dtype::BOOL, "BoolStorage"),
];

/// The kind of a safetensors element type.
pub(super) fn from_safetensors(dtype: Dtype) -> Result<Kind, String> {
    let row = TABLE.iter().find(|row| row.1 == dtype);
    row.map(|row| row.0).ok_or_else(|| format!("elements of type {dtype:?} are not supported"))
}

/// The safetensors element type of a kind.
pub(super) fn to_safetensors(kind: Kind) -> Result<Dtype, String> {
    let row = TABLE.iter().find(|row| row.0 == kind);
    row.map(|row| row.1).ok_or_else(|| format!("safetensors has no name here for elements of kind {kind:?}"))
}

/// The kind that a storage class of PyTorch, such as `FloatStorage`, holds, and the name of the class.
pub(super) fn from_storage(class: &str) -> Option<(Kind, &'static str)> {
    TABLE.iter().find(|row| row.2 == class).map(|row| (row.0, row.2))
}

/// The short name of a kind: `f32`, `bf16`, `i64`, `bool`, …
pub fn kind_name(kind: Kind) -> String {
    to_safetensors(kind).map_or_else(|_| format!("{kind:?}"), |dtype| format!("{dtype:?}")).to_lowercase()
}

/// Whether a kind is one of the floating-point ones above.
pub(super) fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Double | Kind::Float | Kind::Half | Kind::BFloat16)
}

/// Copies little-endian `data` into a tensor; its length must be exactly that of the elements of `shape`.
pub(super) fn tensor(kind: Kind, shape: &[i64], data: &[u8]) -> Result<Tensor, String> {
    let bytes = shape
        .iter()
        .try_fold(kind.elt_size_in_bytes(), |product, &size| product.checked_mul(usize::try_from(size).ok()?));
    if bytes != Some(data.len()) {
        return Err(format!("shape {shape:?} of {} does not fit {} bytes", kind_name(kind), data.len()));
    }
    if kind == Kind::Bool && data.iter().any(|&byte| byte > 1) {
        return Err("a bool is neither 0 nor 1".to_owned());
    }
    Tensor::f_from_data_size(data, shape, kind).map_err(|error| first_line(&error))
}

/// What libtorch says, without the list of its own functions that follows.
pub(super) fn first_line(error: &tch::TchError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
