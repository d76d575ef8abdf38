//! What an operation is given, and what values are while a graph runs.

use cbam_core::graph::{Argument, Node, Scalar, Value};
use tch::{Device, Kind, Tensor};

use crate::host::kind_of;
use crate::{Error, Result};

/// More elements than any network makes of nothing, as `zeros` and `arange` do.
const MAX_MADE: i64 = 1 << 27;

/// More elements than any network makes by repeating, padding or interpolating.
const MAX_GROWN: i64 = 1 << 29;

/// A value while a graph runs.
#[derive(Debug)]
pub(super) enum Held {
    Tensor(Tensor),
    Int(i64),
    Float(f64),
    Bool(bool),
}

/// What can be found of values while a graph runs.
pub(super) trait Values {
    /// A value that is there.
    fn held(&self, value: Value) -> Option<&Held>;

    /// The device that the graph runs on.
    fn device(&self) -> Device;
}

/// What a node is given.
pub(super) struct Given<'a> {
    pub(super) node: &'a Node,
    pub(super) values: &'a dyn Values,
    /// Tensors that it is given instead of its own, by the names of its parameters.
    pub(super) instead: &'a [(&'static str, Tensor)],
}

/// A number as an operation takes it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Int(i64),
    Float(f64),
    Bool(bool),
}

impl From<Number> for tch::Scalar {
    fn from(number: Number) -> Self {
        match number {
            Number::Int(int) => int.into(),
            Number::Float(float) => float.into(),
            Number::Bool(truth) => i64::from(truth).into(),
        }
    }
}

impl Number {
    pub(super) fn float(self) -> f64 {
        match self {
            Self::Int(int) => int as f64,
            Self::Float(float) => float,
            Self::Bool(truth) => f64::from(u8::from(truth)),
        }
    }

    pub(super) fn int(self) -> Option<i64> {
        match self {
            Self::Int(int) => Some(int),
            Self::Bool(truth) => Some(truth.into()),
            Self::Float(float) => (float == float.trunc() && float.abs() < 9e15).then_some(float as i64),
        }
    }
}

/// Either a tensor or a number.
pub(super) enum Operand<'a> {
    Tensor(&'a Tensor),
    Number(Number),
}

impl<'a> Given<'a> {
    fn argument(&self, name: &str) -> Option<&'a Argument> {
        self.node.input(name).filter(|argument| !matches!(argument, Argument::None | Argument::Idle))
    }

    fn wrong(&self, name: &str, expected: &str) -> Error {
        Error::network(self.node, format!("takes {expected} as {name}, and is given something else"))
    }

    fn held(&self, value: Value) -> Result<&'a Held> {
        self.values
            .held(value)
            .ok_or_else(|| Error::internal(format!("{}: value {} is gone", self.node, value.index())))
    }

    fn operand_of(&self, scalar: Scalar, name: &str) -> Result<Operand<'a>> {
        Ok(match scalar {
            Scalar::Int(int) => Operand::Number(Number::Int(int)),
            Scalar::Float(float) => Operand::Number(Number::Float(float)),
            Scalar::Bool(truth) => Operand::Number(Number::Bool(truth)),
            Scalar::None => return Err(self.wrong(name, "a value")),
            Scalar::Value(value) => match self.held(value)? {
                Held::Tensor(tensor) => Operand::Tensor(tensor),
                Held::Int(int) => Operand::Number(Number::Int(*int)),
                Held::Float(float) => Operand::Number(Number::Float(*float)),
                Held::Bool(truth) => Operand::Number(Number::Bool(*truth)),
            },
        })
    }

    fn number_of(&self, scalar: Scalar, name: &str) -> Result<Number> {
        match self.operand_of(scalar, name)? {
            Operand::Number(number) => Ok(number),
            // A tensor of one element, where PyTorch's own code would call `item`.
            Operand::Tensor(tensor) if tensor.numel() == 1 => item(tensor),
            Operand::Tensor(_) => Err(self.wrong(name, "a number")),
        }
    }

    /// Whether it is given at all.
    pub(super) fn has(&self, name: &str) -> bool {
        self.argument(name).is_some()
    }

    /// A tensor or a number.
    pub(super) fn operand(&self, name: &str) -> Result<Operand<'a>> {
        match self.argument(name) {
            Some(Argument::One(scalar)) => self.operand_of(*scalar, name),
            _ => Err(self.wrong(name, "a tensor or a number")),
        }
    }

    pub(super) fn tensor(&self, name: &str) -> Result<&'a Tensor> {
        self.maybe_tensor(name)?.ok_or_else(|| self.wrong(name, "a tensor"))
    }

    pub(super) fn maybe_tensor(&self, name: &str) -> Result<Option<&'a Tensor>> {
        if let Some((_, tensor)) = self.instead.iter().find(|(of, _)| *of == name) {
            return Ok(Some(tensor));
        }
        match self.argument(name) {
            None => Ok(None),
            Some(Argument::One(scalar)) => match self.operand_of(*scalar, name)? {
                Operand::Tensor(tensor) => Ok(Some(tensor)),
                Operand::Number(_) => Err(self.wrong(name, "a tensor")),
            },
            Some(_) => Err(self.wrong(name, "a tensor")),
        }
    }

    /// Tensors, of which some may be missing.
    pub(super) fn maybe_tensors(&self, name: &str) -> Result<Vec<Option<&'a Tensor>>> {
        let Some(Argument::Several(several)) = self.argument(name) else { return Err(self.wrong(name, "tensors")) };
        let one = |scalar: &Scalar| match scalar {
            Scalar::None => Ok(None),
            scalar => match self.operand_of(*scalar, name)? {
                Operand::Tensor(tensor) => Ok(Some(tensor)),
                Operand::Number(_) => Err(self.wrong(name, "tensors")),
            },
        };
        several.iter().map(one).collect()
    }

    pub(super) fn tensors(&self, name: &str) -> Result<Vec<&'a Tensor>> {
        let all = self.maybe_tensors(name)?.into_iter();
        all.map(|tensor| tensor.ok_or_else(|| self.wrong(name, "tensors"))).collect()
    }

    pub(super) fn maybe_number(&self, name: &str) -> Result<Option<Number>> {
        match self.argument(name) {
            None => Ok(None),
            Some(Argument::One(scalar)) => self.number_of(*scalar, name).map(Some),
            Some(_) => Err(self.wrong(name, "a number")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Number> {
        self.maybe_number(name)?.ok_or_else(|| self.wrong(name, "a number"))
    }

    /// The number at a place, of an operator whose parameters have no names.
    pub(super) fn number_at(&self, place: usize) -> Result<Number> {
        match self.node.inputs.get(place) {
            Some((name, Argument::One(scalar))) => self.number_of(*scalar, name),
            _ => Err(Error::network(self.node, format!("is given no number at place {place}"))),
        }
    }

    pub(super) fn maybe_int(&self, name: &str) -> Result<Option<i64>> {
        let number = self.maybe_number(name)?;
        number.map(|number| number.int().ok_or_else(|| self.wrong(name, "a whole number"))).transpose()
    }

    pub(super) fn int(&self, name: &str) -> Result<i64> {
        self.maybe_int(name)?.ok_or_else(|| self.wrong(name, "a whole number"))
    }

    pub(super) fn int_or(&self, name: &str, default: i64) -> Result<i64> {
        Ok(self.maybe_int(name)?.unwrap_or(default))
    }

    pub(super) fn maybe_float(&self, name: &str) -> Result<Option<f64>> {
        Ok(self.maybe_number(name)?.map(Number::float))
    }

    pub(super) fn float(&self, name: &str) -> Result<f64> {
        Ok(self.number(name)?.float())
    }

    pub(super) fn float_or(&self, name: &str, default: f64) -> Result<f64> {
        Ok(self.maybe_float(name)?.unwrap_or(default))
    }

    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool> {
        Ok(self.maybe_number(name)?.map_or(default, |number| number.float() != 0.0))
    }

    /// Whole numbers; one stands for a list of it alone.
    pub(super) fn maybe_ints(&self, name: &str) -> Result<Option<Vec<i64>>> {
        let scalars = match self.argument(name) {
            None => return Ok(None),
            Some(Argument::One(one)) => std::slice::from_ref(one),
            Some(Argument::Several(several)) => several,
            Some(_) => return Err(self.wrong(name, "whole numbers")),
        };
        let int =
            |scalar: &Scalar| self.number_of(*scalar, name)?.int().ok_or_else(|| self.wrong(name, "whole numbers"));
        scalars.iter().map(int).collect::<Result<_>>().map(Some)
    }

    pub(super) fn ints(&self, name: &str) -> Result<Vec<i64>> {
        self.maybe_ints(name)?.ok_or_else(|| self.wrong(name, "whole numbers"))
    }

    pub(super) fn ints_or(&self, name: &str, default: &[i64]) -> Result<Vec<i64>> {
        Ok(self.maybe_ints(name)?.unwrap_or_else(|| default.to_vec()))
    }

    pub(super) fn maybe_floats(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let Some(argument) = self.argument(name) else { return Ok(None) };
        let Argument::Several(several) = argument else { return Err(self.wrong(name, "numbers")) };
        several.iter().map(|scalar| Ok(self.number_of(*scalar, name)?.float())).collect::<Result<_>>().map(Some)
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>> {
        match self.argument(name) {
            None => Ok(None),
            Some(Argument::Text(text)) => Ok(Some(text)),
            Some(_) => Err(self.wrong(name, "a word")),
        }
    }

    pub(super) fn kind(&self, name: &str) -> Result<Option<Kind>> {
        match self.argument(name) {
            None => Ok(None),
            Some(Argument::Dtype(dtype)) => kind_of(*dtype).map(Some),
            Some(_) => Err(self.wrong(name, "a type of elements")),
        }
    }

    /// The shape of a tensor that is made of nothing, which says how much memory it takes: refused if that is more than any network has.
    pub(super) fn shape(&self, name: &str) -> Result<Vec<i64>> {
        let shape = self.ints(name)?;
        self.check_count(shape.iter().try_fold(1_i64, |count, side| count.checked_mul(*side)))?;
        Ok(shape)
    }

    /// Refuses to make that many elements of few.
    pub(super) fn check_grown(&self, sides: impl IntoIterator<Item = i64>) -> Result<()> {
        let count = sides.into_iter().try_fold(1_i64, |count, side| count.checked_mul(side.max(0)));
        match count.filter(|count| *count <= MAX_GROWN) {
            Some(_) => Ok(()),
            None => Err(Error::network(self.node, format!("makes more than {MAX_GROWN} elements of fewer"))),
        }
    }

    /// Refuses to make so many elements of nothing.
    pub(super) fn check_count(&self, count: Option<i64>) -> Result<()> {
        match count.filter(|count| *count <= MAX_MADE) {
            Some(_) => Ok(()),
            None => Err(Error::network(self.node, format!("makes more than {MAX_MADE} elements of nothing"))),
        }
    }

    /// The type of elements of a tensor that is made here, and where it is made.
    pub(super) fn options(&self, default: Kind) -> Result<(Kind, Device)> {
        Ok((self.kind("dtype")?.unwrap_or(default), self.values.device()))
    }
}

/// The number in a tensor of one element.
pub(super) fn item(tensor: &Tensor) -> Result<Number> {
    let tensor = tensor.f_detach()?.f_reshape([1])?;
    Ok(match tensor.kind() {
        Kind::Bool => Number::Bool(tensor.f_int64_value(&[0])? != 0),
        Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8 => Number::Int(tensor.f_int64_value(&[0])?),
        _ => Number::Float(tensor.f_double_value(&[0])?),
    })
}
