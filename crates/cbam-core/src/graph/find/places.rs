//! Places where features can be had: what modules give out.

use std::collections::BTreeMap;

use super::super::program::Value;
use super::super::score::ScorePoint;
use super::form::Form;
use super::{Find, Found, FoundAttention, FoundClasses};

/// A place where features can be had.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundPlace {
    /// The outermost module that gives it out.
    pub name: String,
    /// Inner modules that give out the same.
    pub also: Vec<String>,
    /// The features.
    pub value: Value,
    /// How they lie.
    pub form: PlaceForm,
}

/// How the features of a place lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlaceForm {
    /// `[N, C, H, W]`.
    Maps,
    /// `[N, H, W, C]`.
    ChannelsLast,
    /// `[N, T, C]`: some tokens that are no patches before the grid's and behind them.
    Tokens {
        /// Before them.
        before: i64,
        /// Rows and columns.
        grid: [i64; 2],
        /// Behind them.
        after: i64,
    },
}

impl Found {
    /// The place at a value; it is made one if it is none.
    pub(super) fn place_of(&mut self, at: FoundPlace) -> usize {
        if let Some(place) = self.places.iter().position(|place| place.value == at.value) {
            return place;
        }
        // In the order of the graph.
        let place = self.places.partition_point(|place| place.value < at.value);
        self.places.insert(place, at);
        place
    }

    /// A place by one of its names.
    pub fn place(&self, name: &str) -> Option<&FoundPlace> {
        self.places.iter().find(|place| place.name == name || place.also.iter().any(|also| also == name))
    }
}

impl Find<'_> {
    /// What modules give out that has positions, by the outermost module of each.
    pub(super) fn places(&self) -> Vec<FoundPlace> {
        // The last value of each module that somebody outside it takes.
        let mut given: BTreeMap<&str, Value> = BTreeMap::new();
        for node in &self.graph.nodes {
            for value in node.makes().filter(|value| self.place_form(*value).is_some()) {
                for (depth, module) in node.modules.iter().enumerate().filter(|(_, module)| !module.path.is_empty()) {
                    let inside = |user: &super::Node| user.modules.get(depth).is_some_and(|of| of.path == module.path);
                    let is_output = self.graph.outputs.iter().any(|output| output.value == Some(value));
                    if is_output || self.users(value).any(|user| !inside(user)) {
                        given.insert(&module.path, value);
                    }
                }
            }
        }
        let mut by_value: BTreeMap<Value, Vec<&str>> = BTreeMap::new();
        for (path, value) in given {
            by_value.entry(value).or_default().push(path);
        }
        let place = |(value, mut paths): (Value, Vec<&str>)| {
            paths.sort_by_key(|path| path.matches('.').count());
            let also = paths[1..].iter().map(|path| (*path).to_owned()).collect();
            Some(FoundPlace { name: paths[0].to_owned(), also, value, form: self.place_form(value)? })
        };
        by_value.into_iter().filter_map(place).collect()
    }

    /// How features lie; nothing where the first side is more than the pictures, as of heads or windows among them.
    fn place_form(&self, value: Value) -> Option<PlaceForm> {
        if self.shape(value)?.first().copied() != self.batch() {
            return None;
        }
        match self.form(value)? {
            Form::Nchw => self.four(value).filter(|[_, c, h, w]| *c > 1 && h * w > 1).map(|_| PlaceForm::Maps),
            Form::Nhwc => self.four(value).filter(|[_, h, w, c]| *c > 1 && h * w > 1).map(|_| PlaceForm::ChannelsLast),
            Form::Nlc(line) if line.grid[0] * line.grid[1] > 1 => {
                Some(PlaceForm::Tokens { before: line.before, grid: line.grid, after: line.after })
            }
            _ => None,
        }
    }

    /// Where explanations look by themselves: the last maps before their sides are pooled or flattened; of a network whose answer
    /// rests on tokens, what the last attention takes; of the number of one pixel, the last of the coarsest maps.
    pub(super) fn default_place(
        &self,
        classes: Option<&FoundClasses>,
        attention: &[FoundAttention],
        places: &[FoundPlace],
    ) -> Option<FoundPlace> {
        let from = classes.map(|classes| classes.value).or_else(|| self.graph.outputs.first()?.value)?;
        let behind = self.ancestors(self.before_answer(from));
        let last = |wanted: &dyn Fn(PlaceForm) -> bool| {
            behind.iter().rev().copied().find(|value| self.place_form(*value).is_some_and(wanted))
        };
        let is_maps = |form| matches!(form, PlaceForm::Maps | PlaceForm::ChannelsLast);
        // Next to the answer, the slopes of one pixel's number are those of every other's: so the last of the coarsest maps; not
        // those of a pyramid of pools, which have fewer than a position for 32×32 pixels.
        let least = self.graph.inputs.first().map_or(0, |input| self.positions(input.value) / (32 * 32));
        let of_pixel = self.graph.score_point.map(|_| {
            let all = behind.iter().rev().filter(|value| self.place_form(**value).is_some_and(is_maps));
            all.copied().min_by_key(|value| (self.positions(*value) < least, self.positions(*value)))
        });
        let maps = of_pixel.unwrap_or_else(|| last(&is_maps));
        let maps = maps.map(|value| self.before_pools(value));
        let tokens = attention.iter().rev().filter_map(|of| of.tokens).find(|tokens| behind.contains(tokens));
        // Maps behind the last attention count more than its tokens; those before it are the patches' embedding.
        let value = match (maps, tokens) {
            (Some(maps), Some(tokens)) => {
                if maps > tokens {
                    maps
                } else {
                    tokens
                }
            }
            (maps, tokens) => maps.or(tokens)?,
        };
        let form = self.place_form(value)?;
        let named = places.iter().find(|place| place.value == value).cloned();
        let of_node = || self.maker(value).map_or_else(String::new, |node| node.path().to_owned());
        named.or_else(|| {
            let path = Some(of_node()).filter(|path| !path.is_empty());
            let path = path.unwrap_or_else(|| super::names::TOP.to_owned());
            let named = |place: &FoundPlace| place.name == path || place.also.contains(&path);
            let name = if places.iter().any(named) { format!("{path}#2") } else { path };
            Some(FoundPlace { name, also: Vec::new(), value, form })
        })
    }

    /// The place whose features tell things apart: on the grid of the attention that stands for all or, without attention, on the one
    /// next finer than that of the default place. That place itself, if it has that grid; else, of those before it, the last of the
    /// outermost modules.
    pub(super) fn ground(&self, found: &Found) -> Option<usize> {
        let default = found.default_place?;
        let grid = |place: &FoundPlace| match place.form {
            PlaceForm::Tokens { grid, .. } => Some(grid),
            PlaceForm::Maps => self.four(place.value).map(|[_, _, h, w]| [h, w]),
            PlaceForm::ChannelsLast => self.four(place.value).map(|[_, h, w, _]| [h, w]),
        };
        let cells = |[rows, columns]: [i64; 2]| rows * columns;
        let last = grid(&found.places[default])?;
        let before = || found.places.iter().enumerate().take(default + 1);
        let wanted = match found.main_attention() {
            Some(main) => found.attention[main].grid,
            None => before()
                .filter_map(|(_, place)| grid(place))
                .filter(|at| cells(*at) > cells(last))
                .min_by_key(|at| cells(*at))?,
        };
        if last == wanted {
            return Some(default);
        }
        let depth = |place: &FoundPlace| place.name.matches('.').count();
        let there = before().filter(|(_, place)| grid(place) == Some(wanted));
        there.min_by_key(|(index, place)| (depth(place), std::cmp::Reverse(*index))).map(|(index, _)| index)
    }

    /// How many positions maps have.
    fn positions(&self, value: Value) -> i64 {
        match (self.form(value), self.four(value)) {
            (Some(Form::Nhwc), Some([_, h, w, _])) | (_, Some([_, _, h, w])) => h * w,
            _ => i64::MAX,
        }
    }

    /// Of an answer that is a map itself, as of a segmenter, what the operation takes that makes it: it does not explain itself.
    fn before_answer(&self, from: Value) -> Value {
        let mut of = self.carried_from(from);
        while let Some(node) =
            self.maker(of).filter(|node| matches!(node.bare(), "mean" | "sum" | "amax" | "cbam.at.default"))
        {
            let Some(inner) = node.takes().next().filter(|_| node.modules.is_empty()) else { break };
            of = self.carried_from(inner);
        }
        let node = self.maker(of).filter(|_| self.graph.score.is_some() && self.place_form(of).is_some());
        node.and_then(|node| node.takes().next()).unwrap_or(from)
    }

    /// Whether the maps that a score takes a place of lie over the picture: those of one channel of an output.
    pub fn lies_over(&self, point: ScorePoint) -> bool {
        let taking = self.graph.nodes.iter().find(|node| node.value("point") == Some(point.value));
        let Some(mut of) = taking.and_then(|node| node.takes().next()) else { return false };
        let mut chosen = Vec::new();
        while of != point.output {
            let Some(node) = self.maker(of).filter(|node| node.bare() == "select") else { return false };
            let (Some(dim), Some(from)) = (node.number("dim"), node.takes().next()) else { return false };
            chosen.push(dim as i64);
            of = from;
        }
        let Some(shape) = self.shape(of) else { return false };
        match (self.form(of), &chosen[..], shape) {
            (Some(Form::Nchw), [1], _) | (Some(Form::Nhwc), [3], _) | (Some(Form::Nchw), [], [_, 1, _, _]) => true,
            // One channel of maps, without the side of the channels.
            (None, [], [_, height, width]) => {
                let mut from = of;
                for _ in 0..super::walk::MAX_STEPS {
                    let Some(next) = self.maker(from).and_then(|node| node.takes().next()) else { return false };
                    let sides = match (self.form(next), self.shape(next)) {
                        (Some(Form::Nchw), Some([_, _, h, w])) | (Some(Form::Nhwc), Some([_, h, w, _])) => Some([h, w]),
                        _ => None,
                    };
                    if let Some(sides) = sides {
                        return sides == [height, width];
                    }
                    from = next;
                }
                false
            }
            _ => false,
        }
    }

    /// Maps before the pools that they go through at the end.
    fn before_pools(&self, mut value: Value) -> Value {
        for _ in 0..super::walk::MAX_STEPS {
            let Some(node) = self.maker(value) else { break };
            let pools = matches!(
                node.bare(),
                "adaptive_avg_pool2d" | "_adaptive_avg_pool2d" | "adaptive_max_pool2d" | "dropout"
            );
            match node.takes().next().filter(|of| pools && self.place_form(*of) == Some(PlaceForm::Maps)) {
                Some(of) => value = of,
                None => break,
            }
        }
        value
    }

    /// The values that one is made of, in the order of the graph, itself with them.
    fn ancestors(&self, from: Value) -> Vec<Value> {
        let mut needed = vec![false; self.graph.values.len()];
        needed[from.index()] = true;
        let mut found = Vec::new();
        for node in self.graph.nodes.iter().rev() {
            let made: Vec<Value> = node.makes().filter(|value| needed[value.index()]).collect();
            if !made.is_empty() {
                node.takes().for_each(|value| needed[value.index()] = true);
                found.extend(made);
            }
        }
        found.reverse();
        found
    }
}
