//! What a graph shows of itself while it runs: its gates, and the attention of its patches.

use std::collections::HashMap;
use std::rc::Rc;

use cbam_core::graph::{Found, FoundGate, FoundPlace, Shown, Value, WeightsOf};
use ndarray::{Array3, Array4, ArrayView4, Axis, Ix3, Ix4};
use tch::{Kind, Tensor};

use super::GraphNetwork;
use super::explain::as_maps;
use super::operators::attention_weights;
use super::run::Pass;
use crate::Result;
use crate::host::to_host;
use crate::maps::{Detail, Ground, Readout};

/// What of a pass is wanted beside its gates.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wanted {
    /// What patches receive, and where they look.
    pub(super) attention: bool,
    /// The features that tell things apart.
    pub(super) ground: bool,
    /// How much is kept beside maps.
    pub(super) detail: Detail,
}

/// What is read while a graph runs.
pub(super) struct Watch<'n> {
    network: &'n GraphNetwork,
    found: Rc<Found>,
    /// The gates' values by the nodes that make them, and whether their channels are last.
    gates: HashMap<usize, Vec<(Value, bool)>>,
    /// The attentions by the nodes at which their weights can be had; none of them if nobody asks for attention.
    attention: HashMap<usize, usize>,
    /// The features that tell things apart, and the node that makes them; none if nobody asks for them.
    ground: Option<(usize, FoundPlace)>,
    values: HashMap<Value, Array4<f32>>,
    weights: HashMap<usize, Tensor>,
    /// `[N, C, h, w]`.
    features: Option<Array4<f32>>,
    detail: Detail,
}

impl<'n> Watch<'n> {
    /// Of the gates, and of attention and what tells things apart if they are wanted, as they are found in pictures of one size.
    pub(super) fn new(network: &'n GraphNetwork, found: Rc<Found>, wanted: Wanted) -> Self {
        let makers = network.graph.makers();
        let maker = |value: Value| makers[value.index()];
        let mut gates: HashMap<usize, Vec<(Value, bool)>> = HashMap::new();
        for gate in &found.gates {
            for value in &gate.values {
                if let Some(node) = maker(*value) {
                    gates.entry(node).or_default().push((*value, gate.channels_last));
                }
            }
        }
        let all = found.attention.iter().enumerate().filter(|_| wanted.attention);
        let attention = all.filter_map(|(place, of)| Some((of.node(&makers)?, place))).collect();
        // What is like what is looked at has to have been seen as a whole.
        let ground = found.ground.filter(|_| wanted.ground && (wanted.attention || found.attention.is_empty()));
        let ground = ground.and_then(|place| Some((maker(found.places[place].value)?, found.places[place].clone())));
        Self {
            network,
            found,
            gates,
            attention,
            ground,
            values: HashMap::new(),
            weights: HashMap::new(),
            features: None,
            detail: wanted.detail,
        }
    }

    /// The values beside the outputs that have to be made.
    pub(super) fn wanted(&self) -> impl Iterator<Item = Value> + '_ {
        let ground = self.ground.iter().map(|(node, _)| node);
        let nodes = self.gates.keys().chain(self.attention.keys()).chain(ground);
        nodes.filter_map(|node| self.network.graph.nodes[*node].makes().next())
    }

    /// Reads what a node has made.
    pub(super) fn see(&mut self, node: usize, pass: &Pass<'_>) -> Result<()> {
        for (value, channels_last) in self.gates.get(&node).into_iter().flatten() {
            if let Some(tensor) = pass.tensor(*value) {
                let values = if *channels_last { &tensor.f_permute([0, 3, 1, 2])? } else { tensor };
                self.values.insert(*value, to_host::<Ix4>(values)?);
            }
        }
        if let Some((_, place)) = self.ground.as_ref().filter(|(maker, _)| *maker == node)
            && let Some(features) = pass.tensor(place.value)
        {
            self.features = Some(to_host(&as_maps(place.form, features)?)?);
        }
        let Some(place) = self.attention.get(&node) else { return Ok(()) };
        let of = &self.found.attention[*place];
        let weights = match of.weights {
            WeightsOf::Node(node) => Some(attention_weights(&pass.given(node))?),
            WeightsOf::Value(value) => pass.tensor(value).map(Tensor::shallow_clone),
        };
        if let Some(weights) = weights {
            let tokens = weights.size().last().copied().unwrap_or(0);
            let weights = weights.f_detach()?.f_reshape([-1, of.heads, tokens, tokens])?.f_to_kind(Kind::Float)?;
            self.weights.insert(*place, weights);
        }
        Ok(())
    }

    /// What was seen of each picture, whose points are these.
    pub(super) fn readouts(&self, points: &[Vec<[f32; 2]>]) -> Result<Vec<Readout>> {
        let readout = |(picture, points): (usize, &Vec<[f32; 2]>)| {
            let weights = |place| self.weights.get(&place).map(|all| to_host::<Ix3>(&all.f_get(picture as i64)?));
            let weights = (0..self.found.attention.len()).map(|place| weights(place).transpose());
            let weights = weights.collect::<Result<Vec<_>>>()?;
            let shown = Shown {
                gates: self.found.gates.iter().map(|gate| self.values_of(gate)).collect(),
                weights: weights.iter().map(|of| of.as_ref().map(Array3::view)).collect(),
            };
            let mut readout = self.found.readout(&shown, picture, points, self.detail)?;
            let features = self.features.as_ref().filter(|features| picture < features.len_of(Axis(0)));
            readout.ground = features.map(|features| Ground::of_maps(features.index_axis(Axis(0), picture)));
            Ok(readout)
        };
        points.iter().enumerate().map(readout).collect()
    }

    /// The values of a gate, as far as they were seen.
    fn values_of(&self, gate: &FoundGate) -> Vec<ArrayView4<'_, f32>> {
        gate.values.iter().filter_map(|value| Some(self.values.get(value)?.view())).collect()
    }
}
