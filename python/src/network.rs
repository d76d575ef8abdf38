//! Networks, opened from weights files, and what they are asked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cbam_core::attention::PoolOrder;
use cbam_core::backbone::{Arch, StrideIn};
use cbam_core::classes::{ClassChoice, Outputs};
use cbam_core::explain::ExplainOptions;
use cbam_core::maps::{Detail, MapName};
use cbam_core::model::Model;
use cbam_core::network::{BUNDLED_NAME, NetworkFile, OpenOptions};
use cbam_core::photo::{Channels, Limits, Preprocess};
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};
use numpy::{IntoPyArray, PyReadonlyArray4};
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use rayon::prelude::*;

use crate::errors::{OrRaise, raised};
use crate::look::Look;
use crate::opened::{Asking, Facts, Opened};
use crate::pictures::{Given as Picture, Source};
use crate::threads::{Given, apart};

/// A network in its form for inference.
#[pyclass(frozen, module = "cbam._cbam")]
pub(crate) struct Network(Arc<Opened>);

/// How a weights file is opened.
#[derive(FromPyObject)]
struct Opening {
    arch: Option<String>,
    drop_attention: bool,
    part: Option<String>,
    stride_in: Option<String>,
    pool_order: Option<String>,
    max_pool: Option<bool>,
    symmetric: Option<bool>,
    labels: Option<Vec<String>>,
    size: Option<u32>,
    mean: Option<[f32; 3]>,
    std: Option<[f32; 3]>,
    channels: Option<String>,
    square: bool,
    outputs: Option<String>,
    precision: String,
}

/// What a network is asked about pictures.
#[derive(FromPyObject)]
pub(crate) struct Asked {
    maps: Vec<String>,
    class_: Option<Class>,
    size: Option<u32>,
    masks: usize,
    seed: u64,
    window: usize,
    stride: usize,
}

/// A class, by its number or its name.
#[derive(FromPyObject)]
enum Class {
    Number(usize),
    Name(String),
}

impl Opening {
    fn options(&self) -> Result<OpenOptions> {
        let mut options = OpenOptions::default();
        options.arch = self.arch.as_deref().map(str::parse::<Arch>).transpose()?;
        options.drop_attention = self.drop_attention;
        options.part.clone_from(&self.part);
        options.stride_in = self.stride_in.as_deref().map(str::parse::<StrideIn>).transpose()?;
        options.pool_order = self.pool_order.as_deref().map(str::parse::<PoolOrder>).transpose()?;
        options.max_pool = self.max_pool;
        options.symmetric = self.symmetric;
        Ok(options)
    }

    fn preprocess(&self, own: Preprocess) -> Result<Preprocess> {
        let channels = self.channels.as_deref().map(str::parse::<Channels>).transpose()?;
        Ok(Preprocess {
            short_side: self.size.unwrap_or(own.short_side),
            mean: self.mean.unwrap_or(own.mean),
            std: self.std.unwrap_or(own.std),
            channels: channels.unwrap_or(own.channels),
            max_ratio: if self.square { 1 } else { own.max_ratio },
            ..own
        })
    }

    /// The words of a command line that opens the same; none where something is said that is not in them.
    fn command(&self, weights: Option<&Path>) -> Vec<String> {
        let plain = !self.drop_attention && !self.square && self.max_pool.is_none() && self.symmetric.is_none();
        let said = [&self.arch, &self.part, &self.stride_in, &self.pool_order, &self.channels, &self.outputs];
        let input = self.mean.is_some() || self.std.is_some() || self.labels.is_some() || self.size.is_some();
        if !plain || input || self.precision != "f32" || said.iter().any(|word| word.is_some()) {
            return Vec::new();
        }
        let mut words = vec!["cbam-run".to_owned()];
        if let Some(path) = weights {
            words.extend(["--weights".to_owned(), path.display().to_string()]);
        }
        words
    }

    fn open(&self, weights: Option<&Path>, hashed: bool) -> Result<Opened> {
        let options = self.options()?;
        let (name, file) = match weights {
            None => {
                if options.recognises() || options.part.is_some() {
                    return Err(Error::argument(
                        "weights",
                        "the bundled network is known: what is said of a file has no effect",
                    ));
                }
                (BUNDLED_NAME.to_owned(), NetworkFile::pretrained()?)
            }
            Some(path) => {
                let name = path.file_name().map_or(path, Path::new);
                (printable_path(name).to_string(), NetworkFile::open(path, &options)?)
            }
        };
        let command = self.command(weights);
        let notes = file.notes();
        let fingerprint = hashed.then(|| file.fingerprint()).transpose()?;
        let mut network = file.for_inference()?;
        network = network.with_preprocess(self.preprocess(file.config.preprocess())?)?.one_by_one();
        if let Some(outputs) = &self.outputs {
            network = network.with_outputs(outputs.parse::<Outputs>()?)?;
        }
        network = network.in_precision(self.precision.parse()?)?;
        let about = network.describe();
        let labels = about.choose_labels(self.labels.as_deref())?;
        Ok(Opened { facts: Arc::new(Facts { name, about, labels, command }), network, notes, fingerprint })
    }
}

impl Asked {
    fn asking(&self, network: &Facts) -> Result<Asking> {
        let about = &network.about;
        let maps: Vec<MapName> = self.maps.iter().map(|name| name.parse()).collect::<Result<_>>()?;
        let maps = about.choose_maps(&maps)?;
        let class = match &self.class_ {
            None => None,
            Some(Class::Number(number)) => Some(ClassChoice::Number(*number)),
            Some(Class::Name(name)) => {
                Some(name.parse().unwrap_or_else(|never: std::convert::Infallible| match never {}))
            }
        };
        let class = class.map(|class| about.choose_class(&class, &network.labels, &maps)).transpose()?;
        let explain = ExplainOptions::default()
            .with_masks(self.masks)
            .with_seed(self.seed)
            .with_window(self.window)
            .with_stride(self.stride);
        explain.check()?;
        let mut preprocess = about.preprocess.clone();
        preprocess.short_side = self.size.unwrap_or(preprocess.short_side);
        preprocess.check()?;
        Ok(Asking { maps, class, preprocess, explain })
    }
}

#[pymethods]
impl Network {
    #[new]
    #[pyo3(signature = (weights, opening, hashed=false))]
    fn new(py: Python<'_>, weights: Option<PathBuf>, opening: Opening, hashed: bool) -> PyResult<Self> {
        Ok(Self(Arc::new(apart(py, move |_| opening.open(weights.as_deref(), hashed))?)))
    }

    /// A hash (SHA-256) of its configuration and its tensors; `None` unless it was asked for when it was opened.
    #[getter]
    fn fingerprint<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyBytes>> {
        self.0.fingerprint.map(|hash| PyBytes::new(py, &hash))
    }

    /// What it is called.
    #[getter]
    fn name(&self) -> &str {
        &self.0.facts.name
    }

    /// What was taken for granted about it, a line each.
    #[getter]
    fn notes(&self) -> Vec<String> {
        self.0.notes.clone()
    }

    /// The names of its classes.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.0.facts.labels.clone()
    }

    /// How many classes it knows.
    #[getter]
    fn classes(&self) -> usize {
        self.0.facts.about.classes()
    }

    /// The maps that it can make, by name.
    #[getter]
    fn maps(&self) -> Vec<String> {
        self.0.facts.about.maps.iter().map(ToString::to_string).collect()
    }

    /// The stages at which explanations may look.
    #[getter]
    fn places(&self) -> Vec<String> {
        self.0.facts.about.places.clone()
    }

    /// The short side of what it sees, in pixels.
    #[getter]
    fn size(&self) -> u32 {
        self.0.facts.about.preprocess.short_side
    }

    /// The picture of a look as it takes it, `[3, H, W]`, normalised.
    fn input<'py>(&self, py: Python<'py>, look: &Look) -> PyResult<Bound<'py, PyAny>> {
        let preprocess = look.taken_by(&self.0).unwrap_or(&self.0.facts.about.preprocess);
        let pixels = apart(py, |_| preprocess.normalised(&preprocess.resample(look.photo())?))?;
        Ok(pixels.into_pyarray(py).into_any())
    }

    /// What it says of pictures `[N, 3, H, W]`, normalised: its numbers for the classes.
    fn numbers<'py>(&self, py: Python<'py>, pixels: PyReadonlyArray4<'py, f32>) -> PyResult<Bound<'py, PyAny>> {
        let pixels = pixels.as_array();
        let numbers = apart(py, |_| self.0.numbers(pixels))?;
        Ok(numbers.into_pyarray(py).into_any())
    }

    /// What these numbers are.
    #[getter]
    fn outputs(&self) -> &'static str {
        self.0.facts.about.outputs.name()
    }

    /// The maps that it makes when it is asked so, by name.
    fn chosen(&self, asked: Asked) -> PyResult<Vec<String>> {
        Ok(asked.asking(&self.0.facts).or_raise()?.maps.iter().map(ToString::to_string).collect())
    }

    /// What it sees in pictures: a look for each, or an exception where one failed.
    fn look(&self, py: Python<'_>, pictures: Vec<Picture<'_>>, asked: Asked) -> PyResult<Vec<Py<PyAny>>> {
        let asking = asked.asking(&self.0.facts).or_raise()?;
        let sources: Vec<Result<Source>> = pictures.into_iter().map(Picture::source).collect();
        let looks = apart(py, |given| Ok(self.looks(sources, &asking, given)))?;
        let made = looks.into_iter().map(|look| match look {
            Ok(look) => Ok(Py::new(py, look)?.into_any()),
            Err(error) => Ok(raised(error).into_value(py).into_any()),
        });
        made.collect()
    }
}

impl Network {
    fn looks(&self, sources: Vec<Result<Source>>, asking: &Asking, given: &Given) -> Vec<Result<Look>> {
        let look = |source: Result<Source>| {
            given.check()?;
            let source = source?;
            let (name, is_file) = (source.name(), source.is_file());
            let photo = source.photo(&Limits::default())?;
            let seen = self.0.look(&photo, asking, &asking.maps, Detail::Maps, given)?;
            Ok(Look::of_network(name, photo, seen, &self.0, (asking.clone(), is_file)))
        };
        sources.into_par_iter().map(look).collect()
    }
}
