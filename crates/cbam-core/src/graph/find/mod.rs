//! What a graph is made of, by patterns of operations: gates, attention, places, classes. No name of a network counts.

mod attention;
mod classes;
mod form;
mod gates;
mod layout;
mod maps;
mod names;
mod places;
mod walk;
mod weighing;

use std::collections::HashSet;

use super::program::{Graph, Node, Value};
use form::Form;
use layout::Layout;

pub use attention::{FoundAttention, WeightsOf};
pub use classes::FoundClasses;
pub use gates::{FoundGate, GateKind};
pub use places::{FoundPlace, PlaceForm};

/// What was found in a graph.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// Its gates, in their order.
    pub gates: Vec<FoundGate>,
    /// Its self-attentions over patches, in their order.
    pub attention: Vec<FoundAttention>,
    /// The modules in which there is attention, or a gate, that cannot be laid over a picture, and why.
    pub left_out: Vec<(String, &'static str)>,
    /// Whether there is attention that is no self-attention over tokens, as where one query gathers all patches.
    pub crossing: bool,
    /// Whether what stands for the answer of the main attention's tokens is known: its class token, or the mean of all.
    pub answering: bool,
    /// Where features can be had, in their order.
    pub places: Vec<FoundPlace>,
    /// The one of them at which explanations look if none is named.
    pub default_place: Option<usize>,
    /// The one of them whose features tell things apart (see [`likeness`](crate::maps::likeness)).
    pub ground: Option<usize>,
    /// The output that is of classes.
    pub classes: Option<FoundClasses>,
}

/// A graph and the shapes that its values have.
#[derive(Debug)]
pub struct Find<'g> {
    graph: &'g Graph,
    shapes: &'g [Option<Vec<i64>>],
    users: Vec<Vec<usize>>,
    makers: Vec<Option<usize>>,
    forms: Vec<Option<Form>>,
    /// Of values that no form tells.
    layouts: Vec<Option<Layout>>,
}

impl<'g> Find<'g> {
    /// `shapes` are those of the graph's values in some run, by their numbers; `None` for what is no tensor.
    pub fn new(graph: &'g Graph, shapes: &'g [Option<Vec<i64>>]) -> Self {
        let count = graph.values.len();
        let (users, makers) = (graph.users(), graph.makers());
        let mut find = Self { graph, shapes, users, makers, forms: vec![None; count], layouts: vec![None; count] };
        find.tell_forms();
        find
    }

    /// All of it.
    pub fn all(&self) -> Found {
        let mut known = HashSet::new();
        let (attention, mut left_out, crossing) = self.attention(&mut known);
        let (gates, folded) = self.gates(&mut known);
        left_out.extend(folded);
        left_out.extend(self.weighing(&known));
        let answering = attention.iter().all(|of| of.class_token || self.pools(of.grid));
        let classes = self.classes();
        let places = self.places();
        let default_place = self.default_place(classes.as_ref(), &attention, &places);
        let mut found = Found {
            gates,
            attention,
            left_out,
            crossing,
            answering,
            places,
            default_place: None,
            ground: None,
            classes,
        };
        found.default_place = default_place.map(|place| found.place_of(place));
        found.ground = self.ground(&found);
        found
    }

    fn shape(&self, value: Value) -> Option<&'g [i64]> {
        self.shapes.get(value.index())?.as_deref()
    }

    /// The shape of maps `[N, C, H, W]`, or of anything else of four sides.
    fn four(&self, value: Value) -> Option<[i64; 4]> {
        self.shape(value)?.try_into().ok()
    }

    fn maker(&self, value: Value) -> Option<&'g Node> {
        self.makers[value.index()].map(|place| &self.graph.nodes[place])
    }

    fn users(&self, value: Value) -> impl Iterator<Item = &'g Node> + '_ {
        self.users[value.index()].iter().map(|place| &self.graph.nodes[*place])
    }
}

impl Graph {
    /// The shapes that its values had when it was exported, by their numbers, as far as its file says them.
    pub fn example_shapes(&self) -> Vec<Option<Vec<i64>>> {
        let mut shapes: Vec<_> = self
            .values
            .iter()
            .map(|about| Some(about.sides.as_ref()?.iter().map(|side| side.example).collect()))
            .collect();
        for weight in &self.weights {
            shapes[weight.value.index()] = Some(weight.tensor.shape().to_vec());
        }
        shapes
    }
}
