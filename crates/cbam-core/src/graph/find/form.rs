//! How the positions of a picture lie in the values of a graph.

use super::super::program::{Node, Value};
use super::Find;
use super::layout::Layout;

/// How positions lie in a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// `[N, C, H, W]`.
    Nchw,
    /// `[N, H, W, C]`.
    Nhwc,
    /// `[N, C, T]`, a position each of `rows × columns`, some before and some behind them that are none.
    Ncl(Line),
    /// `[N, T, C]`, likewise.
    Nlc(Line),
    /// `[T, N, C]`, likewise.
    Lnc(Line),
    /// Maps whose sides are in another order: which of N, C, H, W each is.
    Turned([usize; 4]),
    /// What queries make of keys, or of values: `[N, heads, T, …]`. It looks like maps, and is none.
    Attended,
}

/// Positions in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) grid: [i64; 2],
    /// How many tokens before the positions are none: a class token, registers.
    pub(super) before: i64,
    /// How many behind them.
    pub(super) after: i64,
}

impl Line {
    pub(super) fn len(&self) -> i64 {
        self.before + self.grid[0] * self.grid[1] + self.after
    }
}

/// Operations on maps `[N, C, H, W]` alone.
const OF_MAPS: [&str; 18] = [
    "conv2d",
    "convolution",
    "conv_transpose2d",
    "max_pool2d",
    "max_pool2d_with_indices",
    "avg_pool2d",
    "adaptive_avg_pool2d",
    "_adaptive_avg_pool2d",
    "adaptive_max_pool2d",
    "upsample_bilinear2d",
    "upsample_bicubic2d",
    "upsample_nearest2d",
    "_upsample_bilinear2d_aa",
    "_upsample_bicubic2d_aa",
    "pixel_shuffle",
    "pixel_unshuffle",
    "channel_shuffle",
    "instance_norm",
];

/// Operations that put positions elsewhere, by rules that are not followed here.
pub(super) const MOVES: [&str; 12] = [
    "roll",
    "flip",
    "rot90",
    "gather",
    "index",
    "_unsafe_index",
    "index_select",
    "take_along_dim",
    "sort",
    "argsort",
    "msort",
    "topk",
];

/// Operations that write a part of the first tensor that they take.
const INTO: [&str; 11] = [
    "scatter",
    "scatter_add",
    "scatter_reduce",
    "masked_scatter",
    "index_put",
    "index_add",
    "index_copy",
    "index_fill",
    "slice_scatter",
    "select_scatter",
    "diagonal_scatter",
];

impl Find<'_> {
    /// Finds out how positions lie in every value, in the order of the graph.
    pub(super) fn tell_forms(&mut self) {
        for input in &self.graph.inputs {
            if self.four(input.value).is_some() {
                self.forms[input.value.index()] = Some(Form::Nchw);
            }
        }
        for node in &self.graph.nodes {
            for value in node.makes() {
                let (mut form, mut layout) = (self.form_of(node, value), None);
                if form.is_none() {
                    layout = self.layout_of(node, value);
                    form = layout.as_ref().and_then(Layout::form);
                }
                (self.forms[value.index()], self.layouts[value.index()]) = (form, layout);
            }
        }
    }

    pub(super) fn form(&self, value: Value) -> Option<Form> {
        self.forms[value.index()]
    }

    fn form_of(&self, node: &Node, value: Value) -> Option<Form> {
        let shape = self.shape(value)?;
        let name = node.bare();
        if shape.len() == 4 && OF_MAPS.contains(&name) {
            let of = node.takes().next().and_then(|of| self.form(of));
            return of.filter(|form| matches!(form, Form::Turned(_) | Form::Attended)).or(Some(Form::Nchw));
        }
        if shape.len() == 4 && self.attends(node) {
            return Some(Form::Attended);
        }
        if matches!(name, "cat" | "concat") {
            return self.joined(node);
        }
        // Whatever keeps the shape keeps the positions; the larger of two is the one that the other is spread over.
        let like = |of: &Value| self.form(*of).is_some() && self.shape(*of) == Some(shape);
        let is_plain = |of: &Value| !matches!(self.form(*of), Some(Form::Turned(_) | Form::Attended));
        let kept = node.takes().find(|of| like(of) && is_plain(of)).or_else(|| node.takes().find(like));
        let reorders =
            matches!(name, "permute" | "transpose" | "movedim" | "swapaxes" | "swapdims" | "view" | "reshape" | "t");
        if self.moves(node) {
            return None;
        }
        if INTO.contains(&name) {
            return node.takes().next().filter(|of| self.shape(*of) == Some(shape)).and_then(|of| self.form(of));
        }
        if let Some(of) = kept.filter(|_| !reorders) {
            return self.form(of);
        }
        let of = node.takes().next()?;
        let (form, from) = (self.form(of)?, self.shape(of)?);
        match name {
            "permute" | "transpose" | "swapaxes" | "swapdims" => order(form, &new_order(node, from.len())?),
            "view" | "reshape" | "flatten" | "unflatten" | "_unsafe_view" => reshaped(form, from, shape),
            "slice" => sliced(node, form, from),
            // Matrices, norms and convolutions over what stands at each position.
            "linear" | "matmul" | "addmm" | "layer_norm" | "rms_norm" => {
                let places = shape.len() == from.len() && shape[..shape.len() - 1] == from[..from.len() - 1];
                (places && matches!(form, Form::Nhwc | Form::Nlc(_) | Form::Lnc(_))).then_some(form)
            }
            "conv1d" => matches!(form, Form::Ncl(line) if shape.get(2) == Some(&line.len())).then_some(form),
            "pad" | "constant_pad_nd" | "batch_norm" | "group_norm" if shape.len() == 4 => Some(form),
            _ if shape.len() == 4 && form == Form::Nchw && shape[0] == from[0] && shape[2..] == from[2..] => Some(form),
            _ => None,
        }
    }

    /// Whether an operation is of queries and keys, or weighs values: a product of two that both are made.
    fn attends(&self, node: &Node) -> bool {
        match node.bare() {
            "scaled_dot_product_attention" | "_scaled_dot_product_flash_attention_for_cpu" => true,
            "matmul" | "einsum" => {
                let made = |of| self.maker(self.carried_from(of)).is_some();
                node.takes().all(made) && node.takes().count() > 1
            }
            _ => false,
        }
    }

    /// Whether an operation puts positions elsewhere, by rules that are not followed here.
    fn moves(&self, node: &Node) -> bool {
        let name = node.bare();
        let dims = node.ints("dims").or_else(|| node.ints("dim")).unwrap_or_default();
        let form = node.takes().next().and_then(|of| self.form(of));
        let of_channels = |dim: &i64| match form {
            Some(Form::Nchw) => [0, 1, -3, -4].contains(dim),
            Some(Form::Nhwc) => [0, 3, -1, -4].contains(dim),
            Some(Form::Ncl(_)) => [0, 1, -2, -3].contains(dim),
            Some(Form::Nlc(_)) => [0, 2, -1, -3].contains(dim),
            Some(Form::Lnc(_)) => [1, 2, -1, -2].contains(dim),
            Some(Form::Turned(_) | Form::Attended) | None => false,
        };
        MOVES.contains(&name) && (dims.is_empty() || !dims.iter().all(of_channels))
    }

    /// Of several values that are joined: in their channels, or in a line with tokens that are no positions.
    fn joined(&self, node: &Node) -> Option<Form> {
        let parts: Vec<Value> = node.takes().collect();
        let place = parts.iter().position(|part| self.form(*part).is_some())?;
        let form = self.form(parts[place])?;
        let rank = self.shape(parts[place])?.len() as i64;
        let dim = node.ints("dim").and_then(|dim| dim.first().copied()).unwrap_or(0);
        let dim = if dim < 0 { dim + rank } else { dim };
        let length = |part: &Value| self.shape(*part).and_then(|shape| shape.get(dim as usize)).copied().unwrap_or(0);
        match (form, dim) {
            (Form::Nchw | Form::Ncl(_) | Form::Attended, 1) | (Form::Nhwc, 3) | (Form::Nlc(_) | Form::Lnc(_), 2) => {
                Some(form)
            }
            (Form::Nlc(line) | Form::Lnc(line), dim) if dim == tokens_of(form) => Some(with_line(
                form,
                Line {
                    before: line.before + parts[..place].iter().map(length).sum::<i64>(),
                    after: line.after + parts[place + 1..].iter().map(length).sum::<i64>(),
                    ..line
                },
            )),
            _ => None,
        }
    }
}

/// Which side each side of the result is, of an operation that puts sides in another order.
pub(super) fn new_order(node: &Node, rank: usize) -> Option<Vec<i64>> {
    if node.bare() == "permute" {
        return node.ints("dims");
    }
    let place = |name: &str| {
        let dim = node.number(name)? as i64;
        usize::try_from(if dim < 0 { dim + rank as i64 } else { dim }).ok()
    };
    let (a, b) = (place("dim0").or_else(|| place("axis0"))?, place("dim1").or_else(|| place("axis1"))?);
    let mut dims: Vec<i64> = (0..rank as i64).collect();
    (a.max(b) < rank).then(|| dims.swap(a, b))?;
    Some(dims)
}

/// A part of a value: of its channels, a line without what is no position, or every second row, say.
fn sliced(node: &Node, form: Form, from: &[i64]) -> Option<Form> {
    let dim = node.number("dim").unwrap_or(0.0) as i64;
    let dim = if dim < 0 { dim + from.len() as i64 } else { dim };
    let whole = |dim: i64| {
        matches!(
            (form, dim),
            (Form::Nchw | Form::Ncl(_), 0 | 1) | (Form::Nhwc, 0 | 3) | (Form::Nlc(_), 0 | 2) | (Form::Lnc(_), 1 | 2)
        )
    };
    if whole(dim) {
        return Some(form);
    }
    let length = *from.get(usize::try_from(dim).ok()?)?;
    let bound = |name: &str, default: i64| match node.number(name) {
        Some(bound) if bound < 0.0 => length + bound as i64,
        Some(bound) => (bound.min(length as f64)) as i64,
        None => default,
    };
    let (start, end, step) = (bound("start", 0), bound("end", length), node.number("step").unwrap_or(1.0) as i64);
    if matches!(form, Form::Nchw | Form::Nhwc) && step > 1 && (0..step).contains(&start) && end == length {
        return Some(form);
    }
    let (Form::Nlc(line) | Form::Lnc(line)) = form else { return None };
    if dim != tokens_of(form) || step != 1 {
        return None;
    }
    let (first, last) = (line.before, line.before + line.grid[0] * line.grid[1]);
    (start <= first && end >= last)
        .then(|| with_line(form, Line { before: first - start, after: line.after - (length - end), ..line }))
}

/// The side of a line's tokens.
pub(super) fn tokens_of(form: Form) -> i64 {
    match form {
        Form::Lnc(_) => 0,
        Form::Ncl(_) => 2,
        _ => 1,
    }
}

/// The same order of sides, with another line.
fn with_line(form: Form, line: Line) -> Form {
    if matches!(form, Form::Lnc(_)) { Form::Lnc(line) } else { Form::Nlc(line) }
}

/// The form after a change of the order of sides.
fn order(form: Form, dims: &[i64]) -> Option<Form> {
    let rank = dims.len() as i64;
    let dims: Vec<i64> = dims.iter().map(|dim| if *dim < 0 { dim + rank } else { *dim }).collect();
    match (form, &dims[..]) {
        (form, [0, 1, 2, 3] | [0, 1, 2]) => Some(form),
        (Form::Ncl(line), [0, 2, 1]) | (Form::Lnc(line), [1, 0, 2]) => Some(Form::Nlc(line)),
        (Form::Nlc(line), [0, 2, 1]) | (Form::Lnc(line), [1, 2, 0]) => Some(Form::Ncl(line)),
        (Form::Nlc(line), [1, 0, 2]) | (Form::Ncl(line), [2, 0, 1]) => Some(Form::Lnc(line)),
        (form, &[a, b, c, d]) => {
            let sides = match form {
                Form::Nchw => [0, 1, 2, 3],
                Form::Nhwc => [0, 2, 3, 1],
                Form::Turned(sides) => sides,
                _ => return None,
            };
            let side = |dim: i64| sides.get(usize::try_from(dim).ok()?).copied();
            Some(match [side(a)?, side(b)?, side(c)?, side(d)?] {
                [0, 1, 2, 3] => Form::Nchw,
                [0, 2, 3, 1] => Form::Nhwc,
                turned => Form::Turned(turned),
            })
        }
        _ => None,
    }
}

/// The form after a change of the sides.
fn reshaped(form: Form, from: &[i64], to: &[i64]) -> Option<Form> {
    let line = |rows: i64, columns: i64| Line { grid: [rows, columns], before: 0, after: 0 };
    match (form, from, to) {
        (form, from, to) if from == to => Some(form),
        (Form::Nchw, [n, c, h, w], [n2, c2, t]) if (n, c, h * w) == (n2, c2, *t) => Some(Form::Ncl(line(*h, *w))),
        (Form::Nhwc, [n, h, w, c], [n2, t, c2]) if (n, c, h * w) == (n2, c2, *t) => Some(Form::Nlc(line(*h, *w))),
        (Form::Ncl(old), [n, c, t], [n2, c2, h, w]) if (n, c, *t) == (n2, c2, h * w) && old.before + old.after == 0 => {
            Some(Form::Nchw)
        }
        (Form::Nlc(old), [n, t, c], [n2, h, w, c2]) if (n, c, *t) == (n2, c2, h * w) && old.before + old.after == 0 => {
            Some(Form::Nhwc)
        }
        _ => None,
    }
}
