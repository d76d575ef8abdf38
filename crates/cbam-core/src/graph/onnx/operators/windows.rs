//! Convolutions and pools.

use super::super::builder::{Builder, flag, float, int, ints, tensor};
use super::super::call::Call;
use super::super::known::{Tensor, int as known_int};
use super::super::numbers::whole;
use super::{Made, Table, maybe, one, taken};
use crate::graph::program::{Argument, Scalar};

pub(super) const TABLE: Table = &[
    ("AveragePool", average_pool),
    ("Conv", convolution),
    ("ConvTranspose", transposed),
    ("GlobalAveragePool", |b, call| {
        let of = taken(b, call, 0)?;
        if of.rank == 4 {
            let inputs = vec![("self", tensor(of)), ("output_size", ints(&[1, 1]))];
            return one(b.emit("aten.adaptive_avg_pool2d.default", inputs, 4, of.dtype));
        }
        over_places(b, of, "aten.mean.dim")
    }),
    ("GlobalMaxPool", |b, call| {
        let of = taken(b, call, 0)?;
        over_places(b, of, "aten.amax.default")
    }),
    ("MaxPool", max_pool),
];

/// One number of each channel.
fn over_places(b: &mut Builder, of: Tensor, operator: &str) -> Made {
    let places: Vec<i64> = (2..of.rank as i64).collect();
    one(b.emit(
        operator,
        vec![("self", tensor(of)), ("dim", ints(&places)), ("keepdim", flag(true))],
        of.rank,
        of.dtype,
    ))
}

/// What a window does at the border, before and behind each side.
enum Border {
    /// As much on both sides.
    Even(Vec<i64>),
    /// Before the sides, and behind them.
    Uneven(Vec<Scalar>, Vec<Scalar>),
}

/// A window that slides over the sides of maps.
struct Window {
    kernel: Vec<i64>,
    stride: Vec<i64>,
    dilation: Vec<i64>,
}

impl Window {
    /// By the attributes, where the kernel is that of the weights or the attribute.
    fn of(call: &Call, kernel: Vec<i64>) -> Result<Self, String> {
        let ones = vec![1; kernel.len()];
        let stride = call.ints("strides")?.unwrap_or_else(|| ones.clone());
        let dilation = call.ints("dilations")?.unwrap_or(ones);
        let positive = |of: &[i64]| of.len() == kernel.len() && of.iter().all(|number| (1..1 << 20).contains(number));
        if !positive(&kernel) || !positive(&stride) || !positive(&dilation) || !(1..=3).contains(&kernel.len()) {
            return Err(format!("has a window of {kernel:?}, strides {stride:?} and dilations {dilation:?}"));
        }
        Ok(Self { kernel, stride, dilation })
    }

    /// How far the window reaches over side `place`.
    fn reach(&self, place: usize) -> i64 {
        (self.kernel[place] - 1) * self.dilation[place] + 1
    }

    /// What a convolution takes that has this window.
    fn inputs(
        &self,
        call: &Call,
        [of, weight]: [Tensor; 2],
        bias: Option<Tensor>,
        padding: &[i64],
    ) -> Result<Vec<(&'static str, Argument)>, String> {
        Ok(vec![
            ("input", tensor(of)),
            ("weight", tensor(weight)),
            ("bias", bias.map_or(Argument::None, tensor)),
            ("stride", ints(&self.stride)),
            ("padding", ints(padding)),
            ("dilation", ints(&self.dilation)),
            ("groups", int(call.int_or("group", 1)?)),
        ])
    }

    /// What is added around the maps that it slides over.
    fn border(&self, b: &mut Builder, call: &Call, of: Tensor) -> Result<Border, String> {
        let (auto, pads) = (call.text_or("auto_pad", "NOTSET")?, call.ints("pads")?);
        let sides = self.kernel.len();
        if auto == "NOTSET" {
            let pads = pads.unwrap_or_else(|| vec![0; 2 * sides]);
            if pads.len() != 2 * sides || pads.iter().any(|pad| !(0..1 << 20).contains(pad)) {
                return Err(format!("has paddings {pads:?} over {sides} sides"));
            }
            return Ok(border_of(
                pads[..sides].iter().copied().map(Scalar::Int).collect(),
                pads[sides..].iter().copied().map(Scalar::Int).collect(),
            ));
        }
        let upper = match auto.as_str() {
            "VALID" => return Ok(Border::Even(vec![0; sides])),
            "SAME_UPPER" => true,
            "SAME_LOWER" => false,
            other => return Err(format!("with auto_pad {other}, which is not known here")),
        };
        let (mut before, mut behind) = (Vec::new(), Vec::new());
        for place in 0..sides {
            let (stride, reach) = (self.stride[place], self.reach(place));
            // As many places as there are strides in the side, the last of them begun.
            let total = if stride == 1 {
                Scalar::Int(reach - 1)
            } else {
                let side = b.side(of, place + 2);
                let begun = whole(b, "Add", side, Scalar::Int(stride - 1))?;
                let count = whole(b, "Div", begun, Scalar::Int(stride))?;
                let last = whole(b, "Mul", count, Scalar::Int(stride))?;
                let end = whole(b, "Add", last, Scalar::Int(reach - stride))?;
                let missing = whole(b, "Sub", end, side)?;
                whole(b, "Max", missing, Scalar::Int(0))?
            };
            let less = whole(b, "Div", total, Scalar::Int(2))?;
            let more = whole(b, "Sub", total, less)?;
            before.push(if upper { less } else { more });
            behind.push(if upper { more } else { less });
        }
        Ok(border_of(before, behind))
    }
}

fn border_of(before: Vec<Scalar>, behind: Vec<Scalar>) -> Border {
    let known = |of: &[Scalar]| of.iter().map(|number| known_int(*number)).collect::<Option<Vec<i64>>>();
    match (known(&before), known(&behind)) {
        (Some(even), Some(other)) if even == other => Border::Even(even),
        _ => Border::Uneven(before, behind),
    }
}

/// Paddings before and behind the last sides, as PyTorch takes them: the last side first.
fn pads(before: &[Scalar], behind: &[Scalar]) -> Argument {
    let pairs = before.iter().zip(behind).rev();
    Argument::Several(pairs.flat_map(|(before, behind)| [*before, *behind]).collect())
}

/// Maps with a border of one number.
fn bordered(b: &mut Builder, of: Tensor, before: &[Scalar], behind: &[Scalar], value: f64) -> Tensor {
    let inputs = vec![("self", tensor(of)), ("pad", pads(before, behind)), ("value", float(value))];
    b.emit("aten.constant_pad_nd.default", inputs, of.rank, of.dtype)
}

/// The sides of a convolution's kernel: its attribute, or those of its weights.
fn kernel(b: &Builder, call: &Call, weight: Tensor) -> Result<Vec<i64>, String> {
    if let Some(kernel) = call.ints("kernel_shape")? {
        return Ok(kernel);
    }
    match weight.stored {
        Some(stored) => Ok(b.graph.weights[stored].tensor.shape().get(2..).unwrap_or_default().to_vec()),
        None => Err("has weights that are computed, and no kernel_shape".to_owned()),
    }
}

fn convolution(b: &mut Builder, call: &Call) -> Made {
    let (of, weight, bias) = (taken(b, call, 0)?, taken(b, call, 1)?, maybe(b, call, 2)?);
    let window = Window::of(call, kernel(b, call, weight)?)?;
    let operator = match (window.kernel.len(), of.rank) {
        (1, 3) => "aten.conv1d.default",
        (2, 4) => "aten.conv2d.default",
        (3, 5) => "aten.conv3d.default",
        (sides, rank) => return Err(format!("a window over {sides} sides of a tensor of {rank}")),
    };
    let (of, padding) = match window.border(b, call, of)? {
        Border::Even(padding) => (of, padding),
        Border::Uneven(before, behind) => (bordered(b, of, &before, &behind, 0.0), vec![0; window.kernel.len()]),
    };
    one(b.emit(operator, window.inputs(call, [of, weight], bias, &padding)?, of.rank, of.dtype))
}

fn transposed(b: &mut Builder, call: &Call) -> Made {
    let (of, weight, bias) = (taken(b, call, 0)?, taken(b, call, 1)?, maybe(b, call, 2)?);
    let window = Window::of(call, kernel(b, call, weight)?)?;
    let sides = window.kernel.len();
    let more = call.ints("output_padding")?.unwrap_or_else(|| vec![0; sides]);
    if more.len() != sides || of.rank != sides + 2 {
        return Err(format!("a window over {sides} sides, output_padding {more:?}, of a tensor of {}", of.rank));
    }
    let (auto, pads, wanted) = (call.text_or("auto_pad", "NOTSET")?, call.ints("pads")?, call.ints("output_shape")?);
    let (mut before, mut behind) = (Vec::new(), Vec::new());
    for (place, more) in more.iter().enumerate() {
        let (stride, reach) = (window.stride[place], window.reach(place));
        // How much longer the whole of it is than what is wanted.
        let total = match (&wanted, auto.as_str()) {
            (Some(wanted), _) => {
                let side = b.side(of, place + 2);
                let last = whole(b, "Sub", side, Scalar::Int(1))?;
                let start = whole(b, "Mul", last, Scalar::Int(stride))?;
                let end = whole(b, "Add", start, Scalar::Int(reach + more))?;
                let wanted =
                    wanted.get(wanted.len().saturating_sub(sides) + place).ok_or("has too short an output_shape")?;
                whole(b, "Sub", end, Scalar::Int(*wanted))?
            }
            (None, "SAME_UPPER" | "SAME_LOWER") => Scalar::Int((reach + more - stride).max(0)),
            (None, "NOTSET" | "VALID") => {
                let pads = pads.clone().unwrap_or_else(|| vec![0; 2 * sides]);
                let [first, second] = [pads.get(place), pads.get(sides + place)].map(Option::<&i64>::copied);
                before.push(Scalar::Int(first.ok_or("has too few pads")?));
                behind.push(Scalar::Int(second.ok_or("has too few pads")?));
                continue;
            }
            (None, other) => return Err(format!("with auto_pad {other}, which is not known here")),
        };
        let less = whole(b, "Div", total, Scalar::Int(2))?;
        let rest = whole(b, "Sub", total, less)?;
        let upper = auto == "SAME_UPPER";
        before.push(if upper { less } else { rest });
        behind.push(if upper { rest } else { less });
    }
    let border = border_of(before, behind);
    let padding = if let Border::Even(padding) = &border { padding.clone() } else { vec![0; sides] };
    let mut inputs = window.inputs(call, [of, weight], bias, &padding)?;
    inputs.extend([("transposed", flag(true)), ("output_padding", ints(&more))]);
    let made = b.emit("aten.convolution.default", inputs, of.rank, of.dtype);
    let Border::Uneven(before, behind) = border else { return one(made) };
    // What is too much is cut off: a negative border.
    let mut cut = |of: Vec<Scalar>| {
        of.into_iter().map(|number| whole(b, "Sub", Scalar::Int(0), number)).collect::<Result<Vec<_>, _>>()
    };
    let (before, behind) = (cut(before)?, cut(behind)?);
    one(bordered(b, made, &before, &behind, 0.0))
}

/// A pool's window, and its operator by the number of sides.
fn pool(call: &Call, of: Tensor, operators: [&'static str; 3]) -> Result<(Window, &'static str), String> {
    let window = Window::of(call, call.ints("kernel_shape")?.ok_or("has no kernel_shape")?)?;
    let sides = window.kernel.len();
    if of.rank != sides + 2 {
        return Err(format!("a window over {sides} sides of a tensor of {}", of.rank));
    }
    Ok((window, operators[sides - 1]))
}

fn max_pool(b: &mut Builder, call: &Call) -> Made {
    call.idle("storage_order");
    let (of, ceil) = (taken(b, call, 0)?, call.flag("ceil_mode", false)?);
    let (window, operator) = pool(call, of, ["aten.max_pool1d.default", "aten.max_pool2d.default", ""])?;
    if call.outputs > 1 || operator.is_empty() {
        return Err("gives out places too, or is over three sides, which is not run".to_owned());
    }
    let (of, padding) = match window.border(b, call, of)? {
        // PyTorch pads by half the window at most.
        Border::Even(padding) if padding.iter().zip(&window.kernel).all(|(pad, side)| 2 * pad <= *side) => {
            (of, padding)
        }
        border => {
            let (before, behind) = uneven(border, ceil)?;
            (bordered(b, of, &before, &behind, f64::NEG_INFINITY), vec![0; window.kernel.len()])
        }
    };
    let inputs = vec![
        ("self", tensor(of)),
        ("kernel_size", ints(&window.kernel)),
        ("stride", ints(&window.stride)),
        ("padding", ints(&padding)),
        ("dilation", ints(&window.dilation)),
        ("ceil_mode", flag(ceil)),
    ];
    one(b.emit(operator, inputs, of.rank, of.dtype))
}

/// A border that is laid around the maps before a pool, whose last window must not begin in it.
fn uneven(border: Border, ceil: bool) -> Result<(Vec<Scalar>, Vec<Scalar>), String> {
    if ceil {
        return Err("with ceil_mode and a border that is not even, which is not run".to_owned());
    }
    Ok(match border {
        Border::Even(padding) => {
            let padding: Vec<Scalar> = padding.into_iter().map(Scalar::Int).collect();
            (padding.clone(), padding)
        }
        Border::Uneven(before, behind) => (before, behind),
    })
}

fn average_pool(b: &mut Builder, call: &Call) -> Made {
    let (of, ceil, all) = (taken(b, call, 0)?, call.flag("ceil_mode", false)?, call.flag("count_include_pad", false)?);
    let operators = ["aten.avg_pool1d.default", "aten.avg_pool2d.default", "aten.avg_pool3d.default"];
    let (window, operator) = pool(call, of, operators)?;
    if window.dilation.iter().any(|dilation| *dilation != 1) {
        return Err("with dilations, which is not run".to_owned());
    }
    let pooled = |b: &mut Builder, of: Tensor, padding: &[i64], more: Vec<(&str, Argument)>| {
        let mut inputs = vec![
            ("self", tensor(of)),
            ("kernel_size", ints(&window.kernel)),
            ("stride", ints(&window.stride)),
            ("padding", ints(padding)),
            ("ceil_mode", flag(ceil)),
        ];
        inputs.extend(more);
        b.emit(operator, inputs, of.rank, of.dtype)
    };
    let border = window.border(b, call, of)?;
    if let Border::Even(padding) = &border
        && padding.iter().zip(&window.kernel).all(|(pad, side)| 2 * pad <= *side)
    {
        return one(pooled(b, of, padding, vec![("count_include_pad", flag(all))]));
    }
    let (before, behind) = uneven(border, ceil)?;
    let none = vec![0; window.kernel.len()];
    let whole = bordered(b, of, &before, &behind, 0.0);
    let mean = pooled(b, whole, &none, Vec::new());
    if all {
        return one(mean);
    }
    // The mean of what is no border: divided by the share of that.
    let ones = b.emit("aten.ones_like.default", vec![("self", tensor(of))], of.rank, of.dtype);
    let ones = bordered(b, ones, &before, &behind, 0.0);
    let share = pooled(b, ones, &none, Vec::new());
    one(b.emit("aten.div.Tensor", vec![("self", tensor(mean)), ("other", tensor(share))], of.rank, of.dtype))
}
