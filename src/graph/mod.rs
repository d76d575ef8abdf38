//! Other people's networks by their graphs, on libtorch: on a CPU or a GPU, with gradients at every place.
//!
//! [`Graph`] reads what `torch.export` writes; [`GraphNetwork`] runs it, operation by operation. Nothing of the file is executed but
//! the operations that it names, each by the table of this crate.
//!
//! | module | what |
//! |---|---|
//! | `given`, `operators` | what an operation is given; what each one does |
//! | `fold`, `blocks` | BatchNorm folded into convolutions, activations over what they take; inverted residual blocks by their kernel |
//! | `run` | the part of a graph that some values are made by, and running it |
//! | `watch` | gates and attention, read while it runs |
//! | `look`, `explain` | the network as [`Model`](crate::model::Model) and as [`Features`](crate::explain::Features) |

mod blocks;
mod explain;
mod fold;
mod given;
mod look;
mod operators;
mod run;
mod watch;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use tch::{Device, Kind, Tensor};

use crate::classes::Outputs;
use crate::host::{kind_of, restore};
use crate::photo::{FixedSize, ImageSize, Preprocess};
use crate::{Error, Result};

pub use cbam_core::graph::*;
use fold::Fast;
use given::Held;
use operators::Operation;
use run::{Pass, Plan};

/// A network that runs as its graph says, pictures `[N, 3, H, W]` in.
#[derive(Debug)]
pub struct GraphNetwork {
    graph: Graph,
    /// What each node does, and whether it does it over what it takes.
    operations: Vec<(Operation, bool)>,
    /// The network's numbers, by the values that they are.
    weights: Vec<Option<Held>>,
    /// What may be done where no gradient is wanted.
    fast: Fast,
    /// For each value the first that may share its elements.
    roots: Vec<Value>,
    device: Device,
    /// What it takes pictures in.
    kind: Kind,
    preprocess: Preprocess,
    /// What the graph is made of, for who looks, at the size of the first run.
    found: Rc<Found>,
    /// The same at other sizes, where tokens lie on other grids.
    at_sizes: RefCell<HashMap<[i64; 2], Rc<Found>>>,
    outputs: Outputs,
    /// Whether somebody said what its numbers for the classes are.
    outputs_are_said: bool,
    /// The names of its classes, if somebody said them.
    labels: Option<Vec<String>>,
    one_by_one: bool,
    /// Whether it was found that it takes squares alone, though its sides are free.
    only_squares: bool,
    /// Height and width of the grey picture of the first run.
    first_size: [i64; 2],
    /// Height and width of the picture whose features were taken last, or of the grey one.
    seen: Cell<[i64; 2]>,
    /// Where the pixel of the score lies in the picture that is looked at, as fractions of its width and height.
    point: Cell<[f32; 2]>,
}

impl GraphNetwork {
    /// Makes a graph ready to run on a device, and runs it once or twice on a grey picture. Pictures are taken as `preprocess` says, as far as
    /// the graph's sides allow it; a network of one size sees the middle of each, or with a `max_ratio` of 1 all of it, squeezed.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`](crate::ErrorKind::Weights) if it has an operator that is not known here (all of them are named), takes
    /// something else than pictures, or fails on the grey one.
    pub fn new(graph: Graph, device: Device, preprocess: Preprocess) -> Result<Self> {
        preprocess.check()?;
        let wrong = |message: String| Error::weights(graph.file(), message);
        let unknown: Vec<String> = graph
            .operators()
            .into_iter()
            .filter(|(name, _)| operators::find(name).is_none())
            .map(|(_, node)| node.to_string())
            .collect();
        if !unknown.is_empty() {
            let many = if unknown.len() == 1 { "an operator that is" } else { "operators that are" };
            return Err(wrong(format!("{many} not known here: {}", unknown.join("; "))));
        }
        let operations = graph.nodes.iter().filter_map(|node| operators::find(&node.operator)).collect();
        let mut weights: Vec<Option<Held>> = std::iter::repeat_with(|| None).take(graph.values.len()).collect();
        let users = graph.users();
        for weight in graph.weights.iter().filter(|weight| !users[weight.value.index()].is_empty()) {
            let tensor = restore(&weight.tensor)?.f_to_device(device)?;
            weights[weight.value.index()] = Some(Held::Tensor(tensor));
        }
        let [input] = &graph.inputs[..] else {
            let names: Vec<_> = graph.inputs.iter().map(|input| input.name.as_str()).collect();
            return Err(wrong(format!("takes {} inputs ({}), and not pictures alone", names.len(), names.join(", "))));
        };
        let kind = kind_of(graph.about(input.value).dtype.unwrap_or(crate::weights::Dtype::F32))?;
        let preprocess = look::taken(&graph, preprocess).map_err(wrong)?;
        let (roots, writes) = (graph.roots(), graph.nodes.iter().any(Node::writes));
        let mut network = Self {
            operations,
            fast: Fast::of(
                &graph,
                &weights,
                device == Device::Cpu && kind == Kind::Float && !writes && crate::sys::shares_cores(),
            )?,
            weights,
            roots,
            device,
            kind,
            preprocess,
            found: Rc::default(),
            at_sizes: RefCell::default(),
            outputs: Outputs::default(),
            outputs_are_said: false,
            labels: None,
            one_by_one: false,
            only_squares: false,
            first_size: [0; 2],
            seen: Cell::new([0; 2]),
            point: Cell::new([0.5; 2]),
            graph,
        };
        network.first_run()?;
        if let (Some(_), Some(classes)) = (network.graph.score, &network.found.classes) {
            network.outputs_are_said = true;
            if classes.numbers != 1 {
                let message = format!(
                    "it is {} numbers for each picture; choose one of them, or add .mean(), .sum() or .max()",
                    classes.numbers
                );
                return Err(Error::argument(format!("score {}", network.graph.outputs[classes.index].name), message));
            }
        }
        Ok(network)
    }

    /// Opens a `.pt2` archive.
    ///
    /// # Errors
    /// Those of [`Graph::open`] and [`new`](Self::new).
    pub fn open(path: impl AsRef<Path>, device: Device, preprocess: Preprocess) -> Result<Self> {
        Self::new(Graph::open(path)?, device, preprocess)
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The gates, attention and places that were found in it.
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// The device that it is on.
    pub fn device(&self) -> Device {
        self.device
    }

    /// With every picture by itself, whatever batch it comes in, as [`Network::one_by_one`](crate::network::Network::one_by_one).
    pub fn one_by_one(self) -> Self {
        Self { one_by_one: true, ..self }
    }

    /// With its numbers for the classes taken in this sense.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if it says nothing of classes, or for a softmax over one class.
    pub fn with_outputs(mut self, outputs: Outputs) -> Result<Self> {
        let Some(classes) = &self.found.classes else {
            let message = format!("{outputs} is of classes, and this network gives out none");
            return Err(Error::argument("outputs", message));
        };
        outputs.check(classes.numbers)?;
        (self.outputs, self.outputs_are_said) = (outputs, true);
        Ok(self)
    }

    /// With these names of its classes.
    ///
    /// # Errors
    /// [`ErrorKind::Argument`](crate::ErrorKind::Argument) if they are not as many as its classes.
    pub fn with_labels(mut self, labels: &[String]) -> Result<Self> {
        self.labels = Some(crate::model::Model::describe(&self).choose_labels(Some(labels))?);
        Ok(self)
    }

    /// Everything that it gives out for pictures `[N, 3, H, W]`, normalised (of a network that takes grey ones the first channel is
    /// taken), in f32: a tensor for each of the graph's
    /// [`outputs`](Graph::outputs), `None` for a constant or a number.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`](crate::ErrorKind::Weights), with its file's name, if it fails on them.
    pub fn forward(&self, pictures: &Tensor) -> Result<Vec<Option<Tensor>>> {
        let wanted = self.wanted();
        let mut pass = self.pass(pictures)?;
        let plan = self.fast_plan(&wanted);
        tch::no_grad(|| pass.run(&plan, &mut |_, _| Ok(()))).map_err(|error| self.wrong(error))?;
        let outputs = self.graph.outputs.iter().map(|output| output.value.and_then(|value| pass.tensor(value)));
        outputs.map(|tensor| tensor.map(|tensor| Ok(tensor.f_to_kind(Kind::Float)?)).transpose()).collect()
    }

    /// The values that it gives out.
    fn wanted(&self) -> Vec<Value> {
        self.graph.outputs.iter().filter_map(|output| output.value).collect()
    }

    fn plan(&self, wanted: &[Value], given: &[Value]) -> Plan {
        Plan::new(&self.graph, &self.roots, wanted, given)
    }

    /// The same for a run in which no gradient is wanted.
    fn fast_plan(&self, wanted: &[Value]) -> Plan {
        Plan::fast(&self.graph, &self.roots, wanted, &self.fast)
    }

    /// A run for pictures, not yet begun.
    fn pass(&self, pictures: &Tensor) -> Result<Pass<'_>> {
        let input = self.graph.inputs[0].value;
        let grey = self.graph.channels() == Some(1) && pictures.size().get(1) == Some(&3);
        let pictures = if grey { &pictures.f_narrow(1, 0, 1)? } else { pictures };
        let mut pictures = pictures.f_to_device(self.device)?.f_to_kind(self.kind)?;
        if self.operations.iter().any(|(_, writes)| *writes) {
            // What looks at values in another shape must share their elements, as where PyTorch runs it.
            pictures = pictures.f_contiguous()?;
        }
        let mut pass = Pass::of(self, [(input, pictures)]);
        if let Some(point) = self.graph.score_point {
            pass.put(point.value, Tensor::f_from_slice(&self.point.get())?);
        }
        Ok(pass)
    }

    /// Runs a grey picture, and finds what the graph is made of by the shapes that it has then.
    fn first_run(&mut self) -> Result<()> {
        let size = self.preprocess.network_size(ImageSize::new(1, 1));
        self.found = Rc::new(self.find(size)?);
        self.outputs = self.found.classes.as_ref().map(|classes| classes.outputs).unwrap_or_default();
        self.first_size = [size.height.into(), size.width.into()];
        self.seen.set(self.first_size);
        self.only_squares = self.preprocess.fixed.is_none() && self.preprocess.max_ratio > 1 && !self.takes_wide(size);
        if self.only_squares {
            self.preprocess.fixed = Some(FixedSize { size, squeeze: false });
        }
        Ok(())
    }

    /// What the graph is made of, by the shapes that its values have for a grey picture of this size.
    fn find(&self, size: ImageSize) -> Result<Found> {
        let mut shapes: Vec<Option<Vec<i64>>> = vec![None; self.graph.values.len()];
        for weight in &self.graph.weights {
            shapes[weight.value.index()] = Some(weight.tensor.shape().to_vec());
        }
        self.try_out(size, &mut |value, shape| shapes[value.index()] = shape)?;
        let find = Find::new(&self.graph, &shapes);
        if let Some(point) = self.graph.score_point.filter(|point| !find.lies_over(*point)) {
            let [x, y] = point.pixel;
            let message = "its output is not known to be maps over the picture, of which one channel is chosen: out[:, 3] of \
                           [N, C, h, w]";
            return Err(Error::argument(format!("score at {x},{y}"), message));
        }
        Ok(find.all())
    }

    /// The same for pictures of this height and width: where tokens lie depends on it.
    fn found_at(&self, size: [i64; 2]) -> Result<Rc<Found>> {
        let of_tokens = |place: &FoundPlace| matches!(place.form, PlaceForm::Tokens { .. });
        let anywhere = self.found.attention.is_empty() && !self.found.places.iter().any(of_tokens);
        if anywhere || size == self.first_size {
            return Ok(self.found.clone());
        }
        if let Some(found) = self.at_sizes.borrow().get(&size) {
            return Ok(found.clone());
        }
        let [height, width] = size.map(|side| u32::try_from(side).unwrap_or(0));
        let found = Rc::new(self.find(ImageSize::new(width, height))?);
        self.at_sizes.borrow_mut().insert(size, found.clone());
        Ok(found)
    }

    /// Whether it takes a picture that is no square, and gives out as many numbers for its classes: exported with free sides, some
    /// networks pool by one size all the same.
    fn takes_wide(&self, size: ImageSize) -> bool {
        let wide = ImageSize::new(size.width + self.preprocess.multiple.max(1), size.height);
        let mut numbers = None;
        let classes = self.found.classes.as_ref();
        let of_classes = classes.map(|classes| classes.value);
        let tried = self.try_out(wide, &mut |value, shape| {
            if Some(value) == of_classes {
                numbers = shape.map(|shape| shape.iter().skip(1).product::<i64>());
            }
        });
        tried.is_ok() && numbers == classes.map(|classes| classes.numbers)
    }

    /// Runs a grey picture of this size, and tells of the shape of each value that is made.
    fn try_out(&self, size: ImageSize, tell: &mut dyn FnMut(Value, Option<Vec<i64>>)) -> Result<()> {
        let batch = self.batch().unwrap_or(1);
        let grey = Tensor::f_zeros([batch, 3, size.height.into(), size.width.into()], (Kind::Float, self.device))?;
        tell(self.graph.inputs[0].value, Some(grey.size()));
        let (plan, mut pass) = (self.plan(&self.wanted(), &[]), self.pass(&grey)?);
        let ran = tch::no_grad(|| {
            pass.run(&plan, &mut |node, pass| {
                for value in self.graph.nodes[node].makes() {
                    tell(value, pass.tensor(value).map(Tensor::size));
                }
                Ok(())
            })
        });
        ran.map_err(|error| self.wrong(format!("fails on a grey picture of {size}: {error}")))
    }

    /// How many numbers it gives out for its classes; 0 if it says nothing of classes.
    fn class_numbers(&self) -> i64 {
        self.found.classes.as_ref().map_or(0, |classes| classes.numbers)
    }

    /// The only number of pictures that it takes at once, if there is one.
    fn batch(&self) -> Option<i64> {
        let sides = self.graph.about(self.graph.inputs[0].value).sides.as_ref()?;
        sides.first().filter(|side| side.free.is_none()).map(|side| side.example)
    }

    /// Whether a tensor lies in the network's numbers.
    fn is_weight(&self, tensor: &Tensor) -> bool {
        let at = tensor.data_ptr().addr();
        self.weights.iter().flatten().any(|held| match held {
            Held::Tensor(weight) => {
                let start = weight.data_ptr().addr();
                (start..start + weight.numel() * weight.kind().elt_size_in_bytes()).contains(&at)
            }
            _ => false,
        })
    }

    fn wrong(&self, error: impl ToString) -> Error {
        Error::weights(self.graph.file(), error)
    }
}
