//! Lists of numbers, and tables of them: taken apart, joined and turned.

use super::call::Call;
use super::known::{MAX_NUMBERS, Numbers};
use super::tensors::dtype as dtype_of;
use crate::graph::program::Scalar;
use crate::weights::Dtype;

/// One number as a list, or a list of one as a number.
pub(super) fn turned(call: &Call, of: &Numbers, rest: &[Numbers]) -> Result<Option<Numbers>, String> {
    let axes = match rest {
        [axes] => axes.ints(),
        _ => call.ints("axes")?,
    };
    let list = call.operator == "Unsqueeze";
    let fits = of.list != list && (list || of.items.len() == 1);
    let first = axes.as_deref().map_or(!list, |axes| matches!(axes, [0 | -1]));
    Ok((fits && first).then(|| Numbers { list, ..of.clone() }))
}

pub(super) fn joined(call: &Call, parts: &[Numbers]) -> Result<Option<Numbers>, String> {
    let axis = call.int_or("axis", 0)?;
    let items: Vec<Scalar> = parts.iter().flat_map(|part| part.items.iter().copied()).collect();
    let fits = matches!(axis, 0 | -1) && parts.iter().all(|part| part.list) && items.len() <= MAX_NUMBERS;
    Ok(fits.then(|| Numbers::list(items, parts[0].dtype)))
}

pub(super) fn gathered(call: &Call, of: &Numbers, places: &Numbers) -> Result<Option<Numbers>, String> {
    if !matches!(call.int_or("axis", 0)?, 0 | -1) || !of.list {
        return Ok(None);
    }
    let Some(known) = places.ints() else { return Ok(None) };
    let count = of.items.len() as i64;
    let item = |place: i64| {
        let place = usize::try_from(if place < 0 { place + count } else { place }).ok();
        let item = place.and_then(|place| of.items.get(place).copied());
        item.ok_or_else(|| format!("takes a number out of a list of {count} that is not in it"))
    };
    let items = known.into_iter().map(item).collect::<Result<_, _>>()?;
    Ok(Some(Numbers { items, list: places.list, row: None, dtype: of.dtype }))
}

pub(super) fn sliced(of: &Numbers, rest: &[Numbers]) -> Option<Numbers> {
    let number = |place: usize, default: i64| match rest.get(place) {
        None => Some(default),
        Some(numbers) => match numbers.ints()?[..] {
            [number] => Some(number),
            _ => None,
        },
    };
    let (start, end) = (number(0, 0).filter(|_| rest.len() > 1)?, number(1, 0)?);
    let (axis, step) = (number(2, 0)?, number(3, 1)?);
    if !matches!(axis, 0 | -1) || step == 0 || !of.list {
        return None;
    }
    let count = of.items.len() as i64;
    let from_end = |place: i64| if place < 0 { place.saturating_add(count) } else { place };
    let places: Vec<i64> = if step > 0 {
        (from_end(start).clamp(0, count)..from_end(end).clamp(0, count)).step_by(usize::try_from(step).ok()?).collect()
    } else {
        let (first, last) = (from_end(start).clamp(-1, count - 1), from_end(end).clamp(-1, count - 1));
        let down = (last + 1..=first).rev();
        down.step_by(usize::try_from(step.unsigned_abs()).ok()?).collect()
    };
    let items = places.into_iter().filter_map(|place| of.items.get(usize::try_from(place).ok()?).copied()).collect();
    Some(Numbers { items, ..of.clone() })
}

pub(super) fn reshaped(of: &Numbers, shape: &Numbers) -> Option<Numbers> {
    match shape.ints()?[..] {
        [] if of.items.len() == 1 => Some(Numbers { list: false, ..of.clone() }),
        [side] if side == -1 || side == of.items.len() as i64 => Some(Numbers { list: true, row: None, ..of.clone() }),
        [-1, row] if row > 0 && (of.items.len() as i64) % row == 0 => {
            Some(Numbers { list: true, row: Some(row as usize), ..of.clone() })
        }
        _ => None,
    }
}

/// What is done with a table: PyTorch turns paddings around, which it has as pairs, the last side first.
pub(super) fn table(call: &Call, of: &Numbers, rest: &[Numbers]) -> Result<Option<Numbers>, String> {
    let Some(row) = of.row.filter(|_| rest.iter().all(|numbers| numbers.row.is_none())) else { return Ok(None) };
    let rows: Vec<&[Scalar]> = of.items.chunks(row).collect();
    Ok(match (call.operator.as_str(), rest) {
        ("Reshape", [shape]) => {
            call.idle("allowzero");
            reshaped(of, shape)
        }
        ("Transpose", []) => {
            call.idle("perm"); // there is one other order
            let items = (0..row).flat_map(|column| rows.iter().map(move |row| row[column])).collect();
            Some(Numbers { items, row: Some(rows.len()), ..of.clone() })
        }
        ("Slice", _) if rest.get(2).is_none_or(|axes| axes.ints().as_deref() == Some(&[0])) => {
            let places = (0..rows.len() as i64).map(Scalar::Int).collect();
            let places = sliced(&Numbers::list(places, Dtype::I64), rest).and_then(|places| places.ints());
            let items = places.map(|places| places.iter().flat_map(|place| rows[*place as usize]).copied().collect());
            items.map(|items| Numbers { items, ..of.clone() })
        }
        ("Cast" | "Identity", []) => {
            call.idle("to");
            call.idle("saturate");
            let whole = !of.dtype.is_float()
                && (call.operator == "Identity" || !dtype_of(call.int_or("to", 7)? as i32)?.is_float());
            whole.then(|| of.clone())
        }
        _ => None,
    })
}

pub(super) fn spread(of: &Numbers, shape: &Numbers) -> Option<Numbers> {
    match shape.ints()?[..] {
        [] => Some(of.clone()),
        [count] if of.items.len() == 1 && (0..=MAX_NUMBERS as i64).contains(&count) => {
            Some(Numbers { items: vec![of.items[0]; count as usize], list: true, row: None, dtype: of.dtype })
        }
        [count] if count == of.items.len() as i64 || count == 1 => Some(Numbers { list: true, ..of.clone() }),
        _ => None,
    }
}

pub(super) fn range(start: &Numbers, end: &Numbers, step: &Numbers) -> Option<Numbers> {
    let one = |of: &Numbers| if let [one] = of.ints()?[..] { Some(one) } else { None };
    let (start, end, step) = (one(start)?, one(end)?, one(step)?);
    let count = end.checked_sub(start)?.checked_div(step)?;
    if !(0..MAX_NUMBERS as i64).contains(&count) || step == 0 {
        return None;
    }
    let mut items = Vec::new();
    let mut at = start;
    while if step > 0 { at < end } else { at > end } {
        items.push(Scalar::Int(at));
        at = at.checked_add(step)?;
    }
    Some(Numbers::list(items, Dtype::I64))
}
