//! Gates and attention in what PyTorch ran.

use cbam_core::graph::{Find, Found as Held, GateKind, Graph, PlaceForm, Shown, WeightsOf};
use cbam_core::maps::{Detail, MapName};
use cbam_core::model::{Description, Look as Seen};
use cbam_core::photo::{Geometry, ImageSize, Limits, Part};
use cbam_core::{Error, Result};
use ndarray::Array1;
use numpy::{PyReadonlyArray1, PyReadonlyArray3, PyReadonlyArray4};
use pyo3::prelude::*;

use crate::errors::OrRaise;
use crate::look::Look;
use crate::opened::Facts;
use crate::pictures::Given;
use crate::threads::apart;

/// What was found in a pass.
#[pyclass(frozen, module = "cbam._cbam")]
pub(crate) struct Found {
    held: Held,
    shapes: Vec<Option<Vec<i64>>>,
    input: Option<Vec<i64>>,
}

/// A gate: the module, what it is of, its values by their numbers, and whether their channels are last.
#[pyclass(frozen, get_all, module = "cbam._cbam")]
pub(crate) struct FoundGate {
    name: String,
    kind: &'static str,
    values: Vec<usize>,
    channels_last: bool,
}

/// An attention over patches: the module, and the node whose queries and keys it is of or the value that its weights are.
#[pyclass(frozen, get_all, module = "cbam._cbam")]
pub(crate) struct FoundAttention {
    name: String,
    node: Option<usize>,
    value: Option<usize>,
    heads: i64,
    grid: (i64, i64),
    before: i64,
    after: i64,
    class_token: bool,
}

/// A place where features can be had: the modules that give it out, and how it lies.
#[pyclass(frozen, get_all, module = "cbam._cbam")]
pub(crate) struct FoundPlace {
    names: Vec<String>,
    form: &'static str,
    grid: (i64, i64),
    before: i64,
}

/// The operations that only give on the first tensor that they take.
#[pyfunction]
pub(crate) fn carried() -> Vec<&'static str> {
    cbam_core::graph::carried().collect()
}

#[pymethods]
impl Found {
    #[new]
    fn new(py: Python<'_>, trace: &str) -> PyResult<Self> {
        apart(py, |_| {
            let (graph, shapes) = Graph::traced(trace)?;
            let held = Find::new(&graph, &shapes).all();
            let input = graph.inputs.first().and_then(|input| shapes[input.value.index()].clone());
            Ok(Self { held, shapes, input })
        })
    }

    /// How many pictures the pass was of.
    #[getter]
    fn batch(&self) -> i64 {
        self.input.as_ref().and_then(|shape| shape.first().copied()).unwrap_or(0)
    }

    #[getter]
    fn gates(&self) -> Vec<FoundGate> {
        let gate = |of: &cbam_core::graph::FoundGate| FoundGate {
            name: of.name.clone(),
            kind: kind_of(of.kind),
            values: of.values.iter().map(|value| value.index()).collect(),
            channels_last: of.channels_last,
        };
        self.held.gates.iter().map(gate).collect()
    }

    #[getter]
    fn attention(&self) -> Vec<FoundAttention> {
        let attention = |of: &cbam_core::graph::FoundAttention| {
            let (node, value) = match of.weights {
                WeightsOf::Node(node) => (Some(node), None),
                WeightsOf::Value(value) => (None, Some(value.index())),
            };
            let &cbam_core::graph::FoundAttention { heads, grid, before, after, class_token, .. } = of;
            FoundAttention { name: of.name.clone(), node, value, heads, grid: grid.into(), before, after, class_token }
        };
        self.held.attention.iter().map(attention).collect()
    }

    /// The modules whose attention, or gate, is left out, and why.
    #[getter]
    fn left_out(&self) -> Vec<(String, &'static str)> {
        self.held.left_out.clone()
    }

    #[getter]
    fn places(&self) -> Vec<FoundPlace> {
        let place = |of: &cbam_core::graph::FoundPlace| {
            let shape = self.shapes[of.value.index()].as_deref().unwrap_or_default();
            let (form, grid, before) = match (of.form, shape) {
                (PlaceForm::Maps, [_, _, h, w]) => ("maps", (*h, *w), 0),
                (PlaceForm::ChannelsLast, [_, h, w, _]) => ("channels_last", (*h, *w), 0),
                (PlaceForm::Tokens { before, grid, .. }, _) => ("tokens", grid.into(), before),
                _ => ("maps", (0, 0), 0),
            };
            let names = std::iter::once(of.name.clone()).chain(of.also.iter().cloned()).collect();
            FoundPlace { names, form, grid, before }
        };
        self.held.places.iter().map(place).collect()
    }

    /// Which of the places explanations look at by themselves.
    #[getter]
    fn default_place(&self) -> Option<usize> {
        self.held.default_place
    }

    /// The maps that a look of the pass holds.
    #[getter]
    fn maps(&self) -> Vec<String> {
        self.shown().iter().map(ToString::to_string).collect()
    }

    /// One picture of the pass as a look: the values of the gates of these names, and the weights of these attentions.
    #[allow(clippy::too_many_arguments, reason = "one call, from one place")]
    fn look(
        &self,
        py: Python<'_>,
        picture: Given<'_>,
        gates: Vec<(String, String)>,
        values: Vec<Vec<PyReadonlyArray4<'_, f32>>>,
        attention: Vec<String>,
        weights: Vec<PyReadonlyArray3<'_, f32>>,
        maps: Vec<String>,
        probabilities: Option<PyReadonlyArray1<'_, f32>>,
        labels: Option<Vec<String>>,
        seen: Option<(u32, u32, u32, u32)>,
    ) -> PyResult<Look> {
        let source = picture.source().or_raise()?;
        // Gates of different kinds may have one name.
        let of_gate = |gate: &cbam_core::graph::FoundGate| {
            let place = gates.iter().position(|(name, kind)| *name == gate.name && kind == kind_of(gate.kind));
            place.map(|place| values[place].iter().map(PyReadonlyArray4::as_array).collect()).unwrap_or_default()
        };
        let of_attention = |of: &cbam_core::graph::FoundAttention| {
            let place = attention.iter().position(|name| *name == of.name);
            place.map(|place| weights[place].as_array())
        };
        let shown = Shown {
            gates: self.held.gates.iter().map(of_gate).collect(),
            weights: self.held.attention.iter().map(of_attention).collect(),
        };
        let probabilities = probabilities.map(|row| row.as_array().to_owned());
        apart(py, |_| {
            let name = source.name();
            let photo = source.photo(&Limits::default())?;
            let geometry = self.geometry(photo.size(), seen)?;
            let (about, labels) = self.described(probabilities.as_ref(), labels)?;
            let wanted: Vec<MapName> = maps.iter().map(|name| name.parse()).collect::<Result<_>>()?;
            let maps = about.choose_maps(&wanted)?;
            let points = maps.iter().filter_map(|name| name.query(&geometry).transpose());
            let points = points.collect::<Result<Vec<_>>>()?;
            let mut readout = self.held.readout(&shown, 0, &points, Detail::Whole)?;
            readout.probabilities = probabilities.unwrap_or_default();
            let facts = Facts { name: "model".to_owned(), about, labels, command: Vec::new() };
            Ok(Look::of_pass(name, photo, Seen::of(readout, geometry), facts, maps))
        })
    }
}

/// What a gate is of, in Python's words.
const fn kind_of(kind: GateKind) -> &'static str {
    match kind {
        GateKind::Channel => "channel",
        GateKind::Spatial => "spatial",
        GateKind::Coordinate => "coordinate",
        GateKind::Full => "full",
    }
}

impl Found {
    /// Those of its maps that one pass shows.
    fn shown(&self) -> Vec<MapName> {
        let of_pass = |name: &MapName| !matches!(name, MapName::Fused | MapName::Object | MapName::Explain { .. });
        let mut maps: Vec<MapName> = self.held.maps().into_iter().filter(of_pass).collect();
        // What is of the whole network first, then the last gate over places.
        if let Some(patch) = maps.iter().position(|name| *name == MapName::PATCH) {
            maps.swap(0, patch);
        } else if let Some(gate) = maps.iter().rposition(|name| matches!(name, MapName::Spatial(_))) {
            maps.swap(0, gate);
        }
        maps
    }

    /// How the picture became the input.
    fn geometry(&self, picture: ImageSize, seen: Option<(u32, u32, u32, u32)>) -> Result<Geometry> {
        let Some([_, _, height, width]) = self.input.as_deref() else {
            return Err(Error::argument("model", "was given no pictures [N, C, H, W]"));
        };
        let network = ImageSize::new(*width as u32, *height as u32);
        let Some((left, top, width, height)) = seen else { return Ok(Geometry::whole(picture, network)) };
        let inside =
            |from: u32, length: u32, side: u32| length > 0 && from.checked_add(length).is_some_and(|to| to <= side);
        if !inside(left, width, picture.width) || !inside(top, height, picture.height) {
            let message = format!("{:?} does not lie in a picture of {picture}", (left, top, width, height));
            return Err(Error::argument("seen", message));
        }
        Ok(Geometry { picture, network, seen: Part { left, top, size: ImageSize::new(width, height) } })
    }

    fn described(&self, row: Option<&Array1<f32>>, labels: Option<Vec<String>>) -> Result<(Description, Vec<String>)> {
        let numbers = row.map_or(0, Array1::len);
        let stages = self.held.attention_in_order().map(|of| of.name.clone()).collect();
        let about = Description { numbers, maps: self.shown(), patch_stages: stages, ..Description::default() };
        let labels = about.choose_labels(labels.as_deref())?;
        Ok((about, labels))
    }
}
