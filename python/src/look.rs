//! What a network saw in a picture, kept with the picture.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cbam_core::maps::{AttentionMap, Detail, MapName};
use cbam_core::model::Look as Seen;
use cbam_core::photo::{Photo, Preprocess};
use cbam_core::pipeline::{Drawing, Options};
use cbam_core::render::page::{Packing, PageHead, PagePicture, PageSource, PageSubject, page};
use cbam_core::{Error, Result};
use ndarray::Array1;
use numpy::ToPyArray;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::drawing::{Style, destination};
use crate::errors::OrRaise;
use crate::opened::{Asking, Facts, Opened};
use crate::pictures::array;
use crate::threads::{Given, apart};

/// What a network saw in a picture.
#[pyclass(frozen, module = "cbam._cbam")]
pub(crate) struct Look {
    name: String,
    photo: Photo,
    seen: Seen,
    network: Arc<Facts>,
    maps: Vec<MapName>,
    class: Option<usize>,
    /// What can look once more, and how it was asked; none where somebody else's network looked.
    again: Option<(Arc<Opened>, Asking)>,
    /// Whether the picture has a file.
    is_file: bool,
}

impl Look {
    /// What a network of this package saw.
    pub(crate) fn of_network(
        name: String,
        photo: Photo,
        seen: Seen,
        network: &Arc<Opened>,
        (asking, is_file): (Asking, bool),
    ) -> Self {
        let (maps, class, facts) = (asking.maps.clone(), asking.class, Arc::clone(&network.facts));
        Self { name, photo, seen, network: facts, maps, class, again: Some((Arc::clone(network), asking)), is_file }
    }

    /// What somebody else's network showed, with all that was kept of it.
    pub(crate) fn of_pass(name: String, photo: Photo, seen: Seen, network: Facts, maps: Vec<MapName>) -> Self {
        Self { name, photo, seen, network: Arc::new(network), maps, class: None, again: None, is_file: false }
    }

    /// It, to be drawn.
    fn drawing<'a>(&'a self, look: &'a Seen, options: &'a Options) -> Drawing<'a> {
        let (maps, labels, name) = (&self.maps, &self.network.labels, Path::new(&self.name));
        Drawing { look, maps, labels, name, options }
    }

    /// A map by a name that the network has for it, among those that one pass shows or that were asked for.
    fn named(&self, name: Option<&str>) -> Result<MapName> {
        let wanted: Vec<MapName> = name.map(str::parse).transpose()?.into_iter().collect();
        if wanted.is_empty() {
            self.maps.first().cloned().ok_or_else(|| Error::internal("a look without a map"))
        } else {
            Ok(self.network.about.choose_maps(&wanted)?.remove(0))
        }
    }

    /// A map over the picture.
    pub(crate) fn attention(&self, name: &str) -> Result<AttentionMap> {
        self.seen.map(&self.named(Some(name))?)
    }

    /// How likely each class is.
    pub(crate) fn answers(&self) -> &Array1<f32> {
        &self.seen.readout.probabilities
    }

    /// The picture.
    pub(crate) fn photo(&self) -> &Photo {
        &self.photo
    }

    /// How this network was given the picture; `None` if another one looked.
    pub(crate) fn taken_by(&self, network: &Arc<Opened>) -> Option<&Preprocess> {
        let (own, asking) = self.again.as_ref()?;
        Arc::ptr_eq(own, network).then_some(&asking.preprocess)
    }

    /// What is seen with the maps that panels and pages show besides: it is looked at once more, where that can be.
    fn again(&self, detail: Detail, given: &Given) -> Result<Cow<'_, Seen>> {
        let Some((network, asking)) = &self.again else { return Ok(Cow::Borrowed(&self.seen)) };
        let maps = self.network.about.with_usual(&self.maps);
        Ok(Cow::Owned(network.look(&self.photo, asking, &maps, detail, given)?))
    }

    /// The words of a command line that looks at the same, without the picture and its maps.
    fn command(&self) -> Vec<String> {
        let mut words = if self.is_file { self.network.command.clone() } else { Vec::new() };
        let asked = self.again.as_ref().map(|(_, asking)| asking.preprocess.short_side);
        let other = asked.filter(|size| *size != self.network.about.preprocess.short_side && !words.is_empty());
        words.extend(other.into_iter().flat_map(|size| ["--size".to_owned(), size.to_string()]));
        words
    }

    fn page(&self, seen: &Seen, whole: bool, head: (String, String)) -> Result<String> {
        let detail = if whole { Detail::Whole } else { Detail::Means };
        let network = &self.network;
        let source = PageSource {
            name: self.name.clone(),
            photo: &self.photo,
            look: seen,
            maps: &self.maps,
            detail,
            measured: None,
            packing: Packing::Small,
            damaged: self.photo.damage.clone(),
            notes: self.notes(),
        };
        let subject = PageSubject {
            maps: self.maps.clone(),
            labels: network.labels.clone(),
            outputs: network.about.outputs,
            class: self.class,
            scale: cbam_core::maps::Scale::Image,
        };
        let (program, date) = head;
        let head = PageHead {
            program,
            date,
            command: self.command(),
            methods: std::collections::BTreeMap::new(),
            network: network.name.clone(),
            overlay: cbam_core::render::Overlay::default(),
            report: None,
        };
        page(&head, PagePicture::new(&source, Arc::new(subject))?)
    }
}

#[pymethods]
impl Look {
    /// What the picture is called.
    #[getter]
    fn name(&self) -> &str {
        &self.name
    }

    /// The names of the maps that were asked for.
    #[getter]
    fn asked(&self) -> Vec<String> {
        self.maps.iter().map(ToString::to_string).collect()
    }

    /// The names of all maps that it holds.
    #[getter]
    fn held(&self) -> Vec<String> {
        let readout = &self.seen.readout;
        let channels = readout.gates.iter().filter(|gate| !gate.channel.is_empty());
        let channels = channels.map(|gate| MapName::Channel(gate.stage.clone()));
        readout.map_names().into_iter().chain(channels).map(|name| name.to_string()).collect()
    }

    /// A map, `[h, w]`, or a channel gate, `[C]`; unscaled.
    fn map<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
        match self.named(Some(name)).or_raise()? {
            MapName::Channel(stage) => Ok(self.seen.readout.channel(&stage).or_raise()?.to_pyarray(py).into_any()),
            name => Ok(self.seen.map(&name).or_raise()?.values().to_pyarray(py).into_any()),
        }
    }

    /// What a map's values are spread over.
    fn statistics<'py>(&self, py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyDict>> {
        let of = self.seen.map(&self.named(Some(name)).or_raise()?).or_raise()?.statistics();
        let all = PyDict::new(py);
        for (key, value) in
            [("min", of.min), ("max", of.max), ("mean", of.mean), ("entropy", of.entropy), ("coverage", of.coverage)]
        {
            all.set_item(key, value)?;
        }
        all.set_item("peak", (of.peak[0], of.peak[1]))?;
        all.set_item("centroid", (of.centroid[0], of.centroid[1]))?;
        Ok(all)
    }

    /// What each class has: how likely it is, or, if classes are judged by themselves, each by itself.
    #[getter]
    fn probabilities<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.seen.readout.probabilities.to_pyarray(py).into_any()
    }

    /// The likeliest classes: number, name, probability.
    #[getter]
    fn top(&self) -> Vec<(usize, String, Option<f32>)> {
        let options = Options::default();
        let top = self.drawing(&self.seen, &options).top();
        top.into_iter().map(|class| (class.class, class.label, class.probability)).collect()
    }

    /// Whether a map is of a class.
    fn is_of_class(&self, name: &str) -> PyResult<bool> {
        Ok(self.named(Some(name)).or_raise()?.needs_class())
    }

    /// The class that maps of classes are of.
    #[getter]
    fn explained(&self) -> Option<(usize, String, Option<f32>)> {
        let options = Options::default();
        let class = self.drawing(&self.seen, &options).explained()?;
        Some((class.class, class.label, class.probability))
    }

    /// The picture's width and height, upright.
    #[getter]
    fn size(&self) -> (u32, u32) {
        let size = self.photo.size();
        (size.width, size.height)
    }

    /// The part of the picture that the network saw: left, top, width, height.
    #[getter]
    fn seen(&self) -> (u32, u32, u32, u32) {
        let part = self.seen.geometry.seen;
        (part.left, part.top, part.size.width, part.size.height)
    }

    /// What the network took in: width and height.
    #[getter]
    fn input_size(&self) -> (u32, u32) {
        let size = self.seen.geometry.network;
        (size.width, size.height)
    }

    /// What of the picture is missing or broken.
    #[getter]
    fn damage(&self) -> Option<&str> {
        self.photo.damage.as_deref()
    }

    /// What was assumed about the picture, or passed over.
    #[getter]
    fn notes(&self) -> Vec<String> {
        let mut notes = self.photo.notes.clone();
        notes.extend(self.again.iter().filter_map(|(_, asking)| asking.preprocess.squeezed(self.photo.size())));
        notes
    }

    /// The picture's pixels, upright.
    fn pixels<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        array(py, self.photo.image.clone())
    }

    /// The names of its network's classes.
    #[getter]
    fn labels(&self) -> Vec<String> {
        self.network.labels.clone()
    }

    /// A map over the picture; into a file, if one is named.
    #[pyo3(signature = (name, style, path))]
    fn overlay<'py>(
        &self,
        py: Python<'py>,
        name: Option<&str>,
        style: Style,
        path: Option<PathBuf>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Style(options) = style;
        let drawn = apart(py, |_| {
            let (drawing, name) = (self.drawing(&self.seen, &options), self.named(name)?);
            let to = path.as_deref().map(destination).transpose()?;
            let drawn = drawing.overlay(&name, &self.photo)?;
            match to {
                Some(to) => drawing.write(drawn, !matches!(name, MapName::Channel(_)), &to).map(|()| None),
                None => Ok(Some(drawn)),
            }
        })?;
        drawn.map(|drawn| array(py, drawn)).transpose()
    }

    /// The picture and its maps on one sheet; into a file, if one is named.
    #[pyo3(signature = (style, path))]
    fn panel<'py>(&self, py: Python<'py>, style: Style, path: Option<PathBuf>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Style(options) = style;
        let options = Options { network: Some(self.network.name.clone()), ..options };
        let drawn = apart(py, |given| {
            let to = path.as_deref().map(destination).transpose()?;
            let seen = self.again(Detail::Maps, given)?;
            let drawing = self.drawing(&seen, &options);
            let drawn = drawing.panel(&self.photo)?;
            match to {
                Some(to) => drawing.write(drawn, true, &to).map(|()| None),
                None => Ok(Some(drawn)),
            }
        })?;
        drawn.map(|drawn| array(py, drawn)).transpose()
    }

    /// The interactive page, as HTML; `whole` with heads and all classes.
    fn html(&self, py: Python<'_>, whole: bool, program: String, date: String) -> PyResult<String> {
        apart(py, |given| {
            let seen = self.again(if whole { Detail::Whole } else { Detail::Means }, given)?;
            self.page(&seen, whole, (program, date))
        })
    }
}
