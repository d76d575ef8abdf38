//! Gates: what lies in `[0, 1]` and features are multiplied with.

use std::collections::HashSet;

use super::super::carry::Carries;
use super::super::program::{Node, Value};
use super::Find;
use super::form::Form;
use super::names::{self, Names};
use super::walk::MAX_STEPS;

/// What a gate is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum GateKind {
    /// Of channels, `[N, C, 1, 1]`.
    Channel,
    /// Of positions, `[N, 1, H, W]`.
    Spatial,
    /// Of channels and rows, and of channels and columns: `[N, C, H, 1]` and `[N, C, 1, W]`, or one of them.
    Coordinate,
    /// Of channels and positions, `[N, C, H, W]`.
    Full,
}

/// A gate.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundGate {
    /// The module that it stands in: `layer1.0.ca`.
    pub name: String,
    /// What it is of.
    pub kind: GateKind,
    /// Its values, `[N, C, 1, 1]`, `[N, C, H, W]` and so on; two for rows and columns.
    pub values: Vec<Value>,
    /// Whether they lie as `[N, 1, 1, C]`, `[N, H, W, C]` and so on.
    pub channels_last: bool,
}

/// What a gate's values are where they are multiplied.
struct Use {
    /// The gate before it is repeated over channels or positions.
    gate: Value,
    /// The activation's result, or the part of it that the gate is.
    part: Value,
    /// The features.
    features: Value,
    /// Whether it is enlarged before.
    enlarged: bool,
}

/// Why a gate is none of a picture's.
const FOLDED: &str = "its groups of channels lie among the pictures of a batch";

impl Find<'_> {
    /// The gates, and the modules whose gates are left out; the places of the nodes that they are of become `known`.
    pub(super) fn gates(&self, known: &mut HashSet<usize>) -> (Vec<FoundGate>, Vec<(String, &'static str)>) {
        let (mut gates, mut left_out): (Vec<FoundGate>, Vec<_>) = (Vec::new(), Vec::new());
        let mut names = Names::default();
        let mut last_module = String::new();
        let depends = self.depends();
        for (place, node) in self.graph.nodes.iter().enumerate() {
            let Some((value, of)) = self.activated(node).filter(|(value, _)| depends[value.index()]) else { continue };
            let uses = self.uses(value, of);
            let mut parts: Vec<Value> = uses.iter().map(|used| used.part).collect();
            parts.sort_unstable();
            parts.dedup();
            for part in parts {
                let uses = uses.iter().filter(|used| used.part == part);
                let mut uses = uses.filter(|used| depends[used.features.index()]);
                let Some((kind, used)) = uses.clone().find_map(|used| Some((self.kind(used, of)?, used))) else {
                    if uses.any(|used| self.is_folded(used))
                        && !left_out.iter().any(|(name, _)| *name == names::of(node))
                    {
                        left_out.push((names::of(node), FOLDED));
                        known.insert(place);
                    }
                    continue;
                };
                known.insert(place);
                let module = names::of(node);
                if kind == GateKind::Coordinate
                    && let Some(last) = gates.last_mut()
                    && last.kind == kind
                    && last_module == module
                    && last.values.len() == 1
                    && self.complete(last.values[0], used.gate, last.channels_last)
                {
                    last.values.push(used.gate);
                    continue;
                }
                last_module.clone_from(&module);
                let maps: &[&str] = match kind {
                    GateKind::Channel => &["channel"],
                    GateKind::Spatial => &["spatial"],
                    GateKind::Coordinate => &["coordinate"],
                    GateKind::Full => &["channel", "spatial"],
                };
                let name = names.unique_of(maps, module);
                let channels_last = self.is_channels_last(used);
                gates.push(FoundGate { name, kind, values: vec![used.gate], channels_last });
            }
        }
        (gates, left_out)
    }

    /// For each value whether it depends on the picture, beyond its size.
    pub(super) fn depends(&self) -> Vec<bool> {
        let mut depends = vec![false; self.graph.values.len()];
        for input in &self.graph.inputs {
            depends[input.value.index()] = true;
        }
        for node in self.graph.nodes.iter().filter(|node| !node.kind().starts_with("aten.sym_")) {
            if node.takes().any(|of| depends[of.index()]) {
                node.makes().for_each(|value| depends[value.index()] = true);
            }
        }
        depends
    }

    /// Whether groups of a picture's channels stand where the pictures of a batch do.
    fn is_folded(&self, used: &Use) -> bool {
        let (Some([n, ..]), Some([m, ..]), Some(batch)) =
            (self.four(used.gate), self.four(used.features), self.batch())
        else {
            return false;
        };
        n == m && n > batch && n % batch.max(1) == 0
    }

    /// The result of an activation into `[0, 1]`, and what it is of.
    fn activated(&self, node: &Node) -> Option<(Value, Value)> {
        let value = node.makes().next()?;
        match node.bare() {
            "sigmoid" | "hardsigmoid" => Some((value, node.takes().next()?)),
            // clip(a × x + b, 0, 1), as Keras has it.
            "clamp" if node.number("min") == Some(0.0) && node.number("max") == Some(1.0) => {
                let of = node.takes().next()?;
                let moved = self.maker(of).is_some_and(|node| node.carries() == Some(Carries::Changed));
                moved.then(|| (value, self.carried_from(of)))
            }
            // relu6(x + 3) / 6
            "div" if node.number("other") == Some(6.0) => Some((value, self.shifted(node.takes().next()?)?)),
            "mul" if node.number("other").is_some_and(|by| (by - 1.0 / 6.0).abs() < 1e-6) => {
                Some((value, self.shifted(node.takes().next()?)?))
            }
            _ => None,
        }
    }

    /// `x` of `relu6(x + 3)`.
    fn shifted(&self, value: Value) -> Option<Value> {
        let cut = self.maker(value)?;
        let to_six = match cut.bare() {
            "relu6" => true,
            "hardtanh" => cut.number("min_val") == Some(0.0) && cut.number("max_val") == Some(6.0),
            "clamp" => cut.number("min") == Some(0.0) && cut.number("max") == Some(6.0),
            _ => false,
        };
        let plus = self.maker(cut.takes().next().filter(|_| to_six)?)?;
        (plus.bare() == "add" && plus.number("other") == Some(3.0)).then(|| plus.takes().next())?
    }

    /// Where an activation's result, or a part of it, carried on, is multiplied with something else than what it is of.
    fn uses(&self, value: Value, of: Value) -> Vec<Use> {
        let (mut found, mut seen) = (Vec::new(), Vec::new());
        let size = |value: Value| self.shape(value).map_or(0, |shape| shape.iter().product::<i64>());
        let mut open = vec![(value, value, value, [false; 2])];
        while let Some((at, gate, part, [spread, enlarged])) = open.pop() {
            if seen.contains(&at) || seen.len() > MAX_STEPS {
                continue;
            }
            seen.push(at);
            for node in self.users(at) {
                if let ("mul", Some([a, b])) = (node.bare(), node.two()) {
                    let features = if a == at { b } else { a };
                    let itself = self.is_itself(features, of);
                    let Some(product) = node.makes().next().filter(|_| a != b && !itself) else { continue };
                    if self.shape(features) == self.shape(product) {
                        found.push(Use { gate, part, features, enlarged });
                    } else {
                        // A gate times another, of other sides, is multiplied with features further on.
                        open.push((product, gate, part, [true, enlarged]));
                    }
                    continue;
                }
                for to in node.makes().filter(|_| node.takes().next() == Some(at)) {
                    match node.carries() {
                        Some(Carries::On) if !spread => {
                            open.push((to, to, if size(to) < size(at) { to } else { part }, [false; 2]));
                        }
                        // 1 + σ(x) lets through what σ(x) says: the gate is the latter.
                        Some(carries) => {
                            let larger = carries == Carries::Spread && node.bare().contains("upsample");
                            open.push((to, gate, part, [true, enlarged || larger]));
                        }
                        None => {}
                    }
                }
            }
        }
        found
    }

    /// Whether features are what an activation is of: x · σ(x) is no gate. Another part of what both are parts of is something else.
    pub(super) fn is_itself(&self, features: Value, of: Value) -> bool {
        features == of || self.whole_from(features) == self.whole_from(of)
    }

    /// What a gate is of, by its shape beside that of the features; `None` if it is none.
    fn kind(&self, used: &Use, of: Value) -> Option<GateKind> {
        let last = self.is_channels_last(used);
        let sides = |value| self.sides(value, last);
        let ([n, c, h, w], [batch, channels, height, width]) = (sides(used.gate)?, sides(used.features)?);
        if n != batch || self.batch().is_some_and(|of| of != n) || ![1, channels].contains(&c) {
            return None;
        }
        // Positions are those of maps whose sides are in their order.
        if h * w > 1 && matches!(self.form(used.features), Some(Form::Turned(_) | Form::Attended)) {
            return None;
        }
        // Repeated over the channels before the activation: it is of positions.
        if [c, h, w] == [channels, height, width] && c > 1 && self.is_repeated(of, last) {
            return Some(GateKind::Spatial);
        }
        match [c, h, w] {
            [1, 1, 1] if channels > 1 => None,
            [_, 1, 1] => Some(GateKind::Channel),
            [1, h, w] if h * w > 1 => Some(GateKind::Spatial),
            [_, h, 1] if h == height && width > 1 => Some(GateKind::Coordinate),
            [_, 1, w] if w == width && height > 1 => Some(GateKind::Coordinate),
            [_, h, w] if (h, w) == (height, width) || (used.enlarged && h * w > 1) => Some(GateKind::Full),
            _ => None,
        }
    }

    /// Whether the features that a gate is of lie as `[N, H, W, C]`.
    fn is_channels_last(&self, used: &Use) -> bool {
        self.form(used.features).or_else(|| self.form(used.gate)) == Some(Form::Nhwc)
    }

    /// The sides of maps as `[N, C, H, W]`.
    fn sides(&self, value: Value, channels_last: bool) -> Option<[i64; 4]> {
        let sides = self.four(value)?;
        let [n, a, b, c] = sides;
        Some(if channels_last { [n, c, a, b] } else { sides })
    }

    /// Whether a value is one channel, repeated.
    fn is_repeated(&self, mut value: Value, channels_last: bool) -> bool {
        for _ in 0..MAX_STEPS {
            let Some(node) = self.maker(value) else { return false };
            let Some(from) = node.takes().next() else { return false };
            match node.carries() {
                Some(Carries::Spread) => {
                    let sides = |value| self.sides(value, channels_last);
                    return sides(from).zip(sides(value)).is_some_and(|(from, to)| from[1] == 1 && to[1] > 1);
                }
                Some(Carries::On | Carries::Changed) => value = from,
                None => return false,
            }
        }
        false
    }

    /// Whether two gates are of rows and of columns.
    fn complete(&self, first: Value, second: Value, channels_last: bool) -> bool {
        let sides = |value| self.sides(value, channels_last).map(|[_, c, h, w]| (c, h > 1, w > 1));
        match (sides(first), sides(second)) {
            (Some((c, h, w)), Some((other, h2, w2))) => c == other && h != h2 && w != w2,
            _ => false,
        }
    }
}
