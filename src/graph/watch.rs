//! What a graph shows of itself while it runs: its gates, and the attention of its patches.

use std::collections::HashMap;
use std::rc::Rc;

use cbam_core::graph::{Found, FoundAttention, FoundPlace, GateKind, Value, WeightsOf};
use cbam_core::network::patch_index;
use ndarray::{Array1, Array2, Array3, Array4, Axis, Ix2, Ix3, Ix4, s};
use tch::{Kind, Tensor};

use super::GraphNetwork;
use super::explain::as_maps;
use super::operators::attention_weights;
use super::run::Pass;
use crate::Result;
use crate::host::to_host;
use crate::maps::{
    Detail, GateReadout, Ground, PatchReadout, QueryRow, Readout, RolloutLayer, rollout, rollout_received,
};

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
        let mut readouts = vec![Readout::default(); points.len()];
        for gate in &self.found.gates {
            let values: Vec<_> = gate.values.iter().filter_map(|value| self.values.get(value)).collect();
            for (picture, readout) in readouts.iter_mut().enumerate() {
                readout.gates.extend(gate_readout(&gate.name, gate.kind, &values, picture));
            }
        }
        let main = self.found.main_attention();
        for of in self.found.attention_in_order() {
            let place = self.found.attention.iter().position(|other| other == of);
            let Some(weights) = place.and_then(|place| self.weights.get(&place)) else { continue };
            for (picture, readout) in readouts.iter_mut().enumerate() {
                let weights = weights.f_get(picture as i64)?;
                let points = if place == main { &points[picture][..] } else { &[] };
                let mut patches = patch_readout(of, &weights, points)?;
                if self.detail != Detail::Maps {
                    patches.weights = self.kept(of, &weights, place == main)?;
                }
                readout.patches.push(patches);
            }
        }
        for (picture, readout) in readouts.iter_mut().enumerate() {
            readout.rollout = self.rolled_out(picture)?;
            let features = self.features.as_ref().filter(|features| picture < features.len_of(Axis(0)));
            readout.ground = features.map(|features| Ground::of_maps(features.index_axis(Axis(0), picture)));
        }
        Ok(readouts)
    }

    /// What is kept of where each patch looks, of an attention `[heads, T, T]`.
    fn kept(&self, of: &FoundAttention, weights: &Tensor, main: bool) -> Result<Option<Array3<f32>>> {
        let (first, patches) = (of.before as usize, (of.grid[0] * of.grid[1]) as usize);
        let weights = to_host::<Ix3>(weights)?;
        let all = first..first + patches;
        let patches = weights.slice(s![.., all.clone(), all]);
        Ok(self.detail.weights(patches, main, weights.len_of(Axis(2)) as f32))
    }

    /// Attention rollout over the attentions of the main one's tokens, if there are several.
    fn rolled_out(&self, picture: usize) -> Result<Option<Array2<f32>>> {
        let Some(main) = self.found.main_attention() else { return Ok(None) };
        let main = &self.found.attention[main];
        let mut layers = Vec::new();
        for place in self.found.rolled() {
            let Some(weights) = self.weights.get(&place) else { return Ok(None) };
            layers.push(to_host::<Ix3>(&weights.f_get(picture as i64)?)?);
        }
        if layers.len() < 2 {
            return Ok(None);
        }
        let grid = main.grid.map(|side| side as usize);
        let tokens = layers[0].len_of(Axis(1));
        let in_line = main.before + main.after > 0;
        let of = |weights| RolloutLayer { weights, grid: if in_line { [1, tokens] } else { grid } };
        let layers: Vec<_> = layers.iter().map(|layer| of(layer.view())).collect();
        if !in_line {
            return Ok(Some(rollout_received(&layers)?));
        }
        // What a class token has of each patch in the end; without one, what all have.
        let passed = rollout(&layers)?;
        let row = if main.class_token {
            passed.row(0).to_owned()
        } else {
            passed.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(tokens))
        };
        let first = main.before as usize;
        let patches = row.slice(s![first..first + grid[0] * grid[1]]).mapv(|share| share * tokens as f32);
        Ok(patches.into_shape_with_order(grid).ok())
    }
}

/// What a gate shows of a picture of its batch.
fn gate_readout(name: &str, kind: GateKind, values: &[&Array4<f32>], picture: usize) -> Option<GateReadout> {
    let of_picture = values.iter().filter(|values| picture < values.len_of(Axis(0)));
    let values: Vec<_> = of_picture.map(|values| values.index_axis(Axis(0), picture)).collect();
    let first = values.first()?;
    let over_places = || first.mean_axis(Axis(2))?.mean_axis(Axis(1));
    let over_channels = || first.mean_axis(Axis(0));
    let mut readout = GateReadout { stage: name.to_owned(), ..GateReadout::default() };
    match kind {
        GateKind::Channel => readout.channel = over_places()?,
        GateKind::Spatial => readout.spatial = Some(over_channels()?),
        GateKind::Full => {
            readout.channel = over_places()?;
            readout.spatial = Some(over_channels()?);
        }
        GateKind::Coordinate => {
            // Rows times columns, as the features see them, channel by channel.
            let product = match &values[..] {
                [one] => one.to_owned(),
                [a, b, ..] => {
                    let sides = [a.shape()[1].max(b.shape()[1]), a.shape()[2].max(b.shape()[2])];
                    let shape = (a.shape()[0], sides[0], sides[1]);
                    &a.broadcast(shape)? * &b.broadcast(shape)?
                }
                [] => return None,
            };
            readout.coordinate = Some(product.mean_axis(Axis(0))?);
        }
    }
    Some(readout)
}

/// What an attention `[heads, T, T]` shows of a picture.
fn patch_readout(of: &FoundAttention, weights: &Tensor, points: &[[f32; 2]]) -> Result<PatchReadout> {
    let ([rows, columns], tokens) = (of.grid, weights.size()[2]);
    let (first, patches) = (of.before, rows * columns);
    let keys = weights.f_narrow(2, first, patches)?;
    let queries = keys.f_narrow(1, first, patches)?;
    let on_grid =
        |shares: &Tensor| -> Result<Tensor> { Ok(shares.f_mul_scalar(tokens as f64)?.f_reshape([-1, rows, columns])?) };
    let received = to_host(&on_grid(&queries.f_mean_dim(1_i64, false, Kind::Float)?)?)?;
    let class_token = if of.class_token { Some(to_host(&on_grid(&keys.f_select(1, 0)?)?)?) } else { None };
    let row = |query: &[f32; 2]| -> Result<QueryRow> {
        let index = patch_index(*query, of.grid.map(|side| side as usize))? as i64;
        let shares = queries.f_select(1, index)?.f_mean_dim(0_i64, false, Kind::Float)?;
        Ok(QueryRow { query: *query, weights: to_host::<Ix2>(&on_grid(&shares)?.f_squeeze_dim(0)?)? })
    };
    Ok(PatchReadout {
        stage: of.name.clone(),
        received,
        class_token,
        rows: points.iter().map(row).collect::<Result<_>>()?,
        weights: None,
    })
}
