//! What each operator of ONNX is in PyTorch's: one table for each kind. The operators are those of onnx 1.23, sets 7 to 24
//! (<https://onnx.ai/onnx/operators/>).

mod elementwise;
mod layers;
mod reduce;
mod resize;
mod shapes;
mod windows;

use super::builder::{Builder, is_onnx};
use super::call::Call;
use super::known::{Known, Tensor};

/// What translates an operation.
type Operation = fn(&mut Builder, &Call) -> Made;
/// What one gives out.
type Made = Result<Vec<Known>, String>;
/// Operators by their names.
type Table = &'static [(&'static str, Operation)];

const TABLES: [Table; 6] =
    [elementwise::TABLE, layers::TABLE, reduce::TABLE, resize::TABLE, shapes::TABLE, windows::TABLE];

/// What translates an operator of this name.
pub(super) fn find(domain: &str, name: &str) -> Option<Operation> {
    let mut rows = TABLES.iter().flat_map(|table| table.iter());
    rows.find(|row| is_onnx(domain) && row.0 == name).map(|row| row.1)
}

/// One tensor.
#[allow(clippy::unnecessary_wraps, reason = "what every operation ends in")]
fn one(tensor: Tensor) -> Made {
    Ok(vec![Known::Tensor(tensor)])
}

/// The tensor that an operation takes at a place.
fn taken(b: &mut Builder, call: &Call, place: usize) -> Result<Tensor, String> {
    b.tensor(&call.needed(place)?.clone())
}

/// The same, if it takes one.
fn maybe(b: &mut Builder, call: &Call, place: usize) -> Result<Option<Tensor>, String> {
    call.input(place).cloned().map(|known| b.tensor(&known)).transpose()
}

/// The axes of an operation: its attribute, or in later sets the input at a place.
pub(super) fn axes(b: &Builder, call: &Call, place: usize) -> Result<Option<Vec<i64>>, String> {
    if let Some(axes) = call.ints("axes")? {
        return Ok(Some(axes));
    }
    let Some(given) = call.input(place) else { return Ok(None) };
    let axes = b.needed_numbers(given, "axes")?.ints();
    axes.map(Some).ok_or_else(|| "takes axes that are computed".to_owned())
}

/// An axis counted from the first.
fn axis(axis: i64, rank: usize) -> Result<usize, String> {
    let from_first = if axis < 0 { axis + rank as i64 } else { axis };
    let place = usize::try_from(from_first).ok().filter(|place| *place < rank.max(1));
    place.ok_or_else(|| format!("has axis {axis} of {rank}"))
}

/// Axes counted from the first, in their order, each once.
fn from_first(axes: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    let mut places = axes.iter().map(|of| axis(*of, rank)).collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    let count = places.len();
    places.dedup();
    if places.len() < count { Err(format!("has an axis twice: {axes:?}")) } else { Ok(places) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_has_one_row() {
        let mut names: Vec<_> = TABLES.iter().flat_map(|table| table.iter().map(|row| row.0)).collect();
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "a name twice");
        assert!(
            find("", "Conv").is_some() && find("ai.onnx", "Conv").is_some() && find("com.microsoft", "Conv").is_none()
        );
    }
}
