//! The element types that weights files hold: one table for all formats.

use std::fmt::{self, Display, Formatter};

/// The type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dtype {
    /// Floating-point numbers of 64 bits.
    F64,
    /// Floating-point numbers of 32 bits.
    F32,
    /// IEEE 754's floating-point numbers of 16 bits.
    F16,
    /// The upper halves of floating-point numbers of 32 bits.
    BF16,
    /// Integers of 64 bits.
    I64,
    /// Integers of 32 bits.
    I32,
    /// Integers of 16 bits.
    I16,
    /// Integers of 8 bits.
    I8,
    /// Integers of 8 bits without a sign.
    U8,
    /// A byte that is 0 or 1.
    Bool,
}

/// What is known of an element type.
struct Row {
    dtype: Dtype,
    name: &'static str,
    size: usize,
    safetensors: safetensors::Dtype,
    /// The storage class of PyTorch.
    storage: &'static str,
}

const fn row(
    dtype: Dtype,
    name: &'static str,
    size: usize,
    safetensors: safetensors::Dtype,
    storage: &'static str,
) -> Row {
    Row { dtype, name, size, safetensors, storage }
}

/// In the order of the element types.
const TABLE: [Row; 10] = [
    row(Dtype::F64, "f64", 8, safetensors::Dtype::F64, "DoubleStorage"),
    row(Dtype::F32, "f32", 4, safetensors::Dtype::F32, "FloatStorage"),
    row(Dtype::F16, "f16", 2, safetensors::Dtype::F16, "HalfStorage"),
    row(Dtype::BF16, "bf16", 2, safetensors::Dtype::BF16, "BFloat16Storage"),
    row(Dtype::I64, "i64", 8, safetensors::Dtype::I64, "LongStorage"),
    row(Dtype::I32, "i32", 4, safetensors::Dtype::I32, "IntStorage"),
    row(Dtype::I16, "i16", 2, safetensors::Dtype::I16, "ShortStorage"),
    row(Dtype::I8, "i8", 1, safetensors::Dtype::I8, "CharStorage"),
    row(Dtype::U8, "u8", 1, safetensors::Dtype::U8, "ByteStorage"),
    row(Dtype::Bool, "bool", 1, safetensors::Dtype::BOOL, "BoolStorage"),
];

impl Dtype {
    const fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }

    /// The bytes of an element.
    pub const fn size(self) -> usize {
        self.row().size
    }

    /// Its short name: `f32`, `bf16`, `i64`, `bool`, …
    pub const fn name(self) -> &'static str {
        self.row().name
    }

    /// Whether it is one of the floating-point ones.
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F64 | Self::F32 | Self::F16 | Self::BF16)
    }

    /// That of a safetensors element type.
    pub(super) fn from_safetensors(dtype: safetensors::Dtype) -> Result<Self, String> {
        let row = TABLE.iter().find(|row| row.safetensors == dtype);
        row.map(|row| row.dtype).ok_or_else(|| format!("elements of type {dtype:?} are not supported"))
    }

    /// Its name in safetensors.
    pub(super) const fn to_safetensors(self) -> safetensors::Dtype {
        self.row().safetensors
    }

    /// That of a storage class of PyTorch, such as `FloatStorage`, and the name of the class.
    pub(super) fn from_storage(class: &str) -> Option<(Self, &'static str)> {
        TABLE.iter().find(|row| row.storage == class).map(|row| (row.dtype, row.storage))
    }
}

impl Display for Dtype {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_type_has_its_own_row() {
        for (place, row) in TABLE.iter().enumerate() {
            assert_eq!(row.dtype as usize, place, "{}", row.name);
            assert_eq!(row.safetensors.bitsize(), 8 * row.size, "{}", row.name);
            assert_eq!(format!("{:?}", row.safetensors).to_lowercase(), row.name);
        }
    }
}
