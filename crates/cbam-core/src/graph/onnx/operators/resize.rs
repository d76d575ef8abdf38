//! Other sizes: interpolation, paddings, sampling, channels as places.

use super::super::builder::{Builder, flag, int, ints, tensor};
use super::super::call::Call;
use super::super::known::{Numbers, Tensor, float as known_float};
use super::{Made, Table, axes, axis, one, taken};
use crate::graph::program::{Argument, Scalar};

pub(super) const TABLE: Table = &[
    ("DepthToSpace", depth_to_space),
    ("GridSample", |b, call| {
        let (of, grid) = (taken(b, call, 0)?, taken(b, call, 1)?);
        let mode = call.text_or("mode", if call.version < 20 { "bilinear" } else { "linear" })?;
        let mode = match mode.as_str() {
            "bilinear" | "linear" => 0,
            "nearest" => 1,
            "bicubic" | "cubic" => 2,
            other => return Err(format!("with mode {other}, which is not known here")),
        };
        let padding = match call.text_or("padding_mode", "zeros")?.as_str() {
            "zeros" => 0,
            "border" => 1,
            "reflection" => 2,
            other => return Err(format!("with padding_mode {other}, which is not known here")),
        };
        let inputs = vec![
            ("input", tensor(of)),
            ("grid", tensor(grid)),
            ("interpolation_mode", int(mode)),
            ("padding_mode", int(padding)),
            ("align_corners", flag(call.flag("align_corners", false)?)),
        ];
        one(b.emit("aten.grid_sampler.default", inputs, of.rank, of.dtype))
    }),
    ("Pad", pad),
    ("Resize", resize),
    ("SpaceToDepth", |b, call| {
        let (of, block) = (taken(b, call, 0)?, block(call)?);
        let parts = split_sides(b, of, block)?;
        let turned = b.emit(
            "aten.permute.default",
            vec![("self", tensor(parts)), ("dims", ints(&[0, 3, 5, 1, 2, 4]))],
            6,
            of.dtype,
        );
        let rows = b.emit(
            "aten.flatten.using_ints",
            vec![("self", tensor(turned)), ("start_dim", int(1)), ("end_dim", int(3))],
            4,
            of.dtype,
        );
        one(rows)
    }),
    ("Upsample", |b, call| {
        let of = taken(b, call, 0)?;
        let factors = match call.floats("scales")? {
            Some(factors) => factors.into_iter().map(Scalar::Float).collect(),
            None => b.needed_numbers(call.needed(1)?, "factors")?.items,
        };
        let mode = call.text_or("mode", "nearest")?;
        interpolated(
            b,
            of,
            Wanted::Factors(factors),
            &How { mode, places: "asymmetric".to_owned(), nearest: "floor".to_owned(), smooth: false, cubic: -0.75 },
        )
    }),
];

fn block(call: &Call) -> Result<i64, String> {
    call.int("blocksize")?.filter(|side| (1..1 << 16).contains(side)).ok_or_else(|| "has no blocksize".to_owned())
}

/// `[N, C, H / block, block, W / block, block]` of maps.
fn split_sides(b: &mut Builder, of: Tensor, block: i64) -> Result<Tensor, String> {
    if of.rank != 4 {
        return Err(format!("of a tensor of {} sides, and not of maps", of.rank));
    }
    let rows = b.emit(
        "aten.unflatten.int",
        vec![("self", tensor(of)), ("dim", int(3)), ("sizes", ints(&[-1, block]))],
        5,
        of.dtype,
    );
    Ok(b.emit(
        "aten.unflatten.int",
        vec![("self", tensor(rows)), ("dim", int(2)), ("sizes", ints(&[-1, block]))],
        6,
        of.dtype,
    ))
}

fn depth_to_space(b: &mut Builder, call: &Call) -> Made {
    let (of, block) = (taken(b, call, 0)?, block(call)?);
    match call.text_or("mode", "DCR")?.as_str() {
        "CRD" => {
            let inputs = vec![("self", tensor(of)), ("upscale_factor", int(block))];
            one(b.emit("aten.pixel_shuffle.default", inputs, of.rank, of.dtype))
        }
        "DCR" => {
            // [N, block, block, C, H, W] → [N, C, H, block, W, block].
            let sizes = ints(&[block, block, -1]);
            let parts = b.emit(
                "aten.unflatten.int",
                vec![("self", tensor(of)), ("dim", int(1)), ("sizes", sizes)],
                6,
                of.dtype,
            );
            let turned = b.emit(
                "aten.permute.default",
                vec![("self", tensor(parts)), ("dims", ints(&[0, 3, 4, 1, 5, 2]))],
                6,
                of.dtype,
            );
            let columns = b.emit(
                "aten.flatten.using_ints",
                vec![("self", tensor(turned)), ("start_dim", int(4)), ("end_dim", int(5))],
                5,
                of.dtype,
            );
            one(b.emit(
                "aten.flatten.using_ints",
                vec![("self", tensor(columns)), ("start_dim", int(2)), ("end_dim", int(3))],
                4,
                of.dtype,
            ))
        }
        other => Err(format!("with mode {other}, which is not known here")),
    }
}

fn pad(b: &mut Builder, call: &Call) -> Made {
    let of = taken(b, call, 0)?;
    let mode = match call.text_or("mode", "constant")?.as_str() {
        "constant" => "constant",
        "reflect" => "reflect",
        "edge" => "replicate",
        "wrap" => "circular",
        other => return Err(format!("with mode {other}, which is not known here")),
    };
    let (pads, value) = if call.version < 11 {
        let pads = call.ints("pads")?.ok_or("has no pads")?;
        (pads.into_iter().map(Scalar::Int).collect(), Scalar::Float(call.float_or("value", 0.0)?))
    } else {
        let value = match call.input(2) {
            None => Scalar::Float(0.0),
            Some(value) => b.single(value).ok_or("pads with a number that is computed")?,
        };
        (b.needed_numbers(call.needed(1)?, "paddings")?.items, value)
    };
    let along = axes(b, call, 3)?.unwrap_or_else(|| (0..of.rank as i64).collect());
    if pads.len() != 2 * along.len() {
        return Err(format!("has {} paddings of {} sides", pads.len(), along.len()));
    }
    let mut sides = vec![[Scalar::Int(0); 2]; of.rank];
    for (place, side) in along.iter().enumerate() {
        sides[axis(*side, of.rank)?] = [pads[place], pads[along.len() + place]];
    }
    // PyTorch takes the last sides, the very last first.
    let first = sides.iter().position(|pads| *pads != [Scalar::Int(0); 2]).unwrap_or(of.rank);
    let pads = sides[first..].iter().rev().flatten().copied().collect::<Vec<_>>();
    if pads.is_empty() {
        return one(of);
    }
    let mut inputs =
        vec![("self", tensor(of)), ("pad", Argument::Several(pads)), ("mode", Argument::Text(mode.to_owned()))];
    if mode == "constant" {
        inputs.push(("value", Argument::One(value)));
    }
    one(b.emit("aten.pad.default", inputs, of.rank, of.dtype))
}

/// How maps are interpolated.
struct How {
    mode: String,
    /// Where the places of the result lie among those of the maps (`coordinate_transformation_mode`).
    places: String,
    /// Which one is the nearest (`nearest_mode`).
    nearest: String,
    /// Whether small maps are made of all that lies between (`antialias`).
    smooth: bool,
    /// The coefficient of a cubic interpolation.
    cubic: f64,
}

/// What size is wanted, for each side of the tensor.
enum Wanted {
    Sizes(Vec<Scalar>),
    Factors(Vec<Scalar>),
}

fn resize(b: &mut Builder, call: &Call) -> Made {
    let of = taken(b, call, 0)?;
    call.idle("extrapolation_value"); // of a way that is not run
    // PyTorch leaves out what lies outside where it smooths, and nowhere else.
    call.only("exclude_outside", call.int_or("antialias", 0)?)?;
    let along = call.ints("axes")?;
    if call.text_or("keep_aspect_ratio_policy", "stretch")? != "stretch" {
        return Err("with keep_aspect_ratio_policy, which is not run".to_owned());
    }
    let how = How {
        mode: call.text_or("mode", "nearest")?,
        places: call
            .text_or("coordinate_transformation_mode", if call.version < 11 { "asymmetric" } else { "half_pixel" })?,
        nearest: call.text_or("nearest_mode", if call.version < 11 { "floor" } else { "round_prefer_floor" })?,
        smooth: call.flag("antialias", false)?,
        cubic: call.float_or("cubic_coeff_a", -0.75)?,
    };
    let numbers = |b: &Builder, place: usize, what: &str| match call.input(place) {
        None => Ok(None),
        Some(given) => {
            b.needed_numbers(given, what).map(|numbers: Numbers| Some(numbers.items).filter(|items| !items.is_empty()))
        }
    };
    let factors_at = if call.version < 11 { 1 } else { 2 };
    // The sizes, where they are given, and not the factors.
    let wanted = match (numbers(b, 3, "sizes")?, numbers(b, factors_at, "factors")?) {
        (Some(sizes), _) => Wanted::Sizes(sizes),
        (None, Some(factors)) => Wanted::Factors(factors),
        (None, None) => return Err("has neither sizes nor factors".to_owned()),
    };
    let whole_of = |b: &mut Builder, given: Vec<Scalar>, sizes: bool| -> Result<Vec<Scalar>, String> {
        let Some(along) = &along else { return Ok(given) };
        let mut all: Vec<Scalar> =
            (0..of.rank).map(|place| if sizes { b.side(of, place) } else { Scalar::Float(1.0) }).collect();
        for (side, given) in along.iter().zip(given) {
            all[axis(*side, of.rank)?] = given;
        }
        Ok(all)
    };
    let wanted = match wanted {
        Wanted::Sizes(sizes) => Wanted::Sizes(whole_of(b, sizes, true)?),
        Wanted::Factors(factors) => Wanted::Factors(whole_of(b, factors, false)?),
    };
    interpolated(b, of, wanted, &how)
}

fn interpolated(b: &mut Builder, of: Tensor, wanted: Wanted, how: &How) -> Made {
    let count = match &wanted {
        Wanted::Sizes(items) | Wanted::Factors(items) => items.len(),
    };
    if of.rank != 4 || count != 4 {
        return Err(format!("of a tensor of {} sides to {count}, and not of maps", of.rank));
    }
    let factors = match &wanted {
        Wanted::Factors(factors) => factors.iter().map(|factor| known_float(*factor)).collect::<Option<Vec<f64>>>(),
        Wanted::Sizes(_) => None,
    };
    if factors.as_ref().is_some_and(|factors| factors[..2] != [1.0, 1.0]) {
        return Err("of more than height and width, which is not run".to_owned());
    }
    let whole_factors = factors.as_ref().is_some_and(|factors| factors.iter().all(|factor| *factor == factor.trunc()));
    let (operator, corners) = match (how.mode.as_str(), how.places.as_str(), how.nearest.as_str()) {
        ("nearest", "asymmetric", "floor") => ("aten.upsample_nearest2d.vec", None),
        // Where every place is repeated as often, none lies half-way between two.
        (
            "nearest",
            "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric",
            "round_prefer_floor" | "round_prefer_ceil",
        ) if whole_factors => ("aten.upsample_nearest2d.vec", None),
        ("nearest", "half_pixel" | "pytorch_half_pixel", "round_prefer_ceil")
        | ("nearest", "tf_half_pixel_for_nn", "floor") => ("aten._upsample_nearest_exact2d.vec", None),
        ("nearest", places, nearest) => {
            return Err(format!("to the nearest, by {places} and {nearest}, which is not run"));
        }
        ("linear" | "bilinear", "align_corners", _) if !how.smooth => ("aten.upsample_bilinear2d.vec", Some(true)),
        // The symmetric form is another where a size is rounded.
        ("linear" | "bilinear", "half_pixel_symmetric", _) if !whole_factors => {
            return Err("linear, by half_pixel_symmetric of sides that are not multiples, which is not run".to_owned());
        }
        ("linear" | "bilinear", "half_pixel" | "pytorch_half_pixel" | "half_pixel_symmetric", _) => {
            (if how.smooth { "aten._upsample_bilinear2d_aa.vec" } else { "aten.upsample_bilinear2d.vec" }, Some(false))
        }
        // Smoothed, PyTorch has Pillow's coefficient.
        ("cubic", _, _) if (how.cubic - if how.smooth { -0.5 } else { -0.75 }).abs() > 1e-6 => {
            return Err(format!("cubic with a coefficient of {}, which PyTorch does not have", how.cubic));
        }
        ("cubic", "align_corners", _) if !how.smooth => ("aten.upsample_bicubic2d.vec", Some(true)),
        ("cubic", "half_pixel" | "pytorch_half_pixel", _) => {
            (if how.smooth { "aten._upsample_bicubic2d_aa.vec" } else { "aten.upsample_bicubic2d.vec" }, Some(false))
        }
        (mode, places, _) => return Err(format!("{mode}, by {places}, which is not run")),
    };
    let mut inputs = vec![("input", tensor(of))];
    match wanted {
        Wanted::Sizes(sizes) => inputs.push(("output_size", Argument::Several(sizes[2..].to_vec()))),
        Wanted::Factors(factors) => inputs.push(("scale_factors", Argument::Several(factors[2..].to_vec()))),
    }
    inputs.extend(corners.map(|corners| ("align_corners", flag(corners))));
    one(b.emit(operator, inputs, 4, of.dtype))
}
