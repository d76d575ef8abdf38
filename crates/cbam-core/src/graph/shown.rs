//! What the gates and the attention of a graph show of a picture.

use ndarray::{Array1, Array2, Array3, ArrayView3, ArrayView4, Axis, s};

use super::find::{Found, FoundAttention, GateKind};
use crate::Result;
use crate::maps::{
    Detail, GateReadout, PatchReadout, QueryRow, Readout, RolloutLayer, patch_index, rollout, rollout_received,
};

/// What a pass made of a batch: the numbers of what was found in the graph.
#[derive(Debug, Clone, Default)]
pub struct Shown<'a> {
    /// Of each gate, in their order, its values, `[N, C, h, w]`; none of a gate that was not seen.
    pub gates: Vec<Vec<ArrayView4<'a, f32>>>,
    /// Of each attention, in their order, the weights of one picture, `[heads, T, T]`; `None` if it was not seen.
    pub weights: Vec<Option<ArrayView3<'a, f32>>>,
}

impl Found {
    /// What is shown of one picture of a batch: its gates, the attention of its patches, the rows of the patches at these `points`
    /// (fractions of width and height) in the attention that stands for all, and rollout.
    ///
    /// # Errors
    /// [`Error::Argument`](crate::Error::Argument) for a point outside the picture; [`Error::Input`](crate::Error::Input) for weights that
    /// do not fit their grid.
    pub fn readout(&self, shown: &Shown<'_>, picture: usize, points: &[[f32; 2]], detail: Detail) -> Result<Readout> {
        let mut readout = Readout::default();
        for (gate, values) in self.gates.iter().zip(&shown.gates) {
            readout.gates.extend(gate_readout(&gate.name, gate.kind, values, picture));
        }
        let main = self.main_attention();
        for of in self.attention_in_order() {
            let place = self.attention.iter().position(|other| other == of);
            let Some(weights) = place.and_then(|place| *shown.weights.get(place)?) else { continue };
            let points = if place == main { points } else { &[] };
            readout.patches.push(of.readout(weights, points, (detail, place == main))?);
        }
        readout.rollout = self.rolled_out(&shown.weights)?;
        Ok(readout)
    }

    /// Attention rollout over the attentions of the main one's tokens, if there are several.
    fn rolled_out(&self, weights: &[Option<ArrayView3<'_, f32>>]) -> Result<Option<Array2<f32>>> {
        let Some(main) = self.main_attention().map(|main| &self.attention[main]) else { return Ok(None) };
        let layers: Option<Vec<_>> = self.rolled().map(|place| *weights.get(place)?).collect();
        let Some(layers) = layers.filter(|layers| layers.len() > 1) else { return Ok(None) };
        let grid = main.grid.map(|side| side as usize);
        let tokens = layers[0].len_of(Axis(1));
        let in_line = main.before + main.after > 0;
        let grid_of = if in_line { [1, tokens] } else { grid };
        let layers: Vec<_> = layers.into_iter().map(|weights| RolloutLayer { weights, grid: grid_of }).collect();
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

impl FoundAttention {
    /// What its weights of a picture, `[heads, T, T]`, show; `main` is whether it stands for all.
    fn readout(
        &self,
        weights: ArrayView3<'_, f32>,
        points: &[[f32; 2]],
        (detail, main): (Detail, bool),
    ) -> Result<PatchReadout> {
        let grid = self.grid.map(|side| side as usize);
        let heads = weights.dim().0;
        let tokens = (self.before + self.grid[0] * self.grid[1] + self.after) as usize;
        if weights.dim() != (heads, tokens, tokens) {
            let (expected, got) = (format!("[heads, {tokens}, {tokens}]"), format!("{:?}", weights.shape()));
            return Err(crate::Error::Input { layer: "weights of an attention", expected, got });
        }
        let patches = self.before as usize..self.before as usize + grid[0] * grid[1];
        let keys = weights.slice(s![.., .., patches.clone()]);
        let queries = keys.slice(s![.., patches, ..]);
        let scale = tokens as f32;
        let on_grid = |shares: Array2<f32>| {
            let shape = (heads, grid[0], grid[1]);
            (shares * scale).into_shape_with_order(shape).map_err(crate::Error::internal)
        };
        let received = queries.mean_axis(Axis(1)).unwrap_or_else(|| Array2::zeros((heads, grid[0] * grid[1])));
        let class_token = self.class_token.then(|| on_grid(keys.index_axis(Axis(1), 0).to_owned())).transpose()?;
        let row = |query: &[f32; 2]| -> Result<QueryRow> {
            let of_query = queries.index_axis(Axis(1), patch_index(*query, grid)?);
            let mean = of_query.mean_axis(Axis(0)).unwrap_or_else(|| Array1::zeros(grid[0] * grid[1])) * scale;
            let weights = mean.into_shape_with_order(grid).map_err(crate::Error::internal)?;
            Ok(QueryRow { query: *query, weights })
        };
        Ok(PatchReadout {
            stage: self.name.clone(),
            received: on_grid(received)?,
            class_token,
            rows: points.iter().map(row).collect::<Result<_>>()?,
            weights: detail.weights(queries, main, scale),
        })
    }
}

/// What a gate shows of a picture of its batch.
fn gate_readout(name: &str, kind: GateKind, values: &[ArrayView4<'_, f32>], picture: usize) -> Option<GateReadout> {
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
            let product: Array3<f32> = match &values[..] {
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

#[cfg(test)]
mod tests {
    use ndarray::Array3;

    use super::*;
    use crate::graph::{Find, Graph};

    #[test]
    fn weights_that_do_not_fit_their_grid_are_refused() {
        // Maps of 2×2 positions in a line, which attend to one another.
        let json = r#"{"shapes": [[1, 3, 2, 2], [1, 3, 4], [1, 4, 3], [1, 3, 4], [1, 4, 4], [1, 4, 4]], "inputs": [0], "outputs": [5],
            "modules": [[["", "Net"], ["attn", "Attention"]]], "nodes": [
            ["aten.flatten.using_ints", [["self", {"v": 0}], ["start_dim", {"int": 2}]], [1], 0],
            ["aten.transpose.int", [["self", {"v": 1}], ["dim0", {"int": 1}], ["dim1", {"int": 2}]], [2], 0],
            ["aten.transpose.int", [["self", {"v": 2}], ["dim0", {"int": 1}], ["dim1", {"int": 2}]], [3], 0],
            ["aten.bmm.default", [["self", {"v": 2}], ["mat2", {"v": 3}]], [4], 0],
            ["aten._softmax.default", [["self", {"v": 4}], ["dim", {"int": -1}]], [5], 0]]}"#;
        let (graph, shapes) = Graph::traced(json).unwrap();
        let found = Find::new(&graph, &shapes).all();
        assert_eq!(found.attention.iter().map(|of| of.grid).collect::<Vec<_>>(), [[2, 2]]);
        let read = |tokens: [usize; 2]| {
            let weights = Array3::from_elem((1, tokens[0], tokens[1]), 0.25);
            let shown = Shown { gates: Vec::new(), weights: vec![Some(weights.view())] };
            found.readout(&shown, 0, &[[0.9, 0.1]], Detail::Maps).map_err(|error| error.to_string())
        };
        let readout = read([4, 4]).unwrap();
        assert_eq!(readout.patches[0].received, Array3::from_elem((1, 2, 2), 1.0));
        assert_eq!(readout.patches[0].rows.len(), 1);
        for tokens in [[3, 3], [4, 3], [3, 4], [5, 5]] {
            assert!(read(tokens).unwrap_err().contains("[heads, 4, 4]"));
        }
    }
}
