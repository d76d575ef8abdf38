//! What nodes take and make, from the JSON of `torch.export`.

use std::collections::HashMap;

use super::archive::dtype;
use super::program::{Argument, Scalar};
use super::schema::{self, ConstantValue, Float, OptionalTensor, Symbolic};

/// Names that stand for values, or for what is known already.
pub(super) type Scope = HashMap<String, Argument>;

/// What a node takes, by the names that stand for values here.
pub(super) fn argument(argument: &schema::Argument, scope: &Scope) -> Result<Argument, String> {
    use schema::Argument as From;
    let named =
        |name: &str| scope.get(name).cloned().ok_or_else(|| format!("takes {name}, which nothing has made before it"));
    let one = |name: &str| match named(name)? {
        Argument::One(scalar) => Ok(scalar),
        Argument::None => Ok(Scalar::None),
        _ => Err(format!("takes {name} where one value belongs")),
    };
    let symbolic = |of: &Symbolic| match of {
        Symbolic::AsName(name) => one(name),
        Symbolic::AsInt(int) => Ok(Scalar::Int(*int)),
        Symbolic::AsFloat(number) => Ok(Scalar::Float(float(number)?)),
        Symbolic::AsBool(truth) => Ok(Scalar::Bool(*truth)),
    };
    let optional = |of: &OptionalTensor| match of {
        OptionalTensor::AsTensor(of) => one(&of.name),
        OptionalTensor::AsNone(_) => Ok(Scalar::None),
    };
    Ok(match argument {
        From::AsNone(_) | From::AsOptionalTensor(OptionalTensor::AsNone(_)) => Argument::None,
        From::AsTensor(of) | From::AsOptionalTensor(OptionalTensor::AsTensor(of)) => named(&of.name)?,
        From::AsTensors(of) => several(of, |of| one(&of.name))?,
        From::AsOptionalTensors(of) => several(of, optional)?,
        From::AsInt(int) => Argument::One(Scalar::Int(*int)),
        From::AsInts(ints) => several(ints, |int| Ok(Scalar::Int(*int)))?,
        From::AsFloat(number) => Argument::One(Scalar::Float(float(number)?)),
        From::AsFloats(numbers) => several(numbers, |number| Ok(Scalar::Float(float(number)?)))?,
        From::AsBool(truth) => Argument::One(Scalar::Bool(*truth)),
        From::AsBools(truths) => several(truths, |truth| Ok(Scalar::Bool(*truth)))?,
        From::AsSymInt(of) | From::AsSymBool(of) | From::AsSymFloat(of) => Argument::One(symbolic(of)?),
        From::AsSymInts(of) | From::AsSymBools(of) | From::AsSymFloats(of) => several(of, symbolic)?,
        From::AsString(text) => Argument::Text(text.clone()),
        From::AsScalarType(number) => Argument::Dtype(dtype(*number)?),
        From::AsMemoryFormat(_) | From::AsLayout(_) | From::AsDevice(_) => Argument::Idle,
        From::AsGraph(_) => return Err("takes a graph".to_owned()),
        From::AsCustomObj(_) => return Err("takes an object of a class of its own".to_owned()),
        From::AsComplex(_) => return Err("takes a complex number".to_owned()),
        From::AsStrings(_)
        | From::AsOperator(_)
        | From::AsNestedTensors(_)
        | From::AsIntLists(_)
        | From::AsStringToArgument(_) => return Err("takes an argument of a kind that is not read".to_owned()),
    })
}

fn several<T>(of: &[T], one: impl Fn(&T) -> Result<Scalar, String>) -> Result<Argument, String> {
    Ok(Argument::Several(of.iter().map(one).collect::<Result<_, _>>()?))
}

/// The names of what a node makes; `None` for a result that is nothing.
pub(super) fn made(output: &schema::Argument) -> Vec<Option<&str>> {
    use schema::Argument as From;
    fn optional(of: &OptionalTensor) -> Option<&str> {
        if let OptionalTensor::AsTensor(of) = of { Some(&of.name) } else { None }
    }
    fn symbolic(of: &Symbolic) -> Option<&str> {
        if let Symbolic::AsName(name) = of { Some(name) } else { None }
    }
    match output {
        From::AsTensor(of) => vec![Some(&of.name)],
        From::AsTensors(of) => of.iter().map(|of| Some(of.name.as_str())).collect(),
        From::AsOptionalTensors(of) => of.iter().map(optional).collect(),
        From::AsOptionalTensor(of) => vec![optional(of)],
        From::AsSymInt(of) | From::AsSymBool(of) | From::AsSymFloat(of) => vec![symbolic(of)],
        From::AsSymInts(of) | From::AsSymBools(of) | From::AsSymFloats(of) => of.iter().map(symbolic).collect(),
        _ => vec![None],
    }
}

pub(super) fn constant(value: &ConstantValue) -> Result<Argument, String> {
    Ok(match value {
        ConstantValue::AsNone(_) => Argument::None,
        ConstantValue::AsInt(int) => Argument::One(Scalar::Int(*int)),
        ConstantValue::AsFloat(number) => Argument::One(Scalar::Float(float(number)?)),
        ConstantValue::AsString(text) => Argument::Text(text.clone()),
        ConstantValue::AsBool(truth) => Argument::One(Scalar::Bool(*truth)),
    })
}

fn float(number: &Float) -> Result<f64, String> {
    Ok(match number {
        Float::Number(number) => *number,
        Float::Word(word) => match word.as_str() {
            "Infinity" | "inf" => f64::INFINITY,
            "-Infinity" | "-inf" => f64::NEG_INFINITY,
            "NaN" | "nan" => f64::NAN,
            other => return Err(format!("{other:?} is no number")),
        },
    })
}
