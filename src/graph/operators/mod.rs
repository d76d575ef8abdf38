//! What each operator of a graph does, on libtorch: one table for each kind.
//!
//! An operator takes what it takes in PyTorch, by the names and with the defaults of its signature there
//! (`aten/src/ATen/native/native_functions.yaml`).

mod arithmetic;
mod attention;
mod create;
mod layers;
mod numbers;
mod pooling;
mod recurrent;
mod reduce;
mod resize;
mod shape;

use tch::{TchError, Tensor};

use super::given::{Given, Held, Operand};
use crate::Result;

pub(super) use attention::{weights as attention_weights, written_out};

/// What an operator makes.
pub(super) type Made = Vec<Held>;
/// What an operator does.
pub(super) type Operation = fn(&Given<'_>) -> Result<Made>;
/// Operators by their names.
type Table = &'static [(&'static str, Operation)];

const TABLES: [Table; 10] = [
    arithmetic::TABLE,
    attention::TABLE,
    create::TABLE,
    layers::TABLE,
    numbers::TABLE,
    pooling::TABLE,
    recurrent::TABLE,
    reduce::TABLE,
    resize::TABLE,
    shape::TABLE,
];

/// The operation of this name, and whether its result is written over what it takes as `self`: `aten.relu_.default` is
/// `aten.relu.default` over `self`.
pub(super) fn find(name: &str) -> Option<(Operation, bool)> {
    let exact = |name: &str| TABLES.iter().flat_map(|table| table.iter()).find(|row| row.0 == name).map(|row| row.1);
    if let Some(operation) = exact(name) {
        return Some((operation, false));
    }
    let (kind, overload) = name.rsplit_once('.')?;
    let plain = kind.strip_suffix('_').filter(|plain| !plain.ends_with('_'))?;
    Some((exact(&format!("{plain}.{overload}"))?, true))
}

/// What an operator does over the tensor that it takes first; nothing if that is not the place of its result.
pub(super) type Over = fn(&Given<'_>, Tensor) -> Result<Option<Made>>;

/// The same over what it takes, of the operators for which that is worth it.
pub(super) fn over(name: &str) -> Option<Over> {
    Some(match name {
        "aten.relu.default" => |_, mut to| one(to.f_relu_()).map(Some),
        "aten.silu.default" => |_, mut to| one(to.f_silu_()).map(Some),
        "aten.hardswish.default" => |_, mut to| one(to.f_hardswish_()).map(Some),
        "aten.hardtanh.default" => |given, mut to| {
            let (least, most) = (given.float_or("min_val", -1.0)?, given.float_or("max_val", 1.0)?);
            one(to.f_clamp_(least, most)).map(Some)
        },
        "aten.relu6.default" => |_, mut to| one(to.f_clamp_(0.0, 6.0)).map(Some),
        "aten.add.Tensor" => |given, mut to| {
            let Operand::Tensor(other) = given.operand("other")? else { return Ok(None) };
            if given.has("alpha") || other.size() != to.size() || other.kind() != to.kind() {
                return Ok(None);
            }
            one(to.f_add_(other)).map(Some)
        },
        _ => return None,
    })
}

/// One tensor.
fn one(tensor: std::result::Result<Tensor, TchError>) -> Result<Made> {
    Ok(vec![Held::Tensor(tensor?)])
}

/// Several.
fn several(tensors: std::result::Result<Vec<Tensor>, TchError>) -> Result<Made> {
    Ok(tensors?.into_iter().map(Held::Tensor).collect())
}

/// The same tensor.
fn same(given: &Given<'_>) -> Result<Made> {
    one(Ok(given.tensor("self").or_else(|_| given.tensor("input"))?.shallow_clone()))
}

/// One of each, as operators that take either do it.
fn either(
    given: &Given<'_>,
    name: &str,
    of_tensor: impl FnOnce(&Tensor) -> std::result::Result<Tensor, TchError>,
    of_number: impl FnOnce(tch::Scalar) -> std::result::Result<Tensor, TchError>,
) -> Result<Tensor> {
    Ok(match given.operand(name)? {
        Operand::Tensor(tensor) => of_tensor(tensor)?,
        Operand::Number(number) => of_number(number.into())?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_one_row_and_in_place_forms_are_found() {
        let mut names: Vec<_> = TABLES.iter().flat_map(|table| table.iter().map(|row| row.0)).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "a name twice");
        assert!(find("aten.relu_.default").is_some_and(|(_, writes)| writes));
        assert!(find("aten.relu.default").is_some_and(|(_, writes)| !writes));
        assert!(find("aten.no_such_thing.default").is_none() && find("relu").is_none());
    }
}
