//! Self-attention over patches: its weights, and where its tokens lie in the picture.

use std::collections::HashSet;

use super::super::carry::Carries;
use super::super::program::{Node, Value};
use super::Find;
use super::form::{self, Form, Line};
use super::names::{self, Names};
use super::walk::MAX_STEPS;

/// A self-attention over patches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FoundAttention {
    /// The module that it stands in: `blocks.11.attn`.
    pub name: String,
    /// Its weights.
    pub weights: WeightsOf,
    /// How many heads it has.
    pub heads: i64,
    /// Rows and columns of patches.
    pub grid: [i64; 2],
    /// How many tokens before the patches are none, such as a class token and registers.
    pub before: i64,
    /// How many behind them.
    pub after: i64,
    /// Whether the first of those before them is a class token: the network takes it by itself.
    pub class_token: bool,
    /// The tokens that its queries are made of, `[N, T, C]`, where they are such.
    pub tokens: Option<Value>,
}

impl FoundAttention {
    /// The node at which its weights can be had, by [those that make each value](super::super::Graph::makers).
    pub fn node(&self, makers: &[Option<usize>]) -> Option<usize> {
        match self.weights {
            WeightsOf::Node(node) => Some(node),
            WeightsOf::Value(value) => makers[value.index()],
        }
    }
}

/// Where the weights of an attention are had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightsOf {
    /// From the queries and keys of the node at that place, which gives out no weights.
    Node(usize),
    /// They are a value, `[N, heads, T, T]` or `[N × heads, T, T]`.
    Value(Value),
}

/// Why attention cannot be laid over a picture.
const NO_GRID: &str =
    "its tokens are not the patches of a grid, one after the other, as where they are taken in windows";

const CROSSING: &str = "its queries and its keys are not the same tokens";

impl Find<'_> {
    /// The attentions, the modules whose attention is left out, and whether there is any of queries that are other tokens; the places of
    /// their nodes become `known`.
    pub(super) fn attention(
        &self,
        known: &mut HashSet<usize>,
    ) -> (Vec<FoundAttention>, Vec<(String, &'static str)>, bool) {
        let (mut found, mut left_out, mut names, mut crossing) = (Vec::new(), Vec::new(), Names::default(), false);
        for (place, node) in self.graph.nodes.iter().enumerate() {
            let Some((weights, query, sides)) = self.attending(place, node) else {
                if self.crosses(node) {
                    crossing = true;
                    known.insert(place);
                    left_out.push((names.unique(names::of(node)), CROSSING));
                }
                continue;
            };
            known.insert(place);
            let name = names.unique(names::of(node));
            let [batch, heads, tokens] = sides;
            let line = self.line(query, tokens).filter(|_| self.batch().is_none_or(|of| of == batch));
            let Some((line @ Line { grid, before, after }, at)) = line else {
                left_out.push((name, NO_GRID));
                continue;
            };
            let class_token = self.takes_first(line);
            found.push(FoundAttention { name, weights, heads, grid, before, after, class_token, tokens: at });
        }
        (found, left_out, crossing)
    }

    /// Whether a node that is no self-attention over tokens attends all the same: weighs several values by queries and keys.
    fn crosses(&self, node: &Node) -> bool {
        let several = |value: Option<Value>, last: usize| {
            let side = value.and_then(|value| self.shape(value)?.iter().rev().nth(last).copied());
            side.is_some_and(|side| side > 1)
        };
        match node.bare() {
            "scaled_dot_product_attention" | "_scaled_dot_product_flash_attention_for_cpu" => {
                several(node.value("key"), 1)
            }
            "softmax" | "_softmax" => {
                let of = node.takes().next();
                // A matrix that the network has learned, as of a classifier, is no keys.
                let keys = of.and_then(|of| {
                    let product = self.product(of)?;
                    product.value("batch2").or_else(|| product.takes().nth(1))
                });
                several(of, 0) && keys.is_some_and(|keys| self.maker(self.carried_from(keys)).is_some())
            }
            _ => false,
        }
    }

    /// The weights, the queries, and batch, heads and tokens, of a node that attends.
    fn attending(&self, place: usize, node: &Node) -> Option<(WeightsOf, Value, [i64; 3])> {
        match node.bare() {
            "scaled_dot_product_attention" | "_scaled_dot_product_flash_attention_for_cpu" => {
                let (query, key) = (node.value("query")?, node.value("key")?);
                let sides = match (self.shape(query)?, self.shape(key)?) {
                    ([n, heads, t, _], [_, _, t2, _]) if t == t2 => [*n, *heads, *t],
                    ([n, t, _], [_, t2, _]) if t == t2 => [*n, 1, *t],
                    _ => return None,
                };
                (sides[2] > 1).then_some((WeightsOf::Node(place), query, sides))
            }
            "softmax" | "_softmax" => {
                let value = node.makes().next()?;
                let shape = self.shape(value)?;
                let dim = node.ints("dim")?.first().copied()?;
                if ![-1, shape.len() as i64 - 1].contains(&dim) {
                    return None;
                }
                let product = self.product(node.takes().next()?)?;
                let query = product.value("batch1").or_else(|| product.takes().next())?;
                let batch = self.batch().unwrap_or(1).max(1);
                let sides = match *shape {
                    [n, heads, t, t2] if t == t2 => [n, heads, t],
                    [n, t, t2] if t == t2 && n % batch == 0 => [batch, n / batch, t],
                    _ => return None,
                };
                (sides[2] > 1).then_some((WeightsOf::Value(value), query, sides))
            }
            _ => None,
        }
    }

    /// The node of `q kᵀ`, behind scales, masks and the like.
    fn product(&self, mut value: Value) -> Option<&Node> {
        for _ in 0..MAX_STEPS {
            let node = self.maker(value)?;
            value = match node.bare() {
                "matmul" | "bmm" | "einsum" | "baddbmm" => return Some(node),
                "add" | "masked_fill" | "mul" | "div" | "sub" | "clamp" | "where" => {
                    // Of several, that which is of the tokens: the largest.
                    let size = |of: &Value| self.shape(*of).map_or(0, |shape| shape.iter().product::<i64>());
                    let mut of: Vec<Value> = node.takes().collect();
                    of.sort_by_key(|of| std::cmp::Reverse((self.leads_to_product(*of), size(of))));
                    *of.first()?
                }
                _ if node.carries().is_some_and(|carries| carries != Carries::Spread) => node.takes().next()?,
                _ => return None,
            };
        }
        None
    }

    fn leads_to_product(&self, value: Value) -> bool {
        self.maker(self.carried_from(value))
            .is_some_and(|node| matches!(node.bare(), "matmul" | "bmm" | "baddbmm" | "einsum"))
    }

    /// Where the tokens of queries lie in the picture, and the tokens themselves.
    fn line(&self, query: Value, tokens: i64) -> Option<(Line, Option<Value>)> {
        // A value, and the node that it is followed back from.
        let mut open: Vec<(Value, Option<&Node>)> = vec![(query, None)];
        let mut seen = Vec::new();
        while let Some((value, by)) = open.pop() {
            if seen.contains(&value) || seen.len() == MAX_STEPS {
                continue;
            }
            seen.push(value);
            match self.form(value) {
                Some(Form::Nlc(line)) if line.len() == tokens => return Some((line, Some(self.before_matrix(value)))),
                Some(Form::Lnc(line)) if line.len() == tokens => return Some((line, self.turned_back(value, line))),
                // As queries themselves they are channels that attend.
                Some(Form::Ncl(line)) if line.len() == tokens && by.is_some() => return Some((line, None)),
                Some(form @ (Form::Nchw | Form::Nhwc)) => {
                    if by.is_some_and(|node| {
                        matches!(node.bare(), "permute" | "transpose" | "movedim" | "swapaxes" | "swapdims")
                    }) {
                        return None;
                    }
                    let [_, a, b, c] = self.four(value)?;
                    let grid = if form == Form::Nchw { [b, c] } else { [a, b] };
                    if grid[0] * grid[1] == tokens {
                        return Some((Line { grid, before: 0, after: 0 }, None));
                    }
                    return None;
                }
                Some(Form::Attended) | None => {}
                Some(_) => return None,
            }
            let Some(node) = self.maker(value) else { continue };
            // What puts tokens elsewhere, or heads among the pictures of a batch.
            let by_batch = matches!(node.bare(), "cat" | "concat") && node.number("dim").unwrap_or(0.0) == 0.0;
            if by_batch || form::MOVES.contains(&node.bare()) {
                // Of the network's own numbers it is no matter of tokens.
                if node.takes().next().is_some_and(|of| self.maker(self.carried_from(of)).is_some()) {
                    return None;
                }
                continue;
            }
            open.extend(node.takes().collect::<Vec<_>>().into_iter().rev().map(|of| (of, Some(node))));
        }
        None
    }

    /// The tokens `[N, T, C]` that such of `[T, N, C]` are made of by a matrix and an order of sides alone.
    fn turned_back(&self, mut value: Value, line: Line) -> Option<Value> {
        for _ in 0..MAX_STEPS {
            if self.form(value) == Some(Form::Nlc(line)) {
                return Some(value);
            }
            let node = self.maker(value)?;
            let carries = node.carries().is_some() || matches!(node.bare(), "linear" | "matmul");
            value = node.takes().next().filter(|_| carries)?;
        }
        None
    }

    /// Whether the first of such tokens is taken by itself somewhere.
    fn takes_first(&self, line: Line) -> bool {
        let first = |node: &Node, side: i64, rank: i64| {
            let along = |name: &str| node.number(name).map_or(0, |dim| dim as i64);
            let number = |name: &str| node.number(name);
            match node.bare() {
                _ if ![side, side - rank].contains(&along("dim")) => false,
                "select" => number("index") == Some(0.0),
                "slice" => number("start").unwrap_or(0.0) == 0.0 && number("end") == Some(1.0),
                "narrow" => number("start") == Some(0.0) && number("length") == Some(1.0),
                "unbind" => {
                    node.outputs.first().copied().flatten().is_some_and(|of| !self.users[of.index()].is_empty())
                }
                "split" | "split_with_sizes" => {
                    let sizes = node.ints("split_sizes").or_else(|| node.ints("split_size"));
                    sizes.is_some_and(|sizes| sizes.first() == Some(&1))
                }
                _ => false,
            }
        };
        let taken = |node: &Node| {
            let Some(of) = node.takes().next() else { return false };
            match self.form(of) {
                Some(form @ (Form::Nlc(other) | Form::Lnc(other) | Form::Ncl(other))) if other == line => {
                    first(node, form::tokens_of(form), 3)
                }
                _ => false,
            }
        };
        line.before > 0 && self.graph.nodes.iter().any(taken)
    }

    /// Whether an answer is made of the mean of all patches on a grid: the mean, or the largest, over such tokens or maps.
    pub(super) fn pools(&self, grid: [i64; 2]) -> bool {
        const POOLS: [&str; 8] = [
            "mean",
            "amax",
            "max",
            "adaptive_avg_pool1d",
            "adaptive_avg_pool2d",
            "_adaptive_avg_pool2d",
            "avg_pool2d",
            "sum",
        ];
        let of_grid = |node: &Node| {
            let Some(of) = node.takes().next() else { return false };
            let dims = node.ints("dim").unwrap_or_default();
            let over = |sides: &[i64], rank: i64| {
                let has = |side: &i64| dims.contains(side) || dims.contains(&(side - rank));
                node.bare().contains("pool") || (dims.len() == sides.len() && sides.iter().all(has))
            };
            match (self.form(of), self.four(of)) {
                (Some(form @ (Form::Nlc(line) | Form::Lnc(line) | Form::Ncl(line))), _) => {
                    line.grid == grid && over(&[form::tokens_of(form)], 3)
                }
                (Some(Form::Nchw), Some([_, _, h, w])) => [h, w] == grid && over(&[2, 3], 4),
                (Some(Form::Nhwc), Some([_, h, w, _])) => [h, w] == grid && over(&[1, 2], 4),
                _ => false,
            }
        };
        self.graph.nodes.iter().any(|node| POOLS.contains(&node.bare()) && of_grid(node))
    }

    /// The tokens before the matrix that makes queries of them.
    fn before_matrix(&self, value: Value) -> Value {
        let is_matrix = |node: &&Node| matches!(node.bare(), "linear" | "matmul");
        // ONNX adds the bias by itself.
        let added = self.maker(value).filter(|node| node.bare() == "add");
        let inner = added.and_then(|node| node.takes().find(|of| self.maker(*of).as_ref().is_some_and(is_matrix)));
        let matrix = self.maker(inner.unwrap_or(value)).filter(is_matrix);
        let of = matrix.and_then(|node| node.takes().next());
        of.filter(|of| matches!(self.form(*of), Some(Form::Nlc(_)))).unwrap_or(value)
    }

    /// How many pictures the shapes are of.
    pub(super) fn batch(&self) -> Option<i64> {
        self.graph.inputs.first().and_then(|input| self.shape(input.value)?.first().copied())
    }
}
