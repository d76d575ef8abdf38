//! Where positions lie in values of any number of sides, through views and changes of the order of sides: as each side of `[N, C, H, W]` is
//! cut into digits, as a number is, that stand in one side or another. What cuts a picture into patches, windows or blocks, and what
//! puts them together again, is told by it.

use super::super::program::{Node, Value};
use super::Find;
use super::form::{Form, Line, MOVES, new_order};

/// Of more sides no network is.
const MAX_SIDES: usize = 8;
/// Views that keep the order of the numbers.
const VIEWS: [&str; 7] = ["view", "reshape", "flatten", "unflatten", "_unsafe_view", "squeeze", "unsqueeze"];
/// Products, whose result stands at other places than what it is made of.
const PRODUCTS: [&str; 8] = ["matmul", "bmm", "mm", "einsum", "baddbmm", "conv1d", "conv2d", "convolution"];

/// The digits that stand in each side of a value, the slowest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layout {
    sides: Vec<Vec<Digit>>,
    /// How many pictures, rows and columns there are in all.
    whole: [i64; 3],
}

/// A digit of the number of a picture, a channel, a row or a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digit {
    of: Of,
    /// How many values it takes; more than one.
    size: i64,
    /// What a step of it counts.
    stride: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Picture,
    Channel,
    Row,
    Column,
}

impl Layout {
    fn new(form: Form, shape: &[i64]) -> Option<Self> {
        const MAPS: [Of; 4] = [Of::Picture, Of::Channel, Of::Row, Of::Column];
        let maps = |order: [usize; 4]| -> Option<(Vec<Vec<Of>>, [i64; 2])> {
            let length = |of| shape.get(order.iter().position(|side| *side == of)?).copied();
            Some((order.map(|side| vec![MAPS[side]]).to_vec(), [length(2)?, length(3)?]))
        };
        let (n, c, t) = (vec![Of::Picture], vec![Of::Channel], vec![Of::Row, Of::Column]);
        let patches_alone = |line: Line| (line.before + line.after == 0).then_some(line.grid);
        let (sides, grid) = match form {
            Form::Nchw => maps([0, 1, 2, 3])?,
            Form::Nhwc => maps([0, 2, 3, 1])?,
            Form::Turned(order) => maps(order)?,
            Form::Ncl(line) => (vec![n, c, t], patches_alone(line)?),
            Form::Nlc(line) => (vec![n, t, c], patches_alone(line)?),
            Form::Lnc(line) => (vec![t, n, c], patches_alone(line)?),
            Form::Attended => return None,
        };
        let mut pictures = 1;
        let digits = |(of, length): (&Vec<Of>, &i64)| {
            let digit = |of: &Of| {
                let size = match of {
                    Of::Row => grid[0],
                    Of::Column => grid[1],
                    Of::Picture | Of::Channel => *length,
                };
                if *of == Of::Picture {
                    pictures = size;
                }
                (size > 1).then_some(Digit { of: *of, size, stride: 1 })
            };
            of.iter().filter_map(digit).collect()
        };
        let sides = sides.iter().zip(shape).map(digits).collect();
        Some(Self { sides, whole: [pictures, grid[0], grid[1]] })
    }

    /// The same numbers in the same order, with other sides; nothing if a digit would be cut where it cannot be, or of more sides than
    /// networks use.
    fn viewed(&self, to: &[i64]) -> Option<Self> {
        if to.len() > MAX_SIDES {
            return None;
        }
        let mut digits = self.sides.iter().flatten().copied().collect::<std::collections::VecDeque<_>>();
        let mut sides = Vec::with_capacity(to.len());
        for length in to {
            let (mut side, mut left) = (Vec::new(), *length);
            while left > 1 {
                let digit = digits.pop_front()?;
                if left % digit.size == 0 {
                    left /= digit.size;
                    side.push(digit);
                } else if digit.size % left == 0 {
                    let rest = digit.size / left;
                    side.push(Digit { size: left, stride: digit.stride * rest, ..digit });
                    digits.push_front(Digit { size: rest, ..digit });
                    left = 1;
                } else {
                    return None;
                }
            }
            sides.push(side);
        }
        digits.is_empty().then_some(Self { sides, whole: self.whole })
    }

    fn ordered(&self, dims: &[i64]) -> Option<Self> {
        let rank = self.sides.len() as i64;
        let side = |dim: &i64| self.sides.get(usize::try_from(if *dim < 0 { dim + rank } else { *dim }).ok()?).cloned();
        let sides = dims.iter().map(side).collect::<Option<Vec<_>>>()?;
        (sides.len() == self.sides.len()).then_some(Self { sides, whole: self.whole })
    }

    /// After an operation that makes new numbers of all in the last side.
    fn mixed(&self, length: i64) -> Option<Self> {
        let mut sides = self.sides.clone();
        *sides.last_mut()? = Vec::from_iter((length > 1).then_some(Digit { of: Of::Channel, size: length, stride: 1 }));
        Some(Self { sides, whole: self.whole })
    }

    /// The form that it is: the pictures by themselves, and whole rows and columns, or the slowest digits of them, in their order.
    pub(super) fn form(&self) -> Option<Form> {
        let is_pictures = |side: &[Digit]| match side {
            [] => self.whole[0] == 1,
            [digit] => digit.of == Of::Picture && digit.size == self.whole[0],
            _ => false,
        };
        let line = |side: &[Digit]| {
            let columns = side.iter().position(|digit| digit.of == Of::Column).unwrap_or(side.len());
            let grid = [self.slowest(&side[..columns], Of::Row)?, self.slowest(&side[columns..], Of::Column)?];
            Some(Line { grid, before: 0, after: 0 })
        };
        let is_maps =
            |h: &[Digit], w: &[Digit]| self.slowest(h, Of::Row).is_some() && self.slowest(w, Of::Column).is_some();
        match &self.sides[..] {
            [n, a, b, c] if is_pictures(n) && is_maps(a, b) && is_channels(c) => Some(Form::Nhwc),
            [n, a, b, c] if is_pictures(n) && is_channels(a) && is_maps(b, c) => Some(Form::Nchw),
            [n, t, c] if is_pictures(n) && is_channels(c) && line(t).is_some() => line(t).map(Form::Nlc),
            [n, c, t] if is_pictures(n) && is_channels(c) && line(t).is_some() => line(t).map(Form::Ncl),
            [t, n, c] if is_pictures(n) && is_channels(c) && line(t).is_some() => line(t).map(Form::Lnc),
            _ => None,
        }
    }

    /// How many rows, or columns, the digits of a side count: if they are the slowest of them without a gap.
    fn slowest(&self, side: &[Digit], of: Of) -> Option<i64> {
        let mut left = if of == Of::Row { self.whole[1] } else { self.whole[2] };
        if side.is_empty() {
            return (left == 1).then_some(1);
        }
        for digit in side {
            if digit.of != of || digit.stride * digit.size != left {
                return None;
            }
            left = digit.stride;
        }
        Some(side.iter().map(|digit| digit.size).product())
    }
}

/// Whether a side is of channels; what is within a patch counts as such, and there is some channel in it.
fn is_channels(side: &[Digit]) -> bool {
    side.iter().any(|digit| digit.of == Of::Channel)
}

impl Find<'_> {
    /// The layout of what a node makes, where its form does not tell.
    pub(super) fn layout_of(&self, node: &Node, value: Value) -> Option<Layout> {
        let (shape, name) = (self.shape(value)?, node.bare());
        let of = node.takes().next()?;
        let from = || self.layouts[of.index()].clone().or_else(|| Layout::new(self.form(of)?, self.shape(of)?));
        let mixed = |of: Value| {
            let layout = self.layouts[of.index()].as_ref()?;
            let (last, places) = shape.split_last()?;
            (self.shape(of)?.split_last()?.1 == places).then(|| layout.mixed(*last))?
        };
        match name {
            _ if VIEWS.contains(&name) => from()?.viewed(shape),
            "permute" | "transpose" | "swapaxes" | "swapdims" => from()?.ordered(&new_order(node, shape.len())?),
            "linear" | "layer_norm" | "rms_norm" => mixed(of),
            "matmul" if node.takes().nth(1).is_some_and(|by| self.maker(self.carried_from(by)).is_none()) => mixed(of),
            _ if MOVES.contains(&name) || PRODUCTS.contains(&name) || matches!(name, "cat" | "concat") => None,
            // Whatever keeps the shape keeps the positions.
            _ => {
                node.takes().filter(|of| self.shape(*of) == Some(shape)).find_map(|of| self.layouts[of.index()].clone())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(form: Form, shape: &[i64]) -> Layout {
        Layout::new(form, shape).unwrap()
    }

    fn line(rows: i64, columns: i64) -> Line {
        Line { grid: [rows, columns], before: 0, after: 0 }
    }

    #[test]
    fn patches_cut_by_views_are_tokens_row_by_row() {
        // b c (h p) (w q) -> b (h w) (p q c)
        let cut = of(Form::Nchw, &[2, 3, 32, 48]).viewed(&[2, 3, 4, 8, 6, 8]).unwrap();
        let patches = |dims: &[i64]| cut.ordered(dims).unwrap().viewed(&[2, 24, 192]).unwrap();
        assert_eq!(patches(&[0, 2, 4, 3, 5, 1]).form(), Some(Form::Nlc(line(4, 6))));
        assert_eq!(patches(&[0, 2, 4, 3, 5, 1]).mixed(7).unwrap().form(), Some(Form::Nlc(line(4, 6))));
        // Column by column, and pixels for patches.
        assert_eq!(cut.ordered(&[0, 4, 2, 3, 5, 1]).unwrap().viewed(&[2, 24, 192]).unwrap().form(), None);
        assert_eq!(cut.ordered(&[0, 3, 5, 2, 4, 1]).unwrap().viewed(&[2, 64, 72]).unwrap().form(), None);
    }

    #[test]
    fn windows_are_no_maps_until_they_are_put_back() {
        let maps = of(Form::Nhwc, &[2, 8, 12, 5]);
        let cut = maps.viewed(&[2, 2, 4, 3, 4, 5]).unwrap().ordered(&[0, 1, 3, 2, 4, 5]).unwrap();
        let windows = cut.viewed(&[12, 16, 5]).unwrap().mixed(10).unwrap();
        assert_eq!(windows.form(), None);
        let back = windows.viewed(&[2, 2, 3, 4, 4, 10]).unwrap().ordered(&[0, 1, 3, 2, 4, 5]).unwrap();
        assert_eq!(back.viewed(&[2, 8, 12, 10]).unwrap().form(), Some(Form::Nhwc));
        // Put together in another order they are none.
        assert!(windows.viewed(&[2, 8, 12, 10]).is_none());
    }

    #[test]
    fn merged_patches_are_coarser_maps() {
        let maps = of(Form::Nhwc, &[1, 8, 12, 5]);
        let cut = maps.viewed(&[1, 4, 2, 6, 2, 5]).unwrap();
        let merged = cut.ordered(&[0, 1, 3, 4, 2, 5]).unwrap().viewed(&[1, 4, 6, 20]).unwrap();
        assert_eq!(merged.form(), Some(Form::Nhwc));
        // Every fourth row with every sixth column among the channels is no coarser map.
        let strided = maps.viewed(&[1, 2, 4, 2, 6, 5]).unwrap().ordered(&[0, 2, 4, 1, 3, 5]).unwrap();
        assert_eq!(strided.viewed(&[1, 4, 6, 20]).unwrap().form(), None);
    }

    #[test]
    fn groups_among_the_pictures_are_no_maps_and_shuffled_channels_are() {
        let maps = of(Form::Nchw, &[2, 8, 6, 4]);
        assert_eq!(maps.viewed(&[4, 4, 6, 4]).unwrap().form(), None);
        let shuffled = maps.viewed(&[2, 2, 4, 6, 4]).unwrap().ordered(&[0, 2, 1, 3, 4]).unwrap();
        assert_eq!(shuffled.viewed(&[2, 8, 6, 4]).unwrap().form(), Some(Form::Nchw));
        assert!(maps.viewed(&[2, 5, 6, 4]).is_none() && maps.viewed(&[2; 9]).is_none());
    }
}
